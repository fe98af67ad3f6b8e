"""The project's modules, and what each of them imports."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from lls.operations.program.stack_file import PROJECT

PACKAGES = ("lls", "e2e", "rehearsal", "bench", "scripts", "tests")
"""From the lowest up."""


@cache
def modules() -> Mapping[str, Path]:
    """The files of all modules by their names."""
    files = [path for package in PACKAGES for path in sorted((PROJECT / package).rglob("*.py"))]
    return {".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


@cache
def imports(module: str) -> frozenset[str]:
    """Our own modules that one imports: in functions and for type checking too."""
    return frozenset(each for name in _names(modules()[module]) if (each := _module_of(name))) - {module}


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_of(name: str) -> str | None:
    """A module itself, or the one that a name lies in."""
    return next((each for each in (name, name.rpartition(".")[0]) if each in modules()), None)
