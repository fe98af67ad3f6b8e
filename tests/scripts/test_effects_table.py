"""What a change of each config key does, applied for real to what the program registers."""

import re

import pytest

from lls.config import schema
from lls.operations.program.stack_file import PROJECT
from scripts import page
from scripts.effects_table import CHANGES, PAGE, cells

ROWS = re.findall(r"^\| `.*", PAGE.read_text(), re.MULTILINE)


def test_every_key_is_changed() -> None:
    assert list(CHANGES) == list(schema())
    assert len(ROWS) == len(CHANGES)


@pytest.mark.parametrize("key", CHANGES)
def test_the_documented_effect_is_what_happens(key: str) -> None:
    assert page.row(cells(key)) in ROWS, "make docs"


@pytest.mark.parametrize(
    ("replaced", "resource"),
    [
        ("the load balancer", "streaming-nlb"),
        ("the Helm release", "proxy-release"),
        ("a TargetGroupBinding", "targets-binding"),
    ],
)
def test_the_keys_whose_change_has_a_gap_are_named_where_the_keys_are(replaced: str, resource: str) -> None:
    keys = [row.split("`")[1] for row in ROWS if f"replace {resource}" in row]
    [line] = re.findall(rf"^\| {replaced} .*", (PROJECT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    assert re.findall(r"`(\w+)`", line) == keys
