"""A name of one's own for the endpoint, in every operation: who makes its record, whose it is, and where it leads."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lls.operations.preflight import Preflight
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.verify import Verification
from lls.operations.world.inventory import BALANCER, RECORD, Thing, alias_change, record_of
from lls.operations.world.states import State
from rehearsal.aws.strict_route53 import StrictRoute53
from rehearsal.rehearse import Rehearsal
from rehearsal.world import HostedZone
from tests.support.operations import adoption, cleaned, planned, preflight_of, problems, problems_by_check, swept
from tests.support.recorded import as_config
from tests.support.worlds import KnownStates, MutableRehearsal, a_rehearsal, knowing

NAME, ZONE = "stream.example.com", "Z0EXAMPLE"
NAMED = as_config(dnsName=NAME, hostedZoneId=ZONE)
OWN_RECORD = as_config(dnsName=NAME, hostedZoneId="none")


@pytest.fixture
def deployed() -> Iterator[MutableRehearsal]:
    """A stack with a record."""
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        yield rehearsal


def records(rehearsal: Rehearsal) -> list[Thing]:
    """The records of the name."""
    listed: Any = rehearsal.aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE)["ResourceRecordSets"]
    found = [record_of(ZONE, record) for record in listed]
    return [record for record in found if record.name == NAME]


def change(rehearsal: Rehearsal, action: str, type_: str = "A", *values: str) -> None:
    record = {"Name": NAME, "Type": type_, "TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}
    rehearsal.aws.client("route53").change_resource_record_sets(
        HostedZoneId=ZONE, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    )


def balancer(rehearsal: Rehearsal) -> str:
    return rehearsal.aws.client("elbv2").describe_load_balancers()["LoadBalancers"][0].get("DNSName", "")


def about_dns(findings: list[Finding]) -> Finding:
    [found] = [finding for finding in findings if finding.check == "dns"]
    return found


def verified(rehearsal: Rehearsal) -> Finding:
    found = Verification(rehearsal.installation(), rehearsal.engine.outputs, rehearsal.aws.resolve).run(Unwatched())
    return about_dns(found)


def prechecked(rehearsal: Rehearsal, **changes: str) -> Finding:
    backend = KnownStates({rehearsal.engine.stack: rehearsal.state()})
    return about_dns(Preflight(knowing(rehearsal, backend, **changes), rehearsal.aws.resolve).run(Unwatched()))


# --- Up


def test_the_stacks_record_is_an_alias_of_its_load_balancer_and_all_say_its_name_and_find_it_well(
    deployed: MutableRehearsal,
) -> None:
    [record] = records(deployed)
    assert record.inputs["type"] == "A"
    assert record.leads_to == balancer(deployed).lower()
    assert record.inputs["aliases"][0]["evaluateTargetHealth"] is False
    outputs = deployed.engine.outputs
    assert (outputs["dnsName"], outputs["streamingEndpoint"]) == (NAME, f"{NAME}:5004")
    assert outputs["nlbDnsName"] == balancer(deployed)
    [release] = deployed.cluster.releases.values()
    assert release.values["env"]["lbDns"] == NAME
    found = verified(deployed)
    assert (found.level, found.seen) == (Level.OK, f"{NAME} is 203.0.113.1, as {balancer(deployed)} is")
    found = prechecked(deployed)
    assert found.level is Level.OK
    assert f"free or this stack's, in zone {ZONE} of example.com (" in found.seen


def test_a_new_load_balancer_leaves_the_release_alone_and_the_name_follows_it() -> None:
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        before, addresses = balancer(rehearsal), rehearsal.aws.resolve(NAME)
        rehearsal.reconfigure(as_config(staticIp=True))
        steps = {step.resource.name: step.operation for step in rehearsal.engine.up() if step.operation != "same"}
        assert steps["streaming-nlb"] in ("replace", "delete")
        assert steps["streaming-record"] == "update"
        assert "proxy-release" not in steps
        assert balancer(rehearsal) != before
        assert rehearsal.aws.resolve(NAME) == rehearsal.aws.resolve(balancer(rehearsal)) != addresses
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_a_name_that_is_given_and_taken_away_makes_and_deletes_its_record_beside_a_serving_stack() -> None:
    with a_rehearsal(hosted_zones=(HostedZone(name="example.com", id=ZONE),)) as rehearsal:
        rehearsal.engine.up()
        for keys, operation in ((as_config(dnsName=NAME), "create"), (as_config(dnsName=""), "delete")):
            rehearsal.reconfigure(keys)
            steps = {step.resource.name: step.operation for step in rehearsal.engine.up() if step.operation != "same"}
            assert steps == {"proxy-release": "update", "streaming-record": operation}


# --- preflight and verify


def test_a_zone_that_nobody_delegates_to_is_told_with_its_name_servers() -> None:
    with a_rehearsal(NAMED, hosted_zones=(HostedZone(name="example.com", id=ZONE, delegated=False),)) as rehearsal:
        rehearsal.engine.up()
        found = verified(rehearsal)
    assert (found.level, found.seen) == (Level.PROBLEM, f"{NAME} has no address: [Errno -2] Name or service not known")
    assert "as the name servers of example.com" in found.remedy


def test_a_record_that_somebody_points_elsewhere_is_told_and_the_remedy_puts_it_right() -> None:
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        change(rehearsal, "UPSERT", "A", "192.0.2.9")
        found = verified(rehearsal)
        assert found.seen == f"{NAME} is 192.0.2.9, and {balancer(rehearsal)} is 203.0.113.1"
        assert found.remedy.startswith("pulumi up --refresh --stack test; ")
        rehearsal.engine.refresh()
        rehearsal.engine.up()
        assert verified(rehearsal).level is Level.OK


def test_who_makes_the_record_is_told_where_it_is_to_lead_and_whether_it_does() -> None:
    with a_rehearsal(OWN_RECORD) as rehearsal:
        found = prechecked(rehearsal)
        assert (found.level, found.remedy[:60]) == (
            Level.NOTE,
            f"then make the record {NAME} CNAME nlbDnsName, or an alias"[:60],
        )
        rehearsal.engine.up()
        assert not any(resource.type == RECORD for resource in rehearsal.state().resources)
        for told in (verified(rehearsal), prechecked(rehearsal)):
            assert told.level is Level.PROBLEM
            assert f"make the record {NAME} CNAME {balancer(rehearsal)}" in told.remedy
        rehearsal.aws.names[NAME] = balancer(rehearsal)
        assert (verified(rehearsal).level, prechecked(rehearsal).level) == (Level.OK, Level.OK)
        assert not {call for call in rehearsal.aws.calls if call.startswith("route53:")}


@pytest.mark.parametrize(("type_", "value"), [("A", "192.0.2.9"), ("CNAME", "other.example"), ("AAAA", "2001:db8::1")])
def test_a_record_of_the_name_that_is_somebody_elses_is_told_before_route_53_refuses_and_never_touched(
    type_: str, value: str
) -> None:
    with a_rehearsal(NAMED) as rehearsal:
        change(rehearsal, "CREATE", type_, value)
        before = records(rehearsal)
        found = prechecked(rehearsal)
        assert (found.level, found.seen) == (
            Level.PROBLEM,
            f"{type_} {NAME} exists in zone {ZONE} and leads to {value}",
        )
        assert "lls:hostedZoneId to none to keep it" in found.remedy
        assert (planned(rehearsal).delete, cleaned_of_records(rehearsal)) == ([], [])
        swept(rehearsal)
        refused = adoption(rehearsal).refused
        assert [refusal.why for refusal in refused] == (
            [f"it leads to {value}, not to this load balancer"] if type_ == "A" else []
        )
        assert records(rehearsal) == before


def test_a_permission_that_is_missing_is_a_problem_with_its_remedy_and_no_absence() -> None:
    with a_rehearsal(as_config(dnsName=NAME)) as rehearsal:
        rehearsal.aws.denied.add("route53:ListHostedZones")
        found = problems_by_check(preflight_of(rehearsal))
    assert "not authorized to perform: route53:ListHostedZones" in found["dns"]
    assert "lls:hostedZoneId" in found["dns"]


# --- Whose it is


def cleaned_of_records(rehearsal: Rehearsal) -> list[str]:
    return [seen for seen in problems(cleaned(rehearsal)) if "DNS record" in seen]


def test_a_record_is_adopted_and_refused_and_kept_with_its_load_balancer(deployed: MutableRehearsal) -> None:
    found = adoption(deployed)
    matched: Mapping[str, str] = {match.resource.name: match.thing.id for match in found.matches}
    assert matched["streaming-record"] == f"{ZONE}_{NAME}_A"
    assert not found.interrupting
    assert "streaming-record" not in {resource.name for resource in found.missing}
    [nlb] = [resource for resource in deployed.state().resources if resource.type == BALANCER]
    other = KnownStates({"test": State(), "organization/other/prod": State(resources=(nlb,))})
    kept = {kept.thing: kept.why for kept in planned(deployed, other).kept}
    assert kept[f"DNS record {NAME} ({ZONE}_{NAME}_A)"] == "it is stack other/prod's"
    refused = {refusal.match.resource.name for refusal in adoption(deployed, backend=other).refused}
    assert "streaming-record" in refused


def test_a_sweep_deletes_a_lost_stacks_record_before_its_load_balancer() -> None:
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        rehearsal.engine.state.clear()
        assert any("DNS record" in seen for seen in problems(cleaned(rehearsal)))
        order = [thing.type for thing in swept(rehearsal).in_aws]
        assert order.index(RECORD) < order.index(BALANCER)
        assert records(rehearsal) == []
        assert cleaned_of_records(rehearsal) == []


def lax(*_: object) -> list[str]:
    """Refuse nothing."""
    return []


def test_an_alias_of_a_load_balancer_that_is_gone_is_told_with_the_command_and_not_deleted() -> None:
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        [record] = records(rehearsal)
        rehearsal.engine.destroy()
        route53 = rehearsal.aws.client("route53")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StrictRoute53, "_unfit_alias", lax)
            route53.change_resource_record_sets(**alias_change("CREATE", record.inputs))
        [seen] = cleaned_of_records(rehearsal)
        assert seen.endswith(f"it leads to {record.leads_to}, a load balancer that is not there")
        sweep = swept(rehearsal)
        assert [kept.remedy.split(" --change-batch")[0] for kept in sweep.unresolved] == [
            f"if it is this installation's: aws route53 change-resource-record-sets --hosted-zone-id {ZONE}"
        ]
        assert records(rehearsal) == [record]
