"""An outage on purpose: the proxy breaks and comes back, minute by minute, while the alarms watch."""

from dataclasses import dataclass, replace
from typing import Final

from lls.operations.world.account import Account
from rehearsal.aws.metrics import Transition
from rehearsal.aws.server import Aws
from rehearsal.kubernetes.cluster_state import Cluster

PATIENCE: Final = 3
"""Minutes beyond what the slowest alarm waits for."""


@dataclass(frozen=True)
class AlarmCourse:
    """What one alarm did: minutes until it was raised, None where it was not, and then until it was over."""

    alarm: str
    raised_after: int | None
    over_after: int | None
    false: bool
    """Whether it was raised before anything was broken."""

    def __str__(self) -> str:
        if self.false:
            return "raised before anything was broken"
        if self.raised_after is None:
            return "not raised"
        end = "not over" if self.over_after is None else f"OK {self.over_after} min after the proxy was back"
        return f"ALARM after {self.raised_after} min, {end}"


def break_proxy(aws: Aws, cluster: Cluster) -> list[AlarmCourse]:
    """Let time pass, break every pod of the proxy, let time pass, have them run again; what each alarm did.

    Time is as long as the slowest alarm needs each time, and a little more.
    """
    described = Account(aws.client).every("cloudwatch", "describe_alarms", "MetricAlarms")
    waits = {alarm["AlarmName"]: int(alarm["EvaluationPeriods"]) for alarm in described}
    minutes = max(waits.values(), default=0) + PATIENCE

    def pass_time() -> dict[str, list[tuple[int, Transition]]]:
        seen: dict[str, list[tuple[int, Transition]]] = {name: [] for name in waits}
        for minute in range(1, minutes + 1):
            for transition in aws.pass_minute():
                seen[transition.alarm].append((minute, transition))
        return seen

    before = pass_time()
    _set_proxy(cluster, broken=True)
    broken = pass_time()
    _set_proxy(cluster, broken=False)
    after = pass_time()
    states = aws.alarm_states()

    def first(seen: list[tuple[int, Transition]], state: str) -> int | None:
        return next((minute for minute, transition in seen if transition.after == state), None)

    return [
        AlarmCourse(
            alarm=name,
            raised_after=first(broken[name], "ALARM"),
            over_after=first(after[name], "OK") if states[name] == "OK" else None,
            false=first(before[name], "ALARM") is not None,
        )
        for name in sorted(waits)
    ]


def _set_proxy(cluster: Cluster, *, broken: bool) -> None:
    """Have every pod of a Helm release crash in a loop, or run again."""
    with cluster.settled():
        for key, pod in cluster.pods.items():
            if pod.release:
                cluster.pods[key] = replace(pod, state="crashing" if broken else "running", held=broken)
