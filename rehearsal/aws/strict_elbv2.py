"""What Elastic Load Balancing refuses and moto lets pass, and what it computes and moto does not.

The judge of the order in which `lls/operations/sweep.py` deletes: the same rules on purpose, and no code in common.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from unittest.mock import patch

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import ELBClientError, SubnetNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.utils import make_arn_for_load_balancer

from rehearsal.aws.health import Answers, Reachability, Verdict, forwarded
from rehearsal.aws.strict import Proceed, Rule, check_tags, enforce
from rehearsal.aws.strict_ec2 import NlbInterface, NlbInterfaces
from rehearsal.aws.strict_quotas import TARGETS, TARGETS_PER_ZONE
from rehearsal.world import World, WorldClock

NAME: Final = re.compile(r"(?!internal-)(?!-)[A-Za-z0-9-]{1,32}(?<!-)")
CARRIES: Final[Mapping[str, Sequence[str]]] = {
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
"""Protocols of target groups for each protocol of an NLB's listener."""

MINIMUM_FREE_ADDRESSES: Final = 8
"""How many a subnet must have for a load balancer."""

NlbState = Literal["provisioning", "active", "active_impaired", "failed"]
"""The state that a load balancer ends in."""

ARN_KINDS: Final[Mapping[str, str]] = {"network": "net", "application": "app", "gateway": "gwy"}
"""How the ARN of a load balancer of each type names that type."""

DESCRIBED_AT_ONCE: Final = 20
"""How many ARNs a call may ask for the tags of."""

Settings = dict[str, Any]
"""The arguments of a creation."""

RANGES: Final[Mapping[str, tuple[str, int, int]]] = {
    "healthy_threshold_count": ("Health check healthy threshold count", 2, 10),
    "unhealthy_threshold_count": ("Health check unhealthy threshold count", 2, 10),
    "healthcheck_interval_seconds": ("Health check interval", 5, 300),
    "healthcheck_timeout_seconds": ("Health check timeout", 2, 120),
}


@dataclass
class StrictElbv2:
    """The refusals of load balancing in one world, and the times at which it is done."""

    world: World
    clock: WorldClock
    answers: Answers
    interfaces: NlbInterfaces
    quotas: Mapping[str, int]
    active_at: dict[str, float] = field(default_factory=dict[str, float])
    registered_at: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    serving_since: dict[str, float] = field(default_factory=dict[str, float])
    draining_until: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    asked_for: dict[str, Settings] = field(default_factory=dict[str, Settings])
    """By ARN, what each thing was created with, as long as nobody has changed that."""

    def __post_init__(self) -> None:
        self.final_state: NlbState = self.world.quirks.nlb_state
        self._created_type = "network"

    def enforce(self, until: ExitStack) -> None:
        """Refuse until that stack is closed."""
        enforce(
            (
                Rule(ELBv2Backend, "create_load_balancer", self._create_load_balancer),
                Rule(ELBv2Backend, "delete_load_balancer", self._delete_load_balancer),
                Rule(ELBv2Backend, "set_security_groups", self._set_security_groups),
                Rule(ELBv2Backend, "create_target_group", self._create_target_group),
                Rule(ELBv2Backend, "modify_target_group", self._modify_target_group),
                Rule(ELBv2Backend, "create_listener", self._create_listener),
                Rule(ELBv2Backend, "modify_listener", self._modify_listener),
                Rule(ELBv2Backend, "delete_listener", self._delete_listener),
                Rule(ELBv2Backend, "register_targets", self._register_targets),
                Rule(ELBv2Backend, "deregister_targets", self._deregister_targets),
                Rule(ELBv2Backend, "describe_target_health", self._describe_target_health),
                Rule(ELBv2Backend, "add_tags", self._add_tags),
                Rule(ELBv2Backend, "describe_tags", self._describe_tags),
                Rule(FakeLoadBalancer, "activate", self._activate),
            ),
            until,
        )
        until.enter_context(patch.object(elbv2_models, "make_arn_for_load_balancer", self._arn))
        until.enter_context(patch.object(FakeLoadBalancer, "availability_zones", property(self._availability_zones)))

    def reachability(self, elbv2: ELBv2Backend) -> Reachability:
        """The paths as they are now."""
        return Reachability(elbv2, self.answers)

    # --- Creations

    def _is_same(self, elbv2: ELBv2Backend, arn: str, settings: Settings) -> bool:
        """Whether something is as a creation wants it: creations are idempotent, and answer with what is there.

        Source: "If you attempt to create multiple ... with the same settings, each call succeeds" in the API reference
        of CreateLoadBalancer, CreateTargetGroup and CreateListener. That tags are settings too is our reading.
        """
        tags = elbv2.tagging_service.get_tag_dict_for_resource(arn)
        return self.asked_for.get(arn) == _untagged(settings) and tags == _pairs(settings.get("tags"))

    # --- Load balancers

    def _create_load_balancer(self, proceed: Proceed, elbv2: ELBv2Backend, **kwargs: Any) -> Any:
        name: str = kwargs["name"]
        if not NAME.fullmatch(name):
            raise ELBClientError("ValidationError", f"The load balancer name '{name}' is not valid")
        for existing in elbv2.load_balancers.values():
            if existing.name == name:
                if self._is_same(elbv2, existing.arn, kwargs):
                    return existing
                message = f"A load balancer with the same name '{name}' exists, but with different settings"
                raise ELBClientError("DuplicateLoadBalancerName", message)
        check_tags(_pairs(kwargs.get("tags")), ELBClientError)
        mappings: list[dict[str, str]] = kwargs.get("subnet_mappings") or []
        ec2 = elbv2.ec2_backend
        self.interfaces.expire(ec2)
        self._check_allocations(ec2, [mapping["AllocationId"] for mapping in mappings if "AllocationId" in mapping])
        subnet_ids: list[str] = kwargs.get("subnet_ids") or []
        group_ids: list[str] = kwargs.get("security_groups") or []
        try:
            subnets = [
                ec2.get_subnet(subnet_id) for subnet_id in (*subnet_ids, *(mapping["SubnetId"] for mapping in mappings))
            ]
        except InvalidSubnetIdError:
            raise SubnetNotFoundError from None
        zones = [subnet.availability_zone for subnet in subnets]
        if len(set(zones)) != len(zones):
            raise ELBClientError(
                "InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same AZ"
            )
        for zone in zones:
            if self.world.zone_type(zone) != "availability-zone":
                message = f"Load balancers with type 'network' are not supported in {zone}"
                raise ELBClientError("InvalidConfigurationRequest", message)
        for subnet in subnets:
            if subnet.available_ip_address_count < MINIMUM_FREE_ADDRESSES:
                message = f"Not enough IP space available in {subnet.id}. ELB requires at least 8 free IP addresses."
                raise ELBClientError("InvalidSubnet", message)
        self._check_groups(ec2, group_ids, {subnet.vpc_id for subnet in subnets})
        self._created_type = kwargs.get("loadbalancer_type") or "application"
        balancer: FakeLoadBalancer = proceed(**kwargs)
        self.asked_for[balancer.arn] = _untagged(kwargs)
        lb_id = balancer.arn.rpartition("/")[2]
        balancer.dns_name = f"{name}-{lb_id}.elb.{self.world.region}.{self.world.dns_suffix}"
        balancer.scheme = balancer.scheme or "internet-facing"
        if balancer.type == "gateway":
            vars(balancer).update(dns_name=None, scheme=None, canonical_hosted_zone_id=None, security_groups=None)
        self.active_at[balancer.arn] = self.clock.now() + self.world.latencies.nlb_provisioning
        allocations = {mapping["SubnetId"]: mapping.get("AllocationId") for mapping in mappings}
        for subnet in balancer.subnets:
            self._attach(ec2, balancer, subnet.id, allocations.get(subnet.id))
        return balancer

    def _check_allocations(self, ec2: EC2Backend, wanted: Sequence[str]) -> None:
        held = {address.allocation_id: address.association_id for address in ec2.addresses}
        if unknown := [subnet_id for subnet_id in wanted if subnet_id not in held]:
            raise ELBClientError("AllocationIdNotFound", f"The allocation IDs '{', '.join(unknown)}' do not exist")
        if len(set(wanted)) < len(wanted) or any(held[subnet_id] for subnet_id in wanted):
            raise ELBClientError("ResourceInUse", "The allocation IDs are not available for use")

    def _check_groups(self, ec2: EC2Backend, group_ids: Iterable[str], vpc_ids: Collection[str]) -> None:
        for group_id in group_ids:
            group = ec2.get_security_group_from_id(group_id)
            if group is None or group.vpc_id not in vpc_ids:
                raise ELBClientError("InvalidSecurityGroup", f"Security group '{group_id}' does not exist in the VPC")

    def _attach(self, ec2: EC2Backend, balancer: FakeLoadBalancer, subnet: str, allocation_id: str | None) -> None:
        description = f"ELB {balancer.arn.partition(':loadbalancer/')[2]}"
        groups = balancer.security_groups or []
        eni = ec2.create_network_interface(subnet, "", group_ids=groups, description=description)
        eni.requester_managed = True
        self.interfaces.known[eni.id] = NlbInterface(eni.id, balancer.arn, subnet, groups, allocation_id)
        for address in ec2.addresses:
            if allocation_id and address.allocation_id == allocation_id:
                address.eni = eni  # pyright: ignore[reportAttributeAccessIssue]
                address.association_id = f"eipassoc-{eni.id.removeprefix('eni-')}"

    def _availability_zones(self, balancer: FakeLoadBalancer) -> list[dict[str, Any]]:
        ec2 = ec2_backends[self.world.account][self.world.region]
        public = {address.allocation_id: address.public_ip for address in ec2.addresses}
        return [
            {
                "ZoneName": subnet.availability_zone,
                "SubnetId": subnet.id,
                "LoadBalancerAddresses": [
                    {"AllocationId": interface.allocation_id, "IpAddress": public[interface.allocation_id]}
                    for interface in self.interfaces.of(balancer.arn)
                    if interface.subnet == subnet.id and interface.allocation_id
                ],
            }
            for subnet in balancer.subnets
        ]

    def _activate(self, _: Proceed, balancer: FakeLoadBalancer) -> None:
        if self.final_state != "provisioning" and self.clock.now() >= self.active_at.get(balancer.arn, 0.0):
            balancer.state = self.final_state

    def _delete_load_balancer(self, proceed: Proceed, elbv2: ELBv2Backend, arn: str) -> Any:
        balancer = elbv2.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted: deletion protection is enabled"
            )
        services: Any = elbv2.ec2_backend.configurations
        if any(arn in service.network_load_balancer_arns for service in services.values()):
            raise ELBClientError(
                "ResourceInUse",
                f"Load balancer '{arn}' cannot be deleted because it is currently associated with another service",
            )
        for interface in self.interfaces.of(arn):
            interface.gone_at = self.clock.now() + self.world.latencies.nlb_interfaces_linger
        result = proceed(arn)
        self._note_associations(elbv2)
        return result

    def _set_security_groups(self, proceed: Proceed, elbv2: ELBv2Backend, arn: str, groups: list[str]) -> Any:
        balancer = elbv2.load_balancers.get(arn)
        if balancer and not (balancer.security_groups and groups):
            raise ELBClientError(
                "InvalidConfigurationRequest",
                "Security groups cannot be added to a load balancer created without them, nor all be removed",
            )
        ec2 = elbv2.ec2_backend
        self._check_groups(ec2, groups, {balancer.vpc_id} if balancer else ())
        self.asked_for.pop(arn, None)
        for interface in self.interfaces.of(arn):
            interface.groups = groups
            ec2.modify_network_interface_attribute(interface.id, groups)
        return proceed(arn, groups)

    # --- Target groups and listeners

    def _create_target_group(self, proceed: Proceed, elbv2: ELBv2Backend, name: str, **kwargs: Any) -> Any:
        if name.startswith("internal-"):
            raise ELBClientError("ValidationError", f"Target group name '{name}' cannot start with 'internal-'")
        check_tags(_pairs(kwargs.get("tags")), ELBClientError)
        if kwargs.get("target_type") != "lambda":
            _check_port(kwargs["port"])
        self._check_health(kwargs)
        for existing in elbv2.target_groups.values():
            if existing.name == name and self._is_same(elbv2, existing.arn, kwargs):
                return existing
        group: FakeTargetGroup = proceed(name, **kwargs)
        self.asked_for[group.arn] = _untagged(kwargs)
        return group

    def _modify_target_group(self, proceed: Proceed, elbv2: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> Any:
        names = (
            "healthcheck_protocol",
            "healthcheck_port",
            "healthcheck_path",
            "healthcheck_interval_seconds",
            "healthcheck_timeout_seconds",
            "healthy_threshold_count",
            "unhealthy_threshold_count",
            "matcher",
        )
        group = elbv2.target_groups.get(arn)
        changed: dict[str, Any] = dict(zip(names, args, strict=False))
        self._check_health(changed)
        if group:
            timeout = changed.get("healthcheck_timeout_seconds") or group.health_check_timeout_seconds
            interval = changed.get("healthcheck_interval_seconds") or group.health_check_interval_seconds
            if timeout > interval:
                message = f"Health check timeout '{timeout}' must be smaller than or equal to the interval '{interval}'"
                raise ELBClientError("ValidationError", message)
        self.asked_for.pop(arn, None)
        result = proceed(arn, *args, **kwargs)
        if group and changed.get("matcher"):
            group.matcher = {"HttpCode": changed["matcher"]}
        return result

    def _check_health(self, settings: Mapping[str, Any]) -> None:
        check = settings.get("healthcheck_protocol")
        if check not in (None, "TCP", "HTTP", "HTTPS"):
            raise ELBClientError("ValidationError", f"Health check protocol '{check}' is not supported")
        for key, (title, low, high) in RANGES.items():
            value = settings.get(key)
            if value is not None and not low <= int(value) <= high:
                raise ELBClientError("ValidationError", f"{title} '{value}' must be between {low} and {high} inclusive")
        port = settings.get("healthcheck_port")
        if port not in (None, "traffic-port"):
            _check_port(port)

    def _create_listener(self, proceed: Proceed, elbv2: ELBv2Backend, **kwargs: Any) -> Any:
        arn: str = kwargs["load_balancer_arn"]
        balancer = elbv2.load_balancers.get(arn)
        if balancer:
            for existing in balancer.listeners.values():
                if self._is_same(elbv2, existing.arn, kwargs):
                    return existing
            self._check_listener_port(balancer, kwargs["port"])
            self._check_forward(elbv2, balancer, kwargs["protocol"], kwargs["actions"])
        check_tags(_pairs(kwargs.get("tags")), ELBClientError)
        listener: FakeListener = proceed(**kwargs)
        self.asked_for[listener.arn] = _untagged(kwargs)
        self._note_associations(elbv2)
        return listener

    def _modify_listener(
        self,
        proceed: Proceed,
        elbv2: ELBv2Backend,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: Any = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> Any:
        [listener] = elbv2.describe_listeners(load_balancer_arn=None, listener_arns=[arn])
        balancer = elbv2.load_balancers[listener.load_balancer_arn]
        if port:
            self._check_listener_port(balancer, port, besides=arn)
        current = [action.data for action in listener.default_actions]
        self._check_forward(elbv2, balancer, protocol or listener.protocol, actions or current)
        self.asked_for.pop(arn, None)
        if protocol:
            listener.protocol = protocol
        result = proceed(arn, port, None, ssl_policy, certificates, actions)
        self._note_associations(elbv2)
        return result

    def _delete_listener(self, proceed: Proceed, elbv2: ELBv2Backend, arn: str) -> Any:
        result = proceed(arn)
        self._note_associations(elbv2)
        return result

    def _check_listener_port(self, balancer: FakeLoadBalancer, port: str, besides: str = "") -> None:
        _check_port(port)
        if any(str(listener.port) == str(port) and listener.arn != besides for listener in balancer.listeners.values()):
            raise ELBClientError("DuplicateListener", f"A listener already exists on this port for '{balancer.arn}'")

    def _check_forward(
        self, elbv2: ELBv2Backend, balancer: FakeLoadBalancer, protocol: str, actions: Iterable[Mapping[str, Any]]
    ) -> None:
        for group in (elbv2.target_groups.get(arn) for arn in forwarded(actions)):
            if group is None:
                raise ELBClientError("TargetGroupNotFound", "One or more target groups not found")
            route = self.reachability(elbv2).route(group)
            if route and route.balancer.arn != balancer.arn:
                raise ELBClientError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {group.arn}",
                )
            if group.vpc_id != balancer.vpc_id:
                raise ELBClientError(
                    "InvalidConfigurationRequest", f"Target group '{group.arn}' is not in the load balancer's VPC"
                )
            if group.protocol not in CARRIES.get(protocol, (group.protocol,)):
                raise ELBClientError(
                    "IncompatibleProtocols",
                    f"Listener protocol '{protocol}' is incompatible with target group protocol '{group.protocol}'",
                )

    def _note_associations(self, elbv2: ELBv2Backend) -> None:
        """Keep which load balancer each target group belongs to, and since when it gets traffic."""
        for group in elbv2.target_groups.values():
            route = self.reachability(elbv2).route(group)
            group.load_balancer_arns = [route.balancer.arn] if route else []
            if route:
                self.serving_since.setdefault(group.arn, self.clock.now())
            else:
                self.serving_since.pop(group.arn, None)

    # --- Targets

    def _register_targets(self, proceed: Proceed, elbv2: ELBv2Backend, arn: str, targets: list[dict[str, Any]]) -> Any:
        group = elbv2.target_groups.get(arn)
        if group:
            reachability = self.reachability(elbv2)
            for target in targets:
                _check_port(target.get("Port", group.port))
                self._check_target(elbv2.ec2_backend, reachability, group, target["Id"])
            zones = [
                self._zone(reachability, target_id)
                for target_id in {*group.targets, *(target["Id"] for target in targets)}
            ]
            most = max((zones.count(zone) for zone in set(zones)), default=0)
            if most > self.quotas[TARGETS_PER_ZONE] or len(zones) > self.quotas[TARGETS]:
                raise ELBClientError("TooManyTargets", f"You have reached the maximum number of targets for '{arn}'")
            for target in targets:
                self.registered_at.setdefault((arn, target["Id"]), self.clock.now())
                self.draining_until.pop((arn, target["Id"]), None)
        return proceed(arn, targets)

    def _check_target(self, ec2: EC2Backend, reachability: Reachability, group: FakeTargetGroup, target: str) -> None:
        if group.target_type == "ip":
            blocks = [
                association["cidr_block"] for association in ec2.get_vpc(group.vpc_id).get_cidr_block_association_set()
            ]
            try:
                inside = any(ipaddress.ip_address(target) in ipaddress.ip_network(str(block)) for block in blocks)
            except ValueError:
                raise ELBClientError("ValidationError", f"'{target}' is not a valid IPv4 address") from None
            if not inside:
                raise ELBClientError(
                    "ValidationError", f"The IP address '{target}' must be an IPv4 address from one of the VPC's CIDRs"
                )
        else:
            instance = next((instance for instance in reachability.instances() if instance.id == target), None)
            if instance is None:
                raise ELBClientError("InvalidTarget", f"Instance ID '{target}' is not valid")
            if instance.state != "running":
                raise ELBClientError(
                    "InvalidTarget",
                    f"The following targets are not in a running state and cannot be registered: '{target}'",
                )
            if instance.vpc_id != group.vpc_id:
                raise ELBClientError(
                    "InvalidTarget",
                    f"The following targets are not in the target group VPC '{group.vpc_id}': '{target}'",
                )

    def _zone(self, reachability: Reachability, target: str) -> str:
        instance = reachability.instance(target)
        return instance.subnet_id or "" if instance else ""

    def _deregister_targets(
        self, proceed: Proceed, elbv2: ELBv2Backend, arn: str, targets: list[dict[str, Any]]
    ) -> Any:
        """What is not registered is no mistake.

        Source: "If the specified target does not exist, the action returns successfully" in the API reference.
        """
        group = elbv2.target_groups.get(arn)
        if group:
            targets = [target for target in targets if target["Id"] in group.targets]
        delay = float(group.attributes["deregistration_delay.timeout_seconds"]) if group else 0.0
        result = proceed(arn, targets)
        for target in targets:
            self.registered_at.pop((arn, target["Id"]), None)
            if arn in self.serving_since:
                self.draining_until[arn, target["Id"]] = self.clock.now() + delay
        return result

    def draining(self) -> list[tuple[str, str]]:
        """Target groups, by ARN, and targets whose sessions may still end."""
        return [target for target, until in self.draining_until.items() if until > self.clock.now()]

    def _describe_target_health(
        self, proceed: Proceed, elbv2: ELBv2Backend, arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = elbv2.target_groups.get(arn)
        if group is None:
            return proceed(arn, targets)
        draining = [id_ for target, id_ in self.draining() if target == arn]
        asked = [target["Id"] for target in targets] or [*group.targets, *draining]
        reachability = self.reachability(elbv2)
        return [self._status(reachability, group, id_, draining) for id_ in asked]

    def _status(
        self, reachability: Reachability, group: FakeTargetGroup, target: str, draining: Collection[str]
    ) -> FakeHealthStatus:
        if target in group.targets:
            verdict = self._settled(group, target, reachability.health(group, target))
            port = group.targets[target]["Port"]
        elif target in draining:
            verdict = Verdict("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
            port = group.deregistered_targets[target]["Port"]
        else:
            verdict = Verdict("unused", "Target.NotRegistered", "Target is not registered to the target group")
            port = group.port
        reason, description = verdict.reason or None, verdict.description or None
        status: Any = FakeHealthStatus(target, port, group.health_check_port, verdict.state, reason, description)
        return status

    def _settled(self, group: FakeTargetGroup, target: str, verdict: Verdict) -> Verdict:
        """A target is healthy only after as many checks as the group asks for."""
        since = max(self.registered_at[group.arn, target], self.serving_since.get(group.arn, 0.0))
        patience = int(group.healthy_threshold_count) * int(group.health_check_interval_seconds)
        if verdict.state == "healthy" and self.clock.now() < since + patience:
            return Verdict("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
        return verdict

    def _add_tags(
        self, proceed: Proceed, elbv2: ELBv2Backend, resource_arns: list[str], tags: list[dict[str, str]]
    ) -> None:
        """Moto stops at ten tags."""
        for arn in resource_arns:
            proceed([arn], [])  # refuses an unknown ARN
            check_tags(elbv2.tagging_service.get_tag_dict_for_resource(arn) | _pairs(tags), ELBClientError)
            elbv2.tagging_service.tag_resource(arn, tags)

    def _describe_tags(self, proceed: Proceed, elbv2: ELBv2Backend, resource_arns: list[str]) -> Any:
        if len(resource_arns) > DESCRIBED_AT_ONCE:
            told = f"Up to {DESCRIBED_AT_ONCE} resources can be described at a time, but {len(resource_arns)} were"
            raise ELBClientError("ValidationError", f"{told} specified")
        for arn in resource_arns:
            elbv2._get_resource_by_arn(arn)  # pyright: ignore[reportPrivateUsage]  # refuses an unknown ARN
        return proceed(resource_arns)

    def _arn(self, **parts: str) -> str:
        """The ARN of the load balancer that is being created."""
        return make_arn_for_load_balancer(**parts).replace("/app/", f"/{ARN_KINDS[self._created_type]}/")


def _check_port(port: object) -> None:
    if not (str(port).isdecimal() and 1 <= int(str(port)) <= 65535):
        raise ELBClientError("ValidationError", f"Port '{port}' must be a number between 1 and 65535")


def _pairs(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def _untagged(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key != "tags"}
