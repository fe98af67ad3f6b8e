"""What a rehearsal shows: live in a terminal, plain when piped, or as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from lls.operations.report.finding import Finding
from lls.operations.report.screen import as_facts, print_findings
from rehearsal.compare import changes, makespan
from rehearsal.engine.engine import Listener, Resource, Step, StepOp
from rehearsal.rehearse import Expectation, Report

BAR: Final = 36
"""Width of a timeline's bars, in characters."""

COLOURS: Final = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red", "same": "dim"}
DOING: Final = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "same": "comparing",
}


class Silence:
    """Shows nothing while the rehearsal runs, for JSON."""

    def phase(self, title: str) -> Listener:
        """A phase begins."""
        return Listener()

    def steps(self, steps: Sequence[Step], factor: float) -> None:
        """A phase did these steps."""

    def facts(self, facts: Mapping[str, Any]) -> None:
        """A phase showed these facts."""

    def findings(self, findings: Sequence[Finding]) -> None:
        """One of the operations found this."""

    def verdict(self, checks: Sequence[Expectation]) -> None:
        """The rehearsal ended."""


class Display(Listener):
    """Shows a rehearsal on a console: what runs now where it is a terminal, each step as it ends, timelines."""

    def __init__(self, console: Console, *, live: bool = True) -> None:
        """Write to that console; without `live` it shares the terminal with another program."""
        self._console = console
        self._is_live = live and console.is_terminal
        self._running: dict[str, str] = {}
        self._live = Live(console=console, transient=True, get_renderable=self._status, refresh_per_second=8)
        self._begin: float | None = None

    def __enter__(self) -> Self:
        """Begin the live display."""
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the live display."""
        self._live.stop()

    def phase(self, title: str) -> Listener:
        """A phase begins."""
        self._running.clear()
        self._begin = None
        self._console.rule(f"[bold]{title}", align="left", style="dim")
        self._refresh()
        return self

    def started(self, operation: StepOp, resource: Resource) -> None:
        """An operation began."""
        if resource.custom:
            self._running[resource.urn] = f"{DOING[operation]} {resource.name}"

    def finished(self, step: Step) -> None:
        """An operation ended."""
        self._running.pop(step.resource.urn, None)
        self._refresh()
        self._begin = step.started if self._begin is None else self._begin
        if step.error:
            self._print(f"  [red]failed[/] {step.operation} {escape(step.resource.name)}: {escape(step.error)}")
        elif step.resource.custom and step.operation != "same":
            self._print(
                f"  {step.finished - self._begin:5.0f} s  [{COLOURS[step.operation]}]{step.operation:7}[/] "
                f"{escape(step.resource.name)}  [dim]{step.resource.type.rpartition(':')[2]}[/]"
            )

    def logged(self, severity: Literal["info", "warning", "error"], message: str) -> None:
        """The program said something."""
        if severity != "info":
            self._print(f"  [yellow]{severity}[/]: {escape(message)}")

    def steps(self, steps: Sequence[Step], factor: float) -> None:
        """A phase did these steps: their timeline."""
        self._print(_timeline(steps, factor))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """A phase showed these facts: a line each."""
        width = max(map(len, facts), default=0)
        for key, value in sorted(facts.items()):
            self._print(f"  {key.ljust(width)}  {escape(value if isinstance(value, str) else json.dumps(value))}")

    def findings(self, findings: Sequence[Finding]) -> None:
        """One of the operations found this: a line each."""
        print_findings(self._console, findings)

    def verdict(self, checks: Sequence[Expectation]) -> None:
        """The rehearsal ended: what held and what did not."""
        self._console.rule("[bold]verdict", align="left", style="dim")
        for check in checks:
            mark = "[green]held[/]  " if check.held else "[red]broken[/]"
            self._print(f"  {mark} {check.name}: {escape(check.seen)}")

    def side_by_side(self, own: Report, real: Report, checks: Sequence[Expectation]) -> None:
        """Two engines did the same: how long each took, and whether it was the same indeed."""
        self._console.rule("[bold]both engines", align="left", style="dim")
        self._print(f"  {'seconds of AWS'.ljust(14)}  {'own':>6}  {'pulumi':>6}")
        for phase in ("up", "destroy"):
            own_time, real_time = makespan(getattr(own, phase)), makespan(getattr(real, phase))
            self._print(f"  {phase.ljust(14)}  {own_time:6.0f}  {real_time:6.0f}")
        self.verdict(checks)

    def _refresh(self) -> None:
        if self._is_live:
            self._live.refresh()

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _status(self) -> Text:
        return Text(
            f"  {', '.join(self._running.values())}" if self._running else "", no_wrap=True, overflow="ellipsis"
        )


def say(console: Console, message: str) -> None:
    """Print a message as it is."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _timeline(steps: Sequence[Step], factor: float) -> str:
    """Each step as a bar from its start to its end, in the order of their starts."""
    done = changes(steps)
    if not done:
        return f"  no changes, {sum(step.resource.custom for step in steps)} resources as they were"
    first, whole = min(step.started for step in done), makespan(steps)
    scale = BAR / max(whole, 1e-9)
    total = sum(step.finished - step.started for step in done)
    width = max(len(step.resource.name) for step in done)
    lines = [f"  {whole:.0f} s of AWS (here {factor:g} times faster); one after another {total:.0f} s"]
    for step in sorted(done, key=lambda step: (step.started, step.finished)):
        start, end = int((step.started - first) * scale), int((step.finished - first) * scale)
        bar = (" " * start + "━" * max(end - start, 1)).ljust(BAR)
        times = f"{step.started - first:3.0f} - {step.finished - first:.0f} s"
        lines.append(f"  {escape(step.resource.name.ljust(width))}  [{COLOURS[step.operation]}]{bar}[/] {times}")
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """The report for scripts: times are seconds of AWS since each phase began."""
    return json.dumps(_facts(report), indent=2)


def both_as_json(own: Report, real: Report, checks: Sequence[Expectation]) -> str:
    """The reports of both engines, and how they compare."""
    held = own.held and real.held and all(check.held for check in checks)
    compared = {"held": held, "checks": _checks(checks)}
    return json.dumps({**compared, "own": _facts(own), "pulumi": _facts(real)}, indent=2)


def _checks(checks: Sequence[Expectation]) -> list[dict[str, Any]]:
    return [{"name": check.name, "held": check.held, "seen": check.seen} for check in checks]


def _facts(report: Report) -> dict[str, Any]:

    def steps(phase: Sequence[Step]) -> list[dict[str, Any]]:
        begin = min((step.started for step in phase), default=0.0)
        return [
            {
                "operation": step.operation,
                "name": step.resource.name,
                "type": step.resource.type,
                "start": round(step.started - begin, 1),
                "end": round(step.finished - begin, 1),
            }
            for step in phase
            if step.resource.custom
        ]

    return {
        "stack": report.stack,
        "held": report.held,
        "factor": report.factor,
        "checks": _checks(report.checks),
        "outputs": report.outputs,
        "targets": [
            {"id": target.id, "state": target.state, "reason": target.reason, "obstacle": target.obstacle}
            for target in report.targets
        ],
        "preview": steps(report.preview),
        "up": steps(report.up),
        "verify": as_facts(report.verify),
        "outage": [
            {
                "alarm": course.alarm,
                "raisedAfter": course.raised_after,
                "overAfter": course.over_after,
                "raisedBefore": course.false,
            }
            for course in report.outage
        ],
        "again": steps(report.again),
        "refresh": {
            "gone": [resource.name for resource in report.refresh.gone],
            "changed": [resource.name for resource in report.refresh.changed],
        },
        "destroy": steps(report.destroy),
        "checkClean": as_facts(report.check_clean),
    }
