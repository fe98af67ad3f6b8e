import logging
import threading

import pytest

from lls import waiting
from lls.operations.world import stun
from lls.operations.world.registry import PAUSES
from lls.waiting import SilentError, run_command, within


def test_no_question_takes_a_minute_with_all_its_tries() -> None:
    pauses = sum(2**number for number in range(waiting.AWS_TRIES - 1))
    totals = {
        "AWS": waiting.AWS_TRIES * (waiting.CONNECT + waiting.AWS_ANSWER) + pauses,
        "cluster": waiting.TOKEN + waiting.CLUSTER_TRIES * (waiting.CONNECT + waiting.CLUSTER_ANSWER),
        "registry": waiting.CONNECT + waiting.REGISTRY_ANSWER,
        "name": waiting.NAME,
        "pauses of a registry": sum(PAUSES),
        "probe": waiting.NAME + stun.TRIES * stun.WAIT,
    }
    assert {what: total for what, total in totals.items() if total > waiting.QUESTION} == {}
    assert waiting.QUESTION < 60
    assert waiting.PATIENCE < 15


def test_an_answer_in_time_is_given_and_a_failure_raised() -> None:
    assert within(10, "a sum", lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        within(10, "a quotient", lambda: 1 / 0)


def test_what_takes_long_is_named_and_what_never_comes_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.05)
    caplog.set_level(logging.INFO, "lls.waiting")
    never = threading.Event()
    with pytest.raises(SilentError, match=r"the oracle gave no answer within 0\.1 seconds"):
        within(0.1, "the oracle", never.wait)
    never.set()
    assert caplog.messages == ["waiting for the oracle"]


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(SilentError, match="`sleep` gave no answer"):
        run_command(["sleep", "600"], 0.1, "`sleep`")


def test_a_commands_output_and_complaint_are_kept_apart() -> None:
    done = run_command(["sh", "-c", "echo out; echo err >&2; exit 3"], 10, "`sh`")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
