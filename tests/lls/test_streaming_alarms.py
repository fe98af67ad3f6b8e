import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from lls.alarm_rules import RULES, AlarmRule
from lls.dashboard import dashboard_body, marks_of
from lls.operations.program.stack_file import PROJECT
from rehearsal.engine.engine import Resource
from tests.support.recorded import RecordedStack, as_config, up

TOPIC = "arn:aws:sns:us-west-2:123456789012:pager"
ALARM, DASHBOARD = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/dashboard:Dashboard"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RecordedStack:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("alarms"))
        config = as_config(
            alarmTopicArn=TOPIC, alarmThresholds={"healthyHosts": 3}, dashboard=True, instance="b", tags={"team": "x"}
        )
        return up(config)


def of_type(made: RecordedStack, type_: str) -> dict[str, Resource]:
    return {resource.name: resource for resource in made.resources if resource.type == type_}


def alarm(made: RecordedStack, rule: AlarmRule) -> Mapping[str, Any]:
    return of_type(made, ALARM)[f"alarms-{rule.name}"].inputs


def test_the_alarms_watch_the_stacks_own_metrics_and_tell_its_topic(made: RecordedStack) -> None:
    here = {"AvailabilityZone": "us-west-2a", "LoadBalancer": "net/rp-public-demo/1"}
    there = {**here, "TargetGroup": "targetgroup/demo-rp-tg/1"}
    assert of_type(made, ALARM).keys() == {f"alarms-{rule.name}" for rule in RULES}
    for rule in RULES:
        inputs = alarm(made, rule)
        assert inputs["alarmActions"] == inputs["okActions"] == [TOPIC]
        assert inputs["treatMissingData"] == rule.missing
        assert (inputs["evaluationPeriods"], inputs["datapointsToAlarm"]) == (rule.minutes, rule.minutes)
        if rule.percent_of is None:
            assert inputs["dimensions"] == (there if rule.metric.scope == "targets" else here)
            assert (inputs["namespace"], inputs["period"]) == ("AWS/NetworkELB", 60)


def test_a_share_of_hosts_is_metric_math_of_both_counts(made: RecordedStack) -> None:
    [rule] = [rule for rule in RULES if rule.percent_of]
    expression, *metrics = alarm(made, rule)["metricQueries"]
    assert expression["expression"] == "100 * healthy / (healthy + unhealthy)"
    assert [query["returnData"] for query in (expression, *metrics)] == [True, False, False]
    assert [query["metric"]["metricName"] for query in metrics] == ["HealthyHostCount", "UnHealthyHostCount"]
    assert {query["metric"]["dimensions"]["TargetGroup"] for query in metrics} == {"targetgroup/demo-rp-tg/1"}
    assert "dimensions" not in alarm(made, rule)


def test_a_threshold_of_the_config_is_that_of_its_alarm_alone(made: RecordedStack) -> None:
    wanted = {rule.name: 3 if rule.key == "healthyHosts" else rule.threshold for rule in RULES}
    assert {rule.name: alarm(made, rule)["threshold"] for rule in RULES} == wanted


def test_names_and_tags_are_the_installations(made: RecordedStack) -> None:
    names = [alarm(made, rule)["name"] for rule in RULES]
    assert sorted(names) == made.engine.outputs["alarmNames"]
    assert "demo-b-lls-no-healthy-host" in names
    tags = alarm(made, RULES[0])["tags"]
    assert tags == {
        "Name": names[0],
        "lls:cluster": "demo",
        "lls:instance": "b",
        "lls:managed-by": "customer",
        "Project": "nvcf",
        "team": "x",
    }


def test_alarms_need_the_load_balancer_and_nothing_needs_them(made: RecordedStack) -> None:
    names = {resource.urn: resource.name for resource in made.resources}
    alarms = of_type(made, ALARM).values()
    for each in alarms:
        assert {names[urn] for urn in each.dependencies} == {"streaming-nlb", "streaming-tg"}
    needed = {urn for each in made.resources if each.type != DASHBOARD for urn in each.dependencies}
    assert not needed & {alarm.urn for alarm in alarms}


def test_the_dashboard_shows_the_alarms_and_the_zone_and_bears_the_marks(made: RecordedStack) -> None:
    [dashboard] = of_type(made, DASHBOARD).values()
    assert dashboard.inputs["dashboardName"] == "demo-b-lls-us-west-2"
    body = dashboard.inputs["dashboardBody"]
    assert marks_of(body) == {"lls:cluster": "demo", "lls:managed-by": "customer", "lls:instance": "b"}
    widgets = json.loads(body)["widgets"]
    kinds = [widget["type"] for widget in widgets]
    assert kinds == ["text", "alarm", *["metric"] * 4]
    assert len(widgets[1]["properties"]["alarms"]) == len(RULES)
    lines = [line for widget in widgets[2:] for line in widget["properties"]["metrics"]]
    assert all(line[2:4] == ["AvailabilityZone", "us-west-2a"] for line in lines)
    places = {(widget["x"], widget["y"]) for widget in widgets}
    assert len(places) == len(widgets)


def test_without_a_topic_there_is_no_alarm_and_a_dashboard_all_the_same(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    plain = up({"lls:dashboard": "true"})
    assert of_type(plain, ALARM) == {}
    assert len(of_type(plain, DASHBOARD)) == 1
    assert plain.engine.outputs["alarmNames"] == []


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"widgets": [{}]}', '{"widgets": []}'])
def test_what_is_no_dashboard_of_ours_has_no_marks(body: str) -> None:
    assert marks_of(body) == {}


def test_only_the_first_text_of_a_dashboard_tells_whose_it_is() -> None:
    body = json.loads(
        dashboard_body(
            region="us-west-2", zone="us-west-2a", load_balancer="l", target_group="t", marks={"lls:cluster": "demo"}
        )
    )
    foreign = {"type": "text", "properties": {"markdown": "of the shop"}}
    assert marks_of(json.dumps(body)) == {"lls:cluster": "demo"}
    assert marks_of(json.dumps({"widgets": [foreign, *body["widgets"]]})) == {}


def test_the_documented_alarms_are_those_of_the_table() -> None:
    page = (PROJECT / "docs" / "alarms.md").read_text()
    rows = [
        f"| `{rule.name}` | {_subject(rule)} is {rule.raised_when} it | {rule.minutes} min | "
        f"{'raised' if rule.missing == 'breaching' else 'not raised'} | `{rule.key}`, {rule.threshold} |"
        for rule in RULES
    ]
    assert re.findall(r"^\| `.*", page, re.MULTILINE) == rows
    described = (PROJECT / "Pulumi.yaml").read_text().partition("alarmThresholds:")[2].partition("default:")[0]
    assert re.findall(r"`(\w+)`", described) == [rule.key for rule in RULES]


def _subject(rule: AlarmRule) -> str:
    return f"the percentage of `{rule.metric.name}` in both counts" if rule.percent_of else f"`{rule.metric.name}`"


def test_every_alarm_fits_the_limits_of_cloudwatch() -> None:
    for rule in RULES:
        assert 1 <= rule.threshold <= rule.highest
        assert len(rule.text) <= 1024
        assert rule.minutes * 60 <= 86400
    assert len({rule.key for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
