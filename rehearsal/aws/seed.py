"""What an emulated AWS holds before `up`: a world's VPC, nodes, cluster, roles and images."""

import base64
import hashlib
import ipaddress
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import chain, repeat
from typing import Any, Final, Self
from unittest.mock import patch

from moto.ec2.models import ec2_backends, elastic_ip_addresses, managed_prefixes, security_groups, subnets, vpcs
from moto.ec2.models.instances import Instance
from moto.ecr.models import ecr_backends
from moto.eks.models import eks_backends
from moto.iam.models import iam_backends
from moto.route53.models import route53_backends
from moto.sns.models import sns_backends

from lls import guide
from lls.oci import tag_of
from lls.operations.world.chart_archive import ARCHIVE_TYPE
from rehearsal.aws.callers import ROLE
from rehearsal.aws.layers import Layers
from rehearsal.kubernetes.chart_files import archive, chart_files
from rehearsal.world import HostedZone, InstanceState, ManagedNodeGroup, Node, PrefixList, World

VPC_CIDR: Final = "10.0.0.0/16"
OTHER_VPC_CIDR: Final = "10.99.0.0/16"

STATE_CODES: Final[Mapping[InstanceState, int]] = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
"""The codes of EC2's instance states."""


class Seed:
    """What was made. `nodes` maps each node's name to its instance id and its private address.

    `subnets` lists those of each zone, the public ones first.
    """

    def __init__(self, world: World, client: Callable[[str], Any], cluster_endpoint: str, layers: Layers) -> None:
        """Prepare to make that world: by moto's own hands, many times faster than calls, but for node groups."""
        self._world = world
        self._ec2 = ec2_backends[world.account][world.region]
        self._client = client
        self._cluster_endpoint = cluster_endpoint
        self._layers = layers
        self.nodes: dict[str, tuple[str, str]] = {}
        self._grouped: set[str] = set()  # instances, each of which is in one Auto Scaling group at most
        self.vpc_id = ""
        self.subnets: dict[str, list[str]] = {}
        self.node_security_group_ids: tuple[str, ...] = ()
        self.cluster_security_group_id = ""

    def perform(self) -> Self:
        """Make everything."""
        world = self._world
        with _wanted_id(vpcs, "random_vpc_id", world.vpc_id):
            self.vpc_id = self._ec2.create_vpc(VPC_CIDR).id
        self._make_subnets()
        owned = f"kubernetes.io/cluster/{world.cluster}"
        self.cluster_security_group_id = self._group(
            f"eks-cluster-sg-{world.cluster}-1", {owned: "owned", "aws:eks:cluster-name": world.cluster}
        )
        wanted = world.node_security_group_ids
        count = max(world.quirks.node_groups, len(wanted)) if world.quirks.node_groups else 0
        self.node_security_group_ids = tuple(
            self._group(f"{world.cluster}-node-{number}", {owned: "owned"}, id_)
            for number, id_ in zip(range(count), chain(wanted, repeat(None)), strict=False)
        )
        for number, id_ in enumerate(wanted[count:]):
            self._group(f"nodes-{number}", {}, id_)
        for prefix_list in world.prefix_lists:
            self._make_prefix_list(prefix_list)
        if world.eip_allocation_id:
            with _wanted_id(elastic_ip_addresses, "random_eip_allocation_id", world.eip_allocation_id):
                self._ec2.allocate_address("vpc")
        image = self._ec2.register_image("node").id
        for node in sorted(world.nodes, key=lambda node: node.ip is None):  # before moto gives the address away
            self.nodes[node.name] = self._make_node(node, image)
        self._make_cluster()
        self._make_roles()
        self._make_images()
        if world.alarm_topic:
            self._make_topic(world.alarm_topic)
        for group in world.quirks.managed_node_groups:
            self._make_node_group(group)
        for zone in world.hosted_zones:
            self._make_zone(zone)
        return self

    def _make_subnets(self) -> None:
        ec2 = self._ec2
        gateway = ec2.create_internet_gateway().id
        ec2.attach_internet_gateway(gateway, self.vpc_id)
        routes = ec2.create_route_table(self.vpc_id).id
        ec2.create_route(routes, "0.0.0.0/0", gateway_id=gateway)
        blocks = ipaddress.ip_network(VPC_CIDR).subnets(new_prefix=20)
        for subnet in self._world.subnets:
            with _wanted_id(subnets, "random_subnet_id", subnet.id):
                made = ec2.create_subnet(
                    self.vpc_id, str(next(blocks)), availability_zone=self._world.zone(subnet.zone)
                )
            made.map_public_ip_on_launch = subnet.map_public_ip
            if subnet.public and subnet.internet_gateway:
                ec2.associate_route_table(routes, subnet_id=made.id)
            if subnet.free_addresses is not None:
                # Moto counts down from here with every network interface.
                made._available_ip_addresses = subnet.free_addresses  # pyright: ignore[reportPrivateUsage]
            of_zone = self.subnets.setdefault(subnet.zone, [])
            of_zone.insert(0 if subnet.public else len(of_zone), made.id)

    def _group(self, name: str, tags: Mapping[str, str], wanted: str | None = None) -> str:
        with _wanted_id(security_groups, "random_security_group_id", wanted):
            return self._ec2.create_security_group(name, name, self.vpc_id, dict(tags)).id

    def _make_prefix_list(self, prefix_list: PrefixList) -> None:
        with patch.object(managed_prefixes, "random_managed_prefix_list_id", lambda: prefix_list.id):
            self._ec2.create_managed_prefix_list(
                address_family=prefix_list.address_family,
                entry=[{"Cidr": cidr} for cidr in prefix_list.cidrs],
                max_entries=str(prefix_list.max_entries),
                prefix_list_name=prefix_list.id,
            )

    def _make_node(self, node: Node, image: str) -> tuple[str, str]:
        """An instance in its zone's last subnet, which is a private one where there is any; the others have none."""
        if node.compute_type == "hybrid":
            return "", node.ip or f"192.168.100.{len(self.nodes) + 1}"
        numbers = range(len(self.node_security_group_ids)) if node.security_groups is None else node.security_groups
        groups = [self.node_security_group_ids[number] for number in numbers] or [self.cluster_security_group_id]
        subnet_id = self.subnets.get(node.zone, [*self.subnets.values()][-1])[-1]
        if node.other_vpc:
            groups, subnet_id = [], self._make_other_vpc(node.zone)
        block = ipaddress.ip_network(self._ec2.get_subnet(subnet_id).cidr_block)
        if node.compute_type == "fargate":
            wanted = node.ip or str(block[-2 - len(self.nodes)])
            interface = self._ec2.create_network_interface(self._ec2.get_subnet(subnet_id), wanted)
            return "", str(interface.private_ip_address)
        fits = node.ip and ipaddress.ip_address(node.ip) in block
        [instance] = self._ec2.run_instances(
            image,
            1,
            None,
            [],
            instance_type="g6e.12xlarge",
            is_instance_type_default=False,
            subnet_id=subnet_id,
            security_group_ids=groups,
            private_ip=node.ip if fits else None,
        ).instances
        if node.ip and not fits:
            self._force_address(instance, node.ip)
        if node.instance_id:
            instance.id = node.instance_id
        address = node.ip or str(instance.private_ip)
        self._set_state(instance, node.instance_state)
        return instance.id, address

    def _make_other_vpc(self, zone: str) -> str:
        """A subnet of that zone in a VPC of somebody else."""
        vpc = self._ec2.create_vpc(OTHER_VPC_CIDR)
        return self._ec2.create_subnet(vpc.id, OTHER_VPC_CIDR, availability_zone=self._world.zone(zone)).id

    def _set_state(self, instance: Instance, state: InstanceState) -> None:
        """Moto knows the way to some states only, and no state on its way."""
        if state == "terminated":
            instance.terminate()
            instance.nics.clear()  # a terminated instance has no address any more
        instance._state.name = state  # pyright: ignore[reportPrivateUsage]
        instance._state.code = STATE_CODES[state]  # pyright: ignore[reportPrivateUsage]

    def _force_address(self, instance: Instance, address: str) -> None:
        """Give an instance an address outside its subnet: the stack's own VPC has other blocks than this one."""
        instance.nics[0].private_ip_address = address
        wanted = ipaddress.ip_network(f"{address}/24", strict=False)
        blocks = self._ec2.get_vpc(self.vpc_id).get_cidr_block_association_set()
        if not any(wanted.overlaps(ipaddress.ip_network(str(block["cidr_block"]))) for block in blocks):
            self._ec2.associate_vpc_cidr_block(self.vpc_id, str(wanted), amazon_provided_ipv6_cidr_block=False)

    def _make_cluster(self) -> None:
        world = self._world
        cluster = eks_backends[world.account][world.region].create_cluster(
            name=world.cluster,
            role_arn=f"arn:{world.partition}:iam::{world.account}:role/cluster",
            resources_vpc_config={
                "subnetIds": [subnet for of_zone in self.subnets.values() for subnet in of_zone],
                "securityGroupIds": [],
            },
        )
        cluster.status, cluster.version = world.quirks.cluster_status, "1.34"
        cluster.endpoint = self._cluster_endpoint
        cluster.kubernetes_network_config = _network_config(world.quirks.ip_family)
        certificate = base64.b64encode(b"no certificate: plain HTTP").decode()
        cluster.certificate_authority = {} if cluster.status == "CREATING" else {"data": certificate}
        cluster.resources_vpc_config |= {
            "vpcId": self.vpc_id,
            "clusterSecurityGroupId": self.cluster_security_group_id,
            "endpointPublicAccess": True,
            "endpointPrivateAccess": True,
            "publicAccessCidrs": ["0.0.0.0/0"],
        }

    def _make_roles(self) -> None:
        world = self._world
        iam = iam_backends[world.account][world.partition]
        for name in (ROLE, *([f"{world.cluster}-gvo-operator"] if world.quirks.gvo_operator else [])):
            iam.create_role(name, "{}", "/", None, name, [], "3600")

    def _make_topic(self, arn: str) -> None:
        """A topic as SNS makes it, with a subscription that is confirmed."""
        _, _, _, region, account, name = arn.split(":")
        sns = sns_backends[account][region]
        sns.create_topic(name)
        sns.subscribe(arn, "pager@example.com", "email")

    def _make_images(self) -> None:
        """What the guide's mirroring puts into ECR. A prefix that ECR does not take has nothing in it."""
        world = self._world
        ecr = ecr_backends[world.account][world.region]
        prefix = world.repository_prefix or ""
        if not world.quirks.mirrored or not prefix or prefix != prefix.lower():
            return
        helm, docker = "application/vnd.cncf.helm.config.v1+json", "application/vnd.docker.container.image.v1+json"
        chart = archive(chart_files(world.quirks, world.chart_version or "0"))
        chart_digest = f"sha256:{hashlib.sha256(chart).hexdigest()}"
        layer = {"mediaType": ARCHIVE_TYPE, "size": len(chart), "digest": chart_digest}
        self._layers.push(f"{prefix}/{guide.RELEASE_NAME}", chart_digest, chart)
        for name, tag, media_type, layers in (
            (guide.RELEASE_NAME, tag_of(world.chart_version or ""), helm, [layer]),
            (guide.IMAGE_NAME, world.image_tag, docker, []),
        ):
            ecr.create_repository(f"{prefix}/{name}", None, {}, None, "", [])
            digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
            manifest: Mapping[str, Any] = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": media_type, "size": 1, "digest": digest},
                "layers": layers,
            }
            ecr.put_image(f"{prefix}/{name}", json.dumps(manifest), tag or "0")

    def _make_zone(self, zone: HostedZone) -> None:
        route53 = route53_backends[self._world.account][self._world.partition]
        made = route53.create_hosted_zone(f"{zone.name}.", private_zone=zone.private)
        id_ = zone.id or f"Z{made.resource_id[1:]}"  # moto's may begin with any letter
        route53.zones[id_] = route53.zones.pop(made.resource_id)
        made.resource_id = id_

    def _make_node_group(self, group: ManagedNodeGroup) -> None:
        world, name = self._world, f"eks-{group.name}"
        subnets_of = {zone: self.subnets.get(zone, [])[-1:] for zone in group.zones}
        template = self._client("ec2").create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "g6e.12xlarge"}
        )["LaunchTemplate"]
        placed = [subnet for of in subnets_of.values() for subnet in of]
        instances = [
            self.nodes[node.name][0]
            for node in world.nodes
            if node.has_instance
            and node.zone in group.zones
            and (node.labels is None or group.labels.items() <= node.labels.items())
            and self.nodes[node.name][0] not in self._grouped
        ]
        self._grouped.update(instances)
        autoscaling = self._client("autoscaling")
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=max(10, len(instances)),
            DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateId": template.get("LaunchTemplateId", ""), "Version": "$Latest"},
            VPCZoneIdentifier=",".join(placed),
        )
        if instances:
            autoscaling.attach_instances(AutoScalingGroupName=name, InstanceIds=instances)
        self._client("eks").create_nodegroup(
            clusterName=world.cluster,
            nodegroupName=group.name,
            nodeRole=f"arn:{world.partition}:iam::{world.account}:role/node",
            subnets=placed,
            labels=dict(group.labels),
            scalingConfig={"minSize": 0, "maxSize": max(10, len(instances)), "desiredSize": len(instances)},
        )
        made = eks_backends[world.account][world.region].describe_nodegroup(world.cluster, group.name)
        made.resources["autoScalingGroups"] = [{"name": name}]


def _network_config(family: str) -> dict[str, str]:
    if family == "ipv6":
        return {"ipFamily": "ipv6", "serviceIpv6Cidr": "fd30:1c53:5f8a::/108"}
    return {"ipFamily": "ipv4", "serviceIpv4Cidr": "172.20.0.0/16"}


def _wanted_id(module: Any, generator: str, wanted: str | None) -> Any:
    """Let moto's next generated id be the wanted one."""
    return patch.object(module, generator, lambda: wanted) if wanted else ExitStack()
