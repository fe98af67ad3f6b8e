"""Service Quotas of an emulated account, and the refusals beyond them."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend
from moto.elbv2.responses import ELBV2Response
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from rehearsal.aws.strict import Proceed, Rule, enforce


class Quota(NamedTuple):
    """A quota: its service, its name, AWS's default, and what `describe-account-limits` calls it."""

    service: str
    name: str
    default: int
    limit: str = ""


BALANCERS: Final = "L-69A177A2"
TARGET_GROUPS: Final = "L-B22855CB"
TARGETS_PER_ZONE: Final = "L-B211E961"
TARGETS: Final = "L-EEF1AD04"
ADDRESSES: Final = "L-0263D0A3"
RULES: Final = "L-0EA8095F"
GROUPS: Final = "L-E79EC296"

ELB: Final = "elasticloadbalancing"
QUOTAS: Final[Mapping[str, Quota]] = {
    BALANCERS: Quota(ELB, "Network Load Balancers per Region", 50, "network-load-balancers"),
    TARGET_GROUPS: Quota(ELB, "Target Groups per Region", 3000, "target-groups"),
    TARGETS_PER_ZONE: Quota(
        ELB,
        "Targets per Availability Zone per Network Load Balancer",
        500,
        "targets-per-availability-zone-per-network-load-balancer",
    ),
    TARGETS: Quota(ELB, "Targets per Network Load Balancer", 3000, "targets-per-network-load-balancer"),
    ADDRESSES: Quota("ec2", "EC2-VPC Elastic IPs", 5),
    RULES: Quota("vpc", "Inbound or outbound rules per security group", 60),
    GROUPS: Quota("vpc", "VPC security groups per Region", 2500),
}
"""The quotas that the stack's resources count against."""


@dataclass
class Quotas:
    """The quotas of one account. `values` may be changed at any time."""

    region: str
    account: str
    partition: str
    values: dict[str, int] = field(default_factory=lambda: {code: quota.default for code, quota in QUOTAS.items()})

    def enforce(self, until: ExitStack) -> None:
        """Answer and refuse until that stack is closed."""
        enforce(
            (
                Rule(ELBv2Backend, "create_load_balancer", self._create_load_balancer),
                Rule(ELBv2Backend, "create_target_group", self._create_target_group),
                Rule(EC2Backend, "allocate_address", self._allocate_address),
                Rule(EC2Backend, "create_security_group", self._create_security_group),
                Rule(EC2Backend, "authorize_security_group_ingress", self._authorize_ingress),
                Rule(EC2Backend, "authorize_security_group_egress", self._authorize_egress),
                Rule(ELBV2Response, "describe_account_limits", self._limits),
                Rule(ServiceQuotasResponse, "get_service_quota", self._get),
                Rule(ServiceQuotasResponse, "list_aws_default_service_quotas", self._list_default),
            ),
            until,
        )
        for name, answer in (("get_aws_default_service_quota", self._get_default), ("list_service_quotas", self._list)):
            # Moto has no such operations; it finds them by their names.
            until.enter_context(patch.object(ServiceQuotasResponse, name, _operation(answer), create=True))

    # --- Refusals

    def _create_load_balancer(self, proceed: Proceed, elbv2: ELBv2Backend, **kwargs: Any) -> Any:
        if len(elbv2.load_balancers) >= self.values[BALANCERS]:
            raise ELBClientError("TooManyLoadBalancers", "The maximum number of load balancers has been reached")
        return proceed(**kwargs)

    def _create_target_group(self, proceed: Proceed, elbv2: ELBv2Backend, name: str, **kwargs: Any) -> Any:
        if len(elbv2.target_groups) >= self.values[TARGET_GROUPS]:
            raise ELBClientError("TooManyTargetGroups", "The maximum number of target groups has been reached")
        return proceed(name, **kwargs)

    def _allocate_address(self, proceed: Proceed, ec2: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        if len(ec2.addresses) >= self.values[ADDRESSES]:
            raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        return proceed(*args, **kwargs)

    def _create_security_group(self, proceed: Proceed, ec2: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        if sum(map(len, ec2.groups.values())) >= self.values[GROUPS]:
            raise EC2ClientError(
                "SecurityGroupLimitExceeded", "The maximum number of security groups has been reached."
            )
        return proceed(*args, **kwargs)

    def _authorize_ingress(self, proceed: Proceed, ec2: EC2Backend, **kwargs: Any) -> Any:
        return self._authorize(proceed, ec2, "ingress_rules", kwargs)

    def _authorize_egress(self, proceed: Proceed, ec2: EC2Backend, **kwargs: Any) -> Any:
        return self._authorize(proceed, ec2, "egress_rules", kwargs)

    def _authorize(self, proceed: Proceed, ec2: EC2Backend, direction: str, kwargs: dict[str, Any]) -> Any:
        """AWS counts rules for IPv4 and IPv6 apart, and references to groups with both."""
        group = ec2.get_security_group_by_name_or_id(kwargs["group_name_or_id"], kwargs.get("vpc_id"))
        held: list[SecurityGroupRule] = getattr(group, direction) if group else []
        sources: list[Mapping[str, Any]] = [
            source for key in ("ip_ranges", "source_groups", "prefix_list_ids") for source in kwargs.get(key) or ()
        ]
        sources += [{"PrefixListId": rule.prefix_list_id} if rule.prefix_list_id else rule.ip_range for rule in held]
        for family in ("IPv4", "IPv6"):
            if sum(_weight(ec2, source, family) for source in sources) > self.values[RULES]:
                message = "The maximum number of rules per security group has been reached."
                raise EC2ClientError("RulesPerSecurityGroupLimitExceeded", message)
        return proceed(**kwargs)

    # --- Answers

    def _limits(self, _: Proceed, __: ELBV2Response) -> ActionResult:
        limits = [{"Name": quota.limit, "Max": str(self.values[code])} for code, quota in QUOTAS.items() if quota.limit]
        return ActionResult({"Limits": limits})

    def _get(self, _: Proceed, response: ServiceQuotasResponse) -> str:
        return json.dumps({"Quota": self._asked(response, self.values)})

    def _get_default(self, response: ServiceQuotasResponse) -> str:
        return json.dumps({"Quota": self._asked(response, _defaults())})

    def _list(self, response: ServiceQuotasResponse) -> str:
        return json.dumps({"Quotas": self._of(response, self.values)})

    def _list_default(self, _: Proceed, response: ServiceQuotasResponse) -> str:
        return json.dumps({"Quotas": self._of(response, _defaults())})

    def _asked(self, response: ServiceQuotasResponse, values: Mapping[str, int]) -> dict[str, Any]:
        code = json.loads(response.body)["QuotaCode"]
        found = next((entry for entry in self._of(response, values) if entry["QuotaCode"] == code), None)
        if found is None:
            raise NoSuchResource
        return found

    def _of(self, response: ServiceQuotasResponse, values: Mapping[str, int]) -> list[dict[str, Any]]:
        service = json.loads(response.body)["ServiceCode"]
        place = f"arn:{self.partition}:servicequotas:{self.region}:{self.account}"
        return [
            {
                "ServiceCode": quota.service,
                "ServiceName": quota.service,
                "QuotaCode": code,
                "QuotaName": quota.name,
                "QuotaArn": f"{place}:{quota.service}/{code}",
                "Value": float(values[code]),
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
            for code, quota in QUOTAS.items()
            if quota.service == service
        ]


def _weight(ec2: EC2Backend, source: Mapping[str, Any], family: str) -> int:
    """What a rule with that peer counts for; a prefix list for as many as it may ever have entries."""
    if prefix_list := ec2.managed_prefix_lists.get(source.get("PrefixListId", "")):
        if prefix_list.address_family != family:
            return 0
        return int(prefix_list.max_entries or len(prefix_list.entries[max(prefix_list.entries)]))
    return int(("CidrIp" if family == "IPv6" else "CidrIpv6") not in source)


def _defaults() -> Mapping[str, int]:
    return {code: quota.default for code, quota in QUOTAS.items()}


def _operation(answer: Any) -> Any:
    """A method of moto's response class that another object answers."""

    def operation(self: Any) -> Any:
        return answer(self)

    return operation
