"""Writes the table of docs/effects.md: what a change of each config key does to what the program registers."""

import json
import math
from collections.abc import Collection, Mapping
from contextlib import chdir
from itertools import count
from typing import Any, Final
from unittest.mock import patch

from lls import artifacts, targets
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.operations.program.recording import Properties, run_project
from lls.operations.program.stack_file import PROJECT, Stack
from lls.operations.world.inventory import INGRESS
from rehearsal.engine.engine import Engine, Step
from rehearsal.stack_world import world_for
from rehearsal.world import DEFAULT_WORLD
from scripts import page

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

CHANGES: Final[Mapping[str, tuple[Mapping[str, Any], Any]]] = {
    "clusterName": ({}, "other"),
    "instance": ({}, "b"),
    "availabilityZone": ({}, "us-west-2b"),
    "udpPort": ({}, 6000),
    "allowedCidrs": ({}, ["198.51.100.0/24"]),
    "staticIp": ({}, True),
    "eipAllocationId": ({}, "eipalloc-0a1b"),
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
    steps = _steps({**BEFORE, **_texts(before)}, _texts({key: value}))
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


def _texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Keys of the project as a Pulumi engine passes them."""
    return {f"lls:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _steps(before: Mapping[str, str], change: Mapping[str, str]) -> Collection[Step]:
    """What the second `up` does, for real, after a change of the config."""
    with (
        chdir(PROJECT),
        patch.object(targets, "find_ids", _targets),
        patch.object(artifacts, "write_auth_file", return_value="registry.json"),
        patch.object(ClusterApi, "serves", return_value=True),
        patch.object(ClusterApi, "nodes", return_value=[]),
    ):
        engine = Engine(program=run_project, project="lls", stack="effects", config=before, provider=_Provider())
        engine.up()
        engine.config = {**before, **change}
        return [step for step in engine.up() if step.resource.custom and step.operation != "same"]


def _targets(config: Config, *_: object) -> tuple[str, ...]:
    if config.registration == "static":
        return tuple(sorted(config.targets))
    return ("i-0a1b2c3d",) if config.target_type == "instance" else ("10.0.0.1",)


class _Provider:
    """Finds all that is looked up, and makes things that are nothing but an id and outputs."""

    def __init__(self) -> None:
        self._numbers = count()
        self._rules: list[Properties] = []

    def now(self) -> float:
        return 0

    def check(self, type_: str, inputs: Properties) -> None:
        pass

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        id_ = f"{type_.rpartition(':')[2]}-{next(self._numbers)}"
        if type_ == INGRESS:
            self._rules.append(inputs)
        return id_, {key: f"{key} of {id_}" for key in ("arn", "dnsName", "zoneId", "allocationId", "publicIp")}

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        pass

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        return inputs, {}

    def invoke(self, token: str, arguments: Properties) -> Properties:
        filters = {filter_["name"]: filter_["values"][0] for filter_ in arguments.get("filters", ())}
        answers: Mapping[str, Properties] = {
            "getCallerIdentity": {"accountId": "123456789012"},
            "getPartition": {"dnsSuffix": "amazonaws.com"},
            "getCluster": {
                "arn": f"arn:aws:eks:us-west-2:123456789012:cluster/{arguments.get('name')}",
                "endpoint": "https://cluster.example",
                "certificateAuthorities": [{"data": "Y2E="}],
                "vpcConfig": {"vpcId": "vpc-1", "clusterSecurityGroupId": "sg-c1"},
            },
            "getSubnets": {"ids": [f"subnet-of-{filters.get('availability-zone')}"]},
            "getRouteTables": {
                "ids": [f"rtb-of-{value}" for value in filters.get("association.subnet-id", "").split()]
            },
            "getRouteTable": {"routeTableId": "rtb-1", "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]},
            "getInternetGateway": {"internetGatewayId": "igw-1"},
            "getSecurityGroups": {"ids": ["sg-a1"]},
            "getInstances": {"ids": ["i-0a1b2c3d"], "privateIps": ["10.0.0.1"]},
            "getSecurityGroupRules": {"ids": self._rules_named(arguments)},
            "getElasticIp": {"publicIp": "203.0.113.9"},
            "getAuthorizationToken": {"authorizationToken": "QVdTOnNlY3JldA=="},
            "getNodeGroups": {"names": ["first"]},
            "getNodeGroup": {
                "labels": {"node-type": "compute"},
                "resources": [
                    {
                        "autoscalingGroups": [{"name": f"eks-{arguments.get('nodeGroupName')}"}],
                        "remoteAccessSecurityGroupId": "",
                    }
                ],
            },
            "getGroup": {"availabilityZones": ["us-west-2a"]},
        }
        return answers[token.rpartition(":")[2]]

    def _rules_named(self, arguments: Properties) -> list[str]:
        wanted = {filter_["name"]: filter_["values"] for filter_ in arguments.get("filters", ())}
        return [
            rule["tags"]["Name"]
            for rule in self._rules
            if rule["securityGroupId"] in wanted.get("group-id", ())
            and rule["tags"]["Name"] in wanted.get("tag:Name", ())
        ]


if __name__ == "__main__":
    page.write(PAGE, table())
