"""`adopt`: hand what the guide's commands, or a killed run, left in AWS to the stack that describes it."""

import importlib.metadata
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pulumi.runtime import rpc

from lls.config.dns import NO_ZONE
from lls.files import write_private
from lls.naming import Names
from lls.operations.program.recording import (
    STACK_TYPE,
    Monitor,
    Properties,
    Resource,
    Severity,
    record,
    run_project,
)
from lls.operations.program.replacement import replacing
from lls.operations.program.stack_file import StackError
from lls.operations.report.finding import Finding, Outcome, note, problem, unknown
from lls.operations.report.screen import Screen
from lls.operations.world.answers import LookUps
from lls.operations.world.cluster_survey import ClusterSurvey, look_into_cluster
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import (
    ADDRESS,
    ALARM,
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
    deregistration,
    is_internal,
    of_balancer,
)
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE, Kind, Owner, Ownership
from lls.operations.world.proxy import Proxy
from lls.operations.world.states import State
from lls.operations.world.survey import Survey

SECRET: Final = {rpc._special_sig_key: rpc._special_secret_sig}  # pyright: ignore[reportPrivateUsage]
"""What marks a value as a secret."""

PROVIDER: Final = "pulumi:providers:kubernetes"

_RULE: Final = (
    "securityGroupId",
    "ipProtocol",
    "fromPort",
    "toPort",
    "cidrIpv4",
    "cidrIpv6",
    "prefixListId",
    "referencedSecurityGroupId",
)
IDENTITY: Final[Mapping[str, tuple[str, ...]]] = {
    GROUP: ("name", "vpcId"),
    INGRESS: _RULE,
    EGRESS: _RULE,
    TARGET_GROUP: ("name",),
    BALANCER: ("name",),
    LISTENER: ("loadBalancerArn", "protocol", "port"),
    TARGET: ("targetGroupArn", "targetId", "port"),
    RECORD: ("zoneId", "name", "type"),
    ALARM: ("name",),
    DASHBOARD: ("dashboardName",),
}
"""Inputs by which AWS tells two of a type apart: another one with the same could not be created."""


@dataclass(frozen=True)
class Difference:
    """A property that `up` would change. `replaces` says that it would make a new resource for it."""

    key: str
    now: Any
    wanted: Any
    replaces: bool

    def __str__(self) -> str:
        return f"{self.key}: {_short(self.now)} -> {_short(self.wanted)}"


@dataclass(frozen=True)
class Match:
    """A resource of the program, and what exists that it describes."""

    resource: Resource
    thing: Thing
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A match that is not to be taken over, since it is not known to be nobody's; why, and what to do instead."""

    match: Match
    why: str
    owner: Owner
    remedy: str = ""


@dataclass
class Adoption:
    """What an adoption found. Resources are those of the program, by their logical names."""

    matches: list[Match] = field(default_factory=list[Match])
    """What is nobody's, and the program describes."""
    refused: list[Refusal] = field(default_factory=list[Refusal])
    """What the program describes, and is another stack's, somebody else's by its tags, or may be."""
    owned: list[Resource] = field(default_factory=list[Resource])
    """Already in the stack's state."""
    missing: list[Resource] = field(default_factory=list[Resource])
    """Neither in the state nor in AWS: `up` creates them."""
    unseen: list[Finding] = field(default_factory=list[Finding])
    """What could not be looked into."""
    unmanaged: list[Thing] = field(default_factory=list[Thing])
    """In AWS with the cluster's tags, and in no way the program's."""
    parents: list[Resource] = field(default_factory=list[Resource])
    """Components and providers, which exist nowhere but in a state."""

    @property
    def interrupting(self) -> list[Match]:
        """Matches that `up` would replace: adopting them would interrupt streaming."""
        return [match for match in self.matches if any(difference.replaces for difference in match.differences)]


def run(installation: Installation, screen: Screen, *, file: Path | None, stateless: bool) -> Outcome:
    """Find what can be adopted, say what differs, and write the import file."""
    stack = installation.stack.name
    account = installation.told_account()
    try:
        state = installation.state()
    except StackError:
        state = State()  # and why it is not known is one of the ownership's findings
    screen.began("comparing the program with what exists")
    adoption, ownership = find(installation, state, lambda: installation.ownership(screen, stateless=stateless))
    screen.ended("comparing the program with what exists")
    mattered = bool(adoption.matches or adoption.refused)
    found = [account, *ownership.findings(mattered=mattered), *_findings(adoption, ownership)]
    facts = {**_show(screen, adoption), "evidence": installation.evidence(ownership)}
    if not adoption.matches or adoption.interrupting or adoption.refused:
        return Outcome(found, {"file": None, **facts})
    path = file or Path(".lls", stack.rpartition("/")[2], "import.json")
    write(path, import_file(adoption, state))
    commands = [
        f"pulumi stack select --create {stack}",
        f"pulumi import --stack {stack} --file {path} --protect=false --generate-code=false --yes",
        f"pulumi up --stack {stack}",
    ]
    screen.print(f"\nWrote {path}. Then:")
    for command in commands:
        screen.print(f"  {command}")
    return Outcome(found, {"file": str(path), "commands": commands, **facts})


def find(
    installation: Installation, state: State, read_ownership: Callable[[], Ownership]
) -> tuple[Adoption, Ownership]:
    """Run the program against what exists and see which of its resources that is, and whose. Changes nothing.

    Raises what the program raises, AwsError, and what asking the cluster raises.
    """
    stack = installation.stack
    inventory = Inventory(installation.account)
    look_ups = LookUps(installation.account, installation.config.region)
    finder = _Finder(inventory, look_ups, installation.proxy, state)
    record(Monitor(finder), program=run_project, stack=stack.name, config=stack.config, secret_keys=stack.secret_keys)
    if finder.failure:
        raise finder.failure
    adoption = finder.adoption
    survey = Survey(inventory, installation.config)
    in_cluster = look_into_cluster(installation)
    ownership = read_ownership()
    _judge(adoption, installation, ownership, in_cluster)
    known = {
        match.thing.id for match in (*adoption.matches, *(refusal.match for refusal in adoption.refused))
    } | state.ids
    adoption.unseen = survey.unseen(ownership)
    held = {_identity(resource.type, resource.inputs) for resource in adoption.owned}
    adoption.unmanaged = [
        thing for thing in survey.things if thing.id not in known and _identity(thing.type, thing.inputs) not in held
    ]
    return adoption, ownership


def _judge(adoption: Adoption, installation: Installation, ownership: Ownership, in_cluster: ClusterSurvey) -> None:
    """Leave among the matches only what is nobody's. What a refused thing holds is refused with it.

    So is what goes by itself: a namespace that is being deleted, and the release in it.
    """
    names = installation.config.names
    owners, deletion = in_cluster.owners(installation, ownership), in_cluster.deletion
    accepted: list[Match] = []
    refused: dict[str, Owner] = {}
    for match in adoption.matches:
        thing, remedy = match.thing, ""
        if thing.type in (KUBERNETES_NAMESPACE, RELEASE):
            owner = owners.get(thing.type, Owner(Kind.UNKNOWN, why="the cluster tells two things of it"))
            if deletion and not owner.is_owned:
                why = f"namespace {in_cluster.namespace}: {deletion.seen}"
                owner, remedy = Owner(Kind.UNKNOWN, why=why, is_mistaken=True), deletion.remedy
        else:
            held_by = next((refused[holder] for holder in thing.holders if holder in refused), None)
            owner = held_by or _owner_by_tags(match, ownership, names)
        if owner.kind is Kind.NOBODYS:
            accepted.append(match)
        else:
            refused[thing.id] = owner
            adoption.refused.append(Refusal(match, owner.clause, owner, remedy or _way_out(match, owner)))
    adoption.matches = accepted


def _owner_by_tags(match: Match, ownership: Ownership, names: Names) -> Owner:
    """Whose a thing in AWS is. The guide tags what others belong to, and of an address and a rule only a part."""
    thing = match.thing
    owner = ownership.of_itself(thing)
    if owner.is_owned:
        return owner
    missing = ""
    if thing.type == RECORD and thing.leads_to != replace(thing, inputs=match.resource.inputs).leads_to:
        return Owner(Kind.UNKNOWN, why=f"it leads to {thing.leads_to}, not to this load balancer", is_mistaken=True)
    if thing.type in (GROUP, TARGET_GROUP, BALANCER, ALARM, DASHBOARD) and not names.claims(thing.tags):
        missing = ", ".join(names.missing(thing.tags))
    elif thing.type == ADDRESS and not names.resembles(thing.tags):
        missing = f"lls:cluster={names.cluster}"
    elif thing.type == INGRESS and is_internal(match.resource.inputs) and _is_foreign(thing, names):
        return Owner(
            Kind.UNKNOWN, why="it is not this installation's, but somebody else's rule between nodes", is_mistaken=True
        )
    return Owner(Kind.UNKNOWN, why=f"it lacks the tags {missing}", is_mistaken=True) if missing else owner


def _way_out(match: Match, owner: Owner) -> str:
    if owner.kind is Kind.ANOTHERS:
        if match.thing.type in (KUBERNETES_NAMESPACE, RELEASE):
            return "set lls:namespace to another"
        return "give this stack names of its own: pulumi config set lls:instance NAME"
    if match.thing.type == INGRESS and owner.is_mistaken:
        return "pulumi config set lls:nodeInternalRules false"
    if match.thing.type in (KUBERNETES_NAMESPACE, RELEASE) and owner.is_mistaken:
        return "set lls:namespace to another, or free this one"
    if match.thing.type == RECORD and owner.is_mistaken:
        return f"delete it, set lls:dnsName to another name, or lls:hostedZoneId to {NO_ZONE}"
    return "if it is this installation's, give it the tags, then run this again" if owner.is_mistaken else ""


class _Finder:
    """A responder to whom a resource is what exists already, where that can be told."""

    def __init__(self, inventory: Inventory, look_ups: LookUps, proxy: Callable[[], Proxy], state: State) -> None:
        self.adoption = Adoption()
        self.failure: Exception | None = None
        self.invoke = look_ups.invoke
        self._inventory = inventory
        self._proxy = proxy
        self._state = {resource.urn: resource for resource in state.resources}

    def log(self, severity: Severity, message: str) -> None:
        """The program's warnings are its own `up`'s business."""

    def register(self, goal: Resource) -> Resource:
        owned = self._state.get(goal.urn)
        if not goal.custom or goal.type == PROVIDER:
            if owned is None and goal.type != STACK_TYPE:
                self.adoption.parents.append(goal)
            return replace(goal, id=owned.id if owned else "", outputs=goal.inputs)
        if owned:
            self.adoption.owned.append(goal)
            return replace(goal, id=owned.id, outputs={**goal.inputs, **owned.outputs})
        try:
            found = self._find(goal)
        except Exception as error:
            # It comes out of `find`: raised here it would pass through Pulumi's SDK and lose its type.
            self.failure = self.failure or error
            found = None
        if found is None:
            self.adoption.missing.append(goal)
            return replace(goal, outputs=goal.inputs)
        self.adoption.matches.append(Match(goal, found, tuple(_differences(goal, found.inputs))))
        return replace(goal, id=found.id, outputs=goal.inputs | found.outputs)

    def _find(self, goal: Resource) -> Thing | None:
        if goal.type == KUBERNETES_NAMESPACE:
            return self._namespace(goal)
        if goal.type == RELEASE:
            return self._release(goal)
        if goal.type == ADDRESS:
            name = goal.inputs["tags"]["Name"]
            return next((address for address in self._inventory.addresses() if address.tags.get("Name") == name), None)
        if goal.type not in IDENTITY:
            return None
        wanted = _identity(goal.type, goal.inputs)
        return next(
            (candidate for candidate in self._candidates(goal) if _identity(goal.type, candidate.inputs) == wanted),
            None,
        )

    def _candidates(self, goal: Resource) -> Iterable[Thing]:
        inputs = goal.inputs
        if rpc.UNKNOWN in json.dumps([inputs.get(key) for key in IDENTITY[goal.type]]):
            return []
        if goal.type == GROUP:
            return self._inventory.groups(group_name=inputs["name"], vpc_id=inputs["vpcId"])
        if goal.type in (INGRESS, EGRESS):
            return [rule for rule in self._inventory.rules([inputs["securityGroupId"]]) if rule.type == goal.type]
        if goal.type == TARGET_GROUP:
            return self._inventory.target_groups()
        if goal.type == BALANCER:
            return self._inventory.balancers()
        if goal.type == LISTENER:
            return self._inventory.listeners(inputs["loadBalancerArn"])
        if goal.type == RECORD:
            balancers = self._inventory.balancers()
            return [of_balancer(each, balancers) for each in self._inventory.records(inputs["name"], inputs["zoneId"])]
        if goal.type == ALARM:
            return self._inventory.alarms(inputs["name"])
        if goal.type == DASHBOARD:
            found = self._inventory.dashboard(inputs["dashboardName"])
            return [found] if found else []
        return self._inventory.targets(inputs["targetGroupArn"])

    def _namespace(self, goal: Resource) -> Thing | None:
        name = goal.inputs["metadata"]["name"]
        if self._proxy().find_namespace() is None:
            return None
        return Thing(type=goal.type, id=name, inputs={}, outputs=goal.inputs)

    def _release(self, goal: Resource) -> Thing | None:
        found = self._proxy().find_release()
        if found is None:
            return None
        inputs = {"name": found.name, "namespace": found.namespace, "version": found.version}
        return Thing(type=goal.type, id=f"{found.namespace}/{found.name}", inputs=inputs, outputs={})


def import_file(adoption: Adoption, state: State) -> Properties:
    """What `pulumi import --file` takes: the matches, below the components that the program puts them in."""
    known = {resource.urn: resource.name for resource in state.resources}
    parents = {parent.urn: parent for parent in adoption.parents}
    resources = [_parent(parent) for parent in adoption.parents]
    table: dict[str, str] = {}
    for match in adoption.matches:
        goal = match.resource
        spec: Properties = {
            "type": goal.type,
            "name": goal.name,
            "id": match.thing.id,
            "version": _version(goal.type),
        }
        for key, urn in (("parent", goal.parent), ("provider", goal.provider)):
            if urn in parents:
                spec[key] = parents[urn].name
            elif urn in known and "pulumi:pulumi:Stack" not in urn:
                spec[key] = known[urn]
                table[known[urn]] = urn
        resources.append(spec)
    return {"nameTable": table, "resources": resources}


def _parent(resource: Resource) -> Properties:
    if not resource.custom:
        return {"type": resource.type, "name": resource.name, "component": True}
    inputs = {
        key: {**SECRET, "plaintext": json.dumps(value)} if key in resource.secrets else value
        for key, value in resource.inputs.items()
    }
    return {"type": resource.type, "name": resource.name, "version": _version(resource.type), "inputs": inputs}


def _version(type_: str) -> str:
    """The version of the provider package that the program uses for a type: another one would be a diff."""
    package = type_.removeprefix("pulumi:providers:").partition(":")[0]
    return importlib.metadata.version(f"pulumi-{package}")


def write(path: Path, content: Properties) -> None:
    """Write the file, mode 0600: a kubeconfig of the stack's own may be in it. Raises StackError."""
    try:
        write_private(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise StackError(f"--file {path} cannot be written: {error.strerror}. Name one that can.") from error


def _is_foreign(rule: Thing, names: Names) -> bool:
    """Whether a rule bears neither the installation's tags nor, untagged, the name that the guide gives such rules."""
    if "lls:cluster" in rule.tags:
        return not names.resembles(rule.tags)
    return not rule.tags.get("Name", "").startswith("streaming-proxy-")


def _identity(type_: str, inputs: Properties) -> tuple[str, ...]:
    return (type_, *(json.dumps(inputs.get(key)) for key in IDENTITY.get(type_, ())))


def _differences(goal: Resource, now: Properties) -> Iterable[Difference]:
    paths = replacing(goal.type, goal.inputs | now, goal.inputs, goal.replace_on_changes)
    forced = {path.partition(".")[0] for path in paths}
    for key, wanted in sorted(goal.inputs.items()):
        if key in goal.ignore_changes or key not in now or _equal(now[key], wanted):
            continue
        replaces = key in forced
        if key == "tags":
            changed = {tag for tag in now[key] | wanted if now[key].get(tag) != wanted.get(tag)}
            tags = sorted(tag for tag in changed if not tag.startswith("aws:"))
            if tags:
                yield Difference(
                    key, {tag: now[key].get(tag) for tag in tags}, {tag: wanted.get(tag) for tag in tags}, replaces
                )
        else:
            yield Difference(key, now[key], wanted, replaces)


def _equal(now: Any, wanted: Any) -> bool:
    if rpc.UNKNOWN in json.dumps(wanted):
        return True
    if isinstance(now, list) and isinstance(wanted, list):
        return _sorted(now) == _sorted(wanted)  # pyright: ignore[reportUnknownArgumentType]
    return now == wanted


def _sorted(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- How it is told


def _findings(found: Adoption, ownership: Ownership) -> list[Finding]:
    notes = [*found.unseen]
    if not found.matches and not found.refused:
        notes.append(note("adopt", "nothing to adopt: what the program describes is in the state, or does not exist"))
    notes += [
        problem(
            "adopt",
            f"{match.resource.name} ({match.thing.id}) would be replaced, and streaming interrupted: "
            + "; ".join(str(difference) for difference in match.differences if difference.replaces),
            "set the stack's config to what exists, then run this again",
        )
        for match in found.interrupting
    ]
    notes += [
        problem(
            "adopt", f"{refusal.match.resource.name} exists as {refusal.match.thing.id}: {refusal.why}", refusal.remedy
        )
        for refusal in found.refused
        if refusal.remedy
    ]
    if unclear := [refusal.match.resource.name for refusal in found.refused if not refusal.remedy]:
        notes.append(
            unknown("adopt", f"these exist, and it cannot be told that they are nobody's: {', '.join(unclear)}")
        )
    notes += [
        note(
            "adopt",
            f"{thing} is this installation's by its tags, and no part of the program: it stays",
            deregistration(thing),
        )
        for thing in found.unmanaged
        if ownership.of(thing).kind is not Kind.ANOTHERS
    ]
    return notes


def _show(screen: Screen, found: Adoption) -> Properties:
    for match in found.matches:
        screen.print(f"adopt   {match.resource.name}: {match.thing.id}")
        for difference in match.differences:
            screen.print(f"        {'REPLACE' if difference.replaces else 'change '} {difference}")
    for refusal in found.refused:
        screen.print(f"keep    {refusal.match.resource.name}: {refusal.match.thing.id}, {refusal.why}")
    for resource in found.missing:
        screen.print(f"create  {resource.name}")
    for resource in found.owned:
        screen.print(f"owned   {resource.name}")
    return {
        "adopt": [
            {
                "name": match.resource.name,
                "type": match.resource.type,
                "id": match.thing.id,
                "changes": [str(difference) for difference in match.differences],
                "replaced": match in found.interrupting,
            }
            for match in found.matches
        ],
        "create": [resource.name for resource in found.missing],
        "owned": [resource.name for resource in found.owned],
        "refused": [
            {
                "name": refusal.match.resource.name,
                "id": refusal.match.thing.id,
                "owner": refusal.owner.kind.value,
                "stack": refusal.owner.stack,
                "why": refusal.why,
            }
            for refusal in found.refused
        ],
        "strangers": [str(thing) for thing in found.unmanaged],
    }
