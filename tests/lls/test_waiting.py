import logging
import subprocess
import sys
import threading

import pytest

from lls import waiting
from lls.operations.world import stun
from lls.operations.world.registry import PAUSES
from lls.waiting import SilentError, run_command, wait_out, within


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


class Interrupted(subprocess.Popen[bytes]):
    """A program of which somebody tires twice before it ends."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-c", "raise SystemExit(7)"])
        self.presses = 2

    def wait(self, timeout: float | None = None) -> int:
        if self.presses:
            self.presses -= 1
            raise KeyboardInterrupt
        return super().wait(timeout)


def test_a_program_that_has_the_terminal_is_waited_for_however_often_ctrl_c_is_pressed() -> None:
    process = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        wait_out(process)
    assert process.returncode == 7
    assert wait_out(process) == 7
