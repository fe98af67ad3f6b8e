"""Random worlds: whatever sweep would delete and adopt would import is nobody's, as an oracle over the world tells.

The worlds live in memory: what AWS refuses is tried elsewhere, here it is about who owns what. The oracle knows how
each thing came to be, and nothing of the code that judges by ids, tags and states.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime.rpc import UNKNOWN

from lls.alarm_rules import RULES as ALARM_RULES
from lls.config import Config
from lls.naming import Names
from lls.operations import adopt, sweep
from lls.operations.program.recording import Monitor, Resource, Severity, record, run_project
from lls.operations.report.finding import Unwatched
from lls.operations.world.cluster_survey import ClusterSurvey
from lls.operations.world.inventory import (
    ADDRESS,
    ALARM,
    BALANCER,
    DASHBOARD,
    GROUP,
    INGRESS,
    LISTENER,
    TARGET,
    TARGET_GROUP,
    Interface,
    Inventory,
    Thing,
)
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE, ClusterIdentity, Ownership, read_ownership
from lls.operations.world.proxy import Release
from lls.operations.world.states import Operation, State, StateResource
from tests.support.configs import loaded
from tests.support.recorded import ANSWERS, CONFIG, instances
from tests.support.worlds import KnownStates

CLUSTERS = ("demo", "other")
STACKS = ("dev", "prod", "organization/shop/live")
OWN = "dev"
NODES = "sg-a1"
WATCHED = {
    **CONFIG,
    "lls:alarmTopicArn": "arn:aws:sns:us-west-2:123456789012:pager",
    "lls:dashboard": "true",
}
STATE_OF_ALL = ("read", "unreadable", "pending", "updating")


@dataclass(frozen=True)
class Fact:
    """A thing, and the truth about it: the stack that made it and still has it in its state, and whether its tags say
    that it is this installation's. `part_of` is the id of what it belongs to, `uses` are ids of what it uses."""

    thing: Thing
    stack: str | None
    is_tagged: bool
    part_of: str = ""
    uses: tuple[str, ...] = ()


@dataclass
class RandomWorld:
    """What there is, who has it, and how each stack's state can be read. Without `knows_own` the backend does not know
    this stack."""

    facts: dict[str, Fact] = field(default_factory=dict[str, Fact])
    states: dict[str, str] = field(default_factory=dict[str, str])
    knows_own: bool = True
    in_cluster: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    """The release and the namespace of this cluster, by type, and the stack that has them."""
    elsewhere: tuple[str, ...] = ()
    """Stacks that have a release and a namespace of the same names in the other cluster."""

    @property
    def backend(self) -> KnownStates:
        """What the Pulumi CLI would tell of it."""
        known = KnownStates({})
        for stack, how in self.states.items():
            if stack == OWN and not self.knows_own:
                continue
            if how == "unreadable":
                known.unreadable.add(stack)
                continue
            if how == "updating":
                known.updating.add(stack)
            pending = (Operation("creating", BALANCER, "x"),) if how == "pending" else ()
            known.states[stack] = State(resources=tuple(self._resources(stack)), pending=pending)
        return known

    def _resources(self, stack: str) -> Iterable[StateResource]:
        for number, fact in enumerate(self.facts.values()):
            if fact.stack == stack:
                yield StateResource(urn=f"urn:{number}", type=fact.thing.type, id=fact.thing.id)
        for cluster, has in (("demo", stack in self.in_cluster.values()), ("other", stack in self.elsewhere)):
            provider = f"urn:{cluster}"
            if has:
                yield StateResource(
                    urn=provider, type="pulumi:providers:kubernetes", id="p", inputs={"clusterIdentifier": arn(cluster)}
                )
                for type_, owner in self.in_cluster.items() if cluster == "demo" else dict.fromkeys(IDS, stack).items():
                    if owner == stack:
                        yield StateResource(urn=f"{provider}:{type_}", type=type_, id=IDS[type_], provider=provider)

    # --- The oracle

    @property
    def is_told(self) -> bool:
        """Whether every state that could own something was read, and is settled."""
        return self.knows_own and all(how == "read" for how in self.states.values())

    def nobodys(self, *, but_for_parts_of_ours: bool = False) -> set[str]:
        """Ids of what no stack has, by the truth, and the tags say is this installation's."""
        if not self.is_told:
            return set()
        return {id_ for id_, fact in self.facts.items() if self._is_nobodys(fact, but_for_parts_of_ours)} | {
            IDS[type_] for type_, owner in self.in_cluster.items() if owner is None
        }

    def _is_nobodys(self, fact: Fact, but_for_parts_of_ours: bool) -> bool:
        whole = self.facts.get(fact.part_of)
        used = {self.facts[each].stack for each in fact.uses}
        goes_with_whole = whole is None or (
            whole.is_tagged and whole.stack in ((None, OWN) if but_for_parts_of_ours else (None,))
        )
        return fact.stack is None and fact.is_tagged and goes_with_whole and used <= {None, OWN}


def arn(cluster: str) -> str:
    return f"arn:aws:eks:us-west-2:123456789012:cluster/{cluster}"


IDS: Mapping[str, str] = {KUBERNETES_NAMESPACE: "gdn-streaming", RELEASE: "gdn-streaming/gdn-streaming"}


# --- Worlds


@st.composite
def worlds(draw: st.DrawFn) -> RandomWorld:
    """Up to four installations of two clusters, whole or in parts, by stacks of two projects or by hand."""
    stacks = draw(st.lists(st.sampled_from(STACKS), unique=True, max_size=3).map(lambda some: sorted({OWN, *some})))
    reading = st.sampled_from((*("read",) * 6, *STATE_OF_ALL))
    world = RandomWorld({}, {stack: draw(reading) for stack in stacks}, draw(st.integers(0, 5)) > 0)
    for number in range(draw(st.integers(1, 4))):
        _add(draw, world, number, draw(st.sampled_from((None, *stacks))))
    for type_ in IDS:
        if draw(st.booleans()):
            world.in_cluster[type_] = draw(st.sampled_from((None, *stacks)))
    world.elsewhere = tuple(stack for stack in stacks if draw(st.booleans()))
    return world


def _add(draw: st.DrawFn, world: RandomWorld, number: int, stack: str | None) -> None:
    """One installation: things of which some are lost from the state, some have lost a tag, some were never made."""
    names = Names(draw(st.sampled_from(CLUSTERS)), draw(st.sampled_from(("", "", "b"))))
    is_ours = names == Names("demo")
    taken = {fact.thing.name for fact in world.facts.values()}
    health: dict[str, Any] = {"enabled": True}

    def add(
        type_: str, name: str, part_of: str = "", uses: tuple[str, ...] = (), *, tagged: bool = True, **inputs: Any
    ) -> str:
        if draw(st.integers(0, 5)) == 0:
            return ""
        tags = dict(names.tags(name, {})) if tagged else {"Name": name}
        is_tagged = is_ours and tagged
        if tagged and draw(st.integers(0, 4)) == 0:
            del tags[draw(st.sampled_from(("lls:cluster", "lls:managed-by")))]
            is_tagged = False
        if name in taken:
            name = f"{name}-{number}"
        id_ = f"{type_.rpartition(':')[2]}-{number}" if type_ in (GROUP, ADDRESS, INGRESS) else f"arn:{type_}/{number}"
        if type_ in (ALARM, DASHBOARD):
            id_ = name
        held = None if draw(st.integers(0, 4)) == 0 else stack
        thing = Thing(
            type=type_,
            id=id_ + (f"-{name}" if type_ in (INGRESS, TARGET) else ""),
            inputs={"name": name, "tags": tags, **inputs},
            outputs={"id": id_, "arn": id_, "dnsName": "x", "zoneId": "z", "publicIp": "1"},
        )
        # A part goes with its whole: that one's tags speak for it, as the group's do for the nodes' rule that names it.
        spoken_for = is_ours if part_of else is_tagged
        world.facts[thing.id] = Fact(thing, held, spoken_for, part_of, uses)
        return thing.id

    group = add(GROUP, names.security_group, vpcId="vpc-1")
    address = add(ADDRESS, names.elastic_ip)
    balancer = add(
        BALANCER,
        names.nlb,
        uses=tuple(filter(None, (group, address))),
        securityGroups=[group] if group else [],
        subnetMappings=[{"subnetId": "subnet-1", **({"allocationId": address} if address else {})}],
    )
    targets = add(TARGET_GROUP, names.target_group(port=30504, target_type="ip"), healthCheck=health)
    if balancer and targets:
        fact = world.facts[targets]
        world.facts[targets] = replace(fact, thing=replace(fact.thing, state=balancer))
    if balancer:
        actions = [{"type": "forward", "targetGroupArn": targets}]
        add(
            LISTENER,
            "",
            balancer,
            tagged=False,
            loadBalancerArn=balancer,
            protocol="UDP",
            port=5004,
            defaultActions=actions,
        )
    if targets:
        for target in ("10.0.0.1", "10.0.0.2"):
            add(TARGET, target, targets, tagged=False, targetGroupArn=targets, targetId=target, port=30504)
    if group:
        rule: dict[str, Any] = {"ipProtocol": "udp", "fromPort": 30504, "toPort": 30504}
        rule |= {"referencedSecurityGroupId": group}
        add(INGRESS, "streaming-proxy-udp-30504", group, tagged=draw(st.booleans()), securityGroupId=NODES, **rule)
    for alarm in ALARM_RULES:
        add(ALARM, names.alarm(alarm.name))
    add(DASHBOARD, names.dashboard("us-west-2"))


class InMemory(Inventory):
    """The inventory of a world."""

    def __init__(self, world: RandomWorld) -> None:
        self._things = [fact.thing for fact in world.facts.values()]

    def _of(self, type_: str) -> list[Thing]:
        return [thing for thing in self._things if thing.type == type_]

    def all_balancers(self) -> list[Thing]:
        return self._of(BALANCER)

    def target_groups(self) -> list[Thing]:
        return self._of(TARGET_GROUP)

    def addresses(self) -> list[Thing]:
        return self._of(ADDRESS)

    def groups(self, **filters: str) -> list[Thing]:
        wanted = {"group_name": "name", "vpc_id": "vpcId"}
        return [
            thing
            for thing in self._of(GROUP)
            if all(
                thing.tags.get("lls:cluster") == value
                if key == "tag__lls_cluster"
                else thing.inputs[wanted[key]] == value
                for key, value in filters.items()
            )
        ]

    def rules(self, group_ids: Iterable[str]) -> list[Thing]:
        wanted = set(group_ids)
        return [thing for thing in self._of(INGRESS) if thing.inputs["securityGroupId"] in wanted]

    def tagged_rules(self, cluster: str) -> list[Thing]:
        return [thing for thing in self._of(INGRESS) if thing.tags.get("lls:cluster") == cluster]

    def rules_naming(self, group_ids: Collection[str]) -> list[tuple[Thing, Thing]]:
        nodes = Thing(
            type=GROUP, id=NODES, inputs={"name": "n", "tags": {"kubernetes.io/cluster/demo": "owned"}}, outputs={}
        )
        return [(thing, nodes) for thing in self._of(INGRESS) if thing.inputs["referencedSecurityGroupId"] in group_ids]

    def listeners(self, balancer_arn: str, *, tagged: bool = True) -> list[Thing]:
        return [thing for thing in self._of(LISTENER) if thing.inputs["loadBalancerArn"] == balancer_arn]

    def targets(self, target_group_arn: str) -> list[Thing]:
        return [thing for thing in self._of(TARGET) if thing.inputs["targetGroupArn"] == target_group_arn]

    def attachments(self, target_group_arns: Collection[str]) -> list[Thing]:
        return []

    def alarms(self, prefix: str) -> list[Thing]:
        return [thing for thing in self._of(ALARM) if thing.name.startswith(prefix)]

    def dashboard(self, name: str) -> Thing | None:
        return next((thing for thing in self._of(DASHBOARD) if thing.name == name), None)

    def interfaces(
        self, *, groups: Sequence[str] = (), ids: Sequence[str] = (), descriptions: Sequence[str] = ()
    ) -> list[Interface]:
        return []

    def endpoint_services(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def is_protected(self, balancer: Thing) -> bool:
        return False


class InWorld:
    """The installation of the dev stack in a world, as far as sweep and adopt look at it."""

    def __init__(self, world: RandomWorld, config: Config) -> None:
        self.world = world
        self.config = config
        self.cluster_identity = ClusterIdentity(arn=arn("demo"), name="demo", region="us-west-2", servers=frozenset())

    @property
    def account(self) -> RandomWorld:
        return self.world

    def ownership(self) -> Ownership:
        return read_ownership(self.world.backend, OWN, Unwatched())

    def look(self, _: object = None) -> ClusterSurvey:
        release = Release("gdn-streaming", "gdn-streaming", "deployed", "gdn-streaming", "2.0.1")
        return ClusterSurvey(
            namespace="gdn-streaming",
            release_name="gdn-streaming",
            release=release if RELEASE in self.world.in_cluster else None,
            has_namespace=KUBERNETES_NAMESPACE in self.world.in_cluster,
        )


# --- The program, recorded once


class _Placeholders:
    """A responder to whom the id of each resource stands for itself."""

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return instances(arguments) if token.endswith(":getInstances") else dict(ANSWERS[token])

    def register(self, goal: Resource) -> Resource:
        stands = f"<{goal.name}>"
        return replace(goal, id=stands, outputs={**goal.inputs, "arn": stands, "dnsName": "x", "zoneId": "z"})

    def log(self, severity: Severity, message: str) -> None:
        pass


@cache
def program() -> tuple[Resource, ...]:
    """What the program registers, each after what it refers to."""
    monitor = Monitor(_Placeholders())
    record(monitor, program=run_project, stack=OWN, config=WATCHED)
    waiting = list(monitor.recorded.values())
    done: list[Resource] = []
    while waiting:
        names = {f"<{each.name}>" for each in waiting if each.custom}
        ready = [each for each in waiting if not any(name in json.dumps(each.inputs) for name in names)]
        done += ready
        waiting = [each for each in waiting if each not in ready]
    return tuple(done)


def replayed(monitor: Any, **_: object) -> None:
    """Register what the program registers with an adoption's surroundings, which tell what each reference is."""
    known: dict[str, str] = {}
    for goal in program():
        text = json.dumps(goal.inputs)
        for stands, id_ in known.items():
            text = text.replace(stands, id_ or UNKNOWN)
        made = monitor._responder.register(replace(goal, inputs=json.loads(text)))
        known[f"<{goal.name}>"] = made.id


@cache
def config() -> Config:
    return loaded(WATCHED)


class _Stack:
    name, config, secret_keys = OWN, WATCHED, frozenset[str]()


def swept(world: RandomWorld) -> set[str]:
    """Ids of what a `sweep --yes` would delete."""
    installation: Any = InWorld(world, config())
    with (
        patch.object(sweep, "Inventory", InMemory),
        patch.object(sweep, "look_into_cluster", installation.look),
    ):
        plan, _ = sweep.plan(installation, installation.ownership)
    if plan.dependents:
        return set()
    in_cluster = [IDS[KUBERNETES_NAMESPACE]] * bool(plan.in_cluster.namespace) + [IDS[RELEASE]] * bool(
        plan.in_cluster.release
    )
    return {*(thing.id for thing in plan.in_aws), *in_cluster}


class _Proxy:
    """What the finder asks the cluster."""

    def __init__(self, seen: ClusterSurvey) -> None:
        self._seen = seen

    def find_release(self) -> Release | None:
        return self._seen.release

    def find_namespace(self) -> object | None:
        return self._seen.has_namespace or None


def adopted(world: RandomWorld) -> set[str]:
    """Ids of what `adopt` would import, whether or not something else keeps it from writing the file."""
    installation: Any = InWorld(world, config())
    installation.stack = _Stack
    installation.proxy = lambda: _Proxy(installation.look())
    known = world.backend
    state = known.states.get(OWN, State())
    with (
        patch.object(adopt, "Inventory", InMemory),
        patch.object(adopt, "look_into_cluster", installation.look),
        patch.object(adopt, "record", replayed),
    ):
        found, _ = adopt.find(installation, state, installation.ownership)
    return {match.thing.id for match in found.matches}


def test_whatever_would_be_deleted_or_imported_is_nobodys() -> None:
    """The worlds are not all alike: some have something to sweep, to adopt, to keep, and some leave it untold."""
    seen: dict[str, int] = dict.fromkeys(("swept", "adopted", "owned", "untold", "nothing"), 0)

    @settings(max_examples=200)
    @given(worlds())
    def look(world: RandomWorld) -> None:
        deleted, imported = swept(world), adopted(world)
        assert deleted <= world.nobodys()
        assert imported <= world.nobodys(but_for_parts_of_ours=True)
        seen["swept"] += bool(deleted)
        seen["adopted"] += bool(imported)
        seen["owned"] += any(fact.stack for fact in world.facts.values())
        seen["untold"] += not world.is_told
        seen["nothing"] += not world.nobodys()

    look()
    assert min(seen.values()) >= 10, seen


def test_an_oracle_that_is_wrong_would_be_noticed() -> None:
    """Where the tool cannot see the states of other stacks, worlds turn up in which it deletes their things."""

    class Blind(KnownStates):
        def stacks(self) -> Any:
            return [stack for stack in super().stacks() if stack.name == OWN]

    caught: list[RandomWorld] = []

    @settings(max_examples=60)
    @given(worlds())
    def look(world: RandomWorld) -> None:
        blind = Blind(world.backend.states, world.backend.unreadable, world.backend.updating)
        installation: Any = InWorld(world, config())
        with (
            patch.object(sweep, "Inventory", InMemory),
            patch.object(sweep, "look_into_cluster", installation.look),
        ):
            plan, _ = sweep.plan(installation, lambda: read_ownership(blind, OWN, Unwatched()))
        if not {thing.id for thing in plan.in_aws} <= world.nobodys():
            caught.append(world)

    look()
    assert caught
