"""Step 4.2 of the guide: who the targets are, or who keeps them."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import pulumi
import pulumi_aws as aws

from lls.asking import ask
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.fitness import JudgedNode, judge
from lls.target_registration import BINDING_API, Binding, Targets

TARGETS_PER_ZONE: Final = 500
TARGETS_QUOTA: Final = "L-B211E961"
"""Targets per Availability Zone per Network Load Balancer, and the code of that quota."""


def find_targets(config: Config, vpc_id: str, api: ClusterApi) -> Targets:
    """4.2: who the targets are, or who keeps them, as lls:registration says."""
    if config.registration == "autoscaling":
        return Targets(autoscaling_groups=find_autoscaling_groups(config))
    if config.registration == "binding":
        return Targets(binding=_binding(config, api))
    ids = find_ids(config, vpc_id, api)
    if len(ids) > TARGETS_PER_ZONE:
        raise pulumi.RunError(
            f"{len(ids)} targets in {config.availability_zone}: AWS takes {TARGETS_PER_ZONE} for each zone of a "
            f"Network Load Balancer (quota {TARGETS_QUOTA}). Set lls:nodeSelector to fewer nodes."
        )
    return Targets(ids=ids)


def find_autoscaling_groups(config: Config) -> tuple[str, ...]:
    """The Auto Scaling groups behind the managed node groups that the config names, or that its labels choose.

    Raises pulumi.RunError.
    """
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


def find_ids(config: Config, vpc_id: str, api: ClusterApi) -> tuple[str, ...]:
    """4.2: the given targets, which are the user's word, or the labelled nodes that can be targets."""
    if config.registration == "static":
        return tuple(sorted(config.targets))
    judged = judge_nodes(config, vpc_id, api)
    ids = choose_ids(config, judged)
    if left_out := reasons(judged):
        pulumi.log.warn(f"Nodes that will not be targets: {left_out}")
    return ids


def choose_ids(config: Config, judged: Sequence[JudgedNode]) -> tuple[str, ...]:
    """The fit nodes, as the target group knows them. Raises pulumi.RunError where there are none."""
    ids = {node.target_id(config.target_type) for node in judged if not node.unfit}
    if not ids:
        raise pulumi.RunError(
            f"No node with {_labels(config)} can be a target in {config.availability_zone}"
            + (f": {reasons(judged)}. " if judged else ": no node has these labels. ")
            + "Set lls:nodeSelector or lls:availabilityZone, or list the targets with lls:registration static."
        )
    return tuple(sorted(ids))


def judge_nodes(config: Config, vpc_id: str, api: ClusterApi) -> list[JudgedNode]:
    """The nodes that the targets are chosen from, each judged; for a list of targets, all nodes of the cluster.

    Raises pulumi.RunError.
    """
    selector = dict[str, str]() if config.registration == "static" else config.node_selector
    nodes = ask(
        "nodes in the Kubernetes API",
        lambda: api.nodes(selector),
        "Check that `aws eks get-token` works here and may list nodes, set lls:kubeconfig and lls:kubeContext, "
        "or list the targets with lls:registration static.",
    )
    return judge(nodes, vpc_id=vpc_id, zone=config.availability_zone)


def reasons(judged: Sequence[JudgedNode]) -> str:
    """Why nodes are unfit, each reason with its nodes, since a cluster may have hundreds in other zones."""
    names: dict[str, list[str]] = {}
    for node in judged:
        if node.unfit:
            names.setdefault(node.unfit, []).append(node.name)
    return "; ".join(f"{reason}: {', '.join(nodes)}" for reason, nodes in names.items())


def _labels(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.node_selector.items()) or "any label"
