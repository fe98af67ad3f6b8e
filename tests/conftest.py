"""What the tests share: a config, and a provider that records what a program registers."""

import gc
from collections.abc import Generator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from pulumi.runtime import resource as sdk
from pulumi.runtime.proto.source_pb2 import StackTrace

settings.register_profile("suite", max_examples=10, derandomize=True, deadline=None, database=None)
settings.register_profile("long", max_examples=1000, deadline=None, database=None)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """What is imported by now stays, and tests are short: looking for garbage takes a third of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000)


@pytest.fixture(autouse=True, scope="session")
def _no_source_positions() -> Generator[None]:
    """The SDK tells the engine the stack at each resource: through pytest, a tenth of the time, and nobody reads it."""
    with patch.object(sdk, "_get_stack_trace", StackTrace):
        yield


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, where the auth file lands."""
    monkeypatch.chdir(tmp_path)
