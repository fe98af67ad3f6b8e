"""What the stack needs to be allowed: in AWS as docs/iam-policy.json says, and in the cluster."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lls.alarm_rules import RULES
from lls.config import Config
from lls.config.dns import NO_ZONE
from lls.config.forms import is_prefix_list
from lls.oci import ecr_registry, split
from lls.operations.program.stack_file import PROJECT
from lls.sources import RULES_PER_GROUP

POLICY: Final = PROJECT / "docs" / "iam-policy.json"
"""The IAM policy. Its statements' Sids begin with Deploy (`up`), CleanUp (`destroy`, `sweep`, `check-clean`) or
Operate (the other commands)."""

ONCE_PER_ACCOUNT: Final = "iam:CreateServiceLinkedRole"
"""What only the first load balancer of an account needs."""

CLUSTER: Final = (
    ("list", "nodes", False),
    ("create", "namespaces", False),
    ("delete", "namespaces", False),
    ("create", "secrets", True),
    ("create", "services", True),
    ("create", "deployments.apps", True),
)
"""What the cluster must allow: verb, resource, and whether within the stack's namespace."""


class Grant(NamedTuple):
    """What one statement allows, as arguments of IAM's policy simulator."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: tuple[Mapping[str, Any], ...]


def statements(part: str) -> list[dict[str, Any]]:
    """The policy's statements of a part: Deploy, Operate or CleanUp."""
    return [statement for statement in json.loads(POLICY.read_text())["Statement"] if statement["Sid"].startswith(part)]


def needed(config: Config, *, partition: str, account: str) -> Iterator[Grant]:
    """What `up` and `destroy` need for a stack's config: each action on such resources as the stack's own."""
    for statement in (*statements("Deploy"), *statements("CleanUp")):
        actions = tuple(action for action in statement["Action"] if _concerns(action, config))
        listed: str | list[str] = statement["Resource"]
        patterns = [listed] if isinstance(listed, str) else listed
        if actions:
            resources = tuple(_example(pattern, config, partition, account) for pattern in patterns)
            yield Grant(actions, resources, tuple(_context(statement.get("Condition", {}))))


def _concerns(action: str, config: Config) -> bool:
    service, _, call = action.partition(":")
    if call in ("AllocateAddress", "ReleaseAddress"):
        return config.static_ip and not config.eip_allocation_id
    if service == "ecr":
        return not config.registry_config and (not config.chart or ecr_registry(config.chart) is not None)
    if service == "cloudwatch":
        return config.dashboard if "Dashboard" in call else bool(config.alarm_topic_arn)
    if service == "autoscaling" or "Nodegroup" in call:
        return config.registration == "autoscaling"
    if service == "route53":
        return bool(config.dns_name) and config.hosted_zone_id != NO_ZONE
    lists = any(map(is_prefix_list, config.allowed_cidrs))
    if "PrefixList" in call:
        return lists
    if service == "servicequotas":
        return lists or len(config.allowed_cidrs) > RULES_PER_GROUP
    return action != ONCE_PER_ACCOUNT


def _example(pattern: str, config: Config, partition: str, account: str) -> str:
    """An ARN of the stack's own that the policy's pattern means; * for any."""
    if pattern == "*":
        return pattern
    _, _, service, region, owner, resource = pattern.split(":", 5)
    resource = resource.replace("rp-public-*", f"{config.names.nlb}/0")
    resource = resource.replace("*-rp-tg*", f"{config.target_group_name}/0")
    resource = resource.replace("cluster/*", f"cluster/{config.cluster_name}")
    resource = resource.replace("hostedzone/*", f"hostedzone/{config.hosted_zone_id or '*'}")
    resource = resource.replace("repository/*", f"repository/{config.prefix}/")
    place, holder = config.region, account
    if service == "ecr" and (registry := ecr_registry(config.chart)):
        place, holder, resource = registry.region, registry.account, f"repository/{split(config.chart)[1]}"
    resource = resource.replace("alarm:*-lls-*", f"alarm:{config.names.alarm(RULES[0].name)}")
    resource = resource.replace("dashboard/*-lls-*", f"dashboard/{config.names.dashboard(config.region)}")
    where = f"{place if region else ''}:{holder if owner else ''}"
    return f"arn:{partition}:{service}:{where}:{resource.replace('*', '0')}"


def _context(condition: Mapping[str, Mapping[str, str | list[str]]]) -> Iterator[Mapping[str, Any]]:
    for keys in condition.values():
        for key, value in keys.items():
            values = value[:1] if isinstance(value, list) else [value]
            yield {"ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": "string"}
