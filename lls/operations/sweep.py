"""`sweep`: finish the guide's clean-up without any state, by tags. Only what is nobody's goes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from lls.operations.account import Account, AwsError
from lls.operations.cluster_survey import ClusterSurvey, look_into_cluster
from lls.operations.finding import Watcher
from lls.operations.installation import Installation
from lls.operations.inventory import (
    ADDRESS,
    ATTACHMENT,
    BALANCER,
    EGRESS,
    GROUP,
    INGRESS,
    LISTENER,
    TARGET,
    TARGET_GROUP,
    Inventory,
    Thing,
)
from lls.operations.ownership import KUBERNETES_NAMESPACE, Kind, Owner, Ownership
from lls.operations.proxy import Release
from lls.operations.survey import Dependent, Survey

PATIENCE: Final = 900.0
"""Seconds that AWS may take to let something go: as long as Pulumi's provider waits."""

POLL: Final = 5.0
"""Seconds between two tries."""

BUSY: Final = frozenset({"DependencyViolation", "ResourceInUse", "InvalidIPAddress.InUse"})
"""Refusals that pass once what holds the thing is gone."""

GONE: Final = ("NotFound", "NotFoundException", "InvalidTarget")
"""How the codes end by which AWS says that a thing, or a target's registration, is not there any more."""


class Time(Protocol):
    """A clock, in seconds."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True)
class Kept:
    """Something that looks ours and stays, and why. `owner` is who owns it."""

    thing: str
    why: str
    owner: Owner
    remedy: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether it stays because a stack owns it, as it should."""
        return self.owner.kind in (Kind.OURS, Kind.ANOTHERS)


@dataclass(frozen=True)
class InCluster:
    """What a sweep would delete in the cluster. `unknown` is why that could not be told."""

    release: Release | None = None
    namespace: str | None = None
    unknown: str = ""

    @property
    def delete(self) -> list[str]:
        """What it would delete, in order."""
        release = [f"release {self.release.name}"] if self.release else []
        return release + ([f"namespace {self.namespace}"] if self.namespace else [])


@dataclass
class Sweep:
    """What a sweep would delete, in order, and what it leaves alone. `done` fills as it goes.

    With `dependents`, which the deletions would break or which AWS would refuse them for, nothing is deleted.
    """

    in_cluster: InCluster
    in_aws: list[Thing]
    kept: list[Kept]
    dependents: list[Dependent]
    done: list[str] = field(default_factory=list[str])

    @property
    def delete(self) -> list[str]:
        """Everything that it would delete, in order."""
        return [*self.in_cluster.delete, *map(str, self.in_aws)]

    @property
    def left(self) -> list[str]:
        """What is still to be deleted."""
        done = Counter(self.done)
        left: list[str] = []
        for each in self.delete:
            if done[each]:
                done[each] -= 1
            else:
                left.append(each)
        return left

    @property
    def unresolved(self) -> list[Kept]:
        """What is kept although no stack is known to own it."""
        return [each for each in self.kept if not each.is_settled]


def plan(installation: Installation, read_ownership: Callable[[], Ownership]) -> tuple[Sweep, Ownership]:
    """What is nobody's, in the order in which AWS lets it go. The states are read after AWS and the cluster are.

    Raises AwsError.
    """
    survey = Survey(Inventory(installation.account), installation.config)
    seen = look_into_cluster(installation)
    ownership = read_ownership()
    owners = {each.id: survey.owner_of(each, ownership) for each in survey.things}
    doomed = [each for each in survey.things if owners[each.id].kind is Kind.NOBODYS]
    kept = [
        Kept(str(each), owners[each.id].clause, owners[each.id])
        for each in survey.things
        if owners[each.id].kind is not Kind.NOBODYS
    ]
    for each in survey.lookalikes:
        owner = ownership.of(each.thing)
        if owner.kind in (Kind.OURS, Kind.ANOTHERS):
            kept.append(Kept(str(each.thing), owner.clause, owner))
        else:
            kept.append(Kept(str(each.thing), each.why, Owner(Kind.UNKNOWN, why=each.why), each.remedy))
    in_cluster, kept_in_cluster = _plan_in_cluster(installation, seen, ownership)
    return Sweep(in_cluster, doomed, [*kept_in_cluster, *kept], survey.dependents(doomed)), ownership


def carry_out(sweep: Sweep, installation: Installation, time: Time, watcher: Watcher) -> str | None:
    """Delete what the plan says, and wait for each to be gone; what stays of it in the cluster and why, or None.

    An interrupted run can simply be repeated. Raises AwsError for the first refusal that does not pass within
    PATIENCE, and what asking the cluster raises. A plan with dependents is not carried out.
    """
    if sweep.dependents:
        raise ValueError("a sweep that would break something is not carried out")
    stopped = _carry_out_in_cluster(sweep, installation, time, watcher)
    for each in sweep.in_aws:
        watcher.began(f"deleting {each}")
        try:
            _delete(each, installation.account, time)
        finally:
            watcher.ended(f"deleting {each}")
        sweep.done.append(str(each))
        watcher.say(f"deleted {each}")
    return stopped


def holders(error: Exception, sweep: Sweep, installation: Installation) -> str:
    """What holds the thing whose deletion was refused, as AWS tells it now; empty where that cannot be told."""
    if not isinstance(error, AwsError) or error.code not in BUSY or len(sweep.done) >= len(sweep.delete):
        return ""
    refused = [each for each in sweep.in_aws if str(each) in sweep.left][:1]
    try:
        users = Survey(Inventory(installation.account), installation.config).dependents(refused)
    except AwsError as again:
        return f"What holds it could not be asked: {again}"
    return "; ".join(f"{each}: {each.remedy}" for each in users)


def _delete(thing: Thing, account: Account, time: Time) -> None:
    deadline = time.now() + PATIENCE
    while True:
        is_late = time.now() > deadline
        try:
            _DELETE[thing.type](thing, account)
            break
        except AwsError as error:
            if error.code.endswith(GONE):
                return
            if error.code not in BUSY or is_late:
                raise
        time.sleep(POLL)
    if thing.type == BALANCER:
        description = f"ELB {thing.id.partition(':loadbalancer/')[2]}"
        filters = [{"Name": "description", "Values": [description]}]
        while list(account.every("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)):
            if time.now() > deadline:
                raise AwsError("ec2:DescribeNetworkInterfaces", "Timeout", f"{thing} still has network interfaces")
            time.sleep(POLL)


_DELETE: Final[Mapping[str, Callable[[Thing, Account], object]]] = {
    ATTACHMENT: lambda thing, account: account.call(
        "autoscaling",
        "detach_load_balancer_target_groups",
        AutoScalingGroupName=thing.inputs["autoscalingGroupName"],
        TargetGroupARNs=[thing.inputs["lbTargetGroupArn"]],
    ),
    TARGET: lambda thing, account: account.call(
        "elbv2",
        "deregister_targets",
        TargetGroupArn=thing.inputs["targetGroupArn"],
        Targets=[{"Id": thing.inputs["targetId"], "Port": thing.inputs["port"]}],
    ),
    INGRESS: lambda thing, account: account.call(
        "ec2",
        "revoke_security_group_ingress",
        GroupId=thing.inputs["securityGroupId"],
        SecurityGroupRuleIds=[thing.id],
    ),
    EGRESS: lambda thing, account: account.call(
        "ec2",
        "revoke_security_group_egress",
        GroupId=thing.inputs["securityGroupId"],
        SecurityGroupRuleIds=[thing.id],
    ),
    LISTENER: lambda thing, account: account.call("elbv2", "delete_listener", ListenerArn=thing.id),
    BALANCER: lambda thing, account: account.call("elbv2", "delete_load_balancer", LoadBalancerArn=thing.id),
    TARGET_GROUP: lambda thing, account: account.call("elbv2", "delete_target_group", TargetGroupArn=thing.id),
    GROUP: lambda thing, account: account.call("ec2", "delete_security_group", GroupId=thing.id),
    ADDRESS: lambda thing, account: account.call("ec2", "release_address", AllocationId=thing.id),
}


# --- The cluster


def _plan_in_cluster(
    installation: Installation, seen: ClusterSurvey, ownership: Ownership
) -> tuple[InCluster, list[Kept]]:
    """The release and its namespace where both are nobody's: they go together, or neither does."""
    if seen.unknown:
        return InCluster(unknown=seen.unknown), []
    owners = seen.owners(installation, ownership)
    kept = [
        Kept(seen.name_of(type_), owner.clause, owner)
        for type_, owner in owners.items()
        if owner.kind is not Kind.NOBODYS
    ]
    if kept:
        return InCluster(), kept
    return InCluster(seen.release, seen.namespace if KUBERNETES_NAMESPACE in owners else None), []


def _carry_out_in_cluster(sweep: Sweep, installation: Installation, time: Time, watcher: Watcher) -> str | None:
    """Uninstall the release with Helm, then delete the namespace if nothing else is in it; what stopped it, or None."""
    release, namespace = sweep.in_cluster.release, sweep.in_cluster.namespace
    if release:
        task = f"uninstalling {release.name}"
        watcher.began(task)
        failure = installation.proxy().uninstall(installation.kubeconfig, installation.config.kube_context)
        watcher.ended(task)
        if failure:
            return f"release {release.name} is left: {failure}"
        sweep.done.append(f"release {release.name}")
        watcher.say(f"uninstalled {release.name}")
    if namespace:
        proxy = installation.proxy()
        if others := proxy.others():
            return f"namespace {namespace} is left: it still holds {', '.join(others)}"
        task = f"deleting namespace {namespace}"
        watcher.began(task)
        try:
            proxy.delete_namespace()
            deadline = time.now() + PATIENCE
            while proxy.find_namespace() is not None:
                if time.now() > deadline:
                    return f"namespace {namespace} is still terminating"
                time.sleep(POLL)
        finally:
            watcher.ended(task)
        sweep.done.append(f"namespace {namespace}")
        watcher.say(f"deleted namespace {namespace}")
    return None
