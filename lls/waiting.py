"""How long whatever may stay silent is waited for: every limit, in seconds, and how it is kept.

A question to AWS, to the cluster, to a registry, to the Pulumi CLI or to a name server ends within QUESTION seconds,
with all its tries and the pauses between them.
"""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

LOG: Final = logging.getLogger(__name__)
"""Is told what is waited for, once that has taken PATIENCE seconds."""

PATIENCE: Final = 5
QUESTION: Final = 55

CONNECT: Final = 4
"""For a connection, whatever to."""

AWS_ANSWER: Final = 8
AWS_TRIES: Final = 4
"""How often a call is tried that is throttled or gets lost. botocore pauses up to 1, 2 and 4 seconds in between."""

TOKEN: Final = 20
"""For the command that fetches the cluster's credential."""

HELPER: Final = 20
"""For a credential helper, which gives the login to a registry."""

CLUSTER_ANSWER: Final = 12
CLUSTER_TRIES: Final = 2
"""How often the Kubernetes API is asked that does not answer."""

REGISTRY_ANSWER: Final = 50
"""For a registry, which is not asked again after it; it may have gigabytes to check before it answers."""

NAME: Final = 20
"""For the address of a name."""

UNINSTALL: Final = 600
"""For `helm uninstall`, which is no question: it waits until the pods are gone."""


class SilentError(TimeoutError):
    """What did not answer in time."""


def within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """The answer of a call, and a word about what is waited for where that takes long.

    Raises what the call raises, and SilentError after so many seconds; the call is then left to itself.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    patience = min(PATIENCE, seconds)
    if not wait([answer], patience).done:
        LOG.info("waiting for %s", what)
        if not wait([answer], seconds - patience).done:
            raise SilentError(f"{what} gave no answer within {seconds:g} seconds")
    return answer.result()


def run_command(
    command: Sequence[str],
    seconds: float,
    what: str,
    *,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command that can ask nobody anything: it has no terminal, and no input but a given `text`.

    Raises OSError where it cannot be started, and SilentError where it takes longer; it is then ended with all that
    it started.
    """
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        printed, complained = within(seconds, what, lambda: process.communicate(text))
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return subprocess.CompletedProcess(command, process.returncode, printed, complained)


def wait_out(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a program that has the terminal, and so hears of a Ctrl-C by itself: nobody kills it before.

    Raises KeyboardInterrupt, once it has ended, where there was one.
    """
    interrupted = False
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupted = True
        else:
            break
    if interrupted:
        raise KeyboardInterrupt
    return code
