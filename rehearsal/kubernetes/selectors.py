"""The selectors of a list, as the Kubernetes API reads them. Its words are those of kube-apiserver v1.34.4."""

import re
from collections.abc import Callable
from typing import Final, Literal

Operator = Literal["in", "notin", "exists", "!", "gt", "lt"]
Requirement = Callable[[str | None], bool]
"""Whether a label's or a field's value fulfils a part of a selector; None stands for no such label."""

TOKEN: Final = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
OPERATORS: Final = {"=": "in", "==": "in", "!=": "notin", "in": "in", "notin": "notin", ">": "gt", "<": "lt"}
ENDS: Final = ("", ",")

FORM: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
BAD_NAME: Final = f'<nil>: Invalid value: "{{}}": name part {FORM}'
BAD_KEY: Final = (
    f"<nil>: Invalid value: \"{{}}\": a qualified name {FORM} with an optional DNS subdomain prefix and '/' (e.g. "
    "'example.com/MyName')"
)
BAD_VALUE: Final = (
    'values[0][{}]: Invalid value: "{}": a valid label must be an empty string or consist of alphanumeric characters, '
    "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


class SelectorError(ValueError):
    """Why a text is no selector."""


def parse_labels(text: str) -> list[tuple[str, Requirement]]:
    """The requirements of a label selector, each with its label. Raises SelectorError."""
    tokens, found = [*TOKEN.findall(text), ""], list[tuple[str, Requirement]]()
    while tokens[0]:
        if tokens[0] in "=(),<>==!=" and tokens[0] != "!":
            raise SelectorError(f"found '{tokens[0]}', expected: !, identifier, or 'end of string'")
        try:
            found.append(_requirement(tokens))
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None
        separator = tokens.pop(0)
        if not separator:
            break
        if separator != ",":
            raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
        if not _is_name(tokens[0]) and tokens[0] != "!":
            raise SelectorError(f"found '{tokens[0]}', expected: identifier after ','")
    return found


def parse_fields(text: str) -> list[tuple[str, Requirement]]:
    """The requirements of a field selector, each with its field. Raises SelectorError."""
    found: list[tuple[str, Requirement]] = []
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"(?P<field>[^=!]+)(?P<operator>!=|==|=)(?P<value>.*)", term)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        wanted = match["value"]
        found.append((match["field"], _one_of({wanted}) if match["operator"] != "!=" else _none_of({wanted})))
    return found


def _requirement(tokens: list[str]) -> tuple[str, Requirement]:
    """Takes the next requirement from the tokens."""
    is_absent = tokens[0] == "!"
    if is_absent:
        tokens.pop(0)
    key = tokens.pop(0)
    if not _is_name(key):
        raise SelectorError(f"found '{key}', expected: identifier")
    if key.count("/") > 1:
        raise SelectorError(BAD_KEY.format(key))
    if not NAME.fullmatch(key.rpartition("/")[2]):
        raise SelectorError(BAD_NAME.format(key))
    if is_absent or tokens[0] in ENDS:
        return key, lambda value: (value is None) is is_absent
    operator = OPERATORS.get(word := tokens.pop(0))
    if operator is None:
        raise SelectorError(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")
    values = _set(tokens) if word in ("in", "notin") else {_value(tokens)}
    for value in values:
        if value and not NAME.fullmatch(value):
            raise SelectorError(BAD_VALUE.format(key, value))
    if operator in ("gt", "lt"):
        return key, _compared(values.pop(), is_more=operator == "gt")
    return key, _one_of(values) if operator == "in" else _none_of(values)


def _value(tokens: list[str]) -> str:
    if tokens[0] in ENDS:
        return ""
    if not _is_name(value := tokens.pop(0)):
        raise SelectorError(f"found '{value}', expected: identifier")
    return value


def _set(tokens: list[str]) -> set[str]:
    if (opening := tokens.pop(0)) != "(":
        raise SelectorError(f"found '{opening}' expected: '('")
    values: set[str] = set()
    while True:
        values.add(tokens.pop(0) if _is_name(tokens[0]) else "")
        if (separator := tokens.pop(0)) == ")":
            return values
        if separator != ",":
            raise SelectorError(f"found '{separator}', expected: ',' or ')'")


def _compared(limit: str, *, is_more: bool) -> Requirement:
    if not limit.isdecimal():
        words = f"Invalid value: \"{limit}\": for 'Gt', 'Lt' operators, the value must be an integer"
        raise SelectorError(f"values[0]: {words}")

    def holds(value: str | None) -> bool:
        return (
            value is not None
            and value.isdecimal()
            and ((int(value) > int(limit)) if is_more else int(value) < int(limit))
        )

    return holds


def _one_of(values: set[str]) -> Requirement:
    return lambda value: value in values


def _none_of(values: set[str]) -> Requirement:
    return lambda value: value not in values


def _is_name(token: str) -> bool:
    return bool(token) and not re.match(r"[=!(),<>]", token)
