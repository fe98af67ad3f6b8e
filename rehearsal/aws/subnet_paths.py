"""What subnets let through: their route tables and network ACLs.

The judge of what `lls/operations/world/network.py` diagnoses: the same physics on purpose, and no code in common.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from moto.ec2.models import EC2Backend
from moto.ec2.models.network_acls import NetworkAcl
from moto.ec2.models.subnets import Subnet

EPHEMERAL: Final = (*range(1024, 65535, 4096), 65535)
"""Ports that clients may have opened: some of a crowd's."""

NUMBERS: Final = {"tcp": "6", "udp": "17"}
"""IANA's numbers, by which network ACLs know protocols."""

ANYWHERE: Final = "0.0.0.0/0"

HALVES: Final = {"0.0.0.0/1", "128.0.0.0/1"}


@dataclass(frozen=True)
class Leg:
    """A way over the border of a subnet, to or from an address or a CIDR, every one of the ports must pass."""

    subnet: Subnet
    direction: Literal["in", "out"]
    protocol: str
    ports: tuple[int, ...]
    peer: str

    def __str__(self) -> str:
        preposition = "from" if self.direction == "in" else "to"
        ports = "-".join(map(str, sorted({self.ports[0], self.ports[-1]})))
        return f"{self.direction} {self.protocol.upper()} {ports} {preposition} {self.peer}"


def reaches_internet(ec2: EC2Backend, subnet: Subnet) -> bool:
    """Whether a subnet's route table sends what is for nobody inside to an internet gateway, perhaps by a firewall.

    Its default route may be in two halves.
    """
    tables = [table for table in ec2.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = [table for table in tables if subnet.id in table._associations.values()]  # pyright: ignore[reportPrivateUsage]
    main = [table for table in tables if table.main_association_id]
    led = {
        route.destination_cidr_block
        for table in own or main
        for route in table.routes
        if (route.gateway_id or "").startswith(("igw-", "vpce-")) and route.state == "active"
    }
    return ANYWHERE in led or led >= HALVES


def stopped_at(ec2: EC2Backend, legs: Iterable[Leg]) -> str | None:
    """Which network ACL stops a way, in plain words; None where none does."""
    for leg in legs:
        acl = _acl(ec2, leg.subnet)
        if acl and not all(_allows(acl, leg, port) for port in leg.ports):
            return f"the network ACL {acl.id} of {leg.subnet.id} does not let {leg}"
    return None


def round_trip(here: Subnet, there: Subnet, protocol: str, port: int, sender: str, receiver: str) -> list[Leg]:
    """The ways of a request between two subnets, and of its answer. Inside one subnet no ACL is asked."""
    if here.id == there.id:
        return []
    return [
        Leg(here, "out", protocol, (port,), receiver),
        Leg(there, "in", protocol, (port,), sender),
        Leg(there, "out", protocol, EPHEMERAL, sender),
        Leg(here, "in", protocol, EPHEMERAL, receiver),
    ]


def _acl(ec2: EC2Backend, subnet: Subnet) -> NetworkAcl | None:
    found = (
        acl
        for acl in ec2.network_acls.values()
        if any(association.subnet_id == subnet.id for association in acl._associations.values())  # pyright: ignore[reportPrivateUsage]
    )
    return next(found, None)


def _allows(acl: NetworkAcl, leg: Leg, port: int) -> bool:
    """What the first rule that covers a packet says; without one it is denied."""
    peer = ipaddress.IPv4Network(leg.peer)
    entries: list[Any] = sorted(acl.network_acl_entries, key=lambda entry: int(entry.rule_number))
    for entry in entries:
        if str(entry.egress).lower() != str(leg.direction == "out").lower() or not entry.cidr_block:
            continue
        if str(entry.protocol) not in ("-1", NUMBERS[leg.protocol]):
            continue
        if str(entry.protocol) != "-1" and not int(entry.port_range_from) <= port <= int(entry.port_range_to):
            continue
        if peer.subnet_of(ipaddress.IPv4Network(entry.cidr_block, strict=False)):
            return entry.rule_action == "allow"
    return False
