"""Writes the table of docs/configuration.md: what Pulumi.yaml says about each key."""

import json
from typing import Final

from lls.config import SCHEMA, schema
from scripts import page

PAGE: Final = SCHEMA.parent / "docs" / "configuration.md"


def table() -> str:
    """A row for each key."""
    rows = [
        (
            f"`{key}`",
            declared["type"],
            f"`{json.dumps(declared['default'])}`" if "default" in declared else "required",
            declared["description"],
        )
        for key, declared in schema().items()
    ]
    return page.table(("key", "type", "default", "meaning"), rows)


if __name__ == "__main__":
    page.write(PAGE, table())
