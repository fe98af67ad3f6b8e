"""Our engine against the real one: every change of the effect table.

`.venv/bin/python -m tests.real.test_engines` prints what both do at each change.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, chdir
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest.mock import patch

import pytest

from lls.operations.program.recording import Properties, run_project
from lls.operations.program.stack_file import PROJECT, find_cli
from rehearsal.compare import differences, disorder
from rehearsal.engine.engine import Engine, Provider, Step
from rehearsal.engine.real_engine import RealEngine
from rehearsal.plugins.host import plugins_in
from rehearsal.plugins.servicer import Call
from rehearsal.rehearse import link_project
from rehearsal.world import WorldClock
from scripts.effects_table import BEFORE, CHANGES, texts
from scripts.invented import InventedProvider, nothing_asked
from tests.support.real import write_config

PROGRAM: Final = """
import runpy
from scripts.invented import nothing_asked

with nothing_asked():
    runpy.run_path("program.py", run_name="__main__")
"""
"""The project's program in the invented world, as another process runs it."""


class Deployed:
    """A stack that the real engine has made in the invented world, and to which any change may happen first."""

    def __init__(self, config: Mapping[str, str], until: ExitStack) -> None:
        self._folder = Path(until.enter_context(TemporaryDirectory()))
        link_project(self._folder)
        (self._folder / "__main__.py").rename(self._folder / "program.py")
        (self._folder / "__main__.py").write_text(PROGRAM)
        self._stack_file = self._folder / "Pulumi.effects.yaml"
        write_config(self._stack_file, config)
        self._provider = InventedProvider()
        plugins = Path(until.enter_context(TemporaryDirectory()))
        calls: list[Call] = []
        until.enter_context(plugins_in(plugins, self._configured, calls))
        with patch.dict(os.environ, {"PATH": f"{plugins}{os.pathsep}{os.environ['PATH']}"}):
            self._engine = RealEngine(
                find_cli("to compare"), "effects", self._folder, WorldClock(1), calls, output=subprocess.DEVNULL
            )
        self._engine.begin({})
        self._engine.up()
        self._made = deepcopy(self._provider)
        shutil.copytree(self._engine.backend, self._folder / ".before")

    def _configured(self, package: str, settings: Properties, folder: Path) -> Provider:
        return self._provider

    def up(self, config: Mapping[str, str]) -> Sequence[Step]:
        """What an `up` does with another config, of what was first there."""
        shutil.rmtree(self._engine.backend)
        shutil.copytree(self._folder / ".before", self._engine.backend)
        self._provider = deepcopy(self._made)
        write_config(self._stack_file, config)
        return self._engine.up()


class Stacks:
    """Deployed stacks, each made once."""

    def __init__(self, until: ExitStack) -> None:
        self._until = until
        self._made: dict[Collection[tuple[str, str]], Deployed] = {}

    def of(self, config: Mapping[str, str]) -> Deployed:
        """The one with that config."""
        key = frozenset(config.items())
        if key not in self._made:
            self._made[key] = Deployed(config, self._until)
        return self._made[key]


@pytest.fixture(scope="module")
def stacks(pulumi: str) -> Generator[Stacks]:
    """Deployed stacks."""
    with ExitStack() as until:
        yield Stacks(until)


def by_our_engine(before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[Step]:
    """What the same `up` does with our engine."""
    with chdir(PROJECT), nothing_asked():
        engine = Engine(program=run_project, project="lls", stack="effects", config=before, provider=InventedProvider())
        engine.up()
        engine.config = after
        return engine.up()


def around(key: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The configs before and after the effect table's change of a key."""
    needed, value = CHANGES[key]
    before = {**BEFORE, **texts(needed)}
    return before, {**before, **texts({key: value})}


@pytest.mark.parametrize("key", CHANGES)
def test_both_engines_do_the_same_at_each_change_and_in_the_order_of_the_graph(key: str, stacks: Stacks) -> None:
    before, after = around(key)
    own, real = by_our_engine(before, after), stacks.of(before).up(after)
    assert differences(own, real) == []
    goals = {step.resource.urn: step.resource for step in own if step.operation != "delete"}
    assert disorder(own, goals) == []
    assert disorder(real, goals) == []


def test_a_new_load_balancer_of_an_own_name_leaves_the_release_alone_on_both_engines(stacks: Stacks) -> None:
    before, _ = around("hostedZoneId")
    after = {**before, **texts({"staticIp": True})}
    own, real = by_our_engine(before, after), stacks.of(before).up(after)
    assert differences(own, real) == []
    for steps in (own, real):
        done = {step.resource.name: step.operation for step in steps if step.operation not in ("same", "delete")}
        assert done["streaming-nlb"] == "replace"
        assert done["streaming-record"] == "update"
        assert "proxy-release" not in done


def main() -> None:
    """Print the table."""
    with ExitStack() as until:
        stacks = Stacks(until)
        for key in CHANGES:
            before, after = around(key)
            own, real = by_our_engine(before, after), stacks.of(before).up(after)
            done = sorted(
                f"{step.operation} {step.resource.name}"
                for step in real
                if step.resource.custom and step.operation != "same"
            )
            verdict = "; ".join(differences(own, real)) or "the same"
            sys.stdout.write(f"{key}: {verdict}: {', '.join(done) or 'nothing'}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
