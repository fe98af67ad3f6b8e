"""One look-up and its failure in one sentence: what was asked, the cause and the remedy."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

import pulumi

from lls.kubeconfig import CredentialError

T = TypeVar("T")

PULUMIS_WORDS: Final = re.compile(r"^invoke of .*? returned an error: ")
"""What stands before a provider's own."""


def ask(what: str, call: Callable[[], T], remedy: str) -> T:
    """The answer of a look-up. Raises pulumi.RunError for whatever the call raises; a CredentialError has a remedy."""
    pulumi.log.info(f"Looking up {what}", ephemeral=True)
    try:
        return call()
    except CredentialError as error:
        raise pulumi.RunError(f"Looking up {what} failed: {error}") from error
    except Exception as error:
        cause = PULUMIS_WORDS.sub("", " ".join((str(error) or repr(error)).split())).rstrip(".")
        raise pulumi.RunError(f"Looking up {what} failed: {cause}. {remedy}") from error
