"""What the names of an emulated world stand for, as everybody's resolver has it."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

from moto.elbv2.models import FakeLoadBalancer, elbv2_backends
from moto.route53.models import FakeZone, RecordSet, route53_backends

from lls.hosted_zone import lies_in
from rehearsal.world import World

SHARED: Final = "203.0.113."
"""What the address of a load balancer without an Elastic IP begins with: of RFC 5737, for documentation."""


class Resolver:
    """The names of load balancers, of the delegated public zones, and of `others`, whose zones are somebody else's.

    `others` has for each name another one, or an address. They may be changed at any time.
    """

    def __init__(self, world: World) -> None:
        """Resolve what that world has."""
        self._world = world
        self._numbers: dict[str, int] = {}
        self.others: dict[str, str] = {}

    def resolve(self, name: str) -> Sequence[str]:
        """The addresses of a name. Raises socket.gaierror, as the system's resolver does."""
        if name[-1].isdigit():
            return [name]
        if found := sorted(address for target in self._targets(name) for address in self.resolve(target)):
            return found
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def _targets(self, name: str) -> Iterator[str]:
        """The names or addresses that a name stands for."""
        for balancer in elbv2_backends[self._world.account][self._world.region].load_balancers.values():
            if str(balancer.dns_name).lower() == name.lower():
                yield from self._addresses(balancer)
        if name in self.others:
            yield self.others[name]
        elif zone := max(self._zones_of(name), key=lambda zone: len(zone.name), default=None):
            for record in zone.rrsets:
                if record.name == f"{name}." and record.type in ("A", "AAAA", "CNAME"):
                    yield from _values(record)

    def _zones_of(self, name: str) -> Iterator[FakeZone]:
        zones = route53_backends[self._world.account][self._world.partition].zones.values()
        lost = {f"{zone.name}." for zone in self._world.hosted_zones if not zone.delegated}
        return (
            zone for zone in zones if lies_in(f"{name}.", zone.name) and not zone.private_zone and zone.name not in lost
        )

    def _addresses(self, balancer: FakeLoadBalancer) -> list[str]:
        zones: Any = balancer.availability_zones
        static = [address["IpAddress"] for zone in zones for address in zone["LoadBalancerAddresses"]]
        number = self._numbers.setdefault(balancer.arn, len(self._numbers) + 1)
        return static or [f"{SHARED}{number}"]


def _values(record: RecordSet) -> list[str]:
    """What a record says; an alias's target with its name."""
    alias = record.alias_target
    return [str(alias["DNSName"]).rstrip(".")] if alias else [str(value).rstrip(".") for value in record.records]
