import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import benchmark
from bench.benchmark import Figures, Measurement, as_markdown, measure, needs, sections
from bench.critical_path import NATURE, NEEDS, durations, longest, necessary, wishes
from bench.guide_commands import clean_up, follow_all
from bench.program_time import ImportTime, ProgramTime, import_times
from rehearsal.engine.engine import Resource, Step
from rehearsal.rehearse import Rehearsal
from tests.support.guide_parity import INTENDED, differences, state_of
from tests.support.recorded import recorded
from tests.support.worlds import a_rehearsal

PROGRAM = ProgramTime(
    program=[1.0, 1.1],
    imports=[1.0, 1.0],
    modules=[ImportTime(package="pulumi_aws.ec2", modules=2, own=60, cumulative=160)],
)


def step(
    type_: str, id_: str, seconds: float, *, needs: tuple[str, ...] = (), delete: bool = False, **inputs: Any
) -> Step:
    """A step that created or deleted a resource of that type; `needs` are ids in the graph."""
    resource = Resource(
        urn=id_,
        type=f"aws:x/y:{type_}",
        name=id_,
        custom=True,
        id=id_,
        inputs=inputs,
        outputs={"dnsName": f"{id_}.example"} if type_ == "LoadBalancer" else {},
        secrets=frozenset(),
        parent="",
        provider="",
        dependencies=frozenset(needs),
        property_dependencies={},
    )
    return Step("delete" if delete else "create", resource, 0, seconds)


def a_stacks_steps(*, delete: bool = False) -> list[Step]:
    """A small stack, whose graph has one edge too many: the namespace after the load balancer."""
    return [
        step("SecurityGroup", "sg", 1, delete=delete),
        step("TargetGroup", "tg", 2, delete=delete),
        step("LoadBalancer", "nlb", 50, needs=("sg",), delete=delete, securityGroups=["sg"]),
        step("Namespace", "ns", 10, needs=("nlb",), delete=delete),
        step(
            "Release", "proxy", 30, needs=("nlb", "ns"), delete=delete, namespace="ns", values={"lbDns": "nlb.example"}
        ),
    ]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measurement]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bench"))
        yield measure(2)


@pytest.fixture
def figures(measured: Measurement) -> Figures:
    return Figures(machine="a machine", measurements=[measured], program=PROGRAM)


@pytest.fixture
def measured_before(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find these figures instead of measuring."""

    def measurement(count: int) -> Measurement:
        return figures.measurements[0]

    def program(config: Mapping[str, str], say: Callable[[str], None]) -> ProgramTime:
        return figures.program

    monkeypatch.setattr(benchmark, "_measure_apart", measurement)
    monkeypatch.setattr(benchmark, "program_time", program)


# --- The critical path


def test_the_longest_chain_is_the_one_that_takes_longest_and_not_the_one_with_most_steps() -> None:
    took = {"a": 1.0, "b": 1.0, "c": 1.0, "long": 5.0, "end": 1.0}
    before = {"b": {"a"}, "c": {"b"}, "end": {"c", "long"}}
    assert longest(took, before) == (6.0, ("long", "end"))


def test_steps_that_nothing_orders_take_as_long_as_the_longest() -> None:
    assert longest({"a": 1.0, "b": 2.0}, {}) == (2.0, ("b",))
    assert longest({}, {}) == (0.0, ())


def test_a_step_must_wait_for_what_it_names() -> None:
    assert necessary(a_stacks_steps()) == {"sg": set(), "tg": set(), "nlb": {"sg"}, "ns": set(), "proxy": {"nlb", "ns"}}


def test_a_deletion_must_wait_for_the_deletion_of_what_names_it() -> None:
    expected = {"sg": {"nlb"}, "tg": set[str](), "nlb": {"proxy"}, "ns": {"proxy"}, "proxy": set[str]()}
    assert necessary(a_stacks_steps(delete=True)) == expected


def test_aws_and_kubernetes_alone_let_the_proxy_and_the_load_balancer_go_at_once() -> None:
    steps = a_stacks_steps(delete=True)
    assert longest(durations(steps), necessary(steps)) == (81, ("proxy", "nlb", "sg"))
    assert longest(durations(steps), necessary(steps, NATURE)) == (51, ("nlb", "sg"))


def test_an_edge_too_many_does_not_lengthen_the_path_and_its_cost_is_told() -> None:
    steps = a_stacks_steps()
    assert longest(durations(steps), necessary(steps))[0] == 81
    assert wishes(steps) == {"LoadBalancer → Namespace": 10}


def test_every_necessary_order_is_about_a_property_that_the_program_sets() -> None:
    made = recorded({"lls:staticIp": "true", **benchmark.OWN_NAME})
    made.engine.up()
    given = {(resource.type.rpartition(":")[2], key) for resource in made.resources for key in resource.inputs}
    types = {type_ for type_, _ in given} | {resource.type.rpartition(":")[2] for resource in made.resources}
    for need in NEEDS:
        assert (need.what, need.property) in given, need
        assert need.needs in types, need


# --- The guide


def release_of(rehearsal: Rehearsal) -> Mapping[str, Any]:
    [release] = rehearsal.cluster.releases.values()
    return {key: getattr(release, key) for key in ("name", "namespace", "chart", "version", "status")}


def test_the_guides_commands_leave_what_ours_leave_but_for_the_written_list() -> None:
    fixed = {"lls:vpcId": "vpc-0a1b2c3d", "lls:publicSubnetId": "subnet-0a1b2c3d"}
    with a_rehearsal(fixed) as rehearsal:
        commands = follow_all(rehearsal)
        guide, guides_release, guides_namespaces = (
            state_of(rehearsal.aws),
            release_of(rehearsal),
            rehearsal.cluster.namespaces,
        )
    with a_rehearsal(fixed) as rehearsal:
        rehearsal.engine.up()
        ours, release, namespaces = state_of(rehearsal.aws), release_of(rehearsal), rehearsal.cluster.namespaces
    assert differences(guide, ours) == set(INTENDED) - {"address.tags"}
    assert (guides_release, guides_namespaces) == (release, namespaces)
    assert {command.name.partition(" ")[0] for command in commands} >= {f"2.{step}" for step in range(2, 10)} | {
        "4.1",
        "4.2",
    }


def test_the_guides_clean_up_leaves_nothing() -> None:
    with a_rehearsal() as rehearsal:
        follow_all(rehearsal)
        assert rehearsal.leftovers() != []
        clean_up(rehearsal)
        assert rehearsal.leftovers() == []


# --- What is printed


def test_up_and_destroy_have_a_row_each_with_their_critical_path(figures: Figures) -> None:
    [makespan, paths, *_] = sections(figures)
    names = ("up", "destroy", "up, own name", "destroy, own name")
    assert [row[:2] for row in makespan.rows] == [(name, "2") for name in names]
    [measured] = figures.measurements
    phases = (measured.up, measured.destroy, measured.named_up, measured.named_destroy)
    assert [row[2].split(", ") for row in paths.rows] == [list(phase.along) for phase in phases]


def test_what_aws_alone_asks_for_never_takes_longer_than_what_everybody_does(measured: Measurement) -> None:
    assert measured.up.floor <= measured.up.path
    assert measured.destroy.floor <= measured.destroy.path


def test_up_keeps_its_goal_over_the_critical_path(measured: Measurement) -> None:
    for up in (measured.up, measured.named_up):
        assert up.ours <= 1.10 * up.path


def test_with_a_name_of_its_own_the_release_is_not_on_the_path(measured: Measurement) -> None:
    assert "proxy-release" in measured.up.along
    assert "proxy-release" not in measured.named_up.along
    assert measured.named_up.ours < measured.up.ours


def test_what_only_the_guide_and_we_wish_for_is_told_with_its_cost(measured: Measurement) -> None:
    assert "TargetGroup → LoadBalancer" in measured.up.wishes
    assert "Release → TargetGroupAttachment" in measured.up.wishes
    assert "LoadBalancer → Release" not in measured.up.wishes


def test_every_table_of_the_markdown_has_equally_long_rows(figures: Figures) -> None:
    for block in as_markdown(figures).split("\n\n"):
        if block.startswith("|"):
            head, rule, *rows = block.splitlines()
            assert {row.count("|") for row in (rule, *rows)} == {head.count("|")}, head


@pytest.mark.usefixtures("measured_before")
def test_the_figures_of_the_documentation_are_renewed_and_its_words_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"Words.\n{benchmark.FIGURES}old figures")
    monkeypatch.setattr(benchmark, "DOCS", tmp_path)
    assert benchmark.main(["--docs", "--json"]) == 0
    assert document.read_text().startswith(f"Words.\n{benchmark.FIGURES}")
    assert "old figures" not in document.read_text()


@pytest.mark.usefixtures("measured_before")
def test_the_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["measurements"]) == len(benchmark.COUNTS)
    assert printed["program"]["program"] == PROGRAM.program


def test_the_documentation_lists_the_necessary_orders_as_they_are() -> None:
    text = (Path(benchmark.__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    assert benchmark.FIGURES in text
    for row in needs().rows:
        assert f"| {' | '.join(row)} |" in text


# --- Imports


def test_import_times_are_gathered_by_package_the_dearest_first() -> None:
    report = """\
import time: self [us] | cumulative | imported package
import time:      1000 |       1000 |     sdk.small.a
import time:      3000 |       3000 |     sdk.big.a
import time:      2000 |       5000 |   sdk.big
import time:       500 |       6500 | sdk
"""
    assert import_times(report) == [
        ImportTime(package="sdk.big", modules=2, own=5, cumulative=5),
        ImportTime(package="sdk.small", modules=1, own=1, cumulative=1),
        ImportTime(package="sdk", modules=1, own=0.5, cumulative=6.5),
    ]
