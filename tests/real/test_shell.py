"""The shell in an emulated world, as somebody uses it who has the Pulumi CLI."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lls.operations.program.stack_file import PROJECT

pytestmark = pytest.mark.usefixtures("pulumi")

SESSION = """
pulumi up --yes --skip-preview --stack dev || exit 1
python -m lls verify --stack dev --json > "$ANSWERS/verify"
helm -n gdn-streaming status gdn-streaming --output json > "$ANSWERS/helm" || exit 1
pulumi destroy --yes --skip-preview --stack dev || exit 1
python -m lls check-clean --stack dev --json > "$ANSWERS/check-clean" || exit 1
exit 7
"""


def found_in(folder: Path) -> Mapping[Path, bytes]:
    """What a session could have changed in the user's folder."""
    stacks = {path: path.read_bytes() for path in folder.glob("Pulumi.*yaml")}
    return stacks | {path: path.read_bytes() for path in (folder / ".lls").rglob("*") if path.is_file()}


def test_a_session_in_the_shell_goes_from_up_to_clean_and_leaves_nothing_in_the_users_folder(tmp_path: Path) -> None:
    before = found_in(PROJECT)
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--shell", "--stack", "dev", "--factor", "1000"],
        cwd=PROJECT,
        env={**os.environ, "SHELL": "/bin/sh", "ANSWERS": str(tmp_path)},
        input=SESSION,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stdout + done.stderr
    answers: Mapping[str, Any] = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    seen = {command: answers[command]["findings"] for command in ("verify", "check-clean")}
    assert not [finding for findings in seen.values() for finding in findings if finding["level"] == "problem"]
    assert "targets" in {finding["check"] for finding in seen["verify"]}
    assert answers["helm"]["info"]["status"] == "deployed"
    assert found_in(PROJECT) == before
