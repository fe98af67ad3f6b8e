import json
from collections.abc import Mapping

import pytest

from rehearsal.__main__ import main
from rehearsal.display import Silence, as_json
from rehearsal.rehearse import Report
from tests.support.recorded import as_config
from tests.support.worlds import a_rehearsal

ALARMS = as_config(alarmTopicArn="arn:aws:sns:us-west-2:123456789012:pager", dashboard=True)


def outage(config: Mapping[str, str]) -> Report:
    with a_rehearsal(config) as rehearsal:
        return rehearsal.perform(Silence(), outage=True)


def broken(report: Report) -> dict[str, str]:
    return {check.name: check.seen for check in report.checks if not check.held}


def test_a_broken_proxy_raises_alarms_that_end_when_it_is_back() -> None:
    report = outage(ALARMS)
    assert broken(report) == {}
    raised = {course.alarm.removeprefix("demo-lls-"): course.raised_after for course in report.outage}
    assert raised == {
        "no-healthy-host": 3,
        "unhealthy-hosts": 5,
        "fail-open-flows": 1,
        "port-allocation-errors": None,
        "fewer-healthy-than-registered": 15,
    }
    assert [course["alarm"] for course in json.loads(as_json(report))["outage"]] == sorted(
        f"demo-lls-{name}" for name in raised
    )


def test_an_outage_that_no_alarm_tells_of_does_not_hold() -> None:
    assert broken(outage({})) == {"the broken proxy raised an alarm": "none"}


def test_an_alarm_that_is_raised_while_all_is_well_does_not_hold() -> None:
    report = outage(ALARMS | as_config(alarmThresholds={"healthyHosts": 3}))
    assert broken(report) == {
        "no alarm was raised before": "demo-lls-no-healthy-host",
    }


def test_an_outage_without_alarms_is_refused_with_the_key_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "dev", "--break", "proxy"]) == 2
    assert "set lls:alarmTopicArn" in capsys.readouterr().err
