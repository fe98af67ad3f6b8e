"""A stand-in for the Pulumi CLI, over a rehearsal's engine."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pulumi import RunError

from rehearsal.engine.engine import StepsFailedError
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import KnownStates

CHANGES = 7
"""The CLI's exit code where changes were found and none expected."""


@dataclass
class EngineCli:
    """Does with one stack what the CLI would. `ran` are the commands, without the stack; `after` is done after some."""

    rehearsal: Rehearsal
    backend: KnownStates
    ran: list[str] = field(default_factory=list[str])
    after: dict[str, Callable[[], object]] = field(default_factory=dict[str, Callable[[], object]])

    def __call__(self, *arguments: str) -> int:
        *command, _, stack = arguments
        self.ran.append(" ".join(command))
        try:
            code = self._run(command)
        except (RunError, StepsFailedError):
            code = 255
        self.backend.states[stack] = self.rehearsal.state()
        if after := self.after.get(command[0]):
            after()
        return code

    def _run(self, command: list[str]) -> int:
        engine = self.rehearsal.engine
        match command:
            case ["up", "--yes"]:
                engine.up()
            case ["destroy", "--yes"]:
                engine.destroy()
            case ["destroy", "--yes", "--refresh"]:
                engine.refresh()
                engine.destroy()
            case ["preview", "--expect-no-changes"]:
                return CHANGES if any(step.operation != "same" for step in engine.preview()) else 0
            case ["refresh", "--preview-only", "--expect-no-changes"]:
                before = dict(engine.state), set(engine.unfinished)
                seen = engine.refresh()
                engine.state, engine.unfinished = before
                return CHANGES if seen.gone or seen.changed else 0
            case _:
                raise AssertionError(f"no such command here: {command}")
        return 0
