"""`python -m rehearsal.bench`: what targets cost, from a few to AWS's limit, next to the guide's loop."""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

COUNTS: Final = (3, 50, 500)

FACTOR: Final = 20.0
"""How much faster than AWS: slow enough that the emulation's own work does not count."""

CONFIG: Final[Mapping[str, str]] = {
    "aws:region": "us-west-2",
    "lls:clusterName": "demo",
    "lls:availabilityZone": "us-west-2a",
}

COLUMNS: Final[Mapping[str, str]] = {
    "targets": "targets",
    "program": "program and preview, s",
    "again": "up without changes, s",
    "memory": "peak memory, MiB",
    "up": "up, s of AWS",
    "registering": "of which registering",
    "guide": "the guide's loop, s of AWS",
}


def measure(count: int) -> dict[str, float]:
    """One rehearsal of a stack with that many nodes."""
    from lls.operations.stack import Stack
    from rehearsal.rehearse import Rehearsal
    from rehearsal.stack import world_for
    from rehearsal.world import DEFAULT_WORLD, Node

    stack = Stack("bench", CONFIG)
    nodes = tuple(Node(name=f"gpu-{number}", zone="a") for number in range(count))
    world = world_for(stack, DEFAULT_WORLD.read_text()).model_copy(update={"nodes": nodes})
    with Rehearsal(stack, world, factor=FACTOR) as it:
        it.engine.preview()
        program = _seconds(it.engine.preview)
        steps = it.engine.up()
        again = _seconds(it.engine.up)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        made = [step for step in steps if step.resource.custom]
        registering = [step for step in made if step.resource.type.endswith(":TargetGroupAttachment")]
        begin = it.clock.now()
        elbv2 = it.aws.client("elbv2")
        for _, address in it.aws.nodes.values():
            elbv2.register_targets(
                TargetGroupArn=it.engine.outputs["targetGroupArn"], Targets=[{"Id": address, "Port": 30504}]
            )
        guide = it.clock.now() - begin
    return {
        "targets": count,
        "program": round(program, 2),
        "again": round(again, 2),
        "memory": round(memory),
        "up": round(max(step.finished for step in made) - min(step.started for step in made)),
        "registering": round(max(each.finished for each in registering) - min(each.started for each in registering)),
        "guide": round(guide),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each count in a process of its own and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--count", type=int, help="measure just this many targets, in this process, as JSON")
    options = parser.parse_args(arguments)
    if options.count:
        sys.stdout.write(json.dumps(measure(options.count)) + "\n")
        return 0
    rows: list[dict[str, Any]] = []
    for count in COUNTS:
        sys.stderr.write(f"Rehearsing {count} targets\n")
        command = [sys.executable, "-m", "rehearsal.bench", "--count", str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        rows.append(json.loads(done.stdout))
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    table = Table(*COLUMNS.values())
    for row in rows:
        table.add_row(*(f"{row[key]:g}" for key in COLUMNS))
    Console().print(table)
    return 0


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
