"""The benchmark's clock: only waiting takes time."""

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import Future

import pytest

from bench.clock import StillClock, StillLoop, StillWorkers


def slept(clock: StillClock, seconds: float) -> float:
    """Sleep, after some work; when it ended."""
    time.sleep(0.002)
    clock.sleep(seconds)
    return clock.now()


def all_of(workers: StillWorkers, running: Collection[Future[float]]) -> list[float]:
    """When each job ended, once all have."""
    left = list(running)
    while left:
        for done in workers.first(left):
            left.remove(done)
    return [job.result() for job in running]


def test_no_time_passes_while_somebody_works() -> None:
    clock = StillClock()
    time.sleep(0.002)
    assert clock.now() == 0


def test_who_is_alone_wakes_at_once_and_to_the_second() -> None:
    clock = StillClock()
    clock.sleep(150)
    clock.skip(10)
    clock.sleep(0.5)
    assert clock.now() == 160.5


@pytest.mark.parametrize(("parallel", "ends"), [(1, [3, 5, 6, 10]), (2, [3, 2, 3, 7]), (4, [3, 2, 1, 4])])
def test_jobs_wait_for_a_worker_and_then_for_nothing_but_the_clock(parallel: int, ends: list[float]) -> None:
    clock = StillClock()
    with StillWorkers(clock, parallel) as workers:
        assert all_of(workers, [workers.submit(slept, clock, seconds) for seconds in (3, 2, 1, 4)]) == ends


def test_what_follows_from_a_job_begins_when_the_job_ends_however_long_it_takes_to_say_so() -> None:
    clock = StillClock()
    with StillWorkers(clock, 2) as workers:
        long = workers.submit(slept, clock, 7)
        [first] = workers.first([workers.submit(slept, clock, 5), long])
        time.sleep(0.002)
        assert (first.result(), clock.now()) == (5, 5)
        assert all_of(workers, [long, workers.submit(slept, clock, 5)]) == [7, 10]


@pytest.mark.parametrize("seconds", [2, 9])
def test_who_goes_on_beside_a_job_in_the_background_is_not_held_up_by_its_end(seconds: float) -> None:
    clock = StillClock()
    with StillWorkers(clock, 2) as workers:
        beside = workers.in_background(slept, clock, seconds)
        assert [slept(clock, 3), slept(clock, 3)] == [3, 6]
    assert (beside.result(), clock.now()) == (seconds, max(seconds, 6))


def test_a_program_takes_no_time_but_waits_for_what_it_asks_for() -> None:
    clock = StillClock()

    async def program() -> list[float]:
        loop = asyncio.get_running_loop()

        async def chain(*naps: float) -> float:
            ended = 0.0
            for seconds in naps:
                ended = await loop.run_in_executor(None, slept, clock, seconds)
                time.sleep(0.002)
            return ended

        return list(await asyncio.gather(chain(5, 5), chain(7), chain(1, 1, 1)))

    with asyncio.Runner(loop_factory=lambda: StillLoop(clock, 64)) as runner:
        assert runner.run(program()) == [10, 7, 3]
    clock.sleep(1)
    assert clock.now() == 11


def test_a_job_that_fails_frees_its_worker() -> None:
    clock = StillClock()

    def fail() -> float:
        clock.sleep(1)
        raise ValueError("amiss")

    with StillWorkers(clock, 1) as workers:
        failing, next_ = workers.submit(fail), workers.submit(slept, clock, 1)
        assert workers.first([failing]) == {failing}
        assert all_of(workers, [next_]) == [2]
        with pytest.raises(ValueError, match="amiss"):
            failing.result()


def test_who_leaves_work_behind_waits_for_its_end() -> None:
    clock = StillClock()
    with StillWorkers(clock, 1) as workers:
        left = workers.submit(slept, clock, 9)
    assert left.result() == 9
