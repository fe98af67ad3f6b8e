"""Nodes as the cluster's API tells of them."""

from ipaddress import IPv4Address
from typing import Any

from kubernetes.client import V1Node


def node(name: str, ip: str = "10.0.0.1", **parts: Any) -> V1Node:
    """A node whose instance's id tells its address, by which the recorded look-ups answer."""
    labels = {"topology.kubernetes.io/zone": parts.pop("zone", "us-west-2a")} | parts.pop("labels", {})
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": labels, "deletionTimestamp": parts.pop("deleted", None)},
        "spec": {
            "providerID": parts.pop("provider_id", f"aws:///us-west-2a/{instance_id(ip)}"),
            "unschedulable": parts.pop("cordoned", None),
            "taints": [{"key": key, "effect": "NoSchedule"} for key in parts.pop("taints", ())] or None,
        },
        "status": {"addresses": [{"type": "InternalIP", "address": ip}]},
    }
    assert not parts
    made = V1Node.from_dict(body)
    assert made
    return made


def instance_id(ip: str) -> str:
    return f"i-{int(IPv4Address(ip)):017x}"
