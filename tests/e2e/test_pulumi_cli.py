"""The Pulumi CLI as the proof runs it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e.pulumi_cli import run_pulumi
from lls.operations.program.stack_file import PROJECT, NoCliError
from tests.support.silent import put_on_path


def test_the_cli_runs_in_the_projects_folder_and_what_it_prints_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    put_on_path(monkeypatch, tmp_path / "bin", "pulumi", 'echo "$PWD $PATH $PULUMI_SKIP_UPDATE_CHECK: $*"; exit 7')
    assert run_pulumi("up", "--yes", "--stack", "dev") == 7
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{PROJECT} {tmp_path / 'bin'}:")
    assert printed.err.endswith(" true: up --yes --stack dev\n")


def test_an_interrupt_waits_until_the_cli_has_ended_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    wait = subprocess.Popen[bytes].wait

    def interrupted(process: Any) -> int:
        waited.append("interrupted" if not waited else "again")
        if len(waited) == 1:
            raise KeyboardInterrupt
        return wait(process)

    put_on_path(monkeypatch, tmp_path / "bin", "pulumi", f"sleep 0.1; echo ended > {tmp_path / 'ended'}")
    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_pulumi("up")
    assert waited == ["interrupted", "again"]
    assert (tmp_path / "ended").is_file()


def test_without_a_cli_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        return None

    monkeypatch.setattr("lls.operations.program.stack_file.shutil.which", missing)
    monkeypatch.setattr("lls.operations.program.stack_file.PROJECT", Path("nowhere"))
    with pytest.raises(NoCliError, match="docs/install"):
        run_pulumi("up")
