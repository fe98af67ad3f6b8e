"""`python -m bench`: how fast the stack is, next to what is possible and next to the guide."""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.program_time import ProgramTime, program_time
from lls.operations.program.recording import WORKERS

if TYPE_CHECKING:
    from bench.guide_commands import Command
    from rehearsal.engine.engine import Step
    from rehearsal.rehearse import Rehearsal

COUNTS: Final = (3, 50, 500)

CONFIG: Final[Mapping[str, str]] = {
    "aws:region": "us-west-2",
    "lls:clusterName": "demo",
    "lls:availabilityZone": "us-west-2a",
}

OWN_NAME: Final[Mapping[str, str]] = {"lls:dnsName": "stream.example.com"}
"""What gives the endpoint a name that is known before the load balancer."""

FIGURES: Final = "<!-- Below: make bench ARGS=--docs -->\n"
"""Where the measured part of docs/benchmarks.md begins."""

DOCS: Final = Path(__file__).parent.parent / "docs"


class Comparison(BaseModel):
    """`up` or `destroy`, in seconds of AWS, next to what is possible and to the guide.

    `path` is the critical path of the necessary orders and `along` its steps; `floor` is that of AWS and
    Kubernetes alone; `wishes` are edges that are not necessary, and what each costs.
    """

    ours: float
    path: float
    along: tuple[str, ...]
    floor: float
    guide: float
    wishes: Mapping[str, float]


class Measurement(BaseModel):
    """One number of targets.

    `program`, `worked` (an `up` with the emulated AWS) and `again` are seconds of the machine, `memory` is MiB, the
    rest seconds of AWS. `named_up` and `named_destroy` are of a stack with a name of its own.
    """

    targets: int
    program: float
    worked: float
    again: float
    memory: float
    registering: float
    guide_loop: float
    up: Comparison
    destroy: Comparison
    named_up: Comparison
    named_destroy: Comparison


class Figures(BaseModel):
    """Everything that one run of the benchmark measured, and on what."""

    machine: str
    measurements: list[Measurement]
    program: ProgramTime


class Section(BaseModel):
    """A table of figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def measure(count: int, parallel: int = WORKERS) -> Measurement:
    """One world with that many nodes, in which the stack comes and goes, with a name of its own too; then the guide.

    The engine does `parallel` things at once.
    """
    from bench.clock import StillClock, StillLoop, StillWorkers
    from bench.critical_path import kind_of
    from bench.guide_commands import REGISTRATION, clean_up, follow_all
    from lls.operations.program.stack_file import Stack
    from rehearsal.rehearse import Rehearsal
    from rehearsal.stack_world import world_for
    from rehearsal.world import DEFAULT_WORLD, Node

    stack, named = Stack("bench", CONFIG), Stack("bench", {**CONFIG, **OWN_NAME})
    nodes = tuple(Node(name=f"gpu-{number}", zone="a") for number in range(count))
    world = world_for(named, DEFAULT_WORLD.read_text()).model_copy(update={"nodes": nodes})
    clock = StillClock()
    with Rehearsal(stack, world, factor=clock.factor, clock=clock) as rehearsal:
        rehearsal.engine.workers = partial(StillWorkers, clock, parallel)
        rehearsal.engine.loop = partial(StillLoop, clock, parallel)
        _say(f"{count} targets: preview, up, and up without changes")
        rehearsal.engine.preview()
        program = _seconds(rehearsal.engine.preview)
        begin = time.perf_counter()
        up = rehearsal.engine.up()
        worked = time.perf_counter() - begin
        again = _seconds(rehearsal.engine.up)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        _say(f"{count} targets: destroy")
        destroy = rehearsal.engine.destroy()
        _say(f"{count} targets: up and destroy with a name of its own")
        rehearsal.engine.config = {**rehearsal.engine.config, **OWN_NAME}
        named_up = rehearsal.engine.up()
        named_destroy = rehearsal.engine.destroy()
        _say(f"{count} targets: the guide's commands")
        followed = follow_all(rehearsal)
        _say(f"{count} targets: the guide's clean-up")
        cleaned = clean_up(rehearsal)
        _nothing_left(rehearsal)
    registering = [step for step in up if kind_of(step.resource) == "TargetGroupAttachment"]
    [loop] = [command for command in followed if command.name == REGISTRATION]
    return Measurement(
        targets=count,
        program=program,
        worked=worked,
        again=again,
        memory=memory,
        registering=_makespan(registering),
        guide_loop=_makespan([loop]),
        up=compare(up, followed),
        destroy=compare(destroy, cleaned),
        named_up=compare(named_up, followed),
        named_destroy=compare(named_destroy, cleaned),
    )


def compare(steps: Sequence["Step"], commands: Sequence["Command"]) -> Comparison:
    """The steps of an `up` or a `destroy` next to the chains that they must hold to and to the guide's commands."""
    from bench.critical_path import NATURE, PROVIDER, durations, kind_of, longest, necessary, wishes

    real = [step for step in steps if step.resource.custom]
    took = durations(real)
    path, along = longest(took, necessary(real))
    return Comparison(
        ours=_makespan([step for step in real if kind_of(step.resource) != PROVIDER]),
        path=path,
        along=along,
        floor=longest(took, necessary(real, NATURE))[0],
        guide=_makespan(commands),
        wishes=wishes(real),
    )


def sections(figures: Figures) -> list[Section]:
    """The figures as tables."""
    phases = [
        (name, measurement.targets, comparison)
        for measurement in figures.measurements
        for name, comparison in (
            ("up", measurement.up),
            ("destroy", measurement.destroy),
            ("up, own name", measurement.named_up),
            ("destroy, own name", measurement.named_destroy),
        )
    ]
    program, imports = figures.program.program, figures.program.imports
    costs: dict[tuple[str, str], list[str]] = {}
    for name, _, comparison in phases:
        for edge, seconds in comparison.wishes.items():
            costs.setdefault((name, edge), []).append(f"{seconds:.1f}")
    counts = [str(measurement.targets) for measurement in figures.measurements]
    return [
        Section(
            title="Makespan, in seconds of AWS",
            columns=(
                "",
                "targets",
                "ours",
                "path",
                "ours / path",
                "guide",
                "ours / guide",
                "floor",
                "floor / guide",
            ),
            rows=[
                (
                    name,
                    str(targets),
                    f"{phase.ours:.1f}",
                    f"{phase.path:.1f}",
                    f"{phase.ours / phase.path:.3f}",
                    f"{phase.guide:.1f}",
                    f"{phase.ours / phase.guide:.2f}",
                    f"{phase.floor:.1f}",
                    f"{phase.floor / phase.guide:.2f}",
                )
                for name, targets, phase in phases
            ],
        ),
        Section(
            title="Critical paths",
            columns=("", "targets", "steps"),
            rows=[(name, str(targets), ", ".join(phase.along)) for name, targets, phase in phases],
        ),
        Section(
            title="Edges of the graph that are not necessary, and the seconds that each costs",
            columns=("", "edge", *(f"{count} targets" for count in counts)),
            rows=[(*key, *values) for key, values in sorted(costs.items(), reverse=True)],
        ),
        Section(
            title="What targets cost",
            columns=(
                "targets",
                "program and preview, s",
                "up with the emulated AWS, s",
                "up without changes, s",
                "peak memory, MiB",
                "registering, s of AWS",
                "the guide's loop, s of AWS",
            ),
            rows=[
                (
                    str(measurement.targets),
                    f"{measurement.program:.2f}",
                    f"{measurement.worked:.2f}",
                    f"{measurement.again:.2f}",
                    f"{measurement.memory:.0f}",
                    f"{measurement.registering:.0f}",
                    f"{measurement.guide_loop:.0f}",
                )
                for measurement in figures.measurements
            ],
        ),
        Section(
            title=f"The program in a process of its own, in seconds, {len(program)} rounds",
            columns=("", "program", "imports", "program / imports"),
            rows=[
                (
                    name,
                    f"{of(program):.2f}",
                    f"{of(imports):.2f}",
                    f"{of(program) / of(imports):.2f}",
                )
                for name, of in (("median", statistics.median), ("fastest", min))
            ],
        ),
        Section(
            title="The program's dearest imports, in milliseconds",
            columns=("package", "modules", "own", "with what it imports first"),
            rows=[
                (module.package, str(module.modules), f"{module.own:.0f}", f"{module.cumulative:.0f}")
                for module in figures.program.modules
            ],
        ),
    ]


def needs() -> Section:
    """The necessary orders, for the documentation."""
    from bench.critical_path import NEEDS

    return Section(
        title="What is necessary",
        columns=("made after", "what it names", "in", "made so by", "deleted so by", "why"),
        rows=[(need.what, need.needs, f"`{need.property}`", need.making, need.deleting, need.why) for need in NEEDS],
    )


def as_markdown(figures: Figures) -> str:
    """The figures as docs/benchmarks.md shows them."""
    parts = [f"Measured on {figures.machine}."]
    for section in (*sections(figures), needs()):
        head = ["| " + " | ".join(section.columns) + " |", "|---" * len(section.columns) + "|"]
        parts += [f"## {section.title}", "\n".join([*head, *("| " + " | ".join(row) + " |" for row in section.rows)])]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each count in a process of its own, then the program, and print tables, Markdown or JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--docs", action="store_true", help="renew the figures of docs/benchmarks.md")
    parser.add_argument("--count", type=int, help="measure just this many targets, in this process, as JSON")
    parser.add_argument("--parallel", type=int, default=WORKERS, help="with --count: do so much at once")
    options = parser.parse_args(arguments)
    if options.count:
        sys.stdout.write(measure(options.count, options.parallel).model_dump_json() + "\n")
        return 0
    figures = Figures(
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        measurements=[_measure_apart(count) for count in COUNTS],
        program=program_time(CONFIG, _say),
    )
    if options.docs:
        path = DOCS / "benchmarks.md"
        path.write_text(path.read_text().partition(FIGURES)[0] + FIGURES + "\n" + as_markdown(figures))
    if options.json:
        sys.stdout.write(figures.model_dump_json(indent=2) + "\n")
    elif options.markdown:
        sys.stdout.write(as_markdown(figures))
    else:
        _print(sections(figures))
    return 0


def _measure_apart(count: int) -> Measurement:
    command = [sys.executable, "-m", "bench", "--count", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return Measurement.model_validate_json(done.stdout)


def _print(tables: Iterable[Section]) -> None:
    console = Console()
    for section in tables:
        table = Table(
            *section.columns,
            title=section.title,
            title_justify="left",
            box=SIMPLE,
            pad_edge=False,
            collapse_padding=True,
        )
        for row in section.rows:
            table.add_row(*row)
        console.print(table)


def _nothing_left(rehearsal: "Rehearsal") -> None:
    if left := rehearsal.leftovers():
        raise RuntimeError(f"the guide's clean-up left {', '.join(left)}")


def _makespan(done: Sequence["Step | Command"]) -> float:
    return max(step.finished for step in done) - min(step.started for step in done)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
