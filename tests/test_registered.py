"""What the program registers, against a recorded file: a changed logical name deregisters live targets.

`.venv/bin/python -m tests.test_registered` records anew, which is right only where a change is meant.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine.engine import Resource
from tests.support.kinds import KINDS, NODES
from tests.support.strategies import QUIRKS
from tests.support.worlds import a_rehearsal

RECORDED = Path(__file__).with_name("registered.json")


def registered(config: Mapping[str, str]) -> dict[str, Any]:
    """Each resource by URN, with a placeholder for what a world makes up."""
    with a_rehearsal(config, quirks=QUIRKS, nodes=NODES) as rehearsal:
        rehearsal.engine.up()
        shown = {urn: _shown(resource) for urn, resource in sorted(rehearsal.engine.state.items())}
    seen: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        kind = match.group("kind") or "id"
        return seen.setdefault(match.group(), f"<{kind} {len(seen)}>")

    made_up = r"(?P<kind>sg|subnet|vpc|eipalloc)-[0-9a-f]{8,17}\b|127\.0\.0\.1:\d+|(?<=/)[0-9a-f]{16}\b"
    text = re.sub(r"rp-public-demo-[0-9a-f]{16}", "rp-public-demo-<id>", json.dumps(shown, sort_keys=True))
    return json.loads(re.sub(made_up, placeholder, text))


def _shown(resource: Resource) -> dict[str, Any]:
    return {
        "inputs": {key: value for key, value in resource.inputs.items() if key != "__provider"},
        "secrets": sorted(resource.secrets),
        "parent": resource.parent,
        "provider": resource.provider,
        "dependencies": sorted(resource.dependencies),
        "deleteBeforeReplace": bool(resource.delete_before_replace),
        "ignoreChanges": list(resource.ignore_changes),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_names_inputs_and_order_of_an_existing_stack_never_change(kind: str) -> None:
    assert registered(KINDS[kind]) == json.loads(RECORDED.read_text())[kind]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({kind: registered(config) for kind, config in KINDS.items()}, indent=1) + "\n")
