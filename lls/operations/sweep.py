"""`sweep`: finish the guide's clean-up without any state, by tags. Only what is nobody's goes.

Its order is AWS's, written down once here, and once in what the emulated AWS refuses, as the judge.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lls.operations.program.recording import Properties
from lls.operations.report.clock import Clock
from lls.operations.report.finding import Exit, Finding, Outcome, Watcher, problem, unknown
from lls.operations.report.screen import Screen
from lls.operations.world.account import Account, AwsError
from lls.operations.world.cluster_survey import ClusterSurvey, look_into_cluster
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import (
    ADDRESS,
    ALARM,
    ATTACHMENT,
    BALANCER,
    DASHBOARD,
    EGRESS,
    GROUP,
    INGRESS,
    LISTENER,
    RECORD,
    TARGET,
    TARGET_GROUP,
    Inventory,
    Thing,
    alias_change,
    interface_description,
)
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, Kind, Owner, Ownership
from lls.operations.world.proxy import CLUSTER_FAILURES, Deletion, Release, deletion_of
from lls.operations.world.survey import Dependent, Survey

PATIENCE: Final = 900.0
"""Seconds that AWS may take to let something go: as long as Pulumi's provider waits."""

POLL: Final = 5.0
"""Seconds between two tries."""

BUSY: Final = frozenset({"DependencyViolation", "ResourceInUse", "InvalidIPAddress.InUse"})
"""Refusals for what holds a thing."""

DEREGISTERED: Final = "InvalidTarget"
"""AWS's code for a target that is not registered any more."""


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
        return self.owner.is_owned


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

    `unseen` tells of what could not be looked into.

    With `dependents`, which the deletions would break or which AWS would refuse them for, nothing is deleted.
    """

    in_cluster: InCluster
    in_aws: list[Thing]
    kept: list[Kept]
    dependents: list[Dependent]
    unseen: list[Finding] = field(default_factory=list[Finding])
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
        for thing in self.delete:
            if done[thing]:
                done[thing] -= 1
            else:
                left.append(thing)
        return left

    @property
    def unresolved(self) -> list[Kept]:
        """What is kept although no stack is known to own it."""
        return [kept for kept in self.kept if not kept.is_settled]


def run(installation: Installation, screen: Screen, clock: Clock, *, yes: bool, stateless: bool) -> Outcome:
    """Plan a sweep, show it, and carry it out where asked to."""
    account = installation.told_account()
    screen.began("looking for what is there")
    planned, ownership = plan(installation, lambda: installation.ownership(screen, stateless=stateless))
    screen.ended("looking for what is there")
    found = [account, *ownership.findings(mattered=bool(planned.kept or planned.delete)), *_judge(planned)]
    _show(screen, planned)

    def conclude(error: str = "", code: Exit = Exit.FINE) -> Outcome:
        facts = {**_facts(planned), "evidence": installation.evidence(ownership)}
        return Outcome(found, {**facts, "error": error} if error else facts, code)

    if not yes:
        screen.print("\nNothing was deleted: this was a dry run. Add --yes to delete in this order.")
        return conclude(code=Exit.FOUND if planned.delete else Exit.FINE)
    if planned.dependents:
        screen.print("\nNothing was deleted: it would break what is named below.")
        return conclude()
    try:
        stopped = carry_out(planned, installation, clock, screen)
    except KeyboardInterrupt:
        screen.say(_so_far(planned))
        return conclude("interrupted", Exit.INTERRUPTED)
    except (AwsError, *CLUSTER_FAILURES) as error:
        told = f"{error} {holders(error, planned, installation)}".strip()
        screen.say(told)
        screen.say(_so_far(planned))
        return conclude(told, Exit.FAILED)
    if stopped:
        found.append(stopped)
    return conclude()


def plan(installation: Installation, read_ownership: Callable[[], Ownership]) -> tuple[Sweep, Ownership]:
    """What is nobody's, in the order in which AWS lets it go. The states are read after AWS and the cluster are.

    Raises AwsError.
    """
    survey = Survey(Inventory(installation.account), installation.config)
    seen = look_into_cluster(installation)
    ownership = read_ownership()
    owners = {thing.id: survey.owner_of(thing, ownership) for thing in survey.things}
    doomed = [thing for thing in survey.things if owners[thing.id].kind is Kind.NOBODYS]
    kept = [
        Kept(str(thing), owners[thing.id].clause, owners[thing.id])
        for thing in survey.things
        if owners[thing.id].kind is not Kind.NOBODYS
    ]
    for lookalike in survey.lookalikes:
        owner = ownership.of(lookalike.thing)
        if owner.is_owned:
            kept.append(Kept(str(lookalike.thing), owner.clause, owner))
        else:
            kept.append(
                Kept(str(lookalike.thing), lookalike.why, Owner(Kind.UNKNOWN, why=lookalike.why), lookalike.remedy)
            )
    in_cluster, kept_in_cluster = _plan_in_cluster(installation, seen, ownership)
    dependents, unseen = survey.dependents(doomed), survey.unseen(ownership)
    return Sweep(in_cluster, doomed, [*kept_in_cluster, *kept], dependents, unseen), ownership


def carry_out(sweep: Sweep, installation: Installation, clock: Clock, watcher: Watcher) -> Finding | None:
    """Delete what the plan says, and wait for each to be gone; what stays of it in the cluster and why, or None.

    An interrupted run can simply be repeated. Raises AwsError for the first refusal that does not pass within
    PATIENCE, and what asking the cluster raises. A plan with dependents is not carried out.
    """
    if sweep.dependents:
        raise ValueError("a sweep that would break something is not carried out")
    stopped = _carry_out_in_cluster(sweep, installation, clock, watcher)
    for thing in sweep.in_aws:
        watcher.began(f"deleting {thing}")
        try:
            _delete(thing, installation.account, clock)
        finally:
            watcher.ended(f"deleting {thing}")
        sweep.done.append(str(thing))
        watcher.say(f"deleted {thing}")
    return stopped


def holders(error: Exception, sweep: Sweep, installation: Installation) -> str:
    """What holds the thing whose deletion was refused, as AWS tells it now; empty where that cannot be told."""
    if not isinstance(error, AwsError) or not _is_busy(error) or len(sweep.done) >= len(sweep.delete):
        return ""
    refused = [thing for thing in sweep.in_aws if str(thing) in sweep.left][:1]
    try:
        users = Survey(Inventory(installation.account), installation.config).dependents(refused)
    except AwsError as again:
        return f"What holds it could not be asked: {again}"
    if not users and [thing.type for thing in refused] == [BALANCER]:
        links = f"aws apigateway get-vpc-links --region {installation.config.region}"
        return f"No VPC endpoint service of this account has it; a VPC link of API Gateway may: {links}"
    return "; ".join(f"{user}: {user.remedy}" for user in users)


def _is_busy(error: AwsError) -> bool:
    """Whether AWS refused to delete a thing for what holds it."""
    return error.code in BUSY or error.is_held


def _delete(thing: Thing, account: Account, clock: Clock) -> None:
    deadline = clock.now() + PATIENCE
    while True:
        is_late = clock.now() > deadline
        try:
            _DELETE[thing.type](thing, account)
            break
        except AwsError as error:
            if error.is_gone or error.code == DEREGISTERED:
                return
            if is_late or thing.type == BALANCER or not _is_busy(error):
                raise  # a load balancer has users that do not go by themselves: other services of AWS's
        clock.sleep(POLL)
    if thing.type == BALANCER:
        while Inventory(account).interfaces(descriptions=[interface_description(thing)]):
            if clock.now() > deadline:
                raise AwsError("ec2:DescribeNetworkInterfaces", "Timeout", f"{thing} still has network interfaces")
            clock.sleep(POLL)


_DELETE: Final[Mapping[str, Callable[[Thing, Account], object]]] = {
    ALARM: lambda thing, account: account.call("cloudwatch", "delete_alarms", AlarmNames=[thing.id]),
    DASHBOARD: lambda thing, account: account.call("cloudwatch", "delete_dashboards", DashboardNames=[thing.id]),
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
    RECORD: lambda thing, account: account.call(
        "route53", "change_resource_record_sets", **alias_change("DELETE", thing.inputs)
    ),
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


def _carry_out_in_cluster(sweep: Sweep, installation: Installation, clock: Clock, watcher: Watcher) -> Finding | None:
    """Uninstall the release with Helm, then delete the namespace if nothing else is in it; what stopped it, or None.

    A namespace that is being deleted already is only waited for, and its release goes with it, Helm or no Helm.
    """
    release, namespace = sweep.in_cluster.release, sweep.in_cluster.namespace
    if release:
        task = f"uninstalling {release.name}"
        watcher.began(task)
        failure = installation.proxy().uninstall(installation.kubeconfig, installation.config.kube_context)
        watcher.ended(task)
        if failure and installation.proxy().find_release():
            seen = f"release {release.name} is left: {failure}"
            return problem("kubernetes", seen, "delete it by hand, or install helm and run this again")
        sweep.done.append(f"release {release.name}")
        watcher.say(f"uninstalled {release.name}")
    if namespace:
        proxy = installation.proxy()
        if not deletion_of(proxy.find_namespace()) and (others := proxy.others()):
            seen = f"namespace {namespace} is left: it still holds {', '.join(others)}"
            return problem("kubernetes", seen, "delete what nothing needs, and run this again")
        task = f"deleting namespace {namespace}"
        watcher.began(task)
        try:
            proxy.delete_namespace()
            deadline = clock.now() + PATIENCE
            while found := proxy.find_namespace():
                if clock.now() > deadline:
                    deletion = deletion_of(found) or Deletion("somebody has made it again", "run this again")
                    return problem("kubernetes", f"namespace {namespace} is left: {deletion.seen}", deletion.remedy)
                clock.sleep(POLL)
        finally:
            watcher.ended(task)
        sweep.done.append(f"namespace {namespace}")
        watcher.say(f"deleted namespace {namespace}")
    return None


# --- How it is told


def _judge(plan: Sweep) -> list[Finding]:
    found = [*plan.unseen]
    found += [problem("dependents", f"{dependent}", dependent.remedy) for dependent in plan.dependents]
    if plan.in_cluster.unknown:
        found.append(unknown("kubernetes", plan.in_cluster.unknown))
    if unclear := [kept for kept in plan.unresolved if not kept.remedy]:
        shown = ", ".join(kept.thing for kept in unclear)
        found.append(unknown("kept", f"these stay, since it cannot be told that they are nobody's: {shown}"))
    found += [
        problem("kept", f"{kept.thing} stays: {kept.why}", kept.remedy) for kept in plan.unresolved if kept.remedy
    ]
    return found


def _facts(plan: Sweep) -> Properties:
    return {
        "delete": plan.delete,
        "done": plan.done,
        "left": plan.left,
        "kept": [
            {
                "thing": kept.thing,
                "owner": kept.owner.kind.value,
                "stack": kept.owner.stack,
                "why": kept.why,
                "remedy": kept.remedy,
            }
            for kept in plan.kept
        ],
        "dependents": [
            {"thing": str(dependent.thing), "user": dependent.user, "remedy": dependent.remedy}
            for dependent in plan.dependents
        ],
    }


def _show(screen: Screen, plan: Sweep) -> None:
    for number, text in enumerate(plan.delete, 1):
        screen.print(f"{number:4}  delete  {text}")
    for kept in plan.kept:
        screen.print(f"      keep    {kept.thing}: {kept.why}")
    if not (plan.delete or plan.kept or plan.in_cluster.unknown):
        screen.print("There is nothing to sweep.")


def _so_far(plan: Sweep) -> str:
    done = ", ".join(plan.done) or "nothing"
    return f"Deleted so far: {done}. Left: {', '.join(plan.left) or 'nothing'}. Run this again to go on."
