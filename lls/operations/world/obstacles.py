"""What stands in the way from clients through a load balancer to its targets, as far as AWS knows."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from lls.config import Config
from lls.config.forms import is_prefix_list
from lls.guide import Port
from lls.operations.report.finding import Cause, Finding, Level, note, ok, problem, unknown
from lls.operations.world.account import Account, AwsError
from lls.operations.world.inventory import Inventory, Thing, interface_description
from lls.operations.world.network import Instance, Network
from lls.operations.world.network_acl import Denial, crossings, entrance
from lls.operations.world.nvcf import BLOCKED_MEDIA
from lls.operations.world.remedies import Remedies
from lls.public_subnet import leads_to_endpoint, leads_to_internet


@dataclass(frozen=True)
class Path:
    """The load balancer, what it forwards to, and what is registered there."""

    balancer: Thing
    listener: Thing | None
    group: Thing
    targets: tuple[Thing, ...]

    @property
    def unhealthy(self) -> list[Thing]:
        """Targets that are not healthy."""
        return [target for target in self.targets if target.state != "healthy"]

    @property
    def is_routing(self) -> bool:
        """Whether the load balancer takes packets: one that is impaired does, and lacks resources to scale."""
        return self.balancer.state in ("active", "active_impaired")

    @property
    def media(self) -> Port:
        """The port that targets get media on."""
        return Port("udp", self.group.inputs["port"])

    @property
    def health(self) -> Port:
        """The port that targets are checked on."""
        configured = str(self.group.inputs["healthCheck"]["port"])
        return Port("tcp", int(configured) if configured.isdigit() else self.group.inputs["port"])


@dataclass(frozen=True)
class Obstacle:
    """Something in the way to a target. `stops_checks` tells whether it makes the target unhealthy."""

    check: str
    seen: str
    remedy: str = ""
    stops_checks: bool = True
    level: Level = Level.PROBLEM


@dataclass
class Obstacles:
    """Judges the ways to the targets of one path. Each question to AWS is asked once."""

    account: Account
    config: Config
    path: Path
    remedies: Remedies
    network: Network = field(init=False)

    def __post_init__(self) -> None:
        self.network = Network(self.account, self.path.balancer.outputs["vpcId"])

    def check(self) -> list[Finding]:
        """What is in the way of media and of health checks, and what makes targets unhealthy. Raises AwsError."""
        instances = self.network.instances(target.name for target in self.path.targets)
        affected: dict[Obstacle, list[str]] = {}
        for target in self.path.targets:
            for obstacle in self._before(target, instances.get(target.name)):
                affected.setdefault(obstacle, []).append(target.name)
        found: list[Finding] = [_finding(obstacle, targets) for obstacle, targets in affected.items()]
        found += self._entrance()
        if any(finding.level is not Level.NOTE for finding in found):
            return found
        routes = "" if any(finding.check == "endpoint" for finding in found) else " and routes"
        return [ok("path", f"security groups, network ACLs{routes} let media and health checks through"), *found]

    def hopeless(self, targets: Collection[Thing]) -> frozenset[str]:
        """Those whose nodes are gone, or in zones that the load balancer does not serve. Raises AwsError."""
        instances = self.network.instances(target.name for target in targets)
        return frozenset(
            target.name
            for target in targets
            if (instance := instances.get(target.name)) and self._misplaced(target, instance)
        )

    def _before(self, target: Thing, instance: Instance | None) -> Iterable[Obstacle]:
        """What is in the way to a target. A healthy one is reached by health checks, whatever seems to be."""
        is_healthy = target.state == "healthy"
        if misplaced := self._misplaced(target, instance):
            if not is_healthy:
                yield misplaced
            return
        if instance is None:
            return
        if instance.state != "running":
            if not is_healthy:
                remedy = "wait" if instance.state == "pending" else self.remedies.start(instance.id)
                yield Obstacle("node-gone", f"its instance {instance.id} is {instance.state}", remedy)
            return
        if not is_healthy:
            block = self.network.subnet(self._subnets[instance.zone])["CidrBlock"]
            yield from self._on_the_way(instance, self.path.health, "health checks", block)
        media = "media path; health checks get there" if is_healthy else "media"
        for client in self._clients:
            yield from self._on_the_way(instance, self.path.media, media, client)

    def _misplaced(self, target: Thing, instance: Instance | None) -> Obstacle | None:
        """Why a target can never be healthy where it is."""
        if instance is None:
            seen = f"its node is gone: no instance of {self.network.vpc_id} has this id or address"
            return Obstacle("node-gone", seen, self.remedies.removal(target.name))
        if instance.state in ("terminated", "shutting-down"):
            seen = f"its node is gone: {instance.id} is {instance.state}"
            return Obstacle("node-gone", seen, self.remedies.removal(target.name))
        if instance.zone in self._subnets:
            return None
        seen = f"its node is in {instance.zone}, the load balancer only in {', '.join(self._subnets)}"
        if self.config.allow_other_zones and self.config.registration == "autoscaling":
            return Obstacle("wrong-zone", f"{seen}: unused, as lls:allowOtherZones allows", level=Level.NOTE)
        return Obstacle("wrong-zone", seen, self.remedies.removal(target.name))

    def _on_the_way(self, instance: Instance, port: Port, what: str, source: str) -> Iterable[Obstacle]:
        """What stops packets from the load balancer, whose sender the node sees as `source`, or their answers."""
        groups, stops_checks = self.path.balancer.inputs["securityGroups"], port == self.path.health
        shown = f"{port.protocol.upper()} {port.number} ({what})"
        symptom = f": {BLOCKED_MEDIA}" if port == self.path.media else ""
        try:
            if not self._is_let_in(instance, port, source):
                carried = ", ".join(instance.group_ids)
                seen = f"no rule of the node's groups ({carried}) lets in {shown} from the load balancer{symptom}"
                peer = f"--source-group {groups[0]}" if groups else f"--cidr {source}"
                add = (
                    f"aws ec2 authorize-security-group-ingress --region {self.config.region} "
                    f"--group-id {instance.group_ids[0]} --protocol {port.protocol} --port {port.number} {peer}"
                )
                yield Obstacle("rule-missing", seen, f"{self.remedies.up}, or by hand: {add}", stops_checks)
            if groups and not self.network.lets_out(
                groups, port, destination=instance.address, to_groups=instance.group_ids
            ):
                add = (
                    f"aws ec2 authorize-security-group-egress --region {self.config.region} --group-id {groups[0]} "
                    "--ip-permissions 'IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]'"
                )
                seen = f"the load balancer's groups do not let out {shown}{symptom}"
                yield Obstacle("nlb-egress", seen, f"{self.remedies.up}, or by hand: {add}", stops_checks)
        except AwsError as error:
            seen = f"whether security groups let {shown} through: {error}"
            yield Obstacle("security-groups", seen, stops_checks=stops_checks, level=Level.UNKNOWN)
        nodes = self.network.subnet(instance.subnet_id)["CidrBlock"]
        legs = crossings(
            self._subnets[instance.zone],
            instance.subnet_id,
            nodes=nodes,
            source=source,
            protocol=port.protocol,
            port=port.number,
        )
        for denial in self.network.denials(legs):
            if denial.is_for_all or (denial.leg.peer != nodes and not stops_checks):
                yield self._denied(denial, f"{what}{symptom}", stops_checks=stops_checks)
                continue
            try:  # some of a subnet's addresses: perhaps not this node's, or the load balancer's
                peer = instance.address if denial.leg.peer == nodes else self._address(instance)
            except AwsError as error:
                yield Obstacle("network-acl", f"whether {denial} ({what}): {error}", level=Level.UNKNOWN)
                continue
            for exact in self.network.denials([replace(denial.leg, peer=peer)]):
                yield self._denied(exact, f"{what}{symptom}", stops_checks=stops_checks)

    def _denied(self, denial: Denial, what: str, *, stops_checks: bool) -> Obstacle:
        if not denial.is_for_all:
            return Obstacle("network-acl", f"{denial} ({what})", stops_checks=False, level=Level.NOTE)
        return Obstacle("network-acl", f"{denial} ({what})", self.remedies.allow_in_acl(denial), stops_checks)

    def _entrance(self) -> list[Finding]:
        """Whether clients get to the load balancer at all, and its answers to them."""
        found: list[Finding] = []
        port = Port("udp", self.config.udp_port)
        groups = self.path.balancer.inputs["securityGroups"]
        for source in self.config.allowed_cidrs:
            try:
                blocks = self.network.blocks(source)
                if not groups or all(self.network.lets_in(groups, port, source=block) for block in blocks):
                    continue
            except AwsError as error:
                found.append(unknown("nlb-ingress", f"whether UDP {port.number} gets in from {source}: {error}"))
                continue
            peer = (
                f"PrefixListIds=[{{PrefixListId={source}}}]"
                if is_prefix_list(source)
                else f"IpRanges=[{{CidrIp={source}}}]"
            )
            add = (
                f"aws ec2 authorize-security-group-ingress --region {self.config.region} --group-id {groups[0]} "
                f"--ip-permissions 'IpProtocol=udp,FromPort={port.number},ToPort={port.number},{peer}'"
            )
            seen = f"the load balancer's groups do not let in UDP {port.number} from {source}"
            found.append(problem("nlb-ingress", seen, f"{self.remedies.up}, or by hand: {add}"))
        for subnet_id in self._subnets.values():
            target = self.network.default_route(subnet_id)
            if leads_to_endpoint(target):
                seen = f"{subnet_id}: its default route leads to {target}, and what is behind that is not looked into"
                found.append(note("endpoint", seen))
            elif not leads_to_internet(target):
                found.append(
                    problem(
                        "no-route",
                        f"{subnet_id} has no route to an internet gateway, so no client gets in",
                        "add the route 0.0.0.0/0 to an igw-..., or set lls:publicSubnetId to a public subnet",
                    )
                )
            for client in self._clients:
                legs = entrance(subnet_id, client=client, port=port.number)
                found += [
                    _finding(self._denied(denial, "clients", stops_checks=False), ())
                    for denial in self.network.denials(legs)
                ]
        return found

    @cached_property
    def _clients(self) -> list[str]:
        """The IPv4 blocks that may stream, as far as prefix lists can be read; `_entrance` tells of the others."""
        found: list[str] = []
        for source in self.config.allowed_cidrs:
            with suppress(AwsError):
                found += self.network.blocks(source)
        return found

    @property
    def _subnets(self) -> Mapping[str, str]:
        """The load balancer's subnets, by zone."""
        mappings = self.path.balancer.inputs["subnetMappings"]
        return {
            self.network.subnet(mapping["subnetId"])["AvailabilityZone"]: mapping["subnetId"] for mapping in mappings
        }

    def _is_let_in(self, instance: Instance, port: Port, source: str) -> bool:
        """Whether a node's groups accept packets from the load balancer: of a whole subnet, or of its own address."""
        groups = self.path.balancer.inputs["securityGroups"]
        if self.network.lets_in(instance.group_ids, port, source=source, from_groups=groups):
            return True
        if port != self.path.health or not self.network.lets_in_some(instance.group_ids, port, source=source):
            return False
        return self.network.lets_in(instance.group_ids, port, source=self._address(instance))

    def _address(self, instance: Instance) -> str:
        """The address that the load balancer checks a node from; its subnet where none is told. Raises AwsError."""
        subnet_id = self._subnets[instance.zone]
        return self._addresses.get(subnet_id) or self.network.subnet(subnet_id)["CidrBlock"]

    @cached_property
    def _addresses(self) -> Mapping[str, str]:
        """The load balancer's private addresses, by subnet."""
        found = Inventory(self.account).interfaces(descriptions=[interface_description(self.path.balancer)])
        return {interface.subnet_id: interface.address for interface in found}


def _finding(obstacle: Obstacle, targets: Collection[str]) -> Finding:
    """An obstacle for these targets, or for all clients."""
    seen = f"{', '.join(targets)}: {obstacle.seen}" if targets else obstacle.seen
    if obstacle.level is Level.NOTE and not obstacle.stops_checks:
        return note(obstacle.check, seen)
    return Cause(
        check=obstacle.check,
        level=obstacle.level,
        seen=seen,
        remedy=obstacle.remedy,
        targets=frozenset(targets if obstacle.stops_checks else ()),
    )
