"""What the emulated Route 53 refuses, in AWS's words, when a change is done, and who resolves what."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lls.operations.program.recording import Properties
from rehearsal.aws.server import Aws
from rehearsal.world import HostedZone
from tests.support.emulated import EmulatedAws
from tests.support.worlds import PatientClock, a_world

ZONES = (
    HostedZone(name="example.com", id="Z1"),
    HostedZone(name="in.example.com", id="Z2", private=True),
    HostedZone(name="lost.com", id="Z3", delegated=False),
)
NAME = "stream.example.com"


def answers(address: str, port: int, path: str) -> bool:
    return True


@pytest.fixture
def emulated() -> Iterator[EmulatedAws]:
    clock = PatientClock()
    world = a_world(hosted_zones=ZONES)
    with Aws(world, clock, cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        yield EmulatedAws(aws, clock)


def change(emulated: EmulatedAws, *changes: tuple[str, Properties], zone: str = "Z1") -> str:
    """Change records, each by an action and the record itself; the answer is the change's id."""
    route53 = emulated.aws.client("route53")
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]["Id"]


def plain(type_: str, *values: str, name: str = NAME) -> Properties:
    return {"Name": name, "Type": type_, "TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}


def alias(emulated: EmulatedAws, nlb: str, name: str = NAME, **changes: Any) -> Properties:
    balancer = emulated.balancer(nlb)
    target = {
        "DNSName": balancer["DNSName"],
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        "EvaluateTargetHealth": False,
    }
    return {"Name": name, "Type": "A", "AliasTarget": target | changes}


def refused(emulated: EmulatedAws, *changes: tuple[str, Properties], zone: str = "Z1") -> str:
    """What a change is refused with, that leaves the zone as it was."""
    before = listed(emulated, zone) if zone != "Z9" else []
    with pytest.raises(ClientError) as caught:
        change(emulated, *changes, zone=zone)
    assert zone == "Z9" or listed(emulated, zone) == before
    response: Any = caught.value.response
    error = response["Error"]
    return f"{error['Code']}: {error['Message']}"


def listed(emulated: EmulatedAws, zone: str = "Z1") -> list[Any]:
    return emulated.aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]


def test_what_exists_is_not_created_again_and_is_changed_by_an_upsert(emulated: EmulatedAws) -> None:
    change(emulated, ("CREATE", plain("A", "192.0.2.1")))
    again = f"Tried to create resource record set [name='{NAME}.', type='A'] but it already exists"
    assert refused(emulated, ("CREATE", plain("A", "192.0.2.2"))) == f"InvalidChangeBatch: [{again}]"
    change(emulated, ("UPSERT", plain("A", "192.0.2.2")))
    assert [record["ResourceRecords"] for record in listed(emulated) if record["Type"] == "A"] == [
        [{"Value": "192.0.2.2"}]
    ]


def test_a_cname_is_alone_with_its_name_and_not_at_the_top_of_a_zone(emulated: EmulatedAws) -> None:
    change(emulated, ("CREATE", plain("CNAME", "a.example")), ("CREATE", plain("A", "192.0.2.1", name="b.example.com")))
    assert "of type A with DNS name stream.example.com. is not permitted because a conflicting RRSet" in refused(
        emulated, ("CREATE", plain("A", "192.0.2.1"))
    )
    assert "as it conflicts with other records with the same DNS name in zone example.com." in refused(
        emulated, ("CREATE", plain("CNAME", "a.example", name="b.example.com"))
    )
    assert "is not permitted at apex in zone example.com." in refused(
        emulated, ("CREATE", plain("CNAME", "a.example", name="example.com"))
    )


def test_a_batch_is_done_as_a_whole_or_not_at_all(emulated: EmulatedAws) -> None:
    change(emulated, ("CREATE", plain("CNAME", "a.example")))
    assert "already exists" in refused(
        emulated, ("DELETE", plain("CNAME", "a.example")), *[("CREATE", plain("A", "192.0.2.1"))] * 2
    )
    change(emulated, ("DELETE", plain("CNAME", "a.example")), ("CREATE", plain("A", "192.0.2.1")))


def test_only_what_is_there_is_deleted_and_only_as_it_is(emulated: EmulatedAws) -> None:
    gone = f"Tried to delete resource record set [name='{NAME}.', type='A'] but it was not found"
    assert refused(emulated, ("DELETE", plain("A", "192.0.2.1"))) == f"InvalidChangeBatch: [{gone}]"
    change(emulated, ("CREATE", plain("A", "192.0.2.1")))
    assert "do not match the current values" in refused(emulated, ("DELETE", plain("A", "192.0.2.2")))
    change(emulated, ("DELETE", plain("A", "192.0.2.1")))


def test_an_alias_is_of_a_load_balancer_that_is_there_in_the_zone_of_load_balancers(emulated: EmulatedAws) -> None:
    nlb = emulated.nlb()
    missing = "rp-public-demo-0000000000000000.elb.us-west-2.amazonaws.com"
    assert "does not lie within the target zone" in refused(
        emulated, ("CREATE", alias(emulated, nlb, HostedZoneId="Z1"))
    )
    told = refused(emulated, ("CREATE", alias(emulated, nlb, DNSName=missing)))
    assert "but that target was not found" in told
    assert "does not lie within" not in told
    change(emulated, ("CREATE", alias(emulated, nlb)), ("CREATE", alias(emulated, nlb, name="example.com")))


def test_a_name_belongs_into_its_zone_and_a_zone_must_exist(emulated: EmulatedAws) -> None:
    outside = plain("A", "192.0.2.1", name="notexample.com")
    assert "DNS name notexample.com. is not permitted in zone example.com." in refused(emulated, ("CREATE", outside))
    assert refused(emulated, ("CREATE", plain("A", "192.0.2.1")), zone="Z9") == (
        "NoSuchHostedZone: No hosted zone found with ID: Z9"
    )


def test_a_zone_with_records_is_not_deleted(emulated: EmulatedAws) -> None:
    change(emulated, ("CREATE", plain("A", "192.0.2.1")))
    with pytest.raises(ClientError, match=r"\(HostedZoneNotEmpty\)"):
        emulated.aws.client("route53").delete_hosted_zone(Id="Z1")


def test_a_change_is_pending_until_all_name_servers_have_it(emulated: EmulatedAws) -> None:
    route53 = emulated.aws.client("route53")
    made = change(emulated, ("CREATE", plain("A", "192.0.2.1")))
    assert route53.get_change(Id=made)["ChangeInfo"]["Status"] == "PENDING"
    emulated.clock.sleep(30)
    assert route53.get_change(Id=made)["ChangeInfo"]["Status"] == "INSYNC"
    with pytest.raises(ClientError, match=r"\(NoSuchChange\)"):
        route53.get_change(Id="C9")


# --- Names


def test_an_alias_is_what_its_load_balancer_is_and_nothing_without_it(emulated: EmulatedAws) -> None:
    nlb, other = emulated.nlb(), emulated.nlb(emulated.group("other"), name="rp-public-other")
    change(emulated, ("CREATE", alias(emulated, nlb)))
    addresses = emulated.aws.resolve(emulated.balancer(nlb)["DNSName"])
    assert emulated.aws.resolve(NAME) == addresses
    assert emulated.aws.resolve(emulated.balancer(other)["DNSName"]) != addresses
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with pytest.raises(socket.gaierror):
        emulated.aws.resolve(NAME)


@pytest.mark.parametrize(("zone", "name"), [("Z2", "a.in.example.com"), ("Z3", "a.lost.com")])
def test_nobody_outside_resolves_a_name_of_a_private_zone_or_of_one_that_is_not_delegated(
    emulated: EmulatedAws, zone: str, name: str
) -> None:
    change(emulated, ("CREATE", plain("A", "192.0.2.1", name=name)), zone=zone)
    with pytest.raises(socket.gaierror):
        emulated.aws.resolve(name)


def test_a_name_of_somebody_elses_zone_is_what_they_say(emulated: EmulatedAws) -> None:
    change(emulated, ("CREATE", plain("A", "192.0.2.1", "192.0.2.2")))
    emulated.aws.names.update({"a.example": "b.example", "b.example": NAME, "c.example": "192.0.2.9"})
    assert emulated.aws.resolve("a.example") == ["192.0.2.1", "192.0.2.2"]
    assert emulated.aws.resolve("c.example") == ["192.0.2.9"]
