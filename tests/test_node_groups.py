"""Nodes of several node groups, with a security group each: as these come and go, no rule of one that stays does."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from lls.operations.world.inventory import INGRESS
from rehearsal.engine.engine import Step
from rehearsal.world import Node
from tests.support.operations import adoption, preflight_of, problems_by_check, swept
from tests.support.recorded import as_config
from tests.support.worlds import MutableRehearsal, a_rehearsal

A, B = "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb"


def both_carry(first: Sequence[int], second: Sequence[int]) -> tuple[Node, ...]:
    return tuple(
        Node(name=name, zone="a", security_groups=tuple(groups))
        for name, groups in (("gpu-1", first), ("gpu-2", second))
    )


def carry(rehearsal: MutableRehearsal, node: str, group: str) -> None:
    rehearsal.aws.client("ec2").modify_instance_attribute(InstanceId=rehearsal.aws.nodes[node][0], Groups=[group])


@contextmanager
def split(**config: object) -> Generator[MutableRehearsal]:
    """A world whose two nodes carry a security group each."""
    named = as_config(nodeSecurityGroupIds=[A, B])
    with a_rehearsal({**named}, nodes=both_carry([0], [1]), quirks={"node_groups": 2}) as rehearsal:
        rehearsal.reconfigure({"lls:nodeSecurityGroupIds": "[]", **as_config(**config)})
        yield rehearsal


def lost(steps: Sequence[Step], staying: str) -> list[str]:
    """Rules on a group that a run took away, but for those that let in a group that goes."""
    return [
        step.resource.name
        for step in steps
        if step.operation in ("delete", "replace")
        and step.resource.inputs.get("securityGroupId") == staying
        and step.resource.inputs.get("referencedSecurityGroupId") not in {A, B} - {staying}
    ]


def unchanged(rehearsal: MutableRehearsal) -> bool:
    return {step.operation for step in rehearsal.engine.up()} == {"same"}


def are_healthy(rehearsal: MutableRehearsal) -> bool:
    return {health.state for health in rehearsal.await_health()} == {"healthy"}


SINGLE: Mapping[str, object] = {"nodeSecurityGroupId": A, "nodeSecurityGroupIds": []}
LISTED: Mapping[str, object] = {"nodeSecurityGroupId": "", "nodeSecurityGroupIds": [A]}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (SINGLE, {"nodeSecurityGroupId": "", "nodeSecurityGroupIds": [A, B]}),
        (LISTED, {"nodeSecurityGroupId": "", "nodeSecurityGroupIds": [B, A]}),
        (LISTED, {"nodeSecurityGroupId": A, "nodeSecurityGroupIds": [A, B]}),
        (SINGLE, {"nodeSecurityGroupId": "", "nodeSecurityGroupIds": []}),
    ],
    ids=["a list", "a list the other way round", "a list beside the single key", "what the nodes carry"],
)
def test_from_one_group_to_two_and_back_no_rule_of_the_one_that_stays_goes(
    one: Mapping[str, object], two: Mapping[str, object]
) -> None:
    with split(**one) as rehearsal:
        rehearsal.engine.up()
        assert not are_healthy(rehearsal)
        for config, staying in ((two, A), (one, A)):
            rehearsal.reconfigure(as_config(**config))
            assert lost(rehearsal.engine.up(), staying) == []
            assert unchanged(rehearsal)
            assert are_healthy(rehearsal) == (config is two)


def test_the_one_that_stays_may_be_the_one_that_came_later() -> None:
    with split(nodeSecurityGroupId=A) as rehearsal:
        rehearsal.engine.up()
        for groups, staying in (([A, B], A), ([B], B), ([A, B], B)):
            rehearsal.reconfigure(as_config(nodeSecurityGroupId="", nodeSecurityGroupIds=groups))
            assert lost(rehearsal.engine.up(), staying) == []
            assert unchanged(rehearsal)
        assert are_healthy(rehearsal)
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_a_node_group_that_joins_with_a_group_of_its_own_is_let_in_by_the_next_up() -> None:
    with split() as rehearsal:
        carry(rehearsal, "gpu-2", A)
        rehearsal.engine.up()
        assert rehearsal.engine.outputs["nodeSecurityGroupId"] == A
        carry(rehearsal, "gpu-2", B)
        assert not are_healthy(rehearsal)
        assert lost(rehearsal.engine.up(), A) == []
        assert are_healthy(rehearsal)
        assert rehearsal.engine.outputs["nodeSecurityGroupId"] == A
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_the_commands_know_the_rules_on_every_group() -> None:
    with split() as rehearsal:
        assert problems_by_check(preflight_of(rehearsal)) == {}
        rehearsal.engine.up()
        assert problems_by_check(preflight_of(rehearsal)) == {}
        found = adoption(rehearsal)
        rules = [match for match in found.matches if match.resource.name.startswith("node-ports-")]
        assert len(rules) == 16
        assert all(not match.differences for match in rules)
        assert not [resource for resource in found.missing if resource.type == INGRESS]
        assert not [thing for thing in found.unmanaged if thing.type == INGRESS]
        swept(rehearsal)
        assert rehearsal.aws.leftovers() == ()


@pytest.mark.parametrize(("quota", "room"), [(7, False), (8, True)])
def test_preflight_counts_the_rules_of_each_group(quota: int, room: bool) -> None:
    with split() as rehearsal:
        rehearsal.aws.quotas["L-0EA8095F"] = quota
        found = problems_by_check(preflight_of(rehearsal))
    assert found.keys() == (set() if room else {"quotas"})
    if not room:
        assert all(group in found["quotas"] for group in (A, B))
        assert "and 8 would be added" in found["quotas"]
