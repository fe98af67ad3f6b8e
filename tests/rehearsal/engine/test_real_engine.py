"""The driver of the Pulumi CLI, over a CLI that does nothing but leave an event log that the real one has written."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lls.operations.program.stack_file import StackError
from rehearsal.engine.engine import Refreshed, Step, StepsFailedError
from rehearsal.engine.real_engine import RealEngine
from rehearsal.plugins.servicer import Call
from rehearsal.world import WorldClock
from tests.support.event_logs import event_logs

LOGS = event_logs()
RULE = "urn:pulumi:test::lls::aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::rule-{}"

SCRIPT = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
env > "$(dirname "$0")/environment"
for argument; do
  [ "$last" = --event-log ] && cat "$(dirname "$0")/events" > "$argument"
  last="$argument"
done
cat "$(dirname "$0")/said"
[ "$last" != --event-log ] && [ -s "$(dirname "$0")/stderr" ] && cat "$(dirname "$0")/stderr" >&2
exit $(cat "$(dirname "$0")/code")
"""


class Cli:
    """A CLI in a folder, and the engine that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        (self.folder / "pulumi").write_text(SCRIPT)
        (self.folder / "pulumi").chmod(0o700)
        self.answer()
        (folder / "workspace").mkdir()
        self.calls: list[Call] = []
        self.engine = RealEngine(
            str(self.folder / "pulumi"),
            "acme/lls/test",
            folder / "workspace",
            WorldClock(1),
            self.calls,
            output=subprocess.DEVNULL,
        )

    def answer(self, events: Sequence[Any] = (), code: int = 0, said: str = "", stderr: str = "") -> None:
        for name, text in {
            "events": "".join(f"{json.dumps(event)}\n" for event in events),
            "code": str(code),
            "said": said,
            "stderr": stderr,
        }.items():
            (self.folder / name).write_text(text)

    def answer_as_recorded(self, name: str) -> None:
        self.answer(LOGS[name]["events"], LOGS[name]["code"])

    def asked(self) -> str:
        return (self.folder / "asked").read_text().splitlines()[-1]

    def environment(self) -> Mapping[str, str]:
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def told(steps: Sequence[Step]) -> list[str]:
    return [f"{step.operation} {step.resource.name}" for step in steps]


# --- Event logs


def test_what_was_made_is_told_in_order_without_the_providers_that_the_engine_makes_itself(cli: Cli) -> None:
    cli.answer_as_recorded("create")
    steps = cli.engine.up()
    assert sorted(told(steps)) == [
        "create explicit",
        "create group",
        "create lls-test",
        "create rule-1",
        "create rule-2",
    ]
    assert told(steps)[-1] == "create lls-test"
    group, rule = (next(step.resource for step in steps if step.resource.name == name) for name in ("group", "rule-1"))
    assert (group.custom, group.inputs["description"], group.outputs["arn"]) == (True, "x", f"arn of {group.id}")
    assert rule.urn == RULE.format(1)
    assert rule.provider == "urn:pulumi:test::lls::pulumi:providers:aws::explicit"
    assert rule.parent == "urn:pulumi:test::lls::pulumi:pulumi:Stack::lls-test"


def test_a_replacement_is_a_deletion_and_a_new_one_and_what_only_goes_is_a_deletion(cli: Cli) -> None:
    cli.answer_as_recorded("replace and delete")
    steps = [step for step in told(cli.engine.up()) if not step.startswith("same ")]
    assert sorted(steps[:2]) == ["delete rule-1", "delete rule-2"]
    assert steps[2:] == ["delete group", "replace group", "replace rule-1"]


def test_steps_took_as_long_as_the_plugins_say_and_else_as_the_events_do(cli: Cli) -> None:
    cli.answer_as_recorded("create")
    before = cli.calls
    before.append(Call("create", RULE.format(1), 1, 2))  # of an earlier run

    class Calls(list[Call]):
        """What the plugins have been asked for while the CLI ran."""

        def __getitem__(self, key: Any) -> Any:
            return [Call("create", RULE.format(1), 50, 60), Call("delete", RULE.format(2), 70, 80)]

    cli.engine._calls = Calls(before)  # pyright: ignore[reportPrivateUsage]
    steps = {step.resource.name: step for step in cli.engine.up()}
    assert (steps["rule-1"].started, steps["rule-1"].finished) == (50, 60)
    assert steps["rule-2"].started not in (50, 70)
    assert steps["rule-2"].started <= steps["rule-2"].finished


def test_a_failing_resource_is_named_and_a_failing_program_speaks_for_itself_in_one_line(cli: Cli) -> None:
    cli.answer_as_recorded("fail in a provider")
    with pytest.raises(StepsFailedError) as caught:
        cli.engine.up()
    assert str(caught.value) == "rule-13: no such luck"
    cli.answer_as_recorded("fail in the program")
    with pytest.raises(StepsFailedError) as caught:
        cli.engine.up()
    assert str(caught.value) == "lls:fails is set"


def test_a_cli_that_fails_without_a_word_is_told_with_its_exit_code(cli: Cli) -> None:
    cli.answer(code=7)
    with pytest.raises(StepsFailedError, match="`pulumi destroy` ended with exit code 7"):
        cli.engine.destroy()


def test_a_refresh_tells_what_is_gone_and_what_changed(cli: Cli) -> None:
    cli.answer_as_recorded("refresh")
    assert cli.engine.refresh() == Refreshed()
    events = json.loads(json.dumps(LOGS["refresh"]["events"]))
    for event in events:
        done = event.get("resOutputsEvent", {}).get("metadata", {})
        done["op"] = {"rule-1": "delete", "group": "update"}.get(done.get("urn", "").rpartition("::")[2], "same")
    cli.answer(events, code=255)  # that of changes where none were expected
    found = cli.engine.refresh()
    assert [resource.name for resource in found.gone] == ["rule-1"]
    assert [resource.name for resource in found.changed] == ["group"]


def test_a_destroy_is_told_in_its_order(cli: Cli) -> None:
    cli.answer_as_recorded("destroy")
    steps = told(cli.engine.destroy())
    assert steps[0] == "delete rule-1"
    assert sorted(steps[1:3]) == ["delete explicit", "delete group"]
    assert steps[3:] == ["delete lls-test"]


# --- Commands


def test_each_command_names_the_stack_without_its_organization_and_asks_nothing(cli: Cli) -> None:
    commands = {
        cli.engine.preview: "preview --stack test",
        cli.engine.up: "up --stack test --yes --skip-preview",
        cli.engine.refresh: "refresh --stack test --yes --skip-preview --expect-no-changes",
        cli.engine.destroy: "destroy --stack test --yes --skip-preview",
    }
    for run, expected in commands.items():
        run()
        assert cli.asked().startswith(f"{expected} --event-log ")


def test_an_old_event_log_is_not_taken_for_a_new_one(cli: Cli) -> None:
    cli.answer_as_recorded("create")
    assert cli.engine.up()
    (cli.folder / "pulumi").write_text("#!/bin/sh\n")
    assert cli.engine.up() == []


def test_a_secret_reaches_the_cli_by_its_input_and_never_its_command_line(cli: Cli) -> None:
    (cli.folder / "pulumi").write_text(SCRIPT.replace('cat "$(dirname "$0")/said"', 'cat > "$(dirname "$0")/input"'))
    cli.engine.begin({"lls:kubeconfig": "hidden"})
    assert (cli.folder / "input").read_text() == "hidden"
    assert (cli.folder / "asked").read_text().splitlines() == [
        "--non-interactive stack init test",
        "--non-interactive config set --secret --stack test lls:kubeconfig",
    ]


def test_a_stack_that_cannot_be_begun_is_one_sentence_with_the_clis_own_words(cli: Cli) -> None:
    cli.answer(code=255, stderr="error: no such backend\n")
    with pytest.raises(StackError, match="`pulumi stack init test` failed: error: no such backend") as caught:
        cli.engine.begin({})
    assert caught.value.code == 255


def test_the_state_is_what_the_cli_exports(cli: Cli) -> None:
    resource: dict[str, Any] = {
        "urn": RULE.format(1),
        "type": "x",
        "custom": True,
        "id": "sgr-1",
        "inputs": {},
        "outputs": {},
    }
    cli.answer(said=json.dumps({"version": 3, "deployment": {"resources": [resource]}}))
    assert [found.id for found in cli.engine.exported().resources] == ["sgr-1"]
    assert cli.asked() == "--non-interactive stack export --stack test"


# --- The environment


def test_nothing_of_the_users_pulumi_gets_in_and_the_worlds_commands_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_TOKEN", "BACKEND_URL", "CONFIG_PASSPHRASE_FILE", "STACK", "HOME", "K8S_DELETE_UNREACHABLE"):
        monkeypatch.setenv(f"PULUMI_{name}", "the user's")
    monkeypatch.setenv("KUBECONFIG", "of the world")
    monkeypatch.setenv("PATH", f"{tmp_path / 'commands'}{os.pathsep}{os.environ['PATH']}")
    cli = Cli(tmp_path)
    cli.engine.up()
    found = cli.environment()
    assert "the user's" not in found.values()
    home = tmp_path / "workspace" / ".pulumi-home"
    assert {key: value for key, value in found.items() if key.startswith("PULUMI_")} == {
        "PULUMI_BACKEND_URL": (home / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "rehearsal",
        "PULUMI_DEBUG_COMMANDS": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    assert found["KUBECONFIG"] == "of the world"
    path = found["PATH"].split(os.pathsep)
    assert (path[0], path[-1]) == (str(tmp_path / "commands"), str(cli.folder))
