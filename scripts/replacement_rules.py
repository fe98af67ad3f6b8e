"""Writes lls/operations/program/schema_rules.py: which inputs replace, by the schema of the pinned AWS provider.

`python -m scripts.replacement_rules` asks the Pulumi CLI for the schema, which fetches the provider;
`python -m scripts.replacement_rules FILE` reads one that `pulumi package get-schema` wrote elsewhere.
"""

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from lls.operations.program import schema_rules
from lls.operations.program.replacement import BY_CODE

MODULE: Final = Path(schema_rules.__file__)

LINE: Final = 120
"""Characters in a line of this project's code."""


class SchemaError(Exception):
    """A schema cannot be had, or is not the pinned provider's. The message says what to do."""


def pinned() -> str:
    """The version of the provider that the project uses."""
    return importlib.metadata.version(f"pulumi-{schema_rules.PACKAGE}")


def command() -> list[str]:
    """What prints the schema, where the provider can be fetched."""
    return ["pulumi", "package", "get-schema", f"{schema_rules.PACKAGE}@{pinned()}"]


def schema_of(text: str) -> Mapping[str, Any]:
    """A schema. Raises SchemaError if it is another package's or another version's."""
    schema: Mapping[str, Any] = json.loads(text)
    found = f"{schema.get('name')}@{str(schema.get('version')).removeprefix('v')}"
    if found != command()[-1]:
        raise SchemaError(f"this is the schema of {found}, and {command()[-1]} is pinned: {' '.join(command())}")
    return schema


def fetched(timeout: float | None = None) -> str:
    """The schema, as the Pulumi CLI prints it. Raises SchemaError if it cannot, or takes longer (seconds)."""
    try:
        return subprocess.run(command(), check=True, capture_output=True, text=True, timeout=timeout).stdout  # noqa: S603
    except subprocess.CalledProcessError as error:
        said = error.stderr.rpartition("error: ")[2].partition("\n")[0]
        raise SchemaError(f"{' '.join(command())}: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchemaError(f"{' '.join(command())}: {error}") from error


def rules(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The paths of the inputs that the schema marks, for each of the package's types that the project registers."""
    return {
        type_: tuple(sorted(_marked(schema, schema["resources"][type_]["inputProperties"])))
        for type_ in sorted(BY_CODE)
        if type_.startswith(f"{schema_rules.PACKAGE}:")
    }


def _marked(schema: Mapping[str, Any], properties: Mapping[str, Any]) -> Iterator[str]:
    for name, declared in properties.items():
        if declared.get("willReplaceOnChanges"):
            yield name
            continue
        reference = declared.get("items", declared).get("$ref", "")
        nested = schema.get("types", {}).get(unquote(reference.removeprefix("#/types/")), {})
        for path in _marked(schema, nested.get("properties", {})):
            yield f"{name}.{path}"


def module(origin: str, found: Mapping[str, tuple[str, ...]]) -> str:
    """The module's text: where the rules are from, and the rules."""
    lines = [line for type_, paths in found.items() for line in _entry(type_, paths)]
    head, _, _ = MODULE.read_text().partition("PACKAGE")
    return head + "\n".join(
        [
            f'PACKAGE: Final = "{schema_rules.PACKAGE}"',
            f'VERSION: Final = "{pinned()}"',
            f'ORIGIN: Final = "{origin}"',
            "",
            "BY_SCHEMA: Final[Mapping[str, tuple[str, ...]]] = {",
            *lines,
            "}",
            '"""Paths of inputs, by type."""',
            "",
        ]
    )


def _entry(type_: str, paths: tuple[str, ...]) -> list[str]:
    quoted = [f'"{path}"' for path in paths]
    line = f'    "{type_}": ({", ".join(quoted)}{"," if len(paths) == 1 else ""}),'
    if len(line) <= LINE:
        return [line]
    return [f'    "{type_}": (', *(f"        {path}," for path in quoted), "    ),"]


if __name__ == "__main__":
    try:
        schema = schema_of(Path(sys.argv[1]).read_text() if sys.argv[1:] else fetched())
    except SchemaError as error:
        sys.exit(str(error))
    MODULE.write_text(module(" ".join(command()), rules(schema)))
