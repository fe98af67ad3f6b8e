"""What a run leaves where others can read it."""

import base64
import json
import logging
import os
import stat
import subprocess
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.rpc import is_rpc_secret

from lls.operations.program.recording import Monitor


class Traces(logging.Handler):
    """Everything that was written since it was opened, by the place where it was."""

    def __init__(self, folder: Path, printed: pytest.CaptureFixture[str]) -> None:
        """Look into all files below a folder, deleted ones too, and at what was printed."""
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter())
        self._folder = folder
        self._kept = folder / "kept"
        self._kept.mkdir()
        self._printed = printed
        self._texts: dict[str, list[str]] = {}

    def note(self, place: str, text: str) -> None:
        """Something was written there."""
        self._texts.setdefault(place, []).append(text)

    def emit(self, record: logging.LogRecord) -> None:
        """Note what Python's logging is told."""
        self.note("log", self.format(record))

    def keep(self, path: Any, directory: int | None = None) -> None:
        """Keep a file, with its mode, that is about to go."""
        number = len(list(self._kept.iterdir()))
        kept = self._kept / f"{number}-{Path(os.fsdecode(path)).name}"
        os.link(path, kept, src_dir_fd=directory, follow_symlinks=False)

    def files(self, *, private: bool) -> Iterator[tuple[str, str]]:
        """Names and texts of the files that only their owner can read, or of all others."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                is_private = not stat.S_IMODE(path.stat().st_mode) & 0o077
                if is_private == private:
                    yield path.name.partition("-")[2] or path.name, path.read_bytes().decode(errors="replace")

    def leaks(self, secrets: Mapping[str, str]) -> set[tuple[str, str]]:
        """Which of the secrets can be read, and where."""
        out, err = self._printed.readouterr()
        self.note("standard output", out)
        self.note("standard error", err)
        texts = [(place, text) for place, noted in self._texts.items() for text in noted]
        texts += [("file", text) for _, text in self.files(private=False)]
        return {
            (name, place)
            for name, secret in secrets.items()
            for disguise in disguises(secret)
            for place, text in texts
            if disguise in text
        }


@contextmanager
def traces(folder: Path, printed: pytest.CaptureFixture[str]) -> Generator[Traces]:
    """Watch what is printed, logged, registered with the engine, given to processes and written below a folder."""
    seen = Traces(folder, printed)
    unlink, replace, popen = os.unlink, os.replace, subprocess.Popen.__init__
    register, outputs, log = Monitor.RegisterResource, Monitor.RegisterResourceOutputs, Monitor.Log

    def _unlink(path: Any, *, dir_fd: int | None = None) -> None:
        seen.keep(path, dir_fd)
        unlink(path, dir_fd=dir_fd)

    def _replace(source: Any, target: Any) -> None:
        if Path(target).exists():
            seen.keep(target)
        replace(source, target)

    def _popen(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        seen.note("process arguments", args if isinstance(args, str) else "\n".join(map(os.fsdecode, args)))
        popen(self, args, *rest, **options)

    def _register(self: Monitor, request: Any) -> Any:
        seen.note("registered", json.dumps(legible(MessageToDict(request.object))))
        return register(self, request)

    def _outputs(self: Monitor, request: Any) -> Any:
        seen.note("outputs", json.dumps(legible(MessageToDict(request.outputs))))
        return outputs(self, request)

    def _log(self: Monitor, request: Any) -> None:
        seen.note("engine's log", request.message)
        log(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        patch.setenv("HOME", str(folder))
        for name in ("unlink", "remove"):
            patch.setattr(os, name, _unlink)
        for name in ("replace", "rename"):
            patch.setattr(os, name, _replace)
        patch.setattr(subprocess.Popen, "__init__", _popen)
        patch.setattr(Monitor, "RegisterResource", _register)
        patch.setattr(Monitor, "RegisterResourceOutputs", _outputs)
        patch.setattr(Monitor, "Log", _log)
        root = logging.getLogger()
        root.addHandler(seen)
        try:
            yield seen
        finally:
            root.removeHandler(seen)


def legible(value: Any) -> Any:
    """The parts of a property that the engine does not encrypt."""
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        return None if is_rpc_secret(mapping) else {key: legible(part) for key, part in mapping.items()}
    return [legible(part) for part in cast(list[Any], value)] if isinstance(value, list) else value


def disguises(secret: str) -> list[str]:
    """A secret as it is, and as it looks inside of a longer text in base64, wherever it begins there."""
    found = [secret]
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret.encode()).decode()
        found.append(encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6])
    return found
