"""Which nodes can be targets and why the others cannot: the one judgement, for `up` and for every operation.

A node is its EC2 instance. Whether that runs, where, and at which address is EC2's word; what is about to happen to the
node is the Kubernetes API's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import pulumi

from lls import guide
from lls.cluster import EksCluster
from lls.instances import find_instances
from lls.target_registration import ZONE_LABEL

if TYPE_CHECKING:
    from kubernetes.client import V1Node

EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"

COMPUTE_TYPE_LABEL: Final = "eks.amazonaws.com/compute-type"

COMPUTE_TYPES: Final[Mapping[str, str]] = {
    "fargate": "on Fargate, which answers on no NodePort",
    "hybrid": "a hybrid node, which is no EC2 instance",
}
"""Values of that label whose nodes can never be targets. EKS Auto Mode's `auto` is an instance like any other."""

TAINTS: Final[Mapping[str, str]] = {
    "ToBeDeletedByClusterAutoscaler": "being removed",
    "aws-node-termination-handler/asg-lifecycle-termination": "being removed",
    "aws-node-termination-handler/rebalance-recommendation": "being removed",
    "aws-node-termination-handler/scheduled-maintenance": "being removed",
    "aws-node-termination-handler/spot-itn": "being removed",
    "karpenter.sh/disrupted": "being removed",
    "karpenter.sh/disruption": "being removed",
    "karpenter.sh/unregistered": "not registered yet",
    "node.cloudprovider.kubernetes.io/shutdown": "shut down",
    "node.cloudprovider.kubernetes.io/uninitialized": "not initialised yet",
    "node.kubernetes.io/out-of-service": "out of service",
    "node.kubernetes.io/unreachable": "unreachable",
}
"""Taints of a node that is on its way out or not yet in.

Sources: cluster-autoscaler's utils/taints; aws-node-termination-handler's pkg/node; Karpenter's v1 and v1beta1 taints,
which EKS Auto Mode sets too; Kubernetes' "Well-Known Labels, Annotations and Taints" for its own controllers'.

Left out on purpose: `node.kubernetes.io/not-ready`, since a node that boots or stumbles comes back, and until then its
health check keeps traffic away without a deregistration (Kubernetes' service controller does the same: KEP-3458);
`DeletionCandidateOfClusterAutoscaler`, a preference that the autoscaler often takes back; and
`node.kubernetes.io/unschedulable`, since what runs on a cordoned node still serves.
"""


@dataclass(frozen=True)
class JudgedNode:
    """A node of the cluster, and `unfit`: why it cannot be a target, empty where it can.

    `instance_id` is empty where it is no EC2 instance. `address` is the primary private IPv4 address, empty where EC2
    tells none. `runs_here` is EC2's part of the judgement: the instance runs, in the NLB's zone and VPC.
    """

    name: str
    instance_id: str
    address: str
    unfit: str = ""
    runs_here: bool = True

    def target_id(self, target_type: guide.TargetType) -> str:
        """What a target group of that type knows it by."""
        return self.instance_id if target_type == "instance" else self.address


_ELSEWHERE: Final = "in another zone"


class _Word(NamedTuple):
    """EC2's word on an instance; `unfit` is empty where it runs in the right place."""

    address: str
    unfit: str


def check_ip_family(cluster: EksCluster) -> None:
    """Refuse a cluster whose nodes do not answer the load balancer. Raises pulumi.RunError."""
    if cluster.ip_family == "ipv6":
        raise pulumi.RunError(
            f"EKS cluster {cluster.name} is of the IPv6 family: its nodes answer on no NodePort over IPv4, which is "
            "all that the load balancer speaks, with either lls:targetType. A cluster keeps its family for life: set "
            "lls:clusterName to one of the IPv4 family."
        )


def judge(nodes: "Iterable[V1Node]", *, vpc_id: str, zone: str) -> list[JudgedNode]:
    """Each node's fitness as a target of an NLB of that VPC and zone, by name. Asks EC2. Raises pulumi.RunError."""
    by_name = {_name(node): node for node in nodes}
    instance_ids = {name: _instance_id(node) for name, node in by_name.items()}
    words = _ask_ec2(sorted(set(instance_ids.values()) - {""}), vpc_id, zone)
    judged: list[JudgedNode] = []
    for name, node in sorted(by_name.items()):
        instance_id = instance_ids[name]
        word = words.get(instance_id, _Word("", "unknown to EC2 in this account and region"))
        unfit = next(_faults(node, instance_id, word, zone), "")
        judged.append(JudgedNode(name, instance_id, word.address, unfit, runs_here=not word.unfit))
    return judged


def _ask_ec2(instance_ids: list[str], vpc_id: str, zone: str) -> Mapping[str, _Word]:
    """EC2's word on each instance that it knows: asked first for those that fit, then ever wider for the rest alone."""
    in_vpc = {"vpc-id": vpc_id}
    questions: tuple[tuple[Mapping[str, str], tuple[str, ...], str], ...] = (
        (in_vpc | {"availability-zone": zone}, ("running",), ""),
        (in_vpc, ("running",), _ELSEWHERE),
        ({}, ("running",), f"not in {vpc_id}"),
        ({}, ("pending",), "pending in EC2"),
        ({}, ("stopping", "stopped"), "stopped in EC2"),
        ({}, ("shutting-down", "terminated"), "terminated in EC2"),
    )
    words: dict[str, _Word] = {}
    for filters, states, unfit in questions:
        if rest := [instance_id for instance_id in instance_ids if instance_id not in words]:
            found = find_instances(filters, "instance-id", rest, states=states)
            words |= {instance_id: _Word(address, unfit) for instance_id, address in found.items()}
    return words


def _faults(node: "V1Node", instance_id: str, word: _Word, zone: str) -> Iterator[str]:
    """What keeps a node from being a target, what tells most first."""
    metadata = node.metadata
    labels: Mapping[str, str] = (metadata.labels if metadata else None) or {}
    taints = sorted({taint.key for taint in (node.spec.taints if node.spec else None) or ()} & TAINTS.keys())
    leaving = [f"{TAINTS[taint]} (taint {taint})" for taint in taints]
    if (compute_type := labels.get(COMPUTE_TYPE_LABEL, "")) in COMPUTE_TYPES:
        yield COMPUTE_TYPES[compute_type]
    if not instance_id:
        yield from leaving
        yield "without an EC2 instance"
    if word.unfit == _ELSEWHERE:
        told = labels.get(ZONE_LABEL, "unknown")
        yield f"in zone {told}" if told != zone else f"not in zone {zone} by EC2's word, whatever its label says"
    if word.unfit:
        yield word.unfit
    if not word.address:
        yield "without a private IPv4 address"
    if EXCLUDE_LABEL in labels:
        yield f"carrying the label {EXCLUDE_LABEL}"
    if metadata and metadata.deletion_timestamp:
        yield "being deleted"
    yield from leaving


def _name(node: "V1Node") -> str:
    return (node.metadata.name if node.metadata else None) or "unnamed"


def _instance_id(node: "V1Node") -> str:
    """The instance in a provider id, such as aws:///us-west-2a/i-0a1b2c3d; empty for Fargate's and hybrid nodes'."""
    provider_id = (node.spec.provider_id if node.spec else None) or ""
    found = re.fullmatch(r"aws://.*/(i-[0-9a-f]+)", provider_id)
    return found.group(1) if found else ""
