"""The subnet of the load balancer: the zone's one public subnet, told by its route to the internet."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pulumi
import pulumi_aws as aws

from lls.asking import ask
from lls.config import Config

ANYWHERE: Final = "0.0.0.0/0"
"""The destination of an IPv4 default route."""

REMEDY: Final = "Allow it (docs/iam-policy.json), or set lls:publicSubnetId."

TARGETS: Final = (
    "gateway_id",
    "nat_gateway_id",
    "transit_gateway_id",
    "vpc_endpoint_id",
    "network_interface_id",
    "vpc_peering_connection_id",
    "carrier_gateway_id",
    "local_gateway_id",
    "core_network_arn",
)
"""Where a route may lead, as the provider names it."""


class DefaultRoute(NamedTuple):
    """Where a subnet sends what is for nobody inside; `target` is empty where it sends it nowhere."""

    table: str
    target: str

    def __str__(self) -> str:
        return f"{ANYWHERE} -> {self.target} ({self.table})" if self.target else f"no {ANYWHERE} ({self.table})"


def leads_to_internet(target: str) -> bool:
    """Whether what an IPv4 default route leads to makes its subnet public: an internet gateway."""
    return target.startswith("igw-")


def leads_to_endpoint(target: str) -> bool:
    """Whether that is the endpoint of a firewall or a Gateway Load Balancer, where other routes decide how it goes on.

    AWS Network Firewall's guide has subnets of internet-facing load balancers behind one.
    """
    return target.startswith("vpce-")


def find_public_subnet(config: Config, vpc_id: str) -> str:
    """2.2: the one public subnet of the zone, or the given one if it lies there.

    A subnet is public by its route table. Whether it hands out public addresses says nothing: a load balancer has its
    own. Raises pulumi.RunError.
    """
    here = {"vpc-id": vpc_id, "availability-zone": config.availability_zone}
    if config.public_subnet_id:
        if not find_subnets(here | {"subnet-id": config.public_subnet_id}):
            raise pulumi.RunError(
                f"lls:publicSubnetId = {config.public_subnet_id}: no subnet of {vpc_id} in {config.availability_zone}. "
                "Set it to a public subnet there; the NLB must share the zone of its targets."
            )
        return config.public_subnet_id
    routes = _default_routes(vpc_id, find_subnets(here))
    leading = [subnet for subnet, route in routes.items() if leads_to_internet(route.target)]
    gateway = _internet_gateway(vpc_id) if leading else ""
    public = [subnet for subnet in leading if routes[subnet].target == gateway]
    if len(public) == 1:
        return public[0]
    listed = "; ".join(f"{subnet}: {routes[subnet]}" for subnet in public or routes)
    found = f"several public subnets: {listed}" if public else f"no public subnet. Its subnets: {listed or 'none'}"
    behind = [subnet for subnet, route in routes.items() if leads_to_endpoint(route.target)]
    remedy, chosen = "Set the one for the NLB", "SUBNET"
    if not public and len(behind) == 1:
        [chosen] = behind
        remedy = f"If what is behind {routes[chosen].target} lets clients in, set {chosen}"
    raise pulumi.RunError(
        f"{config.availability_zone} of {vpc_id} has {found}. {remedy}: pulumi config set lls:publicSubnetId {chosen}"
    )


def find_subnets(filters: Mapping[str, str]) -> list[str]:
    """Ids of the subnets that match the filters. Raises pulumi.RunError."""
    found = ask(
        "subnets of the VPC",
        lambda: aws.ec2.get_subnets(
            filters=[aws.ec2.GetSubnetsFilterArgs(name=name, values=[value]) for name, value in filters.items()]
        ),
        "Check lls:vpcId and lls:availabilityZone, or set lls:publicSubnetId.",
    )
    return sorted(found.ids)


def _default_routes(vpc_id: str, subnets: list[str]) -> Mapping[str, DefaultRoute]:
    """Each subnet's: by the table that it is associated with, or else by the VPC's main one."""
    tables = {subnet: _associated_table(subnet) for subnet in subnets}
    routes = {table: _default_route(vpc_id, table) for table in sorted(set(tables.values()))}
    return {subnet: routes[table] for subnet, table in tables.items()}


def _associated_table(subnet: str) -> str:
    """The id of its own route table; empty where the VPC's main one serves it."""
    of_subnet = [aws.ec2.GetRouteTablesFilterArgs(name="association.subnet-id", values=[subnet])]
    found = ask(f"route table of {subnet}", lambda: aws.ec2.get_route_tables(filters=of_subnet), REMEDY)
    return next(iter(found.ids), "")


def _default_route(vpc_id: str, table: str) -> DefaultRoute:
    is_main = [aws.ec2.GetRouteTableFilterArgs(name="association.main", values=["true"])]
    found = ask(
        f"route table {table or f'of {vpc_id}, the main one'}",
        lambda: aws.ec2.get_route_table(
            vpc_id=vpc_id, route_table_id=table or None, filters=None if table else is_main
        ),
        REMEDY,
    )
    targets = [getattr(route, kind) for route in found.routes if route.cidr_block == ANYWHERE for kind in TARGETS]
    return DefaultRoute(found.route_table_id, next((target for target in targets if target), ""))


def _internet_gateway(vpc_id: str) -> str:
    """The VPC's. A route to another one, which was detached or deleted, is a black hole, and nothing else says so."""
    attached = [aws.ec2.GetInternetGatewayFilterArgs(name="attachment.vpc-id", values=[vpc_id])]
    return ask(
        f"internet gateway of {vpc_id}",
        lambda: aws.ec2.get_internet_gateway(filters=attached),
        f"Attach to it the one that its routes lead to. {REMEDY}",
    ).internet_gateway_id
