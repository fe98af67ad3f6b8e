"""Worlds for tests: the default one, with a clock that only moves when something waits."""

import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from unittest.mock import patch

import boto3

from lls.operations.program.stack_file import NoCliError, Stack, StackError
from lls.operations.report.finding import Unwatched
from lls.operations.world.account import Account
from lls.operations.world.identity import Identity
from lls.operations.world.installation import Installation
from lls.operations.world.ownership import Ownership
from lls.operations.world.states import ListedStack, NoSuchStackError, State
from rehearsal.aws.server import KEY
from rehearsal.display import Silence
from rehearsal.rehearse import Audience, Rehearsal, Report
from rehearsal.stack_world import in_cluster, world_for
from rehearsal.world import DEFAULT_WORLD, World, WorldClock

STACK: Mapping[str, str] = {
    "aws:region": "us-west-2",
    "lls:clusterName": "demo",
    "lls:availabilityZone": "us-west-2a",
}


SESSION: Callable[..., Any] = boto3.Session
MACHINE_SLEEP = 0.001
"""Seconds below which a pause costs more than it lasts."""
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class PatientClock(WorldClock):
    """Time that passes at once and only when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def skip(self, seconds: float) -> None:
        self.time += seconds
        self.skipped += seconds


class QuickClock(WorldClock):
    """Time that passes ten thousand times faster than AWS's; what the machine cannot sleep so shortly, at once."""

    def __init__(self) -> None:
        super().__init__(10_000.0)
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        if seconds / self.factor < MACHINE_SLEEP:
            with self._lock:
                self.skip(seconds)
        else:
            super().sleep(seconds)


class PatientClockOf(PatientClock):
    """One that lets a rehearsal's time pass with its own: whoever waits by it is never late because a machine is."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__()
        self._world = rehearsal.clock

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._world.skip(seconds)


def a_world(
    stack: Mapping[str, str] = STACK,
    *,
    quirks: Mapping[str, Any] | None = None,
    latencies: Mapping[str, float] | None = None,
    **changes: Any,
) -> World:
    """The default world for a stack, with some of its quirks and latencies, or whole parts of it, changed."""
    world = world_for(Stack("test", stack), DEFAULT_WORLD.read_text())
    return world.model_copy(
        update=changes
        | {
            "quirks": world.quirks.model_copy(update=quirks),
            "latencies": world.latencies.model_copy(update=latencies),
        }
    )


class MutableRehearsal(Rehearsal):
    """A rehearsal whose stack's config changes, and whose world other stacks share."""

    def beside(self, stack: Stack) -> Self:
        """Another stack in this one's world, and for as long as it exists."""
        other = copy(self)
        other._stack = stack
        other.engine = other._engine()
        return other

    def reconfigure(self, changes: Mapping[str, str]) -> None:
        """Change keys of the stack's config for the next run."""
        changed = self._stack.with_config({**self.engine.config, **changes})
        self.engine.config = in_cluster(changed, self.kubernetes.endpoint).config


def a_rehearsal(config: Mapping[str, str] | None = None, **options: Any) -> MutableRehearsal:
    """A rehearsal of the plain stack with changes, ten thousand times faster than AWS."""
    stack = {**STACK, **(config or {})}
    parts = ("quirks", "latencies", "subnets", "nodes", "pods", "prefix_lists", "hosted_zones", "nvcf")
    world = a_world(stack, **{part: options.pop(part) for part in parts if part in options})
    clock: WorldClock = options.pop("clock", None) or QuickClock()
    return MutableRehearsal(Stack("test", stack), world, factor=clock.factor, clock=clock, **options)


@contextmanager
def reached(rehearsal: Rehearsal) -> Generator[None]:
    """Lets the command line reach a world, without a detour over the network: three times as fast."""

    def account(_: Identity) -> Account:
        return Account(rehearsal.aws.patient_client)

    with patch.object(Identity, "account", account):
        yield


@contextmanager
def reached_by_network(rehearsal: Rehearsal) -> Generator[None]:
    """Lets the command line reach a world as it would reach AWS."""
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": rehearsal.aws.endpoint, **keys}), patch("boto3.Session", session):
        yield


def session(**options: Any) -> Any:
    """Boto3's session, one for each set of credentials: it takes long to read the services' descriptions."""
    return _session(tuple(os.environ.get(name) for name in CREDENTIALS), **options)


@cache
def _session(_: object, **options: Any) -> Any:
    return SESSION(**options)


@dataclass
class KnownStates:
    """A backend that holds these states, by the stacks' names as the Pulumi CLI lists them."""

    states: dict[str, State] = field(default_factory=lambda: {"test": State()})
    unreadable: set[str] = field(default_factory=set[str])
    updating: set[str] = field(default_factory=set[str])
    failure: StackError | None = None
    """Why it cannot be reached at all."""

    def describe(self) -> str:
        self._reach()
        return "file:///states as tester"

    def stacks(self) -> Sequence[ListedStack]:
        self._reach()
        return [ListedStack(state, state in self.updating) for state in sorted({*self.states, *self.unreadable})]

    def state(self, stack: str) -> State:
        self._reach()
        if stack in self.unreadable:
            raise StackError(f"`pulumi stack export --stack {stack}` failed: access denied")
        if stack not in self.states:
            raise NoSuchStackError(f"file:///states as tester does not know stack {stack}.")
        return self.states[stack]

    def _reach(self) -> None:
        if self.failure:
            raise self.failure


NO_CLI = NoCliError("The Pulumi CLI is needed.")


def knowing(rehearsal: Rehearsal, backend: KnownStates | None = None, **changes: str) -> Installation:
    """The installation of a rehearsal's stack, with changed keys, as a backend knows its states: empty by default."""
    stack = rehearsal.installation().stack.with_config({f"lls:{key}": value for key, value in changes.items()})
    return Installation(stack, rehearsal.installation().account, backend or KnownStates())


def ownership_of(installation: Installation, *, stateless: bool = False) -> Callable[[], Ownership]:
    return lambda: installation.ownership(Unwatched(), stateless=stateless)


def rehearsed(config: Mapping[str, str] | None = None, **options: Any) -> Report:
    """The whole of it."""
    audience: Audience = options.pop("audience", Silence())
    with a_rehearsal(config, **options) as rehearsal:
        return rehearsal.perform(audience)
