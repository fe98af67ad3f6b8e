"""The rehearsal on the real Pulumi engine, for six kinds of stack."""

from pathlib import Path

import pytest

from rehearsal.display import Silence
from tests.support.real import REAL_KINDS, a_real_rehearsal

pytestmark = pytest.mark.usefixtures("pulumi")


@pytest.mark.parametrize("kind", REAL_KINDS)
def test_every_kind_of_stack_holds_on_the_real_engine(kind: str, tmp_path: Path) -> None:
    with a_real_rehearsal(REAL_KINDS[kind], tmp_path) as rehearsal:
        report = rehearsal.perform(Silence())
    assert {check.name: check.seen for check in report.checks if not check.held} == {}
    assert len(report.checks) == 8
