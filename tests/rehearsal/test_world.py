"""Processes of an emulated world that are killed: the world is as they left it."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import ADDRESS
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE
from rehearsal.engine.engine import StepsFailedError
from rehearsal.rehearse import Rehearsal
from rehearsal.world import KilledError
from tests.support.operations import streams
from tests.support.worlds import a_rehearsal

PLACE = ("gdn-streaming", "gdn-streaming")


@contextmanager
def a_killed_process(rehearsal: Rehearsal) -> Generator[Callable[[Callable[[], object]], None]]:
    """Runs what a process would do that is killed before the first moment in which it waits for something."""
    killed = Event()
    killed.set()
    with ThreadPoolExecutor(1, initializer=rehearsal.clock.follow, initargs=(killed,)) as process:

        def dies_of(work: Callable[[], object]) -> None:
            with pytest.raises(KilledError):
                process.submit(work).result()

        yield dies_of


def release_of(rehearsal: Rehearsal) -> Properties:
    return next(resource.inputs for resource in rehearsal.engine.state.values() if resource.type == RELEASE)


def test_a_process_that_was_killed_asks_aws_for_nothing_more() -> None:
    with a_rehearsal() as rehearsal, a_killed_process(rehearsal) as dies_of:
        dies_of(lambda: rehearsal.provider.create(ADDRESS, {}))
        assert rehearsal.aws.calls == []


def test_a_release_whose_install_was_killed_is_pending() -> None:
    with a_rehearsal() as rehearsal, a_killed_process(rehearsal) as dies_of:
        rehearsal.engine.up()
        inputs = release_of(rehearsal)
        rehearsal.cluster.uninstall(*PLACE)
        dies_of(lambda: rehearsal.provider.create(RELEASE, inputs))
        assert rehearsal.cluster.releases[PLACE].status == "pending-install"


def test_a_release_whose_uninstall_was_killed_takes_no_upgrade_and_can_be_uninstalled_again() -> None:
    with a_rehearsal() as rehearsal, a_killed_process(rehearsal) as dies_of:
        rehearsal.engine.up()
        dies_of(lambda: rehearsal.provider.delete(RELEASE, "", release_of(rehearsal)))
        rehearsal.reconfigure({"lls:imageTag": "2.0.2"})
        with pytest.raises(StepsFailedError, match="has no deployed releases"):
            rehearsal.engine.up()
        rehearsal.cluster.uninstall(*PLACE)
        rehearsal.engine.refresh()
        rehearsal.engine.up()
        assert streams(rehearsal)


def test_a_namespace_whose_deletion_was_begun_goes_although_who_waited_for_it_was_killed() -> None:
    with a_rehearsal() as rehearsal, a_killed_process(rehearsal) as dies_of:
        rehearsal.cluster.create_namespace("x")
        dies_of(lambda: rehearsal.provider.delete(KUBERNETES_NAMESPACE, "x", {}))
        rehearsal.clock.sleep(2 * rehearsal.world.latencies.namespace_delete)
        assert rehearsal.cluster.leftovers() == ()
