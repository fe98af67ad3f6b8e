"""What a chart's templates make, as far as their text tells: services, health probes, and the values they read.

No template engine: a value, or an `if` of one, is followed; everything else that is templated is UNKNOWN.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

UNKNOWN: Final = "\0unknown"
"""Stands for what only Helm can tell. No YAML can spell it."""

_PLACE: Final = "__templated__"
"""What stands for UNKNOWN while a text is parsed."""

_LINES: Final = f"# {_PLACE}"
"""What stands for lines that are templated as a whole: a comment."""

_COMMENT: Final = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_DEFINITION: Final = re.compile(r"\{\{-?\s*define\b.*?\}\}.*?^\{\{-?\s*end\s*-?\}\}", re.DOTALL | re.MULTILINE)
_CONTROL: Final = re.compile(r"\s*\{\{-?\s*(if|else|end|range|with)\b(.*?)\s*-?\}\}\s*")
_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_VALUE: Final = re.compile(
    r"\$?\.Values\.([\w.]+)((?:\s*\|\s*(?:int64|int|quote|squote|toString|default\s+[^\s|()]+))*)"
)
_DEFAULT: Final = re.compile(r"default\s+(\S+)")
_READ: Final = re.compile(r"\$?\.Values((?:\.\w+)*)")


@dataclass(frozen=True)
class ServicePort:
    """A port of a service, each part None where it is left out and UNKNOWN where it is templated."""

    protocol: Any
    port: Any
    node_port: Any


@dataclass(frozen=True)
class Service:
    """A service that the chart makes. `ports` is None where they cannot be told."""

    name: Any
    type: Any
    ports: tuple[ServicePort, ...] | None


@dataclass(frozen=True)
class Made:
    """What the templates make. `unread` are those files of which some object could not be told."""

    services: tuple[Service, ...]
    probe_paths: frozenset[str]
    """HTTP paths of the pods' probes; UNKNOWN among them where one is templated."""
    unread: tuple[str, ...]


def made_by(templates: Mapping[str, str], values: Mapping[str, Any], release: str) -> Made:
    """What templates make of those values in a release of that name."""
    services: list[Service] = []
    paths: set[str] = set()
    unread: list[str] = []
    for name, text in templates.items():
        if name.endswith(".tpl"):
            continue  # definitions, of which nothing comes by itself
        for document in re.split(r"^---.*$", _resolved(text, values, release), flags=re.MULTILINE):
            try:
                parsed = _marked(yaml.safe_load(document))
            except yaml.YAMLError:
                parsed = UNKNOWN
            if parsed is None and _LINES not in document:
                continue
            made = cast(dict[str, Any], parsed) if isinstance(parsed, dict) else {}
            if made.get("kind") in (None, UNKNOWN):
                unread.append(name)
            elif made["kind"] == "Service":
                services.append(_service(made, may_have_more=_brings_ports(document)))
            else:
                paths.update(_probe_paths(made))
    return Made(tuple(services), frozenset(paths), tuple(dict.fromkeys(unread)))


def reads(templates: Mapping[str, str]) -> frozenset[str]:
    """The names of the values that templates read: a name stands for all below it, and "" for all there are."""
    text = _COMMENT.sub("", "\n".join(templates.values()))
    return frozenset(match.group(1).removeprefix(".") for match in _READ.finditer(text))


def is_read(name: str, read: frozenset[str]) -> bool:
    """Whether a value is among those read: itself, one above it, or one below it."""
    return any(not other or f"{name}.".startswith(f"{other}.") or other.startswith(f"{name}.") for other in read)


def value_at(values: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name; None where there is none."""
    found: Any = values
    for part in name.split("."):
        found = cast(Mapping[str, Any], found).get(part) if isinstance(found, Mapping) else None
    return found


def _resolved(text: str, values: Mapping[str, Any], release: str) -> str:
    """A template's text with what can be followed put in, and markers for the rest."""
    blocks: list[bool | None] = []  # of each open block, whether it is taken; None where only Helm knows
    lines: list[str] = []
    for line in _DEFINITION.sub("", _COMMENT.sub("", text)).splitlines():
        if control := _CONTROL.fullmatch(line):
            word, condition = control.groups()
            if word == "end" and blocks:
                blocks.pop()
            elif word == "else" and blocks:
                blocks[-1] = None if condition.strip() or blocks[-1] is None else not blocks[-1]
            elif word in ("if", "with", "range"):
                blocks.append(_truth(condition.strip(), values) if word == "if" else None)
        elif False not in blocks:
            lines.append(_line(line, values, release, certain=None not in blocks))
    return "\n".join(line for line in lines if line.strip())


def _truth(condition: str, values: Mapping[str, Any]) -> bool | None:
    value = _VALUE.fullmatch(condition.removeprefix("not").strip())
    if value is None or value.group(2):
        return None
    return bool(value_at(values, value.group(1))) is not condition.startswith("not ")


def _line(line: str, values: Mapping[str, Any], release: str, *, certain: bool) -> str:
    """A line with its actions followed. One of actions alone brings lines of its own, which cannot be told."""
    if not _ACTION.sub("", line).strip():
        return _LINES if line.strip() else ""
    if "{{" in _ACTION.sub("", line):
        return re.sub(r"(^\s*(?:-\s+)?[\w./-]+:).*", rf"\1 {_PLACE}", line)
    followed = _ACTION.sub(lambda action: _follow(action.group(1), values, release), line)
    if not certain or _PLACE in followed:
        return re.sub(r"(^\s*(?:-\s+)?[\w./-]+:)\s+\S.*", rf"\1 {_PLACE}", followed)
    return followed


def _follow(expression: str, values: Mapping[str, Any], release: str) -> str:
    if expression in (".Release.Name", "$.Release.Name"):
        return release
    match = _VALUE.fullmatch(expression)
    if match is None:
        return _PLACE
    found: Any = value_at(values, match.group(1))
    if not found and (default := _DEFAULT.search(match.group(2))):
        found = default.group(1).strip("\"'")
        if found.startswith((".", "$")):
            return _PLACE
    if isinstance(found, bool) or not isinstance(found, (str, int)) or "\n" in str(found):
        return _PLACE
    return str(found)


def _marked(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _marked(value) for key, value in cast(dict[Any, Any], document).items()}
    if isinstance(document, list):
        return [_marked(value) for value in cast(list[Any], document)]
    return UNKNOWN if isinstance(document, str) and _PLACE in document else document


def _brings_ports(document: str) -> bool:
    """Whether templated lines are among a service's ports."""
    indent = None
    for line in document.splitlines():
        here = len(line) - len(line.lstrip())
        if line.strip() == "ports:":
            indent = here
        elif indent is not None and line == _LINES:
            return True
        elif indent is not None and here <= indent and not line.lstrip().startswith("-"):
            indent = None
    return False


def _service(made: Mapping[str, Any], *, may_have_more: bool) -> Service:
    ports = None if may_have_more else value_at(made, "spec.ports")
    known = isinstance(ports, list) and all(isinstance(port, dict) for port in cast(list[Any], ports))
    return Service(
        value_at(made, "metadata.name"),
        value_at(made, "spec.type"),
        tuple(
            ServicePort(port.get("protocol"), port.get("port"), port.get("nodePort"))
            for port in cast(list[dict[str, Any]], ports)
        )
        if known
        else None,
    )


def _probe_paths(made: Any) -> Iterator[str]:
    if isinstance(made, dict):
        for key, value in cast(dict[str, Any], made).items():
            path = value_at({key: value}, f"{key}.httpGet.path") if key.endswith("Probe") else None
            if isinstance(path, str):
                yield path
            else:
                yield from _probe_paths(value)
    elif isinstance(made, list):
        for value in cast(list[Any], made):
            yield from _probe_paths(value)
