"""The keys of the alarms and the dashboard, with the rules on their values."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import ValidationInfo
from pydantic import field_validator as check

from lls.alarm_rules import RULES
from lls.config import forms
from lls.config.installation import InstallationKeys

TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?P<fifo>\.fifo)?")
"""The ARN of an SNS topic."""

KNOWN: Final = {rule.key: rule for rule in RULES}

Threshold = Annotated[str, forms.must(KNOWN.__contains__, f"no such threshold: use one of {', '.join(KNOWN)}")]


class AlarmKeys(InstallationKeys):
    """`alarmTopicArn`, `alarmThresholds` and `dashboard`."""

    alarm_topic_arn: str
    alarm_thresholds: Mapping[Threshold, forms.Whole]
    dashboard: forms.Flag

    @check("alarm_topic_arn")
    @classmethod
    def _topic_that_alarms_notify(cls, arn: str, info: ValidationInfo) -> str:
        """Alarms notify standard topics of their own region: a FIFO topic wants a message group with each message."""
        found = TOPIC.fullmatch(arn)
        region = info.data.get("region")
        if arn and not found:
            example = f"arn:aws:sns:{region or 'us-west-2'}:123456789012:pager"
            raise ValueError(f"use the ARN of an SNS topic, such as {example}")
        if found and found["fifo"]:
            raise ValueError("an alarm cannot notify a FIFO topic, which wants a message group: use a standard topic")
        if found and region and found["region"] != region:
            raise ValueError(f"an alarm notifies topics of its own region: use one in aws:region {region}")
        return arn

    @check("alarm_thresholds")
    @classmethod
    def _thresholds_in_range(cls, thresholds: Mapping[str, int]) -> Mapping[str, int]:
        wrong = [
            f"{key} {value}: use 1 to {KNOWN[key].highest}"
            for key, value in thresholds.items()
            if not 1 <= value <= KNOWN[key].highest
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return thresholds

    @property
    def alarm_names(self) -> list[str]:
        """The names of the alarms, sorted; none without a topic to notify."""
        return sorted(self.names.alarm(rule.name) for rule in RULES) if self.alarm_topic_arn else []
