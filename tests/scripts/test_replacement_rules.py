"""The script that reads the replacement rules from a provider's schema, with a schema made for the test."""

import json
from typing import Any

import pytest

from lls.operations.program import schema_rules
from scripts import replacement_rules
from scripts.replacement_rules import SchemaError, command, module, rules, schema_of


def schema(**properties: Any) -> dict[str, Any]:
    """A schema in which each type of the project takes these inputs, and one nested type."""
    return {
        "name": "aws",
        "version": schema_rules.VERSION,
        "resources": {type_: {"inputProperties": properties} for type_ in schema_rules.BY_SCHEMA},
        "types": {
            "aws:lb/Mapping:Mapping": {
                "properties": {"subnetId": {"type": "string", "willReplaceOnChanges": True}, "note": {"type": "string"}}
            }
        },
    }


def test_the_marked_inputs_are_the_rules_of_every_registered_type() -> None:
    found = rules(schema(port={"type": "integer", "willReplaceOnChanges": True}, tags={"type": "object"}))
    assert found == dict.fromkeys(sorted(schema_rules.BY_SCHEMA), ("port",))


MAPPING = {"$ref": "#/types/aws:lb%2FMapping:Mapping"}


@pytest.mark.parametrize("declared", [MAPPING, {"type": "array", "items": MAPPING}])
def test_a_marked_input_within_another_is_a_path(declared: Any) -> None:
    found = rules(schema(mappings=declared))
    assert set(found.values()) == {("mappings.subnetId",)}


def test_the_schema_of_another_version_is_refused() -> None:
    assert schema_of(json.dumps(schema()))["name"] == "aws"
    with pytest.raises(SchemaError, match=rf"aws@1\.0\.0.*{schema_rules.VERSION} is pinned: pulumi package get-schema"):
        schema_of(json.dumps(schema() | {"version": "1.0.0"}))


def test_a_cli_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SchemaError, match=r"get-schema aws@.*No such file"):
        replacement_rules.fetched()


def test_the_committed_module_is_what_the_script_writes() -> None:
    assert module(schema_rules.ORIGIN, schema_rules.BY_SCHEMA) == replacement_rules.MODULE.read_text()
    assert command()[-1] in module(" ".join(command()), {})
