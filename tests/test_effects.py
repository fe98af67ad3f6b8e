"""What a change of each config key does, applied for real to what the program registered."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
import yaml

from lls.config import SCHEMA
from lls.operations.stack import PROJECT
from tests.conftest import as_config, up
from tests.world import a_world

DOCUMENT: Final = PROJECT / "docs" / "effects.md"

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
    "registryConfig": ({}, str(SCHEMA.relative_to(PROJECT))),
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
"""For each key: what else must be set, and another value than the default."""

LATENCIES: Final = a_world().latencies
GAPS: Final[Mapping[str, float]] = {
    "streaming-nlb": LATENCIES.nlb_interfaces_linger + LATENCIES.nlb_provisioning + 10 * LATENCIES.api_call,
    "proxy-release": LATENCIES.helm_uninstall + LATENCIES.helm_install,
}
"""Resources that are deleted before they are made anew, and the rehearsal's seconds for it."""


def answers() -> Mapping[str, Any]:
    def subnets(arguments: Any) -> Any:
        zones = [each["values"][0] for each in arguments["filters"] if each["name"] == "availability-zone"]
        return {"ids": [f"subnet-of-{zone}" for zone in zones or ["us-west-2a"]]}

    def node_group(arguments: Any) -> Any:
        name = arguments["nodeGroupName"]
        return {
            "labels": {"node-type": "compute"},
            "resources": [{"autoscalingGroups": [{"name": f"eks-{name}"}], "remoteAccessSecurityGroupId": ""}],
        }

    return {
        "aws:ec2/getSubnets:getSubnets": subnets,
        "aws:eks/getNodeGroups:getNodeGroups": {"names": ["first"]},
        "aws:eks/getNodeGroup:getNodeGroup": node_group,
        "aws:autoscaling/getGroup:getGroup": {"availabilityZones": ["us-west-2a"]},
    }


def effect(key: str) -> tuple[str, str]:
    """The effect of a change in words, and the resources that it touches."""
    before, value = CHANGES[key]
    made = up(as_config(**before), answers=answers())
    made.engine.config = {**made.engine.config, **as_config(**{key: value})}
    try:
        steps = [step for step in made.engine.up() if step.resource.custom and step.operation != "same"]
    except pulumi.RunError:
        return "refused", ""
    names = ", ".join(sorted({f"{step.operation} {step.resource.name}" for step in steps}))
    replaced = {step.resource.name for step in steps if step.operation == "replace"}
    gaps = [seconds for name, seconds in GAPS.items() if name in replaced]
    if gaps:
        return f"replaced with a gap of about {math.ceil(sum(gaps) / 60)} minutes", names
    if replaced:
        return "replaced without a gap", names
    return ("in place", names) if steps else ("nothing", "")


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_without_a_cluster(monkeypatch)


def answer_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the look-ups in the cluster find a node and the controller, and no auth file be written."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("lls.lookups.find_targets", _targets)
    monkeypatch.setattr("lls.cluster.ClusterApi.serves", _served)
    monkeypatch.setattr("lls.lookups.write_auth_file", _auth_file)


def _targets(config: Any, _: str) -> tuple[str, ...]:
    if config.registration == "static":
        return tuple(sorted(config.targets))
    return ("i-0a1b2c3d",) if config.target_type == "instance" else ("10.0.0.1",)


def _served(*_: object) -> bool:
    return True


def _auth_file(*_: object) -> str:
    return "registry.json"


def documented() -> dict[str, tuple[str, str]]:
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): (row[2], row[3].strip("| ") if len(row) > 3 else "") for row in rows}


def test_every_key_is_changed() -> None:
    assert set(CHANGES) == set(yaml.safe_load(SCHEMA.read_text())["config"])


@pytest.mark.parametrize("key", CHANGES)
def test_the_documented_effect_is_what_happens(key: str) -> None:
    assert documented()[key] == effect(key)


def write() -> None:
    """Write the table anew: python -m tests.test_effects."""
    with pytest.MonkeyPatch.context() as patch:
        answer_without_a_cluster(patch)
        head = Path(DOCUMENT).read_text().partition("\n| key |")[0]
        lines = ["| key | change to | effect | resources |", "|---|---|---|---|"]
        for key, (_, value) in CHANGES.items():
            words, names = effect(key)
            shown = "another kubeconfig" if key == "kubeconfig" else json.dumps(value)
            lines.append(f"| `{key}` | `{shown}` | {words} | {names} |")
        DOCUMENT.write_text(f"{head}\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    write()
    sys.exit()
