"""A generated table in a page of docs/, known by its columns."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = "|---" * len(columns) + "|"
    return "\n".join([row(columns), rule, *map(row, rows)]) + "\n"


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def with_table(text: str, made: str) -> str:
    """A page's text with a table in the place of its table of the same columns. Raises ValueError without such."""
    columns = made.partition("\n")[0]
    renewed, found = re.subn(rf"^{re.escape(columns)}\n(\|.*\n)*", lambda _: made, text, flags=re.MULTILINE)
    if found != 1:
        raise ValueError(f"{found} tables in place of one begin with {columns}")
    return renewed


def write(page: Path, made: str) -> None:
    """Renew the page's table."""
    page.write_text(with_table(page.read_text(), made))
