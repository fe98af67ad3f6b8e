"""Who may know whom in lls/: an import goes only down, never in a circle."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lls.operations.program.stack_file import PROJECT

BELOW: Mapping[str, tuple[str, ...]] = {
    "lls": (),
    "lls.operations.program": ("lls",),
    "lls.operations.report": (),
    "lls.operations.world": ("lls", "lls.operations.program", "lls.operations.report"),
    "lls.operations": ("lls", "lls.operations.program", "lls.operations.report", "lls.operations.world"),
}
"""Each floor and room, and those whose modules its own may import besides each other."""

ENTRANCES = {"lls.__main__": "lls.operations", "lls.operations.cli": "lls.operations"}
"""Modules that open a floor: the first is no part of the ground floor, the second imports every command."""


def modules() -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted((PROJECT / "lls").rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """Our own modules that a module imports anywhere, for types too."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = [f"{node.module}.{each.name}" for each in node.names]
            yield from ([each for each in inner if each in known] or [str(node.module)])


def room(module: str) -> str:
    if module in ENTRANCES:
        return ENTRANCES[module]
    return max((each for each in BELOW if f"{module}.".startswith(f"{each}.")), key=len)


@pytest.mark.parametrize("module", modules())
def test_a_module_knows_only_its_own_room_and_those_below(module: str) -> None:
    allowed = {room(module), *BELOW[room(module)]}
    strangers = {each for each in imports(modules()[module]) if room(each) not in allowed}
    assert strangers == set()


def test_no_command_knows_another_or_the_command_line() -> None:
    commands = {each for each in modules() if each.count(".") == 2 and room(each) == "lls.operations"}
    commands -= {"lls.operations.cli", *BELOW}
    for each in commands:
        assert not {*imports(modules()[each])} & {*commands, "lls.operations.cli"}, each


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: {*imports(path)} - {name} for name, path in modules().items()}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert graph == {}


def test_no_file_of_the_ground_floor_is_long() -> None:
    assert {name: len(path.read_text().splitlines()) for name, path in modules().items() if room(name) == "lls"} == {
        name: length
        for name, path in modules().items()
        if room(name) == "lls" and (length := len(path.read_text().splitlines())) <= 215
    }
