"""The Pulumi CLI at work on a stack, with its own output shown."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lls.operations.program.stack_file import PROJECT, find_cli
from lls.waiting import wait_out

Pulumi = Callable[..., int]
"""Runs the Pulumi CLI with some arguments; the answer is its exit code.

Raises NoCliError, and KeyboardInterrupt once the CLI has ended after a Ctrl-C.
"""


def run_pulumi(*arguments: str) -> int:
    """Run the CLI as `make up` does. What it prints goes to standard error, as all that is no result.

    A Ctrl-C reaches the CLI too, which ends by itself and keeps in the state what it made: nobody kills it before.
    """
    command = find_cli("to make and destroy the stack")
    environment = {
        **os.environ,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Beside the project's own CLI lies what it runs programs with.
        "PATH": f"{os.environ.get('PATH', '')}{os.pathsep}{Path(command).parent}",
    }
    process = subprocess.Popen([command, *arguments], cwd=PROJECT, env=environment, stdout=sys.stderr)  # noqa: S603
    return wait_out(process)
