"""What a provider does with the types that it makes: each has a lifecycle."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from lls.operations.program.recording import Properties
from rehearsal.engine.engine import UnfinishedError
from rehearsal.world import WorldClock

SETS: Final = frozenset({"alarmActions", "metricQueries", "okActions", "securityGroups", "subnetMappings"})
"""Arguments whose order means nothing."""

MAPS: Final = frozenset({"dimensions", "tags"})
"""Arguments whose keys are the program's own: what somebody added is a difference too."""

OMITTED: Final[Properties] = {"description": "", "enableDeletionProtection": False, "tags": {}}
"""What it means to leave an argument out. Where something else is found, somebody set it, and `up` takes it away."""


@dataclass(frozen=True)
class Lifecycle:
    """How one type of resource is created, updated, deleted and read.

    `update` answers with the outputs that may have changed. `read` takes an id and the inputs as they were given, empty
    for an import. It answers with every input that it knows of, None for what is not set, and the outputs; or with None
    for what is not there.
    """

    create: Callable[[Properties], tuple[str, Properties]]
    update: Callable[[str, Properties, Properties], Properties]
    delete: Callable[[str, Properties], None]
    read: Callable[[str, Properties], tuple[Properties, Properties] | None]


class LifecycleProvider:
    """A provider of some types, as the engine's protocol has it."""

    def __init__(self, clock: WorldClock, lifecycles: Mapping[str, Lifecycle]) -> None:
        """Provide these types, by that clock."""
        self._clock = clock
        self._lifecycles = lifecycles

    def now(self) -> float:
        """Seconds in the emulated world. Raises KilledError."""
        self._clock.check()
        return self._clock.now()

    def check(self, type_: str, inputs: Properties) -> None:
        """Nothing is refused before it is tried."""

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id, and what the provider adds to its inputs."""
        return self._lifecycles[type_].create(inputs)

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place; the outputs that may have changed."""
        return self._lifecycles[type_].update(id_, old, new)

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Delete the resource."""
        self._lifecycles[type_].delete(id_, inputs)

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as it is: the inputs that were given, and all outputs of `create`. None where it is gone.

        Without inputs, as for an import, all that a program would give. Raises what asking raises.
        """
        found = self._lifecycles[type_].read(id_, inputs)
        return found and (_inputs(inputs, found[0]), found[1])

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Raise LookupError: there is no function."""
        raise LookupError(f"unknown function {token}")


def _inputs(given: Properties, found: Properties) -> Properties:
    """What is found, in the form in which a program gave it."""
    if not given:
        return {key: value for key, value in found.items() if value not in (None, "", {})}
    nulls = {key for key, value in given.items() if value is None}
    shaped = {key: _argument(key, value, found.get(key, value)) for key, value in given.items()}
    added = {key: found.get(key) for key, value in OMITTED.items() if key not in given and found.get(key) != value}
    return {key: value for key, value in (shaped | added).items() if value is not None or key in nulls}


def _argument(key: str, given: Any, found: Any) -> Any:
    if key in MAPS:
        return found
    is_set = key in SETS and isinstance(given, list) and isinstance(found, list)
    return _in_order(cast(list[Any], given), cast(list[Any], found)) if is_set else _as_given(given, found)


def _as_given(given: Any, found: Any) -> Any:
    """What is found of what was given: no key more."""
    if isinstance(given, dict) and isinstance(found, dict):
        values, actual = cast(Properties, given), cast(Properties, found)
        kept = {key: _as_given(value, actual.get(key, value)) for key, value in values.items()}
        return {key: value for key, value in kept.items() if value is not None or values[key] is None}
    if isinstance(given, list) and isinstance(found, list):
        wanted, items = cast(list[Any], given), cast(list[Any], found)
        return [*map(_as_given, wanted, items), *items[len(wanted) :]]
    return found


def _in_order(given: list[Any], found: list[Any]) -> list[Any]:
    """What is found of a set, as it was given where that is the same."""
    keys = {key for value in given if isinstance(value, dict) for key in cast(Properties, value)}
    shaped = [_only(keys, value) for value in found]
    return given if _sorted([_only(keys, value) for value in given]) == _sorted(shaped) else shaped


def _only(keys: set[str], value: Any) -> Any:
    """A member of a set with no other keys than these, and without what is null."""
    if not isinstance(value, dict):
        return value
    return {key: part for key, part in cast(Properties, value).items() if key in keys and part is not None}


def _sorted(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


@contextmanager
def unfinished(id_: str, outputs: Properties) -> Generator[None]:
    """What fails in here fails after the creation."""
    try:
        yield
    except Exception as error:
        raise UnfinishedError(id_, outputs, error) from error
