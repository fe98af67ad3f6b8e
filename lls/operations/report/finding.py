"""What an operation found, and how a run of it ends."""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, Protocol


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    PROBLEM = "problem"


class Exit(IntEnum):
    """Exit codes of every command."""

    FINE = 0
    FAILED = 1
    """The command could not do its work: options, config, credentials, network."""
    FOUND = 2
    """It did, and something needs attention: a problem, a difference, something left, or something that it could not
    judge."""
    INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `check` names it for scripts; `remedy` says what to do about a problem."""

    check: str
    level: Level
    seen: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause(Finding):
    """Why some targets are unhealthy: their ids."""

    targets: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class OutOfSight(Finding):
    """What cannot be told from here however often one asks, and is not the stack's: no exit code tells of it."""

    level: Level = Level.UNKNOWN


@dataclass(frozen=True)
class Outcome:
    """How a command ended: what it found, what else a script would read, and another code than the findings'."""

    findings: Sequence[Finding]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    code: Exit = Exit.FINE

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return outcome(self.findings) if self.code is Exit.FINE else self.code


class Watcher(Protocol):
    """Who watches a command at work."""

    def began(self, task: str) -> None:
        """A task began."""
        ...

    def ended(self, task: str) -> None:
        """A task ended."""
        ...

    def say(self, text: str) -> None:
        """Something was done that the user should read."""
        ...


class Unwatched:
    """Nobody."""

    def began(self, task: str) -> None:
        """A task began."""

    def ended(self, task: str) -> None:
        """A task ended."""

    def say(self, text: str) -> None:
        """Something was done that the user should read."""


def ok(check: str, seen: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, level=Level.OK, seen=seen)


def note(check: str, seen: str, remedy: str = "") -> Finding:
    """Worth knowing, no reason to stop."""
    return Finding(check=check, level=Level.NOTE, seen=seen, remedy=remedy)


def unknown(check: str, seen: str, remedy: str = "") -> Finding:
    """Could not be judged."""
    return Finding(check=check, level=Level.UNKNOWN, seen=seen, remedy=remedy)


def out_of_sight(check: str, seen: str, remedy: str = "") -> Finding:
    """Cannot be judged from here, and is not the stack's."""
    return OutOfSight(check=check, seen=seen, remedy=remedy)


def problem(check: str, seen: str, remedy: str) -> Finding:
    """Something is wrong."""
    return Finding(check=check, level=Level.PROBLEM, seen=seen, remedy=remedy)


def outcome(findings: Iterable[Finding]) -> Exit:
    """The exit code that findings amount to. What could not be judged needs attention as a problem does."""
    attention = (Level.PROBLEM, Level.UNKNOWN)
    needy = [finding for finding in findings if finding.level in attention and not isinstance(finding, OutOfSight)]
    return Exit.FOUND if needy else Exit.FINE


Check = Callable[[], list[Finding]]
"""Looks at one thing."""


def attempt(
    name: str, check: Check, failures: tuple[type[Exception], ...], mistakes: tuple[type[Exception], ...] = ()
) -> list[Finding]:
    """What a check finds; what it raises is a finding too, and takes no other check's with it.

    Of `mistakes` it is a problem, of `failures` that it could not be judged, and of anything else that too, with what
    broke it.
    """
    try:
        return check()
    except mistakes as error:
        return [problem(name, str(error), "")]
    except failures as error:
        return [unknown(name, str(error))]
    except Exception as error:
        return [unknown(name, f"this check broke: {_described(error)}", "look into it by hand, and report this")]


def run_checks(
    checks: dict[str, Check],
    watcher: Watcher,
    failures: tuple[type[Exception], ...],
    mistakes: tuple[type[Exception], ...] = (),
) -> list[Finding]:
    """Run checks in parallel; their findings in the checks' order. What one raises is a finding, as in `attempt`.

    A failure that several tell of is told once: the others say where.
    """
    told: dict[str, str] = {}

    def asked(name: str, check: Check) -> list[Finding]:
        try:
            return check()
        except failures as error:
            if said := str(error):
                told[name] = said
            raise

    def run(name: str, check: Check) -> list[Finding]:
        watcher.began(name)
        try:
            return attempt(name, lambda: asked(name, check), failures, mistakes)
        finally:
            watcher.ended(name)

    with ThreadPoolExecutor(max_workers=16) as pool:
        found = [pool.submit(run, name, check) for name, check in checks.items()]
        findings = [finding for future in found for finding in future.result()]
    for failure in dict.fromkeys(told.values()):
        cause = re.compile(f"(^|: ){re.escape(failure)}")
        places = [place for place, finding in enumerate(findings) if cause.search(finding.seen)]
        for place in places[1:]:
            seen = cause.sub(rf"\1see {findings[places[0]].check}", findings[place].seen)
            findings[place] = replace(findings[place], seen=seen)
    return findings


def _described(error: Exception) -> str:
    """What an unforeseen error is and where it came up, in one line."""
    said = next(iter(str(error).splitlines()), "")[:200]
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}{f' ({said})' if said else ''} at {Path(place.filename).name}:{place.lineno}"
