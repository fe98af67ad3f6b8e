"""The orders in which an engine deletes: whatever the graph, nothing goes before what needs it."""

import threading
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lls.operations.program.recording import Resource
from rehearsal.engine.engine import Schedule, Workers, as_soon_as_free, in_waves, waves
from tests.support.resources import a_resource

GRAPHS = st.integers(1, 8).flatmap(
    lambda size: st.tuples(
        st.just(frozenset[int]()), *(st.frozensets(st.integers(0, last)) for last in range(size - 1))
    )
)
"""What each of some things needs, by number: only what is before it."""


def resources_of(graph: Collection[frozenset[int]]) -> list[Resource]:
    return [
        a_resource(str(number), dependencies=frozenset(map(str, needs)) | {"elsewhere"})
        for number, needs in enumerate(graph)
    ]


@given(GRAPHS)
def test_a_wave_holds_what_needs_nothing_of_its_own_or_later_waves_and_goes_as_late_as_may_be(
    graph: Collection[frozenset[int]],
) -> None:
    resources = resources_of(graph)
    found = [{resource.urn for resource in wave} for wave in waves(resources)]
    assert sorted(urn for wave in found for urn in wave) == sorted(resource.urn for resource in resources)
    place = {urn: number for number, wave in enumerate(found) for urn in wave}
    for resource in resources:
        needs = [place[urn] for urn in resource.needs if urn in place]
        assert place[resource.urn] == min(needs, default=len(found)) - 1


@pytest.mark.parametrize("schedule", [in_waves, as_soon_as_free])
@given(graph=GRAPHS, failing=st.frozensets(st.integers(0, 7)))
def test_everything_is_deleted_after_what_needs_it_and_once_one_fails_nothing_that_it_needs(
    schedule: Schedule, graph: Collection[frozenset[int]], failing: frozenset[int]
) -> None:
    resources = resources_of(graph)
    needed_by: Mapping[str, set[str]] = {
        resource.urn: {other.urn for other in resources if resource.urn in other.needs} for resource in resources
    }
    lock, gone, begun = threading.Lock(), set[str](), list[str]()

    def delete(resource: Resource) -> bool:
        with lock:
            begun.append(resource.urn)
            assert needed_by[resource.urn] <= gone
            if int(resource.urn) in failing:
                return False
            gone.add(resource.urn)
            return True

    with Workers() as workers:
        schedule(resources, delete, workers)
    assert len(begun) == len(set(begun))
    if not failing & set(range(len(resources))):
        assert gone == {resource.urn for resource in resources}
