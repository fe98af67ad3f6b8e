"""What EC2 refuses and moto lets pass.

The judge of the order in which `lls/operations/sweep.py` deletes: the same rules on purpose, and no code in common.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Final
from unittest.mock import patch

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import Route
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses._base_response import EC2BaseResponse

from rehearsal.aws.strict import Proceed, Rule, check_tags, enforce
from rehearsal.world import WorldClock

TEXT: Final = re.compile(r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{0,255}")
"""Names and descriptions of security groups and their rules."""

FILTER_VALUES: Final = 200
"""How many values the filters of one call may have together."""


@dataclass
class NlbInterface:
    """A network interface of an NLB. It outlives its NLB until `gone_at`."""

    id: str
    balancer: str
    subnet: str
    groups: Sequence[str]
    allocation_id: str | None
    gone_at: float | None = None


@dataclass
class NlbInterfaces:
    """The network interfaces of all NLBs, by id."""

    clock: WorldClock
    known: dict[str, NlbInterface] = field(default_factory=dict[str, NlbInterface])

    def present(self) -> list[NlbInterface]:
        """Those that are not gone yet."""
        return [
            interface
            for interface in self.known.values()
            if interface.gone_at is None or interface.gone_at > self.clock.now()
        ]

    def of(self, balancer: str) -> list[NlbInterface]:
        """Those of one NLB."""
        return [interface for interface in self.known.values() if interface.balancer == balancer]

    def expire(self, ec2: EC2Backend) -> None:
        """Forget the interfaces whose time has come."""
        for interface in list(self.known.values()):
            if interface.gone_at is not None and interface.gone_at <= self.clock.now():
                del self.known[interface.id]
                ec2.enis.pop(interface.id, None)
                for address in ec2.addresses:
                    if address.allocation_id == interface.allocation_id:
                        address.eni, address.association_id = None, None


@dataclass
class StrictEc2:
    """EC2's refusals in one world."""

    interfaces: NlbInterfaces

    def enforce(self, until: ExitStack) -> None:
        """Refuse until that stack is closed."""
        enforce(
            (
                Rule(EC2Backend, "create_security_group", self._create_security_group),
                Rule(EC2Backend, "delete_security_group", self._delete_security_group),
                Rule(EC2Backend, "release_address", self._release_address),
                Rule(EC2Backend, "create_tags", self._create_tags),
                Rule(EC2Backend, "get_all_network_interfaces", self._expired_first),
                Rule(EC2Backend, "describe_addresses", self._expired_first),
                Rule(EC2Backend, "authorize_security_group_ingress", self._authorize),
                Rule(EC2Backend, "authorize_security_group_egress", self._authorize),
                Rule(EC2Backend, "modify_security_group_rules", self._modify_rules),
                Rule(EC2Backend, "get_managed_prefix_list_entries", _known_prefix_list),
                Rule(EC2BaseResponse, "_filters_from_querystring", _limited_filters),
                Rule(SecurityGroupRule, "__init__", _with_prefix_list),
                Rule(SecurityGroupRule, "__eq__", _same_rule),
            ),
            until,
        )
        until.enter_context(patch.object(SecurityGroupRule, "description", property(_description)))
        until.enter_context(patch.object(Route, "state", property(_state)))

    def _create_security_group(
        self, proceed: Proceed, ec2: EC2Backend, name: str, description: str, *args: Any, **kwargs: Any
    ) -> Any:
        if kwargs.get("is_default") is None:
            if not name or name.startswith("sg-") or not TEXT.fullmatch(name):
                raise EC2ClientError("InvalidParameterValue", f"Value ({name}) for parameter GroupName is invalid.")
            if not TEXT.fullmatch(description):
                message = f"Value ({description}) for parameter GroupDescription is invalid."
                raise EC2ClientError("InvalidParameterValue", message)
        return proceed(name, description, *args, **kwargs)

    def _authorize(self, proceed: Proceed, ec2: EC2Backend, **kwargs: Any) -> Any:
        for prefix_list in kwargs.get("prefix_list_ids") or ():
            ec2.get_managed_prefix_list_entries(prefix_list["PrefixListId"])
        for source in (*(kwargs["ip_ranges"] or ()), *(kwargs["source_groups"] or ())):
            if not TEXT.fullmatch(source.get("Description", "")):
                raise EC2ClientError("InvalidParameterValue", f"Invalid rule description '{source['Description']}'.")
        return proceed(**kwargs)

    def _delete_security_group(
        self, proceed: Proceed, ec2: EC2Backend, name: str | None = None, group_id: str | None = None
    ) -> Any:
        group = ec2.get_security_group_by_name_or_id(group_id or name or "")
        if group:
            self.interfaces.expire(ec2)
            holders = [
                interface.balancer for interface in self.interfaces.known.values() if group.id in interface.groups
            ]
            holders += [
                other.id
                for groups in ec2.groups.values()
                for other in groups.values()
                for rule in other.ingress_rules + other.egress_rules
                if other.id != group.id and rule.source_group.get("GroupId") == group.id
            ]
            holders += [instance.id for instance in ec2.all_instances() if group in instance.security_groups]
            holders += [eni.id for eni in ec2.enis.values() if group in eni.group_set]
            if holders:
                raise DependencyViolationError(f"resource {group.id} has a dependent object ({', '.join(holders)})")
        return proceed(name, group_id)

    def _release_address(
        self, proceed: Proceed, ec2: EC2Backend, address: str | None = None, allocation_id: str | None = None
    ) -> Any:
        self.interfaces.expire(ec2)
        if any(interface.allocation_id == allocation_id for interface in self.interfaces.known.values()):
            raise EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")
        if any(address.allocation_id == allocation_id and address.association_id for address in ec2.addresses):
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address with allocation id {allocation_id} is in use.")
        return proceed(address, allocation_id)

    def _create_tags(self, proceed: Proceed, _: EC2Backend, resource_ids: list[str], tags: dict[str, str]) -> Any:
        check_tags(tags, EC2ClientError, "TagLimitExceeded")
        return proceed(resource_ids, tags)

    def _expired_first(self, proceed: Proceed, ec2: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        self.interfaces.expire(ec2)
        return proceed(*args, **kwargs)

    def _modify_rules(
        self, proceed: Proceed, ec2: EC2Backend, group_id: str, rules: Mapping[str, dict[str, Any]]
    ) -> Any:
        """Moto keeps what is not a CIDR, and wants ports even of a rule for all protocols."""
        portless: dict[str, Any] = {"FromPort": -1, "ToPort": -1}
        asked = {key: portless | rule if str(rule.get("IpProtocol")) == "-1" else rule for key, rule in rules.items()}
        result = proceed(group_id, asked)
        group = ec2.get_security_group_from_id(group_id)
        for rule_id, wanted in asked.items():
            rule = group.get_rule(rule_id) if group else None
            if rule and (cidr := wanted.get("CidrIpv6")):
                rule.ip_range["CidrIpv6"] = cidr
            if rule:
                ports = wanted["FromPort"], wanted["ToPort"]
                rule.from_port, rule.to_port = (None, None) if rule.ip_protocol == "-1" else map(int, ports)
            if rule and (source := wanted.get("ReferencedGroupId")):
                rule.ip_range = {}
                rule.source_group = {"GroupId": source, "Description": wanted.get("Description", "")}
            if rule and (source := wanted.get("PrefixListId")):
                rule.ip_range = {}
                rule.prefix_list_id = source
                vars(rule)["prefix_list"] = wanted
            if rule and rule.ip_range and "Description" not in wanted:
                rule.ip_range.pop("Description", None)
        return result


def _limited_filters(proceed: Proceed, _: EC2BaseResponse) -> Mapping[str, Sequence[str]]:
    filters: Mapping[str, Sequence[str]] = proceed()
    if sum(len(values) for values in filters.values()) > FILTER_VALUES:
        message = f"The maximum number of filter values specified on a single call is {FILTER_VALUES}"
        raise EC2ClientError("FilterLimitExceeded", message)
    return filters


def _known_prefix_list(proceed: Proceed, _: EC2Backend, prefix_list_id: str) -> Any:
    """Moto answers with nothing for one that is not there."""
    found = proceed(prefix_list_id)
    if found is None:
        raise EC2ClientError("InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist")
    return found


def _same_rule(proceed: Proceed, rule: SecurityGroupRule, other: SecurityGroupRule) -> bool:
    """For AWS a rule with another description is still the same rule."""
    if rule.source_group.get("GroupId") != other.source_group.get("GroupId"):
        return False
    here, there = rule.source_group, other.source_group
    rule.source_group = other.source_group = {}
    try:
        return proceed(other)
    finally:
        rule.source_group, other.source_group = here, there


def _state(route: Route) -> str:
    """A route to an internet gateway that is detached, or gone, leads nowhere."""
    gateway: Any = route.gateway
    return "blackhole" if isinstance(gateway, InternetGateway) and gateway.vpc is None else "active"


def _with_prefix_list(proceed: Proceed, rule: SecurityGroupRule, *args: Any, **kwargs: Any) -> None:
    """Moto keeps of a prefix list its id alone."""
    proceed(*args, **kwargs)
    given = signature(proceed).bind(*args, **kwargs).arguments
    vars(rule)["prefix_list"] = given.get("prefix_list_id") or {}


def _description(rule: SecurityGroupRule) -> str | None:
    """Moto looks only at rules with a CIDR."""
    return (rule.ip_range or rule.source_group or vars(rule).get("prefix_list", {})).get("Description")
