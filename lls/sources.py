"""Step 2.4 of the guide: who may stream, and whether a security group has room for so many."""

from collections.abc import Mapping
from typing import Final

import pulumi
import pulumi_aws as aws

from lls.asking import ask
from lls.config import Config
from lls.config.forms import is_prefix_list

RULES_QUOTA: Final = "L-0EA8095F"
RULES_PER_GROUP: Final = 60
"""The quota of rules of a security group, and AWS's default: inbound and outbound apart, IPv4 and IPv6 apart."""

MOST_RULES: Final = 1000
"""What no raised quota exceeds: AWS takes 1,000 for a quota of rules times that of groups of a network interface."""


def check_sources(config: Config) -> None:
    """Refuse prefix lists that cannot let anybody in, and more sources than a security group takes.

    Raises pulumi.RunError.
    """
    weights = weigh_sources(config)
    wanted = sum(weights.values())
    if wanted <= RULES_PER_GROUP:
        return
    try:
        quota = ask(
            f"quota {RULES_QUOTA}",
            lambda: aws.servicequotas.get_service_quota(service_code="vpc", quota_code=RULES_QUOTA),
            "Allow servicequotas:GetServiceQuota (docs/iam-policy.json).",
        )
        limit = int(quota.value)
    except pulumi.RunError as error:
        pulumi.log.warn(f"lls:allowedCidrs are {wanted} rules, and AWS's default is {RULES_PER_GROUP}. {error}")
        limit = MOST_RULES
    if wanted > limit:
        raise pulumi.RunError(f"{too_many(weights, limit)}. Join CIDRs, or have the quota raised.")


def too_many(weights: Mapping[str, int], limit: int) -> str:
    """What is said of sources that weigh more than a security group takes."""
    lists = ", ".join(f"{source} counts for {weight}" for source, weight in weights.items() if is_prefix_list(source))
    return (
        f"lls:allowedCidrs has {len(weights)} sources that count as {sum(weights.values())} inbound rules"
        + (f" ({lists}: a list's maximum number of entries)" if lists else "")
        + f", and a security group takes {limit} (quota {RULES_QUOTA})"
    )


def weigh_sources(config: Config) -> Mapping[str, int]:
    """How many rules each source counts for: a CIDR one, a prefix list as many as it may have entries.

    Raises pulumi.RunError for a prefix list that there is not, or that no client can be in.
    """
    weights: dict[str, int] = {}
    problems: list[str] = []
    for source in config.allowed_cidrs:
        try:
            weights[source] = _entries(source) if is_prefix_list(source) else 1
        except pulumi.RunError as error:
            problems.append(str(error))
    if problems:
        raise pulumi.RunError("\n".join(problems))
    return weights


def _entries(prefix_list: str) -> int:
    """The most entries that a prefix list may have."""
    found = ask(
        f"managed prefix list {prefix_list}",
        lambda: aws.ec2.get_managed_prefix_list(id=prefix_list),
        "Set lls:allowedCidrs to prefix lists of this account and region, or shared with it.",
    )
    if found.address_family != "IPv4":
        raise pulumi.RunError(
            f"lls:allowedCidrs = {prefix_list}: its addresses are {found.address_family}, and the load balancer speaks "
            "IPv4 only, so no client would ever match. Use a list of IPv4 addresses."
        )
    if found.owner_id == "AWS":
        raise pulumi.RunError(
            f"lls:allowedCidrs = {prefix_list}: {found.name} is AWS's own list, of its services' addresses, and nobody "
            "streams from those. Use a list of your own."
        )
    return found.max_entries
