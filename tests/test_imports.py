import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from lls.operations.program.stack_file import PROJECT

PACKAGES = ("lls", "rehearsal", "bench")


def modules() -> dict[str, Path]:
    """The files of all modules by their names."""
    files = [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")]
    return {".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(path: Path) -> Iterator[str]:
    """Every name that a file imports, in functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = modules()
    graph = {
        name: {each if each in files else each.rpartition(".")[0] for each in imports(path)} & files.keys()
        for name, path in files.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_each_package_imports_only_those_below_it() -> None:
    for name, path in modules().items():
        above = PACKAGES[PACKAGES.index(name.partition(".")[0]) + 1 :]
        assert not [each for each in imports(path) if each.startswith(above)], name
