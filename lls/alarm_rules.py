"""What is told when it breaks: the alarms as data, each with its metric, and why it is as it is.

Source of metrics, dimensions, statistics and of when a metric is reported: "CloudWatch metrics for your Network Load
Balancer" in AWS's guide to Network Load Balancers, which publish every 60 seconds. How alarms take missing data:
"Configuring how CloudWatch alarms treat missing data" in the CloudWatch guide.
"""

from dataclasses import dataclass
from typing import Final, Literal

NAMESPACE: Final = "AWS/NetworkELB"
"""Where AWS puts the metrics of Network Load Balancers."""

PERIOD: Final = 60
"""Seconds between two values of a metric."""

Scope = Literal["targets", "flows"]
"""Whose metric it is: the target group's in the load balancer's zone, or the load balancer's there."""


@dataclass(frozen=True)
class Metric:
    """A metric of the load balancer, with the statistic of each minute that is looked at."""

    name: str
    statistic: Literal["Sum", "Minimum", "Maximum"]
    scope: Scope


HEALTHY: Final = Metric("HealthyHostCount", "Maximum", "targets")
UNHEALTHY: Final = Metric("UnHealthyHostCount", "Maximum", "targets")
FAIL_OPEN: Final = Metric("UnhealthyRoutingFlowCount", "Sum", "flows")
PORT_ERRORS: Final = Metric("PortAllocationErrorCount", "Sum", "flows")


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """One alarm: it is raised once `minutes` in a row were beyond the threshold.

    `key` is its key in `lls:alarmThresholds`, `threshold` the default there and `highest` the largest value, both whole
    numbers of at least 1. `name` ends the alarm's name. With `percent_of` the metric is compared as a percentage of
    both together. `missing` is what a minute without a value counts as.
    """

    key: str
    name: str
    text: str
    metric: Metric
    raised_when: Literal["below", "at least"]
    threshold: int
    highest: int
    minutes: int
    missing: Literal["breaching", "notBreaching"]
    why: str
    percent_of: Metric | None = None

    @property
    def comparison(self) -> str:
        """CloudWatch's operator."""
        return "LessThanThreshold" if self.raised_when == "below" else "GreaterThanOrEqualToThreshold"


RULES: Final = (
    AlarmRule(
        key="healthyHosts",
        name="no-healthy-host",
        text="No healthy target in the zone: packets still flow, since UDP fails open, and nobody answers.",
        metric=HEALTHY,
        raised_when="below",
        threshold=1,
        highest=500,
        minutes=3,
        missing="breaching",
        why="Reported while targets are registered: without a value there is none, which is as bad. Three minutes, as "
        "a target that replaces another takes two and a half, five checks of 30 s, to become healthy.",
    ),
    AlarmRule(
        key="unhealthyHosts",
        name="unhealthy-hosts",
        text="A target has been unhealthy for five minutes.",
        metric=UNHEALTHY,
        raised_when="at least",
        threshold=1,
        highest=500,
        minutes=5,
        missing="notBreaching",
        why="Without a value no target is registered, and none unhealthy; no-healthy-host tells that.",
    ),
    AlarmRule(
        key="failOpenFlows",
        name="fail-open-flows",
        text="Clients are sent to unhealthy targets, as no target is healthy.",
        metric=FAIL_OPEN,
        raised_when="at least",
        threshold=1,
        highest=1_000_000,
        minutes=1,
        missing="notBreaching",
        why="Reported where it is not zero: no value is the usual one. It tells that somebody is hit by it.",
    ),
    AlarmRule(
        key="portAllocationErrors",
        name="port-allocation-errors",
        text="The load balancer found no free port for a flow, and dropped it.",
        metric=PORT_ERRORS,
        raised_when="at least",
        threshold=1,
        highest=1_000_000,
        minutes=1,
        missing="notBreaching",
        why="Always reported; without a value nothing flows. Such ports serve to translate clients' addresses, which "
        "UDP keeps: expect zero, and a listener or a setting that is not this stack's where it is not.",
    ),
    AlarmRule(
        key="healthyPercent",
        name="fewer-healthy-than-registered",
        text="For fifteen minutes, fewer targets have been healthy than are registered.",
        metric=HEALTHY,
        percent_of=UNHEALTHY,
        raised_when="below",
        threshold=100,
        highest=100,
        minutes=15,
        missing="notBreaching",
        why="A share, so that it fits however many targets are registered, and by whom. Fifteen minutes, which a "
        "node's replacement may take. Without a value no target is registered; no-healthy-host tells that.",
    ),
)
"""The alarms, in the order of the documentation."""
