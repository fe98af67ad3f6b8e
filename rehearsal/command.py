"""One rehearsal from the command line, with exit codes."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import yaml
from pulumi import RunError
from pydantic import ValidationError
from rich.console import Console

from lls.config.values import in_words
from lls.operations.program.stack_file import Stack, StackError, find_cli
from rehearsal.compare import compared
from rehearsal.display import Display, Silence, as_json, both_as_json, say
from rehearsal.engine.engine import StepsFailedError
from rehearsal.real import RealRehearsal
from rehearsal.rehearse import Rehearsal, Report
from rehearsal.shell import keep, open_shell
from rehearsal.stack_world import stack_to_rehearse, world_for
from rehearsal.world import DEFAULT_WORLD, World

ENGINES: Final[Mapping[str, Sequence[str]]] = {"own": ("own",), "pulumi": ("pulumi",), "both": ("own", "pulumi")}
"""The engines of each choice, one after the other."""

ENGINE_NAMES: Final = {"own": "an engine of its own", "pulumi": "the real engine"}

HELD, BROKEN, REFUSED, INTERRUPTED = 0, 1, 2, 130


def run(options: argparse.Namespace) -> int:
    """Rehearse the stack that the options name; the answer is the exit code."""
    notes = Console(stderr=True)

    def refuse(message: str) -> int:
        say(notes, message)
        return REFUSED

    path = options.world or DEFAULT_WORLD
    try:
        stack = stack_to_rehearse(options.stack)
        stack.parsed()
        if options.outage and not stack.parsed().alarm_topic_arn:
            return refuse("--break shows which alarm goes off, and this stack has none: set lls:alarmTopicArn.")
        if options.shell or options.engine != "own":
            find_cli("to rehearse on the real engine")
        world = world_for(stack, path.read_text())
    except (StackError, RunError, OSError) as error:
        return refuse(str(error))
    except yaml.YAMLError as error:
        return refuse(f"--world {path}: {error}.")
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {in_words(problem)}" for problem in error.errors())
        return refuse(f"--world {path}: {'; '.join(problems)}.")
    try:
        if options.shell:
            with RealRehearsal(stack, world, factor=options.factor) as rehearsal:
                return open_shell(rehearsal, notes)
        reports = [_perform(engine, options, stack, world) for engine in ENGINES[options.engine]]
        held = all(report.held for report in reports)
        if len(reports) == 2:
            held &= _compare(*reports, as_json=options.json)
    except StackError as error:
        return refuse(str(error))
    except (RunError, StepsFailedError) as error:
        say(notes, str(error))
        return BROKEN
    except KeyboardInterrupt:
        say(notes, "Interrupted. The emulated world is gone; nothing else was touched.")
        return INTERRUPTED
    return HELD if held else BROKEN


def _compare(own: Report, real: Report, *, as_json: bool) -> bool:
    """Show both reports side by side; whether both engines did the same."""
    checks = compared(own, real)
    if as_json:
        sys.stdout.write(both_as_json(own, real, checks) + "\n")
    else:
        Display(Console()).side_by_side(own, real, checks)
    return all(check.held for check in checks)


def _perform(engine: str, options: argparse.Namespace, stack: Stack, world: World) -> Report:
    """Rehearse on one engine. Raises NoCliError, RunError and StepsFailedError."""
    console = Console()
    with _rehearsal(engine, options, stack, world) as rehearsal:
        if options.json:
            report = rehearsal.perform(Silence(), outage=bool(options.outage))
            if len(ENGINES[options.engine]) == 1:
                sys.stdout.write(as_json(report) + "\n")
        else:
            speed = f"{options.factor:g} times faster than AWS"
            console.print(f"Rehearsing stack [bold]{stack.name}[/] {speed}, on {ENGINE_NAMES[engine]}")
            with Display(console, live=engine == "own") as screen:
                report = rehearsal.perform(screen, outage=bool(options.outage))
        if options.keep and engine == ENGINES[options.engine][-1]:
            keep(rehearsal, Console(stderr=True))
    return report


def _rehearsal(engine: str, options: argparse.Namespace, stack: Stack, world: World) -> Rehearsal:
    if engine == "own":
        return Rehearsal(stack, world, factor=options.factor)
    # What the Pulumi CLI prints must not come between the report's lines.
    output = sys.stderr if options.json else None
    return RealRehearsal(stack, world, factor=options.factor, output=output)
