"""What network ACLs deny of the packets that cross a subnet's border, exactly: addresses and ports.

A diagnosis from AWS's answers. The emulated AWS that it is tested in has the same physics of its own, as the judge.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

PROTOCOL_NUMBERS: Final = {"tcp": "6", "udp": "17"}
"""IANA's numbers, by which network ACLs know protocols."""

EPHEMERAL: Final = (1024, 65535)
"""The first and the last of the ports that clients and load balancers send from, and are answered at."""

GAP: Final = 4096
"""Ephemeral ports in a row that must be closed before it is told: a rule against one service hits hardly any client."""

LAST_RULE: Final = 32766
"""The highest number of a rule of one's own; the one after it denies the rest."""


@dataclass(frozen=True)
class Leg:
    """A way over a subnet's border: out of it or into it, to or from the `peer`, an IPv4 address or block.

    `ports` are the first and the last of the destination's ports.
    """

    subnet_id: str
    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp"]
    ports: tuple[int, int]
    peer: str


@dataclass(frozen=True)
class Denial:
    """What a network ACL denies of a leg: `ports` and `peer` are those of the first packets that are denied.

    `rule` is the number of the rule that denies them, and `taken` the numbers of all rules of that direction.
    `is_for_all` tells whether it denies something to every address of the leg's peer.
    """

    acl_id: str
    leg: Leg
    rule: int
    ports: tuple[int, int]
    peer: str
    taken: frozenset[int]
    is_for_all: bool

    def __str__(self) -> str:
        first, last = self.ports
        ports = str(first) if first == last else f"{first}-{last}"
        direction = "outbound to" if self.leg.direction == "out" else "inbound from"
        by = f"rule {self.rule}" if self.rule <= LAST_RULE else "no rule allows it"
        return (
            f"network ACL {self.acl_id} of {self.leg.subnet_id} denies {self.leg.protocol.upper()} {ports} "
            f"{direction} {self.peer} ({by})"
        )


@dataclass(frozen=True)
class _Packets:
    """A range of addresses and one of ports."""

    addresses: tuple[int, int]
    ports: tuple[int, int]

    def within(self, other: "_Packets") -> "_Packets | None":
        """What both hold."""
        addresses, ports = _overlap(self.addresses, other.addresses), _overlap(self.ports, other.ports)
        return _Packets(addresses, ports) if addresses and ports else None

    def without(self, inner: "_Packets") -> "list[_Packets]":
        """What is left without a part of it."""
        beside = [_Packets(addresses, self.ports) for addresses in _around(self.addresses, inner.addresses)]
        return beside + [replace(inner, ports=ports) for ports in _around(self.ports, inner.ports)]


def denial(acl: Mapping[str, Any], leg: Leg) -> Denial | None:
    """What an ACL, as AWS describes it, denies of a leg; None where it lets all of it through."""
    network = ipaddress.IPv4Network(leg.peer, strict=False)
    undecided = [_Packets((int(network[0]), int(network[-1])), leg.ports)]
    entries = sorted(
        (entry for entry in acl["Entries"] if entry["Egress"] == (leg.direction == "out")),
        key=lambda entry: entry["RuleNumber"],
    )
    denied: list[tuple[int, _Packets]] = []
    for entry in (entry for entry in entries if _is_about(entry, leg)):
        block = ipaddress.IPv4Network(entry["CidrBlock"], strict=False)
        about = _Packets((int(block[0]), int(block[-1])), _ports(entry))
        rest: list[_Packets] = []
        for packets in undecided:
            decided = packets.within(about)
            if decided and entry["RuleAction"] == "deny":
                denied.append((entry["RuleNumber"], decided))
            rest += packets.without(decided) if decided else [packets]
        undecided = rest
    denied += [(LAST_RULE + 1, packets) for packets in undecided]
    if leg.ports == EPHEMERAL:
        denied = [(rule, packets) for rule, packets in denied if packets.ports[1] - packets.ports[0] + 1 >= GAP]
    if not denied:
        return None
    rule, first = denied[0]
    start, end = (ipaddress.IPv4Address(address) for address in first.addresses)
    return Denial(
        acl_id=acl["NetworkAclId"],
        leg=leg,
        rule=rule,
        ports=first.ports,
        peer=str(next(ipaddress.summarize_address_range(start, end))).removesuffix("/32"),
        taken=frozenset(entry["RuleNumber"] for entry in entries),
        is_for_all=_cover([packets.addresses for _, packets in denied], (int(network[0]), int(network[-1]))),
    )


def _is_about(entry: Mapping[str, Any], leg: Leg) -> bool:
    return "CidrBlock" in entry and entry["Protocol"] in ("-1", PROTOCOL_NUMBERS[leg.protocol])


def _ports(entry: Mapping[str, Any]) -> tuple[int, int]:
    listed = entry.get("PortRange") if entry["Protocol"] != "-1" else None
    return (listed["From"], listed["To"]) if listed else (0, 65535)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    first, last = max(one[0], other[0]), min(one[1], other[1])
    return (first, last) if first <= last else None


def _around(outer: tuple[int, int], inner: tuple[int, int]) -> list[tuple[int, int]]:
    """What is left of a range on both sides of a part of it."""
    sides = ((outer[0], inner[0] - 1), (inner[1] + 1, outer[1]))
    return [(first, last) for first, last in sides if first <= last]


def _cover(ranges: Sequence[tuple[int, int]], wanted: tuple[int, int]) -> bool:
    """Whether ranges together hold all of another."""
    reached = wanted[0]
    for first, last in sorted(ranges):
        if first <= reached:
            reached = max(reached, last + 1)
    return reached > wanted[1]


def crossings(
    balancer_subnet: str, node_subnet: str, *, nodes: str, source: str, protocol: Literal["tcp", "udp"], port: int
) -> Iterable[Leg]:
    """The ways of packets from a load balancer's subnet to nodes, which see and answer `source`.

    `nodes` and `source` are blocks. Inside one subnet no ACL is asked.
    """
    if balancer_subnet == node_subnet:
        return ()
    return (
        Leg(balancer_subnet, "out", protocol, (port, port), nodes),
        Leg(node_subnet, "in", protocol, (port, port), source),
        Leg(node_subnet, "out", protocol, EPHEMERAL, source),
        Leg(balancer_subnet, "in", protocol, EPHEMERAL, nodes),
    )


def entrance(balancer_subnet: str, *, client: str, port: int) -> Iterable[Leg]:
    """The ways of a client's packet into a load balancer's subnet, and of the answer to it."""
    return (
        Leg(balancer_subnet, "in", "udp", (port, port), client),
        Leg(balancer_subnet, "out", "udp", EPHEMERAL, client),
    )
