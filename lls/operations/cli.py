"""The command line. Each command opens a stack, does its work, and ends with an exit code of `Exit`."""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import pulumi
import typer

from lls.operations import adopt as adoption
from lls.operations import graph as graphs
from lls.operations import mirror_stack as mirroring
from lls.operations import stun
from lls.operations import sweep as sweeping
from lls.operations.account import AwsError
from lls.operations.check_clean import check_clean as look_for_rests
from lls.operations.drift import drift as compare_targets
from lls.operations.finding import Exit, Finding, Level, note, ok, outcome, problem, unknown
from lls.operations.installation import Caller, Installation
from lls.operations.mirror import NGC_SOURCE, MirrorError
from lls.operations.ownership import Kind, Ownership
from lls.operations.preflight import Preflight
from lls.operations.proxy import CLUSTER_FAILURES
from lls.operations.recording import Properties
from lls.operations.screen import Screen, as_facts
from lls.operations.stack import StackError, read_stack
from lls.operations.states import State
from lls.operations.verify import Verification, deregistration, judge_probe

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
        installation.confirm_account()
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
    stateless: Stateless = False,
    json: AsJson = False,
) -> Exit:
    """After a lost state or a hand-made installation: finish the guide's clean-up, by tags.

    Lists what carries the installation's tags, the rules that let its traffic into the nodes, the release and its
    namespace, in the order in which it goes. What a stack's state owns is never touched, whichever project's it is;
    where it cannot be told whether one does, nothing is. A plan that would break something else stops before it begins.
    """
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        caller = installation.confirm_account()
        screen.began("looking for what is there")
        plan, ownership = sweeping.plan(installation, lambda: installation.ownership(screen, stateless=stateless))
        screen.ended("looking for what is there")
        notes = [_who(caller, installation), *ownership.findings(mattered=bool(plan.kept or plan.delete))]
        notes += _judge_sweep(plan)
        _show_plan(screen, plan)

        def conclude(error: str = "", code: Exit = Exit.FINE) -> Exit:
            facts = (
                _sweep_facts(plan) | {"evidence": _evidence(caller, ownership)} | ({"error": error} if error else {})
            )
            return _conclude(screen, "sweep", stack, notes, code, **facts)

        if not yes:
            screen.print("\nNothing was deleted: this was a dry run. Add --yes to delete in this order.")
            return conclude(code=Exit.FOUND if plan.delete else Exit.FINE)
        if plan.dependents:
            screen.print("\nNothing was deleted: it would break what is named below.")
            return conclude()
        try:
            stopped = sweeping.carry_out(plan, installation, Clock(), screen)
        except KeyboardInterrupt:
            screen.say(_so_far(plan))
            return conclude("interrupted", Exit.INTERRUPTED)
        except (AwsError, *CLUSTER_FAILURES) as error:
            told = f"{error} {sweeping.holders(error, plan, installation)}".strip()
            screen.say(told)
            screen.say(_so_far(plan))
            return conclude(told, Exit.FAILED)
        if stopped:
            notes.append(problem("kubernetes", stopped, "delete it by hand, or install helm and run this again"))
        return conclude()


@app.command()
def adopt(
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
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        caller = installation.confirm_account()
        try:
            state = installation.state()
        except StackError:
            state = State()  # and why it is not known is one of the ownership's findings
        screen.began("comparing the program with what exists")
        found, ownership = adoption.find(
            installation, state, lambda: installation.ownership(screen, stateless=stateless)
        )
        screen.ended("comparing the program with what exists")
        notes = [
            _who(caller, installation),
            *ownership.findings(mattered=bool(found.matches or found.refused)),
            *_judge_adoption(found, ownership),
        ]
        facts = {**_show_adoption(screen, found), "evidence": _evidence(caller, ownership)}
        if not found.matches or found.interrupting or found.refused:
            return _conclude(screen, "adopt", stack, notes, None, file=None, **facts)
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
        return _conclude(screen, "adopt", stack, notes, None, file=str(path), commands=commands, **facts)


@app.command()
def drift(stack: StackName, json: AsJson = False) -> Exit:
    """Tell whether the registered targets are still the nodes that should be, and what `up` would do about it.

    Exits with 2 on a difference: fit for a cron job. Changes nothing.
    """
    with Screen(as_json=json) as screen:
        installation = Installation.open(stack)
        installation.confirm_account()
        screen.began("comparing targets with nodes")
        found = compare_targets(installation)
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
        installation = Installation.open(stack)
        caller = installation.confirm_account()
        screen.began("looking for what is left")
        found, ownership = look_for_rests(installation, lambda: installation.ownership(screen))
        screen.ended("looking for what is left")
        mattered = any(each.level is Level.UNKNOWN for each in found)
        found = [_who(caller, installation), *ownership.findings(mattered=mattered), *found]
        return _conclude(screen, "check-clean", stack, found, evidence=_evidence(caller, ownership))


@app.command()
def graph(
    stack: StackName,
    format: Annotated[graphs.Format, typer.Option(help="Text for Mermaid or Graphviz.")] = "mermaid",  # noqa: A002
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
        draw = {"mermaid": graphs.mermaid, "dot": graphs.dot}[format]
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
    if code in (None, Exit.FINE):
        code = outcome(findings)
    screen.result(command, stack, code, findings=as_facts(findings), **facts)
    return code


def _outputs(installation: Installation) -> tuple[Mapping[str, Any], list[Finding]]:
    """The stack's outputs, or why there are none."""
    try:
        return installation.state().outputs, []
    except StackError as error:
        return {}, [note("outputs", f"{error} The stack is looked for by its names instead, which are as good.")]


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


def _who(caller: Caller, installation: Installation) -> Finding:
    return ok("account", f"{caller.account} in {installation.config.region}, as {caller.arn}")


def _evidence(caller: Caller, ownership: Ownership) -> Properties:
    """What the answers rest on, for scripts."""
    return {"account": caller.account, "identity": caller.arn, **ownership.facts()}


def _judge_sweep(plan: sweeping.Sweep) -> list[Finding]:
    found = [problem("dependents", f"{each}", each.remedy) for each in plan.dependents]
    if plan.in_cluster.unknown:
        found.append(unknown("kubernetes", plan.in_cluster.unknown))
    if unclear := [each for each in plan.unresolved if not each.remedy]:
        shown = ", ".join(each.thing for each in unclear)
        found.append(unknown("kept", f"these stay, since it cannot be told that they are nobody's: {shown}"))
    found += [
        problem("kept", f"{each.thing} stays: {each.why}", each.remedy) for each in plan.unresolved if each.remedy
    ]
    return found


def _sweep_facts(plan: sweeping.Sweep) -> Properties:
    return {
        "delete": plan.delete,
        "done": plan.done,
        "left": plan.left,
        "kept": [
            {
                "thing": each.thing,
                "owner": each.owner.kind.value,
                "stack": each.owner.stack,
                "why": each.why,
                "remedy": each.remedy,
            }
            for each in plan.kept
        ],
        "dependents": [
            {"thing": str(each.thing), "user": each.user, "remedy": each.remedy} for each in plan.dependents
        ],
    }


def _show_plan(screen: Screen, plan: sweeping.Sweep) -> None:
    for number, text in enumerate(plan.delete, 1):
        screen.print(f"{number:4}  delete  {text}")
    for each in plan.kept:
        screen.print(f"      keep    {each.thing}: {each.why}")
    if not (plan.delete or plan.kept or plan.in_cluster.unknown):
        screen.print("There is nothing to sweep.")


def _so_far(plan: sweeping.Sweep) -> str:
    done = ", ".join(plan.done) or "nothing"
    return f"Deleted so far: {done}. Left: {', '.join(plan.left) or 'nothing'}. Run this again to go on."


def _judge_adoption(found: adoption.Adoption, ownership: Ownership) -> list[Finding]:
    notes: list[Finding] = []
    if not found.matches and not found.refused:
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
        problem("adopt", f"{each.match.resource.name} exists as {each.match.thing.id}: {each.why}", each.remedy)
        for each in found.refused
        if each.remedy
    ]
    if unclear := [each.match.resource.name for each in found.refused if not each.remedy]:
        notes.append(
            unknown("adopt", f"these exist, and it cannot be told that they are nobody's: {', '.join(unclear)}")
        )
    notes += [
        note(
            "adopt",
            f"{each} is this installation's by its tags, and no part of the program: it stays",
            deregistration(each),
        )
        for each in found.strangers
        if ownership.of(each).kind is not Kind.ANOTHERS
    ]
    return notes


def _show_adoption(screen: Screen, found: adoption.Adoption) -> Properties:
    for match in found.matches:
        screen.print(f"adopt   {match.resource.name}: {match.thing.id}")
        for difference in match.differences:
            screen.print(f"        {'REPLACE' if difference.replaces else 'change '} {difference}")
    for each in found.refused:
        screen.print(f"keep    {each.match.resource.name}: {each.match.thing.id}, {each.why}")
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
        "refused": [
            {
                "name": each.match.resource.name,
                "id": each.match.thing.id,
                "owner": each.owner.kind.value,
                "stack": each.owner.stack,
                "why": each.why,
            }
            for each in found.refused
        ],
        "strangers": [str(each) for each in found.strangers],
    }
