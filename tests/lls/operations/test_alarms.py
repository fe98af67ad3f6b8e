"""What the operations make of alarms and dashboards: whose they are, who may look, and what is left."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from lls.operations.report.finding import Level
from lls.operations.world.inventory import DASHBOARD, Inventory
from lls.operations.world.states import State, StateResource
from tests.support.operations import about, adoption, cleaned, planned, preflight_of, problems
from tests.support.recorded import as_config
from tests.support.worlds import KnownStates, MutableRehearsal, a_rehearsal

TOPIC = "arn:aws:sns:us-west-2:123456789012:pager"
ALARMS = as_config(alarmTopicArn=TOPIC, dashboard=True)
NAME = "demo-lls-us-west-2"


@pytest.fixture(scope="module")
def deployed() -> Generator[MutableRehearsal]:
    """A stack with alarms, which the tests leave as it is."""
    with a_rehearsal(ALARMS) as rehearsal:
        rehearsal.engine.up()
        yield rehearsal


def test_adopt_finds_alarms_and_dashboard_without_a_difference(deployed: MutableRehearsal) -> None:
    matches = {match.resource.name: match.differences for match in adoption(deployed).matches}
    assert matches["alarms-dashboard"] == ()
    assert [matches[name] for name in matches if name.startswith("alarms-")] == [()] * 6


def test_alarms_of_a_state_are_known_by_their_arns_not_by_their_names(deployed: MutableRehearsal) -> None:
    own = deployed.state()
    elsewhere = State(
        resources=tuple(
            StateResource(
                urn=resource.urn,
                type=resource.type,
                id=resource.id,
                outputs={"arn": str(resource.outputs.get("arn")).replace("us-west-2", "eu-west-1")},
            )
            for resource in own.resources
            if resource.type.endswith("MetricAlarm")
        )
    )
    found = {str(thing) for thing in planned(deployed, KnownStates({"test": own})).in_aws}
    assert not [thing for thing in found if thing.startswith("alarm")]
    found = {str(thing) for thing in planned(deployed, KnownStates({"test": State(), "eu": elsewhere})).in_aws}
    assert "alarm demo-lls-no-healthy-host" in found


def test_a_dashboard_is_known_by_its_name_and_its_marks_together(deployed: MutableRehearsal) -> None:
    cloudwatch = deployed.aws.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"]
    cloudwatch.put_dashboard(DashboardName="my-copy", DashboardBody=body)
    assert [str(thing) for thing in planned(deployed).in_aws if thing.type == DASHBOARD] == [f"dashboard {NAME}"]
    cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody=json.dumps({"widgets": []}))
    assert not [thing for thing in planned(deployed).in_aws if thing.type == DASHBOARD]
    [told] = [seen for seen in problems(cleaned(deployed)) if "dashboard" in seen]
    assert told.startswith(f"dashboard {NAME}: it lacks the tags lls:cluster=demo")
    cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody=body)
    cloudwatch.delete_dashboards(DashboardNames=["my-copy"])


def test_an_alarm_of_our_name_without_our_tags_stays_and_is_told_with_a_remedy(deployed: MutableRehearsal) -> None:
    cloudwatch: Any = deployed.aws.client("cloudwatch")
    [alarm] = Inventory(deployed.installation().account).alarms("demo-lls-no-")
    cloudwatch.untag_resource(ResourceARN=alarm.known_as, TagKeys=["lls:cluster", "lls:managed-by"])
    kept = [kept for kept in planned(deployed).kept if "no-healthy-host" in kept.thing]
    assert [each.thing for each in kept] == ["alarm demo-lls-no-healthy-host"]
    assert f"aws cloudwatch tag-resource --region us-west-2 --resource-arn {alarm.known_as}" in kept[0].remedy
    tags = [{"Key": key, "Value": value} for key, value in alarm.tags.items()]
    cloudwatch.tag_resource(ResourceARN=alarm.known_as, Tags=tags)


def test_a_topic_that_alarms_reach_and_names_that_are_free_are_fine(deployed: MutableRehearsal) -> None:
    found = preflight_of(deployed)
    assert [level for level, _ in about("alarms", found)] == [Level.OK]
    assert problems(found) == []
