"""What these tests need beyond the project: a Pulumi CLI, and that somebody asks for them, since they take minutes."""

import shutil
from collections.abc import Iterable

import pytest


def why_not(arguments: Iterable[str], cli: str | None) -> str:
    """Why the tests of the real engine do not run; empty where they do."""
    if not cli:
        return "there is no Pulumi CLI on the PATH: https://www.pulumi.com/docs/install/"
    if not any("real" in argument for argument in arguments):
        return "they take minutes: ask for them, as in make test ARGS=tests/real"
    return ""


@pytest.fixture(scope="session")
def pulumi(pytestconfig: pytest.Config) -> str:
    """The path of the Pulumi CLI. Without one, or where the tests are not asked for, they are skipped."""
    found = shutil.which("pulumi")
    if reason := why_not(pytestconfig.args, found):
        pytest.skip(reason)
    return found or ""
