import json
import re
from pathlib import Path
from typing import Any

import yaml

from lls.config import SCHEMA
from lls.operations.stack import PROJECT
from tests.test_program import CONTRACT_OUTPUTS

README = (PROJECT / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Rows of the first table after a heading, without its head."""
    section = README.split(f"\n{heading}\n", 1)[1]
    rows: list[list[str]] = []
    for line in section.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            break
    return rows[2:]


def test_the_readmes_config_table_is_the_schema() -> None:
    schema: dict[str, Any] = yaml.safe_load(SCHEMA.read_text())["config"]
    documented = {
        key.strip("`"): (type_, "required" if default == "required" else json.loads(default.strip("`")))
        for key, type_, default, _ in table("## Configuration")
    }
    assert documented == {key: (each["type"], each.get("default", "required")) for key, each in schema.items()}


def test_the_readmes_output_table_is_the_contract() -> None:
    assert {name for row in table("## Outputs") for name in re.findall(r"`(\w+)`", row[0])} == CONTRACT_OUTPUTS


def test_every_direct_dependency_has_its_reason() -> None:
    lines = (PROJECT / "requirements.in").read_text().splitlines()
    direct = {line.partition("[")[0] for line in lines if line and not line.startswith("#")}
    explained = {name.strip() for row in table("## Development") for name in row[0].split(",")}
    assert explained == direct


def test_the_whole_closure_is_pinned() -> None:
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        assert line.startswith("#") or "==" in line, line


def test_every_make_command_of_the_readme_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z./]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z./]+)", README, re.MULTILINE)) <= targets


def test_every_file_that_the_readme_names_exists() -> None:
    for path in re.findall(r"`((?:lls|rehearsal|bench|tests|examples)/[\w./]*)`", README):
        assert (PROJECT / path).exists(), path


def test_every_test_that_a_page_names_exists() -> None:
    tests = {
        name for path in Path(__file__).parent.glob("test_*.py") for name in re.findall(r"def (\w+)", path.read_text())
    }
    for page in (PROJECT / "docs").glob("*.md"):
        assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= tests, page


def test_the_program_does_not_know_the_rehearsal() -> None:
    for path in [PROJECT / "__main__.py", *(PROJECT / "lls").glob("*.py")]:
        assert "rehearsal" not in path.read_text(), path
