from collections.abc import Mapping

import pytest

from rehearsal.engine.engine import Resource
from tests.support.recorded import RecordedStack, up

SECURITY_GROUP, NLB, TARGET_GROUP = {"streaming-sg"}, {"streaming-nlb"}, {"streaming-tg"}
LISTENER, RELEASE, NAMESPACE, ADDRESS = (
    {"streaming-listener"},
    {"proxy-release"},
    {"proxy-namespace"},
    {"streaming-eip"},
)
GROUP_RULES = {"streaming-ingress-0.0.0.0/0", "streaming-egress"}
NLB_NODE_RULES = {"node-ports-media", "node-ports-health"}
INTERNAL_RULES = {"node-ports-internal-udp-6004", "node-ports-internal-udp-3478", "node-ports-internal-tcp-8000"}
TARGETS = {"targets-10.0.0.1", "targets-10.0.0.2"}

# The contract's partial order, each line of it; the provider of the cluster stands outside.
CONTRACT: Mapping[str, tuple[set[str], set[str]]] = {
    "security group before its rules": (SECURITY_GROUP, GROUP_RULES),
    "security group before NLB": (SECURITY_GROUP, NLB),
    "security group before node rules": (SECURITY_GROUP, NLB_NODE_RULES),
    "Elastic IP before NLB": (ADDRESS, NLB),
    "target group before NLB": (TARGET_GROUP, NLB),
    "NLB before listener": (NLB, LISTENER),
    "target group before listener": (TARGET_GROUP, LISTENER),
    "NLB before release": (NLB, RELEASE),
    "namespace before release": (NAMESPACE, RELEASE),
    "release before registration": (RELEASE, TARGETS),
    "listener before registration": (LISTENER, TARGETS),
    "node rules before registration": (NLB_NODE_RULES | INTERNAL_RULES, TARGETS),
}


NAMED: Mapping[str, tuple[set[str], set[str]]] = {
    line: pair for line, pair in CONTRACT.items() if line != "NLB before release"
} | {"NLB before its record": (NLB, {"streaming-record"})}
"""The same with a name of one's own: the release is given that, and nothing waits for its record."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RecordedStack:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("order"))
        return up({"lls:staticIp": "true"})


def closure(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Everything that each name needs, directly or not."""
    reached: dict[str, set[str]] = {}

    def needs(name: str) -> set[str]:
        if name not in reached:
            reached[name] = set[str]().union(edges.get(name, set()), *(needs(need) for need in edges.get(name, ())))
        return reached[name]

    for name in edges:
        needs(name)
    return reached


def ordered(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Those that need something, and what."""
    return {name: needed for name, needed in needs.items() if needed}


def whole(contract: Mapping[str, tuple[set[str], set[str]]]) -> dict[str, set[str]]:
    """Everything that the lines of a contract let each name need, directly or not."""
    wanted: dict[str, set[str]] = {}
    for before, after in contract.values():
        for name in after:
            wanted.setdefault(name, set()).update(before)
    return ordered(closure(wanted))


def recorded(made: RecordedStack) -> dict[str, set[str]]:
    """Logical name to the names that it depends on, among real resources."""
    names = {resource.urn: resource.name for resource in made.resources}
    return {resource.name: {names[urn] for urn in resource.dependencies if urn in names} for resource in made.resources}


def test_the_graph_is_the_contracts_partial_order_and_nothing_more(made: RecordedStack) -> None:
    assert ordered(closure(recorded(made))) == whole(CONTRACT)


@pytest.mark.parametrize(
    ("changes", "contract"),
    [
        ({}, NAMED),
        ({"lls:hostedZoneId": "none"}, {line: pair for line, pair in NAMED.items() if line != "NLB before its record"}),
    ],
    ids=["with a record", "without"],
)
def test_with_a_name_of_ones_own_the_release_does_not_wait_for_the_nlb_and_nothing_for_the_record(
    changes: Mapping[str, str], contract: Mapping[str, tuple[set[str], set[str]]]
) -> None:
    named = up({"lls:staticIp": "true", "lls:dnsName": "stream.example.com", **changes})
    assert ordered(closure(recorded(named))) == whole(contract)


@pytest.mark.parametrize("pair", CONTRACT.values(), ids=CONTRACT.keys())
def test_creation_follows_the_order(made: RecordedStack, pair: tuple[set[str], set[str]]) -> None:
    steps = {step.resource.name: step for step in fresh(made).engine.up()}
    first, then = pair
    assert max(steps[name].finished for name in first) < min(steps[name].started for name in then)


@pytest.mark.parametrize("pair", CONTRACT.values(), ids=CONTRACT.keys())
def test_destruction_follows_the_order_backwards(made: RecordedStack, pair: tuple[set[str], set[str]]) -> None:
    again = fresh(made)
    again.engine.up()
    steps = {step.resource.name: step for step in again.engine.destroy()}
    first, then = pair
    assert max(steps[name].finished for name in then) < min(steps[name].started for name in first)


def test_what_the_order_leaves_independent_has_no_edge_in_either_direction(made: RecordedStack) -> None:
    needs = closure(recorded(made))
    for one, other in [
        ("proxy-namespace", "streaming-nlb"),
        ("node-ports-media", "streaming-nlb"),
        ("streaming-listener", "proxy-release"),
        ("streaming-ingress-0.0.0.0/0", "streaming-nlb"),
        ("streaming-sg", "streaming-tg"),
        ("targets-10.0.0.1", "targets-10.0.0.2"),
    ]:
        assert one not in needs.get(other, set())
        assert other not in needs.get(one, set())


def test_no_explicit_edge_repeats_data_flow_except_where_the_contract_asks(made: RecordedStack) -> None:
    def explicit(resource: Resource) -> set[str]:
        by_property = frozenset[str]().union(*resource.property_dependencies.values())
        return {urn.rpartition("::")[2] for urn in resource.dependencies - by_property}

    with_edges = {resource.name: explicit(resource) for resource in made.resources if explicit(resource)}
    assert with_edges.keys() == {"streaming-nlb"} | TARGETS
    assert with_edges["streaming-nlb"] == TARGET_GROUP


def fresh(made: RecordedStack) -> RecordedStack:
    result = up(made.engine.config)
    result.engine.destroy()
    return result
