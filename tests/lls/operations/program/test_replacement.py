"""Which changes replace, by the providers' rules: what their schema tells, and what only their code does."""

import importlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN

from lls.operations.program import schema_rules
from lls.operations.program.replacement import BY_CODE, NAMED, REPLACED_BY, deletes_first, replacing
from lls.operations.program.stack_file import PROJECT

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
NLB = "aws:lb/loadBalancer:LoadBalancer"
TARGET_GROUP = "aws:lb/targetGroup:TargetGroup"
NAMESPACE = "kubernetes:core/v1:Namespace"
BINDING = "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding"
RELEASE = "kubernetes:helm.sh/v3:Release"
CLUSTER = "pulumi:providers:kubernetes"

SUBNET, OTHER = {"subnetId": "subnet-1"}, {"subnetId": "subnet-2"}
STATIC = {"subnetId": "subnet-1", "allocationId": "eipalloc-1"}


def inputs_of(type_: str) -> set[str]:
    """The inputs that a type of the installed AWS package takes, by their names in Pulumi's schema."""
    module, _, name = type_.removeprefix("aws:").replace(":", "/").split("/")
    arguments: type[object] = getattr(importlib.import_module(f"pulumi_aws.{module}"), f"{name}Args")
    getters = [member.fget for member in vars(arguments).values() if isinstance(member, property)]
    return {getattr(getter, "_pulumi_name", "") for getter in getters}


def test_every_type_that_the_program_registers_has_its_rules() -> None:
    recorded = json.loads((PROJECT / "tests" / "registered.json").read_text())
    types = {urn.split("::")[2].rpartition("$")[2] for stack in recorded.values() for urn in stack}
    assert {type_ for type_ in types if not type_.startswith(("lls:", "pulumi:pulumi:"))} == set(BY_CODE)


def test_the_rules_of_the_schema_are_the_pinned_providers() -> None:
    pins = (PROJECT / "requirements.txt").read_text().splitlines()
    assert f"pulumi-aws=={schema_rules.VERSION}" in pins, "python -m scripts.replacement_rules"
    assert importlib.metadata.version("pulumi-aws") == schema_rules.VERSION
    assert set(schema_rules.BY_SCHEMA) == {type_ for type_ in BY_CODE if type_.startswith("aws:")}


@pytest.mark.parametrize("type_", schema_rules.BY_SCHEMA)
def test_every_rule_names_an_input_that_the_pinned_package_has(type_: str) -> None:
    paths = {path.partition(".")[0] for rule in REPLACED_BY[type_] for path in rule.paths}
    assert paths <= inputs_of(type_)
    assert "name" in inputs_of(type_) or type_ not in NAMED


def test_every_rule_carries_its_source() -> None:
    for rules in REPLACED_BY.values():
        for rule in rules:
            assert re.search(
                r"hashicorp/terraform-provider-aws|pulumi/pulumi-kubernetes|pulumi_aws\.|get-schema", rule.source
            )


CASES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any], list[str]]] = {
    "a port of a target group": (
        TARGET_GROUP,
        {"port": 30504, "name": "a"},
        {"port": 30600, "name": "b"},
        ["name", "port"],
    ),
    "a health check": (TARGET_GROUP, {"healthCheck": {"path": "/"}}, {"healthCheck": {"path": "/healthz"}}, []),
    "an input that comes": (TARGET_GROUP, {}, {"ipAddressType": "ipv6"}, ["ipAddressType"]),
    "a value that is not known yet": (TARGET_GROUP, {"vpcId": "vpc-1"}, {"vpcId": UNKNOWN}, ["vpcId"]),
    "an address of the NLB": (NLB, {"subnetMappings": [SUBNET]}, {"subnetMappings": [STATIC]}, ["subnetMappings"]),
    "another subnet": (NLB, {"subnetMappings": [SUBNET]}, {"subnetMappings": [OTHER]}, ["subnetMappings"]),
    "a subnet less": (NLB, {"subnetMappings": [SUBNET, OTHER]}, {"subnetMappings": [SUBNET]}, ["subnetMappings"]),
    "a subnet more": (NLB, {"subnetMappings": [SUBNET]}, {"subnetMappings": [OTHER, SUBNET]}, []),
    "a subnet more, and another": (
        NLB,
        {"subnetMappings": [SUBNET]},
        {"subnetMappings": [OTHER, STATIC]},
        ["subnetMappings"],
    ),
    "an address that is not known yet": (
        NLB,
        {"subnetMappings": [SUBNET]},
        {"subnetMappings": [{"subnetId": "subnet-1", "allocationId": UNKNOWN}]},
        [],
    ),
    "plain subnets, one more": (NLB, {"subnets": ["a"]}, {"subnets": ["a", "b"]}, []),
    "plain subnets, as many": (NLB, {"subnets": ["a"]}, {"subnets": ["b"]}, ["subnets"]),
    "another group on the NLB": (NLB, {"securityGroups": ["sg-1"]}, {"securityGroups": ["sg-2"]}, []),
    "a first group on the NLB": (NLB, {}, {"securityGroups": ["sg-1"]}, ["securityGroups"]),
    "no group any more": (NLB, {"securityGroups": ["sg-1"]}, {"securityGroups": []}, ["securityGroups"]),
    "fewer secondary addresses": (
        NLB,
        {"secondaryIpsAutoAssignedPerSubnet": 2},
        {},
        ["secondaryIpsAutoAssignedPerSubnet"],
    ),
    "more secondary addresses": (NLB, {}, {"secondaryIpsAutoAssignedPerSubnet": 2}, []),
    "deletion protection": (NLB, {}, {"enableDeletionProtection": True}, []),
    "another CIDR of a rule": (INGRESS, {"cidrIpv4": "0.0.0.0/0"}, {"cidrIpv4": "10.0.0.0/8"}, []),
    "a prefix list for a CIDR": (
        INGRESS,
        {"cidrIpv4": "0.0.0.0/0"},
        {"prefixListId": "pl-1"},
        ["cidrIpv4", "prefixListId"],
    ),
    "a source that is not known yet": (
        INGRESS,
        {"referencedSecurityGroupId": "sg-1"},
        {"referencedSecurityGroupId": UNKNOWN},
        [],
    ),
    "the ports of a rule": (INGRESS, {"fromPort": 1, "toPort": 1}, {"fromPort": 2, "toPort": 2}, []),
    "the group of a rule": (INGRESS, {"securityGroupId": "sg-1"}, {"securityGroupId": "sg-2"}, ["securityGroupId"]),
    "a label of a namespace": (
        NAMESPACE,
        {"metadata": {"name": "a"}},
        {"metadata": {"name": "a", "labels": {"b": "c"}}},
        [],
    ),
    "another namespace": (NAMESPACE, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, ["metadata.name"]),
    "the spec of a binding": (
        BINDING,
        {"spec": {"serviceRef": {"port": 1}}},
        {"spec": {"serviceRef": {"port": 2}}},
        [],
    ),
    "a release's chart": (RELEASE, {"chart": "a", "version": "1"}, {"chart": "b", "version": "2"}, []),
    "a release's namespace": (RELEASE, {"namespace": "a"}, {"namespace": "b"}, ["namespace"]),
    "another cluster": (CLUSTER, {"clusterIdentifier": "a"}, {"clusterIdentifier": "b"}, ["clusterIdentifier"]),
    "a cluster that gets its identifier": (CLUSTER, {}, {"clusterIdentifier": "b"}, []),
    "a kubeconfig of the same cluster": (
        CLUSTER,
        {"clusterIdentifier": "a", "kubeconfig": "one"},
        {"clusterIdentifier": "a", "kubeconfig": UNKNOWN},
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_replaces_where_the_provider_says_so(case: str) -> None:
    type_, old, new, paths = CASES[case]
    assert replacing(type_, old, new) == paths
    assert replacing(type_, new, new) == []


def test_a_resources_own_options_add_paths() -> None:
    old, new = ({"spec": {"targetGroupARN": arn}} for arn in ("one", "two"))
    assert replacing(BINDING, old, new) == []
    assert replacing(BINDING, old, new, ["spec.targetGroupARN"]) == ["spec.targetGroupARN"]
    assert replacing(BINDING, old, old, ["spec.targetGroupARN"]) == []


def test_a_path_leads_into_each_part_of_a_list_and_into_what_is_unknown() -> None:
    paths = ["subnetMappings.outpostId"]
    before = {"subnetMappings": [SUBNET | {"outpostId": "op-1"}]}
    assert replacing(NLB, before, before, paths) == []
    assert set(paths) <= set(replacing(NLB, before, {"subnetMappings": [SUBNET | {"outpostId": "op-2"}]}, paths))
    assert replacing(NLB, before, {"subnetMappings": UNKNOWN}, paths) == paths


def test_what_pulumi_would_name_itself_is_deleted_first_where_the_name_is_given() -> None:
    assert deletes_first(TARGET_GROUP, {"name": "demo-rp-tg"})
    assert not deletes_first(TARGET_GROUP, {"namePrefix": "demo"})
    assert not deletes_first(INGRESS, {"securityGroupId": "sg-1"})
    assert not deletes_first(RELEASE, {"name": "streaming-proxy"})
