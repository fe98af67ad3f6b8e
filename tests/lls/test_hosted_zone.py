"""The zone that gets the record of the endpoint's name, by what the provider says of zones."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from lls.hosted_zone import NONE_FOUND, SEVERAL_FOUND, lies_in
from tests.support.recorded import RecordedStack, as_config, recorded

ZONE = "aws:route53/getZone:getZone"
NAME = as_config(dnsName="stream.eu.example.com")


def zones(*known: tuple[str, str], private: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Answers of an account that has these zones, ids and domains, of which some are private."""

    def answer(arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = arguments.get("zoneId"), arguments.get("name")
        found = [
            (id_, domain)
            for id_, domain in known
            if id_ == asked[0] or (domain == asked[1] and arguments["privateZone"] is (id_ in private))
        ]
        if asked[0] and not found:
            raise LookupError(f"NoSuchHostedZone: No hosted zone found with ID: {asked[0]}")
        if len(found) != 1:
            raise LookupError(SEVERAL_FOUND if found else NONE_FOUND)
        [(id_, domain)] = found
        return {"zoneId": id_, "name": domain, "privateZone": id_ in private, "nameServers": ["ns-1.example"]}

    return {ZONE: answer}


def zone_of_record(made: RecordedStack) -> str:
    made.engine.up()
    return "".join(record.inputs["zoneId"] for record in made.of("Record"))


@pytest.mark.parametrize(
    ("known", "zone"),
    [
        ([("Z1", "example.com"), ("Z2", "eu.example.com"), ("Z3", "other.com")], "Z2"),
        ([("Z1", "example.com"), ("Z2", "stream.eu.example.com")], "Z2"),
        ([("Z1", "example.com"), ("Z2", "am.eu.example.com")], "Z1"),
        ([("Z1", "com"), ("Z2", "ple.com")], ""),
        ([], ""),
    ],
)
def test_the_zone_of_the_longest_domain_that_holds_the_name_gets_its_record(
    known: list[tuple[str, str]], zone: str
) -> None:
    made = recorded(NAME, answers=zones(*known))
    assert zone_of_record(made) == zone
    assert made.engine.outputs["streamingEndpoint"] == "stream.eu.example.com:5004"
    assert made.engine.outputs["nlbDnsName"] == "demo.elb.example"


def test_a_private_zone_holds_no_name_that_browsers_see() -> None:
    known = [("Z1", "example.com"), ("Z2", "eu.example.com")]
    assert zone_of_record(recorded(NAME, answers=zones(*known, private=("Z2",)))) == "Z1"


def test_a_zone_that_is_given_is_the_only_one_asked_about() -> None:
    made = recorded(NAME | as_config(hostedZoneId="Z1"), answers=zones(("Z1", "example.com"), ("Z2", "eu.example.com")))
    assert zone_of_record(made) == "Z1"
    assert made.recorder.asked("getZone") == [{"zoneId": "Z1"}]


@pytest.mark.parametrize("changes", [{}, NAME | as_config(hostedZoneId="none")])
def test_where_the_stack_makes_no_record_route_53_is_not_asked(changes: Mapping[str, str]) -> None:
    made = recorded(changes)
    assert zone_of_record(made) == ""
    assert made.recorder.asked("getZone") == []


def denied(_: object) -> dict[str, Any]:
    raise PermissionError("AccessDenied: not authorized to perform: route53:ListHostedZones")


@pytest.mark.parametrize(
    ("changes", "answers", "told"),
    [
        (
            {},
            zones(("Z1", "example.com"), ("Z2", "example.com")),
            "several public zones example.com. Set lls:hostedZoneId",
        ),
        ({}, {ZONE: denied}, "route53:ListHostedZones. Allow it (docs/iam-policy.json), or do without: Set lls:hosted"),
        (
            {"hostedZoneId": "Z9"},
            zones(),
            "No hosted zone found with ID: Z9. Set lls:hostedZoneId to the id of a public",
        ),
        ({"hostedZoneId": "Z1"}, zones(("Z1", "example.com"), private=("Z1",)), "zone example.com is private"),
        ({"hostedZoneId": "Z1"}, zones(("Z1", "ample.com")), "stream.eu.example.com is not in its zone ample.com"),
    ],
)
def test_an_unfit_or_unclear_zone_is_told_with_the_key_before_anything_is_made(
    changes: Mapping[str, str], answers: Mapping[str, Any], told: str
) -> None:
    made = recorded(NAME | as_config(**changes), answers=answers)
    with pytest.raises(pulumi.RunError) as caught:
        made.engine.up()
    assert told in str(caught.value)
    assert "lls:hostedZoneId" in str(caught.value)
    assert "none if you make the record" in str(caught.value)
    assert not made.resources


def test_a_name_lies_in_its_own_domain_and_those_above_and_in_no_other() -> None:
    assert lies_in("a.example.com", "example.com")
    assert lies_in("example.com", "example.com")
    assert not lies_in("aexample.com", "example.com")
    assert not lies_in("example.com", "a.example.com")
