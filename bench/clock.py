"""A clock by which the machine takes no time: a world's time stands still while anybody works.

By a clock that is only faster than AWS's, each second that the machine works counts as many of AWS. By this one nothing
counts but what AWS and the cluster take and what waits for it: no figure depends on how fast or busy the machine is.
"""

import asyncio
import heapq
import itertools
import selectors
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from rehearsal.engine.engine import Workers
from rehearsal.world import WorldClock

T = TypeVar("T")


class StillClock(WorldClock):
    """Time that passes at once, from one that wakes to the next, and only while nobody works.

    Who made the clock works from the beginning. Everybody else is counted from `work` to `rest`; whoever sleeps rests.
    """

    def __init__(self) -> None:
        super().__init__(1.0)
        self._time = 0.0
        self._lock: Final = threading.Lock()
        self._asleep: Final[list[tuple[float, int, threading.Event]]] = []
        self._number: Final = itertools.count()
        self._working = 1

    def now(self) -> float:
        """Seconds of the emulated world since its beginning."""
        return self._time

    def skip(self, seconds: float) -> None:
        """Let that many seconds of the emulated world pass at once."""
        with self._lock:
            self._time += seconds

    def sleep(self, seconds: float) -> None:
        """Let that many seconds of the emulated world pass."""
        woken = threading.Event()
        with self._lock:
            heapq.heappush(self._asleep, (self._time + seconds, next(self._number), woken))
        self.rest()
        woken.wait()

    def work(self) -> None:
        """One more works."""
        with self._lock:
            self._working += 1

    def rest(self) -> None:
        """One works no more. If it was the last, whoever wakes first wakes now."""
        with self._lock:
            self._working -= 1
            if not self._working and self._asleep:
                due, _, woken = heapq.heappop(self._asleep)
                self._time = max(self._time, due)
                self._working = 1
                woken.set()


class StillWorkers(Workers):
    """The engine's workers by a clock that stands still while any of them works.

    What is done counts as work until it was taken: nothing happens between the end of a job and what follows from it.
    What waits for a worker does not count.
    """

    def __init__(self, clock: StillClock, parallel: int) -> None:
        """Do so many jobs at once."""
        super().__init__(parallel)
        self._clock = clock
        self._lock = threading.Lock()
        self._free = parallel
        """How many are free; below zero, how many jobs wait for one."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Do a job as soon as a worker is free."""

        def job() -> T:
            try:
                return fn(*args, **kwargs)
            finally:
                with self._lock:
                    self._free += 1
                    if self._free <= 0:
                        self._clock.work()  # the next one

        with self._lock:
            if self._free > 0:
                self._clock.work()
            self._free -= 1
        return super().submit(job)

    def in_background(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """Do a job that nobody waits for before the workers end: nothing follows from it, so its end is no work."""
        future = self.submit(fn, *args)
        future.add_done_callback(self.taken)
        return future

    def taken(self, _: object = None) -> None:
        """The result of a job was taken."""
        self._clock.rest()

    def first(self, running: Collection[Future[T]]) -> Collection[Future[T]]:
        """Those that are done, as soon as one is. They are taken: ask only for the others again."""
        self._clock.rest()
        done = super().first(running)
        self._clock.work()
        for _ in done:
            self.taken()
        return done

    def __exit__(self, *error: Any) -> None:
        """Wait for what is still being done."""
        self._clock.rest()
        super().__exit__(*error)
        self._clock.work()


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop that works, by the clock, except while it waits for its workers."""

    def __init__(self, clock: StillClock, parallel: int) -> None:
        """Run on the calling thread, which the clock counts already."""
        super().__init__(_Waits(clock))
        self._workers = StillWorkers(clock, parallel)
        self.set_default_executor(self._workers)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Have a job done by the workers, which are the loop's only executor."""
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._workers.taken)
        return future


class _Waits(selectors.DefaultSelector):
    """Waits for events, and rests where it does not just look."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        self._clock.rest()
        try:
            return super().select(timeout)
        finally:
            self._clock.work()
