"""One rehearsal from the command line, with exit codes."""

import argparse
import sys
import threading

import yaml
from pulumi import RunError
from pydantic import ValidationError
from rich.console import Console

from lls.config.values import in_words
from lls.operations.program.stack_file import StackError
from rehearsal.display import Display, Silence, as_json
from rehearsal.engine.engine import StepsFailedError
from rehearsal.kubernetes.api import kubeconfig_for
from rehearsal.rehearse import Rehearsal
from rehearsal.stack_world import stack_to_rehearse, world_for
from rehearsal.world import DEFAULT_WORLD

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
        with Rehearsal(stack, world, factor=options.factor) as rehearsal:
            if options.json:
                report = rehearsal.perform(Silence())
                sys.stdout.write(as_json(report) + "\n")
            else:
                output.print(f"Rehearsing stack [bold]{stack.name}[/] {options.factor:g} times faster than AWS")
                with Display(output) as screen:
                    report = rehearsal.perform(screen)
            if options.keep:
                _keep(rehearsal, notes)
    except (RunError, StepsFailedError) as error:
        _say(notes, str(error))
        return BROKEN
    except KeyboardInterrupt:
        _say(notes, "Interrupted. The emulated world is gone; nothing else was touched.")
        return INTERRUPTED
    return HELD if report.held else BROKEN


def _say(console: Console, message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _keep(rehearsal: Rehearsal, console: Console) -> None:
    """Serve the emulated world until interrupted."""
    world, commands = rehearsal.world, rehearsal.commands
    rehearsal.kubernetes.lets_anyone_in = True  # kubectl never sends a token without TLS
    kubeconfig = commands / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(kubeconfig_for(rehearsal.kubernetes.endpoint, world.cluster))
    _say(
        console,
        f"The emulated AWS and cluster {world.cluster} keep running until Ctrl-C. For aws, kubectl and python -m lls:\n"
        f"  export AWS_ENDPOINT_URL={rehearsal.aws.endpoint}\n"
        f"  export AWS_REGION={world.region} AWS_DEFAULT_REGION={world.region}\n"
        "  export AWS_ACCESS_KEY_ID=rehearsal AWS_SECRET_ACCESS_KEY=rehearsal\n"
        f"  export PATH={commands}:$PATH KUBECONFIG={kubeconfig}",
    )
    try:
        wait_for_interrupt()
    except KeyboardInterrupt:
        _say(console, "stopped")


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C."""
    threading.Event().wait()
