"""Alarms of the emulated CloudWatch, by the metrics of its load balancers."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.metric_math import evaluate
from tests.support.recorded import as_config
from tests.support.worlds import MutableRehearsal, a_rehearsal

MISSING = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA", "ignore": "INSUFFICIENT_DATA"}


@pytest.fixture(scope="module")
def deployed() -> Generator[MutableRehearsal]:
    with a_rehearsal(as_config(alarmTopicArn="arn:aws:sns:us-west-2:123456789012:pager")) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        yield rehearsal


def arguments(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "AWS/NetworkELB",
        "MetricName": "HealthyHostCount",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "Dimensions": [{"Name": "LoadBalancer", "Value": "net/none/1"}],
        **changes,
    }


@pytest.mark.parametrize(("missing", "state"), MISSING.items())
def test_what_no_metric_tells_counts_as_the_alarm_says(deployed: MutableRehearsal, missing: str, state: str) -> None:
    cloudwatch = deployed.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(**arguments("silent", TreatMissingData=missing))
    deployed.aws.pass_minute()
    assert deployed.aws.alarm_states()["silent"] == state
    cloudwatch.delete_alarms(AlarmNames=["silent"])


def test_a_changed_alarm_keeps_its_state_and_its_tags_and_a_new_one_has_no_data(deployed: MutableRehearsal) -> None:
    cloudwatch = deployed.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(**arguments("kept", Tags=[{"Key": "a", "Value": "b"}]))
    assert deployed.aws.alarm_states()["kept"] == "INSUFFICIENT_DATA"
    cloudwatch.set_alarm_state(AlarmName="kept", StateValue="ALARM", StateReason="test")
    cloudwatch.put_metric_alarm(**arguments("kept", Threshold=5.0, Tags=[{"Key": "c", "Value": "d"}]))
    [described] = cloudwatch.describe_alarms(AlarmNames=["kept"])["MetricAlarms"]
    assert (described["Threshold"], described["StateValue"]) == (5.0, "ALARM")
    assert cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    cloudwatch.delete_alarms(AlarmNames=["kept"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"])


def test_where_one_alarm_is_not_there_none_is_deleted(deployed: MutableRehearsal) -> None:
    cloudwatch = deployed.aws.client("cloudwatch")
    before = deployed.aws.alarm_states()
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloudwatch.delete_alarms(AlarmNames=[*before, "none"])
    assert deployed.aws.alarm_states() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"AlarmDescription": "x" * 1025},
        {"Statistic": "Median"},
        {"ComparisonOperator": "IsOdd"},
        {"TreatMissingData": "perhaps"},
        {"Period": 45},
        {"AlarmActions": [f"arn:aws:sns:us-west-2:123456789012:{number}" for number in range(6)]},
        {"OKActions": ["pager"]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_alarm_that_no_alarm_can_be_is_refused(deployed: MutableRehearsal, changes: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        deployed.aws.client("cloudwatch").put_metric_alarm(**arguments("odd", **changes))
    assert "odd" not in deployed.aws.alarm_states()


def test_an_alarm_has_50_tags_none_of_which_is_awss(deployed: MutableRehearsal) -> None:
    for tags in ({f"k{number}": "" for number in range(51)}, {"aws:x": ""}):
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            deployed.aws.client("cloudwatch").put_metric_alarm(**arguments("odd", Tags=listed))


def test_metric_math_is_about_metrics_that_are_there_and_returns_one_series(deployed: MutableRehearsal) -> None:
    stat = {"Metric": {"Namespace": "AWS/NetworkELB", "MetricName": "x"}, "Period": 60, "Stat": "Sum"}
    plain = {
        key: value
        for key, value in arguments("odd").items()
        if key in ("AlarmName", "EvaluationPeriods", "Threshold", "ComparisonOperator")
    }
    for metrics in (
        [{"Id": "e", "Expression": "m + n", "ReturnData": True}, {"Id": "m", "MetricStat": stat, "ReturnData": False}],
        [{"Id": "e", "Expression": "m +", "ReturnData": True}, {"Id": "m", "MetricStat": stat, "ReturnData": False}],
        [{"Id": "e", "Expression": "m", "ReturnData": True}, {"Id": "m", "MetricStat": stat, "ReturnData": True}],
    ):
        with pytest.raises(ClientError, match="ValidationError"):
            deployed.aws.client("cloudwatch").put_metric_alarm(**plain, Metrics=metrics)


def test_the_metrics_are_served_as_the_alarms_see_them(deployed: MutableRehearsal) -> None:
    deployed.aws.pass_minute()
    arn: str = deployed.engine.outputs["targetGroupArn"]
    balancer: str = deployed.engine.outputs["nlbArn"]
    told = deployed.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/NetworkELB",
        MetricName="HealthyHostCount",
        Dimensions=[
            {"Name": "TargetGroup", "Value": arn.rpartition(":")[2]},
            {"Name": "LoadBalancer", "Value": balancer.partition(":loadbalancer/")[2]},
            {"Name": "AvailabilityZone", "Value": "us-west-2a"},
        ],
        StartTime=datetime.now(UTC) - timedelta(days=1),
        EndTime=datetime.now(UTC) + timedelta(days=1),
        Period=60,
        Statistics=["Maximum"],
    )
    assert {point["Maximum"] for point in told["Datapoints"]} == {2.0}


@pytest.mark.parametrize(
    ("expression", "value"),
    [("100 * a / (a + b)", 75.0), ("a - b", 2.0), ("a / 0", None), ("a + c", None), ("2", 2.0)],
)
def test_metric_math_is_arithmetic_in_which_what_is_missing_stays_so(expression: str, value: float | None) -> None:
    assert evaluate(expression, {"a": 3.0, "b": 1.0, "c": None}) == value


@pytest.mark.parametrize("expression", ["a ** 2", "d", "f(a)", "'a'", "a +", "a < b"])
def test_what_is_no_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"math|syntax"):
        evaluate(expression, {"a": 1.0, "b": 1.0})
