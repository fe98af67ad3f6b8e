"""The AWS provider's metric alarms and dashboards. Their ids are their names.

Source: internal/service/cloudwatch/metric_alarm.go and dashboard.go of hashicorp/terraform-provider-aws 6. Creating
either puts it, whether or not there is one of that name; tags of an alarm that is there change by calls of their own.
"""

import json
from collections.abc import Mapping
from typing import Any

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import ALARM, DASHBOARD, alarm_of, dashboard_of
from rehearsal.aws.server import Aws
from rehearsal.providers.calls import lost_tags, own_tags, tag_list, unless_gone
from rehearsal.providers.lifecycle import Lifecycle


class CloudWatchTypes:
    """The lifecycles of what CloudWatch keeps."""

    def __init__(self, aws: Aws) -> None:
        """Make it in that AWS."""
        self._cloudwatch = aws.client("cloudwatch")
        self.lifecycles: Mapping[str, Lifecycle] = {
            ALARM: Lifecycle(self._create_alarm, self._update_alarm, self._delete_alarm, self._read_alarm),
            DASHBOARD: Lifecycle(
                self._create_dashboard, self._update_dashboard, self._delete_dashboard, self._read_dashboard
            ),
        }

    def _create_alarm(self, inputs: Properties) -> tuple[str, Properties]:
        self._put_alarm(inputs, Tags=tag_list(inputs))
        return inputs["name"], self._alarm_outputs(self._describe(inputs["name"]), inputs)

    def _update_alarm(self, name: str, old: Properties, new: Properties) -> Properties:
        self._put_alarm(new, Tags=tag_list(new))
        described = self._describe(name)
        arn = described["AlarmArn"]
        if gone := lost_tags(old, new):
            self._cloudwatch.untag_resource(ResourceARN=arn, TagKeys=gone)
        if old.get("tags") != new.get("tags"):
            self._cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_list(new))
        return self._alarm_outputs(described, new)

    def _put_alarm(self, inputs: Properties, **more: Any) -> None:
        arguments = {
            "AlarmName": inputs["name"],
            "AlarmDescription": inputs.get("alarmDescription"),
            "ComparisonOperator": inputs["comparisonOperator"],
            "Threshold": float(inputs["threshold"]),
            "EvaluationPeriods": int(inputs["evaluationPeriods"]),
            "DatapointsToAlarm": _whole(inputs.get("datapointsToAlarm")),
            "TreatMissingData": inputs.get("treatMissingData", "missing"),
            "ActionsEnabled": True,
            "AlarmActions": inputs.get("alarmActions"),
            "OKActions": inputs.get("okActions"),
            "Namespace": inputs.get("namespace"),
            "MetricName": inputs.get("metricName"),
            "Statistic": inputs.get("statistic"),
            "Period": _whole(inputs.get("period")),
            "Dimensions": _dimensions(inputs),
            "Metrics": [_query(query) for query in inputs.get("metricQueries") or ()],
        }
        given = {key: value for key, value in arguments.items() if value not in (None, [])}
        self._cloudwatch.put_metric_alarm(**given, **more)

    def _describe(self, name: str) -> Any:
        """What CloudWatch says of an alarm; None where it is not there."""
        found = self._cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        return found[0] if found else None

    def _alarm_outputs(self, described: Any, inputs: Properties) -> Properties:
        return {"arn": described["AlarmArn"], "tagsAll": inputs.get("tags", {})}

    def _delete_alarm(self, name: str, _: Properties) -> None:
        """What is gone is deleted."""
        unless_gone(lambda: self._cloudwatch.delete_alarms(AlarmNames=[name]))

    def _read_alarm(self, name: str, _: Properties) -> tuple[Properties, Properties] | None:
        described = self._describe(name)
        if described is None:
            return None
        tags = own_tags(self._cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"]))
        inputs = alarm_of(described, tags).inputs
        return inputs, self._alarm_outputs(described, inputs)

    def _create_dashboard(self, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["dashboardName"]
        return name, self._put_dashboard(inputs)

    def _update_dashboard(self, _: str, __: Properties, new: Properties) -> Properties:
        return self._put_dashboard(new)

    def _put_dashboard(self, inputs: Properties) -> Properties:
        name = inputs["dashboardName"]
        self._cloudwatch.put_dashboard(DashboardName=name, DashboardBody=inputs["dashboardBody"])
        return {"dashboardArn": self._cloudwatch.get_dashboard(DashboardName=name)["DashboardArn"]}

    def _delete_dashboard(self, name: str, _: Properties) -> None:
        """One that is gone is a failure: unlike an alarm's, its deletion expects that it is there."""
        self._cloudwatch.delete_dashboards(DashboardNames=[name])

    def _read_dashboard(self, name: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """A body that means the same JSON is no difference."""
        described = unless_gone(lambda: self._cloudwatch.get_dashboard(DashboardName=name))
        if described is None:
            return None
        found = dashboard_of(described)
        body, given = found.inputs["dashboardBody"], inputs.get("dashboardBody", "null")
        same = json.loads(body) == json.loads(given)
        return {"dashboardName": name, "dashboardBody": given if same else body}, dict(found.outputs)


def _query(query: Properties) -> Properties:
    """A part of metric math as CloudWatch takes it."""
    asked: Properties = {"Id": query["id"], "ReturnData": query.get("returnData", False)}
    asked |= {key: query[name] for key, name in (("Label", "label"), ("Expression", "expression")) if query.get(name)}
    if metric := query.get("metric"):
        named = {"Namespace": metric["namespace"], "MetricName": metric["metricName"]}
        asked["MetricStat"] = {
            "Metric": {**named, "Dimensions": _dimensions(metric)},
            "Period": _whole(metric["period"]),
            "Stat": metric["stat"],
        }
    return asked


def _dimensions(inputs: Properties) -> list[Properties]:
    given: Properties = inputs.get("dimensions") or {}
    return [{"Name": key, "Value": value} for key, value in sorted(given.items())]


def _whole(value: Any) -> int | None:
    """A number as CloudWatch takes it: those of a state are floats."""
    return None if value is None else int(value)
