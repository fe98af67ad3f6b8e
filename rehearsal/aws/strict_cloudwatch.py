"""What CloudWatch refuses, or keeps, and moto does not.

Limits and what an update leaves alone are from the API reference of PutMetricAlarm, DeleteAlarms, PutDashboard and
ListTagsForResource; the wording of refusals is from reports of users of hashicorp/terraform-provider-aws.
"""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from moto.cloudwatch.exceptions import (
    DashboardInvalidInputError,
    InvalidParameterCombination,
    InvalidParameterValue,
    ResourceNotFound,
    ResourceNotFoundException,
    ValidationError,
)
from moto.cloudwatch.models import Alarm, CloudWatchBackend, Dashboard, MetricDataQuery
from moto.cloudwatch.utils import make_arn_for_alarm

from rehearsal.aws.metric_math import evaluate
from rehearsal.aws.strict import Proceed, Rule, check_tags, enforce

LONGEST_NAME: Final = 255
"""Characters of the name of an alarm, and of a dashboard."""

DASHBOARD_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
MOST_WIDGETS: Final = 500
MOST_ACTIONS: Final = 5
LONGEST_DESCRIPTION: Final = 1024
DAY: Final = 86400

CHOICES: Final[Mapping[str, Collection[str]]] = {
    "comparison_operator": (
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
    ),
    "statistic": ("SampleCount", "Average", "Sum", "Minimum", "Maximum"),
    "treat_missing_data": ("breaching", "notBreaching", "ignore", "missing"),
}
"""What an alarm's settings may be, as far as alarms without anomaly detection go."""


@dataclass(frozen=True)
class StrictCloudWatch:
    """The refusals of CloudWatch in a region."""

    region: str
    account: str

    def enforce(self, until: ExitStack) -> None:
        """Refuse until that stack is closed."""
        rules = (
            Rule(CloudWatchBackend, "put_metric_alarm", self._put_metric_alarm),
            Rule(CloudWatchBackend, "delete_alarms", self._delete_alarms),
            Rule(CloudWatchBackend, "put_dashboard", self._put_dashboard),
            Rule(CloudWatchBackend, "list_tags_for_resource", self._list_tags),
            Rule(CloudWatchBackend, "tag_resource", self._tag_resource),
        )
        enforce(rules, until)

    def _put_metric_alarm(
        self, proceed: Proceed, backend: CloudWatchBackend, *, name: str, tags: Any = None, **settings: Any
    ) -> Alarm:
        """An update keeps state and tags; a new alarm has no data yet."""
        self._check(name, settings)
        given = {tag["Key"]: tag["Value"] for tag in tags or ()}
        check_tags(given, _refused, "InvalidParameterValue")
        before = backend.alarms.get(name)
        alarm: Alarm = proceed(name=name, tags=None if before else tags, **settings)
        if before:
            alarm.history, alarm.state_value = before.history, before.state_value
            alarm.state_reason, alarm.state_reason_data = before.state_reason, before.state_reason_data
            alarm.state_updated_timestamp = before.state_updated_timestamp
        else:
            alarm.state_value = "INSUFFICIENT_DATA"
        return alarm

    def _check(self, name: str, settings: Mapping[str, Any]) -> None:
        if not 1 <= len(name) <= LONGEST_NAME:
            raise _invalid(name, "alarmName", "Member must have length less than or equal to 255")
        if len(settings.get("description") or "") > LONGEST_DESCRIPTION:
            raise _invalid("...", "alarmDescription", "Member must have length less than or equal to 1024")
        for key, choices in CHOICES.items():
            if settings.get(key) not in (None, *choices):
                raise _invalid(settings[key], key, f"Member must satisfy enum value set: [{', '.join(choices)}]")
        queries: list[MetricDataQuery] = settings.get("metric_data_queries") or []
        if bool(queries) == bool(settings.get("metric_name")):
            raise InvalidParameterCombination("An alarm is about either a MetricName or Metrics, and about one of them")
        self._check_queries(queries)
        periods, points = int(settings["evaluation_periods"]), settings.get("datapoints_to_alarm")
        lengths = [int(query.metric_stat.period) for query in queries if query.metric_stat]
        period = max([*lengths, int(settings.get("period") or 0)])
        if period not in (10, 20, 30) and (period < 60 or period % 60):
            raise ValidationError(f"Invalid period {period}. Valid periods are 10, 20, 30, and any multiple of 60.")
        if periods * period > DAY:
            raise ValidationError(
                "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
            )
        if points is not None and not 1 <= int(points) <= periods:
            raise ValidationError("DatapointsToAlarm must be between 1 and EvaluationPeriods")
        for key in ("alarm_actions", "ok_actions", "insufficient_data_actions"):
            self._check_actions(settings.get(key) or [])

    def _check_queries(self, queries: Collection[MetricDataQuery]) -> None:
        if not queries:
            return
        if len([query for query in queries if query.return_data in (True, "true", None)]) != 1:
            raise ValidationError("Exactly one element of the metrics list should return data")
        known = {query.id: 1.0 for query in queries if query.metric_stat}
        for query in queries:
            if query.expression:
                try:
                    evaluate(query.expression, known)
                except ValueError as error:
                    raise ValidationError(f"Error in expression '{query.id}': {error}") from error

    def _check_actions(self, actions: Collection[str]) -> None:
        if len(actions) > MOST_ACTIONS:
            raise ValidationError("Member must have length less than or equal to 5")
        for arn in actions:
            parts = arn.split(":", 5)
            if len(parts) != 6 or parts[0] != "arn":
                raise ValidationError(f"Invalid arn syntax: {arn}")
            if parts[3] != self.region:
                raise ValidationError(f"Invalid region {parts[3]} specified. Only {self.region} is supported.")

    def _delete_alarms(self, proceed: Proceed, backend: CloudWatchBackend, alarm_names: list[str]) -> None:
        """Where one is not there, none is deleted."""
        if gone := [name for name in alarm_names if name not in backend.alarms]:
            raise ResourceNotFound(f"Alarm not found: {', '.join(gone)}")
        for name in alarm_names:
            backend.tagger.delete_all_tags_for_resource(backend.alarms[name].alarm_arn)
        proceed(alarm_names)

    def _put_dashboard(self, proceed: Proceed, _: CloudWatchBackend, name: str, body: str) -> Dashboard:
        if not DASHBOARD_NAME.fullmatch(name):
            raise InvalidParameterValue("The value for field DashboardName contains invalid characters")
        content: Any = json.loads(body)
        widgets: Any = content.get("widgets") if isinstance(content, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(widgets, list):
            raise DashboardInvalidInputError("The dashboard body is invalid: it has no field widgets")
        if len(widgets) > MOST_WIDGETS:  # pyright: ignore[reportUnknownArgumentType]
            raise DashboardInvalidInputError("The dashboard body is invalid: it has more than 500 widgets")
        return proceed(name, body)

    def _list_tags(self, proceed: Proceed, backend: CloudWatchBackend, arn: str) -> dict[str, str]:
        self._find(backend, arn)
        return proceed(arn)

    def _tag_resource(self, proceed: Proceed, backend: CloudWatchBackend, arn: str, tags: dict[str, str]) -> None:
        self._find(backend, arn)
        check_tags(backend.tagger.get_tag_dict_for_resource(arn) | tags, _refused, "InvalidParameterValue")
        proceed(arn, tags)

    def _find(self, backend: CloudWatchBackend, arn: str) -> None:
        if arn not in {make_arn_for_alarm(self.region, self.account, name) for name in backend.alarms}:
            raise ResourceNotFoundException(f"Resource not found: {arn}")


def _refused(_: str, message: str) -> Exception:
    return InvalidParameterValue(message)


def _invalid(value: str, member: str, constraint: str) -> ValidationError:
    text = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    return ValidationError(text)
