"""The body of the CloudWatch dashboard, in CloudWatch's "Dashboard Body Structure and Syntax".

The AWS provider cannot tag a dashboard: its first widget bears the marks that tags bear elsewhere.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lls.alarm_rules import FAIL_OPEN, HEALTHY, NAMESPACE, PERIOD, PORT_ERRORS, UNHEALTHY, Metric

WIDTH: Final = 24
"""Columns of CloudWatch's grid."""

GRAPHS: Final[Mapping[str, Sequence[Metric]]] = {
    "Targets": (HEALTHY, UNHEALTHY),
    "Flows": (
        Metric("ActiveFlowCount_UDP", "Maximum", "flows"),
        Metric("NewFlowCount_UDP", "Sum", "flows"),
    ),
    "Bytes and packets": (
        Metric("ProcessedBytes_UDP", "Sum", "flows"),
        Metric("ProcessedPackets", "Sum", "flows"),
    ),
    "Flows that go wrong": (FAIL_OPEN, PORT_ERRORS),
}
"""The graphs, each of some metrics in the load balancer's zone."""

MARK: Final = re.compile(r"`(lls:[a-z-]+)=([^`]*)`")


def dimensions(metric: Metric, *, zone: str, load_balancer: str, target_group: str) -> Mapping[str, str]:
    """The dimensions that tell a metric's values in a zone. `load_balancer` and `target_group` end their ARNs."""
    of_targets = {"TargetGroup": target_group} if metric.scope == "targets" else {}
    return {"AvailabilityZone": zone, "LoadBalancer": load_balancer, **of_targets}


def dashboard_body(
    *,
    region: str,
    zone: str,
    load_balancer: str,
    target_group: str,
    marks: Mapping[str, str],
    alarm_arns: Sequence[str] = (),
) -> str:
    """The dashboard as JSON: the alarms where there are any, and a graph for each of GRAPHS."""
    marked = " ".join(f"`{key}={value}`" for key, value in marks.items())
    text = f"Low Latency Streaming in {zone}. Made by Pulumi, which takes back what is changed here. {marked}"
    widgets: list[Any] = [_widget("text", 0, 0, {"markdown": text}, width=WIDTH, height=2)]
    if alarm_arns:
        widgets.append(_widget("alarm", 0, 2, {"title": "Alarms", "alarms": list(alarm_arns)}, width=WIDTH, height=3))
    for place, (title, metrics) in enumerate(GRAPHS.items()):
        lines: list[list[Any]] = []
        for metric in metrics:
            names = dimensions(metric, zone=zone, load_balancer=load_balancer, target_group=target_group)
            pairs = [text for pair in names.items() for text in pair]
            lines.append([NAMESPACE, metric.name, *pairs, {"stat": metric.statistic}])
        properties = {"title": f"{title} in {zone}", "region": region, "view": "timeSeries", "metrics": lines}
        row, column = divmod(place, 2)
        widgets.append(_widget("metric", column * 12, 5 + row * 6, {**properties, "period": PERIOD}))
    return json.dumps({"widgets": widgets}, sort_keys=True)


def marks_of(body: str) -> Mapping[str, str]:
    """The marks in a dashboard's first widget of text; none in what is no such body."""
    try:
        widgets: list[Any] = json.loads(body)["widgets"]
        texts = [widget["properties"]["markdown"] for widget in widgets if widget["type"] == "text"]
        return dict(MARK.findall(texts[0])) if texts else {}
    except (ValueError, TypeError, KeyError):
        return {}


def _widget(
    type_: str, x: int, y: int, properties: Mapping[str, Any], *, width: int = 12, height: int = 6
) -> dict[str, Any]:
    return {"type": type_, "x": x, "y": y, "width": width, "height": height, "properties": properties}
