"""Schedules: the orders, parallel ones too, in which an engine may do what its graph leaves open."""

import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from lls.operations.program.recording import Properties, Resource
from rehearsal.engine.engine import Listener, Step, Workers, as_soon_as_free
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import PatientClock, a_rehearsal

T = TypeVar("T")

Choice = Callable[[Sequence[str]], int]
"""Who goes on: of the names of what is being worked at, the index of one."""


Edge = tuple[str, str]
"""The URN of what needs, and of what it needs."""


class ScheduleEndedError(Exception):
    """Nobody is left to say who goes on."""


@dataclass
class Turn:
    """One resource being worked at, until `wakes` at least asleep. Goes on when `go` is released."""

    name: str
    wakes: float
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: bool = False

    def wait(self) -> None:
        self.go.acquire()
        if self.ended:
            raise ScheduleEndedError


class Schedule(PatientClock):
    """A clock by which workers take turns: one works until it waits or ends, then `choose` says who goes on.

    Every AWS call and every wait is a moment at which any other may come first, however long it takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.choose: Choice = lambda _: 0
        self._asleep: list[Turn] = []
        self._working: Turn | None = None
        self._free = threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        if turn := self._working:
            turn.wakes = self.time + seconds
            self._asleep.append(turn)
            self._free.release()
            turn.wait()
        else:
            super().sleep(seconds)

    def workers(self) -> "Turns":
        return Turns(self)

    def begin(self, turn: Turn) -> None:
        self._asleep.append(turn)

    def go_on(self) -> None:
        self._asleep.sort(key=lambda turn: turn.name)  # so that a choice means the same in every run
        turn = self._asleep.pop(self.choose([task.name for task in self._asleep]))
        self.time = max(self.time, turn.wakes)
        self._working = turn
        turn.go.release()
        self._free.acquire()
        self._working = None

    def free(self, _: object) -> None:
        self._free.release()

    def end(self) -> None:
        """Let nobody go on who is still asleep."""
        for turn in self._asleep:
            turn.ended = True
            turn.go.release()
        self._asleep.clear()


class Turns(Workers):
    """The workers of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        turn = Turn(args[0].name, self._schedule.now())

        def work() -> Any:
            turn.wait()
            return fn(*args, **kwargs)

        self._schedule.begin(turn)
        future = super().submit(work)
        future.add_done_callback(self._schedule.free)
        return future

    def __exit__(self, *error: Any) -> None:
        self._schedule.end()
        super().__exit__(*error)

    def first(self, running: Collection[Future[T]]) -> Collection[Future[T]]:
        while not (done := [task for task in running if task.done()]):
            self._schedule.go_on()
        return done


class Watch(Listener):
    """Looks after each deletion and creation at what stops media on its way to targets."""

    def __init__(self, rehearsal: Rehearsal, *, draining: bool) -> None:
        self._it = rehearsal
        self._draining = draining
        self.cut: list[str] = []

    def finished(self, step: Step) -> None:
        if obstacles := self._it.aws.obstacles(draining=self._draining):
            self.cut.append(f"after {step.operation} {step.resource.name}: {'; '.join(obstacles)}")


class Scheduled:
    """A stack that is destroyed and created again, by its recorded graph alone, in orders of the caller's choice.

    `goals` is the graph. After a failure the next destroy begins in a new world.
    """

    def __init__(self, config: Mapping[str, str], exit_stack: ExitStack, **options: Any) -> None:
        self._begin = lambda: exit_stack.enter_context(a_rehearsal(config, clock=Schedule(), **options))
        self._exit = exit_stack
        self._is_drained = "lls:drainSeconds" in config
        self._is_whole = False
        self._renew()

    def _renew(self) -> None:
        self._exit.close()
        self.rehearsal = self._begin()
        self.clock = cast(Schedule, self.rehearsal.clock)
        self.rehearsal.engine.workers = self.clock.workers
        self.rehearsal.engine.schedule = as_soon_as_free
        self.rehearsal.engine.up()
        self.goals = dict(self.rehearsal.engine.state)
        self._is_whole = True

    def destroy(self, choose: Choice, lost: Edge | None = None) -> Sequence[str]:
        """Destroy, as if the graph had lost an edge. Answers with what cut media off from registered targets.

        Raises StepsFailedError.
        """
        if not self._is_whole:
            self._renew()
        self._is_whole = False
        self.clock.choose = choose
        self.rehearsal.engine.listener = watch = Watch(self.rehearsal, draining=self._is_drained)
        self.rehearsal.engine.state = _without(self.rehearsal.engine.state, lost)
        self.rehearsal.engine.destroy()
        return watch.cut

    def create(self, choose: Choice, lost: Edge | None = None) -> Sequence[str]:
        """Create everything again. Answers as `destroy` does."""
        self.clock.choose = choose
        watch = Watch(self.rehearsal, draining=self._is_drained)
        waiting = _without(self.goals, lost)
        unmade = set(waiting)
        renewed: dict[str, str] = {}

        def make(goal: Resource) -> Resource:
            inputs = _renewed(goal.inputs, renewed)
            id_, outputs = self.rehearsal.provider.create(goal.type, inputs) if goal.custom else ("", {})
            made = replace(goal, id=id_, inputs=inputs, outputs=outputs | inputs)
            watch.finished(Step("create", made, 0, 0))
            return made

        running: dict[Future[Any], Resource] = {}
        with self.rehearsal.engine.workers() as pool:
            while unmade:
                for goal in [step for step in waiting.values() if not step.needs & unmade]:
                    running[pool.submit(make, waiting.pop(goal.urn))] = goal
                for future in pool.first(running):
                    goal, made = running.pop(future), cast(Resource, future.result())
                    unmade.remove(goal.urn)
                    self.rehearsal.engine.state[made.urn] = replace(
                        made, dependencies=self.goals[made.urn].dependencies
                    )
                    renewed |= _strings({"id": goal.id, **goal.outputs}, {"id": made.id, **made.outputs})
        self._is_whole = True
        return watch.cut


@contextmanager
def scheduled(config: Mapping[str, str], **options: Any) -> Generator[Scheduled]:
    with ExitStack() as exit_stack:
        yield Scheduled(config, exit_stack, **options)


def _without(graph: Mapping[str, Resource], lost: Edge | None) -> dict[str, Resource]:
    needer, need = lost or (None, None)
    return {
        urn: replace(resource, dependencies=resource.dependencies - {need}) if urn == needer else resource
        for urn, resource in graph.items()
    }


def _strings(olds: Properties, news: Properties) -> dict[str, str]:
    """What each string that AWS gave has become."""
    return {old: news[key] for key, old in olds.items() if isinstance(old, str) and isinstance(news.get(key), str)}


def _renewed(value: Any, renewed: Mapping[str, str]) -> Any:
    """A recorded input, with the ids and addresses of now."""
    if isinstance(value, dict):
        return {key: _renewed(each, renewed) for key, each in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_renewed(each, renewed) for each in cast(list[Any], value)]
    return renewed.get(value, value) if isinstance(value, str) else value
