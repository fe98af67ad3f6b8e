"""Writes the table of docs/effects.md: what a change of each config key does to what the program registers."""

import json
import math
from collections.abc import Collection, Mapping
from contextlib import chdir
from copy import deepcopy
from functools import cache
from typing import Any, Final

from lls.operations.program.recording import run_project
from lls.operations.program.stack_file import PROJECT, Stack
from rehearsal.engine.engine import Engine, Step
from rehearsal.stack_world import world_for
from rehearsal.world import DEFAULT_WORLD
from scripts import page
from scripts.invented import InventedProvider, nothing_asked

PAGE: Final = PROJECT / "docs" / "effects.md"

BEFORE: Final[Mapping[str, str]] = {
    "aws:region": "us-west-2",
    "lls:clusterName": "demo",
    "lls:availabilityZone": "us-west-2a",
    "lls:registration": "static",
    "lls:targets": '["10.0.0.1", "10.0.0.2"]',
}
"""The config before each change."""

KUBECONFIG: Final = json.dumps({"contexts": [{"name": "one"}, {"name": "two"}]})

TOPIC: Final = "arn:aws:sns:us-west-2:123456789012:pager"

CHANGES: Final[Mapping[str, tuple[Mapping[str, Any], Any]]] = {
    "clusterName": ({}, "other"),
    "instance": ({}, "b"),
    "availabilityZone": ({}, "us-west-2b"),
    "udpPort": ({}, 6000),
    "allowedCidrs": ({}, ["198.51.100.0/24"]),
    "staticIp": ({}, True),
    "eipAllocationId": ({}, "eipalloc-0a1b"),
    "dnsName": ({}, "stream.example.com"),
    "hostedZoneId": ({"dnsName": "stream.example.com"}, "Z0OTHER"),
    "vpcId": ({}, "vpc-0a1b"),
    "publicSubnetId": ({}, "subnet-0a1b"),
    "nodeSecurityGroupId": ({}, "sg-0a1b"),
    "nodeSecurityGroupIds": ({"nodeSecurityGroupId": "sg-0a1b"}, ["sg-0a1b", "sg-0c2d"]),
    "targetType": ({"registration": "nodes"}, "instance"),
    "registration": ({"targetType": "instance", "targets": ["i-0a1b2c3d"]}, "autoscaling"),
    "targets": ({}, ["10.0.0.1", "10.0.0.3"]),
    "nodeGroups": ({"targetType": "instance", "registration": "autoscaling"}, ["second"]),
    "allowOtherZones": ({"targetType": "instance", "registration": "autoscaling"}, True),
    "serviceName": ({"targetType": "instance", "registration": "binding"}, "other"),
    "servicePort": ({"targetType": "instance", "registration": "binding"}, 6005),
    "deregistrationDelay": ({}, 60),
    "drainSeconds": ({}, 120),
    "stickiness": ({}, True),
    "nodeSelector": ({}, {"node-type": "gpu"}),
    "streamingNodePort": ({}, 30600),
    "healthNodePort": ({}, 30900),
    "healthPath": ({}, "/healthz"),
    "nodeInternalRules": ({}, False),
    "repositoryPrefix": ({}, "other"),
    "chart": ({}, "oci://registry.example/gdn-streaming"),
    "chartVersion": ({}, "2.1.0"),
    "imageRepository": ({}, "registry.example/streaming-proxy"),
    "imageTag": ({}, "2.1.0"),
    "registryConfig": ({}, "docs/iam-policy.json"),
    "namespace": ({}, "other"),
    "releaseName": ({}, "other"),
    "replicas": ({"stickiness": True}, 2),
    "cpu": ({}, "4"),
    "memory": ({}, "16Gi"),
    "helmTimeout": ({}, 900),
    "helmValues": ({}, {"env": {"more": "x"}}),
    "kubeconfig": ({}, KUBECONFIG),
    "kubeContext": ({"kubeconfig": KUBECONFIG}, "two"),
    "deletionProtection": ({}, True),
    "alarmTopicArn": ({}, TOPIC),
    "alarmThresholds": ({"alarmTopicArn": TOPIC}, {"healthyHosts": 2}),
    "dashboard": ({}, True),
    "tags": ({}, {"team": "x"}),
}
"""For each key: what else must be set before, and another value than the default."""

MINUTE: Final = 60.0

LATENCIES: Final = world_for(Stack("effects", BEFORE), DEFAULT_WORLD.read_text()).latencies
GAPS: Final[Mapping[str, float]] = {
    "streaming-nlb": LATENCIES.nlb_interfaces_linger + LATENCIES.nlb_provisioning + 10 * LATENCIES.api_call,
    "proxy-release": LATENCIES.helm_uninstall + LATENCIES.helm_install,
    "targets-binding": 2 * LATENCIES.api_call,
}
"""Resources that are deleted before they are made anew, and the rehearsal's seconds for it."""


def table() -> str:
    """A row for each key."""
    return page.table(("key", "change to", "effect", "resources"), map(cells, CHANGES))


def cells(key: str) -> tuple[str, str, str, str]:
    """The key's row: its change, the effect in words, and the resources that it touches."""
    before, value = CHANGES[key]
    shown = "another kubeconfig" if key == "kubeconfig" else json.dumps(value)
    steps = _steps({**BEFORE, **texts(before)}, texts({key: value}))
    names = ", ".join(sorted({f"{step.operation} {step.resource.name}" for step in steps}))
    return f"`{key}`", f"`{shown}`", _effect(steps), names


def _effect(steps: Collection[Step]) -> str:
    replaced = {step.resource.name for step in steps if step.operation == "replace"}
    gap = sum(seconds for name, seconds in GAPS.items() if name in replaced)
    if gap >= MINUTE:
        return f"replaced with a gap of about {math.ceil(gap / MINUTE)} minutes"
    if gap:
        return "replaced with a gap of seconds"
    if replaced:
        return "replaced without a gap"
    return "in place" if steps else "nothing"


def texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Keys of the project as a Pulumi engine passes them."""
    return {f"lls:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _steps(before: Mapping[str, str], change: Mapping[str, str]) -> Collection[Step]:
    """What the second `up` does, for real, after a change of the config."""
    with chdir(PROJECT), nothing_asked():
        engine = deepcopy(_deployed(tuple(sorted(before.items()))))
        engine.config = {**before, **change}
        return [step for step in engine.up() if step.resource.custom and step.operation != "same"]


@cache
def _deployed(config: tuple[tuple[str, str], ...]) -> Engine:
    """An engine after a first `up`, which most changes have in common."""
    engine = Engine(
        program=run_project, project="lls", stack="effects", config=dict(config), provider=InventedProvider()
    )
    engine.up()
    return engine


if __name__ == "__main__":
    page.write(PAGE, table())
