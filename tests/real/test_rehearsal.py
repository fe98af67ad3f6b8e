"""The rehearsal on the real Pulumi engine: seven kinds of stack, as on our own engine."""

from pathlib import Path

import pytest

from rehearsal.compare import compared
from rehearsal.display import Silence
from tests.support.kinds import NODES
from tests.support.real import REAL_KINDS, a_real_rehearsal
from tests.support.strategies import QUIRKS
from tests.support.worlds import a_rehearsal

pytestmark = pytest.mark.usefixtures("pulumi")


@pytest.mark.parametrize("kind", REAL_KINDS)
def test_every_kind_of_stack_holds_on_the_real_engine_and_both_engines_do_the_same(kind: str, tmp_path: Path) -> None:
    with a_rehearsal(REAL_KINDS[kind], quirks=QUIRKS, nodes=NODES) as rehearsal:
        own = rehearsal.perform(Silence())
    with a_real_rehearsal(REAL_KINDS[kind], tmp_path) as rehearsal:
        real = rehearsal.perform(Silence())
    checks = [*own.checks, *real.checks, *compared(own, real)]
    assert {check.name: check.seen for check in checks if not check.held} == {}
    assert len(checks) == 8 + 8 + 2
