"""The metrics of load balancers, computed from the health of their targets, and the alarms that watch them.

The judge of `lls/alarm_rules.py`: when a metric is reported, and how missing values count, are AWS's rules written down
once more, from the same pages, and no code in common.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from moto.cloudwatch.models import Alarm, CloudWatchBackend, Dimension, MetricDatum
from moto.core.utils import utcnow
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup

from rehearsal.aws.health import Reachability, Route
from rehearsal.aws.metric_math import evaluate
from rehearsal.world import WorldClock

NAMESPACE: Final = "AWS/NetworkELB"
MINUTE: Final = 60.0

FLOWS: Final = 12.0
"""New flows in a minute: somebody always streams where a listener forwards to a target."""

BYTES: Final = 1_500_000.0
"""Bytes of each flow in a minute."""

MORE: Final = 2
"""Periods beyond those that an alarm asks for, from which it takes values in the place of missing ones: AWS's pages say
that there are some, and show two."""

Key = tuple[str, frozenset[tuple[str, str]]]
"""A metric's name and its dimensions."""


@dataclass(frozen=True)
class Transition:
    """An alarm that changed its state, at a second of the emulated world."""

    at: float
    alarm: str
    before: str
    after: str


class Metrics:
    """What CloudWatch knows of the load balancers, minute by minute: nothing before the first that is let pass."""

    def __init__(self, clock: WorldClock) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._began = utcnow()
        self._minutes: list[Mapping[Key, float]] = []

    def pass_minute(
        self, elbv2: ELBv2Backend, cloudwatch: CloudWatchBackend, reachability: Reachability
    ) -> list[Transition]:
        """Let a minute pass, publish its values, and have every alarm look at them; which changed their states."""
        self._clock.skip(MINUTE)
        values: dict[Key, float] = {}
        for group in elbv2.target_groups.values():
            if route := reachability.route(group):
                values |= _values(elbv2, route)
        self._minutes.append(values)
        when = self._began + timedelta(seconds=self._clock.now())
        for (name, dimensions), value in values.items():
            pairs = [{"Name": key, "Value": text} for key, text in sorted(dimensions)]
            datum: Any = MetricDatum(NAMESPACE, name, value, pairs, when)
            cloudwatch.metric_data.append(datum)
        found: list[Transition] = []
        for alarm in cloudwatch.alarms.values():
            before, after = alarm.state_value, self._state(alarm)
            if after != before:
                alarm.update_state(f"{alarm.evaluation_periods} periods were evaluated", "{}", after)
                found.append(Transition(self._clock.now(), alarm.name, before, after))
        return found

    def _state(self, alarm: Alarm) -> str:
        """As "How alarm state is evaluated when data is missing" in the CloudWatch guide has it."""
        wanted = int(alarm.evaluation_periods)
        needed = int(alarm.datapoints_to_alarm or wanted)
        points = self._points(alarm, wanted + MORE)
        known = [point for point in points if point is not None]
        beyond = [_is_beyond(alarm, point) for point in known][-wanted:]
        if len(known) < wanted:
            missing = alarm.treat_missing_data or "missing"
            if missing in ("breaching", "notBreaching"):
                beyond += [missing == "breaching"] * (wanted - len(known))
            elif not known:
                return alarm.state_value if missing == "ignore" else "INSUFFICIENT_DATA"
            else:
                needed = min(needed, len(known))
        return "ALARM" if sum(beyond) >= needed else "OK"

    def _points(self, alarm: Alarm, count: int) -> list[float | None]:
        """The values of the last minutes, the newest last; None where there is none."""
        minutes = self._minutes[-count:]
        if not alarm.metric_data_queries:
            return [_at(minute, alarm.metric_name, alarm.dimensions) for minute in minutes]
        [expression] = [query.expression for query in alarm.metric_data_queries if query.expression]
        stats = {query.id: query.metric_stat for query in alarm.metric_data_queries if query.metric_stat}
        return [
            evaluate(
                expression,
                {id_: _at(minute, stat.metric.metric_name, stat.metric.dimensions) for id_, stat in stats.items()},
            )
            for minute in minutes
        ]


def _at(minute: Mapping[Key, float], name: str, dimensions: Sequence[Dimension]) -> float | None:
    return minute.get((name, frozenset((str(part.name), str(part.value)) for part in dimensions)))


def _is_beyond(alarm: Alarm, value: float) -> bool:
    threshold = float(alarm.threshold)
    return {
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "GreaterThanThreshold": value > threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }[alarm.comparison_operator]


def _values(elbv2: ELBv2Backend, route: Route) -> Mapping[Key, float]:
    """What a load balancer reports of one target group: some metrics always, some where they are not zero."""
    states = _states(elbv2, route.group)
    [zone] = {subnet.availability_zone for subnet in route.balancer.subnets}
    here = {"LoadBalancer": route.balancer.arn.partition(":loadbalancer/")[2]}
    there = {**here, "TargetGroup": route.group.arn.rpartition(":")[2]}
    flows = FLOWS if states.total() - states["unused"] else 0.0
    reported: dict[tuple[str, bool], float] = {
        ("PortAllocationErrorCount", False): 0.0,
        ("ActiveFlowCount", False): flows,
        ("NewFlowCount", False): flows,
        ("ProcessedBytes", False): flows * BYTES,
    }
    failing_open = flows if not states["healthy"] else 0.0
    sparse = {
        "ActiveFlowCount_UDP": flows,
        "NewFlowCount_UDP": flows,
        "ProcessedBytes_UDP": flows * BYTES,
        "ProcessedPackets": flows * BYTES / 1000,
        "UnhealthyRoutingFlowCount": failing_open,
    }
    reported |= {(name, False): value for name, value in sparse.items() if value}
    if states:  # a new target is unhealthy until it has passed its checks: the worse of two readings
        reported["HealthyHostCount", True] = float(states["healthy"])
        reported["UnHealthyHostCount", True] = float(states["unhealthy"] + states["initial"])
    found: dict[Key, float] = {}
    for (name, of_targets), value in reported.items():
        whole = there if of_targets else here
        for dimensions in (whole, {**whole, "AvailabilityZone": zone}):
            found[name, frozenset(dimensions.items())] = value
    return found


def _states(elbv2: ELBv2Backend, group: FakeTargetGroup) -> Counter[str]:
    """How many registered targets are in each state."""
    told: Any = elbv2.describe_target_health(group.arn, [])
    return Counter(status.status for status in told if status.status != "draining")
