"""The replacement rules against the schema of the pinned provider itself, which the Pulumi CLI fetches."""

import pytest

from lls.operations.program import schema_rules
from scripts.replacement_rules import SchemaError, fetched, rules, schema_of

PATIENCE = 120.0
"""Seconds for the provider to arrive."""


@pytest.mark.usefixtures("pulumi")
def test_the_rules_are_those_of_the_providers_schema() -> None:
    try:
        schema = schema_of(fetched(PATIENCE))
    except SchemaError as error:
        pytest.skip(f"the schema cannot be had: {error}")
    assert rules(schema) == schema_rules.BY_SCHEMA
