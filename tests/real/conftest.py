"""What these tests need beyond the project: a Pulumi CLI."""

import shutil

import pytest

NO_CLI = "there is no Pulumi CLI on the PATH: https://www.pulumi.com/docs/install/"


@pytest.fixture(scope="session")
def pulumi() -> str:
    """The path of the Pulumi CLI. Without one the test is skipped."""
    found = shutil.which("pulumi")
    if not found:
        pytest.skip(NO_CLI)
    return found
