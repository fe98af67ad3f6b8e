"""How moto is made to refuse what AWS refuses: methods of its backends, replaced for a while."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

Proceed = Callable[..., Any]
"""The rest of a call, as moto does it."""


class Rule(NamedTuple):
    """A method of one of moto's classes and what stands before it.

    `instead` is called with the rest of the call, the object, and the call's arguments.
    """

    owner: type
    method: str
    instead: Callable[..., Any]


def enforce(rules: Iterable[Rule], until: ExitStack) -> None:
    """Put rules before moto's methods until that stack is closed."""
    for rule in rules:
        until.enter_context(
            patch.object(rule.owner, rule.method, _around(getattr(rule.owner, rule.method), rule.instead))
        )


def check_tags(tags: Mapping[str, str], refuse: Callable[[str, str], Exception], too_many: str = "TooManyTags") -> None:
    """Refuse tags that AWS refuses."""
    if len(tags) > 50:
        raise refuse(too_many, "The quota for the number of tags has been reached")
    for key, value in tags.items():
        if key.startswith("aws:") or not 1 <= len(key) <= 128 or len(value) > 256:
            raise refuse("InvalidParameterValue", f"The tag '{key}' is not valid")


def _around(original: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """A method that hands the original, bound to its object, to a rule."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return rule(partial(original, self), self, *args, **kwargs)

    return method
