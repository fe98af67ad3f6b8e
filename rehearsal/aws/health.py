"""What AWS computes: whether health checks and media get from a load balancer to its targets.

The judge of what `lls/operations/world/network.py` diagnoses: the same physics on purpose, and no code in common.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.models.subnets import Subnet
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeLoadBalancer, FakeTargetGroup

from rehearsal.aws.subnet_paths import EPHEMERAL, Leg, reaches_internet, round_trip, stopped_at

Answers = Callable[[str, int, str], bool]
"""Whether a node of that address answers on a port and, for health checks, a path."""


@dataclass(frozen=True)
class Verdict:
    """State of a target in AWS's words; `reason` is empty for a healthy one."""

    state: Literal["healthy", "unhealthy", "unused", "initial", "draining"]
    reason: str = ""
    description: str = ""


@dataclass(frozen=True)
class Route:
    """A target group with the load balancer and the listener that forward to it."""

    group: FakeTargetGroup
    balancer: FakeLoadBalancer
    listener: FakeListener


class Reachability:
    """The paths of one VPC, as its security groups, network ACLs and routes allow them."""

    def __init__(self, elbv2: ELBv2Backend, answers: Answers) -> None:
        """Judge by that backend and its EC2; `answers` tells what runs on the nodes."""
        self._ec2 = elbv2.ec2_backend
        self._elbv2 = elbv2
        self._answers = answers

    def route(self, group: FakeTargetGroup) -> Route | None:
        """How traffic comes to a target group; None where no listener forwards to it."""
        for balancer in self._elbv2.load_balancers.values():
            for listener in balancer.listeners.values():
                if group.arn in forwarded(action.data for action in listener.default_actions):
                    return Route(group, balancer, listener)
        return None

    def instance(self, target: str) -> Instance | None:
        """The running instance with that id or private address."""
        return self._running.get(target)

    def instances(self) -> list[Instance]:
        """Every instance, whatever its state."""
        reservations = list(self._ec2.reservations.values())  # moto's all_instances copies each, for every call
        return [instance for reservation in reservations for instance in reservation.instances]

    @cached_property
    def _running(self) -> Mapping[str, Instance]:
        """The running instances by id and by private address."""
        running = [instance for instance in self.instances() if instance.state == "running"]
        return {key: instance for instance in running for key in (instance.private_ip or "", instance.id)}

    def health(self, group: FakeTargetGroup, target: str) -> Verdict:
        """The state of a registered target once AWS has checked it often enough."""
        route = self.route(group)
        if route is None:
            return Verdict("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the LB")
        instance = self.instance(target)
        if instance is None and group.target_type == "instance":
            return Verdict("unused", "Target.InvalidState", "Target is in the stopped state")
        if instance and not self._subnets(route.balancer, instance):
            description = "Target is in an Availability Zone that is not enabled for the load balancer"
            return Verdict("unused", "Target.NotInUse", description)
        configured = group.health_check_port
        port = int(group.targets[target]["Port"] if configured in (None, "traffic-port") else configured)
        if not instance or self._check_obstacle(route, instance, port):
            return Verdict("unhealthy", "Target.Timeout", "Request timed out")
        if not self._answers(instance.private_ip or "", port, group.health_check_path or "/"):
            return Verdict("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
        return Verdict("healthy")

    def media_obstacle(self, group: FakeTargetGroup, target: str, client: str, *, draining: bool = False) -> str | None:
        """What first stops a client's UDP packet on its way to a target; None where nothing does.

        A target that is `draining` still gets the packets of its sessions.
        """
        route = self.route(group)
        if route is None:
            return "no listener forwards to the target group"
        port = int(route.listener.port)
        groups = self._groups(route.balancer)
        entering = [rule for group in groups for rule in group.ingress_rules]
        if groups and not self._allows(entering, "udp", port, address=client):
            return f"the load balancer's groups do not let in UDP {port} from {client}"
        targets = {**group.deregistered_targets, **group.targets} if draining else group.targets
        if target not in targets:
            return f"{target} is not registered"
        public_port = port
        port = int(targets[target]["Port"])
        instance = self.instance(target)
        if instance is None:
            return f"no running instance has {target}"
        if not self._subnets(route.balancer, instance):
            zone = self._ec2.get_subnet(instance.subnet_id or "").availability_zone
            return f"{target} is in {zone}, which is not the load balancer's zone"
        stopped = self.obstacle(route, instance, "udp", port, source=client)
        if stopped := stopped or self._media_stopped(route, instance, public_port, port, client):
            return stopped
        if not self._answers(instance.private_ip or "", port, ""):
            return f"nothing answers on UDP {port} of {target}"
        return None

    def _check_obstacle(self, route: Route, instance: Instance, port: int) -> str | None:
        """What stops a health check on its way to a node, or its answer."""
        here, there = self._subnets(route.balancer, instance)[0], self._ec2.get_subnet(instance.subnet_id or "")
        sender = self._address(route.balancer, here)
        legs = round_trip(here, there, "tcp", port, sender, instance.private_ip or "")
        stopped = self.obstacle(route, instance, "tcp", port, source=sender)
        return stopped or stopped_at(self._ec2, legs)

    def _media_stopped(self, route: Route, instance: Instance, public: int, port: int, client: str) -> str | None:
        """Which route or network ACL stops a client's packets, whose address the node sees, or the answers."""
        here, there = self._subnets(route.balancer, instance)[0], self._ec2.get_subnet(instance.subnet_id or "")
        if not reaches_internet(self._ec2, here):
            return f"{here.id} of the load balancer has no route to an internet gateway"
        address = instance.private_ip or ""
        inner = round_trip(here, there, "udp", port, client, address)
        entering = Leg(here, "in", "udp", (public,), client)
        leaving = Leg(here, "out", "udp", EPHEMERAL, client)
        return stopped_at(self._ec2, [entering, *inner, leaving])

    def obstacle(self, route: Route, instance: Instance, protocol: str, port: int, *, source: str) -> str | None:
        """Which security group stops traffic to a node; None where none does.

        `source` is the address that the node sees: the client's own for UDP, the load balancer's for checks.
        """
        node_groups: list[SecurityGroup] = instance.security_groups
        groups = self._groups(route.balancer)
        leaving = [rule for group in groups for rule in group.egress_rules]
        ids = {group.id for group in node_groups}
        if groups and not self._allows(leaving, protocol, port, groups=ids, address=instance.private_ip or ""):
            return f"the load balancer's groups do not let out {protocol.upper()} {port}"
        entering = [rule for group in node_groups for rule in group.ingress_rules]
        senders = set(route.balancer.security_groups)
        if not self._allows(entering, protocol, port, groups=senders, address=source):
            return f"the node's groups do not let in {protocol.upper()} {port} from the load balancer"
        return None

    def _groups(self, balancer: FakeLoadBalancer) -> list[SecurityGroup]:
        found = (self._ec2.get_security_group_from_id(group) for group in balancer.security_groups)
        return [description for description in found if description]

    def _address(self, balancer: FakeLoadBalancer, subnet: Subnet) -> str:
        """The load balancer's private address in one of its subnets."""
        description = f"ELB {balancer.arn.partition(':loadbalancer/')[2]}"
        interfaces = self._ec2.enis.values()
        found = (
            interface.private_ip_address
            for interface in interfaces
            if (interface.description, interface.subnet.id) == (description, subnet.id)
        )
        return next(found, None) or subnet.cidr_block

    def _subnets(self, balancer: FakeLoadBalancer, instance: Instance) -> list[Subnet]:
        """The load balancer's own subnet in the instance's zone, if any."""
        zone = self._ec2.get_subnet(instance.subnet_id or "").availability_zone
        return [subnet for subnet in balancer.subnets if subnet.availability_zone == zone]

    def _allows(
        self,
        rules: Iterable[SecurityGroupRule],
        protocol: str,
        port: int,
        *,
        groups: Iterable[str] = (),
        address: str,
    ) -> bool:
        """Whether a rule covers protocol and port for one of the groups, or for the whole address or CIDR."""
        wanted = ipaddress.IPv4Network(address)
        for rule in rules:
            if rule.ip_protocol not in ("-1", protocol):
                continue
            if rule.ip_protocol != "-1" and not int(rule.from_port or 0) <= port <= int(rule.to_port or 0):
                continue
            if rule.source_group.get("GroupId") in set(groups):
                return True
            if any(wanted.subnet_of(ipaddress.IPv4Network(block)) for block in self._blocks(rule)):
                return True
        return False

    def _blocks(self, rule: SecurityGroupRule) -> list[str]:
        """The IPv4 blocks that a rule is about, those of its prefix list included."""
        if rule.prefix_list_id is None:
            return [rule.cidr_ipv4] if rule.cidr_ipv4 else []
        versions: Any = self._ec2.managed_prefix_lists[rule.prefix_list_id].entries
        return [entry["Cidr"] for entry in versions[max(versions)]] if versions else []


def forwarded(actions: Iterable[Mapping[str, Any]]) -> list[str]:
    """ARNs of the target groups that a listener's actions forward to, in either way of writing them."""
    return [
        forward["TargetGroupArn"]
        for action in actions
        for forward in (action, *action.get("ForwardConfig", {}).get("TargetGroups", ()))
        if "TargetGroupArn" in forward
    ]
