"""The command line. Each command opens a stack, does its work, and ends with an exit code of `Exit`."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import pulumi
import typer

from lls.lines import Extra, LineName
from lls.operations import adopt, check_clean, drift, graph, mirror, preflight, sweep, verify
from lls.operations.program.stack_file import StackError, read_stack
from lls.operations.report.clock import RealClock
from lls.operations.report.finding import Exit, Outcome
from lls.operations.report.screen import Screen, as_facts
from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.proxy import CLUSTER_FAILURES
from lls.operations.world.registry import MirrorError

FAILURES = (MirrorError, StackError, pulumi.RunError, AwsError, *CLUSTER_FAILURES)

app = typer.Typer(
    name="python -m lls",
    help="What to do before and after `up`: check, diagnose, take over, clean up.",
    epilog="Exit codes: 0 fine; 1 the command could not do its work; 2 it did, and something needs attention; "
    "130 interrupted. AWS is reached as the aws: keys of the stack say, else as the environment does.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack whose Pulumi.NAME.yaml is read.")]
Stateless = Annotated[
    bool,
    typer.Option(
        "--stateless", help="Take for nobody's what no state that can be read owns, although not every state can be."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def duration(text: str) -> float:
    """Seconds of 90, 90s, 10m or 1h."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration: use 90s, 10m or 1h")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


@app.command("preflight")
def run_preflight(stack: StackName, json: AsJson = False) -> Exit:
    """Before `up`: find what would make it fail, or succeed and not stream.

    Checks credentials, permissions, cluster, zone, subnet, quotas, names, security groups, nodes, NodePorts,
    chart and image, and what an earlier installation left. Changes nothing.
    """
    return _run("preflight", stack, json, lambda of, screen: preflight.run(of, screen))


@app.command("verify")
def run_verify(
    stack: StackName,
    wait: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="DURATION", help="Wait so long until all is healthy: 90s, 10m, 1h."),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Send a STUN binding request over UDP to the public endpoint.")
    ] = False,
    json: AsJson = False,
) -> Exit:
    """After `up`: tell whether the stack streams, and if not, why (the guide's steps 2.9 and 6).

    Walks the path of media and health checks: load balancer, listener, target health, security groups, network
    ACLs, routes, NodePorts, pods, logs. Each cause comes with the command that mends it. Changes nothing.
    """
    return _run("verify", stack, json, lambda of, screen: verify.run(of, screen, RealClock(), wait=wait, probe=probe))


@app.command("sweep")
def run_sweep(
    stack: StackName,
    yes: Annotated[bool, typer.Option("--yes", help="Really delete. Without it nothing is changed.")] = False,
    stateless: Stateless = False,
    json: AsJson = False,
) -> Exit:
    """After a lost state or a hand-made installation: finish the guide's clean-up, by tags.

    Lists what carries the installation's tags, the rules that let its traffic into the nodes, the release and its
    namespace, in the order in which it goes. What a stack's state owns is never touched, whichever project's it is;
    where it cannot be told whether one does, nothing is. A plan that would break something else stops before it begins.
    """
    return _run(
        "sweep", stack, json, lambda of, screen: sweep.run(of, screen, RealClock(), yes=yes, stateless=stateless)
    )


@app.command("adopt")
def run_adopt(
    stack: StackName,
    file: Annotated[
        Path | None, typer.Option(help="Where to write the import file (default: .lls/STACK/import.json).")
    ] = None,
    stateless: Stateless = False,
    json: AsJson = False,
) -> Exit:
    """Hand what the guide's commands, or a killed run, left in AWS to this stack.

    Compares what the program describes with what exists, says what differs, and writes a file for
    `pulumi import --file`. The `up` after it changes in place and adds what is missing; nothing is replaced.
    What another stack owns, or may own, is not taken over.
    """
    return _run("adopt", stack, json, lambda of, screen: adopt.run(of, screen, file=file, stateless=stateless))


@app.command("drift")
def run_drift(stack: StackName, json: AsJson = False) -> Exit:
    """Tell whether the registered targets are still the nodes that should be, and what `up` would do about it.

    Exits with 2 on a difference: fit for a cron job. Changes nothing.
    """
    return _run("drift", stack, json, drift.run)


@app.command("mirror")
def run_mirror(
    stack: StackName,
    line: Annotated[
        LineName | None, typer.Option(help="A line of NVIDIA's: its versions and its path, instead of the config's.")
    ] = None,
    extras: Annotated[
        list[Extra] | None, typer.Option("--with", help="Also this image of the line; may be given twice.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="HOST/PATH that has chart and image, instead of NVIDIA's of the line.")
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="HOST/PATH to copy to, instead of where the stack looks.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be copied and created.")] = False,
    json: AsJson = False,
) -> Exit:
    """Copy chart and image from NVIDIA's registry to the stack's own (the guide's step 1).

    All platforms, byte for byte, with every digest checked. Missing ECR repositories are created, with immutable
    tags and scans on push. What is there already is skipped, so an interrupted run goes on where it was. The key
    comes from NGC_API_KEY in the environment; other logins from the auth file of lls:registryConfig. With a line
    nothing of the config changes: it is told which keys deploy it.
    """
    return _run(
        "mirror",
        stack,
        json,
        lambda of, screen: mirror.run(
            of,
            screen,
            source=source,
            destination=destination,
            line=line,
            extras=dict.fromkeys(extras or ()),
            dry_run=dry_run,
            environ=os.environ,
        ),
    )


@app.command("check-clean")
def run_check_clean(stack: StackName, json: AsJson = False) -> Exit:
    """After `destroy`: tell what is left (the guide's final verification).

    Goes by tags and by the stack's state, not by parts of names; looks into the cluster too, and for the role
    of NVIDIA's Terraform module.
    """
    return _run("check-clean", stack, json, check_clean.run)


@app.command("graph")
def run_graph(
    stack: StackName,
    format: Annotated[graph.Format, typer.Option(help="Text for Mermaid or Graphviz.")] = "mermaid",  # noqa: A002
    order: Annotated[graph.Order, typer.Option(help="What arrows mean: made before, or deleted before.")] = "create",
    whole: Annotated[bool, typer.Option("--whole", help="Also the arrows that others imply.")] = False,
    json: AsJson = False,
) -> Exit:
    """Show the stack's resources and the order between them, recorded from the program itself.

    Needs no account and no state: one target stands for all.
    """
    with Screen(as_json=json) as screen:
        done = graph.run(read_stack(stack), screen, format=format, order=order, whole=whole)
        return _conclude(screen, "graph", stack, done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return end_with_code(app, words, next(iter(words), ""), interrupted="Run the same command again to go on.")


def end_with_code(commands: typer.Typer, words: Sequence[str], command: str, *, interrupted: str) -> int:
    """Run a command line to its exit code; what a user can mend, or did, is told in a sentence."""
    try:
        code = int(commands(list(words), standalone_mode=False) or 0)
    except typer.TyperException as error:
        cast(Any, error).show()
        return Exit.FAILED
    except FAILURES as error:
        with Screen(as_json="--json" in words) as screen:
            screen.say(str(error))
            screen.result(command, "", Exit.FAILED, error=str(error))
        return Exit.FAILED
    if code == Exit.INTERRUPTED and interrupted:
        sys.stderr.write(f"Interrupted. {interrupted}\n")
    return code


def _run(command: str, stack: str, as_json: bool, run: Callable[[Installation, Screen], Outcome]) -> Exit:
    """Open the stack, run a command on it, show how it ended."""
    with Screen(as_json=as_json) as screen:
        return _conclude(screen, command, stack, run(Installation.open(stack), screen))


def _conclude(screen: Screen, command: str, stack: str, done: Outcome) -> Exit:
    screen.findings(done.findings)
    screen.result(command, stack, done.exit, findings=as_facts(done.findings), **done.facts)
    return done.exit
