"""The command line. Each command opens a stack, does its work, and ends with an exit code of `Exit`."""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, cast

import pulumi
import typer

from lls import guide
from lls.operations import adopt as adoption
from lls.operations import graph as graphs
from lls.operations import mirror_stack as mirroring
from lls.operations import stun
from lls.operations import sweep as sweeping
from lls.operations.account import AwsError
from lls.operations.check_clean import check_clean as look_for_rests
from lls.operations.drift import drift as compare_targets
from lls.operations.finding import Exit, Finding, note, outcome, problem, unknown
from lls.operations.installation import Installation
from lls.operations.inventory import Inventory
from lls.operations.mirror import NGC_SOURCE, MirrorError
from lls.operations.preflight import Preflight
from lls.operations.proxy import CLUSTER_FAILURES
from lls.operations.recording import Properties
from lls.operations.screen import Screen, as_facts
from lls.operations.stack import NoCliError, StackError, State, read_stack
from lls.operations.verify import Verification, deregistration, judge_probe

FAILURES = (MirrorError, StackError, pulumi.RunError, AwsError, *CLUSTER_FAILURES)

app = typer.Typer(
    name="python -m lls",
    help="What to do before and after `up`: check, diagnose, take over, clean up.",
    epilog="Exit codes: 0 fine; 1 the command could not do its work; 2 it did, and something needs attention; "
    "130 interrupted. AWS is reached as aws:region and aws:profile of the stack say, or as the environment does.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack whose Pulumi.NAME.yaml is read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


class Clock:
    """The real time."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def duration(text: str) -> float:
    """Seconds of 90, 90s, 10m or 1h."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration: use 90s, 10m or 1h")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


@app.command()
def preflight(stack: StackName, json: AsJson = False) -> Exit:
    """Before `up`: find what would make it fail, or succeed and not stream.

    Checks credentials, permissions, cluster, zone, subnet, quotas, names, security groups, nodes, NodePorts,
    chart and image, and what an earlier installation left. Changes nothing.
    """
    with Screen(as_json=json) as screen:
        found = Preflight(Installation.open(stack)).run(screen)
        return _conclude(screen, "preflight", stack, found)


@app.command()
def verify(
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
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        outputs, notes = _outputs(installation)
        verification = Verification(installation, outputs)
        if wait is not None:
            screen.began("waiting until all targets are healthy")
            verification.wait(wait, Clock(), screen)
            screen.ended("waiting until all targets are healthy")
        found = [*notes, *verification.run(screen)]
        if probe:
            found.append(_probe(verification, installation, screen))
        return _conclude(screen, "verify", stack, found)


@app.command()
def sweep(
    stack: StackName,
    yes: Annotated[bool, typer.Option("--yes", help="Really delete. Without it nothing is changed.")] = False,
    stateless: Annotated[
        bool,
        typer.Option("--stateless", help="Delete although no Pulumi state could be read to see what a stack owns."),
    ] = False,
    json: AsJson = False,
) -> Exit:
    """After a lost state or a hand-made installation: finish the guide's clean-up, by tags.

    Lists what carries both lls:cluster=CLUSTER and lls:managed-by=customer, the rules that name its group, the
    release and its namespace, in the order in which it goes. What a stack's state owns is never touched.
    """
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        states, notes = _states(installation)
        plan = sweeping.plan(Inventory(installation.account), installation.config.cluster_name, states)
        cluster, more = _cluster_plan(installation, states)
        notes += more
        _show_plan(screen, plan, cluster)
        facts: dict[str, Any] = {
            "delete": [str(each) for each in plan.delete],
            "kept": [{"thing": str(each.thing), "why": each.why, "remedy": each.remedy} for each in plan.kept],
            "cluster": [*_names(cluster)],
        }
        if not yes:
            screen.print("\nNothing was deleted: this was a dry run. Add --yes to delete in this order.")
            todo = plan.delete or plan.unresolved or _names(cluster)
            return _conclude(screen, "sweep", stack, notes, Exit.FOUND if todo else None, done=[], **facts)
        if notes and not stateless and any(each.check == "state" for each in notes):
            raise StackError(f"{notes[0].seen}. If you know that no stack owns what is listed, add --stateless.")
        try:
            stopped = sweeping.carry_out_cluster(cluster, installation, Clock(), screen)
            sweeping.carry_out(plan, installation.account, Clock(), screen)
        except (KeyboardInterrupt, AwsError):
            screen.say(_so_far(plan))
            raise
        if stopped:
            notes.append(problem("kubernetes", stopped, "delete it by hand, or install helm and run this again"))
        left = Exit.FOUND if plan.unresolved or stopped else None
        return _conclude(screen, "sweep", stack, notes, left, done=[str(each) for each in plan.done], **facts)


@app.command()
def adopt(
    stack: StackName,
    file: Annotated[
        Path | None, typer.Option(help="Where to write the import file (default: .lls/STACK/import.json).")
    ] = None,
    json: AsJson = False,
) -> Exit:
    """Hand what the guide's commands, or a killed run, left in AWS to this stack.

    Compares what the program describes with what exists, says what differs, and writes a file for
    `pulumi import --file`. The `up` after it changes in place and adds what is missing; nothing is replaced.
    """
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        notes: list[Finding] = []
        try:
            state = installation.state()
        except NoCliError as error:
            state = State()
            notes.append(note("state", f"{error} This stack's state is taken to be empty."))
        screen.began("comparing the program with what exists")
        found = adoption.find(installation, state)
        screen.ended("comparing the program with what exists")
        notes += _judge_adoption(found, stack, state)
        facts = _show_adoption(screen, found)
        if not found.matches or found.interrupting or found.conflicts:
            return _conclude(screen, "adopt", stack, notes, file=None, **facts)
        path = file or Path(".lls", stack.rpartition("/")[2], "import.json")
        adoption.write(path, adoption.import_file(found, state))
        commands = [
            f"pulumi stack select --create {stack}",
            f"pulumi import --stack {stack} --file {path} --protect=false --generate-code=false --yes",
            f"pulumi up --stack {stack}",
        ]
        screen.print(f"\nWrote {path}. Then:")
        for command in commands:
            screen.print(f"  {command}")
        return _conclude(screen, "adopt", stack, notes, Exit.FINE, file=str(path), commands=commands, **facts)


@app.command()
def drift(stack: StackName, json: AsJson = False) -> Exit:
    """Tell whether the registered targets are still the nodes that should be, and what `up` would do about it.

    Exits with 2 on a difference: fit for a cron job. Changes nothing.
    """
    with Screen(as_json=json) as screen:
        screen.began("comparing targets with nodes")
        found = compare_targets(Installation.open(stack))
        screen.ended("comparing targets with nodes")
        return _conclude(screen, "drift", stack, found)


@app.command()
def mirror(
    stack: StackName,
    source: Annotated[str, typer.Option(help="HOST/PATH that has chart and image.")] = NGC_SOURCE,
    destination: Annotated[
        str | None, typer.Option(help="HOST/PATH to copy to, instead of where the stack looks.")
    ] = None,
    json: AsJson = False,
) -> Exit:
    """Copy chart and image from NVIDIA's registry to the stack's own (the guide's step 1).

    All platforms, byte for byte, with every digest checked. Missing ECR repositories are created, with immutable
    tags and scans on push. What is there already is skipped, so an interrupted run goes on where it was. The key
    comes from NGC_API_KEY in the environment; other logins from the auth file of lls:registryConfig.
    """
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        done = mirroring.mirror_stack(installation, source, destination, os.environ, screen)
        return _conclude(screen, "mirror", stack, done)


@app.command(name="check-clean")
def check_clean(stack: StackName, json: AsJson = False) -> Exit:
    """After `destroy`: tell what is left (the guide's final verification).

    Goes by tags and by the stack's state, not by parts of names; looks into the cluster too, and for the role
    of NVIDIA's Terraform module.
    """
    with Screen(as_json=json) as screen:
        screen.began("looking for what is left")
        found = look_for_rests(Installation.open(stack))
        screen.ended("looking for what is left")
        return _conclude(screen, "check-clean", stack, found)


@app.command()
def graph(
    stack: StackName,
    format: Annotated[  # noqa: A002
        graphs.Format, typer.Option(help="Text for Mermaid or Graphviz, or a picture.")
    ] = "mermaid",
    order: Annotated[graphs.Order, typer.Option(help="What arrows mean: made before, or deleted before.")] = "create",
    whole: Annotated[bool, typer.Option("--whole", help="Also the arrows that others imply.")] = False,
    json: AsJson = False,
) -> Exit:
    """Show the stack's resources and the order between them, recorded from the program itself.

    Needs no account and no state: one target stands for all.
    """
    with Screen(as_json=json) as screen:
        screen.began("running the program")
        found = graphs.graph(read_stack(stack), order, whole=whole)
        screen.ended("running the program")
        draw = {"mermaid": graphs.mermaid, "dot": graphs.dot, "svg": graphs.svg}[format]
        screen.print(draw(found))
        nodes = [{"name": each.name, "type": each.type, "component": each.component} for each in found.nodes]
        screen.result("graph", stack, Exit.FINE, order=order, nodes=nodes, edges=[*map(list, found.edges)])
        return Exit.FINE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = int(app(words, standalone_mode=False) or 0)
    except typer.TyperException as error:
        cast(Any, error).show()
        return Exit.FAILED
    except FAILURES as error:
        with Screen(as_json="--json" in words) as screen:
            screen.say(str(error))
            screen.result(words[0], "", Exit.FAILED, error=str(error))
        return Exit.FAILED
    if code == Exit.INTERRUPTED:
        sys.stderr.write("Interrupted. Run the same command again to go on.\n")
    return code


def _conclude(
    screen: Screen, command: str, stack: str, findings: list[Finding], code: Exit | None = None, **facts: Any
) -> Exit:
    """Show findings and end with their exit code, or with another."""
    screen.findings(findings)
    code = outcome(findings) if code is None else max(code, outcome(findings))
    screen.result(command, stack, code, findings=as_facts(findings), **facts)
    return code


def _outputs(installation: Installation) -> tuple[Mapping[str, Any], list[Finding]]:
    """The stack's outputs, or why there are none."""
    try:
        return installation.state().outputs, []
    except StackError as error:
        return {}, [unknown("outputs", f"{error} The stack is looked for by its names instead.")]


def _states(installation: Installation) -> tuple[Mapping[str, State], list[Finding]]:
    try:
        return installation.states(), []
    except StackError as error:
        return {}, [unknown("state", f"It is not known what a stack owns: {error}")]


def _probe(verification: Verification, installation: Installation, screen: Screen) -> Finding:
    path, _ = verification.find_path()
    if path is None:
        return problem("probe", "there is no endpoint to probe", "see above")
    host, port = path.balancer.outputs["dnsName"], installation.config.udp_port
    screen.began(f"probing {host}:{port}")
    try:
        return judge_probe(f"{host}:{port}", stun.probe(host, port))
    except OSError as error:
        return problem("probe", f"{host}:{port} cannot be reached: {error}", "a new name takes minutes to resolve")
    finally:
        screen.ended(f"probing {host}:{port}")


def _cluster_plan(
    installation: Installation, states: Mapping[str, State]
) -> tuple[sweeping.ClusterSweep, list[Finding]]:
    chart = installation.config.chart.rstrip("/").rpartition("/")[2] or guide.RELEASE_NAME
    try:
        return sweeping.plan_cluster(installation.proxy(), chart, states), []
    except CLUSTER_FAILURES as error:
        seen = f"the cluster could not be asked, so its release is left alone: {error}"
        return sweeping.ClusterSweep(), [unknown("kubernetes", seen)]


def _names(cluster: sweeping.ClusterSweep) -> list[str]:
    release = [f"release {cluster.release.name}"] if cluster.release else []
    return release + ([f"namespace {cluster.namespace}"] if cluster.namespace else [])


def _show_plan(screen: Screen, plan: sweeping.Sweep, cluster: sweeping.ClusterSweep) -> None:
    for number, text in enumerate([*_names(cluster), *map(str, plan.delete)], 1):
        screen.print(f"{number:4}  delete  {text}")
    for each, following in zip_longest(plan.kept, plan.kept[1:]):
        screen.print(f"      keep    {each.thing}: {each.why}")
        if each.remedy and not (following and following.remedy == each.remedy):
            screen.print(f"              -> {each.remedy}")
    for each in cluster.kept:
        screen.print(f"      keep    {each}")
    if not (plan.delete or plan.kept or _names(cluster) or cluster.kept):
        screen.print("There is nothing to sweep.")


def _so_far(plan: sweeping.Sweep) -> str:
    done = ", ".join(map(str, plan.done)) or "nothing"
    return f"Deleted so far: {done}. Left: {', '.join(map(str, plan.left)) or 'nothing'}. Run this again to go on."


def _judge_adoption(found: adoption.Adoption, stack: str, state: State) -> list[Finding]:
    notes: list[Finding] = []
    if not found.matches:
        notes.append(note("adopt", "nothing to adopt: what the program describes is in the state, or does not exist"))
    notes += [
        problem(
            "adopt",
            f"{each.resource.name} ({each.thing.id}) would be replaced, and streaming interrupted: "
            + "; ".join(str(difference) for difference in each.differences if difference.replaces),
            "set the stack's config to what exists, then run this again",
        )
        for each in found.interrupting
    ]
    notes += [
        problem(
            "adopt",
            f"{each.resource.name} exists as {each.thing.id} and is not this cluster's installation's",
            "pulumi config set lls:nodeInternalRules false",
        )
        for each in found.conflicts
    ]
    notes += [
        note(
            "adopt", f"{each} is the cluster's by its tags, and no part of the program: it stays", deregistration(each)
        )
        for each in found.strangers
    ]
    if state.pending:
        notes.append(
            note(
                "state",
                f"operations of an interrupted run are pending: {', '.join(state.pending)}",
                f"before the import: pulumi refresh --clear-pending-creates --skip-preview --stack {stack}",
            )
        )
    return notes


def _show_adoption(screen: Screen, found: adoption.Adoption) -> Properties:
    for match in found.matches:
        screen.print(f"adopt   {match.resource.name}: {match.thing.id}")
        for difference in match.differences:
            screen.print(f"        {'REPLACE' if difference.replaces else 'change '} {difference}")
    for resource in found.missing:
        screen.print(f"create  {resource.name}")
    for resource in found.owned:
        screen.print(f"owned   {resource.name}")
    return {
        "adopt": [
            {
                "name": each.resource.name,
                "type": each.resource.type,
                "id": each.thing.id,
                "changes": [str(difference) for difference in each.differences],
                "replaced": each in found.interrupting,
            }
            for each in found.matches
        ],
        "create": [each.name for each in found.missing],
        "owned": [each.name for each in found.owned],
        "strangers": [str(each) for each in found.strangers],
    }
