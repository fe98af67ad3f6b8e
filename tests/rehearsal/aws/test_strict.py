from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.aws.server import Aws
from tests.support.emulated import Fixture, refuses
from tests.support.worlds import PatientClock, a_world


@pytest.fixture
def it() -> Iterator[Fixture]:
    clock = PatientClock()
    fixture: list[Fixture] = []

    def answers(address: str, port: int, path: str) -> bool:
        return fixture[0].proxy_runs

    with Aws(a_world(), clock, cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        fixture.append(Fixture(aws, clock))
        yield fixture[0]


def test_a_security_group_in_use_by_an_nlb_cannot_be_deleted(it: Fixture) -> None:
    group = it.group()
    nlb = it.nlb(group)
    with refuses("DependencyViolation"):
        it.ec2.delete_security_group(GroupId=group)
    it.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with refuses("DependencyViolation"):
        it.ec2.delete_security_group(GroupId=group)
    it.clock.sleep(45)
    it.ec2.delete_security_group(GroupId=group)


def test_a_security_group_named_by_another_groups_rule_cannot_be_deleted(it: Fixture) -> None:
    group, node_group = it.group(), it.aws.node_security_group_ids[0]
    it.allow(node_group, group, "udp", 30504)
    with refuses("DependencyViolation"):
        it.ec2.delete_security_group(GroupId=group)


def test_a_security_group_that_only_names_itself_can_be_deleted(it: Fixture) -> None:
    group = it.group()
    it.allow(group, group, "udp", 1)
    it.ec2.delete_security_group(GroupId=group)


def test_the_nodes_group_cannot_be_deleted(it: Fixture) -> None:
    with refuses("DependencyViolation"):
        it.ec2.delete_security_group(GroupId=it.aws.node_security_group_ids[0])


def test_a_security_groups_name_must_not_begin_with_sg(it: Fixture) -> None:
    with refuses("InvalidParameterValue"):
        it.group("sg-prod-rp-sg")


def test_the_same_rule_twice_is_refused_even_with_another_description(it: Fixture) -> None:
    group = it.aws.node_security_group_ids[0]
    pair: Any = {"GroupId": group}
    for extra, outcome in [({}, None), ({"Description": "again"}, refuses("InvalidPermission.Duplicate"))]:
        permission: Any = {"IpProtocol": "udp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [pair | extra]}
        if outcome is None:
            it.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        else:
            with outcome:
                it.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


@pytest.mark.parametrize("name", ["n" * 33, "under_score", "-n", "n-", "internal-n"])
def test_load_balancer_names_are_limited(it: Fixture, name: str) -> None:
    with refuses("ValidationError"):
        it.nlb(name=name)


@pytest.mark.parametrize("name", ["n" * 33, "under_score", "-n", "n-", "a--b", "internal-n"])
def test_target_group_names_are_limited(it: Fixture, name: str) -> None:
    with refuses("ValidationError"):
        it.target_group(name)


def test_load_balancer_names_are_unique(it: Fixture) -> None:
    group = it.group()
    it.nlb(group)
    with refuses("DuplicateLoadBalancerName"):
        it.nlb(group)


def test_an_nlb_is_provisioning_for_a_while(it: Fixture) -> None:
    nlb = it.nlb()
    assert it.balancer(nlb)["State"]["Code"] == "provisioning"
    it.clock.sleep(150)
    assert it.balancer(nlb)["State"]["Code"] == "active"


def test_an_nlb_looks_like_one(it: Fixture) -> None:
    nlb = it.nlb()
    assert ":loadbalancer/net/rp-public-demo/" in nlb
    assert it.balancer(nlb)["Type"] == "network"
    assert it.balancer(nlb)["DNSName"].endswith(".elb.us-west-2.amazonaws.com")


def test_an_nlbs_interfaces_linger_after_its_deletion(it: Fixture) -> None:
    def interfaces() -> int:
        filters: Any = [{"Name": "description", "Values": ["ELB net/*"]}]
        return len(it.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])

    nlb = it.nlb()
    it.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    assert interfaces() == 1
    it.clock.sleep(45)
    assert interfaces() == 0


def test_a_protected_nlb_cannot_be_deleted(it: Fixture) -> None:
    nlb = it.nlb()
    attributes: Any = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    it.elbv2.modify_load_balancer_attributes(LoadBalancerArn=nlb, Attributes=attributes)
    with refuses("OperationNotPermitted"):
        it.elbv2.delete_load_balancer(LoadBalancerArn=nlb)


def test_an_nlb_created_without_a_security_group_never_gets_one(it: Fixture) -> None:
    made = it.elbv2.create_load_balancer(Name="bare", Type="network", Subnets=[it.aws.subnets["a"][0]])
    arn = made["LoadBalancers"][0].get("LoadBalancerArn", "")
    with refuses("InvalidConfigurationRequest"):
        it.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[it.group()])


def test_an_nlb_takes_one_subnet_of_a_zone(it: Fixture) -> None:
    with refuses("InvalidConfigurationRequest"):
        it.elbv2.create_load_balancer(Name="two", Type="network", Subnets=it.aws.subnets["a"])


def test_an_elastic_ip_in_use_cannot_be_released_or_used_again(it: Fixture) -> None:
    allocation = it.ec2.allocate_address(Domain="vpc")["AllocationId"]
    group = it.group()
    nlb = it.nlb(group, AllocationId=allocation)
    with refuses("InvalidIPAddress.InUse"):
        it.ec2.release_address(AllocationId=allocation)
    with refuses("ResourceInUse"):
        it.nlb(group, name="another", AllocationId=allocation)
    it.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    it.clock.sleep(45)
    it.ec2.release_address(AllocationId=allocation)


def test_an_unknown_elastic_ip_is_refused(it: Fixture) -> None:
    with refuses("AllocationIdNotFound"):
        it.nlb(AllocationId="eipalloc-0123")


@pytest.mark.parametrize(
    "setting",
    [
        {"HealthCheckProtocol": "UDP"},
        {"HealthyThresholdCount": 11},
        {"UnhealthyThresholdCount": 1},
        {"HealthCheckIntervalSeconds": 4},
        {"HealthCheckTimeoutSeconds": 121, "HealthCheckIntervalSeconds": 200},
        {"HealthCheckPort": "70000"},
    ],
)
def test_health_checks_of_udp_groups_are_tcp_or_http_within_awss_ranges(it: Fixture, setting: dict[str, Any]) -> None:
    with refuses("ValidationError"):
        it.target_group(**setting)


def test_a_target_group_in_use_by_a_listener_cannot_be_deleted(it: Fixture) -> None:
    nlb, group, other = it.nlb(), it.target_group(), it.target_group("other")
    listener = it.listener(nlb, group)
    with refuses("ResourceInUse"):
        it.elbv2.delete_target_group(TargetGroupArn=group)
    it.elbv2.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": other}])
    it.elbv2.delete_target_group(TargetGroupArn=group)
    with refuses("ResourceInUse"):
        it.elbv2.delete_target_group(TargetGroupArn=other)


def test_target_group_names_are_unique(it: Fixture) -> None:
    it.target_group()
    with refuses("DuplicateTargetGroupName"):
        it.target_group()


def test_a_target_group_belongs_to_one_nlb(it: Fixture) -> None:
    group = it.group()
    one, other, targets = it.nlb(group), it.nlb(group, name="other"), it.target_group()
    it.listener(one, targets)
    with refuses("TargetGroupAssociationLimit"):
        it.listener(other, targets)


def test_a_port_has_one_listener(it: Fixture) -> None:
    nlb, group = it.nlb(), it.target_group()
    it.listener(nlb, group)
    with refuses("DuplicateListener"):
        it.listener(nlb, group)


def test_a_udp_listener_wants_a_udp_target_group(it: Fixture) -> None:
    nlb, group = it.nlb(), it.target_group(Protocol="TCP")
    with refuses("IncompatibleProtocols"):
        it.listener(nlb, group)


def test_a_listeners_port_changes_in_place(it: Fixture) -> None:
    nlb, group = it.nlb(), it.target_group()
    listener = it.listener(nlb, group)
    it.elbv2.modify_listener(ListenerArn=listener, Port=6000, Protocol="UDP")
    [found] = it.elbv2.describe_listeners(LoadBalancerArn=nlb)["Listeners"]
    assert (found.get("ListenerArn"), found.get("Port")) == (listener, 6000)


@pytest.mark.parametrize("target", ["192.0.2.1", "node-1"])
def test_ip_targets_lie_in_the_vpc(it: Fixture, target: str) -> None:
    group = it.target_group()
    with refuses("ValidationError"):
        it.register(group, target)


@pytest.mark.parametrize("target", ["i-0123456789abcdef0", "10.0.0.1"])
def test_instance_targets_are_instances_of_the_vpc(it: Fixture, target: str) -> None:
    group = it.target_group(TargetType="instance")
    with refuses("InvalidTarget"):
        it.register(group, target)


def test_a_zone_takes_500_targets(it: Fixture) -> None:
    group = it.target_group()
    targets = [f"10.0.{200 + number // 250}.{number % 250 + 1}" for number in range(501)]
    it.register(group, *targets[:500])
    with refuses("TooManyTargets"):
        it.register(group, targets[500])


def test_tags_are_limited(it: Fixture) -> None:
    with refuses("InvalidParameterValue"):
        it.elbv2.add_tags(ResourceArns=[it.target_group()], Tags=[{"Key": "aws:mine", "Value": ""}])
    with refuses("TagLimitExceeded"):
        tags: Any = [{"Key": f"key{number}", "Value": ""} for number in range(51)]
        it.ec2.create_tags(Resources=[it.group()], Tags=tags)


def test_targets_without_a_listener_are_unused(it: Fixture) -> None:
    group = it.target_group()
    it.register(group, it.node("gpu-1"))
    assert it.health(group) == {it.node("gpu-1"): ("unused", "Target.NotInUse")}


def test_targets_of_a_foreign_zone_are_unused(it: Fixture) -> None:
    _, _, group = it.serving()
    it.register(group, it.node("gpu-4"))
    assert it.health(group) == {it.node("gpu-4"): ("unused", "Target.NotInUse")}


def test_targets_become_healthy_after_five_checks(it: Fixture) -> None:
    _, _, group = it.serving()
    it.register(group, it.node("gpu-1"))
    assert it.health(group) == {it.node("gpu-1"): ("initial", "Elb.InitialHealthChecking")}
    it.clock.sleep(150)
    assert it.health(group) == {it.node("gpu-1"): ("healthy", "")}


def without_health_rule(it: Fixture, group: str) -> None:
    it.ec2.revoke_security_group_ingress(
        GroupId=it.aws.node_security_group_ids[0],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 30800, "ToPort": 30800, "UserIdGroupPairs": [{"GroupId": group}]}
        ],
    )


def without_egress(it: Fixture, group: str) -> None:
    it.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )


def without_proxy(it: Fixture, _: str) -> None:
    it.proxy_runs = False


@pytest.mark.parametrize("broken", [without_health_rule, without_egress, without_proxy])
def test_targets_are_unhealthy_unless_checks_get_in_get_out_and_are_answered(
    it: Fixture, broken: Callable[[Fixture, str], None]
) -> None:
    group, _, targets = it.serving()
    it.register(targets, it.node("gpu-1"))
    it.clock.sleep(150)
    broken(it, group)
    [(state, reason)] = it.health(targets).values()
    assert state == "unhealthy"
    assert reason in ("Target.Timeout", "Target.FailedHealthChecks")


def test_media_is_stopped_by_the_first_thing_in_its_way(it: Fixture) -> None:
    group, nlb, targets = it.serving()
    node = it.node("gpu-1")
    it.register(targets, node)
    assert it.aws.media_obstacle(targets, node) is None
    it.proxy_runs = False
    assert "nothing answers" in (it.aws.media_obstacle(targets, node) or "")
    without_egress(it, group)
    assert "do not let out UDP 30504" in (it.aws.media_obstacle(targets, node) or "")
    it.ec2.revoke_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "udp", "FromPort": 5004, "ToPort": 5004, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    assert "do not let in UDP 5004" in (it.aws.media_obstacle(targets, node) or "")
    it.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    assert "no listener" in (it.aws.media_obstacle(targets, node) or "")


def test_deregistered_targets_drain_and_are_gone(it: Fixture) -> None:
    _, _, group = it.serving()
    node = it.node("gpu-1")
    it.register(group, node)
    it.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": node}])
    assert it.health(group) == {node: ("draining", "Target.DeregistrationInProgress")}
    it.clock.sleep(300)
    assert it.health(group) == {}


def test_eks_tells_of_the_clusters_network(it: Fixture) -> None:
    network: Any = it.aws.client("eks").describe_cluster(name="demo")["cluster"].get("resourcesVpcConfig")
    assert network["vpcId"] == it.aws.vpc_id
    assert network["clusterSecurityGroupId"] == it.aws.cluster_security_group_id
    assert len(network["subnetIds"]) == 4


def test_ecr_gives_another_token_every_time(it: Fixture) -> None:
    ecr = it.aws.client("ecr")
    tokens = {ecr.get_authorization_token()["authorizationData"][0].get("authorizationToken") for _ in range(3)}
    assert len(tokens) == 3


def test_the_account_is_the_worlds(it: Fixture) -> None:
    assert it.aws.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_calls_are_recorded_by_service_and_action(it: Fixture) -> None:
    it.group()
    it.aws.client("ecr").get_authorization_token()
    assert it.aws.calls[-2:] == ["ec2:CreateSecurityGroup", "ecr:GetAuthorizationToken"]


def test_leftovers_are_what_the_world_did_not_have(it: Fixture) -> None:
    assert it.aws.leftovers() == ()
    it.target_group()
    it.nlb()
    kinds = {each.partition(" demo")[0].split(" sg-")[0].split(" sgr-")[0] for each in it.aws.leftovers()}
    assert {"target group", "load balancer rp-public", "security group", "rule"} <= {
        kind.split("-demo")[0] for kind in kinds
    }


def test_moto_is_lax_again_afterwards() -> None:
    from moto.elbv2.models import ELBv2Backend

    before = ELBv2Backend.create_load_balancer

    def answers(address: str, port: int, path: str) -> bool:
        return True

    with Aws(a_world(), PatientClock(), cluster_endpoint="", answers=answers):
        assert ELBv2Backend.create_load_balancer is not before
    assert ELBv2Backend.create_load_balancer is before
