"""`python -m rehearsal`: rehearse a stack and exit with 0 only if all of it held."""

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import yaml
from pulumi import RunError
from pydantic import ValidationError
from rich.console import Console

from rehearsal.engine import StepsFailedError
from rehearsal.rehearse import FACTOR, Rehearsal, check_config
from rehearsal.screen import Screen, Silence, as_json
from rehearsal.stack import StackError, read_stack, world_for
from rehearsal.world import DEFAULT_WORLD

HELD, BROKEN, REFUSED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse one stack; 0: everything held, 1: something did not, 2: it could not begin."""
    options = _parser().parse_args(arguments)
    output, notes = Console(), Console(stderr=True)
    try:
        stack = read_stack(options.stack)
        check_config(stack)
        world = world_for(stack, options.world.read_text())
    except (StackError, RunError, OSError) as error:
        notes.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return REFUSED
    except (ValidationError, yaml.YAMLError) as error:
        notes.print(f"--world {options.world}: {error}", markup=False, highlight=False, soft_wrap=True)
        return REFUSED
    with Rehearsal(stack, world, factor=options.factor) as rehearsal:
        if not options.json:
            output.print(f"Rehearsing stack [bold]{stack.name}[/] {options.factor:g} times faster than AWS")
        try:
            if options.json:
                report = rehearsal.perform(Silence())
            else:
                with Screen(output) as screen:
                    report = rehearsal.perform(screen)
        except (RunError, StepsFailedError) as error:
            notes.print(str(error), markup=False, highlight=False, soft_wrap=True)
            return BROKEN
        if options.json:
            sys.stdout.write(as_json(report) + "\n")
        if options.keep:
            _keep(rehearsal, notes)
    return HELD if report.held else BROKEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description="Run a stack against an emulated AWS and Kubernetes: up, health, up again, destroy, leftovers.",
        epilog="Exit codes: 0 everything held, 1 something did not, 2 the stack or the world cannot be rehearsed.",
    )
    parser.add_argument("--stack", default="dev", help="the stack whose Pulumi.NAME.yaml is read (default: dev)")
    parser.add_argument(
        "--world", type=Path, default=DEFAULT_WORLD, help="a world file (default: rehearsal/world.yaml)"
    )
    parser.add_argument("--factor", type=float, default=FACTOR, help=f"how much faster than AWS (default: {FACTOR:g})")
    parser.add_argument("--keep", action="store_true", help="leave the emulated AWS running, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _keep(rehearsal: Rehearsal, console: Console) -> None:
    """Serve the emulated world until interrupted."""
    world = rehearsal.world
    console.print(
        f"The emulated AWS and cluster {world.cluster} keep running until Ctrl-C. To use them:\n"
        f"  export AWS_ENDPOINT_URL={rehearsal.aws.endpoint}\n"
        f"  export AWS_REGION={world.region} AWS_DEFAULT_REGION={world.region}\n"
        "  export AWS_ACCESS_KEY_ID=rehearsal AWS_SECRET_ACCESS_KEY=rehearsal\n"
        f"  # Kubernetes API (nodes): {rehearsal.cluster.endpoint}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    try:
        wait_for_interrupt()
    except KeyboardInterrupt:
        console.print("stopped")


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C."""
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
