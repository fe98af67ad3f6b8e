"""The emulated API held against the answers of a real API server that tests/real/test_cluster.py has recorded."""

from collections.abc import Generator

import pytest

from tests.support.cluster_comparison import (
    QUESTIONS,
    WRITTEN,
    Emulated,
    Places,
    Record,
    calls_compared,
    calls_made,
    digest,
    emulated,
    fields,
    unwritten,
)
from tests.support.kube_api import collection

PLACES = Places("lls-compared-00000000")
RECORD = Record.read()


@pytest.fixture(scope="module")
def ours() -> Generator[Emulated]:
    with emulated(PLACES) as found:
        yield found


def test_every_call_of_the_program_and_the_operations_is_compared_with_a_real_server() -> None:
    assert calls_made() - calls_compared() == set()


def test_every_question_has_an_answer_of_a_real_server() -> None:
    assert [name for name, _ in RECORD.answers] == [question.name for question in QUESTIONS]
    assert RECORD.version.startswith("v1.")


@pytest.mark.parametrize("resource", RECORD.objects)
def test_objects_have_what_a_real_server_sets_by_itself(ours: Emulated, resource: str) -> None:
    namespace = "" if resource == "nodes" else PLACES.namespace
    items = ours.api.ask("GET", collection(resource, namespace)).object_["items"]
    shown = {PLACES.hidden(item["metadata"]["name"]): fields(item, PLACES) for item in items}
    for name, real in RECORD.objects[resource].items():
        found = {path: shown[name].get(path) for path in real}
        assert unwritten(resource, found, real) == {}, name


def test_every_answer_is_that_of_a_real_server() -> None:
    with emulated(PLACES) as asked:
        for question, (_, real) in zip(QUESTIONS, RECORD.answers, strict=True):
            assert unwritten(question.name, digest(asked.ask(question, PLACES), PLACES), real) == {}, question.name


def test_every_difference_that_is_left_has_its_reason() -> None:
    assert all(len(difference.why) > 20 for difference in WRITTEN)
