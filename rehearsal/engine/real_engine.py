"""The real Pulumi engine: its CLI, run in a workspace with a throw-away backend, against the plugins of a world."""

import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from lls.operations.program.recording import Resource
from lls.operations.program.stack_file import StackError
from lls.operations.world.states import State, parse_state
from lls.waiting import wait_out
from rehearsal.engine.engine import Listener, Refreshed, Step, StepOp, StepsFailedError
from rehearsal.plugins.servicer import Call
from rehearsal.world import WorldClock

OPERATIONS: Final[Mapping[str, StepOp]] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "create-replacement": "replace",
    "delete-replaced": "delete",
    "refresh": "same",
}
"""The engine's operations as steps. `replace`, which only tells that the other two belong together, is none."""

SUMMARIES: Final = ("update failed", "program exited with non-zero exit code")
"""What the engine says after the error itself."""

PASSPHRASE: Final = "rehearsal"  # noqa: S105 - of nothing but a throw-away state


class RealEngine:
    """One stack of a real engine, in a workspace: a folder that has the project and the stack's file.

    `calls` are those that the world's plugins were asked for; `output` takes what the CLI prints.
    """

    def __init__(
        self,
        cli: str,
        stack: str,
        workspace: Path,
        clock: WorldClock,
        calls: list[Call],
        *,
        output: IO[str] | int | None = None,
    ) -> None:
        """Prepare to use the Pulumi CLI at that path."""
        self.listener = Listener()  # hears of nothing: the CLI itself shows what it does
        self.stack = stack.rpartition("/")[2]
        self._cli = cli
        self._workspace = workspace
        self._clock = clock
        self._calls = calls
        self._output = output
        self._events = workspace / ".pulumi-events.json"
        home = workspace / ".pulumi-home"
        self.backend = home / "backend"
        self.backend.mkdir(parents=True)
        self.environment: Mapping[str, str] = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "PATH": f"{os.environ['PATH']}{os.pathsep}{Path(cli).parent}",
            "PULUMI_BACKEND_URL": self.backend.as_uri(),
            "PULUMI_HOME": str(home),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        """What the CLI runs with: nothing of the user's own backend, and the world's plugins before all others."""

    def begin(self, secrets: Mapping[str, str]) -> None:
        """Make the stack in the throw-away backend, with those config keys encrypted."""
        self._capture("stack", "init", self.stack)
        for key, value in secrets.items():
            self._capture("config", "set", "--secret", "--stack", self.stack, key, stdin=value)

    def preview(self) -> list[Step]:
        """`pulumi preview`: what `up` would do. Raises StepsFailedError."""
        return self._run("preview")

    def up(self) -> list[Step]:
        """`pulumi up`. Raises StepsFailedError where something failed, the program itself perhaps."""
        return self._run("up", "--yes", "--skip-preview")

    def refresh(self) -> Refreshed:
        """`pulumi refresh --expect-no-changes`: what is no longer as the state had it. Raises StepsFailedError."""
        steps = self._run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
        gone, changed = (
            tuple(step.resource for step in steps if step.operation == operation) for operation in ("delete", "update")
        )
        return Refreshed(gone, changed)

    def destroy(self) -> list[Step]:
        """`pulumi destroy`. Raises StepsFailedError."""
        return self._run("destroy", "--yes", "--skip-preview")

    def exported(self) -> State:
        """The state, as `pulumi stack export` tells it."""
        return parse_state(json.loads(self._capture("stack", "export", "--stack", self.stack)))

    def start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        """Begin a command on the stack, such as `up`."""
        self._events.unlink(missing_ok=True)
        arguments = [self._cli, command, "--stack", self.stack, *options, "--event-log", str(self._events)]
        return subprocess.Popen(  # noqa: S603 - the CLI that the user has installed
            arguments,
            cwd=self._workspace,
            env={**self.environment, "PULUMI_DEBUG_COMMANDS": "true"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )

    def _run(self, command: str, *options: str) -> list[Step]:
        called = len(self._calls)
        clock = _Times(self._clock)
        process = self.start(command, *options)
        code = wait_out(process)
        events = [json.loads(line) for line in self._events.read_text().splitlines()] if self._events.exists() else []
        steps = _steps(events, self._calls[called:], clock)
        unexpected = command == "refresh" and any(step.operation != "same" for step in steps)
        errors = _errors(events)
        if code and (errors or not unexpected):
            raise StepsFailedError("; ".join(errors) or f"`pulumi {command}` ended with exit code {code}")
        return steps

    def _capture(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(  # noqa: S603 - the CLI that the user has installed
            [self._cli, "--non-interactive", *arguments],
            cwd=self._workspace,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"`pulumi {' '.join(arguments)}` failed: {done.stderr.strip()}", done.returncode)
        return done.stdout


class _Times:
    """Translates the seconds of the engine's events, which are whole, to those of the emulated world."""

    def __init__(self, clock: WorldClock) -> None:
        self._factor = clock.factor
        self._world, self._real = clock.now(), time.time()

    def in_world(self, timestamp: float) -> float:
        return self._world + max(timestamp - self._real, 0.0) * self._factor


def _steps(events: Iterable[Any], calls: Iterable[Call], times: _Times) -> list[Step]:
    """What an engine's events tell that it did, in order; when, by the plugins where they were called for it."""
    called: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        called[call.urn, call.operation].append(call)
    begun: dict[tuple[str, str], float] = {}
    steps: list[Step] = []
    for event in events:
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            step = event.get(kind, {}).get("metadata")
            if not step or step["op"] not in OPERATIONS or _is_default_provider(step["urn"]):
                continue
            key, moment = (step["urn"], step["op"]), times.in_world(event["timestamp"])
            if kind == "resourcePreEvent":
                begun[key] = moment
                continue
            operation = OPERATIONS[step["op"]]
            done = called[step["urn"], "create" if operation == "replace" else operation]
            started, finished = (done[0].started, done.pop(0).finished) if done else (begun.get(key, moment), moment)
            steps.append(Step(operation, _resource(step), started, finished))
    return steps


def _errors(events: Iterable[Any]) -> list[str]:
    """What the engine said was wrong, in a sentence each."""
    told = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    return [
        f"{_name(found.get('urn'))}{' '.join(found['message'].split())}"
        for found in told
        if found.get("severity") == "error" and not any(summary in found["message"] for summary in SUMMARIES)
    ]


def _name(urn: str | None) -> str:
    return f"{urn.rpartition('::')[2]}: " if urn else ""


def _is_default_provider(urn: str) -> bool:
    """Whether it is a provider that the engine makes by itself, of the stack's config."""
    name = urn.rpartition("::")[2]
    return "::pulumi:providers:" in urn and (name == "default" or name.startswith("default_"))


def _resource(step: Mapping[str, Any]) -> Resource:
    found: Mapping[str, Any] = step["new"] or step["old"]
    return Resource(
        urn=step["urn"],
        type=step["type"],
        name=step["urn"].rpartition("::")[2],
        custom=found.get("custom", False),
        id=found.get("id", ""),
        inputs=found.get("inputs") or {},
        outputs=found.get("outputs") or {},
        secrets=frozenset(),
        parent=found.get("parent", ""),
        provider=found.get("provider", "").rpartition("::")[0],
        dependencies=frozenset(),
        property_dependencies={},
    )
