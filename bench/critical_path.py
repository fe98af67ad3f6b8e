"""How fast the stack could be: the longest chain of steps that really have to wait for each other.

What has to wait is written down here, apart from the graph that the program makes, so that an edge too many
in the program shows as a longer time and not as a longer chain.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rehearsal.engine.engine import Resource, Step

By = Literal["AWS", "Kubernetes", "Pulumi"]
Edges = Mapping[str, Collection[str]]
"""Names, and what must be done before each."""

NATURE: Final[frozenset[By]] = frozenset({"AWS", "Kubernetes"})
"""Who asks for an order whatever tool is used."""

PROVIDER: Final = "kubernetes"
"""The type of the Kubernetes provider, which takes no time."""

EVERYBODY: Final[frozenset[By]] = frozenset({"AWS", "Kubernetes", "Pulumi"})


@dataclass(frozen=True)
class Need:
    """`what` is made after what it names in `property`, and that is deleted after it: who asks for each, and why."""

    what: str
    property: str
    needs: str
    making: By
    deleting: By
    why: str


NEEDS: Final = (
    Need(
        "SecurityGroupIngressRule",
        "securityGroupId",
        "SecurityGroup",
        "AWS",
        "Pulumi",
        "a rule is part of its group; AWS would delete both together, Pulumi deletes each",
    ),
    Need(
        "SecurityGroupEgressRule",
        "securityGroupId",
        "SecurityGroup",
        "AWS",
        "Pulumi",
        "likewise",
    ),
    Need(
        "SecurityGroupIngressRule",
        "referencedSecurityGroupId",
        "SecurityGroup",
        "AWS",
        "AWS",
        "DependencyViolation while another group's rule names a group",
    ),
    Need(
        "LoadBalancer",
        "securityGroups",
        "SecurityGroup",
        "AWS",
        "AWS",
        "an NLB cannot get its first group later; its interfaces hold the group until they are gone",
    ),
    Need(
        "LoadBalancer",
        "subnetMappings",
        "Eip",
        "AWS",
        "AWS",
        "an NLB cannot get its address later; InvalidIPAddress.InUse while its interfaces hold it",
    ),
    Need(
        "Listener",
        "loadBalancerArn",
        "LoadBalancer",
        "Pulumi",
        "Pulumi",
        "AWS gives the ARN at once and deletes listeners with the NLB; the provider gives it once the NLB is active",
    ),
    Need(
        "Listener",
        "defaultActions",
        "TargetGroup",
        "AWS",
        "AWS",
        "ResourceInUse while a listener forwards to a target group",
    ),
    Need(
        "Release",
        "values",
        "LoadBalancer",
        "Pulumi",
        "Pulumi",
        "the values hold the DNS name, unless it is one's own: AWS gives it at once, the provider once the NLB is "
        "active; what takes a value is deleted before its source",
    ),
    Need(
        "Record",
        "aliases",
        "LoadBalancer",
        "Pulumi",
        "Pulumi",
        "Route 53 takes any name, and AWS gives the NLB's at once; the provider gives it once the NLB is active",
    ),
    Need("Release", "namespace", "Namespace", "Kubernetes", "Kubernetes", "Helm works in a namespace that exists"),
    Need(
        "TargetGroupAttachment",
        "targetGroupArn",
        "TargetGroup",
        "AWS",
        "Pulumi",
        "a target is part of its group; AWS would delete both together, Pulumi deletes each",
    ),
)
"""Every order that is necessary between the stack's resources. Not in it: what contract or guide only wish."""


def kind_of(resource: Resource) -> str:
    """The last part of a resource's type."""
    return resource.type.rpartition(":")[2]


def necessary(steps: Iterable[Step], by: Collection[By] = EVERYBODY) -> dict[str, set[str]]:
    """Which steps must wait for which others, because one of `by` asks for it."""
    done = list(steps)
    before: dict[str, set[str]] = {step.resource.name: set() for step in done}
    for need in NEEDS:
        for one in (step for step in done if kind_of(step.resource) == need.what):
            for other in (step for step in done if kind_of(step.resource) == need.needs):
                is_deletion = one.operation == "delete"
                if (need.deleting if is_deletion else need.making) in by and _names(one, need.property, other):
                    first, then = (one, other) if is_deletion else (other, one)
                    before[then.resource.name].add(first.resource.name)
    return before


def recorded(steps: Iterable[Step]) -> dict[str, set[str]]:
    """Which steps wait for which others in the graph that the program made."""
    done = {step.resource.urn: step for step in steps}
    before: dict[str, set[str]] = {step.resource.name: set() for step in done.values()}
    for step in done.values():
        for other in (done[urn] for urn in step.resource.needs if urn in done):
            first, then = (step, other) if step.operation == "delete" else (other, step)
            before[then.resource.name].add(first.resource.name)
    return before


def longest(durations: Mapping[str, float], before: Edges) -> tuple[float, tuple[str, ...]]:
    """The chain of steps that takes longest: its seconds, and its steps in order."""
    found: dict[str, tuple[float, tuple[str, ...]]] = {}

    def until(name: str) -> tuple[float, tuple[str, ...]]:
        if name not in found:
            seconds, chain = max(map(until, before.get(name, ())), default=(0.0, ()))
            found[name] = seconds + durations[name], (*chain, name)
        return found[name]

    return max(map(until, durations), default=(0.0, ()))


def durations(steps: Iterable[Step]) -> dict[str, float]:
    """Seconds that each step took."""
    return {step.resource.name: step.finished - step.started for step in steps}


def wishes(steps: Sequence[Step]) -> dict[str, float]:
    """The graph's edges that nothing asks for, by type, and by how many seconds they lengthen the graph's chain."""
    took, graph, needed = durations(steps), recorded(steps), necessary(steps)
    kinds = {step.resource.name: kind_of(step.resource) for step in steps}
    whole, _ = longest(took, graph)
    pairs = {
        (kinds[first], kinds[then])
        for then, firsts in graph.items()
        for first in firsts - needed[then]
        if PROVIDER not in (kinds[first], kinds[then])
    }
    costs: dict[str, float] = {}
    for pair in sorted(pairs):
        without = {
            then: {first for first in firsts if (kinds[first], kinds[then]) != pair or first in needed[then]}
            for then, firsts in graph.items()
        }
        costs[" → ".join(pair)] = whole - longest(took, without)[0]
    return costs


def _names(step: Step, property_: str, other: Step) -> bool:
    """Whether a property of one resource holds another's id or DNS name."""
    held = json.dumps(step.resource.inputs.get(property_))
    return any(name and str(name) in held for name in (other.resource.id, other.resource.outputs.get("dnsName")))
