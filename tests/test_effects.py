"""What a change of each config key does, applied for real to what the program registers."""

import re

import pytest

from lls.config import schema
from scripts import page
from scripts.effects_table import CHANGES, PAGE, cells

ROWS = re.findall(r"^\| `.*", PAGE.read_text(), re.MULTILINE)


def test_every_key_is_changed() -> None:
    assert list(CHANGES) == list(schema())
    assert len(ROWS) == len(CHANGES)


@pytest.mark.parametrize("key", CHANGES)
def test_the_documented_effect_is_what_happens(key: str) -> None:
    assert page.row(cells(key)) in ROWS, "make docs"
