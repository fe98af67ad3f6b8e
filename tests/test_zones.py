"""One cluster, several zones: docs/zones.md, each fact of it tried with two stacks in one emulated world."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from lls.naming import Names
from lls.operations.program.stack_file import PROJECT, Stack
from lls.operations.report.finding import Unwatched
from lls.operations.sweep import carry_out
from lls.operations.world.inventory import Inventory, Thing
from lls.operations.world.survey import Survey
from rehearsal.engine.engine import StepsFailedError
from rehearsal.rehearse import Rehearsal
from tests.support.configs import loaded
from tests.support.operations import planned, preflight_of, problems_by_check, streams
from tests.support.recorded import as_config
from tests.support.worlds import STACK, KnownStates, MutableRehearsal, PatientClockOf, a_rehearsal

ZONES = (PROJECT / "docs" / "zones.md").read_text()

OWN: Mapping[str, Mapping[str, str]] = {
    "instance": as_config(instance="b"),
    "namespace": as_config(namespace="gdn-streaming-b"),
    "NodePorts": as_config(
        streamingNodePort=30505,
        healthNodePort=30801,
        helmValues={"streamingNodePort": 30505, "healthNodePort": 30801},
    ),
    "nodeInternalRules": as_config(nodeInternalRules=False),
}
"""What the stack of a further zone sets."""

WITHOUT: Mapping[str, str] = {
    "instance": "InvalidGroup.Duplicate",
    "namespace": 'namespaces "gdn-streaming" already exists',
    "NodePorts": "provided port is already allocated",
    "nodeInternalRules": "InvalidPermission.Duplicate",
}
"""What `up` fails with where it does not."""

TOLD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "instance": ("names", ("is stack lls/test's", "pulumi config set lls:instance")),
    "namespace": ("namespace", ("is stack lls/test's", "set lls:namespace to another")),
    "NodePorts": ("node ports", ("set lls:streamingNodePort", "set lls:healthNodePort")),
    "nodeInternalRules": ("node group", ("lls:nodeInternalRules false",)),
}
"""The check of preflight that finds it beforehand, and what that says to do."""


def in_zone_b(without: str = "", **changes: Any) -> dict[str, str]:
    """The config of zone b's stack, perhaps without something that it needs of its own."""
    own = {key: value for name, each in OWN.items() if name != without for key, value in each.items()}
    return {**STACK, "lls:availabilityZone": "us-west-2b", **own, **as_config(**changes)}


@contextmanager
def two_zones(second: Mapping[str, str]) -> Generator[tuple[MutableRehearsal, MutableRehearsal]]:
    """The stacks of zone a, which is up, and of zone b, which is not yet."""
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        yield rehearsal, rehearsal.beside(Stack("second", second))


def things(rehearsal: Rehearsal) -> tuple[Thing, ...]:
    """What the tags in AWS say is the stack's, to the last target."""
    installation = rehearsal.installation()
    return Survey(Inventory(installation.account), installation.config).things


def test_every_fact_of_the_page_is_held_by_a_test_of_this_file() -> None:
    tests = {name for name in globals() if name.startswith("test_")}
    facts = ZONES.split("\n## ")[1:]
    held = [set(re.findall(r"`(test_\w+)`", fact)) for fact in facts]
    assert all(held)
    assert set[str]().union(*held) <= tests


@pytest.mark.parametrize("gone", [0, 1], ids=["the first", "the second"])
def test_the_stacks_of_two_zones_stream_and_either_can_be_destroyed_without_the_other(gone: int) -> None:
    with two_zones(in_zone_b()) as stacks:
        stacks[1].engine.up()
        assert all(map(streams, stacks))
        goes, stays = stacks[gone], stacks[1 - gone]
        before = things(stays)
        assert not {thing.id for thing in before} & {thing.id for thing in things(goes)}
        goes.engine.destroy()
        assert things(goes) == ()
        assert things(stays) == before
        assert {step.operation for step in stays.engine.up()} == {"same"}
        assert streams(stays)
        stays.engine.destroy()
        assert stays.leftovers() == []


@pytest.mark.parametrize("missing", WITHOUT)
def test_up_without_one_of_these_fails_and_the_first_stack_does_not_notice(missing: str) -> None:
    with two_zones(in_zone_b(without=missing)) as (first, second):
        assert streams(first)
        before = things(first)
        with pytest.raises(StepsFailedError, match=WITHOUT[missing]):
            second.engine.up()
        second.engine.destroy()
        assert things(first) == before
        assert streams(first)
        first.engine.destroy()
        assert first.leftovers() == []


@pytest.mark.parametrize("missing", TOLD)
def test_preflight_tells_beforehand_what_is_taken(missing: str) -> None:
    check, remedies = TOLD[missing]
    with two_zones(in_zone_b(without=missing)) as (first, second):
        backend = KnownStates({stack.engine.stack: stack.state() for stack in (first, second)})
        found = problems_by_check(preflight_of(second, backend))
        assert set(found) == {check}
        assert all(remedy in found[check] for remedy in remedies)
        second.reconfigure(OWN[missing])
        assert problems_by_check(preflight_of(second, backend)) == {}


def test_the_release_may_have_the_first_ones_name_and_chart_and_image_are_the_same() -> None:
    first, second = loaded(STACK), loaded(in_zone_b())
    assert second.release_name == first.release_name
    assert second.prefix == first.prefix


def test_preflight_names_a_cluster_that_is_called_like_an_instance() -> None:
    with a_rehearsal(as_config(instance="b")) as rehearsal:
        ec2: Any = rehearsal.aws.client("ec2")
        tags: Any = [{"Key": key, "Value": value} for key, value in Names("demo-b").tags("x", {}).items()]
        ec2.create_security_group(
            GroupName=Names("demo-b").security_group,
            Description="x",
            VpcId=rehearsal.aws.vpc_id,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        found = problems_by_check(preflight_of(rehearsal))
        assert set(found) == {"names"}
        assert "demo-b-rp-sg" in found["names"]
        assert things(rehearsal) == ()


def test_the_rules_between_nodes_go_with_the_stack_that_made_them_and_another_then_makes_its_own() -> None:
    with two_zones(in_zone_b()) as (first, second):
        second.engine.up()
        second.reconfigure({"lls:nodeInternalRules": "true"})
        with pytest.raises(StepsFailedError, match=r"InvalidPermission\.Duplicate"):
            second.engine.up()
        first.engine.destroy()
        made = [step.resource.name for step in second.engine.up() if step.operation == "create"]
        assert sorted(made) == [f"node-ports-internal-{port}" for port in ("tcp-8000", "udp-3478", "udp-6004")]
        second.engine.destroy()
        assert second.leftovers() == []


def test_a_sweep_of_one_leaves_the_rules_between_nodes_while_another_is_there() -> None:
    with two_zones(in_zone_b()) as (first, second):
        second.engine.up()
        first.engine.state.clear()
        backend = KnownStates({"test": first.state(), "second": second.state()})
        sweep = planned(first, backend)
        assert sorted(kept.thing.split(" (")[0] for kept in sweep.unresolved) == [
            f"ingress rule streaming-proxy-{port}" for port in ("tcp-8000", "udp-3478", "udp-6004")
        ]
        assert {kept.why for kept in sweep.unresolved} == {
            "the nodes of rp-public-demo-b need it too; let that one's stack make it (docs/zones.md)"
        }
        carry_out(sweep, first.installation(), PatientClockOf(first), Unwatched())
        assert streams(second)


def test_zones_whose_nodes_have_security_groups_of_their_own_each_have_their_rules() -> None:
    with a_rehearsal(quirks={"node_groups": 2}) as world:
        one, other = world.aws.node_security_group_ids
        first = world.beside(Stack("first", {**STACK, "lls:nodeSecurityGroupId": one}))
        own_group = in_zone_b(without="nodeInternalRules", nodeSecurityGroupId=other)
        second = world.beside(Stack("second", own_group))
        for stack in (first, second):
            stack.engine.up()
            assert len([urn for urn in stack.engine.state if "::node-ports-internal-" in urn]) == 3
        for each in (first, second):
            each.engine.destroy()
        assert world.leftovers() == []
