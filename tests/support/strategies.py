"""The ways to register, and a world that has what each of them needs."""

from collections.abc import Mapping
from typing import Any

from rehearsal.world import ManagedNodeGroup
from tests.support.recorded import as_config

GROUPS = (
    ManagedNodeGroup(name="gpu", zones=("a",), labels={"node-type": "compute"}),
    ManagedNodeGroup(name="other", zones=("b",), labels={"node-type": "compute"}),
    ManagedNodeGroup(name="system", zones=("a",), labels={"node-type": "system"}),
    ManagedNodeGroup(name="wide", zones=("a", "b"), labels={"node-type": "wide"}),
)


QUIRKS: Mapping[str, Any] = {"managed_node_groups": GROUPS, "load_balancer_controller": True}


STRATEGIES: Mapping[str, Mapping[str, str]] = {
    "nodes": as_config(registration="nodes", targetType="instance"),
    "autoscaling": as_config(registration="autoscaling", targetType="instance"),
    "binding": as_config(registration="binding", targetType="instance"),
}
