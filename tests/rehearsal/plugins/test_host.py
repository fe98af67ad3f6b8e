"""The plugins' commands: they live as long as their engine, and with the world nothing of them is left."""

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lls.operations.program.recording import Properties
from rehearsal.engine.engine import Provider
from rehearsal.plugins.host import PACKAGES, plugins_in
from rehearsal.plugins.servicer import Call
from scripts.invented import InventedProvider
from tests.support.plugin_client import Plugin, started


class Served:
    """Commands in a folder, and what they asked for."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.asked: list[tuple[str, Properties, Path]] = []

    def configure(self, package: str, settings: Properties, folder: Path) -> Provider:
        self.asked.append((package, settings, folder))
        return InventedProvider()


def test_a_command_asks_for_its_package_and_tells_its_settings_and_folder(tmp_path: Path) -> None:
    served = Served()
    with plugins_in(tmp_path, served.configure, served.calls):
        for package in PACKAGES:
            with started(tmp_path, package, tmp_path) as plugin:
                plugin.configure(key="value", version="1.0.0", pluginDownloadURL="x", __internal={})
    assert served.asked == [(package, {"key": "value"}, tmp_path) for package in PACKAGES]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"pulumi-resource-{package}" for package in PACKAGES]


def test_when_an_engine_ends_its_plugin_ends_and_the_others_go_on(tmp_path: Path) -> None:
    served = Served()
    with plugins_in(tmp_path, served.configure, served.calls), started(tmp_path, "aws", tmp_path) as other:
        with started(tmp_path, "aws", tmp_path) as plugin:
            plugin.configure()
        assert plugin.process.returncode == 0
        other.configure()
        assert other.create("type", {"key": "value"})[1]["key"] == "value"


def test_with_the_world_its_servers_end_and_a_command_says_that_it_is_gone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    served = Served()
    with plugins_in(tmp_path, served.configure, served.calls):
        held: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - the command that was just made
            [tmp_path / "pulumi-resource-aws"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert held.stdout
        port = int(held.stdout.readline())
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass
    assert set(threading.enumerate()) <= before
    held.communicate()
    assert held.returncode == 0
    done = subprocess.run(  # noqa: S603 - likewise
        [tmp_path / "pulumi-resource-aws"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the emulated world of this aws provider is gone: begin another rehearsal\n"
    assert capfd.readouterr().err == ""


def test_a_command_that_is_killed_before_it_says_anything_is_no_matter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    served = Served()
    with plugins_in(tmp_path, served.configure, served.calls):
        command = (tmp_path / "pulumi-resource-aws").read_text()
        port = int(command.partition('("127.0.0.1", ')[2].partition(")")[0])
        for said in (b"", b"aws"):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(said)
        with started(tmp_path, "aws", tmp_path) as plugin:
            assert isinstance(plugin, Plugin)
    assert capfd.readouterr().err == ""
