"""Booleans, numbers and texts on their way from a stack's file to AWS and Helm: what must not change, and what may."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from pydantic import BeforeValidator
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
"""Where a part of a value is: keys of mappings, and positions in lists."""

EXACT: Final = 2**53
"""The largest whole number that survives the way to Helm, where every number is a 64-bit float."""

TEXT: Final = 'use a text: put it in quotes, as in "5"'
"""What is said of a number or a boolean that would have to be one."""


WORDS: Final = {
    "string": TEXT,
    "bool": "use true or false",
    "int": "use a whole number",
    "float": "use a number",
    "list": "give a list",
    "tuple": "give a list",
    "set": "give a list",
    "dict": "give a mapping",
    "mapping": "give a mapping",
    "model": "give a mapping",
    "missing": "it is not set",
    "extra": "there is no such key",
}
"""What to say of a value, by the first word of pydantic's type of error."""


def in_words(error: ErrorDetails) -> str:
    """What a value is to be: in this project's words, never in pydantic's."""
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    if error["type"] == "literal_error":
        return f"use {context['expected']}"
    return WORDS.get(error["type"].partition("_")[0]) or "use another value"


def written_as(pattern: str, expected: str) -> BeforeValidator:
    """A validator of a text before it is parsed: the engine takes no other way to write the value."""

    def validate(value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return BeforeValidator(validate)


def as_text(value: Any) -> Any:
    """A boolean or a whole number as the text it was, which `pulumi config set --path` has made it of."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) <= EXACT:
        return str(value)
    if value is None:
        raise ValueError('null is no text: use "" for an empty one, or remove it')
    if isinstance(value, int | float):
        raise ValueError(f"{TEXT}, since a number may have been written otherwise, as 1.10 is 1.1")
    return value


def unfit_helm_values(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any, str]]:
    """Parts of Helm values that would reach Kubernetes as something else, or not at all: path, value and remedy."""
    if isinstance(value, dict):
        parts: Iterable[tuple[str | int, Any]] = cast(dict[str, Any], value).items()
    elif isinstance(value, list):
        parts = enumerate(cast(list[Any], value))
    else:
        if isinstance(value, int | float) and abs(value) > EXACT and value % 1 == 0:
            yield path, value, f"a whole number beyond 2^53 loses digits on its way to Helm: {TEXT}"
        elif isinstance(value, int | float) and _is_variable(path):
            yield path, value, f"Kubernetes takes only a text for an environment variable: {TEXT}"
        return
    for key, part in parts:
        yield from unfit_helm_values(part, (*path, key))


def _is_variable(path: Path) -> bool:
    """Whether a value becomes an environment variable: the chart's `env.NAME`, or the `value` in any list `env`."""
    return (path[:1] == ("env",) and len(path) == 2) or (
        path[-3:-2] == ("env",) and isinstance(path[-2], int) and path[-1] == "value"
    )
