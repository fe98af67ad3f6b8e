"""Two engines side by side: what each did with one program, and in which order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from lls.operations.program.recording import Resource
from rehearsal.engine.engine import Step, waves
from rehearsal.rehearse import Expectation, Report

PHASES = ("preview", "up", "again", "destroy")


def compared(own: Report, real: Report) -> list[Expectation]:
    """That both engines did the same in every phase, and the real one in the order that the graph demands."""
    goals = {step.resource.urn: step.resource for step in own.up}
    found = {phase: differences(getattr(own, phase), getattr(real, phase)) for phase in PHASES}
    amiss = [f"{phase}: {difference}" for phase, listed in found.items() for difference in listed]
    misordered = [
        *(amiss for run in (own.up, real.up, own.destroy, real.destroy) for amiss in disorder(run, goals)),
        *out_of_waves([step.resource for step in own.destroy], real.destroy),
    ]
    return [
        Expectation("both engines do the same", not amiss, "; ".join(amiss) or f"{len(PHASES)} runs compared"),
        Expectation(
            "both in the order of the graph", not misordered, "; ".join(misordered) or f"{len(goals)} resources"
        ),
    ]


def differences(own: Sequence[Step], real: Sequence[Step]) -> list[str]:
    """What one engine did to a resource and the other did not, and who deletes before it makes anew."""
    ours, theirs = _operations(own), _operations(real)
    replaced = {urn for operation, urn in ours & theirs if operation == "replace"}
    return [
        *(f"only ours: {operation} {urn}" for operation, urn in sorted((ours - theirs).elements())),
        *(f"only theirs: {operation} {urn}" for operation, urn in sorted((theirs - ours).elements())),
        *(
            f"{urn}: the old one goes {'first' if _goes_first(urn, own) else 'last'} with ours alone"
            for urn in sorted(replaced)
            if _goes_first(urn, own) != _goes_first(urn, real)
        ),
    ]


def disorder(steps: Sequence[Step], goals: Mapping[str, Resource]) -> list[str]:
    """What was made before something that it needs, or deleted after it.

    What goes before its own successor takes along what its replacement replaces, and leaves the others for later.
    """
    made, deleted = (
        {step.resource.urn: place for place, step in enumerate(steps) if (step.operation == "delete") == is_delete}
        for is_delete in (False, True)
    )
    gone_first = {urn for urn, place in deleted.items() if place < made.get(urn, -1)}
    return [
        f"{goal.name} and {need.rpartition('::')[2]}, which it needs"
        for goal in goals.values()
        for need in goal.needs & goals.keys()
        for is_wrong in (
            made.get(goal.urn, len(steps)) < made.get(need, -1),
            need not in gone_first and deleted.get(goal.urn, -1) > deleted.get(need, len(steps)),
        )
        if is_wrong
    ]


def out_of_waves(resources: Sequence[Resource], destroy: Sequence[Step]) -> list[str]:
    """What a real engine deleted before a wave that ours would have ended first."""
    wave_of = {resource.urn: number for number, wave in enumerate(waves(resources)) for resource in wave}
    steps = [step.resource for step in destroy if step.resource.urn in wave_of]
    return [
        f"{after.name} after {before.name}"
        for before, after in pairwise(steps)
        if wave_of[before.urn] > wave_of[after.urn]
    ]


def changes(steps: Sequence[Step]) -> Sequence[Step]:
    """The steps that did something to a resource."""
    return [step for step in steps if step.resource.custom and step.operation != "same"]


def makespan(steps: Sequence[Step]) -> float:
    """Seconds of AWS from the first change to the last."""
    done = changes(steps)
    return max(step.finished for step in done) - min(step.started for step in done) if done else 0.0


def _operations(steps: Sequence[Step]) -> Counter[tuple[str, str]]:
    return Counter((step.operation, step.resource.urn) for step in steps if step.resource.custom)


def _goes_first(urn: str, steps: Sequence[Step]) -> bool:
    places = {step.operation: place for place, step in enumerate(steps) if step.resource.urn == urn}
    return places.get("delete", len(steps)) < places["replace"]
