import json

import pytest

from lls.operations.graph import Graph, Order, dot, graph, mermaid
from lls.operations.program.stack_file import Stack
from tests.support.recorded import as_config
from tests.support.worlds import STACK


def made(order: Order = "create", *, whole: bool = False, **keys: object) -> Graph:
    return graph(Stack("test", {**STACK, **as_config(**keys)}), order, whole=whole)


CONTRACT = {
    ("streaming-sg", "streaming-nlb"),
    ("streaming-sg", "node-ports-media"),
    ("streaming-tg", "streaming-nlb"),
    ("streaming-nlb", "streaming-listener"),
    ("streaming-nlb", "proxy-release"),
    ("proxy-namespace", "proxy-release"),
    ("proxy-release", "targets-10.0.0.1"),
    ("streaming-listener", "targets-10.0.0.1"),
    ("node-ports-health", "targets-10.0.0.1"),
}


def test_the_contracts_order_is_in_the_graph() -> None:
    assert set(made().edges) >= CONTRACT


def test_every_group_of_the_nodes_has_its_rules_in_the_graph() -> None:
    rules = {node.name for node in made(nodeSecurityGroupIds=["sg-0a", "sg-0b"]).nodes if "sg-0" in node.name}
    assert len(rules) == 2 * (2 + 3 * 2)
    assert {"node-ports-media-sg-0a", "node-ports-internal-udp-6004-sg-0b-from-sg-0a"} <= rules


def test_destroy_order_is_create_order_reversed() -> None:
    assert {(second, first) for first, second in made("destroy").edges} == set(made().edges)


def test_implied_arrows_are_left_out_unless_asked_for() -> None:
    implied = ("streaming-tg", "streaming-listener")
    assert implied not in made().edges
    assert implied in made(whole=True).edges


def test_a_static_address_comes_before_the_load_balancer() -> None:
    assert ("streaming-eip", "streaming-nlb") in made(staticIp=True).edges


@pytest.mark.parametrize(("registration", "name"), [("autoscaling", "targets-nodes"), ("binding", "targets-binding")])
def test_each_strategy_is_drawn_without_an_account(registration: str, name: str) -> None:
    assert ("proxy-release", name) in made(registration=registration, targetType="instance").edges


@pytest.mark.parametrize(("draw", "arrow"), [(mermaid, " --> "), (dot, " -> ")])
def test_the_texts_have_every_resource_and_arrow(draw: object, arrow: str) -> None:
    assert callable(draw)
    rehearsal = made()
    text = str(draw(rehearsal))
    assert all(node.name in text for node in rehearsal.nodes)
    assert text.count(arrow) == len(rehearsal.edges)


def test_a_stack_with_secrets_is_drawn_without_them() -> None:
    kubeconfig = json.dumps({"contexts": [{"name": "mine"}], "token": "not-to-be-seen"})
    stack = Stack("test", {**STACK, **as_config(kubeconfig=kubeconfig)}, frozenset({"lls:kubeconfig"}))
    assert "not-to-be-seen" not in mermaid(graph(stack))
