from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.aws.server import Aws
from tests.support.emulated import EmulatedAws, refuses
from tests.support.worlds import PatientClock, a_world


@pytest.fixture
def emulated() -> Iterator[EmulatedAws]:
    clock = PatientClock()
    fixture: list[EmulatedAws] = []

    def answers(address: str, port: int, path: str) -> bool:
        return fixture[0].proxy_runs

    with Aws(a_world(), clock, cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        fixture.append(EmulatedAws(aws, clock))
        yield fixture[0]


def test_a_security_group_in_use_by_an_nlb_cannot_be_deleted(emulated: EmulatedAws) -> None:
    group = emulated.group()
    nlb = emulated.nlb(group)
    with refuses("DependencyViolation"):
        emulated.ec2.delete_security_group(GroupId=group)
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with refuses("DependencyViolation"):
        emulated.ec2.delete_security_group(GroupId=group)
    emulated.clock.sleep(45)
    emulated.ec2.delete_security_group(GroupId=group)


def test_a_security_group_named_by_another_groups_rule_cannot_be_deleted(emulated: EmulatedAws) -> None:
    group, node_group = emulated.group(), emulated.aws.node_security_group_ids[0]
    emulated.allow(node_group, group, "udp", 30504)
    with refuses("DependencyViolation"):
        emulated.ec2.delete_security_group(GroupId=group)


def test_a_security_group_that_only_names_itself_can_be_deleted(emulated: EmulatedAws) -> None:
    group = emulated.group()
    emulated.allow(group, group, "udp", 1)
    emulated.ec2.delete_security_group(GroupId=group)


def test_the_nodes_group_cannot_be_deleted(emulated: EmulatedAws) -> None:
    with refuses("DependencyViolation"):
        emulated.ec2.delete_security_group(GroupId=emulated.aws.node_security_group_ids[0])


def test_a_security_groups_name_must_not_begin_with_sg(emulated: EmulatedAws) -> None:
    with refuses("InvalidParameterValue"):
        emulated.group("sg-prod-rp-sg")


def test_the_same_rule_twice_is_refused_even_with_another_description(emulated: EmulatedAws) -> None:
    group = emulated.aws.node_security_group_ids[0]
    pair: Any = {"GroupId": group}
    for extra, outcome in [({}, None), ({"Description": "again"}, refuses("InvalidPermission.Duplicate"))]:
        permission: Any = {"IpProtocol": "udp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [pair | extra]}
        if outcome is None:
            emulated.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        else:
            with outcome:
                emulated.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


@pytest.mark.parametrize("name", ["n" * 33, "under_score", "-n", "n-", "internal-n"])
def test_load_balancer_names_are_limited(emulated: EmulatedAws, name: str) -> None:
    with refuses("ValidationError"):
        emulated.nlb(name=name)


@pytest.mark.parametrize("name", ["n" * 33, "under_score", "-n", "n-", "a--b", "internal-n"])
def test_target_group_names_are_limited(emulated: EmulatedAws, name: str) -> None:
    with refuses("ValidationError"):
        emulated.target_group(name)


def test_load_balancer_names_are_unique_and_the_same_again_is_the_one_that_is_there(emulated: EmulatedAws) -> None:
    group, other = emulated.group(), emulated.group("other")
    nlb = emulated.nlb(group)
    assert emulated.nlb(group) == nlb
    with refuses("DuplicateLoadBalancerName"):
        emulated.nlb(other)
    emulated.elbv2.set_security_groups(LoadBalancerArn=nlb, SecurityGroups=[other])
    with refuses("DuplicateLoadBalancerName"):
        emulated.nlb(group)


def test_an_nlb_is_provisioning_for_a_while(emulated: EmulatedAws) -> None:
    nlb = emulated.nlb()
    assert emulated.balancer(nlb)["State"]["Code"] == "provisioning"
    emulated.clock.sleep(150)
    assert emulated.balancer(nlb)["State"]["Code"] == "active"


def test_an_nlb_looks_like_one(emulated: EmulatedAws) -> None:
    nlb = emulated.nlb()
    assert ":loadbalancer/net/rp-public-demo/" in nlb
    assert emulated.balancer(nlb)["Type"] == "network"
    assert emulated.balancer(nlb)["DNSName"].endswith(".elb.us-west-2.amazonaws.com")


def test_an_nlbs_interfaces_linger_after_its_deletion(emulated: EmulatedAws) -> None:
    def interfaces() -> int:
        filters: Any = [{"Name": "description", "Values": ["ELB net/*"]}]
        return len(emulated.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])

    nlb = emulated.nlb()
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    assert interfaces() == 1
    emulated.clock.sleep(45)
    assert interfaces() == 0


def test_a_protected_nlb_cannot_be_deleted(emulated: EmulatedAws) -> None:
    nlb = emulated.nlb()
    attributes: Any = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    emulated.elbv2.modify_load_balancer_attributes(LoadBalancerArn=nlb, Attributes=attributes)
    with refuses("OperationNotPermitted"):
        emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)


def test_an_nlb_of_an_endpoint_service_cannot_be_deleted(emulated: EmulatedAws) -> None:
    nlb = emulated.nlb()
    made = emulated.ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[nlb])
    service = made["ServiceConfiguration"].get("ServiceId", "")
    with refuses("ResourceInUse"):
        emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    [found] = emulated.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    assert found.get("NetworkLoadBalancerArns") == [nlb]
    emulated.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)


def test_an_nlb_created_without_a_security_group_never_gets_one(emulated: EmulatedAws) -> None:
    made = emulated.elbv2.create_load_balancer(Name="bare", Type="network", Subnets=[emulated.aws.subnets["a"][0]])
    arn = made["LoadBalancers"][0].get("LoadBalancerArn", "")
    with refuses("InvalidConfigurationRequest"):
        emulated.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[emulated.group()])


def test_an_nlb_takes_one_subnet_of_a_zone(emulated: EmulatedAws) -> None:
    with refuses("InvalidConfigurationRequest"):
        emulated.elbv2.create_load_balancer(Name="two", Type="network", Subnets=emulated.aws.subnets["a"])


def test_an_elastic_ip_in_use_cannot_be_released_or_used_again(emulated: EmulatedAws) -> None:
    allocation = emulated.ec2.allocate_address(Domain="vpc")["AllocationId"]
    group = emulated.group()
    nlb = emulated.nlb(group, AllocationId=allocation)
    with refuses("AuthFailure"):
        emulated.ec2.release_address(AllocationId=allocation)
    with refuses("ResourceInUse"):
        emulated.nlb(group, name="another", AllocationId=allocation)
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    emulated.clock.sleep(45)
    emulated.ec2.release_address(AllocationId=allocation)


def test_an_unknown_elastic_ip_is_refused(emulated: EmulatedAws) -> None:
    with refuses("AllocationIdNotFound"):
        emulated.nlb(AllocationId="eipalloc-0123")


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
def test_health_checks_of_udp_groups_are_tcp_or_http_within_awss_ranges(
    emulated: EmulatedAws, setting: dict[str, Any]
) -> None:
    with refuses("ValidationError"):
        emulated.target_group(**setting)


def test_a_lambdas_target_group_has_neither_port_nor_protocol_nor_vpc(emulated: EmulatedAws) -> None:
    emulated.elbv2.create_target_group(Name="function", TargetType="lambda")
    [found] = emulated.elbv2.describe_target_groups()["TargetGroups"]
    assert not {"Port", "Protocol", "VpcId", "HealthCheckProtocol", "HealthCheckPort"} & found.keys()


def test_a_gateway_load_balancer_has_neither_a_dns_name_nor_a_scheme(emulated: EmulatedAws) -> None:
    emulated.elbv2.create_load_balancer(Name="firewall", Type="gateway", Subnets=[emulated.aws.subnets["a"][0]])
    [found] = emulated.elbv2.describe_load_balancers()["LoadBalancers"]
    assert ":loadbalancer/gwy/firewall/" in found.get("LoadBalancerArn", "")
    assert not {"DNSName", "Scheme", "CanonicalHostedZoneId", "SecurityGroups"} & found.keys()


def test_tags_of_what_is_not_there_are_refused_with_all_others_asked_for(emulated: EmulatedAws) -> None:
    nlb, group = emulated.nlb(), emulated.target_group()
    emulated.elbv2.describe_tags(ResourceArns=[nlb, group])
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with refuses("LoadBalancerNotFound"):
        emulated.elbv2.describe_tags(ResourceArns=[nlb, group])
    with refuses("TargetGroupNotFound"):
        emulated.elbv2.describe_tags(ResourceArns=[f"{group}0"])


def test_a_target_group_in_use_by_a_listener_cannot_be_deleted(emulated: EmulatedAws) -> None:
    nlb, group, other = emulated.nlb(), emulated.target_group(), emulated.target_group("other")
    listener = emulated.listener(nlb, group)
    with refuses("ResourceInUse"):
        emulated.elbv2.delete_target_group(TargetGroupArn=group)
    emulated.elbv2.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": other}])
    emulated.elbv2.delete_target_group(TargetGroupArn=group)
    with refuses("ResourceInUse"):
        emulated.elbv2.delete_target_group(TargetGroupArn=other)


@pytest.mark.parametrize("change", [{"Port": 30505}, {"Tags": [{"Key": "team", "Value": "x"}]}])
def test_target_group_names_are_unique_and_the_same_again_is_the_one_that_is_there(
    emulated: EmulatedAws, change: Any
) -> None:
    group = emulated.target_group()
    assert emulated.target_group() == group
    with refuses("DuplicateTargetGroupName"):
        emulated.target_group(**change)
    emulated.elbv2.modify_target_group(TargetGroupArn=group, HealthyThresholdCount=9)
    with refuses("DuplicateTargetGroupName"):
        emulated.target_group()


def test_a_target_group_belongs_to_one_nlb(emulated: EmulatedAws) -> None:
    group = emulated.group()
    one, other, targets = emulated.nlb(group), emulated.nlb(group, name="other"), emulated.target_group()
    emulated.listener(one, targets)
    with refuses("TargetGroupAssociationLimit"):
        emulated.listener(other, targets)


def test_a_port_has_one_listener_and_the_same_again_is_the_one_that_is_there(emulated: EmulatedAws) -> None:
    nlb, group, other = emulated.nlb(), emulated.target_group(), emulated.target_group("other")
    listener = emulated.listener(nlb, group)
    assert emulated.listener(nlb, group) == listener
    with refuses("DuplicateListener"):
        emulated.listener(nlb, other)
    emulated.elbv2.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": other}])
    with refuses("DuplicateListener"):
        emulated.listener(nlb, group)


def test_a_udp_listener_wants_a_udp_target_group(emulated: EmulatedAws) -> None:
    nlb, group = emulated.nlb(), emulated.target_group(Protocol="TCP")
    with refuses("IncompatibleProtocols"):
        emulated.listener(nlb, group)


def test_a_listeners_port_changes_in_place(emulated: EmulatedAws) -> None:
    nlb, group = emulated.nlb(), emulated.target_group()
    listener = emulated.listener(nlb, group)
    emulated.elbv2.modify_listener(ListenerArn=listener, Port=6000, Protocol="UDP")
    [found] = emulated.elbv2.describe_listeners(LoadBalancerArn=nlb)["Listeners"]
    assert (found.get("ListenerArn"), found.get("Port")) == (listener, 6000)


@pytest.mark.parametrize("target", ["192.0.2.1", "node-1"])
def test_ip_targets_lie_in_the_vpc(emulated: EmulatedAws, target: str) -> None:
    group = emulated.target_group()
    with refuses("ValidationError"):
        emulated.register(group, target)


@pytest.mark.parametrize("target", ["i-0123456789abcdef0", "10.0.0.1"])
def test_instance_targets_are_instances_of_the_vpc(emulated: EmulatedAws, target: str) -> None:
    group = emulated.target_group(TargetType="instance")
    with refuses("InvalidTarget"):
        emulated.register(group, target)


def test_a_zone_takes_500_targets(emulated: EmulatedAws) -> None:
    group = emulated.target_group()
    targets = [f"10.0.{200 + number // 250}.{number % 250 + 1}" for number in range(501)]
    emulated.register(group, *targets[:500])
    with refuses("TooManyTargets"):
        emulated.register(group, targets[500])


def test_tags_are_limited(emulated: EmulatedAws) -> None:
    with refuses("InvalidParameterValue"):
        emulated.elbv2.add_tags(ResourceArns=[emulated.target_group()], Tags=[{"Key": "aws:mine", "Value": ""}])
    with refuses("TagLimitExceeded"):
        tags: Any = [{"Key": f"key{number}", "Value": ""} for number in range(51)]
        emulated.ec2.create_tags(Resources=[emulated.group()], Tags=tags)


def test_targets_without_a_listener_are_unused(emulated: EmulatedAws) -> None:
    group = emulated.target_group()
    emulated.register(group, emulated.node("gpu-1"))
    assert emulated.health(group) == {emulated.node("gpu-1"): ("unused", "Target.NotInUse")}


def test_targets_of_a_foreign_zone_are_unused(emulated: EmulatedAws) -> None:
    _, _, group = emulated.serving()
    emulated.register(group, emulated.node("gpu-4"))
    assert emulated.health(group) == {emulated.node("gpu-4"): ("unused", "Target.NotInUse")}


def test_targets_become_healthy_after_five_checks(emulated: EmulatedAws) -> None:
    _, _, group = emulated.serving()
    emulated.register(group, emulated.node("gpu-1"))
    assert emulated.health(group) == {emulated.node("gpu-1"): ("initial", "Elb.InitialHealthChecking")}
    emulated.clock.sleep(150)
    assert emulated.health(group) == {emulated.node("gpu-1"): ("healthy", "")}


def without_health_rule(emulated: EmulatedAws, group: str) -> None:
    emulated.ec2.revoke_security_group_ingress(
        GroupId=emulated.aws.node_security_group_ids[0],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 30800, "ToPort": 30800, "UserIdGroupPairs": [{"GroupId": group}]}
        ],
    )


def without_egress(emulated: EmulatedAws, group: str) -> None:
    emulated.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )


def without_proxy(emulated: EmulatedAws, _: str) -> None:
    emulated.proxy_runs = False


@pytest.mark.parametrize("broken", [without_health_rule, without_egress, without_proxy])
def test_targets_are_unhealthy_unless_checks_get_in_get_out_and_are_answered(
    emulated: EmulatedAws, broken: Callable[[EmulatedAws, str], None]
) -> None:
    group, _, targets = emulated.serving()
    emulated.register(targets, emulated.node("gpu-1"))
    emulated.clock.sleep(150)
    broken(emulated, group)
    [(state, reason)] = emulated.health(targets).values()
    assert state == "unhealthy"
    assert reason in ("Target.Timeout", "Target.FailedHealthChecks")


def test_media_is_stopped_by_the_first_thing_in_its_way(emulated: EmulatedAws) -> None:
    group, nlb, targets = emulated.serving()
    node = emulated.node("gpu-1")
    emulated.register(targets, node)
    assert emulated.aws.media_obstacle(targets, node) is None
    emulated.proxy_runs = False
    assert "nothing answers" in (emulated.aws.media_obstacle(targets, node) or "")
    without_egress(emulated, group)
    assert "do not let out UDP 30504" in (emulated.aws.media_obstacle(targets, node) or "")
    emulated.ec2.revoke_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "udp", "FromPort": 5004, "ToPort": 5004, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    assert "do not let in UDP 5004" in (emulated.aws.media_obstacle(targets, node) or "")
    emulated.elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    assert "no listener" in (emulated.aws.media_obstacle(targets, node) or "")


def test_deregistered_targets_drain_and_are_gone(emulated: EmulatedAws) -> None:
    _, _, group = emulated.serving()
    node = emulated.node("gpu-1")
    emulated.register(group, node)
    emulated.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": node}])
    assert emulated.health(group) == {node: ("draining", "Target.DeregistrationInProgress")}
    emulated.clock.sleep(300)
    assert emulated.health(group) == {}


def test_eks_tells_of_the_clusters_network(emulated: EmulatedAws) -> None:
    network: Any = emulated.aws.client("eks").describe_cluster(name="demo")["cluster"].get("resourcesVpcConfig")
    assert network["vpcId"] == emulated.aws.vpc_id
    assert network["clusterSecurityGroupId"] == emulated.aws.cluster_security_group_id
    assert len(network["subnetIds"]) == 4


def test_ecr_gives_another_token_every_time(emulated: EmulatedAws) -> None:
    ecr = emulated.aws.client("ecr")
    tokens = {ecr.get_authorization_token()["authorizationData"][0].get("authorizationToken") for _ in range(3)}
    assert len(tokens) == 3


def test_the_account_is_the_worlds(emulated: EmulatedAws) -> None:
    assert emulated.aws.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_calls_are_recorded_by_service_and_action(emulated: EmulatedAws) -> None:
    emulated.group()
    emulated.aws.client("ecr").get_authorization_token()
    assert emulated.aws.calls[-2:] == ["ec2:CreateSecurityGroup", "ecr:GetAuthorizationToken"]


def test_leftovers_are_what_the_world_did_not_have(emulated: EmulatedAws) -> None:
    assert emulated.aws.leftovers() == ()
    emulated.target_group()
    emulated.nlb()
    kinds = {leftover.partition(" demo")[0].split(" sg-")[0].split(" sgr-")[0] for leftover in emulated.aws.leftovers()}
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
