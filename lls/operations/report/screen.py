"""What a command shows: findings in a terminal, plain when piped, or as JSON; and what it is doing."""

import json
import logging
import time
from collections.abc import Sequence
from itertools import zip_longest
from threading import Lock, Timer
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from lls.operations.report.finding import Exit, Finding, Level

COLOURS: Final = {Level.OK: "green", Level.NOTE: "cyan", Level.UNKNOWN: "yellow", Level.PROBLEM: "bold red"}

WAITS: Final = logging.getLogger("lls.waiting")
"""Is told by whatever waits long what that is for."""

PATIENCE: Final = 2.0
"""Seconds after which a running task is worth a line where there is no terminal."""


class Screen:
    """Results go to standard output, everything else to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        """Show text, or one JSON object at the end."""
        self.as_json = as_json
        self._out = Console()
        self._err = Console(stderr=True)
        self._running: dict[str, Timer] = {}
        self._lock = Lock()
        self._said = 0.0
        self._status = Status("", console=self._err)
        self._waits = _Waits(self)

    def __enter__(self) -> "Screen":
        """Begin to show what runs and what is waited for."""
        WAITS.addHandler(self._waits)
        WAITS.setLevel(logging.INFO)
        if self._err.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing it."""
        WAITS.removeHandler(self._waits)
        self._status.stop()
        for timer in self._running.values():
            timer.cancel()

    def began(self, task: str) -> None:
        """A task began."""
        timer = Timer(PATIENCE, self._still, [task])
        timer.daemon = True
        with self._lock:
            self._running[task] = timer
            self._status.update(escape(", ".join(self._running)))
        if not self._err.is_terminal:
            timer.start()

    def ended(self, task: str) -> None:
        """A task ended."""
        with self._lock:
            if timer := self._running.pop(task, None):
                timer.cancel()
            self._status.update(escape(", ".join(self._running)))

    def doing(self, text: str) -> None:
        """How far a long task is: at once in a terminal, now and then elsewhere."""
        if self._err.is_terminal:
            self._status.update(escape(text))
        elif time.monotonic() - self._said > PATIENCE:
            self._said = time.monotonic()
            self._line(self._err, f"... {escape(text)}")

    def say(self, text: str) -> None:
        """Something happened that the user should read."""
        self._line(self._err, escape(text))

    def print(self, text: str = "") -> None:
        """A line of the result; nothing where the result is JSON."""
        if not self.as_json:
            self._line(self._out, escape(text))

    def findings(self, findings: Sequence[Finding]) -> None:
        """Each finding, and what to do about it."""
        if not self.as_json:
            print_findings(self._out, findings)

    def result(self, command: str, stack: str, outcome: Exit, **facts: Any) -> None:
        """The whole result as JSON, where that was asked for."""
        if self.as_json:
            self._out.file.write(
                json.dumps({"command": command, "stack": stack, "exit": int(outcome), **facts}, indent=2) + "\n"
            )

    def _still(self, task: str) -> None:
        self._line(self._err, f"... {escape(task)}")

    def _line(self, console: Console, text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)


class _Waits(logging.Handler):
    """Shows what is waited for."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say(f"... {record.getMessage()}")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """A line for each finding; a remedy that several in a row share comes once, after the last."""
    width = max((len(finding.check) for finding in findings), default=0)
    indent = " " * (width + 10)
    for finding, following in zip_longest(findings, findings[1:]):
        seen = escape(finding.seen).replace("\n", f"\n{indent}")
        line = f"[{COLOURS[finding.level]}]{finding.level:7}[/]  {finding.check.ljust(width)} {seen}"
        console.print(line, highlight=False, soft_wrap=True)
        if finding.remedy and not (following and following.remedy == finding.remedy):
            console.print(f"{indent}[dim]-> {escape(finding.remedy)}[/]", highlight=False, soft_wrap=True)


def as_facts(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Findings for JSON."""
    return [
        {"check": finding.check, "level": finding.level.value, "seen": finding.seen, "remedy": finding.remedy}
        for finding in findings
    ]
