"""Step 4.2 of the guide: who the targets are, and why a node is none."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.asking import ask
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.target_registration import BINDING_API, ZONE_LABEL, Binding, Targets

if TYPE_CHECKING:
    from kubernetes.client import V1Node

TARGETS_PER_ZONE: Final = 500
TARGETS_QUOTA: Final = "L-B211E961"
"""Targets per Availability Zone per Network Load Balancer, and the code of that quota."""

EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"

REMOVAL_TAINTS: Final = frozenset(
    {
        "ToBeDeletedByClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "aws-node-termination-handler/rebalance-recommendation",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/spot-itn",
    }
)
"""Taints of the cluster autoscaler, Karpenter and the AWS node termination handler on a node that they remove."""


@dataclass(frozen=True)
class Chosen:
    """What to register, sorted, and the nodes left out: name to reason."""

    ids: tuple[str, ...]
    skipped: Mapping[str, str]


def find_targets(config: Config, api: ClusterApi) -> Targets:
    """4.2: who the targets are, or who keeps them, as lls:registration says."""
    if config.registration == "autoscaling":
        return Targets(autoscaling_groups=_autoscaling_groups(config))
    if config.registration == "binding":
        return Targets(binding=_binding(config, api))
    ids = find_ids(config, api)
    if len(ids) > TARGETS_PER_ZONE:
        raise pulumi.RunError(
            f"{len(ids)} targets in {config.availability_zone}: AWS takes {TARGETS_PER_ZONE} for each zone of a "
            f"Network Load Balancer (quota {TARGETS_QUOTA}). Set lls:nodeSelector to fewer nodes."
        )
    return Targets(ids=ids)


def _autoscaling_groups(config: Config) -> tuple[str, ...]:
    """The Auto Scaling groups behind the managed node groups that the config names, or that its labels choose."""
    cluster, zone = config.cluster_name, config.availability_zone
    names = config.node_groups or tuple(
        ask(
            "managed node groups",
            lambda: aws.eks.get_node_groups(cluster_name=cluster),
            "Allow eks:ListNodegroups, or set lls:nodeGroups.",
        ).names
    )
    groups: set[str] = set()
    beyond: list[str] = []
    for name in sorted(names):
        found = ask(
            f"managed node group {name}",
            partial(aws.eks.get_node_group, cluster_name=cluster, node_group_name=name),
            "Set lls:nodeGroups to managed node groups of the cluster.",
        )
        if not config.node_groups and not config.node_selector.items() <= (found.labels or {}).items():
            continue
        for group_name in (group.name for resource in found.resources for group in resource.autoscaling_groups):
            zones = ask(
                f"Auto Scaling group {group_name}",
                partial(aws.autoscaling.get_group, name=group_name),
                "Allow autoscaling:DescribeAutoScalingGroups, or set lls:nodeGroups to other groups.",
            ).availability_zones
            if zone in zones or config.node_groups:
                groups.add(group_name)
                if set(zones) != {zone}:
                    beyond.append(f"{name} ({group_name}) spans {', '.join(sorted(zones))}")
    if beyond and not config.allow_other_zones:
        raise pulumi.RunError(
            f"The load balancer serves {zone} alone, and nodes of other zones would be registered and unused: "
            f"{'; '.join(beyond)}. Use node groups of that zone only (lls:nodeGroups), or set lls:allowOtherZones true."
        )
    if not groups:
        raise pulumi.RunError(
            f"No managed node group of {cluster} with {_labels(config)} is in {zone} (there are: "
            f"{', '.join(sorted(names)) or 'none'}). Set lls:nodeGroups. Karpenter's and self-managed nodes have no "
            "managed node group: use lls:registration binding, or nodes."
        )
    return tuple(sorted(groups))


def _binding(config: Config, api: ClusterApi) -> Binding:
    """The binding, in a cluster whose controller knows such."""
    known = ask(
        "AWS Load Balancer Controller",
        lambda: api.serves(BINDING_API),
        "Check that `aws eks get-token` works here, or set lls:kubeconfig and lls:kubeContext.",
    )
    if not known:
        raise pulumi.RunError(
            f"The cluster has no {BINDING_API}, which lls:registration binding needs: install the AWS Load Balancer "
            "Controller, or use lls:registration nodes or autoscaling."
        )
    return Binding(
        namespace=config.namespace,
        service_name=config.service_name,
        service_port=config.service_port,
        node_selector=config.node_selector,
        availability_zone=config.availability_zone,
    )


def find_ids(config: Config, api: ClusterApi) -> tuple[str, ...]:
    """4.2: the given targets, or the labelled nodes of the NLB's zone."""
    if config.registration == "static":
        return tuple(sorted(config.targets))
    nodes = ask(
        "nodes in the Kubernetes API",
        lambda: api.nodes(config.node_selector),
        "Check that `aws eks get-token` works here and may list nodes, set lls:kubeconfig and lls:kubeContext, "
        "or list the targets with lls:registration static.",
    )
    chosen = choose_targets(nodes, zone=config.availability_zone, target_type=config.target_type)
    if not chosen.ids:
        raise pulumi.RunError(_no_targets(config, chosen))
    if chosen.skipped:
        pulumi.log.warn(f"Nodes that will not be targets: {_reasons(chosen)}")
    return chosen.ids


def _no_targets(config: Config, chosen: Chosen) -> str:
    return (
        f"No node with {_labels(config)} can be a target in {config.availability_zone}"
        + (f": {_reasons(chosen)}. " if chosen.skipped else ": no node has these labels. ")
        + "Set lls:nodeSelector or lls:availabilityZone, or list the targets with lls:registration static."
    )


def _labels(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.node_selector.items()) or "any label"


def _reasons(chosen: Chosen) -> str:
    """Reasons with the nodes that they are about, since a cluster may have hundreds in other zones."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in chosen.skipped.items():
        by_reason.setdefault(reason, []).append(node)
    return "; ".join(f"{reason}: {', '.join(nodes)}" for reason, nodes in by_reason.items())


def choose_targets(nodes: "Iterable[V1Node]", *, zone: str, target_type: guide.TargetType) -> Chosen:
    """Which nodes an NLB of that zone can serve, as the ids that its target group wants."""
    ids: set[str] = set()
    skipped: dict[str, str] = {}
    for node in nodes:
        target = _target_id(node, target_type)
        reason = _ineligible(node, zone) or (None if target else f"without an {_WANTED[target_type]}")
        if target and not reason:
            ids.add(target)
        else:
            skipped[_name(node)] = reason or ""
    return Chosen(tuple(sorted(ids)), dict(sorted(skipped.items())))


_WANTED: Final = {"ip": "IPv4 InternalIP", "instance": "EC2 instance"}


def _name(node: "V1Node") -> str:
    return (node.metadata.name if node.metadata else None) or "unnamed"


def _ineligible(node: "V1Node", zone: str) -> str | None:
    """Why a load balancer of that zone must not send to the node; None where it may."""
    metadata = node.metadata
    labels: Mapping[str, str] = (metadata.labels if metadata else None) or {}
    if labels.get(ZONE_LABEL) != zone:
        return f"in zone {labels.get(ZONE_LABEL, 'unknown')}"
    if EXCLUDE_LABEL in labels:
        return f"carrying the label {EXCLUDE_LABEL}"
    if metadata and metadata.deletion_timestamp:
        return "being deleted"
    taints = {taint.key for taint in (node.spec.taints if node.spec else None) or ()}
    removal = sorted(taints & REMOVAL_TAINTS)
    return f"being removed (taint {removal[0]})" if removal else None


def _target_id(node: "V1Node", target_type: guide.TargetType) -> str | None:
    if target_type == "instance":
        provider_id = (node.spec.provider_id if node.spec else None) or ""
        match = re.fullmatch(r"aws:///[^/]+/(i-[0-9a-f]+)", provider_id)
        return match.group(1) if match else None
    addresses = (node.status.addresses if node.status else None) or ()
    internal = [address.address for address in addresses if address.type == "InternalIP"]
    return next((address for address in internal if ipaddress.ip_address(address).version == 4), None)
