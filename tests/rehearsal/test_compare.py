"""The comparison of two engines finds what is planted in it, and nothing where there is nothing."""

from typing import Any

import pytest

from lls.operations.program.recording import Resource
from rehearsal.compare import compared, differences, disorder, makespan, out_of_waves
from rehearsal.engine.engine import Step, StepOp
from rehearsal.rehearse import Report
from tests.support.resources import a_resource, all_of, steps_of

GROUP = a_resource("group")
RULE = a_resource("rule", dependencies=frozenset({"group"}))
NLB = a_resource("nlb", dependencies=frozenset({"group"}))
LISTENER = a_resource("listener", dependencies=frozenset({"nlb"}))
STACK = a_resource("stack", custom=False)
ALL = [GROUP, RULE, NLB, LISTENER]
GOALS = {resource.urn: resource for resource in ALL}


def a_report(**phases: list[Step]) -> Report:
    up = all_of("create", STACK, *ALL)
    destroy = all_of("delete", LISTENER, NLB, RULE, GROUP, STACK)
    whole: dict[str, Any] = {"preview": up, "up": up, "destroy": destroy, **phases}
    return Report(stack="test", factor=1, **whole)


def test_two_engines_that_did_the_same_in_any_order_that_the_graph_allows_are_the_same() -> None:
    other = a_report(
        up=all_of("create", GROUP, NLB, LISTENER, RULE),
        destroy=all_of("delete", LISTENER, RULE, NLB, GROUP),
    )
    checks = compared(a_report(), other)
    assert [check.held for check in checks] == [True, True]
    assert [check.seen for check in checks] == ["4 runs compared", "5 resources"]


@pytest.mark.parametrize("phase", ["preview", "up", "again", "destroy"])
def test_what_only_one_did_is_told_with_the_phase(phase: str) -> None:
    for own, real, told in (
        (steps_of(("update", GROUP)), [], f"{phase}: only ours: update group"),
        ([], steps_of(("update", GROUP)), f"{phase}: only theirs: update group"),
    ):
        same, _ = compared(a_report(**{phase: own}), a_report(**{phase: real}))
        assert not same.held
        assert same.seen == told


@pytest.mark.parametrize(
    ("own", "real", "told"),
    [
        ([("create", GROUP)], [("create", GROUP)], []),
        ([("create", STACK)], [], []),
        ([("create", GROUP), ("create", RULE)], [("create", GROUP)], ["only ours: create rule"]),
        ([("update", GROUP)], [("replace", GROUP)], ["only ours: update group", "only theirs: replace group"]),
        ([("delete", GROUP)] * 2, [("delete", GROUP)], ["only ours: delete group"]),
        (
            [("delete", GROUP), ("replace", GROUP)],
            [("replace", GROUP), ("delete", GROUP)],
            ["group: the old one goes first with ours alone"],
        ),
        (
            [("replace", GROUP), ("delete", GROUP)],
            [("delete", GROUP), ("replace", GROUP)],
            ["group: the old one goes last with ours alone"],
        ),
        ([("delete", GROUP), ("replace", GROUP)], [("delete", GROUP), ("replace", GROUP)], []),
    ],
)
def test_another_operation_and_another_order_of_a_replacement_are_differences(
    own: list[tuple[StepOp, Resource]], real: list[tuple[StepOp, Resource]], told: list[str]
) -> None:
    assert differences(steps_of(*own), steps_of(*real)) == told


def test_what_is_made_before_or_deleted_after_something_that_it_needs_is_disorder() -> None:
    assert disorder(steps_of(("create", GROUP), ("create", RULE)), GOALS) == []
    assert disorder(steps_of(("create", RULE), ("create", GROUP)), GOALS) == ["rule and group, which it needs"]
    assert disorder(steps_of(("delete", RULE), ("delete", GROUP)), GOALS) == []
    assert disorder(steps_of(("delete", GROUP), ("delete", RULE)), GOALS) == ["rule and group, which it needs"]
    assert disorder(steps_of(("create", RULE)), GOALS) == []


@pytest.mark.parametrize("phase", ["up", "destroy"])
@pytest.mark.parametrize("engine", ["own", "real"])
def test_an_order_against_the_graph_is_found_with_either_engine(phase: str, engine: str) -> None:
    report = a_report()
    broken = a_report(**{phase: getattr(report, phase)[::-1]})
    _, order = compared(*((broken, report) if engine == "own" else (report, broken)))
    assert not order.held
    assert "nlb and group, which it needs" in order.seen


def test_what_is_deleted_before_a_wave_that_should_have_ended_first_is_told() -> None:
    assert out_of_waves(ALL, steps_of(("delete", LISTENER), ("delete", RULE), ("delete", NLB), ("delete", GROUP))) == []
    early = steps_of(("delete", LISTENER), ("delete", NLB), ("delete", RULE), ("delete", GROUP))
    assert out_of_waves(ALL, early) == []
    wrong = steps_of(("delete", NLB), ("delete", LISTENER), ("delete", GROUP), ("delete", RULE))
    assert out_of_waves(ALL, wrong) == ["listener after nlb", "rule after group"]


def test_a_makespan_is_from_the_first_change_to_the_last() -> None:
    assert makespan(steps_of(("same", GROUP), ("create", STACK))) == 0
    assert makespan(steps_of(("same", GROUP), ("create", RULE), ("same", STACK), ("create", NLB))) == 3
