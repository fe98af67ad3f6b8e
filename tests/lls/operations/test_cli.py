import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations import cli
from lls.operations.cli import duration, main
from lls.operations.report.finding import Exit, Finding, Level, note, ok, outcome, problem, run_checks, unknown
from lls.operations.report.screen import Screen
from lls.operations.world.inventory import BALANCER
from lls.operations.world.states import Operation, State
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from tests.support.operations import install
from tests.support.registries import Registry, a_chart, an_image
from tests.support.worlds import KnownStates, PatientClockOf, a_rehearsal, reached

CAPTURED = pytest.CaptureFixture[str]


@pytest.fixture
def rehearsal() -> Generator[Rehearsal]:
    """A world that the command line reaches as it would reach AWS, for the stack of Pulumi.dev.yaml."""
    with a_rehearsal({"lls:clusterName": "nvcf-dev"}) as rehearsal, reached(rehearsal):
        yield rehearsal


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, State]:
    """What a Pulumi CLI would tell of all stacks: of the dev stack, that it is empty."""
    backend = KnownStates({"dev": State()})
    monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: backend)
    return backend.states


def resolve(name: str) -> list[str]:
    """What a name of an emulated load balancer stands for."""
    return [NLB_ADDRESS]


def run(capsys: CAPTURED, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command on the dev stack, with its JSON."""
    code = main([*arguments, "--stack", "dev", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_sweep_without_yes_changes_nothing_and_says_so(
    rehearsal: Rehearsal, states: object, capsys: CAPTURED
) -> None:
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")
    before = rehearsal.leftovers()
    assert main(["sweep", "--stack", "dev"]) == Exit.FOUND
    shown = capsys.readouterr().out
    assert "   1  delete  target 10.0.16.4" in shown
    assert "Nothing was deleted: this was a dry run. Add --yes to delete in this order." in shown
    assert rehearsal.leftovers() == before


def test_a_sweep_with_yes_deletes_and_a_second_finds_nothing(
    rehearsal: Rehearsal, states: object, capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")
    install(rehearsal)
    code, found = run(capsys, "sweep", "--yes")
    assert (code, found["exit"]) == (0, 0)
    assert found["done"] == found["delete"]
    assert found["done"][:2] == ["release gdn-streaming", "namespace gdn-streaming"]
    assert found["left"] == []
    assert rehearsal.leftovers() == []
    assert run(capsys, "sweep")[0] == Exit.FINE


def test_a_sweep_of_a_live_stack_deletes_nothing_even_with_yes(
    rehearsal: Rehearsal, states: dict[str, State], capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    states["dev"] = rehearsal.state()
    before = rehearsal.leftovers()
    code, found = run(capsys, "sweep", "--yes")
    assert (code, found["done"]) == (Exit.FINE, [])
    assert {kept["owner"] for kept in found["kept"]} == {"ours"}
    assert rehearsal.leftovers() == before


def test_without_a_readable_state_a_sweep_wants_to_be_told_twice(
    rehearsal: Rehearsal, capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        return None

    monkeypatch.setattr("lls.operations.program.stack_file.shutil.which", missing)
    monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")
    before = rehearsal.leftovers()
    code, found = run(capsys, "sweep", "--yes")
    assert (code, found["delete"], found["done"]) == (Exit.FOUND, [], [])
    [states] = [
        finding for finding in found["findings"] if finding["check"] == "states" and finding["level"] == "unknown"
    ]
    assert "The Pulumi CLI is needed" in states["seen"]
    assert "--stateless" in states["remedy"]
    assert rehearsal.leftovers() == before
    assert run(capsys, "sweep", "--yes", "--stateless")[0] == Exit.FINE
    assert rehearsal.leftovers() == []


def test_adopt_writes_a_file_and_the_commands_that_use_it(
    rehearsal: Rehearsal, states: object, capsys: CAPTURED
) -> None:
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")
    code, found = run(capsys, "adopt")
    assert code == Exit.FINE
    assert found["file"] == ".lls/dev/import.json"
    written = json.loads(Path(found["file"]).read_text())
    assert len(written["resources"]) > len(found["adopt"]) > 5
    assert "node-ports-internal-udp-6004" in found["create"]
    assert any("pulumi import --stack dev --file .lls/dev/import.json" in command for command in found["commands"])
    main(["adopt", "--stack", "dev"])
    shown = capsys.readouterr().out
    assert "adopt   streaming-nlb: arn:" in shown
    assert "change  tags:" in shown
    assert "create  node-ports-internal-udp-6004" in shown


def test_adopt_writes_nothing_where_up_would_replace(rehearsal: Rehearsal, states: object, capsys: CAPTURED) -> None:
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a", static=True)
    code, found = run(capsys, "adopt")
    assert (code, found["file"]) == (Exit.FOUND, None)
    assert any("streaming interrupted" in finding["seen"] for finding in found["findings"])
    assert not Path(".lls/dev/import.json").exists()


def test_adopt_takes_nothing_that_an_up_may_be_making_and_says_how_to_go_on(
    rehearsal: Rehearsal, states: dict[str, State], capsys: CAPTURED
) -> None:
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")
    states["dev"] = State(pending=(Operation("creating", BALANCER, "streaming-nlb"),))
    code, found = run(capsys, "adopt")
    assert (code, found["adopt"], found["file"]) == (Exit.FOUND, [], None)
    [pending] = [
        finding for finding in found["findings"] if finding["level"] == "unknown" and finding["check"] == "states"
    ]
    assert "creating streaming-nlb" in pending["seen"]
    assert "pulumi stack export --stack dev | pulumi stack import --stack dev" in pending["remedy"]


def test_verify_and_check_clean_end_with_the_code_for_what_they_found(
    rehearsal: Rehearsal, states: dict[str, State], capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "check-clean")[0] == Exit.FINE
    code, found = run(capsys, "verify")
    assert code == Exit.FOUND
    assert any(finding["check"] == "nlb" for finding in found["findings"])
    rehearsal.engine.up()
    rehearsal.await_health()
    states["dev"] = rehearsal.state()
    assert run(capsys, "verify")[0] == Exit.FOUND  # the name resolves nowhere
    monkeypatch.setattr("lls.operations.verify.addresses_of", resolve)
    assert run(capsys, "verify")[0] == Exit.FINE
    assert run(capsys, "check-clean")[0] == Exit.FOUND


def test_mirror_copies_chart_and_image_between_the_registries_that_it_is_given(
    rehearsal: Rehearsal, capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGC_API_KEY", raising=False)
    image, chart = an_image(), a_chart()
    with Registry() as source, Registry() as destination:
        source.put("nvcf/streaming-proxy", "2.0.1", image)
        source.put("nvcf/gdn-streaming", "2.0.1", chart)
        arguments = ("mirror", "--source", f"{source.host}/nvcf", "--destination", f"{destination.host}/demo")
        code, found = run(capsys, *arguments)
        assert code == Exit.FINE
        assert {finding["check"] for finding in found["findings"]} == {"chart", "image"}
        assert destination.holds("demo/streaming-proxy", "2.0.1", image)
        assert destination.holds("demo/gdn-streaming", "2.0.1", chart)
        _, again = run(capsys, *arguments)
        assert all(finding["seen"].endswith("as it was") for finding in again["findings"])


def test_mirror_without_the_key_for_ngc_says_how_to_get_one(
    rehearsal: Rehearsal, capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGC_API_KEY", raising=False)
    code, found = run(capsys, "mirror")
    assert code == Exit.FAILED
    assert "NGC_API_KEY is not set in the environment" in found["error"]


def test_drift_exits_with_2_on_a_difference(rehearsal: Rehearsal, states: dict[str, State], capsys: CAPTURED) -> None:
    rehearsal.engine.up()
    states["dev"] = rehearsal.state()
    assert run(capsys, "drift")[0] == Exit.FINE
    del rehearsal.cluster.nodes["gpu-2"]
    code, found = run(capsys, "drift")
    assert code == Exit.FOUND
    assert [finding["check"] for finding in found["findings"]] == ["surplus"]


def test_graph_prints_just_the_drawing(capsys: CAPTURED) -> None:
    assert main(["graph", "--stack", "dev", "--format", "dot"]) == Exit.FINE
    assert capsys.readouterr().out.startswith("digraph ")
    _, found = run(capsys, "graph", "--order", "destroy")
    assert ["streaming-nlb", "streaming-sg"] in found["edges"]


def test_a_missing_stack_is_one_sentence(capsys: CAPTURED) -> None:
    assert main(["preflight", "--stack", "nosuch"]) == Exit.FAILED
    assert capsys.readouterr().err.startswith("--stack nosuch: there is no Pulumi.nosuch.yaml. Known stacks: dev")


def test_bad_options_are_failures_and_not_findings(capsys: CAPTURED) -> None:
    assert main(["verify", "--stack", "dev", "--wait", "soon"]) == Exit.FAILED
    assert "use 90s, 10m or 1h" in capsys.readouterr().err
    assert main(["verify"]) == Exit.FAILED
    assert main(["nosuch"]) == Exit.FAILED
    assert main(["graph", "--stack", "dev", "--format", "png"]) == Exit.FAILED


def test_an_interrupt_ends_with_a_sentence(capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.graph, "graph", interrupted)
    assert main(["graph", "--stack", "dev"]) == Exit.INTERRUPTED
    assert "Interrupted. Run the same command again to go on." in capsys.readouterr().err


def test_every_command_has_help_that_says_when_to_use_it(capsys: CAPTURED) -> None:
    assert main(["--help"]) == Exit.FINE
    shown = capsys.readouterr().out
    for command in ("preflight", "verify", "sweep", "adopt", "check-clean", "mirror", "drift", "graph"):
        assert f"  {command} " in shown
        assert main([command, "--help"]) == Exit.FINE
        assert "--stack" in capsys.readouterr().out
    assert "Exit codes: 0 fine" in shown


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_problems_and_what_could_not_be_judged_need_attention() -> None:
    assert outcome([ok("a", ""), note("b", "")]) == Exit.FINE
    assert outcome([ok("a", ""), unknown("c", "")]) == Exit.FOUND
    assert outcome([ok("a", ""), problem("d", "", "")]) == Exit.FOUND


def test_checks_run_in_parallel_keep_their_order_and_a_failing_one_is_a_finding() -> None:
    def fail() -> list[Finding]:
        raise ConnectionError("no route")

    with Screen(as_json=True) as screen:
        found = run_checks({"a": lambda: [ok("a", "1")], "b": fail, "c": lambda: []}, screen, (ConnectionError,))
    assert [(finding.check, finding.level, finding.seen) for finding in found] == [
        ("a", Level.OK, "1"),
        ("b", Level.UNKNOWN, "no route"),
    ]


def test_an_unforeseen_error_of_a_check_is_told_with_its_type_and_takes_no_other_finding_with_it() -> None:
    def broken() -> list[Finding]:
        return [ok("b", {"a": "1"}["no such\nkey"])]

    with Screen(as_json=True) as screen:
        found = run_checks({"a": lambda: [ok("a", "1")], "b": broken, "c": lambda: [ok("c", "2")]}, screen, ())
    assert [(finding.check, finding.level) for finding in found] == [
        ("a", Level.OK),
        ("b", Level.UNKNOWN),
        ("c", Level.OK),
    ]
    assert re.fullmatch(r"this check broke: KeyError \('no such\\nkey'\) at test_cli\.py:\d+", found[1].seen)
    assert outcome(found) is Exit.FOUND


def test_a_reason_that_several_checks_share_is_told_once_and_the_others_say_where() -> None:
    def fail() -> list[Finding]:
        raise ConnectionError("no token")

    def refuse() -> list[Finding]:
        raise ValueError("The nodes could not be asked: no token. Log in.")

    def other() -> list[Finding]:
        return [unknown("other", "left alone: no token")]

    checks = {
        "first": fail,
        "second": fail,
        "mistake": refuse,
        "other": other,
        "fine": lambda: [ok("fine", "a no token")],
    }
    found = run_checks(checks, Screen(as_json=True), (ConnectionError,), mistakes=(ValueError,))
    assert [finding.seen for finding in found] == [
        "no token",
        "see first",
        "The nodes could not be asked: see first. Log in.",
        "left alone: see first",
        "a no token",
    ]


def test_a_remedy_that_several_findings_share_is_shown_once(capsys: CAPTURED) -> None:
    with Screen(as_json=False) as screen:
        screen.findings([problem("x", "one", "do it"), problem("x", "two", "do it"), ok("y", "three")])
    assert capsys.readouterr().out.splitlines() == [
        "problem  x one",
        "problem  x two",
        "           -> do it",
        "ok       y three",
    ]
