"""The proof on a real account, with the real Pulumi CLI and engine, in an emulated world."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rehearsal.shell import open_shell
from tests.support.real import a_real_rehearsal
from tests.support.recorded import as_config
from tests.support.steps import ALL

pytestmark = pytest.mark.usefixtures("pulumi")

INTERRUPTED = """
import os, pathlib, signal, subprocess, sys, time
said = pathlib.Path({said!r})
with said.open("w") as stderr:
    command = [sys.executable, "-m", "e2e", "--stack", "test", "--yes"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
    while process.poll() is None and "streaming-nlb creating" not in said.read_text():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    code = process.wait()
destroyed = subprocess.run(["pulumi", "destroy", "--yes", "--stack", "test"], stdout=subprocess.DEVNULL).returncode
sys.exit(code if destroyed == 0 else destroyed)
"""
"""Presses Ctrl-C while the load balancer is being made, then does what it is told to do."""


def in_a_shell(monkeypatch: pytest.MonkeyPatch, script: Path, text: str, *, factor: float) -> tuple[int, list[str]]:
    """The exit code of a Python script in the place of the user's shell, and what the world then has beside its own."""
    script.write_text(f"#!{sys.executable}\n{text}")
    script.chmod(0o700)
    monkeypatch.setenv("SHELL", str(script))
    with a_real_rehearsal(as_config(staticIp=True), script.parent, factor=factor) as rehearsal:
        code = open_shell(rehearsal, Console(file=StringIO()))
        return code, [*rehearsal.aws.leftovers(), *rehearsal.cluster.leftovers()]


def test_a_run_with_the_real_cli_holds_but_for_the_name_that_no_name_server_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.json"
    arguments = ["-m", "e2e", "--stack", "test", "--yes", "--json", "--report", str(report)]
    text = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, *{arguments!r}]).returncode)"
    code, left = in_a_shell(monkeypatch, tmp_path / "shell", text, factor=150)
    told: Any = json.loads(report.read_text())
    assert [step["step"] for step in told["steps"]] == ALL
    wrong = [finding for finding in told["findings"] if finding["level"] in ("problem", "unknown")]
    assert [finding["check"] for finding in wrong] == ["dns"], wrong
    assert (code, left) == (2, [])
    assert not [finding for finding in told["findings"] if "not tried" in finding["seen"]]


def test_a_run_that_is_interrupted_amid_up_leaves_the_stack_unlocked_and_known_to_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    code, left = in_a_shell(monkeypatch, tmp_path / "shell", INTERRUPTED.format(said=str(said)), factor=30)
    assert "Interrupted. What was made stands, and costs. Clean up: make destroy STACK=test" in said.read_text()
    assert (code, left) == (130, [])
