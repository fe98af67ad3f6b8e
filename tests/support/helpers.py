"""Credential helpers for tests."""

import os
from pathlib import Path

import pytest


def install_helper(name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `docker-credential-NAME` on the PATH: a shell script that gets `get`, and the server on its input."""
    command = Path("helpers", f"docker-credential-{name}").absolute()
    command.parent.mkdir(exist_ok=True)
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o700)
    if str(command.parent) not in os.environ["PATH"]:
        monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
