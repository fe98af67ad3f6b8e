"""What the stack finds rather than makes: plain values, looked up in one place before anything is created."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import pulumi
import pulumi_aws as aws

from lls.artifacts import find_artifacts, find_token, log_in
from lls.asking import ask
from lls.carriers import find_carriers
from lls.cluster import EksCluster, kubeconfig_of_identity
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.fitness import check_ip_family
from lls.hosted_zone import HostedZone, find_hosted_zone
from lls.node_security_groups import NodeSecurityGroups, find_node_security_groups, without_effect
from lls.public_subnet import find_public_subnet, find_subnets
from lls.sources import check_sources
from lls.streaming_nlb_args import ElasticIp
from lls.target_registration import Targets
from lls.targets import find_targets

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything that exists already and that the stack builds on.

    `elastic_ip` is the one that the config names, if any; `hosted_zone` the one that gets the record of a DNS name,
    None where this stack makes none; `registry_config` the auth file for the chart's
    registry, None where Helm's own settings hold; `kubeconfig` is a secret where it
    is the config's own.
    """

    cluster: EksCluster
    vpc_id: str
    subnet_id: str
    node_security_groups: NodeSecurityGroups
    elastic_ip: ElasticIp | None
    hosted_zone: HostedZone | None
    targets: Targets
    kubeconfig: pulumi.Input[str] = field(repr=False)
    chart: str
    image_repository: str
    registry_config: str | None


def look_up(config: Config) -> Surroundings:
    """Find everything that the config leaves open, and log in to the chart's registry.

    Raises pulumi.RunError with a line for each thing that is missing or ambiguous, which names the key to set.
    """
    cluster = find_cluster(config)
    vpc_id = find_vpc(config, cluster)
    own = config.kubeconfig.get_secret_value()
    kubeconfig = own or kubeconfig_of_identity(config, cluster)
    subnet_id = _attempt(lambda: find_public_subnet(config, vpc_id))
    elastic_ip = _attempt(lambda: find_elastic_ip(config))
    zone = _attempt(lambda: find_hosted_zone(config))
    family = _attempt(lambda: check_ip_family(cluster))
    api = ClusterApi(kubeconfig, config.kube_context)
    chosen = _attempt(lambda: find_targets(config, vpc_id, api))
    node_groups = _attempt(lambda: _find_node_groups(config, vpc_id, cluster, api, _known(chosen)))
    sources = _attempt(lambda: check_sources(config))
    artifacts = _attempt(lambda: find_artifacts(config))
    token = _attempt(lambda: None if config.registry_config else find_token(artifacts.result()[0]))
    attempts = (subnet_id, node_groups, elastic_ip, zone, family, chosen, sources, artifacts, token)
    if problems := dict.fromkeys(str(error) for error in (attempt.exception() for attempt in attempts) if error):
        raise pulumi.RunError("\n".join(problems))
    chart, image_repository = artifacts.result()
    return Surroundings(
        cluster=cluster,
        vpc_id=vpc_id,
        subnet_id=subnet_id.result(),
        node_security_groups=node_groups.result(),
        elastic_ip=elastic_ip.result(),
        hosted_zone=zone.result(),
        targets=chosen.result(),
        kubeconfig=pulumi.Output.secret(own) if own else kubeconfig,
        chart=chart,
        image_repository=image_repository,
        registry_config=config.registry_config or log_in(token.result()),
    )


def _attempt(find: Callable[[], T]) -> Future[T]:
    """What was found, or the RunError that says why not: the look-ups that follow may have something to say too."""
    done: Future[T] = Future()
    try:
        done.set_result(find())
    except pulumi.RunError as error:
        done.set_exception(error)
    return done


def _known(attempt: Future[T]) -> T | None:
    return None if attempt.exception() else attempt.result()


def _find_node_groups(
    config: Config, vpc_id: str, cluster: EksCluster, api: ClusterApi, targets: Targets | None
) -> NodeSecurityGroups:
    """4.3: the nodes' security groups, with a warning for what is not known of them, or wrong for some.

    Without targets, which is an error of its own, as far as they can be told without.
    """
    carriers = find_carriers(config, vpc_id, targets or Targets(), api)
    found = find_node_security_groups(config, vpc_id, cluster, carriers)
    doubts = (without_effect(carriers, found.ids), carriers.untold(found.ids)) if targets else ()
    for doubt in filter(None, doubts):
        pulumi.log.warn(f"The nodes' security groups: {doubt}")
    return found


def find_cluster(config: Config) -> EksCluster:
    """2.2: the cluster, once it has an API."""
    found = ask(
        f"EKS cluster {config.cluster_name} in {config.region}",
        lambda: aws.eks.get_cluster(name=config.cluster_name),
        "Check lls:clusterName, aws:region and the AWS credentials.",
    )
    if not found.certificate_authorities:
        raise pulumi.RunError(
            f"EKS cluster {config.cluster_name} has no API yet. Wait until it is active, then run again."
        )
    network = found.vpc_config
    families = found.kubernetes_network_configs
    return EksCluster(
        name=config.cluster_name,
        arn=found.arn,
        region=config.region,
        endpoint=found.endpoint,
        certificate_authority=found.certificate_authorities[0].data,
        vpc_id=network.vpc_id,
        security_group_id=network.cluster_security_group_id,
        ip_family=families[0].ip_family if families else "ipv4",
    )


def find_vpc(config: Config, cluster: EksCluster) -> str:
    """2.2: the cluster's VPC, or the given one if there is such."""
    if config.vpc_id and not find_subnets({"vpc-id": config.vpc_id}):
        raise pulumi.RunError(
            f"lls:vpcId = {config.vpc_id}: no subnet of {config.region} is in such a VPC. Set it to the VPC of the "
            f"nodes, or leave it empty for the cluster's, which is {cluster.vpc_id}."
        )
    return config.vpc_id or cluster.vpc_id


def find_elastic_ip(config: Config) -> ElasticIp | None:
    """2.5 B: the address that the config names, if any."""
    if not config.eip_allocation_id:
        return None
    found = ask(
        f"Elastic IP {config.eip_allocation_id}",
        lambda: aws.ec2.get_elastic_ip(id=config.eip_allocation_id),
        "Set lls:eipAllocationId to an allocation of this account and region, or use lls:staticIp.",
    )
    return ElasticIp(config.eip_allocation_id, found.public_ip)
