"""What never answers, and a cluster whose token cannot be had: each command says so, once, and ends."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lls import waiting
from lls.cluster_api import ClusterApi
from lls.operations.cli import main
from lls.operations.report.finding import Exit
from lls.operations.world.proxy import Proxy
from lls.operations.world.registry import MirrorError, exists
from lls.operations.world.states import State
from lls.operations.world.stun import probe
from rehearsal.rehearse import Rehearsal
from tests.support.silent import put_on_path, silent_server
from tests.support.worlds import KnownStates, a_rehearsal, reached

CAPTURED = pytest.CaptureFixture[str]
DEV = {"lls:clusterName": "nvcf-dev"}
COMMANDS = ("preflight", "verify", "drift", "sweep", "adopt", "check-clean")
EXPIRED = "Token has expired and refresh failed: run aws sso login"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[State], None]:
    """Sets what the Pulumi CLI tells of the dev stack."""

    def tell(state: State) -> None:
        monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: KnownStates({"dev": state}))

    return tell


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a moment."""
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    monkeypatch.setattr("lls.cluster_api.QUESTION", waiting.TOKEN + 0.2)
    monkeypatch.setattr("lls.operations.program.stack_file.QUESTION", 0.2)


def expire(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let the token command fail; the answer is a file with a line for each time that it was run."""
    asked = folder / "asked"
    put_on_path(monkeypatch, folder / "bin", "aws", f"echo >> {asked}; echo '{EXPIRED}' >&2; exit 255")
    return asked


def run(command: str, captured: CAPTURED) -> tuple[int, str, str]:
    """A command on the dev stack: its exit code, and what it writes on standard output and standard error."""
    captured.readouterr()
    code = main([command, "--stack", "dev", "--json"])
    written = captured.readouterr()
    return code, written.out, written.err


def deploy(rehearsal: Rehearsal, known: Callable[[State], None], command: str) -> None:
    """Make the stack; to those who look for what is nobody's its state is empty."""
    rehearsal.engine.up()
    known(State() if command in ("sweep", "adopt") else rehearsal.state())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_token_that_cannot_be_had_is_told_once_and_asked_for_once(
    command: str,
    known: Callable[[State], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: CAPTURED,
) -> None:
    with a_rehearsal(DEV) as rehearsal, reached(rehearsal):
        deploy(rehearsal, known, command)
        asked = expire(monkeypatch, tmp_path)
        code, printed, shown = run(command, capfd)
    assert code in (Exit.FAILED, Exit.FOUND)
    assert json.loads(printed)["exit"] == code
    assert printed.count(EXPIRED) == 1
    assert "`aws eks get-token`" in printed
    assert "Unauthorized" not in printed
    assert [line for line in shown.splitlines() if EXPIRED not in line and not line.startswith("...")] == []
    assert asked.read_text() == "\n"


def test_an_up_without_a_token_is_one_sentence_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: CAPTURED
) -> None:
    with a_rehearsal() as rehearsal:
        asked = expire(monkeypatch, tmp_path)
        with pytest.raises(pulumi.RunError) as caught:
            rehearsal.engine.up()
        assert rehearsal.aws.leftovers() == ()
    assert str(caught.value) == (
        "Looking up nodes in the Kubernetes API failed: `aws eks get-token`, which fetches the cluster's token, "
        f"failed: {EXPIRED}: mend that (log in again, or update it), then run this again."
    )
    assert asked.read_text() == "\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_cluster_that_never_answers_is_named_while_it_is_waited_for_and_given_up(
    command: str, known: Callable[[State], None], capfd: CAPTURED
) -> None:
    with a_rehearsal(DEV) as rehearsal, reached(rehearsal):
        deploy(rehearsal, known, command)
        with rehearsal.kubernetes.outage("silent"):
            code, printed, shown = run(command, capfd)
        assert f"... waiting for the Kubernetes API at {rehearsal.kubernetes.endpoint}" in shown
    assert code in (Exit.FAILED, Exit.FOUND)
    assert printed.count("gave no answer within") == 1


@pytest.mark.parametrize("command", [*COMMANDS, "mirror"])
def test_an_aws_that_never_answers_is_named_while_it_is_waited_for_and_given_up(
    command: str, known: Callable[[State], None], monkeypatch: pytest.MonkeyPatch, capfd: CAPTURED
) -> None:
    with a_rehearsal(DEV) as rehearsal, reached(rehearsal):
        known(State())
        monkeypatch.setenv("NGC_API_KEY", "key")
        monkeypatch.setattr(waiting, "PATIENCE", 0.01)
        monkeypatch.setattr("lls.operations.world.account.QUESTION", 0.2)
        with rehearsal.aws.hang("sts:GetCallerIdentity"):
            code, printed, shown = run(command, capfd)
    assert code == Exit.FAILED
    assert "... waiting for AWS, sts:GetCallerIdentity" in shown
    assert "AWS gave no answer to sts:GetCallerIdentity" in json.loads(printed)["error"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pulumi_cli_that_never_answers_is_named_and_asked_once(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: CAPTURED
) -> None:
    asked = tmp_path / "asked"
    put_on_path(monkeypatch, tmp_path / "bin", "pulumi", f"echo >> {asked}; sleep 60")
    with a_rehearsal(DEV) as rehearsal, reached(rehearsal):
        rehearsal.engine.up()
        code, printed, shown = run(command, capfd)
    assert code in (Exit.FINE, Exit.FOUND)
    assert json.loads(printed)["exit"] == code
    assert "... waiting for `pulumi stack export --stack dev`" in shown
    assert asked.read_text() == "\n"


def test_a_registry_that_never_answers_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lls.operations.world.registry.REGISTRY_ANSWER", 0.1)
    with silent_server() as port, pytest.raises(MirrorError, match="no answer in time: check the way to it"):
        exists(f"127.0.0.1:{port}/charts/proxy", "1.0", {})


def test_a_registry_is_a_question_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lls.operations.world.registry.QUESTION", 0.1)
    with silent_server() as port, pytest.raises(MirrorError, match=rf"registry 127.0.0.1:{port} gave no answer within"):
        exists(f"127.0.0.1:{port}/charts/proxy", "1.0", {})


def test_a_helm_that_never_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lls.operations.world.proxy.UNINSTALL", 0.1)
    put_on_path(monkeypatch, tmp_path / "bin", "helm", "sleep 60")
    told = Proxy(ClusterApi(""), "gdn-streaming", "proxy").uninstall("", "")
    assert told == "`helm uninstall proxy` gave no answer within 0.1 seconds"


def test_a_name_server_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def resolve(*_: object, **__: object) -> list[Any]:
        never.wait()
        return []

    monkeypatch.setattr("lls.operations.world.stun.NAME", 0.1)
    monkeypatch.setattr("lls.operations.world.stun.socket.getaddrinfo", resolve)
    with pytest.raises(OSError, match=r"the address of nlb\.example gave no answer within 0\.1 seconds"):
        probe("nlb.example", 5004)
    never.set()


def findings(printed: str) -> list[dict[str, Any]]:
    return json.loads(printed)["findings"]


def test_what_needs_the_token_says_where_it_is_told_why(
    known: Callable[[State], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: CAPTURED
) -> None:
    with a_rehearsal(DEV) as rehearsal, reached(rehearsal):
        deploy(rehearsal, known, "preflight")
        expire(monkeypatch, tmp_path)
        _, printed, _ = run("preflight", capfd)
    seen = {finding["check"]: finding["seen"] for finding in findings(printed)}
    assert EXPIRED in seen["kubernetes"]
    assert seen["node ports"] == "see kubernetes"
    assert seen["nodes"] == "Looking up nodes in the Kubernetes API failed: see kubernetes"
