"""Every order that the graph allows is right, and each of its edges prevents a failure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lls.operations.program.recording import Resource
from rehearsal.engine.engine import StepsFailedError
from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.world import Node
from tests.support.recorded import as_config
from tests.support.schedules import Edge, Scheduled, scheduled
from tests.support.strategies import QUIRKS

STATIC_ADDRESS = as_config(staticIp=True)
INSTANCES = as_config(targetType="instance")
DRAINED = as_config(drainSeconds=300, deregistrationDelay=300)
LEAN = as_config(nodeInternalRules=False)

KINDS: Mapping[str, Mapping[str, str]] = {
    "nodes, ip": LEAN,
    "nodes, instance, static address": INSTANCES | STATIC_ADDRESS | LEAN,
    "static, ip, static address": as_config(registration="static", targets=["10.0.16.77"]) | STATIC_ADDRESS | LEAN,
    "static, instance, drained": INSTANCES
    | as_config(registration="static", targets=["i-0a1b2c3d4e5f60718"])
    | DRAINED
    | LEAN,
    "autoscaling": INSTANCES | as_config(registration="autoscaling") | LEAN,
    "binding, static address, drained": INSTANCES | as_config(registration="binding") | STATIC_ADDRESS | DRAINED | LEAN,
}


SMALL: Mapping[str, Any] = {
    "quirks": QUIRKS,
    "nodes": (Node(name="gpu-1", zone="a", ip="10.0.16.77", instance_id="i-0a1b2c3d4e5f60718"),),
    "latencies": {"nlb_provisioning": 4, "nlb_interfaces_linger": 4},
}
"""A world without more calls than an order needs."""

OWN_RULES = "the load balancer's groups"
"""What media meets where the NLB's own rules are gone: nothing waits for these, unless targets are drained."""


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_every_order_that_the_graph_allows_destroys_and_creates_without_a_retry(config: Mapping[str, str]) -> None:
    with scheduled(config, **SMALL) as stack:

        @settings(phases=[Phase.generate])  # there is nothing to shrink in a seed
        @given(st.randoms(use_true_random=True))
        def any_order(random: Random) -> None:
            def draw(names: Sequence[str]) -> int:
                return random.randrange(len(names))

            cut = stack.destroy(draw)
            assert [each for each in cut if OWN_RULES not in each or "lls:drainSeconds" in config] == []
            assert stack.rehearsal.leftovers() == []
            cut = stack.create(draw)
            assert [each for each in cut if OWN_RULES not in each] == []

        any_order()


# --- Edges


@dataclass(frozen=True)
class Loss:
    """What shows in a destroy, and in a creation, that has lost an edge; else why there is one.

    An edge by which a value flows cannot be lost in a creation.
    """

    on_destroy: str = ""
    on_create: str = ""
    reason: str = ""


OWN: Mapping[tuple[str, str], Loss] = {
    ("node-ports-health", "streaming-sg"): Loss("streaming-sg: .*DependencyViolation"),
    ("node-ports-media", "streaming-sg"): Loss("streaming-sg: .*DependencyViolation"),
    ("streaming-nlb", "streaming-sg"): Loss("streaming-sg: .*DependencyViolation"),
    ("streaming-nlb", "streaming-eip"): Loss("streaming-eip: .*AuthFailure"),
    ("streaming-nlb", "streaming-tg"): Loss(reason="The guide's clean-up; AWS asks only that the listener goes first."),
    ("streaming-ingress", "streaming-sg"): Loss(reason="A rule is given its group's id; AWS deletes both together."),
    ("streaming-egress", "streaming-sg"): Loss(reason="A rule is given its group's id; AWS deletes both together."),
    ("streaming-listener", "streaming-nlb"): Loss("streaming-listener: .*ListenerNotFound"),
    ("proxy-release", "proxy-namespace"): Loss("proxy-release: .*release: not found"),
    ("proxy-release", "streaming-nlb"): Loss(reason="The release is given the NLB's name; a destroy would not mind."),
}

UNREACHED: Mapping[str, Loss] = {
    "streaming-listener": Loss("delete streaming-listener: no listener", "no listener"),
    "node-ports-media": Loss("delete node-ports-media: .* do not let in UDP 30504", "do not let in UDP 30504"),
    "node-ports-health": Loss("delete node-ports-health: Target.Timeout", "Target.Timeout"),
    "node-ports-internal": Loss(reason="The guide's table: between nodes, where the emulated world has no traffic."),
    "proxy-release": Loss("delete proxy-release: nothing answers", "nothing answers"),
}
"""What targets need, who would be announced too early or withdrawn too late without it."""

CUT_SHORT: Mapping[str, Loss] = {
    **{need: replace(loss, on_create="") for need, loss in UNREACHED.items()},
    "node-ports-health": Loss(reason="No health check ends a session that drains; the rules have one rule."),
    "streaming-ingress": Loss("delete streaming-ingress-.* do not let in UDP 5004"),
    "streaming-egress": Loss("delete streaming-egress: .* do not let out UDP 30504"),
}
"""What a draining session needs."""

LOSSES: Mapping[str, tuple[Mapping[str, str], Mapping[tuple[str, str], Loss]]] = {
    "plain": (STATIC_ADDRESS, OWN | {("targets", need): loss for need, loss in UNREACHED.items()}),
    "named": (
        as_config(dnsName="stream.example.com"),
        {("targets", need): loss for need, loss in UNREACHED.items()}
        | {
            ("streaming-record", "streaming-nlb"): Loss(
                reason="The record is given the NLB's name; without the order it would lead nowhere for a while."
            ),
        },
    ),
    "drained": (
        DRAINED,
        {("targets-draining", need): loss for need, loss in CUT_SHORT.items()}
        | {
            ("targets", "targets-draining"): Loss(
                "delete (proxy|node-ports|streaming).*: .*(not let|nothing|no listener)"
            )
        },
    ),
    "binding": (
        INSTANCES | as_config(registration="binding"),
        {("targets-binding", need): loss for need, loss in UNREACHED.items()}
        | {
            ("targets-binding", "proxy-release"): replace(
                UNREACHED["proxy-release"], on_create="service .* has no port"
            )
        },
    ),
    "autoscaling": (
        INSTANCES | as_config(registration="autoscaling"),
        {("targets", need): loss for need, loss in UNREACHED.items()},
    ),
}


@pytest.mark.parametrize(("config", "losses"), LOSSES.values(), ids=LOSSES)
def test_every_edge_of_the_graph_prevents_a_failure_or_says_why_it_is_there(
    config: Mapping[str, str], losses: Mapping[tuple[str, str], Loss]
) -> None:
    with scheduled(config, **SMALL) as stack:
        found = {each: edge for each, edge in edges(stack.goals).items() if each in losses or each not in OWN}
        assert found.keys() == losses.keys()
        for name, edge in found.items():
            loss = losses[name]
            on_destroy, on_create = went_wrong(stack, edge)
            assert re.search(loss.on_destroy, on_destroy), name
            assert re.search(loss.on_create, on_create), name
            if loss.reason:
                assert OWN_RULES in on_destroy or not on_destroy, name
                assert not on_create, name


def label(resource: Resource) -> str:
    """The name of a resource without what tells it from its like."""
    return re.sub(r"((?<=targets)|(?<=ingress)|(?<=internal))-(?!binding|draining).*", "", resource.name)


def edges(graph: Mapping[str, Resource]) -> dict[tuple[str, str], Edge]:
    """One edge of each sort between real resources that no other edges imply, by who needs and what."""
    real = {urn for urn, resource in graph.items() if resource.custom}
    needs = {urn: graph[urn].dependencies & real for urn in real}

    def reaches(start: str, end: str) -> bool:
        return any(need == end or reaches(need, end) for need in needs[start])

    return {
        (label(graph[urn]), label(graph[need])): (urn, need)
        for urn in sorted(real)
        for need in sorted(needs[urn])
        if not any(reaches(other, need) for other in needs[urn] - {need})
    }


def value_flows(graph: Mapping[str, Resource], edge: Edge) -> bool:
    """Whether who needs is given something of what it needs: without that it cannot even be asked for."""
    needer, need = edge
    return any(need in urns for urns in graph[needer].property_dependencies.values())


def against(graph: Mapping[str, Resource], edge: Edge, own_rules: int) -> Callable[[Sequence[str]], int]:
    """As early as can be what is needed, as late as can be who needs it."""
    needer, need = (graph[urn].name for urn in edge)
    when = {"streaming-ingress-0.0.0.0/0": own_rules, "streaming-egress": own_rules} | {need: 0, needer: 4}
    return lambda names: min(range(len(names)), key=lambda index: when.get(names[index], 2))


def went_wrong(stack: Scheduled, edge: Edge) -> tuple[str, str]:
    """What a destroy shows that has lost an edge, and then what a creation does."""
    try:
        destroy = "\n".join(stack.destroy(against(stack.goals, edge, own_rules=3), edge))
    except StepsFailedError as error:
        return str(error), ""
    if value_flows(stack.goals, edge):
        return destroy, ""
    needer, need = edge
    try:
        return destroy, "\n".join(stack.create(against(stack.goals, (need, needer), own_rules=1), edge))
    except KubernetesError as error:
        return destroy, str(error)
