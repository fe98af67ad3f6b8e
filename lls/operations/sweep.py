"""`sweep`: finish the guide's clean-up without any state, by tags."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from lls.naming import Names
from lls.operations.account import Account, AwsError
from lls.operations.finding import Watcher
from lls.operations.installation import Installation
from lls.operations.inventory import (
    ADDRESS,
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
from lls.operations.proxy import Proxy, Release
from lls.operations.stack import State

PATIENCE: Final = 900.0
"""Seconds that AWS may take to let something go: as long as Pulumi's provider waits."""

POLL: Final = 5.0
"""Seconds between two tries."""

BUSY: Final = frozenset({"DependencyViolation", "ResourceInUse", "InvalidIPAddress.InUse"})
"""Refusals that pass once what holds the thing is gone."""


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
    """Something that looks ours and stays, and why."""

    thing: Thing
    why: str
    remedy: str = ""
    is_owned: bool = False


@dataclass
class Sweep:
    """What a sweep would delete, in order, and what it leaves alone. `done` fills as it goes."""

    delete: list[Thing]
    kept: list[Kept]
    done: list[Thing] = field(default_factory=list[Thing])

    @property
    def unresolved(self) -> list[Kept]:
        """What is kept although no stack owns it."""
        return [each for each in self.kept if not each.is_owned]

    @property
    def left(self) -> list[Thing]:
        """What is still to be deleted."""
        return [each for each in self.delete if each not in self.done]


def plan(inventory: Inventory, cluster: str, states: Mapping[str, State]) -> Sweep:
    """What carries both tags of the cluster, in the order in which AWS lets it go.

    What a stack's state owns is kept, and with it all that belongs to it.
    """
    names = Names(cluster)
    owners = {id_: name for name, state in states.items() for id_ in state.ids}
    delete: list[Thing] = []
    kept: list[Kept] = []
    # Owners first, so that their listeners, targets and rules are kept with them.
    found = inventory.of_installation(names)
    for each in found:
        owner = next((owners[id_] for id_ in (each.id, *each.holders) if id_ in owners), None)
        if owner is not None:
            kept.append(Kept(each, f"stack {owner} owns it", f"pulumi destroy --stack {owner}", is_owned=True))
        elif each.type == BALANCER and inventory.is_protected(each):
            kept.append(
                Kept(
                    each,
                    "its deletion protection is on",
                    f"aws elbv2 modify-load-balancer-attributes --load-balancer-arn {each.id} "
                    "--attributes Key=deletion_protection.enabled,Value=false",
                )
            )
        else:
            delete.append(each)
    known = {each.id for each in found}
    kept += [each for each in _lookalikes(inventory, names) if each.thing.id not in known]
    return Sweep([each for each in delete if not _held(each, kept)], [*kept, *_holders(delete, kept)])


def carry_out(sweep: Sweep, account: Account, time: Time, watcher: Watcher) -> None:
    """Delete what the plan says, and wait for each to be gone. An interrupted run can simply be repeated.

    Raises AwsError for the first refusal that does not pass within PATIENCE.
    """
    for each in sweep.delete:
        watcher.began(f"deleting {each}")
        try:
            _delete(each, account, time)
        finally:
            watcher.ended(f"deleting {each}")
        sweep.done.append(each)
        watcher.say(f"deleted {each}")


def _delete(thing: Thing, account: Account, time: Time) -> None:
    deadline = time.now() + PATIENCE
    while True:
        is_late = time.now() > deadline
        try:
            _DELETE[thing.type](thing, account)
            break
        except AwsError as error:
            if error.code.endswith(("NotFound", "NotFoundException")):
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


def _held(thing: Thing, kept: Iterable[Kept]) -> Kept | None:
    """The kept load balancer that still uses a thing."""
    for each in kept:
        used = (
            *each.thing.inputs.get("securityGroups", ()),
            *(mapping.get("allocationId") for mapping in each.thing.inputs.get("subnetMappings", ())),
        )
        if thing.id in used or each.thing.id in (*thing.holders, *thing.state.split(", ")):
            return each
    return None


def _holders(things: Iterable[Thing], kept: Iterable[Kept]) -> list[Kept]:
    held = [(each, _held(each, kept)) for each in things]
    return [Kept(each, f"{holder.thing} uses it") for each, holder in held if holder]


def _lookalikes(inventory: Inventory, names: Names) -> list[Kept]:
    """What bears the cluster's name and not both tags: the guide's own clean-up leaves its address to the user."""
    why = "it lacks the tag lls:managed-by=customer"
    return [
        Kept(each, why, f"aws ec2 release-address --allocation-id {each.id}")
        for each in inventory.addresses()
        if names.resembles(each.tags) and not names.claims(each.tags)
    ]


@dataclass(frozen=True)
class ClusterSweep:
    """What a sweep would delete in the cluster, and what it leaves alone, with the reason."""

    release: Release | None = None
    namespace: str | None = None
    kept: tuple[str, ...] = ()


def plan_cluster(proxy: Proxy, chart: str, states: Mapping[str, State]) -> ClusterSweep:
    """The release of that chart and its namespace, unless a stack owns them or they hold something else.

    Raises what asking the cluster raises.
    """
    owners = {id_: name for name, state in states.items() for id_ in state.ids}
    release = proxy.find_release()
    if release is None and proxy.find_namespace() is None:
        return ClusterSweep()
    owner = owners.get(f"{proxy.namespace}/{proxy.release_name}") or owners.get(proxy.namespace)
    if owner:
        return ClusterSweep(kept=(f"namespace {proxy.namespace}: stack {owner} owns it",))
    if release is None:
        others = proxy.others()
        if others:
            return ClusterSweep(kept=(f"namespace {proxy.namespace}: it holds {', '.join(others)}, and no release",))
        return ClusterSweep(namespace=proxy.namespace)
    if release.chart != chart:
        kept = f"release {proxy.namespace}/{release.name}: its chart is {release.chart}, not {chart}"
        return ClusterSweep(kept=(kept,))
    return ClusterSweep(release, proxy.namespace)


def carry_out_cluster(sweep: ClusterSweep, installation: Installation, time: Time, watcher: Watcher) -> str | None:
    """Uninstall the release with Helm, then delete the namespace if nothing else is in it; what stopped it, or None.

    Raises what asking the cluster raises.
    """
    if sweep.release:
        task = f"uninstalling {sweep.release.name}"
        watcher.began(task)
        failure = installation.proxy().uninstall(installation.kubeconfig, installation.config.kube_context)
        watcher.ended(task)
        if failure:
            return f"release {sweep.release.name} is left: {failure}"
        watcher.say(f"uninstalled {sweep.release.name}")
    if sweep.namespace:
        proxy = installation.proxy()
        if others := proxy.others():
            return f"namespace {sweep.namespace} is left: it still holds {', '.join(others)}"
        proxy.delete_namespace()
        deadline = time.now() + PATIENCE
        while proxy.find_namespace() is not None:
            if time.now() > deadline:
                return f"namespace {sweep.namespace} is still terminating"
            time.sleep(POLL)
        watcher.say(f"deleted namespace {sweep.namespace}")
    return None
