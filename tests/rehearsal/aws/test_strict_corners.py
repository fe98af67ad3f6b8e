"""The guide's own calls, odd worlds, and the refusals whose lack would hide or invent a failure."""

import base64
import os
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.server import Aws
from rehearsal.world import Node, Subnet, World, WorldClock
from tests.support.emulated import EmulatedAws, refuses
from tests.support.worlds import PatientClock, a_world


def always(address: str, port: int, path: str) -> bool:
    return True


@contextmanager
def within(world: World) -> Generator[EmulatedAws]:
    clock = PatientClock()
    with Aws(world, clock, cluster_endpoint="http://127.0.0.1:1", answers=always) as aws:
        yield EmulatedAws(aws, clock)


@pytest.fixture
def at() -> Iterator[EmulatedAws]:
    with within(a_world()) as fixture:
        yield fixture


def changed(**changes: Any) -> World:
    return a_world().model_copy(update=changes)


def permission(protocol: str, port: int, cidr: str, **about: str) -> Any:
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr, **about}]}


def named(**filters: str) -> Any:
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def forward(group: str) -> Any:
    return [{"Type": "forward", "TargetGroupArn": group}]


def foreign_vpc(at: EmulatedAws) -> str:
    return at.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"].get("VpcId", "")


def interface(at: EmulatedAws) -> Any:
    return at.ec2.describe_network_interfaces(Filters=named(description="ELB net/*"))["NetworkInterfaces"][0]


def rule(at: EmulatedAws, rule_id: str) -> Any:
    return at.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"][0]


def change_rule(at: EmulatedAws, group: str, rule_id: str, **wanted: Any) -> None:
    request: Any = {"SecurityGroupRuleId": rule_id, "SecurityGroupRule": wanted}
    at.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[request])


def cidr_of_zone_a(at: EmulatedAws) -> str:
    return at.ec2.describe_subnets(SubnetIds=[at.aws.subnets["a"][0]])["Subnets"][0].get("CidrBlock", "")


# --- The guide


def test_the_guides_steps_and_its_clean_up_work(at: EmulatedAws) -> None:
    tags: Any = [{"Key": "Name", "Value": "x"}, {"Key": "lls:cluster", "Value": "demo"}]
    found = at.ec2.describe_subnets(
        Filters=named(vpc_id=at.aws.vpc_id, availability_zone="us-west-2a", map_public_ip_on_launch="true")
    )["Subnets"]
    assert [subnet.get("SubnetId") for subnet in found] == [at.aws.subnets["a"][0]]
    group = at.ec2.create_security_group(
        GroupName="demo-rp-sg",
        Description="NLB security group for LLS RP (UDP 5004)",
        VpcId=at.aws.vpc_id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )["GroupId"]
    everything: Any = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    at.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("udp", 5004, "0.0.0.0/0")])
    at.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    at.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=everything)
    address = at.ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])[
        "AllocationId"
    ]
    nlb = at.nlb(group, AllocationId=address)
    at.clock.sleep(150)
    at.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[nlb])
    targets = at.target_group(HealthCheckEnabled=True, HealthyThresholdCount=5, UnhealthyThresholdCount=2, Tags=tags)
    at.listener(nlb, targets)
    at.register(targets, at.node("gpu-1"), at.node("gpu-2"))
    [node_group] = at.ec2.describe_security_groups(Filters=named(group_name="demo-node-*"))["SecurityGroups"]
    node_group_id = node_group.get("GroupId", "")
    at.allow(node_group_id, group, "udp", 30504)
    assert at.aws.media_obstacle(targets, at.node("gpu-1")) is None

    [by_tag] = at.ec2.describe_security_groups(Filters=[{"Name": "tag:lls:cluster", "Values": ["demo"]}])[
        "SecurityGroups"
    ]
    assert by_tag.get("GroupId") == group
    streaming: Any = {"IpProtocol": "udp", "FromPort": 30504, "ToPort": 30504, "UserIdGroupPairs": [{"GroupId": group}]}
    at.ec2.revoke_security_group_ingress(GroupId=node_group_id, IpPermissions=[streaming])
    at.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    at.elbv2.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[nlb])
    at.elbv2.delete_target_group(TargetGroupArn=targets)
    with refuses("DependencyViolation"):
        at.ec2.delete_security_group(GroupId=group)
    at.clock.sleep(45)
    at.ec2.delete_security_group(GroupId=group)
    at.ec2.release_address(AllocationId=address)
    assert at.aws.leftovers() == ()


# --- Load balancers


def test_an_nlb_wants_subnets_and_groups_that_exist_in_one_vpc(at: EmulatedAws) -> None:
    with refuses("SubnetNotFound"):
        at.elbv2.create_load_balancer(Name="x", Type="network", Subnets=["subnet-0123456789abcdef0"])
    with refuses("InvalidSecurityGroup"):
        at.nlb("sg-0123456789abcdef0")
    foreign = at.ec2.create_security_group(GroupName="x", Description="x", VpcId=foreign_vpc(at))["GroupId"]
    with refuses("InvalidSecurityGroup"):
        at.nlb(foreign)
    assert at.elbv2.describe_load_balancers()["LoadBalancers"] == []


def test_an_nlbs_groups_can_change_but_neither_leave_the_vpc_nor_all_go(at: EmulatedAws) -> None:
    old, new = at.group(), at.group("new")
    nlb = at.nlb(old)
    foreign = at.ec2.create_security_group(GroupName="x", Description="x", VpcId=foreign_vpc(at))["GroupId"]
    with refuses("InvalidSecurityGroup"):
        at.elbv2.set_security_groups(LoadBalancerArn=nlb, SecurityGroups=[foreign])
    with refuses("InvalidConfigurationRequest"):
        at.elbv2.set_security_groups(LoadBalancerArn=nlb, SecurityGroups=[])
    at.elbv2.set_security_groups(LoadBalancerArn=nlb, SecurityGroups=[new])
    assert [group["GroupId"] for group in interface(at)["Groups"]] == [new]
    at.ec2.delete_security_group(GroupId=old)


def test_an_nlb_and_its_elastic_ip_show_each_other_until_the_interface_is_gone(at: EmulatedAws) -> None:
    def address() -> Any:
        return at.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0]

    made = at.ec2.allocate_address(Domain="vpc")
    allocation = made["AllocationId"]
    nlb = at.nlb(AllocationId=allocation)
    [zone] = at.balancer(nlb)["AvailabilityZones"]
    assert zone["LoadBalancerAddresses"] == [{"IpAddress": made["PublicIp"], "AllocationId": allocation}]
    assert at.balancer(nlb)["CanonicalHostedZoneId"]
    assert address()["NetworkInterfaceId"] == interface(at)["NetworkInterfaceId"]
    assert interface(at)["RequesterManaged"]
    assert interface(at)["Description"] == f"ELB {nlb.partition(':loadbalancer/')[2]}"
    at.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with refuses("AuthFailure"):
        at.ec2.release_address(AllocationId=allocation)
    at.clock.sleep(45)
    assert not address().get("AssociationId")


def test_an_elastic_ip_that_something_else_holds_is_neither_taken_nor_released(at: EmulatedAws) -> None:
    allocation = at.ec2.allocate_address(Domain="vpc")["AllocationId"]
    at.ec2.associate_address(AllocationId=allocation, InstanceId=at.aws.nodes["gpu-1"][0])
    with refuses("ResourceInUse"):
        at.nlb(AllocationId=allocation)
    with refuses("InvalidIPAddress.InUse"):
        at.ec2.release_address(AllocationId=allocation)


def test_an_elastic_ip_serves_one_zone(at: EmulatedAws) -> None:
    allocation = at.ec2.allocate_address(Domain="vpc")["AllocationId"]
    mappings: Any = [{"SubnetId": at.aws.subnets[zone][0], "AllocationId": allocation} for zone in "ab"]
    with refuses("ResourceInUse"):
        at.elbv2.create_load_balancer(Name="x", Type="network", SubnetMappings=mappings)


# --- Target groups and listeners


def test_a_deleted_nlb_frees_its_target_group_and_health_starts_anew(at: EmulatedAws) -> None:
    group, nlb, targets = at.serving()
    node = at.node("gpu-1")
    at.register(targets, node)
    at.clock.sleep(150)
    at.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    assert at.health(targets) == {node: ("unused", "Target.NotInUse")}
    assert not at.elbv2.describe_target_groups(TargetGroupArns=[targets])["TargetGroups"][0].get("LoadBalancerArns")
    at.listener(at.nlb(group, name="second"), targets)
    assert at.health(targets) == {node: ("initial", "Elb.InitialHealthChecking")}


def test_a_changed_listener_meets_the_refusals_of_a_new_one(at: EmulatedAws) -> None:
    group = at.group()
    one, other = at.nlb(group), at.nlb(group, name="other")
    here, there = at.target_group(), at.target_group("there")
    listener, second = at.listener(one, here), at.listener(one, here, port=6000)
    theirs = at.listener(other, there)
    with refuses("TargetGroupAssociationLimit"):
        at.elbv2.modify_listener(ListenerArn=listener, DefaultActions=forward(there))
    with refuses("DuplicateListener"):
        at.elbv2.modify_listener(ListenerArn=second, Port=5004)
    with refuses("IncompatibleProtocols"):
        at.elbv2.modify_listener(ListenerArn=listener, Protocol="TCP")
    at.elbv2.modify_listener(ListenerArn=second, Port=6000, Protocol="UDP")
    at.elbv2.delete_listener(ListenerArn=theirs)
    at.elbv2.modify_listener(ListenerArn=listener, DefaultActions=forward(there))


def test_a_listener_wants_an_nlb_a_group_a_port_and_a_protocol_that_fit(at: EmulatedAws) -> None:
    nlb, group = at.nlb(), at.target_group()
    with refuses("LoadBalancerNotFound"):
        at.listener(nlb[:-1], group)
    with refuses("TargetGroupNotFound"):
        at.listener(nlb, group[:-1])
    with refuses("ValidationError"):
        at.listener(nlb, group, port=70000)
    with refuses("IncompatibleProtocols"):
        at.listener(nlb, group, protocol="TCP")
    with refuses("InvalidConfigurationRequest"):
        at.listener(nlb, at.target_group("foreign", VpcId=foreign_vpc(at)))
    at.listener(nlb, group)


def test_a_forward_written_as_a_weighted_one_counts_too(at: EmulatedAws) -> None:
    nlb, group = at.nlb(), at.target_group()
    weighted: Any = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1}]}}]
    at.elbv2.create_listener(LoadBalancerArn=nlb, Protocol="UDP", Port=5004, DefaultActions=weighted)
    at.register(group, at.node("gpu-1"))
    assert at.health(group)[at.node("gpu-1")][0] != "unused"


def test_the_http_codes_of_a_health_check_are_shown_and_can_change(at: EmulatedAws) -> None:
    def matcher(group: str) -> Any:
        return at.elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0].get("Matcher")

    http = at.target_group(Matcher={"HttpCode": "200-399"})
    assert matcher(http) == {"HttpCode": "200-399"}
    tcp = at.elbv2.create_target_group(Name="tcp", Protocol="UDP", Port=1, VpcId=at.aws.vpc_id)["TargetGroups"][0]
    for group in (http, tcp.get("TargetGroupArn", "")):
        at.elbv2.modify_target_group(TargetGroupArn=group, HealthCheckProtocol="HTTP", Matcher={"HttpCode": "204"})
        assert matcher(group) == {"HttpCode": "204"}


@pytest.mark.parametrize(
    "setting",
    [
        {"HealthCheckProtocol": "UDP"},
        {"HealthyThresholdCount": 1},
        {"HealthCheckIntervalSeconds": 301},
        {"HealthCheckTimeoutSeconds": 31},
        {"HealthCheckPort": "health"},
    ],
)
def test_a_changed_health_check_stays_within_awss_ranges(at: EmulatedAws, setting: Any) -> None:
    group = at.target_group()
    with refuses("ValidationError"):
        at.elbv2.modify_target_group(TargetGroupArn=group, **setting)
    at.elbv2.modify_target_group(TargetGroupArn=group, HealthCheckPort="traffic-port", HealthyThresholdCount=2)


# --- Targets


def test_targets_have_a_port_and_run_and_one_that_is_not_there_is_not_missed(at: EmulatedAws) -> None:
    _, _, group = at.serving()
    instance, node = at.aws.nodes["gpu-1"]
    at.register(group, node)
    with refuses("ValidationError"):
        at.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": node, "Port": 70000}])
    at.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.77"}])
    assert at.health(group) == {node: ("initial", "Elb.InitialHealthChecking")}
    at.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": node}, {"Id": "10.0.0.77"}])
    assert at.health(group) == {node: ("draining", "Target.DeregistrationInProgress")}
    at.register(group, node)
    unknown: Any = at.elbv2.describe_target_health(TargetGroupArn=group, Targets=[{"Id": "10.0.0.77"}])
    assert unknown["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"
    at.ec2.stop_instances(InstanceIds=[instance])
    assert at.health(group) == {node: ("unhealthy", "Target.Timeout")}
    with refuses("InvalidTarget"):
        at.register(at.target_group("instances", TargetType="instance"), instance)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instance_state": "stopped"}, "not in a running state and cannot be registered: 'i-0a'"),
        ({"instance_state": "terminated"}, "not in a running state and cannot be registered: 'i-0a'"),
        ({"instance_state": "pending"}, "not in a running state and cannot be registered: 'i-0a'"),
        ({"other_vpc": True}, "not in the target group VPC 'vpc-[0-9a-f]+': 'i-0a'"),
        ({"instance_id": "i-0b"}, "Instance ID 'i-0a' is not valid"),
    ],
)
def test_an_instance_target_runs_in_the_groups_vpc(change: Mapping[str, Any], told: str) -> None:
    node = Node.model_validate({"name": "gpu-1", "zone": "a", "instance_id": "i-0a", **change})
    with within(changed(nodes=(node,))) as at:
        group = at.target_group(TargetType="instance")
        with pytest.raises(ClientError, match=told):
            at.register(group, "i-0a")


def test_registering_again_does_not_start_health_anew(at: EmulatedAws) -> None:
    _, _, group = at.serving()
    at.register(group, at.node("gpu-1"))
    at.clock.sleep(149)
    at.register(group, at.node("gpu-1"))
    at.clock.sleep(1)
    assert at.health(group) == {at.node("gpu-1"): ("healthy", "")}


def test_only_targets_that_served_drain_and_only_for_the_groups_delay(at: EmulatedAws) -> None:
    idle = at.target_group("idle")
    _, _, group = at.serving()
    node = at.node("gpu-1")
    delay: Any = [{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}]
    at.elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    for each in (idle, group):
        at.register(each, node)
        at.elbv2.deregister_targets(TargetGroupArn=each, Targets=[{"Id": node}])
    assert at.health(idle) == {}
    assert at.health(group) == {node: ("draining", "Target.DeregistrationInProgress")}
    at.clock.sleep(10)
    assert at.health(group) == {}


# --- The way to a target


def test_traffic_goes_to_the_targets_own_port(at: EmulatedAws) -> None:
    group, _, targets = at.serving()
    node = at.node("gpu-1")
    assert at.aws.media_obstacle(targets, node) == f"{node} is not registered"
    at.elbv2.modify_target_group(TargetGroupArn=targets, HealthCheckPort="traffic-port")
    at.elbv2.register_targets(TargetGroupArn=targets, Targets=[{"Id": node, "Port": 31000}])
    at.clock.sleep(150)
    assert at.health(targets)[node][0] == "unhealthy"
    assert "UDP 31000" in (at.aws.media_obstacle(targets, node) or "")
    for protocol in ("tcp", "udp"):
        at.allow(at.aws.node_security_group_ids[0], group, protocol, 31000)
    assert at.health(targets)[node][0] == "healthy"
    assert at.aws.media_obstacle(targets, node) is None


def test_a_node_sees_the_nlb_in_health_checks_and_the_client_in_media(at: EmulatedAws) -> None:
    group, _, targets = at.serving()
    node, node_group = at.node("gpu-1"), at.aws.node_security_group_ids[0]
    at.register(targets, node)
    at.clock.sleep(150)
    for protocol, port in (("udp", 30504), ("tcp", 30800)):
        by_group: Any = permission(protocol, port, "") | {"IpRanges": [], "UserIdGroupPairs": [{"GroupId": group}]}
        at.ec2.revoke_security_group_ingress(GroupId=node_group, IpPermissions=[by_group])
        by_subnet = permission(protocol, port, cidr_of_zone_a(at))
        at.ec2.authorize_security_group_ingress(GroupId=node_group, IpPermissions=[by_subnet])
    assert at.health(targets)[node][0] == "healthy"
    assert "do not let in UDP 30504" in (at.aws.media_obstacle(targets, node) or "")
    by_client = permission("udp", 30504, "198.51.100.0/24")
    at.ec2.authorize_security_group_ingress(GroupId=node_group, IpPermissions=[by_client])
    assert at.aws.media_obstacle(targets, node) is None


def test_an_nlb_without_groups_stops_nothing_itself(at: EmulatedAws) -> None:
    subnets = [at.aws.subnets[zone][0] for zone in "ba"]
    made = at.elbv2.create_load_balancer(Name="bare", Type="network", Subnets=subnets)
    targets, node = at.target_group(), at.node("gpu-1")
    at.listener(made["LoadBalancers"][0].get("LoadBalancerArn", ""), targets)
    at.register(targets, node)
    at.clock.sleep(150)
    assert at.health(targets)[node][0] == "unhealthy"
    at.ec2.authorize_security_group_ingress(
        GroupId=at.aws.node_security_group_ids[0],
        IpPermissions=[permission("tcp", 30800, cidr_of_zone_a(at)), permission("udp", 30504, "0.0.0.0/0")],
    )
    assert at.health(targets)[node][0] == "healthy"
    assert at.aws.media_obstacle(targets, node) is None


def test_a_rule_lets_in_what_its_prefix_list_holds_now(at: EmulatedAws) -> None:
    group, _, targets = at.serving()
    node, node_group = at.node("gpu-1"), at.aws.node_security_group_ids[0]
    at.register(targets, node)
    by_group: Any = permission("udp", 30504, "") | {"IpRanges": [], "UserIdGroupPairs": [{"GroupId": group}]}
    at.ec2.revoke_security_group_ingress(GroupId=node_group, IpPermissions=[by_group])
    made: Any = at.ec2.create_managed_prefix_list(
        PrefixListName="clients",
        MaxEntries=5,
        AddressFamily="IPv4",
        Entries=[{"Cidr": "192.0.2.0/24"}],
    )
    list_id = made["PrefixList"]["PrefixListId"]
    by_list: Any = permission("udp", 30504, "") | {"IpRanges": [], "PrefixListIds": [{"PrefixListId": list_id}]}
    at.ec2.authorize_security_group_ingress(GroupId=node_group, IpPermissions=[by_list])
    assert "do not let in UDP 30504" in (at.aws.media_obstacle(targets, node) or "")
    at.ec2.modify_managed_prefix_list(
        PrefixListId=list_id, CurrentVersion=1, AddEntries=[{"Cidr": "198.51.100.0/24"}], RemoveEntries=[]
    )
    assert at.aws.media_obstacle(targets, node) is None


def test_a_rule_that_is_changed_has_the_description_of_the_change_or_none(at: EmulatedAws) -> None:
    group, other = at.group(), at.group("other")
    made: Any = at.ec2.create_managed_prefix_list(
        PrefixListName="clients", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "192.0.2.0/24"}]
    )
    list_id = made["PrefixList"]["PrefixListId"]
    peers: Any = {
        "CidrIpv4": {"IpRanges": [{"CidrIp": "192.0.2.0/24", "Description": "before"}]},
        "ReferencedGroupId": {"UserIdGroupPairs": [{"GroupId": other, "Description": "before"}]},
        "PrefixListId": {"PrefixListIds": [{"PrefixListId": list_id, "Description": "before"}]},
    }
    values = {"CidrIpv4": "192.0.2.0/24", "ReferencedGroupId": other, "PrefixListId": list_id}
    for key, peer in peers.items():
        asked = permission("udp", 1, "") | {"IpRanges": []} | peer
        [made_rule] = at.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[asked])[
            "SecurityGroupRules"
        ]
        rule_id = made_rule.get("SecurityGroupRuleId", "")
        assert rule(at, rule_id)["Description"] == "before"
        wanted = {"IpProtocol": "udp", "FromPort": 2, "ToPort": 2, key: values[key]}
        change_rule(at, group, rule_id, **wanted, Description="after")
        assert rule(at, rule_id)["Description"] == "after"
        change_rule(at, group, rule_id, **wanted)
        assert not rule(at, rule_id).get("Description"), key


def test_an_unknown_prefix_list_is_refused(at: EmulatedAws) -> None:
    with refuses("InvalidPrefixListID.NotFound"):
        at.ec2.get_managed_prefix_list_entries(PrefixListId="pl-0123456789abcdef0")
    by_list: Any = permission("udp", 1, "") | {"IpRanges": [], "PrefixListIds": [{"PrefixListId": "pl-1"}]}
    with refuses("InvalidPrefixListID.NotFound"):
        at.ec2.authorize_security_group_ingress(GroupId=at.group(), IpPermissions=[by_list])


# --- Sizes of questions


def test_a_question_to_ec2_has_two_hundred_values_in_all_its_filters_and_no_more(at: EmulatedAws) -> None:
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(200)]
    filters: Any = [{"Name": "private-ip-address", "Values": addresses}]
    assert at.ec2.describe_instances(Filters=filters)["Reservations"] == []
    with refuses("FilterLimitExceeded"):
        at.ec2.describe_instances(Filters=[*filters, {"Name": "vpc-id", "Values": [at.aws.vpc_id]}])


def test_the_tags_of_twenty_load_balancers_and_no_more_are_told_at_once(at: EmulatedAws) -> None:
    arns = [at.target_group(f"group-{number}") for number in range(21)]
    assert len(at.elbv2.describe_tags(ResourceArns=arns[:20])["TagDescriptions"]) == 20
    with refuses("ValidationError"):
        at.elbv2.describe_tags(ResourceArns=arns)


# --- Security groups, rules and tags


@pytest.mark.parametrize("text", ["café", "it's", "x" * 256])
def test_descriptions_are_limited(at: EmulatedAws, text: str) -> None:
    with refuses("InvalidParameterValue"):
        at.ec2.create_security_group(GroupName="x", Description=text, VpcId=at.aws.vpc_id)
    group = at.group()
    with refuses("InvalidParameterValue"):
        at.ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[permission("udp", 1, "0.0.0.0/0", Description=text)]
        )


def test_a_rule_is_made_with_tags_changed_in_place_and_revoked_by_id(at: EmulatedAws) -> None:
    group, source = at.group(), at.group("source")
    pair: Any = {"UserIdGroupPairs": [{"GroupId": source, "Description": "old"}], "IpRanges": []}
    rule_id = at.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[permission("udp", 1, "") | pair],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "Name", "Value": "x"}]}],
    )["SecurityGroupRules"][0].get("SecurityGroupRuleId", "")
    assert (rule(at, rule_id)["Description"], rule(at, rule_id)["Tags"][0]["Key"]) == ("old", "Name")
    wanted: Any = {"FromPort": 2, "ToPort": 3, "ReferencedGroupId": source, "Description": "new"}
    change_rule(at, group, rule_id, IpProtocol="udp", **wanted)
    found = rule(at, rule_id)
    assert (found["FromPort"], found["ToPort"], found["Description"]) == (2, 3, "new")
    at.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule_id])
    at.ec2.delete_security_group(GroupId=source)


def test_a_rule_for_all_protocols_is_changed_without_naming_ports(at: EmulatedAws) -> None:
    group = at.group()
    [default] = at.ec2.describe_security_group_rules(Filters=named(group_id=group))["SecurityGroupRules"]
    rule_id = default.get("SecurityGroupRuleId", "")
    change_rule(at, group, rule_id, IpProtocol="-1", CidrIpv4="0.0.0.0/0", Description="all")
    assert (rule(at, rule_id)["Description"], rule(at, rule_id)["FromPort"]) == ("all", -1)


def test_fifty_tags_fit_and_no_more(at: EmulatedAws) -> None:
    tags: Any = [{"Key": f"key{number}", "Value": ""} for number in range(51)]
    targets, group = at.target_group(Tags=tags[:30]), at.group()
    at.elbv2.add_tags(ResourceArns=[targets], Tags=tags[:50])
    at.ec2.create_tags(Resources=[group], Tags=tags[:50])
    with refuses("TooManyTags"):
        at.elbv2.add_tags(ResourceArns=[targets], Tags=tags[50:])
    with refuses("TagLimitExceeded"):
        at.ec2.create_tags(Resources=[group], Tags=tags[50:])


# --- Worlds


def test_a_world_gets_the_ids_and_addresses_that_it_asks_for() -> None:
    world = changed(
        account="210987654321",
        vpc_id="vpc-0aaaaaaaaaaaaaaaa",
        node_security_group_ids=("sg-0bbbbbbbbbbbbbbbb",),
        eip_allocation_id="eipalloc-0cccccccccccccccc",
        subnets=(Subnet(zone="e", public=False), Subnet(zone="e", public=True, id="subnet-0dddddddddddddddd")),
        nodes=(
            Node(name="any", zone="e"),
            Node(name="first", zone="e", ip="10.0.0.4", instance_id="i-0eeeeeeeeeeeeeeee"),
            Node(name="elsewhere", zone="e", ip="172.20.1.5"),
            Node(name="no subnet", zone="f"),
        ),
    )
    with within(world) as at:
        assert at.aws.client("sts").get_caller_identity()["Account"] == "210987654321"
        assert at.aws.vpc_id == world.vpc_id
        assert at.aws.node_security_group_ids == world.node_security_group_ids
        assert at.aws.subnets["e"][0] == "subnet-0dddddddddddddddd"
        assert at.ec2.describe_addresses(AllocationIds=["eipalloc-0cccccccccccccccc"])["Addresses"]
        assert at.aws.nodes["first"] == ("i-0eeeeeeeeeeeeeeee", "10.0.0.4")
        for instance_id, address in at.aws.nodes.values():
            [found] = at.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0].get("Instances", [])
            assert (found.get("PrivateIpAddress"), found.get("SubnetId")) == (address, at.aws.subnets["e"][1])
        at.register(at.target_group(), *(address for _, address in at.aws.nodes.values()))


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [("cn-north-1", "aws-cn", "amazonaws.com.cn"), ("us-gov-west-1", "aws-us-gov", "amazonaws.com")],
)
def test_other_partitions_show_in_arns_and_names(region: str, partition: str, suffix: str) -> None:
    with within(changed(region=region)) as at:
        nlb = at.nlb()
        arns = [nlb, at.target_group(), at.aws.client("sts").get_caller_identity()["Arn"]]
        arns.append(at.aws.client("eks").describe_cluster(name="demo")["cluster"].get("arn", ""))
        assert {arn.split(":")[1] for arn in arns} == {partition}
        assert at.balancer(nlb)["DNSName"].endswith(f".elb.{region}.{suffix}")
        login: Any = at.aws.client("ecr").get_authorization_token()["authorizationData"][0]
        assert login["proxyEndpoint"] == f"https://123456789012.dkr.ecr.{region}.{suffix}"
        assert base64.b64decode(login["authorizationToken"]).startswith(b"AWS:")


@pytest.mark.parametrize("count", [0, 2])
def test_nodes_carry_every_node_group_or_else_the_clusters_group(count: int) -> None:
    with within(a_world(quirks={"node_groups": count})) as at:
        [found] = at.ec2.describe_instances(InstanceIds=[at.aws.nodes["gpu-1"][0]])["Reservations"][0].get(
            "Instances", []
        )
        carried = {group.get("GroupId") for group in found.get("SecurityGroups", [])}
        assert len(at.aws.node_security_group_ids) == count
        assert carried == set(at.aws.node_security_group_ids or [at.aws.cluster_security_group_id])


def test_calls_take_their_time_side_by_side() -> None:
    lock, sleeping, most = threading.Lock(), [0], [0]

    class Watched(WorldClock):
        def sleep(self, seconds: float) -> None:
            with lock:
                sleeping[0] += 1
                most[0] = max(most[0], sleeping[0])
            time.sleep(0.2)
            with lock:
                sleeping[0] -= 1

    with Aws(a_world(), Watched(1.0), cluster_endpoint="", answers=always) as aws:
        ec2 = aws.client("ec2")
        threads = [threading.Thread(target=ec2.describe_vpcs) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [4]


def test_the_users_own_aws_settings_are_neither_read_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-the-user")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # one made before would have read the profile
    before = dict(os.environ)
    with within(a_world()) as at:
        at.aws.client("eks").describe_cluster(name="demo")
        assert at.aws.calls == ["eks:GET /clusters/demo"]
    assert dict(os.environ) == before


def test_a_new_world_knows_nothing_of_the_last() -> None:
    for _ in range(2):
        with within(a_world()) as at:
            at.nlb()
            at.target_group()
