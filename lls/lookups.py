"""What the stack finds rather than makes: plain values, looked up in one place before anything is created."""

import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeVar

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.artifacts import OCI_SCHEME, ecr_registry, write_auth_file
from lls.cluster import BINDING_API, ClusterApi, EksCluster, Targets, choose_targets, eks_kubeconfig
from lls.config import Config
from lls.streaming_nlb import ElasticIp
from lls.target_registration import Binding, Registration

T = TypeVar("T")

PULUMIS_WORDS: Final = re.compile(r"^invoke of .*? returned an error: ")
"""What stands before a provider's own."""

TARGETS_PER_ZONE: Final = 500
TARGETS_QUOTA: Final = "L-B211E961"
"""Targets per Availability Zone per Network Load Balancer, and the code of that quota."""


class EcrToken(NamedTuple):
    """The host of an ECR registry and an authorization token for it: base64 of user and password."""

    host: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything that exists already and that the stack builds on.

    `elastic_ip` is the one that the config names, if any; `registry_config` the auth file for the chart's
    registry, None where Helm's own settings hold; `kubeconfig` may contain a secret.
    """

    cluster: EksCluster
    vpc_id: str
    subnet_id: str
    node_security_group_id: str
    elastic_ip: ElasticIp | None
    registration: Registration
    kubeconfig: str = field(repr=False)
    chart: str
    image_repository: str
    registry_config: str | None


def look_up(config: Config) -> Surroundings:
    """Find everything that the config leaves open, and log in to the chart's registry.

    Raises pulumi.RunError with a line for each thing that is missing or ambiguous, which names the key to set.
    """
    cluster = find_cluster(config)
    vpc_id = find_vpc(config, cluster)
    kubeconfig = config.kubeconfig.get_secret_value() or _kubeconfig(config, cluster)
    subnet_id = _attempt(lambda: find_public_subnet(config, vpc_id))
    node_security_group_id = _attempt(lambda: find_node_security_group(config, vpc_id, cluster))
    elastic_ip = _attempt(lambda: find_elastic_ip(config))
    registration = _attempt(lambda: find_registration(config, kubeconfig))
    artifacts = _attempt(lambda: find_artifacts(config))
    token = _attempt(lambda: None if config.registry_config else find_token(artifacts.result()[0]))
    attempts = (subnet_id, node_security_group_id, elastic_ip, registration, artifacts, token)
    if problems := dict.fromkeys(str(error) for error in (each.exception() for each in attempts) if error):
        raise pulumi.RunError("\n".join(problems))
    chart, image_repository = artifacts.result()
    return Surroundings(
        cluster=cluster,
        vpc_id=vpc_id,
        subnet_id=subnet_id.result(),
        node_security_group_id=node_security_group_id.result(),
        elastic_ip=elastic_ip.result(),
        registration=registration.result(),
        kubeconfig=kubeconfig,
        chart=chart,
        image_repository=image_repository,
        registry_config=config.registry_config or _auth_file(token.result()),
    )


def _attempt(find: Callable[[], T]) -> Future[T]:
    """What was found, or the RunError that says why not: the look-ups that follow may have something to say too."""
    done: Future[T] = Future()
    try:
        done.set_result(find())
    except pulumi.RunError as error:
        done.set_exception(error)
    return done


def find_cluster(config: Config) -> EksCluster:
    """2.2: the cluster, once it has an API."""
    found = _ask(
        f"EKS cluster {config.cluster_name} in {config.region}",
        lambda: aws.eks.get_cluster(name=config.cluster_name),
        "Check lls:clusterName, aws:region and the AWS credentials.",
    )
    if not found.certificate_authorities:
        raise pulumi.RunError(
            f"EKS cluster {config.cluster_name} has no API yet. Wait until it is active, then run again."
        )
    network = found.vpc_config
    return EksCluster(
        name=config.cluster_name,
        arn=found.arn,
        region=config.region,
        endpoint=found.endpoint,
        certificate_authority=found.certificate_authorities[0].data,
        vpc_id=network.vpc_id,
        security_group_id=network.cluster_security_group_id,
    )


def _kubeconfig(config: Config, cluster: EksCluster) -> str:
    """One whose tokens are the AWS provider's identity's, as far as `aws eks get-token` can be that."""
    unfollowed = [] if config.token_role else sorted(config.identity)
    if config.profile and "AWS_ACCESS_KEY_ID" in os.environ:
        unfollowed.append("aws:profile beside AWS_ACCESS_KEY_ID")
    if unfollowed:
        pulumi.log.warn(
            f"The cluster's tokens are those of the environment's AWS credentials, since `aws eks get-token` cannot "
            f"follow {', '.join(unfollowed)}: set lls:kubeconfig if the cluster does not know them."
        )
    return eks_kubeconfig(cluster, config.profile, role_arn=config.token_role)


def find_vpc(config: Config, cluster: EksCluster) -> str:
    """2.2: the cluster's VPC, or the given one if there is such."""
    if config.vpc_id and not _subnets({"vpc-id": config.vpc_id}):
        raise pulumi.RunError(
            f"lls:vpcId = {config.vpc_id}: no subnet of {config.region} is in such a VPC. Set it to the VPC of the "
            f"nodes, or leave it empty for the cluster's, which is {cluster.vpc_id}."
        )
    return config.vpc_id or cluster.vpc_id


def find_public_subnet(config: Config, vpc_id: str) -> str:
    """2.2: the one public subnet of the zone, or the given one if it lies there."""
    here = {"vpc-id": vpc_id, "availability-zone": config.availability_zone}
    if config.public_subnet_id:
        if not _subnets(here | {"subnet-id": config.public_subnet_id}):
            raise pulumi.RunError(
                f"lls:publicSubnetId = {config.public_subnet_id}: no subnet of {vpc_id} in {config.availability_zone}. "
                "Set it to a public subnet there; the NLB must share the zone of its targets."
            )
        return config.public_subnet_id
    public = _subnets(here | {"map-public-ip-on-launch": "true"})
    if len(public) == 1:
        return public[0]
    found = f"several public subnets ({', '.join(public)})" if public else "no public subnet"
    others = "" if public else f" Its subnets without public addresses: {', '.join(_subnets(here)) or 'none'}."
    raise pulumi.RunError(
        f"{config.availability_zone} of {vpc_id} has {found}.{others} "
        "Set the one for the NLB: pulumi config set lls:publicSubnetId SUBNET"
    )


def _subnets(filters: dict[str, str]) -> list[str]:
    found = _ask(
        "subnets of the VPC",
        lambda: aws.ec2.get_subnets(
            filters=[aws.ec2.GetSubnetsFilterArgs(name=name, values=[value]) for name, value in filters.items()]
        ),
        "Check lls:vpcId and lls:availabilityZone, or set lls:publicSubnetId.",
    )
    return sorted(found.ids)


def find_node_security_group(config: Config, vpc_id: str, cluster: EksCluster) -> str:
    """4.3: the one group called CLUSTER-node-*, else the cluster security group."""
    given = config.node_security_group_id
    if given:
        if not _security_groups({"vpc-id": vpc_id, "group-id": given}):
            raise pulumi.RunError(
                f"lls:nodeSecurityGroupId = {given}: no security group of {vpc_id}. Set it to one that the nodes carry."
            )
        return given
    name = f"{config.cluster_name}-node-*"
    groups = _security_groups(
        {"vpc-id": vpc_id, "group-name": name, "tag-key": f"kubernetes.io/cluster/{config.cluster_name}"}
    )
    if len(groups) > 1:
        raise pulumi.RunError(
            f"{vpc_id} has several security groups called {name}: {', '.join(groups)}. "
            "Set the one that the nodes carry: pulumi config set lls:nodeSecurityGroupId GROUP"
        )
    if not groups and not cluster.security_group_id:
        raise pulumi.RunError(
            f"{vpc_id} has no security group called {name}, and the cluster has none of its own. "
            "Set the one that the nodes carry: pulumi config set lls:nodeSecurityGroupId GROUP"
        )
    return groups[0] if groups else cluster.security_group_id


def _security_groups(filters: dict[str, str]) -> list[str]:
    found = _ask(
        "security groups of the nodes",
        lambda: aws.ec2.get_security_groups(
            filters=[aws.ec2.GetSecurityGroupsFilterArgs(name=name, values=[value]) for name, value in filters.items()]
        ),
        "Check lls:vpcId, or set lls:nodeSecurityGroupId.",
    )
    return sorted(found.ids)


def find_elastic_ip(config: Config) -> ElasticIp | None:
    """2.5 B: the address that the config names, if any."""
    if not config.eip_allocation_id:
        return None
    found = _ask(
        f"Elastic IP {config.eip_allocation_id}",
        lambda: aws.ec2.get_elastic_ip(id=config.eip_allocation_id),
        "Set lls:eipAllocationId to an allocation of this account and region, or use lls:staticIp.",
    )
    return ElasticIp(config.eip_allocation_id, found.public_ip)


def find_registration(config: Config, kubeconfig: str) -> Registration:
    """4.2: who the targets are, or who keeps them, as lls:registration says."""
    if config.registration == "autoscaling":
        return Registration(autoscaling_groups=_autoscaling_groups(config))
    if config.registration == "binding":
        return Registration(binding=_binding(config, kubeconfig))
    targets = find_targets(config, kubeconfig)
    if len(targets) > TARGETS_PER_ZONE:
        raise pulumi.RunError(
            f"{len(targets)} targets in {config.availability_zone}: AWS takes {TARGETS_PER_ZONE} for each zone of a "
            f"Network Load Balancer (quota {TARGETS_QUOTA}). Set lls:nodeSelector to fewer nodes."
        )
    return Registration(targets=targets)


def _autoscaling_groups(config: Config) -> tuple[str, ...]:
    """The Auto Scaling groups behind the managed node groups that the config names, or that its labels choose."""
    cluster, zone = config.cluster_name, config.availability_zone
    names = config.node_groups or tuple(
        _ask(
            "managed node groups",
            lambda: aws.eks.get_node_groups(cluster_name=cluster),
            "Allow eks:ListNodegroups, or set lls:nodeGroups.",
        ).names
    )
    groups: set[str] = set()
    beyond: list[str] = []
    for name in sorted(names):
        found = _ask(
            f"managed node group {name}",
            partial(aws.eks.get_node_group, cluster_name=cluster, node_group_name=name),
            "Set lls:nodeGroups to managed node groups of the cluster.",
        )
        if not config.node_groups and not config.node_selector.items() <= (found.labels or {}).items():
            continue
        for each in (each.name for resource in found.resources for each in resource.autoscaling_groups):
            zones = _ask(
                f"Auto Scaling group {each}",
                partial(aws.autoscaling.get_group, name=each),
                "Allow autoscaling:DescribeAutoScalingGroups, or set lls:nodeGroups to other groups.",
            ).availability_zones
            if zone in zones or config.node_groups:
                groups.add(each)
                if set(zones) != {zone}:
                    beyond.append(f"{name} ({each}) spans {', '.join(sorted(zones))}")
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


def _binding(config: Config, kubeconfig: str) -> Binding:
    """The binding, in a cluster whose controller knows such."""
    known = _ask(
        "AWS Load Balancer Controller",
        lambda: ClusterApi(kubeconfig, config.kube_context).serves(BINDING_API),
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


def find_targets(config: Config, kubeconfig: str) -> tuple[str, ...]:
    """4.2: the given targets, or the labelled nodes of the NLB's zone."""
    if config.registration == "static":
        return tuple(sorted(config.targets))
    nodes = _ask(
        "nodes in the Kubernetes API",
        lambda: ClusterApi(kubeconfig, config.kube_context).nodes(config.node_selector),
        "Check that `aws eks get-token` works here and may list nodes, set lls:kubeconfig and lls:kubeContext, "
        "or list the targets with lls:registration static.",
    )
    chosen = choose_targets(nodes, zone=config.availability_zone, target_type=config.target_type)
    if not chosen.ids:
        raise pulumi.RunError(_no_targets(config, chosen))
    if chosen.skipped:
        pulumi.log.warn(f"Nodes that will not be targets: {_reasons(chosen)}")
    return chosen.ids


def _no_targets(config: Config, chosen: Targets) -> str:
    return (
        f"No node with {_labels(config)} can be a target in {config.availability_zone}"
        + (f": {_reasons(chosen)}. " if chosen.skipped else ": no node has these labels. ")
        + "Set lls:nodeSelector or lls:availabilityZone, or list the targets with lls:registration static."
    )


def _labels(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.node_selector.items()) or "any label"


def _reasons(chosen: Targets) -> str:
    """Reasons with the nodes that they are about, since a cluster may have hundreds in other zones."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in chosen.skipped.items():
        by_reason.setdefault(reason, []).append(node)
    return "; ".join(f"{reason}: {', '.join(nodes)}" for reason, nodes in by_reason.items())


def find_artifacts(config: Config) -> tuple[str, str]:
    """Chart and image repository, in the account's ECR where the config leaves them open."""
    if config.chart and config.image_repository:
        return config.chart, config.image_repository
    remedy = "Set lls:chart and lls:imageRepository, or check the AWS credentials."
    account = _ask("AWS account", aws.get_caller_identity, remedy).account_id
    suffix = _ask("AWS partition", aws.get_partition, remedy).dns_suffix
    ecr = f"{account}.dkr.ecr.{config.region}.{suffix}/{config.prefix}"
    return (
        config.chart or f"{OCI_SCHEME}{ecr}/{guide.RELEASE_NAME}",
        config.image_repository or f"{ecr}/{guide.IMAGE_NAME}",
    )


def find_token(chart: str) -> EcrToken | None:
    """4.1: a login to the chart's ECR registry, whichever account and region it is in; None for any other."""
    registry = ecr_registry(chart)
    if registry is None:
        return None
    found = _ask(
        f"ECR login to {registry.host}",
        lambda: aws.ecr.get_authorization_token(registry_id=registry.account, region=registry.region),
        "Allow ecr:GetAuthorizationToken, or set lls:registryConfig to an auth file of your own.",
    )
    return EcrToken(registry.host, found.authorization_token)


def _auth_file(token: EcrToken | None) -> str | None:
    return write_auth_file(pulumi.get_stack(), token.host, token.token) if token else None


def _ask(what: str, call: Callable[[], T], remedy: str) -> T:
    """The answer of a look-up, or one sentence with what was asked, the cause and the remedy."""
    pulumi.log.info(f"Looking up {what}", ephemeral=True)
    try:
        return call()
    except Exception as error:
        cause = PULUMIS_WORDS.sub("", " ".join((str(error) or repr(error)).split())).rstrip(".")
        raise pulumi.RunError(f"Looking up {what} failed: {cause}. {remedy}") from error
