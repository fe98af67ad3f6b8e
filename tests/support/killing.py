"""Runs of the real engine that are killed at a moment which the world tells, and what the runbook says then."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Literal, Protocol
from unittest.mock import patch

from lls.operations import adopt
from lls.operations.report.screen import Screen
from lls.operations.world.account import Account
from lls.operations.world.installation import Installation
from lls.operations.world.states import CliBackend
from rehearsal.plugins.servicer import When
from rehearsal.shell import settings_of
from tests.support.real import ChangingRealRehearsal

PATIENCE = 300.0
"""Seconds for a run to come to a moment, and for the processes of a killed engine to notice."""

Victims = Literal["the CLI alone", "every process"]


class Moment(Protocol):
    """A moment of a run, at which the engine waits for an answer."""

    def awaited(self, rehearsal: ChangingRealRehearsal, hold: ExitStack) -> Callable[[], bool]:
        """Whether the run is there. It stays there until the stack is closed."""
        ...


@dataclass(frozen=True)
class Done:
    """AWS has done what a call asked for; nobody knows yet."""

    action: str

    def awaited(self, rehearsal: ChangingRealRehearsal, hold: ExitStack) -> Callable[[], bool]:
        """Leave the next such call without an answer."""
        fault = hold.enter_context(rehearsal.aws.hang(self.action, after=True, times=1))
        return lambda: fault.seen > 0


@dataclass(frozen=True)
class Heard:
    """A plugin was asked to do something to a resource, and has not begun; or has done it, and not answered."""

    when: When
    operation: Literal["create", "delete"]
    name: str

    def awaited(self, rehearsal: ChangingRealRehearsal, hold: ExitStack) -> Callable[[], bool]:
        """Let the plugin wait there."""
        met, go_on = Event(), Event()
        hold.callback(go_on.set)
        before = rehearsal.hear

        def hear(when: Any, operation: Any, urn: str) -> None:
            before(when, operation, urn)
            name = urn.rpartition("::")[2]
            if (when, operation, name) == (self.when, self.operation, self.name) and not met.is_set():
                met.set()
                go_on.wait()

        rehearsal.hear = hear
        return met.is_set


@dataclass(frozen=True)
class Helm:
    """Helm is at work: the release has that status."""

    status: str

    def awaited(self, rehearsal: ChangingRealRehearsal, hold: ExitStack) -> Callable[[], bool]:
        """Let Helm wait there longer than it would."""
        met, go_on = Event(), Event()
        hold.callback(go_on.set)
        sleep = rehearsal.clock.sleep

        def wait(seconds: float) -> None:
            at_work = any(release.status == self.status for release in list(rehearsal.cluster.releases.values()))
            if at_work and not met.is_set():
                met.set()
                go_on.wait()
            sleep(seconds)

        hold.enter_context(patch.object(rehearsal.clock, "sleep", wait))
        return met.is_set


@dataclass
class Killer:
    """Kills runs of a rehearsal's engine, each at the first of the moments that are left."""

    rehearsal: ChangingRealRehearsal
    victims: Victims
    begun: int = 0
    frozen: ExitStack = field(default_factory=ExitStack)
    """Holds the calls of plugins that were killed. Nothing ever goes on with them."""

    def killed(self, command: str, moments: Mapping[str, Moment]) -> str:
        """Run a command and kill it at the first of these moments, which is the answer."""
        self.rehearsal.hear, self.begun = self._count, 0
        holds = {name: ExitStack() for name in moments}
        awaited = {name: moment.awaited(self.rehearsal, holds[name]) for name, moment in moments.items()}
        # With more than a step at a time, a run would be at several moments at once.
        process = self.rehearsal.real_engine.start(*command.split(), "--yes", "--skip-preview", "--parallel", "1")
        until(lambda: process.poll() is not None or any(is_met() for is_met in awaited.values()))
        met = [name for name, is_met in awaited.items() if is_met()]
        assert met, f"`pulumi {command}` ended with {process.returncode} before it came to {', '.join(moments)}"
        self._kill(process)
        for name, hold in holds.items():
            if name in met and self.victims == "every process":
                self.frozen.push(hold)
            else:
                hold.close()
        if self.victims == "the CLI alone":
            until(lambda: self.begun == 0)
        return met[0]

    def _count(self, when: str, operation: str, urn: str) -> None:
        self.begun += 1 if when == "before" else -1

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Plugins notice at once that their engine is gone, the host of the program's language after minutes."""
        with_it = descendants(process.pid)
        process.kill()
        process.wait()
        if self.victims == "the CLI alone":
            until(lambda: all(found.is_host for pid, found in running().items() if pid in with_it))
        for pid in with_it & running().keys():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not with_it & running().keys())


@dataclass(frozen=True)
class Process:
    """A process that runs, and whether it is a host of a program's language."""

    parent: int
    is_host: bool


def running() -> Mapping[int, Process]:
    """The processes that run, by their ids."""
    command = ["ps", "-A", "-o", "pid=,ppid=,stat=,comm="]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - of this machine
    lines = [line.split(maxsplit=3) for line in listed.splitlines()]
    return {
        int(pid): Process(int(parent), "pulumi-language" in name)
        for pid, parent, state, name in lines
        if not state.startswith("Z")
    }


def descendants(pid: int) -> set[int]:
    """The processes that one has started, and those that these have."""
    processes = running()
    found, new = set[int](), {pid}
    while new:
        new = {child for child, process in processes.items() if process.parent in new}
        found |= new
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "what is waited for does not happen"
        time.sleep(0.01)


class Operator:
    """Somebody who does what the runbook says, in a terminal."""

    def __init__(self, rehearsal: ChangingRealRehearsal) -> None:
        self._rehearsal = rehearsal
        environment = rehearsal.real_engine.environment
        path = os.pathsep.join((str(rehearsal.commands), str(Path(sys.prefix, "bin")), environment["PATH"]))
        self._environment = {**environment, **settings_of(rehearsal), "PATH": path}

    def run(self, command: str, *, codes: Collection[int] = (0,)) -> str:
        """What a command prints."""
        done = subprocess.run(  # noqa: S602 - a line as it is printed, pipes too
            command, shell=True, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode in codes, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def lls(self, command: str, *, codes: Collection[int] = (0, 2)) -> Any:
        """What an operation finds."""
        return json.loads(self.run(f"python -m lls {command} --stack test --json", codes=codes))

    def cancel(self) -> None:
        """No update is under way any more."""
        self.run("pulumi cancel --stack test --yes")

    def unlock(self) -> None:
        """The same, and the state forgets what never reported back."""
        self.cancel()
        self.run("pulumi stack export --stack test | pulumi stack import --stack test")

    def adopt(self) -> list[str]:
        """Take over what is there and not in the state, by the commands that are printed; the names of it."""
        stack, account = self._rehearsal.installation().stack, Account(self._rehearsal.aws.client)
        with patch.dict(os.environ, self._environment), Screen(as_json=True) as screen:
            facts = adopt.run(Installation(stack, account, CliBackend()), screen, file=None, stateless=False).facts
        *before_up, _ = facts.get("commands", [""])
        for command in before_up:
            self.run(command)
        assert facts["refused"] == []
        return [match["name"] for match in facts["adopt"]]

    def way_back(self) -> str:
        """The command of Helm's that `preflight` tells where Helm was killed at work; empty where it was not."""
        told = [finding["remedy"] for finding in self.lls("preflight")["findings"] if finding["check"] == "release"]
        found = re.search(r"(helm -n \S+ [^,]+), then pulumi up --refresh", " ".join(told))
        return found.group(1) if found else ""


@contextmanager
def killer(rehearsal: ChangingRealRehearsal, victims: Victims) -> Generator[Killer]:
    """One that lets go in the end of what it held."""
    with ExitStack() as frozen:
        yield Killer(rehearsal, victims, frozen=frozen)


def problems(found: Any) -> Sequence[str]:
    """What an operation found to be wrong."""
    return [finding["seen"] for finding in found["findings"] if finding["level"] == "problem"]
