"""The way of a packet through AWS: security groups, network ACLs, route tables. Nothing is sent.

A diagnosis from AWS's answers. The emulated AWS that it is tested in has the same physics of its own, as the judge.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lls.guide import Port
from lls.operations.world.account import Account
from lls.operations.world.inventory import Inventory, Thing

PROTOCOL_NUMBERS: Final = {"tcp": "6", "udp": "17"}
EPHEMERAL: Final = 50_000
"""A port that clients and load balancers may send from."""


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
        self._vpc_id = vpc_id
        self._inventory = Inventory(account)
        self._rules: dict[str, list[Thing]] = {}
        self._subnets: dict[str, Any] = {}

    def instances(self, targets: Iterable[str]) -> Mapping[str, Instance]:
        """The instances that have these ids or private addresses, by target."""
        wanted = sorted(targets)
        ids = [target for target in wanted if target.startswith("i-")]
        addresses = [target for target in wanted if not target.startswith("i-")]
        found: dict[str, Instance] = {}
        for name, values in (("instance-id", ids), ("private-ip-address", addresses)):
            if not values:
                continue
            filters = [{"Name": name, "Values": values}, {"Name": "vpc-id", "Values": [self._vpc_id]}]
            for reservation in self._account.every("ec2", "describe_instances", "Reservations", Filters=filters):
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
            answer = self._account.call("ec2", "describe_subnets", SubnetIds=[subnet_id])
            self._subnets[subnet_id] = answer["Subnets"][0]
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
        """Whether groups accept traffic from an address or CIDR, or from members of other groups."""
        rules = [rule for rule in self.rules(group_ids) if rule.type.endswith("IngressRule")]
        return _allows(rules, port, source, from_groups)

    def lets_out(
        self, group_ids: Iterable[str], port: Port, *, destination: str, to_groups: Iterable[str] = ()
    ) -> bool:
        """Whether groups may send to an address or CIDR, or to members of other groups."""
        rules = [rule for rule in self.rules(group_ids) if rule.type.endswith("EgressRule")]
        return _allows(rules, port, destination, to_groups)

    def has_internet(self, subnet_id: str) -> bool:
        """Whether a subnet's routes lead to an internet gateway, which alone makes it public."""
        filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        tables = list(self._account.every("ec2", "describe_route_tables", "RouteTables", Filters=filters))
        if not tables:
            filters = [
                {"Name": "vpc-id", "Values": [self._vpc_id]},
                {"Name": "association.main", "Values": ["true"]},
            ]
            tables = list(self._account.every("ec2", "describe_route_tables", "RouteTables", Filters=filters))
        return any(
            route.get("DestinationCidrBlock") == "0.0.0.0/0"
            and str(route.get("GatewayId", "")).startswith("igw-")
            and route.get("State", "active") == "active"
            for table in tables
            for route in table["Routes"]
        )

    def acl_obstacle(self, balancer_subnet: str, node_subnet: str, node: str, port: Port, client: str) -> str | None:
        """The network ACL that stops a packet from the load balancer to a node, or its answer; None where none does.

        `client` is the address that the node sees and answers to.
        """
        if balancer_subnet == node_subnet:
            return None
        back = Port(port.protocol, EPHEMERAL)
        for subnet, egress, way, peer in (
            (balancer_subnet, True, port, node),
            (node_subnet, False, port, client),
            (node_subnet, True, back, client),
            (balancer_subnet, False, back, node),
        ):
            acl = self._acl(subnet)
            if acl and not _acl_allows(acl["Entries"], egress, way, peer):
                direction = "outbound to" if egress else "inbound from"
                return (
                    f"network ACL {acl['NetworkAclId']} of {subnet} denies {way.protocol.upper()} {way.number} "
                    f"{direction} {peer}"
                )
        return None

    def _acl(self, subnet_id: str) -> Any:
        filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        found = list(self._account.every("ec2", "describe_network_acls", "NetworkAcls", Filters=filters))
        return found[0] if found else None


def _allows(rules: Iterable[Thing], port: Port, peer: str, groups: Iterable[str]) -> bool:
    members = set(groups)
    for rule in rules:
        inputs = rule.inputs
        if inputs["ipProtocol"] not in ("-1", port.protocol):
            continue
        if inputs["ipProtocol"] != "-1" and not inputs["fromPort"] <= port.number <= inputs["toPort"]:
            continue
        if inputs.get("referencedSecurityGroupId") in members:
            return True
        if any(_covers(inputs[key], peer) for key in ("cidrIpv4", "cidrIpv6") if key in inputs):
            return True
    return False


def _acl_allows(entries: Iterable[Any], egress: bool, port: Port, peer: str) -> bool:
    for entry in sorted(entries, key=lambda entry: entry["RuleNumber"]):
        ports = entry.get("PortRange", {"From": 0, "To": 65535})
        if (
            entry["Egress"] == egress
            and entry["Protocol"] in ("-1", PROTOCOL_NUMBERS[port.protocol])
            and (entry["Protocol"] == "-1" or ports["From"] <= port.number <= ports["To"])
            and _covers(entry.get("CidrBlock") or entry.get("Ipv6CidrBlock", ""), peer)
        ):
            return entry["RuleAction"] == "allow"
    return False


def _covers(block: str, peer: str) -> bool:
    if not block:
        return False
    outer, inner = ipaddress.ip_network(block), ipaddress.ip_network(peer, strict=False)
    return outer.version == inner.version and inner.subnet_of(outer)  # pyright: ignore[reportArgumentType]
