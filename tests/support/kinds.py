"""Kinds of stack, which together have every resource that the program can make."""

import json
from collections.abc import Mapping

from rehearsal.world import Node
from tests.support.recorded import as_config
from tests.support.strategies import STRATEGIES

NODES = tuple(Node(name=f"gpu-{number}", zone="a", instance_id=f"i-0a1b2c3d4e5f6000{number}") for number in (1, 2))

KINDS: Mapping[str, Mapping[str, str]] = {
    "nodes by address": {},
    "nodes by instance": STRATEGIES["nodes"],
    "static": as_config(registration="static", targets=["10.0.16.4"], staticIp=True, nodeInternalRules=False),
    "autoscaling": STRATEGIES["autoscaling"],
    "binding": {**STRATEGIES["binding"], **as_config(drainSeconds=60)},
    "named": as_config(
        dnsName="stream.example.com",
        hostedZoneId="Z0123456789ABCDEFGHIJ",
        registration="static",
        targets=["10.0.16.4"],
        nodeInternalRules=False,
    ),
    "everything": as_config(
        udpPort=6000,
        allowedCidrs=["198.51.100.0/24", "203.0.113.0/24"],
        eipAllocationId="eipalloc-0a1b2c3d",
        stickiness=True,
        deregistrationDelay=60,
        drainSeconds=30,
        deletionProtection=True,
        replicas=2,
        chart="oci://registry.example/gdn-streaming",
        imageRepository="registry.example/streaming-proxy",
        helmValues={"env": {"more": "x"}},
        kubeconfig=json.dumps({"contexts": [{"name": "mine"}]}),
        kubeContext="mine",
        tags={"team": "x"},
    ),
    "alarms": as_config(alarmTopicArn="arn:aws:sns:us-west-2:123456789012:pager", dashboard=True),
}
