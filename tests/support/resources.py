"""Resources and steps of a test's own."""

from typing import Any

from lls.operations.program.recording import Resource
from rehearsal.engine.engine import Step, StepOp


def a_resource(urn: str, *, type_: str = "type", custom: bool = True, **changes: Any) -> Resource:
    """A resource that needs nothing, unless told."""
    values: dict[str, Any] = {
        "id": f"id of {urn}",
        "inputs": {},
        "outputs": {},
        "secrets": frozenset[str](),
        "parent": "",
        "provider": "",
        "dependencies": frozenset[str](),
        "property_dependencies": {},
    }
    name = urn.rpartition("::")[2]
    return Resource(urn=urn, type=type_, name=name, custom=custom, **values | changes)


def steps_of(*steps: tuple[StepOp, Resource]) -> list[Step]:
    """What was done, a second each, one after the other."""
    return [
        Step(operation, resource, started=float(place), finished=place + 1.0)
        for place, (operation, resource) in enumerate(steps)
    ]


def all_of(operation: StepOp, *resources: Resource) -> list[Step]:
    """The same done to each, one after the other."""
    done: list[tuple[StepOp, Resource]] = [(operation, resource) for resource in resources]
    return steps_of(*done)
