"""What the emulated providers read: the world in a program's terms, by which a refresh and an import go."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lls.operations.program.recording import Properties, Resource
from lls.operations.world.inventory import ATTACHMENT, TARGET, alias_change
from lls.operations.world.ownership import RELEASE
from rehearsal.engine.engine import Refreshed, StepsFailedError
from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.rehearse import Rehearsal
from tests.support.faults import NODES
from tests.support.operations import streams
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import a_rehearsal

STACKS: Mapping[str, Mapping[str, str]] = {
    **STRATEGIES,
    "static address": NODES,
    "own kubeconfig": as_config(
        kubeconfig="clusters: []",
        helmValues={
            "env": {"more": "x"},
            "tolerations": [
                {"key": "gpu", "operator": "Exists"},
                {"key": "team", "value": "x", "effect": "NoSchedule"},
            ],
        },
    ),
    "every option": as_config(
        instance="b",
        dnsName="stream.example.com",
        allowedCidrs=["203.0.113.0/24", "10.0.0.0/8", "pl-0a1b"],
        stickiness=True,
        replicas=1,
        deregistrationDelay=60,
        drainSeconds=5,
        nodeInternalRules=False,
        tags={"team": "x", "Zone": "1"},
    ),
}


def named(rehearsal: Rehearsal, name: str) -> Resource:
    return next(resource for resource in rehearsal.engine.state.values() if resource.name == name)


def texts(rehearsal: Rehearsal) -> Mapping[str, str]:
    """The inputs in the state, so that a number differs from a text and an order from another."""
    return {urn: json.dumps(resource.inputs, sort_keys=True) for urn, resource in rehearsal.engine.state.items()}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_refresh_right_after_an_up_finds_exactly_what_the_program_gave(stack: Mapping[str, str]) -> None:
    with a_rehearsal(stack, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        made = {urn: resource.outputs.keys() for urn, resource in rehearsal.engine.state.items()}
        given = texts(rehearsal)
        assert rehearsal.engine.refresh() == Refreshed()
        assert texts(rehearsal) == given
        assert {urn: resource.outputs.keys() for urn, resource in rehearsal.engine.state.items()} == made
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}


# --- Changes by hand


def tag(rehearsal: Rehearsal, resource: Resource) -> None:
    """Change a tag, take one away and add one."""
    first, second, *_ = resource.inputs["tags"]
    ec2, elbv2 = rehearsal.aws.client("ec2"), rehearsal.aws.client("elbv2")
    if resource.id.startswith("arn:"):
        elbv2.remove_tags(ResourceArns=[resource.id], TagKeys=[first])
        elbv2.add_tags(
            ResourceArns=[resource.id], Tags=[{"Key": second, "Value": "changed"}, {"Key": "added", "Value": "x"}]
        )
    else:
        ec2.delete_tags(Resources=[resource.id], Tags=[{"Key": first}])
        ec2.create_tags(
            Resources=[resource.id], Tags=[{"Key": second, "Value": "changed"}, {"Key": "added", "Value": "x"}]
        )


def change_rule(**changes: Any) -> "Change":
    def change(rehearsal: Rehearsal, resource: Resource) -> None:
        ec2: Any = rehearsal.aws.client("ec2")
        [found] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[resource.id])["SecurityGroupRules"]
        known = {key: found[key] for key in ("IpProtocol", "FromPort", "ToPort", "CidrIpv4") if key in found}
        peer = {"ReferencedGroupId": found["ReferencedGroupInfo"]["GroupId"]} if "CidrIpv4" not in found else {}
        ec2.modify_security_group_rules(
            GroupId=resource.inputs["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": resource.id, "SecurityGroupRule": known | peer | changes}],
        )

    return change


def change_health_check(rehearsal: Rehearsal, resource: Resource) -> None:
    rehearsal.aws.client("elbv2").modify_target_group(
        TargetGroupArn=resource.id, HealthCheckPath="/other", HealthyThresholdCount=2
    )


def change_attributes(rehearsal: Rehearsal, resource: Resource) -> None:
    attributes: Any = [
        {"Key": "deregistration_delay.timeout_seconds", "Value": "5"},
        {"Key": "stickiness.enabled", "Value": "true"},
    ]
    rehearsal.aws.client("elbv2").modify_target_group_attributes(TargetGroupArn=resource.id, Attributes=attributes)


def add_group(rehearsal: Rehearsal, resource: Resource) -> None:
    groups = [*resource.inputs["securityGroups"], rehearsal.aws.node_security_group_ids[0]]
    rehearsal.aws.client("elbv2").set_security_groups(LoadBalancerArn=resource.id, SecurityGroups=groups)


def protect(rehearsal: Rehearsal, resource: Resource) -> None:
    rehearsal.aws.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=resource.id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )


def change_listener(rehearsal: Rehearsal, resource: Resource) -> None:
    rehearsal.aws.client("elbv2").modify_listener(ListenerArn=resource.id, Port=6004)


def upgrade(rehearsal: Rehearsal, resource: Resource) -> None:
    """`helm upgrade` with another version, one value changed and one set that the program does not know."""
    namespace, _, name = resource.id.partition("/")
    values = {**resource.inputs["values"], "replicaCount": 2, "more": "x"}
    found = rehearsal.cluster.releases[namespace, name]
    rehearsal.cluster.releases[namespace, name] = replace(found, version="9.9.9", values=values, revision=2)


def change_alias(rehearsal: Rehearsal, resource: Resource) -> None:
    alias = resource.inputs["aliases"][0] | {"evaluateTargetHealth": True}
    change = alias_change("UPSERT", resource.inputs | {"aliases": [alias]})
    rehearsal.aws.client("route53").change_resource_record_sets(**change)


Change = Callable[[Rehearsal, Resource], None]
CHANGES: Collection[tuple[str, Change, Collection[str]]] = (
    ("streaming-sg", tag, {"tags"}),
    ("streaming-ingress-0.0.0.0/0", change_rule(FromPort=1, ToPort=9, Description="by hand"), ()),
    ("streaming-ingress-0.0.0.0/0", tag, {"fromPort", "toPort", "description", "tags"}),
    ("streaming-egress", change_rule(Description="by hand"), {"description"}),
    ("node-ports-media", change_rule(FromPort=30505, ToPort=30505), {"fromPort", "toPort", "description"}),
    ("node-ports-health", change_rule(IpProtocol="-1", Description="LLS health checks of the NLB"), ()),
    ("node-ports-health", tag, {"ipProtocol", "fromPort", "toPort", "tags"}),
    ("streaming-eip", tag, {"tags"}),
    ("streaming-tg", change_health_check, ()),
    ("streaming-tg", change_attributes, ()),
    ("streaming-tg", tag, {"healthCheck", "deregistrationDelay", "stickiness", "tags"}),
    ("streaming-nlb", add_group, ()),
    ("streaming-nlb", protect, ()),
    ("streaming-nlb", tag, {"securityGroups", "enableDeletionProtection", "tags"}),
    ("streaming-listener", change_listener, {"port"}),
    ("streaming-record", change_alias, {"aliases"}),
    ("proxy-release", upgrade, {"version", "values"}),
)
"""Resources, what somebody does to them, and the inputs of each in which that, and what was done before, is seen."""


def differing(before: Properties, after: Properties) -> set[str]:
    return {key for key in before | after if before.get(key) != after.get(key)}


def test_what_somebody_changed_is_seen_by_a_refresh_and_put_right_by_the_next_up() -> None:
    with a_rehearsal(NODES | as_config(dnsName="stream.example.com")) as rehearsal:
        rehearsal.engine.up()
        before = dict(rehearsal.engine.state)
        for name, change, _ in CHANGES:
            change(rehearsal, named(rehearsal, name))
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}, "seen without a refresh"
        found = rehearsal.engine.refresh()
        assert found.gone == ()
        seen = {resource.name: differing(before[resource.urn].inputs, resource.inputs) for resource in found.changed}
        assert seen == {name: set(keys) for name, _, keys in CHANGES if keys}
        steps = {step.resource.name: step.operation for step in rehearsal.engine.up() if step.operation != "same"}
        assert steps == dict.fromkeys(seen, "update")
        assert rehearsal.engine.refresh() == Refreshed()
        assert {urn: resource.inputs for urn, resource in rehearsal.engine.state.items()} == {
            urn: resource.inputs for urn, resource in before.items()
        }
        assert streams(rehearsal)
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_what_somebody_added_to_a_release_is_left_alone_as_helm_leaves_it() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        [key] = rehearsal.cluster.releases
        release = rehearsal.cluster.releases[key]
        rehearsal.cluster.releases[key] = replace(release, values={**release.values, "more": "x"})
        assert rehearsal.engine.refresh() == Refreshed()


def test_a_target_that_drains_is_gone_and_registered_again() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        target = next(resource for resource in rehearsal.engine.state.values() if resource.type == TARGET)
        rehearsal.aws.client("elbv2").deregister_targets(
            TargetGroupArn=target.inputs["targetGroupArn"],
            Targets=[{"Id": target.inputs["targetId"], "Port": target.inputs["port"]}],
        )
        assert rehearsal.engine.refresh() == Refreshed(gone=(target,))
        assert [step.resource.name for step in rehearsal.engine.up() if step.operation != "same"] == [target.name]
        assert streams(rehearsal)


def test_a_binding_that_somebody_changed_has_its_targets_again_after_the_next_up() -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        before = rehearsal.await_health()
        binding = named(rehearsal, "targets-binding")
        selector = {"matchLabels": {**binding.inputs["spec"]["nodeSelector"]["matchLabels"], "node-type": "system"}}
        changed = {**binding.inputs, "spec": {**binding.inputs["spec"], "nodeSelector": selector}}
        rehearsal.provider.update(binding.type, binding.id, binding.inputs, changed)
        assert {target.id for target in rehearsal.await_health()}.isdisjoint({target.id for target in before})
        assert [resource.name for resource in rehearsal.engine.refresh().changed] == ["targets-binding"]
        rehearsal.engine.up()
        assert rehearsal.await_health() == before


def test_a_target_at_another_port_is_not_that_of_the_stack() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        target = next(resource for resource in rehearsal.engine.state.values() if resource.type == TARGET)
        arn, target_id = target.inputs["targetGroupArn"], target.inputs["targetId"]
        elbv2 = rehearsal.aws.client("elbv2")
        elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": target_id}])
        elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target_id, "Port": 1}])
        assert rehearsal.engine.refresh() == Refreshed(gone=(target,))


def test_a_binding_keeps_its_target_group() -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        binding = named(rehearsal, "targets-binding")
        changed = {**binding.inputs, "spec": {**binding.inputs["spec"], "targetGroupARN": "arn:other"}}
        with pytest.raises(KubernetesError, match=r"immutable fields: spec\.targetGroupARN$"):
            rehearsal.provider.update(binding.type, binding.id, binding.inputs, changed)


def test_what_has_a_successor_and_is_gone_is_not_deleted_again() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        old = named(rehearsal, "streaming-tg")
        rehearsal.reconfigure({"lls:streamingNodePort": "30600"})
        refused = rehearsal.aws.refuse("elasticloadbalancing:DeleteTargetGroup", "AccessDenied")
        with refused, pytest.raises(StepsFailedError):
            rehearsal.engine.up()
        assert [left.id for left in rehearsal.engine.replaced] == [old.id]
        assert rehearsal.engine.refresh() == Refreshed()
        rehearsal.aws.client("elbv2").delete_target_group(TargetGroupArn=old.id)
        assert [resource.id for resource in rehearsal.engine.refresh().gone] == [old.id]
        assert rehearsal.engine.replaced == []
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}


# --- What cannot be told


DENIED = (
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeAddresses",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
)


def test_what_may_not_be_read_is_not_gone() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        state = dict(rehearsal.engine.state)
        for action in DENIED:
            rehearsal.aws.denied.add(action)
            with pytest.raises(ClientError, match=r"Unauthorized|AccessDenied"):
                rehearsal.engine.refresh()
            rehearsal.aws.denied.clear()
        for denied in (("get", "namespaces"), ("list", "secrets")):
            rehearsal.cluster.denied.add(denied)
            with pytest.raises(PermissionError, match="forbidden"):
                rehearsal.engine.refresh()
            rehearsal.cluster.denied.clear()
        assert rehearsal.engine.state == state


def test_what_an_up_left_half_made_counts_as_it_is_after_a_refresh() -> None:
    with a_rehearsal(as_config(deregistrationDelay=60, deletionProtection=True)) as rehearsal:
        for action, name, key in (
            ("elasticloadbalancing:ModifyTargetGroupAttributes", "streaming-tg", "deregistrationDelay"),
            ("elasticloadbalancing:ModifyLoadBalancerAttributes", "streaming-nlb", "enableDeletionProtection"),
        ):
            with rehearsal.aws.refuse(action, "InternalFailure"), pytest.raises(StepsFailedError):
                rehearsal.engine.up()
            wanted = named(rehearsal, name)
            [found] = rehearsal.engine.refresh().changed
            assert (found.name, key in differing(wanted.inputs, found.inputs)) == (name, True)
            assert not rehearsal.engine.unfinished
        rehearsal.engine.up()
        assert rehearsal.engine.refresh() == Refreshed()
        assert streams(rehearsal)


# --- Imports


UNKNOWN_TO_HELM = {"chart", "timeout", "compat"}
"""Inputs of a release that an import does not find out: where the chart came from, and what only Pulumi knows."""


def import_id(resource: Resource) -> str:
    """By what `pulumi import` knows it."""
    if resource.type == TARGET:
        return ",".join(str(resource.inputs[key]) for key in ("targetGroupArn", "targetId", "port"))
    return resource.id


@pytest.mark.parametrize("stack", [NODES, STRATEGIES["binding"]], ids=["static address", "binding"])
def test_an_import_tells_by_the_id_alone_what_a_program_would_give(stack: Mapping[str, str]) -> None:
    with a_rehearsal(stack, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        for resource in rehearsal.engine.state.values():
            if not resource.custom or resource.type.startswith("pulumi"):
                continue
            read = rehearsal.provider.read(resource.type, import_id(resource), {})
            assert read, resource.name
            inputs, outputs = read
            unlike = differing(inputs, resource.inputs)
            assert unlike == (UNKNOWN_TO_HELM if resource.type == RELEASE else set()), resource.name
            assert outputs.keys() >= resource.outputs.keys() - resource.inputs.keys(), resource.name


def test_an_attachment_of_an_auto_scaling_group_cannot_be_imported() -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        attachment = next(resource for resource in rehearsal.engine.state.values() if resource.type == ATTACHMENT)
        with pytest.raises(NotImplementedError, match="cannot be imported"):
            rehearsal.provider.read(ATTACHMENT, attachment.id, {})


NOT_THERE = (
    ("aws:ec2/securityGroup:SecurityGroup", "sg-00000000000000000"),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "sgr-00000000000000000"),
    ("aws:ec2/eip:Eip", "eipalloc-00000000"),
    ("aws:lb/targetGroup:TargetGroup", "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/x/0"),
    ("aws:lb/loadBalancer:LoadBalancer", "arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/x/0"),
    ("aws:lb/listener:Listener", "arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/net/x/0/0"),
    (TARGET, "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/x/0,10.0.0.1,30504"),
    ("kubernetes:core/v1:Namespace", "none"),
    (RELEASE, "none/none"),
    ("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding", "none/none"),
)


def test_an_import_of_what_is_not_there_finds_nothing() -> None:
    with a_rehearsal() as rehearsal:
        assert [type_ for type_, id_ in NOT_THERE if rehearsal.provider.read(type_, id_, {}) is not None] == []
