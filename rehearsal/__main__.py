"""`python -m rehearsal`: rehearse a stack and exit with 0 only if all of it held."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options and rehearse; the answer is the exit code."""
    options = _parser().parse_args(arguments)
    sys.stderr.write(f"Preparing an emulated AWS and Kubernetes for stack {options.stack}\n")
    # The SDKs take seconds to import: say something first.
    from rehearsal.command import run

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description="Run a stack against an emulated AWS and Kubernetes: up, health, up again, destroy, leftovers.",
        epilog="Exit codes: 0 everything held, 1 something did not, 2 the stack or the world cannot be rehearsed.",
    )
    parser.add_argument("--stack", default="dev", help="the stack whose Pulumi.NAME.yaml is read (default: dev)")
    parser.add_argument("--world", type=Path, help="a world file (default: rehearsal/world.yaml)")
    parser.add_argument("--factor", type=_speed, default=150.0, help="how much faster than AWS (default: 150)")
    parser.add_argument(
        "--engine",
        choices=("own", "pulumi", "both"),
        default="own",
        help="what runs the program: an engine of the rehearsal's own, which needs nothing, the Pulumi CLI, or one "
        "after the other, compared (default: own)",
    )
    parser.add_argument(
        "--break",
        dest="outage",
        choices=("proxy",),
        help="break it on the way, and show which alarms go off: the stack needs lls:alarmTopicArn",
    )
    parser.add_argument(
        "--shell",
        action="store_true",
        help="rehearse nothing: open a shell in which pulumi, aws, kubectl and python -m lls work against the world",
    )
    parser.add_argument("--keep", action="store_true", help="leave the emulated AWS running, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _speed(text: str) -> float:
    factor = float(text)
    if not factor > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return factor


if __name__ == "__main__":
    sys.exit(main())
