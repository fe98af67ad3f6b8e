from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.verify import Verification
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from tests.support import breakage
from tests.support.worlds import PatientClock, PatientClockOf, a_rehearsal


class Saying(Unwatched):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def verification(rehearsal: Rehearsal) -> Verification:
    def resolve(name: str) -> Sequence[str]:
        return [NLB_ADDRESS]

    return Verification(rehearsal.installation(), rehearsal.engine.outputs, resolve)


def verified(rehearsal: Rehearsal) -> list[Finding]:
    return verification(rehearsal).run(Unwatched())


def problems(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, by check; each with its remedy."""
    found: dict[str, str] = {}
    for finding in findings:
        if finding.level is Level.PROBLEM:
            assert finding.remedy, finding
            found[finding.check] = f"{found.get(finding.check, '')}{finding.seen} -> {finding.remedy}\n"
    return found


# --- Ways to break a stack that streams


def revoke(protocol: str, port: int) -> Callable[[Rehearsal], None]:
    """Take the rules for a port out of whatever group has them."""

    def breaking(rehearsal: Rehearsal) -> None:
        ec2: Any = rehearsal.aws.client("ec2")
        for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
            if (rule["IpProtocol"], rule["FromPort"]) == (protocol, port):
                remove = ec2.revoke_security_group_egress if rule["IsEgress"] else ec2.revoke_security_group_ingress
                remove(GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])

    return breaking


def revoke_egress(rehearsal: Rehearsal) -> None:
    ec2: Any = rehearsal.aws.client("ec2")
    group = rehearsal.engine.outputs["securityGroupId"]
    for rule in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])[
        "SecurityGroupRules"
    ]:
        if rule["IsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])


def register_elsewhere(rehearsal: Rehearsal) -> None:
    target: Any = {"Id": rehearsal.aws.nodes["gpu-4"][1], "Port": 30504}
    rehearsal.aws.client("elbv2").register_targets(
        TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=[target]
    )


def terminate(rehearsal: Rehearsal) -> None:
    rehearsal.aws.client("ec2").terminate_instances(InstanceIds=[rehearsal.aws.nodes["gpu-2"][0]])


def stop(rehearsal: Rehearsal) -> None:
    rehearsal.aws.client("ec2").stop_instances(InstanceIds=[rehearsal.aws.nodes["gpu-2"][0]])


def deny_in_acl(rehearsal: Rehearsal) -> None:
    """UDP into the private subnets."""
    ec2: Any = rehearsal.aws.client("ec2")
    acl = ec2.create_network_acl(VpcId=rehearsal.aws.vpc_id)["NetworkAcl"]["NetworkAclId"]
    for egress in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=egress, CidrBlock="0.0.0.0/0"
        )
    ec2.create_network_acl_entry(
        NetworkAclId=acl,
        RuleNumber=50,
        Protocol="17",
        RuleAction="deny",
        Egress=False,
        CidrBlock="0.0.0.0/0",
        PortRange={"From": 30504, "To": 30504},
    )
    subnet = rehearsal.aws.subnets["a"][-1]
    found = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
    [association] = [association for association in found[0]["Associations"] if association["SubnetId"] == subnet]
    ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)


def cut_off(rehearsal: Rehearsal) -> None:
    """Take the route to the internet gateway away."""
    ec2: Any = rehearsal.aws.client("ec2")
    for table in ec2.describe_route_tables()["RouteTables"]:
        for route in table["Routes"]:
            if str(route.get("GatewayId", "")).startswith("igw-"):
                ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")


def delete_listener(rehearsal: Rehearsal) -> None:
    elbv2: Any = rehearsal.aws.client("elbv2")
    [listener] = elbv2.describe_listeners(LoadBalancerArn=rehearsal.engine.outputs["nlbArn"])["Listeners"]
    elbv2.delete_listener(ListenerArn=listener["ListenerArn"])


def move_listener(rehearsal: Rehearsal) -> None:
    elbv2: Any = rehearsal.aws.client("elbv2")
    [listener] = elbv2.describe_listeners(LoadBalancerArn=rehearsal.engine.outputs["nlbArn"])["Listeners"]
    elbv2.modify_listener(ListenerArn=listener["ListenerArn"], Port=5005)


def delete_balancer(rehearsal: Rehearsal) -> None:
    rehearsal.aws.client("elbv2").delete_load_balancer(LoadBalancerArn=rehearsal.engine.outputs["nlbArn"])


def deregister(rehearsal: Rehearsal) -> None:
    targets: Any = [{"Id": target, "Port": 30504} for target in rehearsal.engine.outputs["targets"]]
    rehearsal.aws.client("elbv2").deregister_targets(
        TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=targets
    )


def check_another_path(rehearsal: Rehearsal) -> None:
    rehearsal.aws.client("elbv2").modify_target_group(
        TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], HealthCheckPath="/healthz"
    )


def crash(rehearsal: Rehearsal) -> None:
    breakage.crash(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))


def fail_image_pull(rehearsal: Rehearsal) -> None:
    breakage.fail_image_pull(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))


def unschedule(rehearsal: Rehearsal) -> None:
    breakage.unschedule(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))


def fail_probe(rehearsal: Rehearsal) -> None:
    breakage.fail_probe(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))


def delete_service(rehearsal: Rehearsal) -> None:
    del rehearsal.cluster.services["gdn-streaming", "streaming-proxy"]


def change_health_port(rehearsal: Rehearsal) -> None:
    breakage.change_node_port(rehearsal.cluster, 30800, 30999)


def uninstall(rehearsal: Rehearsal) -> None:
    rehearsal.cluster.uninstall("gdn-streaming", "gdn-streaming")


def fail_release(rehearsal: Rehearsal) -> None:
    breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", "failed")


UNHEALTHY = {"targets"}
FAULTS: dict[str, tuple[Callable[[Rehearsal], None], set[str], str]] = {
    "the health rule": (revoke("tcp", 30800), {"rule-missing", "targets"}, "--protocol tcp --port 30800"),
    "the media rule, which leaves targets healthy": (revoke("udp", 30504), {"rule-missing"}, "lets in UDP 30504"),
    "the load balancer's egress": (revoke_egress, {"nlb-egress", "targets"}, "do not let out TCP 30800"),
    "the load balancer's ingress": (revoke("udp", 5004), {"nlb-ingress"}, "UDP 5004 from 0.0.0.0/0"),
    "a target of another zone": (register_elsewhere, {"wrong-zone", "targets"}, "us-west-2b"),
    "a node that is gone": (terminate, {"node-gone", "targets"}, "10.0.16.5: its node is gone"),
    "a node that is stopped": (stop, {"node-gone", "targets"}, "is stopped"),
    "a network ACL": (deny_in_acl, {"network-acl"}, "denies UDP 30504 inbound"),
    "the route to the internet": (cut_off, {"no-route"}, "no route to an internet gateway"),
    "the listener": (delete_listener, {"listener", "targets"}, "there is: none"),
    "the listener's port": (move_listener, {"listener"}, "there is: UDP 5005"),
    "the load balancer": (delete_balancer, {"nlb"}, "there is no load balancer rp-public-demo"),
    "the registration": (deregister, {"targets"}, "nothing is registered"),
    "the health check's path": (check_another_path, {"health-check", "targets"}, "path /healthz instead of /v1/health"),
    "a crashing pod": (crash, {"pod-not-running", "targets"}, "CrashLoopBackOff"),
    "an image that cannot be pulled": (fail_image_pull, {"pod-not-running", "targets"}, "ImagePull"),
    "a pod without a node": (unschedule, {"pod-not-running", "targets"}, "Insufficient cpu"),
    "a failing probe": (fail_probe, {"pod-not-running", "targets"}, "probe failed"),
    "the service": (delete_service, {"node-port-unbound", "targets"}, "no service of gdn-streaming has NodePort"),
    "the service's health port": (change_health_port, {"node-port-unbound", "targets"}, "TCP 30999"),
    "the release": (uninstall, {"release", "pod-not-running", "node-port-unbound", "targets"}, "no release"),
    "a failed release": (fail_release, {"release"}, "is failed"),
}


@pytest.mark.parametrize(("breaking", "expected", "words"), FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_named_and_nothing_else(
    breaking: Callable[[Rehearsal], None], expected: set[str], words: str
) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        breaking(rehearsal)
        rehearsal.clock.skip(600)
        found = problems(verified(rehearsal))
    assert set(found) == expected
    assert words in "".join(found.values())


def test_a_stack_that_streams_has_no_problem_and_shows_its_logs() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        found = verified(rehearsal)
    assert problems(found) == {}
    seen = {finding.check: finding.seen for finding in found}
    assert "1/1 Running" in seen["pods"]
    assert "/v1/health on 8000" in seen["pods"]
    assert "streaming-proxy is serving" in seen["logs"]
    assert NLB_ADDRESS in seen["dns"]


def test_stack_traces_are_left_out_of_the_log_and_the_error_is_not() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        crash(rehearsal)
        [log] = [each.seen for each in verified(rehearsal) if each.check == "logs"]
    assert "before its restart" in log
    assert "SettingsError: LB_DNS 'streaming.example' does not resolve" in log
    assert "Traceback" not in log
    assert 'File "' not in log


def test_a_name_that_does_not_resolve_yet_is_no_problem_of_the_stack() -> None:
    def resolve(name: str) -> Sequence[str]:
        raise OSError("Name or service not known")

    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        found = Verification(rehearsal.installation(), rehearsal.engine.outputs, resolve).run(Unwatched())
    assert [finding.level for finding in found if finding.check == "dns"] == [Level.UNKNOWN]
    assert problems(found) == {}


def test_what_the_guide_made_is_verified_by_its_names() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a", health_rule=False)
        rehearsal.clock.skip(600)
        found = problems(verified(rehearsal))
    assert "TCP 30800 (health checks)" in found["rule-missing"]
    assert "10.0.48.4" in found["wrong-zone"]


def test_an_unreachable_cluster_leaves_the_rest_verified() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        rehearsal.cluster.denied.add(("list", "pods"))
        found = verified(rehearsal)
    assert problems(found) == {}
    assert {finding.check for finding in found if finding.level is Level.UNKNOWN} == {"pods", "logs", "node ports"}
    assert any(finding.check == "path" for finding in found)


def test_waiting_ends_when_all_targets_are_healthy_and_says_how_far_it_is() -> None:
    watcher = Saying()
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        assert verification(rehearsal).wait(600, PatientClockOf(rehearsal), watcher)
    assert watcher.said[-1] == "load balancer active, 2 of 2 targets healthy"


def test_waiting_ends_in_time_when_they_are_not() -> None:
    clock = PatientClock()
    watcher = Saying()
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        revoke("tcp", 30800)(rehearsal)
        rehearsal.clock.skip(600)
        assert not verification(rehearsal).wait(60, clock, watcher)
    assert clock.now() <= 60
    assert "0 of 2 targets healthy (unhealthy Target.Timeout)" in watcher.said[-1]
