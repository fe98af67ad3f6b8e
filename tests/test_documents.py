"""The pages: what they name exists, and what they list is all there is."""

import importlib
import re
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from e2e.cli import app as proof
from lls import guide
from lls.operations.cli import app
from lls.operations.graph import graph
from lls.operations.program.stack_file import PROJECT, Stack
from rehearsal.__main__ import main as rehearse
from scripts import configuration_table, page
from tests.support.contract import CONTRACT_OUTPUTS
from tests.support.worlds import STACK

DOCS = PROJECT / "docs"
README, CONTRIBUTING, CHANGELOG = (PROJECT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG"))
PAGES = [README, CONTRIBUTING, *sorted(DOCS.glob("*.md"))]
"""Those that are about the project as it is; the change log is about the past too."""

FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMANDS = {
    name: {option for param in command.params for option in param.opts}
    for name, command in cast(TyperGroup, get_command(app)).commands.items()
}

of_each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def blocks(path: Path) -> str:
    """The code blocks of a page."""
    return "\n".join(FENCE.findall(path.read_text()))


def spans(path: Path) -> list[str]:
    """The code within a page's sentences."""
    return re.findall(r"`([^`]+)`", FENCE.sub("", path.read_text()))


def code(path: Path) -> str:
    return "\n".join([blocks(path), *spans(path)])


def table(path: Path, column: str) -> list[list[str]]:
    """Rows of the table whose first column has that head, without its head."""
    rows = path.read_text().split(f"\n| {column} | ", 1)[1].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


# --- What a page names exists


def paths(path: Path) -> set[str]:
    """What a page names that looks like a path of the project."""
    whole = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|yaml|toml|json|txt|in))")
    inside = re.compile(r"(?<![\w/.])(?:\.ci|docs|e2e|examples|lls|rehearsal|scripts|tests)/[\w./-]*\w")
    found = {span for span in spans(path) if whole.fullmatch(span)} | set(inside.findall(code(path)))
    return found - {"Pulumi.NAME.yaml", ".pulumi-cli/"}


@of_each_page
def test_every_path_that_a_page_names_exists(path: Path) -> None:
    assert {named for named in paths(path) if not (PROJECT / named).exists()} == set()


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings: list[str] = re.findall(r"^#+ (.*)", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, CHANGELOG], ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", FENCE.sub("", path.read_text())):
        if not link.startswith("https://"):
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {README.parent / link for link in re.findall(r"\]\(([\w./-]+\.md)\)", README.read_text())}
    assert linked == {*PAGES, CHANGELOG} - {README}


@of_each_page
def test_every_make_command_of_a_page_is_a_target(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9./]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z0-9./]+)", code(path))) <= targets


def test_make_lists_every_target_that_says_what_it_does() -> None:
    make = ["make", "-s", "help"]
    listed = subprocess.run(make, cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    targets: list[str] = re.findall(r"^([\w.-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert [line.partition(" - ")[0] for line in listed.splitlines()] == targets
    assert "e2e" in targets


@of_each_page
def test_every_command_of_a_page_is_one_with_options_that_it_has(path: Path) -> None:
    for name, arguments in re.findall(r"-m lls ([a-z-]+)([^\n#]*)", code(path)):
        assert name in COMMANDS
        assert set(re.findall(r"--[\w-]+", arguments)) <= COMMANDS[name], name


@of_each_page
def test_everything_that_a_page_imports_exists(path: Path) -> None:
    for module in re.findall(r"-m ([\w.]+\w)", code(path)):
        assert find_spec(module), module
    for module, names in re.findall(r"^from (\S+) import (.+)", blocks(path), re.MULTILINE):
        assert set(names.split(", ")) <= set(dir(importlib.import_module(module))), module


@of_each_page
def test_every_test_that_a_page_names_exists(path: Path) -> None:
    tests = {
        name for file in Path(__file__).parent.rglob("test_*.py") for name in re.findall(r"def (\w+)", file.read_text())
    }
    assert set(re.findall(r"`(test_\w+)`", path.read_text())) <= tests


# --- What a page lists is all there is


def test_the_configuration_table_is_what_pulumi_yaml_says() -> None:
    text = configuration_table.PAGE.read_text()
    assert page.with_table(text, configuration_table.table()) == text, "make docs"


def test_a_page_without_the_table_that_is_written_is_not_touched() -> None:
    with pytest.raises(ValueError, match=r"0 tables .* \| key \|"):
        page.with_table("# No table\n", page.table(["key"], []))


def test_the_output_table_is_the_contract() -> None:
    rows = table(DOCS / "outputs.md", "output")
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row[0])} == CONTRACT_OUTPUTS


def test_every_way_to_register_targets_is_in_the_table() -> None:
    ways = [row[0].strip("`") for row in table(DOCS / "targets.md", "`registration`")]
    assert ways == list(get_args(guide.Registration))


def test_every_command_is_in_the_table_with_options_that_it_has() -> None:
    rows = {row[0].strip("`"): row[2] for row in table(DOCS / "operations.md", "command")}
    assert rows.keys() == COMMANDS.keys()
    for name, text in rows.items():
        assert set(re.findall(r"`(--[\w-]+)", text)) <= COMMANDS[name], name


def test_every_option_of_the_rehearsal_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        rehearse(["--help"])
    options = set(re.findall(r"^  (?:-\w, )?(--\w+)", capsys.readouterr().out, re.MULTILINE))
    listed = {row[0].strip("`").partition(" ")[0] for row in table(DOCS / "operations.md", "option")}
    assert listed == options - {"--help", "--stack"}


def test_every_option_of_the_proof_is_in_the_table() -> None:
    options = {option for param in get_command(proof).params for option in param.opts if option.startswith("--")}
    listed = {row[0].strip("`").partition(" ")[0] for row in table(DOCS / "proof.md", "option")}
    assert listed == options - {"--help", "--stack"}


def test_every_direct_dependency_has_its_reason() -> None:
    lines = (PROJECT / "requirements.in").read_text().splitlines()
    direct = {line.partition("[")[0] for line in lines if line and not line.startswith("#")}
    assert {name for row in table(README, "dependency") for name in row[0].split(", ")} == direct


def test_the_documented_order_is_the_programs() -> None:
    kinds = {
        "streaming-sg": "sg",
        "streaming-ingress": "sgr",
        "streaming-egress": "sgr",
        "streaming-nlb": "nlb",
        "node-ports": "nr",
        "streaming-eip": "eip",
        "streaming-tg": "tg",
        "streaming-listener": "listener",
        "proxy-namespace": "ns",
        "proxy-release": "release",
        "targets": "targets",
    }
    stack = Stack("test", {**STACK, "lls:staticIp": "true"})

    def arrows(*, whole: bool) -> set[tuple[str, str]]:
        edges = [
            [kind for name in edge for prefix, kind in kinds.items() if name.startswith(prefix)]
            for edge in graph(stack, whole=whole).edges
        ]
        return {(edge[0], edge[1]) for edge in edges if len(edge) == 2}  # the cluster's provider stands outside

    drawn: set[tuple[str, str]] = set()
    for line in re.findall(r"^    (.* --> .*)", blocks(DOCS / "architecture.md"), re.MULTILINE):
        before, after = (
            [re.sub(r"\[.*\]", "", each).strip() for each in side.split(" & ")] for side in line.split(" --> ")
        )
        drawn |= {(first, second) for first in before for second in after}
    assert arrows(whole=False) <= drawn <= arrows(whole=True)


def test_the_picture_has_the_guides_ports() -> None:
    ports = {guide.UDP_PORT, guide.STREAMING_NODE_PORT, guide.HEALTH_NODE_PORT}
    ports |= {port.number for port in guide.NODE_INTERNAL_PORTS}
    assert set(map(int, re.findall(r"(?:UDP|TCP|HTTP) (\d+)", blocks(README)))) == ports


def test_the_change_log_begins_with_what_is_not_released_yet() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^## \[(.*?)\]", CHANGELOG.read_text(), re.MULTILINE)[:2] == ["Unreleased", version]


# --- The project


def test_the_whole_closure_is_pinned() -> None:
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        assert line.startswith("#") or "==" in line, line


def test_the_program_does_not_know_the_rehearsal() -> None:
    for path in [PROJECT / "__main__.py", *(PROJECT / "lls").glob("*.py")]:
        assert "rehearsal" not in path.read_text(), path
