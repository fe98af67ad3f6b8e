"""How long the program itself takes: a fresh process that records it, next to one that only imports the same SDKs."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import BaseModel

from lls.operations.program.stack_file import PROJECT

ROUNDS: Final = 5
MODULES: Final = 14
"""How many lines the table of imports has."""

SDKS: Final = ("pulumi", "pulumi_aws", "pulumi_kubernetes", "kubernetes")

RECORD: Final = """
from lls.operations.graph import graph
from lls.operations.program.stack_file import Stack
graph(Stack("bench", {config!r}))
"""

LIST: Final = """
import sys, types
for name, module in sys.modules.items():
    if type(module) is types.ModuleType and name.partition(".")[0] in {sdks!r}:
        print(name)
"""
"""Prints the modules of the SDKs that are loaded, not those that are only prepared to be."""

IMPORT: Final = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name).__doc__
"""
"""Imports modules, those too that load only when they are used."""

LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")


class ImportTime(BaseModel):
    """What a package of modules took to import: by its own code, and with what it imported first."""

    package: str
    modules: int
    own: float
    cumulative: float


class ProgramTime(BaseModel):
    """Seconds of fresh Python processes, round by round, and the dearest imports, in milliseconds."""

    program: list[float]
    imports: list[float]
    modules: list[ImportTime]


def program_time(config: Mapping[str, str], say: Callable[[str], None], rounds: int = ROUNDS) -> ProgramTime:
    """Measure both in turns, so that a machine's moods hit both."""
    record = RECORD.format(config=dict(config))
    say("Listing the program's SDK modules")
    names = _python("-c", record + LIST.format(sdks=SDKS)).stdout.split()
    program: list[float] = []
    imports: list[float] = []
    for number in range(rounds):
        say(f"Timing the program and its imports, round {number + 1} of {rounds}")
        program.append(_seconds("-c", record))
        imports.append(_seconds("-c", IMPORT, *names))
    say("Timing each import")
    # Without the garbage collector, which would strike some module by chance.
    report = _python("-X", "importtime", "-c", "import gc; gc.disable()" + record).stderr
    return ProgramTime(program=program, imports=imports, modules=import_times(report)[:MODULES])


def import_times(report: str) -> list[ImportTime]:
    """The report of `python -X importtime` by packages, such as pulumi_aws.ec2; the dearest first."""
    found: dict[str, ImportTime] = {}
    for own, cumulative, name in LINE.findall(report):
        package = ".".join(name.split(".")[:2])
        before = found.get(package, ImportTime(package=package, modules=0, own=0, cumulative=0))
        found[package] = ImportTime(
            package=package,
            modules=before.modules + 1,
            own=before.own + int(own) / 1000,
            cumulative=max(before.cumulative, int(cumulative) / 1000),
        )
    return sorted(found.values(), key=lambda spent: spent.own, reverse=True)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S603


def _seconds(*arguments: str) -> float:
    begin = time.perf_counter()
    _python(*arguments)
    return time.perf_counter() - begin
