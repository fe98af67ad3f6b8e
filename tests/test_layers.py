"""Who may know whom: an import goes only down, never in a circle."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

import pytest

from tests.support.modules import PACKAGES, imports, modules

BELOW: Mapping[str, tuple[str, ...]] = {
    "lls": (),
    "lls.operations.program": ("lls",),
    "lls.operations.report": (),
    "lls.operations.world": ("lls", "lls.operations.program", "lls.operations.report"),
    "lls.operations": ("lls", "lls.operations.program", "lls.operations.report", "lls.operations.world"),
}
"""Each floor and room of `lls`, and those whose modules its own may import besides each other."""

ENTRANCES = {"lls.__main__": "lls.operations", "lls.operations.cli": "lls.operations"}
"""Modules that open a floor: the first is no part of the ground floor, the second imports every command."""

OURS = [name for name in modules() if name.partition(".")[0] == "lls"]


def room(module: str) -> str:
    if module in ENTRANCES:
        return ENTRANCES[module]
    return max((name for name in BELOW if f"{module}.".startswith(f"{name}.")), key=len)


@pytest.mark.parametrize("module", OURS)
def test_a_module_knows_only_its_own_room_and_those_below(module: str) -> None:
    allowed = {room(module), *BELOW[room(module)]}
    assert {name for name in imports(module) if room(name) not in allowed} == set()


def test_no_command_knows_another_or_the_command_line() -> None:
    commands = {name for name in OURS if name.count(".") == 2 and room(name) == "lls.operations"}
    commands -= {"lls.operations.cli", *BELOW}
    for command in commands:
        assert not imports(command) & {*commands, "lls.operations.cli"}, command


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter(
        {name: imports(name) for name in modules()}
    ).prepare()  # raises CycleError, which names the circle


def test_each_package_imports_only_those_below_it() -> None:
    for name in modules():
        above = PACKAGES[PACKAGES.index(name.partition(".")[0]) + 1 :]
        assert not {imported for imported in imports(name) if imported.startswith(above)}, name


def test_no_test_module_imports_from_another() -> None:
    tests = {name for name in modules() if name.rpartition(".")[2].startswith("test_")}
    for name in modules():
        assert not imports(name) & tests, name


def test_no_file_of_the_ground_floor_is_long() -> None:
    lengths = {name: len(modules()[name].read_text().splitlines()) for name in OURS if room(name) == "lls"}
    assert {name: length for name, length in lengths.items() if length > 215} == {}
