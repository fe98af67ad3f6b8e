"""The command line of the proof."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from e2e.pulumi_cli import run_pulumi
from e2e.run import EndToEnd
from lls.operations.cli import AsJson, StackName, duration, end_with_code
from lls.operations.report.clock import RealClock
from lls.operations.report.finding import Exit
from lls.operations.report.screen import Screen, as_facts

WAIT: Final = 600.0
"""Seconds that targets may take to become healthy: four times AWS's five checks of 30 s."""

app = typer.Typer(
    name="python -m e2e",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command(
    epilog="Exit codes: 0 all of it held; 1 it could not be done, or was not agreed to; 2 something did not hold, or "
    "is left; 130 interrupted. AWS and the Pulumi backend are reached as the commands of python -m lls reach them."
)
def run_end_to_end(
    stack: StackName,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: make the stack, and destroy it whatever fails.")
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            parser=duration, metavar="DURATION", help="How long targets may take to become healthy (default: 10m)."
        ),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Also send a STUN binding request to the endpoint.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the result as JSON to this file.")] = None,
    json_: AsJson = False,
) -> Exit:
    """Prove a stack on a real account: preflight, up, verify, drift, no changes, refusals, destroy, check-clean.

    Makes the stack from nothing, in the account, the cluster and the Pulumi backend that it is about, and refuses
    where anything of it exists. Says what that costs, and asks. What is not the stack's is not touched.
    """
    run = EndToEnd(
        stack,
        lambda: Screen(as_json=json_),
        run_pulumi,
        RealClock(),
        ask=_ask,
        yes=yes,
        wait=WAIT if wait is None else wait,
        probe=probe,
    )
    done = run.run()
    facts: dict[str, Any] = {"findings": as_facts(done.findings), **done.facts}
    if report:
        told = {"command": "e2e", "stack": stack, "exit": int(done.exit), **facts}
        report.write_text(json.dumps(told, indent=2) + "\n")
    Screen(as_json=json_).result("e2e", stack, done.exit, **facts)
    return done.exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the answer is the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return end_with_code(app, words, "e2e", interrupted="")


def _ask(question: str) -> str:
    """What the user types; nothing where nobody is there."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
