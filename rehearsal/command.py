"""One rehearsal from the command line, with exit codes."""

import argparse
import sys

import yaml
from pulumi import RunError
from pydantic import ValidationError
from rich.console import Console

from lls.config.values import in_words
from lls.operations.program.stack_file import Stack, StackError
from rehearsal.display import Display, Silence, as_json
from rehearsal.engine.engine import StepsFailedError
from rehearsal.real import RealRehearsal
from rehearsal.rehearse import Rehearsal
from rehearsal.shell import keep, open_shell
from rehearsal.stack_world import stack_to_rehearse, world_for
from rehearsal.world import DEFAULT_WORLD, World

HELD, BROKEN, REFUSED, INTERRUPTED = 0, 1, 2, 130


def run(options: argparse.Namespace) -> int:
    """Rehearse the stack that the options name; the answer is the exit code."""
    output, notes = Console(), Console(stderr=True)

    def refuse(message: str) -> int:
        _say(notes, message)
        return REFUSED

    path = options.world or DEFAULT_WORLD
    try:
        stack = stack_to_rehearse(options.stack)
        stack.parsed()
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
        with _rehearsal(options, stack, world) as rehearsal:
            if options.json:
                report = rehearsal.perform(Silence())
                sys.stdout.write(as_json(report) + "\n")
            else:
                output.print(f"Rehearsing stack [bold]{stack.name}[/] {options.factor:g} times faster than AWS")
                with Display(output, live=options.engine == "own") as screen:
                    report = rehearsal.perform(screen)
            if options.keep:
                keep(rehearsal, notes)
    except StackError as error:
        return refuse(str(error))
    except (RunError, StepsFailedError) as error:
        _say(notes, str(error))
        return BROKEN
    except KeyboardInterrupt:
        _say(notes, "Interrupted. The emulated world is gone; nothing else was touched.")
        return INTERRUPTED
    return HELD if report.held else BROKEN


def _rehearsal(options: argparse.Namespace, stack: Stack, world: World) -> Rehearsal:
    """The rehearsal on the engine that is asked for. Raises NoCliError."""
    if options.engine == "own":
        return Rehearsal(stack, world, factor=options.factor)
    # What the Pulumi CLI prints must not come between the report's lines.
    output = sys.stderr if options.json else None
    return RealRehearsal(stack, world, factor=options.factor, output=output)


def _say(console: Console, message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)
