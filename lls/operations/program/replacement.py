"""Which changes replace a resource, and whether the old one then goes first: the rules of the providers.

What a provider's schema tells is in `lls.operations.program.schema_rules`, which a script writes. What a provider
decides in code is in no schema: those rules are here, each with the place where it was read, in terraform-provider-aws
6, pulumi-kubernetes 4.32 and the pulumi-terraform-bridge of August 2026.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pulumi.runtime.rpc import UNKNOWN

from lls.operations.program.schema_rules import BY_SCHEMA, ORIGIN

Inputs = Mapping[str, Any]
"""A resource's inputs; what is not known yet is Pulumi's UNKNOWN."""


def _always(_old: Inputs, _new: Inputs) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """A change of what is at one of the `paths` (keys, joined by dots) replaces the resource.

    It does so only `when` the inputs before and after fulfil that. `source` tells where the provider says it.
    """

    paths: tuple[str, ...]
    source: str
    when: Callable[[Inputs, Inputs], bool] = _always


def _is_known(value: object) -> bool:
    return UNKNOWN not in json.dumps(value)


def _both(key: str, old: Inputs, new: Inputs) -> tuple[list[Any], list[Any]]:
    return old.get(key) or [], new.get(key) or []


def _a_mapping_goes(old: Inputs, new: Inputs) -> bool:
    before, after = _both("subnetMappings", old, new)
    return _is_known(after) and not (len(after) > len(before) and all(mapping in after for mapping in before))


def _no_subnet_more(old: Inputs, new: Inputs) -> bool:
    before, after = _both("subnets", old, new)
    return _is_known(after) and len(after) <= len(before)


def _all_groups_come_or_go(old: Inputs, new: Inputs) -> bool:
    before, after = _both("securityGroups", old, new)
    return _is_known(after) and bool(after) != bool(before)


def _fewer_addresses(old: Inputs, new: Inputs) -> bool:
    before, after = (inputs.get("secondaryIpsAutoAssignedPerSubnet") or 0 for inputs in (old, new))
    return _is_known(after) and after < before


SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _another_kind_of_source(old: Inputs, new: Inputs) -> bool:
    before, after = ({key for key in SOURCES if inputs.get(key) is not None} for inputs in (old, new))
    return before != after


def _both_are_identified(old: Inputs, new: Inputs) -> bool:
    return bool(old.get("clusterIdentifier")) and bool(new.get("clusterIdentifier"))


AWS: Final = "hashicorp/terraform-provider-aws internal"
KUBERNETES: Final = "pulumi/pulumi-kubernetes provider/pkg/provider"

REGION: Final = Rule(("region",), f"{AWS}/provider: forceNewIfRegionChanges, for each resource")
"""A region beside the provider's own, which no resource of this project has."""

SECURITY_GROUP_RULE: Final = (
    Rule(("securityGroupId",), f"{AWS}/service/ec2/vpc_security_group_ingress_rule.go: Schema, RequiresReplace"),
    Rule(SOURCES, f"{AWS}/service/ec2/vpc_security_group_ingress_rule.go: ModifyPlan", _another_kind_of_source),
    REGION,
)
"""Of the Plugin Framework, whose RequiresReplace no schema of Pulumi tells (pulumi/pulumi-terraform-bridge#818)."""

OBJECT: Final = (Rule(("metadata.name", "metadata.namespace"), f"{KUBERNETES}/diff.go: metadataForceNewProperties"),)

NLB: Final = f"{AWS}/service/elbv2/load_balancer.go: customizeDiffLoadBalancerNLB"

BY_CODE: Final[Mapping[str, tuple[Rule, ...]]] = {
    "aws:autoscaling/attachment:Attachment": (REGION,),
    "aws:cloudwatch/dashboard:Dashboard": (REGION,),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (REGION,),
    "aws:ec2/eip:Eip": (REGION,),
    "aws:ec2/securityGroup:SecurityGroup": (REGION,),
    "aws:lb/listener:Listener": (REGION,),
    "aws:lb/loadBalancer:LoadBalancer": (
        Rule(("subnetMappings",), NLB, _a_mapping_goes),
        Rule(("subnets",), NLB, _no_subnet_more),
        Rule(("securityGroups",), NLB, _all_groups_come_or_go),
        Rule(
            ("secondaryIpsAutoAssignedPerSubnet",),
            "pulumi_aws.lb.LoadBalancer's documentation of the input: when decreased",
            _fewer_addresses,
        ),
        REGION,
    ),
    "aws:lb/targetGroup:TargetGroup": (REGION,),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": (REGION,),
    # Another type, or set identifier, is another record in the same change: resourceRecordUpdate in
    # internal/service/route53/record.go. The service is global, and its resources take no region.
    "aws:route53/record:Record": (),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": SECURITY_GROUP_RULE,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": SECURITY_GROUP_RULE,
    "kubernetes:core/v1:Namespace": OBJECT,
    "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": OBJECT,
    "kubernetes:helm.sh/v3:Release": (Rule(("name", "namespace"), f"{KUBERNETES}/helm_release.go: Diff"),),
    # As long as it is set and stays, no other input of the provider replaces it.
    "pulumi:providers:kubernetes": (
        Rule(("clusterIdentifier",), f"{KUBERNETES}/provider.go: DiffConfig", _both_are_identified),
    ),
    # Its provider has no diff of its own: the engine updates it.
    "pulumi-python:dynamic:Resource": (),
}
"""What no schema tells, for every type that this project registers; load balancers are network load balancers."""

REPLACED_BY: Final[Mapping[str, tuple[Rule, ...]]] = {
    type_: (Rule(BY_SCHEMA.get(type_, ()), ORIGIN), *rules) for type_, rules in BY_CODE.items()
}
"""All rules, by type."""

NAMED: Final = (
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:lb/targetGroup:TargetGroup",
)
"""Types that pulumi-aws would name by itself: their `name` is an AutoName in its provider/resources.go."""


def changed_keys(old: Inputs, new: Inputs) -> set[str]:
    """The inputs whose values differ."""
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def replacing(type_: str, old: Inputs, new: Inputs, replace_on_changes: Collection[str] = ()) -> list[str]:
    """The paths of the inputs whose change replaces the resource; without any it is changed in place, or not at all.

    `replace_on_changes` are the paths that the resource's own options add.
    """
    forced = {
        path
        for rule in REPLACED_BY.get(type_, ())
        for path in rule.paths
        if _at(old, path) != _at(new, path) and rule.when(old, new)
    }
    return sorted(forced | {path for path in replace_on_changes if _at(old, path) != _at(new, path)})


def deletes_first(type_: str, new: Inputs) -> bool:
    """Whether the provider wants a resource gone before its successor is made, unless the resource's options say.

    Of pulumi-aws' resources it wants that for those of a given name, even where the name changes
    (pulumi/pulumi-terraform-bridge pkg/tfbridge/schema.go: nameRequiresDeleteBeforeReplace). The Kubernetes provider
    wants it for objects that keep their name, which those here never do when it replaces them (provider.go: Diff), and
    never for a Helm release (helm_release.go: Diff).
    """
    return type_ in NAMED and bool(new.get("name"))


def _at(value: Any, path: str) -> Any:
    """What is at a path: in a list, what each of its parts has there. Below what is unknown, all is unknown."""
    if not path or value == UNKNOWN:
        return value
    if isinstance(value, list):
        return [_at(part, path) for part in cast(list[Any], value)]
    key, _, rest = path.partition(".")
    return _at(cast(Inputs, value).get(key), rest) if isinstance(value, Mapping) else None
