"""What the real engine writes into its event log, by which a rehearsal tells what it did.

`.venv/bin/python -m tests.real.test_event_log` writes it anew into tests/support/event_logs.json, from which
tests/rehearsal/engine/test_real_engine.py reads without a CLI.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from lls.operations.program.recording import Properties
from lls.operations.program.stack_file import find_cli
from rehearsal.engine.engine import Provider
from rehearsal.engine.real_engine import RealEngine
from rehearsal.plugins.host import plugins_in
from rehearsal.plugins.servicer import Call
from rehearsal.world import WorldClock
from scripts.invented import InventedProvider
from tests.support.event_logs import EVENT_LOGS, event_logs

PROGRAM: Final = """
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
provider = aws.Provider("explicit", region="us-west-2")
group = aws.ec2.SecurityGroup("group", name="x", description=config.require("description"), vpc_id="vpc-1")
for port in json.loads(config.require("ports")):
    aws.vpc.SecurityGroupIngressRule(
        f"rule-{port}",
        security_group_id=group.id, ip_protocol="udp", from_port=port, to_port=port, cidr_ipv4="0.0.0.0/0",
        opts=pulumi.ResourceOptions(provider=provider),
    )
if config.get("fails"):
    raise pulumi.RunError("lls:fails is set")
"""

RUNS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "create": ("up", {"description": "x", "ports": "[1, 2]"}),
    "replace and delete": ("up", {"description": "y", "ports": "[1]"}),
    "fail in the program": ("up", {"fails": "true"}),
    "fail in a provider": ("up", {"fails": "", "ports": "[1, 13]"}),
    "refresh": ("refresh", {}),
    "destroy": ("destroy", {}),
}
"""Commands of the CLI one after the other, and what is set in the config before each."""


class Unlucky(InventedProvider):
    """One that does not make a certain rule."""

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        if inputs.get("fromPort") == 13:
            raise ValueError("no such\nluck")
        return super().create(type_, inputs)


def recorded() -> Mapping[str, Any]:
    """The exit codes and the events of all runs."""
    found: dict[str, Any] = {}
    with ExitStack() as until:
        folder, plugins = (Path(until.enter_context(TemporaryDirectory())) for _ in range(2))
        (folder / "Pulumi.yaml").write_text("name: lls\nruntime: {name: python, options: {virtualenv: .venv}}\n")
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "__main__.py").write_text(f"import json\n{PROGRAM}")
        calls: list[Call] = []
        until.enter_context(plugins_in(plugins, _unlucky, calls))
        until.enter_context(pytest.MonkeyPatch.context()).setenv("PATH", str(plugins), prepend=":")
        engine = RealEngine(find_cli("to record"), "test", folder, WorldClock(1), calls, output=subprocess.DEVNULL)
        config: dict[str, str] = {}
        for name, (command, changes) in RUNS.items():
            config |= changes
            (folder / "Pulumi.test.yaml").write_text(json.dumps({"config": config}))
            if not found:
                engine.begin({})
            code = engine.start(command, "--yes", "--skip-preview").wait()
            events = [json.loads(line) for line in (folder / ".pulumi-events.json").read_text().splitlines()]
            found[name] = {"code": code, "events": [event for event in events if not _is_chatter(event)]}
    return found


def _is_chatter(event: Any) -> bool:
    """Whether an event tells nothing but what the engine is about, and where on this machine."""
    return event.get("diagnosticEvent", {}).get("severity", "error") != "error"


def _unlucky(*_: object) -> Provider:
    return Unlucky()


def shape(log: Any) -> tuple[int, list[tuple[str, str, str]]]:
    """What a log tells of the steps, in an order of no meaning."""
    events: list[dict[str, Any]] = log["events"]
    steps: list[tuple[str, str, str]] = [
        (kind, step["metadata"]["op"], step["metadata"]["urn"])
        for event in events
        for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent")
        if (step := event.get(kind))
    ]
    return log["code"], sorted(steps)


def test_the_cli_still_writes_what_is_recorded(pulumi: str) -> None:
    found = recorded()
    assert {name: shape(log) for name, log in found.items()} == {name: shape(log) for name, log in event_logs().items()}


if __name__ == "__main__":
    EVENT_LOGS.write_text(json.dumps(recorded()) + "\n")
