"""The way of a packet through AWS: security groups, network ACLs, route tables. Nothing is sent.

A diagnosis from AWS's answers. The emulated AWS that it is tested in has the same physics of its own, as the judge.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from lls.config.forms import is_prefix_list
from lls.guide import Port
from lls.operations.world.account import Account, AwsError
from lls.operations.world.inventory import Inventory, Thing
from lls.operations.world.network_acl import Denial, Leg, denial
from lls.public_subnet import ANYWHERE

ROUTE_TARGETS: Final = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
    "CarrierGatewayId",
    "LocalGatewayId",
    "CoreNetworkArn",
)
"""Where a route may lead, as EC2 names it. An endpoint, vpce-..., is a GatewayId too."""


@dataclass(frozen=True)
class Instance:
    """A node's EC2 instance."""

    id: str
    address: str
    state: str
    zone: str
    subnet_id: str
    group_ids: tuple[str, ...]


class Network:
    """What decides about packets in one VPC. Each question to AWS is asked once."""

    def __init__(self, account: Account, vpc_id: str) -> None:
        """Ask that account."""
        self._account = account
        self.vpc_id = vpc_id
        self._inventory = Inventory(account)
        self._rules: dict[str, list[Thing]] = {}
        self._prefix_lists: dict[str, list[str] | AwsError] = {}
        self._denials: dict[Leg, Denial | None] = {}

    def instances(self, targets: Iterable[str]) -> Mapping[str, Instance]:
        """The instances that have these ids or private addresses, by target."""
        wanted = sorted(targets)
        ids = [target for target in wanted if target.startswith("i-")]
        addresses = [target for target in wanted if not target.startswith("i-")]
        found: dict[str, Instance] = {}
        for name, values in (("instance-id", ids), ("private-ip-address", addresses)):
            for reservation in self._account.filtered(
                "describe_instances", "Reservations", name, values, vpc_id=self.vpc_id
            ):
                for described in reservation["Instances"]:
                    instance = Instance(
                        described["InstanceId"],
                        described.get("PrivateIpAddress", ""),
                        described["State"]["Name"],
                        described["Placement"]["AvailabilityZone"],
                        described.get("SubnetId", ""),
                        tuple(group["GroupId"] for group in described.get("SecurityGroups", ())),
                    )
                    found[instance.id if name == "instance-id" else instance.address] = instance
        return found

    def subnet(self, subnet_id: str) -> Any:
        """What AWS says of a subnet."""
        if subnet_id not in self._subnets:
            [self._subnets[subnet_id]] = self._account.call("ec2", "describe_subnets", SubnetIds=[subnet_id])["Subnets"]
        return self._subnets[subnet_id]

    def rules(self, group_ids: Iterable[str]) -> list[Thing]:
        """The rules of security groups."""
        wanted = list(group_ids)
        if missing := [group_id for group_id in wanted if group_id not in self._rules]:
            self._rules |= {group_id: [] for group_id in missing}
            for rule in self._inventory.rules(missing):
                self._rules[rule.inputs["securityGroupId"]].append(rule)
        return [rule for group_id in wanted for rule in self._rules[group_id]]

    def lets_in(self, group_ids: Iterable[str], port: Port, *, source: str, from_groups: Iterable[str] = ()) -> bool:
        """Whether groups accept traffic from an address or all of a CIDR, or from members of other groups.

        Raises AwsError where that depends on a prefix list that cannot be read.
        """
        rules = [rule for rule in self.rules(group_ids) if rule.type.endswith("IngressRule")]
        return self._allows(rules, port, source, from_groups)

    def lets_in_some(self, group_ids: Iterable[str], port: Port, *, source: str) -> bool:
        """Whether groups accept traffic from a part of a CIDR, as far as their prefix lists can be read."""
        rules = [rule for rule in self.rules(group_ids) if rule.type.endswith("IngressRule") and _is_about(rule, port)]
        wanted = ipaddress.IPv4Network(source)
        answers = [self._prefix_list(rule.inputs["prefixListId"]) for rule in rules if "prefixListId" in rule.inputs]
        blocks = [block for answer in answers if not isinstance(answer, AwsError) for block in answer]
        blocks += [rule.inputs["cidrIpv4"] for rule in rules if "cidrIpv4" in rule.inputs]
        return any(wanted.overlaps(ipaddress.IPv4Network(block)) for block in blocks if ":" not in block)

    def lets_out(
        self, group_ids: Iterable[str], port: Port, *, destination: str, to_groups: Iterable[str] = ()
    ) -> bool:
        """Whether groups may send to an address or all of a CIDR, or to members of other groups.

        Raises AwsError where that depends on a prefix list that cannot be read.
        """
        rules = [rule for rule in self.rules(group_ids) if rule.type.endswith("EgressRule")]
        return self._allows(rules, port, destination, to_groups)

    def default_route(self, subnet_id: str) -> str:
        """The id of what a subnet's default route leads to, also where it is in two halves; empty without one."""
        own = [table for table in self._route_tables if _is_associated(table, subnet_id)]
        main = [
            table
            for table in self._route_tables
            if any(association.get("Main") for association in table["Associations"])
        ]
        blocks: dict[str, list[str]] = {}
        for table in own or main:
            for route in table["Routes"]:
                if route.get("State", "active") == "active" and "DestinationCidrBlock" in route:
                    target = next((route[kind] for kind in ROUTE_TARGETS if kind in route), "")
                    blocks.setdefault(target, []).append(route["DestinationCidrBlock"])
        return next((target for target, led in blocks.items() if _cover(led, ANYWHERE)), "")

    def denials(self, legs: Iterable[Leg]) -> list[Denial]:
        """What network ACLs deny of these ways."""
        wanted = list(legs)
        for leg in wanted:
            if leg not in self._denials:
                acls = [acl for acl in self._acls if _is_associated(acl, leg.subnet_id)]
                self._denials[leg] = denial(acls[0], leg) if acls else None
        return [found for leg in wanted if (found := self._denials[leg])]

    @cached_property
    def _subnets(self) -> dict[str, Any]:
        return {subnet["SubnetId"]: subnet for subnet in self._of_the_vpc("describe_subnets", "Subnets")}

    @cached_property
    def _route_tables(self) -> list[Any]:
        return self._of_the_vpc("describe_route_tables", "RouteTables")

    @cached_property
    def _acls(self) -> list[Any]:
        return self._of_the_vpc("describe_network_acls", "NetworkAcls")

    def _of_the_vpc(self, operation: str, key: str) -> list[Any]:
        return list(self._account.filtered(operation, key, "vpc-id", [self.vpc_id]))

    def _allows(self, rules: Iterable[Thing], port: Port, peer: str, groups: Iterable[str]) -> bool:
        fitting = [rule.inputs for rule in rules if _is_about(rule, port)]
        members = set(groups)
        if any(rule.get("referencedSecurityGroupId") in members for rule in fitting):
            return True
        blocks = [rule[key] for rule in fitting for key in ("cidrIpv4", "cidrIpv6") if key in rule]
        if _cover(blocks, peer):
            return True
        answers = [self._prefix_list(rule["prefixListId"]) for rule in fitting if "prefixListId" in rule]
        blocks += [block for answer in answers if not isinstance(answer, AwsError) for block in answer]
        if _cover(blocks, peer):
            return True
        for answer in answers:
            if isinstance(answer, AwsError):
                raise answer
        return False

    def blocks(self, source: str) -> list[str]:
        """The IPv4 blocks of who may stream: a CIDR itself, or a prefix list's. Raises AwsError."""
        if not is_prefix_list(source):
            return [source]
        answer = self._prefix_list(source)
        if isinstance(answer, AwsError):
            raise answer
        return [block for block in answer if ":" not in block]

    def _prefix_list(self, list_id: str) -> list[str] | AwsError:
        """The blocks of a prefix list, or why they cannot be read."""
        if list_id not in self._prefix_lists:
            try:
                entries = self._account.every("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=list_id)
                self._prefix_lists[list_id] = [entry["Cidr"] for entry in entries]
            except AwsError as error:
                self._prefix_lists[list_id] = error
        return self._prefix_lists[list_id]


def _is_associated(described: Any, subnet_id: str) -> bool:
    """Whether a route table or an ACL is a subnet's."""
    return any(association.get("SubnetId") == subnet_id for association in described["Associations"])


def _is_about(rule: Thing, port: Port) -> bool:
    protocol = rule.inputs["ipProtocol"]
    return protocol == "-1" or (
        protocol == port.protocol and rule.inputs["fromPort"] <= port.number <= rule.inputs["toPort"]
    )


def _cover(blocks: Iterable[str], peer: str) -> bool:
    """Whether blocks together hold all of an address or a block."""
    inner: Any = ipaddress.ip_network(peer, strict=False)
    outer: list[Any] = [
        network for block in blocks if (network := ipaddress.ip_network(block)).version == inner.version
    ]
    collapsed: Iterator[Any] = ipaddress.collapse_addresses(outer)
    return any(inner.subnet_of(network) for network in collapsed)
