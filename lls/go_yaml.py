"""YAML as Pulumi's engine reads it, which is written in Go: by the rules of yaml.v3, not by PyYAML's.

`on`, `12:30` and `1.2.3` are texts, `1.0` is the whole number 1, `017` is 15, a date becomes the text that Go makes of
it, and a key that is no text becomes one.
"""

import base64
import binascii
import math
import re
from calendar import monthrange
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast

import yaml

from lls.files import LOADER

TAG: Final = "tag:yaml.org,2002:"
"""What `!!` stands for."""

CONSTANTS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys(("true", "True", "TRUE"), ("bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("bool", False)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("float", math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("float", math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("float", -math.inf)),
}
"""Plain scalars that mean something else than their text: kind and value."""

WHOLE: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
TIME: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    r"((?P<between>[Tt]| +)(?P<hour>\d\d?):(?P<minute>\d\d?):(?P<second>\d\d?)([.,](?P<fraction>\d+))?"
    r"(?P<zone>Z|[-+]\d\d:\d\d)?)?",
    re.ASCII,
)


def read_go_yaml(text: str | bytes) -> Any:
    """What the first document says: None, booleans, numbers, texts, lists, and dicts whose keys are texts.

    Raises yaml.YAMLError, whose message is one line, without a full stop.
    """
    events = cast(Iterator[Any], yaml.parse(text, Loader=LOADER))  # pyright: ignore[reportUnknownMemberType]
    try:
        return _Document(events).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise yaml.YAMLError(f"line {mark.line + 1 if mark else 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise yaml.YAMLError(" ".join(str(error).split())) from None
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


def number_text(value: float) -> str:
    """A number as Go's JSON has it, in the fewest digits that are read as the same number."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if not value:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return repr(value).replace("e-0", "e-")


class _Document:
    """The first document of a stream of events."""

    def __init__(self, events: Iterator[Any]) -> None:
        """Nothing is read yet."""
        self._events = events
        self._anchored: dict[str, Any] = {}

    def read(self) -> Any:
        """Its value; None where there is no document."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                value = self._value(next(self._events))
                next(self._events)  # its end may be where it is wrong
                return value
        return None

    def _value(self, event: Any) -> Any:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise _wrong(event, f"unknown anchor {event.anchor!r} referenced")
            return self._anchored[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = list[Any]()
            while not isinstance(part := next(self._events), yaml.SequenceEndEvent):
                value.append(self._value(part))
        else:
            value = self._mapping()
        if event.anchor:
            self._anchored[event.anchor] = value
        return value

    def _mapping(self) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: list[Any] = []
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event)
            if isinstance(key, (dict, list)):
                raise _wrong(event, "a list or a mapping is no key")
            written = event.value if isinstance(event, yaml.ScalarEvent) else f"*{event.anchor}"
            if written in lines:
                raise _wrong(event, f"mapping key {written!r} already defined at line {lines[written]}")
            lines[written] = event.start_mark.line + 1
            value = self._value(next(self._events))
            if written == "<<" and isinstance(event, yaml.ScalarEvent):  # in quotes too: the engine reads a file twice
                merged = cast(list[Any], value) if isinstance(value, list) else [value]
                if not all(isinstance(mapping, dict) for mapping in merged):
                    raise _wrong(event, "map merge requires a mapping, or a list of mappings")
            else:
                own[_key(key)] = value
        for mapping in merged:
            own = {**mapping, **own}
        return own


def _wrong(event: Any, problem: str) -> yaml.YAMLError:
    return yaml.YAMLError(f"line {event.start_mark.line + 1}: {problem}")


def _key(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else number_text(value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    tag = "" if event.tag in (None, "!") else event.tag.removeprefix(TAG)
    if tag == "str" or (not tag and event.style):
        return text
    if tag == "binary":
        try:
            return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode(errors="replace")
        except binascii.Error:
            raise _wrong(event, "!!binary value contains invalid base64 data") from None
    if tag not in ("", "bool", "int", "float", "null", "timestamp"):
        return text
    kind, value = _resolved(text, tag)
    if tag not in ("", kind) and (tag, kind) != ("float", "int"):
        raise _wrong(event, f"cannot decode !!{kind} {text!r} as a !!{tag}")
    return value


def _resolved(text: str, tag: str) -> tuple[str, Any]:
    """Kind and value of a plain scalar, given the tag that it has."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if tag in ("", "timestamp") and (time := _time(text)):
        return "timestamp", time
    digits = text if text.startswith(".") else text.replace("_", "") if text[0] in "+-0123456789" else ""
    if WHOLE.fullmatch(digits):
        whole = int(digits, 8 if re.fullmatch("[-+]?0[0-7]+", digits) else 0)
        if -(2**63) <= whole < (2**63 if digits[0] == "+" else 2**64):
            return "int", whole
    if FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        written = number_text(value)
        return "float", int(written) if re.fullmatch("-?[0-9]+", written) else value
    return "str", text


def _time(text: str) -> str:
    """What Go prints of a time; empty for what is none."""
    found = TIME.fullmatch(text)
    if not found or (found["between"] or "").isalpha() != bool(found["zone"]):
        return ""
    year, month, day = (int(found[name]) for name in ("year", "month", "day"))
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if not 1 <= month <= 12 or not 1 <= day <= monthrange(year or 400, month)[1]:
        return ""
    if hour > 23 or minute > 59 or second > 59:
        return ""
    zone = "+0000 UTC"
    if found["zone"] not in (None, "Z", "+00:00", "-00:00"):
        zone = " ".join([found["zone"].replace(":", "")] * 2)
    fraction = f".{found['fraction'] or ''}"[:10].rstrip("0").rstrip(".")
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} {zone}"
