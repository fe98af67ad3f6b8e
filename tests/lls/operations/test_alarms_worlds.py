"""What the operations make of alarms and dashboards in worlds that change meanwhile."""

from lls.operations.report.finding import Level
from lls.operations.world.inventory import DASHBOARD
from lls.operations.world.states import State, StateResource
from tests.support.operations import about, adoption, cleaned, planned, preflight_of, swept
from tests.support.recorded import as_config
from tests.support.worlds import KnownStates, a_rehearsal

TOPIC = "arn:aws:sns:us-west-2:123456789012:pager"
ALARMS = as_config(alarmTopicArn=TOPIC, dashboard=True)
NAME = "demo-lls-us-west-2"


def test_sweep_takes_alarms_and_dashboard_first_and_leaves_copies() -> None:
    with a_rehearsal(ALARMS) as rehearsal:
        rehearsal.engine.up()
        cloudwatch = rehearsal.aws.client("cloudwatch")
        body = cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"]
        cloudwatch.put_dashboard(DashboardName="my-copy", DashboardBody=body)
        done = [thing.partition(" ")[0] for thing in swept(rehearsal).done]
        assert done[2:8] == [*["alarm"] * 5, "dashboard"]
        assert rehearsal.aws.leftovers() == ("dashboard my-copy",)


def test_whoever_may_not_look_into_cloudwatch_is_told_and_stopped_only_where_it_matters() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.denied.add("cloudwatch:*")
        for found in (cleaned(rehearsal), planned(rehearsal).unseen, adoption(rehearsal).unseen):
            [(level, seen)] = about("alarms", found)
            assert level is Level.NOTE
            assert "AWS denied cloudwatch:GetDashboard" in seen
        [(level, _)] = about("alarms", cleaned(rehearsal, alarmTopicArn=TOPIC))
        assert level is Level.UNKNOWN
        [(level, _)] = about("alarms", cleaned(rehearsal, dashboard="true"))
        assert level is Level.UNKNOWN
        held = StateResource(urn="x", type=DASHBOARD, id=NAME)
        [(level, _)] = about("alarms", cleaned(rehearsal, KnownStates({"test": State(resources=(held,))})))
        assert level is Level.UNKNOWN
        [(level, _)] = about("alarms", cleaned(rehearsal, KnownStates(unreadable={"test"}, states={})))
        assert level is Level.UNKNOWN


def test_an_alarm_that_has_one_of_the_names_and_is_not_ours_is_a_problem() -> None:
    with a_rehearsal(ALARMS) as rehearsal:
        rehearsal.aws.client("cloudwatch").put_metric_alarm(
            AlarmName="demo-lls-no-healthy-host",
            Namespace="x",
            MetricName="x",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="LessThanThreshold",
        )
        rehearsal.aws.client("cloudwatch").put_dashboard(DashboardName=NAME, DashboardBody='{"widgets": []}')
        told = [finding.seen for finding in preflight_of(rehearsal) if finding.check == "names"]
        assert [seen.partition(" has ")[0] for seen in told] == [
            "alarm demo-lls-no-healthy-host",
            f"dashboard {NAME}",
        ]
