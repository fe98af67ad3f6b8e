import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.verify import Verification
from lls.operations.world.inventory import Inventory, Thing
from rehearsal.engine.engine import StepsFailedError
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.scheduler import Container, Pod
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from rehearsal.world import Node, PrefixList
from tests.support import breakage
from tests.support.operations import preflight_of, reroute
from tests.support.recorded import as_config
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


def deny_in_acl(
    of: int, first: int, last: int, *, protocol: str = "17", egress: bool = False, peer: str = "0.0.0.0/0"
) -> Callable[[Rehearsal], None]:
    """Deny ports in an ACL of its own of the zone's public (0) or private (-1) subnet."""
    return lambda rehearsal: give_acl(rehearsal, of, first, last, protocol=protocol, egress=egress, peer=peer)


def give_acl(rehearsal: Rehearsal, of: int, first: int, last: int, *, protocol: str, egress: bool, peer: str) -> None:
    ec2: Any = rehearsal.aws.client("ec2")
    acl = ec2.create_network_acl(VpcId=rehearsal.aws.vpc_id)["NetworkAcl"]["NetworkAclId"]
    for out in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=out, CidrBlock="0.0.0.0/0"
        )
    ec2.create_network_acl_entry(
        NetworkAclId=acl,
        RuleNumber=50,
        Protocol=protocol,
        RuleAction="deny",
        Egress=egress,
        CidrBlock=peer,
        PortRange={"From": first, "To": last},
    )
    subnet = rehearsal.aws.subnets["a"][of]
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


def deregister_one(rehearsal: Rehearsal) -> None:
    rehearsal.aws.client("elbv2").deregister_targets(
        TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=[{"Id": "10.0.16.5", "Port": 30504}]
    )


def leave(rehearsal: Rehearsal) -> None:
    """The instance runs on, and is no node any more."""
    del rehearsal.cluster.nodes["gpu-2"]


def go_silent(rehearsal: Rehearsal) -> None:
    """The node with the one pod of the proxy, which no other has room for."""
    breakage.change_node(rehearsal.cluster, "gpu-1", ready=False)


def impair(rehearsal: Rehearsal) -> None:
    rehearsal.aws.set_nlb_state("active_impaired")


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


def settle(rehearsal: Rehearsal) -> None:
    """Break nothing."""


UNHEALTHY = {"targets"}
FAULTS: dict[str, tuple[Callable[[Rehearsal], None], set[str], str]] = {
    "the health rule": (revoke("tcp", 30800), {"rule-missing", "targets"}, "--protocol tcp --port 30800"),
    "the media rule, which leaves targets healthy": (revoke("udp", 30504), {"rule-missing"}, "lets in UDP 30504"),
    "the load balancer's egress": (revoke_egress, {"nlb-egress", "targets"}, "do not let out TCP 30800"),
    "the load balancer's ingress": (revoke("udp", 5004), {"nlb-ingress"}, "UDP 5004 from 0.0.0.0/0"),
    "a target of another zone": (register_elsewhere, {"wrong-zone", "targets"}, "us-west-2b"),
    "a target that somebody deregistered": (deregister_one, {"targets"}, "10.0.16.5 should be registered and is not"),
    "a node that left the cluster": (leave, {"node-gone", "targets"}, "10.0.16.5: it is no node of the cluster"),
    "a node whose kubelet is silent": (
        go_silent,
        {"node-not-ready", "pod-not-running", "targets"},
        "gpu-1 is not ready",
    ),
    "a node that is gone": (terminate, {"node-gone", "targets"}, "10.0.16.5: its node is gone"),
    "a node that is stopped": (stop, {"node-gone", "targets"}, "is stopped"),
    "a node that does not report": (
        lambda rehearsal: breakage.change_node(
            rehearsal.cluster, "gpu-2", ready=False, taints=("node.kubernetes.io/unreachable:NoExecute",)
        ),
        {"node-not-ready", "node-unfit", "targets"},
        "10.0.16.5: node gpu-2 is unreachable (taint node.kubernetes.io/unreachable)",
    ),
    "a network ACL": (deny_in_acl(-1, 30504, 30504), {"network-acl"}, "denies UDP 30504 inbound"),
    "a network ACL before health checks": (
        deny_in_acl(0, 30800, 30800, protocol="6", egress=True),
        {"network-acl", "targets"},
        "denies TCP 30800 outbound",
    ),
    "a network ACL before clients": (
        deny_in_acl(0, 5004, 5004),
        {"network-acl"},
        "denies UDP 5004 inbound from 0.0.0.0/0 (rule 50)",
    ),
    "a network ACL before answers to clients": (
        deny_in_acl(0, 20000, 29999, egress=True),
        {"network-acl"},
        "denies UDP 20000-29999 outbound to 0.0.0.0/0",
    ),
    "the route to the internet": (cut_off, {"no-route"}, "no route to an internet gateway"),
    "the listener": (delete_listener, {"listener", "targets"}, "there is: none"),
    "the listener's port": (move_listener, {"listener"}, "there is: UDP 5005"),
    "the load balancer": (delete_balancer, {"nlb"}, "there is no load balancer rp-public-demo"),
    "a load balancer that lacks resources": (impair, {"nlb"}, "it routes, and lacks resources to scale"),
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
    "the service that workers reach the proxy by": (
        lambda rehearsal: rehearsal.cluster.nvcf.services.clear(),
        {"zone-dns"},
        "there is no service nvcf-sbs in nvcf-backend, and ZONE_DNS of the workers is "
        "http://nvcf-sbs.nvcf-backend.svc.cluster.local:8000",
    ),
}
MEDIA = (
    *("the media rule, which leaves targets healthy", "the load balancer's egress", "a network ACL"),
    *("the service", "the release"),
)
"""Those that keep UDP from NodePorts, and nothing else does: what stops health checks alone stops no media."""
NVIDIAS_WORDS = "a streaming function then shows ACTIVE, and WebRTC clients fail to connect with NVST_R_GENERIC_ERROR"


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_nothing_else(fault: str) -> None:
    breaking, expected, words = FAULTS[fault]
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        breaking(rehearsal)
        rehearsal.clock.skip(600)
        found = problems(verified(rehearsal))
    told = "".join(found.values())
    assert set(found) == expected
    assert words in told
    assert (NVIDIAS_WORDS in told) == (fault in MEDIA or "zone-dns" in expected)


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


# --- Network ACLs


@pytest.mark.parametrize(
    "denying",
    [
        deny_in_acl(-1, 30504, 30504),
        deny_in_acl(0, 5004, 5004),
        deny_in_acl(0, 1024, 65535, egress=True),
        deny_in_acl(0, 0, 65535, protocol="6", egress=True),
    ],
)
def test_what_verify_says_of_a_network_acl_opens_it(denying: Callable[[Rehearsal], None]) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        denying(rehearsal)
        rehearsal.clock.skip(600)
        assert rehearsal.aws.obstacles() != []
        commands = {finding.remedy for finding in verified(rehearsal) if finding.check == "network-acl"}
        assert all("up" not in command.split() for command in commands)
        for command in commands:
            run_aws(rehearsal, command)
        assert rehearsal.aws.obstacles() == []
        assert problems(verified(rehearsal)) == {}


def run_aws(rehearsal: Rehearsal, command: str) -> None:
    """What the AWS CLI would do for a command of `aws ec2 create-network-acl-entry`."""
    words = shlex.split(command)
    assert words[:3] == ["aws", "ec2", "create-network-acl-entry"]
    given = {key: value for key, value in pairwise(words) if key.startswith("--")}
    first, last = (int(part.partition("=")[2]) for part in given["--port-range"].split(","))
    ec2: Any = rehearsal.aws.client("ec2")
    ec2.create_network_acl_entry(
        NetworkAclId=given["--network-acl-id"],
        Egress="--egress" in given,
        RuleNumber=int(given["--rule-number"]),
        Protocol={"udp": "17", "tcp": "6"}[given["--protocol"]],
        PortRange={"From": first, "To": last},
        CidrBlock=given["--cidr-block"],
        RuleAction=given["--rule-action"],
    )


def test_a_network_acl_that_keeps_out_some_clients_is_a_note() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        deny_in_acl(0, 5004, 5004, peer="203.0.113.0/24")(rehearsal)
        rehearsal.await_health()
        found = verified(rehearsal)
    assert problems(found) == {}
    [acl] = [finding for finding in found if finding.check == "network-acl"]
    assert "UDP 5004 inbound from 203.0.113.0/24" in acl.seen


# --- Routes


def test_a_way_in_through_a_firewalls_endpoint_is_noted_and_not_judged() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        endpoint = reroute(rehearsal, "0.0.0.0/0", endpoint=True)
        rehearsal.await_health()
        found = verified(rehearsal)
        subnet = rehearsal.aws.subnets["a"][0]
        before = [finding for finding in preflight_of(rehearsal, publicSubnetId=subnet) if finding.check == "subnet"]
    assert {finding.level for finding in found} == {Level.OK, Level.NOTE}
    [route] = [finding.seen for finding in found if endpoint in finding.seen]
    assert f"{subnet}: its default route leads to {endpoint}" in route
    assert not any("and routes let" in finding.seen for finding in found)
    assert [(finding.level, endpoint in finding.seen) for finding in before] == [(Level.NOTE, True)]


def test_two_halves_of_a_default_route_are_one() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        reroute(rehearsal, "0.0.0.0/1", "128.0.0.0/1")
        rehearsal.await_health()
        assert problems(verified(rehearsal)) == {}


# --- Prefix lists


def put_prefix_list(rehearsal: Rehearsal, protocol: str, port: int, *cidrs: str) -> None:
    """Replace the rule of the nodes' group for a port by one for a prefix list."""
    revoke(protocol, port)(rehearsal)
    ec2: Any = rehearsal.aws.client("ec2")
    list_id = ec2.create_managed_prefix_list(
        PrefixListName="x", MaxEntries=10, AddressFamily="IPv4", Entries=[{"Cidr": cidr} for cidr in cidrs]
    )["PrefixList"]["PrefixListId"]
    [group] = rehearsal.aws.node_security_group_ids
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "PrefixListIds": [{"PrefixListId": list_id}]}
        ],
    )


def test_a_rule_for_a_prefix_list_lets_in_what_the_list_holds() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        put_prefix_list(rehearsal, "tcp", 30800, "192.0.2.0/24", "10.0.0.0/20")
        put_prefix_list(rehearsal, "udp", 30504, "0.0.0.0/0")
        rehearsal.await_health()
        assert rehearsal.aws.obstacles() == []
        assert problems(verified(rehearsal)) == {}


def test_a_rule_for_the_load_balancers_own_address_is_enough_for_health_checks() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        ec2: Any = rehearsal.aws.client("ec2")
        of_balancer = [{"Name": "description", "Values": ["ELB net/rp-public-demo/*"]}]
        [interface] = ec2.describe_network_interfaces(Filters=of_balancer)["NetworkInterfaces"]
        put_prefix_list(rehearsal, "tcp", 30800, f"{interface['PrivateIpAddress']}/32")
        crash(rehearsal)
        rehearsal.clock.skip(600)
        assert set(problems(verified(rehearsal))) == {"pod-not-running", "targets"}


def test_a_rule_that_is_missing_is_told_without_asking_for_the_load_balancers_own_address() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        revoke("tcp", 30800)(rehearsal)
        rehearsal.clock.skip(600)
        rehearsal.aws.denied.add("ec2:DescribeNetworkInterfaces")
        assert set(problems(verified(rehearsal))) == {"rule-missing", "targets"}


def test_a_rule_for_a_prefix_list_without_the_load_balancers_addresses_lets_in_nothing() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        put_prefix_list(rehearsal, "tcp", 30800, "192.0.2.0/24")
        rehearsal.clock.skip(600)
        assert set(problems(verified(rehearsal))) == {"rule-missing", "targets"}


def test_a_prefix_list_that_cannot_be_read_leaves_its_rule_unjudged() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        put_prefix_list(rehearsal, "tcp", 30800, "192.0.2.0/24")
        rehearsal.clock.skip(600)
        rehearsal.aws.denied.add("ec2:GetManagedPrefixListEntries")
        found = verified(rehearsal)
    assert set(problems(found)) == {"targets"}
    [unjudged] = [finding for finding in found if finding.level is Level.UNKNOWN]
    assert "whether security groups let TCP 30800 (health checks) through: AWS denied" in unjudged.seen
    assert "Could not be judged: security-groups" in problems(found)["targets"]


# --- Targets and their causes


def test_a_healthy_target_is_not_blamed_for_what_its_health_checks_get_past(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_by_aws = Inventory.targets

    def all_healthy(inventory: Inventory, arn: str) -> list[Thing]:
        return [replace(target, state="healthy") for target in seen_by_aws(inventory, arn)]

    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        monkeypatch.setattr(Inventory, "targets", all_healthy)
        revoke("tcp", 30800)(rehearsal)
        register_elsewhere(rehearsal)
        assert problems(verified(rehearsal)) == {}
        revoke("udp", 30504)(rehearsal)
        assert (
            "lets in UDP 30504 (media path; health checks get there)" in problems(verified(rehearsal))["rule-missing"]
        )


def test_an_unhealthy_target_without_a_cause_says_what_was_ruled_out() -> None:
    with a_rehearsal(quirks={"chart_health_path": "/healthz"}) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        found = problems(verified(rehearsal))
    assert set(found) == {"targets"}
    assert "no cause found. Ruled out: the load balancer and its listener; the node's instance" in found["targets"]
    assert "curl -i http://10.0.16.4:30800/v1/health" in found["targets"]


def test_what_could_not_be_asked_was_not_ruled_out() -> None:
    with a_rehearsal(quirks={"chart_health_path": "/healthz"}) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        rehearsal.aws.denied.add("ec2:DescribeNetworkAcls")
        rehearsal.cluster.denied.add(("list", "nodes"))
        found = problems(verified(rehearsal))["targets"]
    assert "Ruled out: the load balancer and its listener. Could not be judged: path (AWS denied" in found
    assert "node ports (" in found


def test_a_target_whose_first_checks_are_under_way_is_waited_for() -> None:
    with a_rehearsal(clock=PatientClock()) as rehearsal:
        rehearsal.engine.up()
        found = problems(verified(rehearsal))
    assert set(found) == {"targets"}
    assert "its first health checks are under way -> wait" in found["targets"]


@pytest.mark.parametrize(
    ("breaking", "check", "remedy"),
    [
        (stop, "node-gone", "aws ec2 start-instances --region us-west-2 --instance-ids i-"),
        (register_elsewhere, "wrong-zone", "aws elbv2 deregister-targets --region us-west-2 --target-group-arn "),
        (terminate, "node-gone", "pulumi up --stack test"),
        (leave, "node-gone", "pulumi up --stack test"),
        (crash, "pod-not-running", "kubectl -n gdn-streaming describe pod"),
        (delete_service, "node-port-unbound", "helm -n gdn-streaming rollback gdn-streaming 1"),
        (uninstall, "node-port-unbound", "pulumi up --refresh --stack test"),
        (deregister_one, "targets", "pulumi up --refresh --stack test"),
    ],
)
def test_a_remedy_is_one_that_changes_the_case(breaking: Callable[[Rehearsal], None], check: str, remedy: str) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        breaking(rehearsal)
        rehearsal.clock.skip(600)
        remedies = {
            finding.remedy
            for finding in verified(rehearsal)
            if finding.check == check and finding.level is Level.PROBLEM
        }
    assert all(found.startswith(remedy) for found in remedies), remedies


def test_an_installation_that_is_nobodys_is_adopted_before_anything_is_mended() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a", health_rule=False)
        rehearsal.clock.skip(600)
        found = problems(verified(rehearsal))
    assert "-> python -m lls adopt --stack test" in found["rule-missing"]


# --- Pods that have ended


@pytest.mark.parametrize("ending", [breakage.evict, breakage.terminate])
def test_a_pod_that_has_ended_is_no_problem_while_the_release_has_its_pods(
    ending: Callable[[Cluster, str], None],
) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        ended = breakage.a_proxy(rehearsal.cluster)
        ending(rehearsal.cluster, ended)
        found = verified(rehearsal)
    assert problems(found) == {}
    assert [finding.level for finding in found if finding.check == "pods" and ended in finding.seen] == [Level.NOTE]


def test_a_pod_that_was_evicted_and_has_no_successor_is_told_with_the_reason() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        ended = breakage.a_proxy(rehearsal.cluster)
        breakage.evict(rehearsal.cluster, ended)
        for pod in [pod for pod in rehearsal.cluster.pods.values() if pod.name != ended]:
            del rehearsal.cluster.pods[pod.namespace, pod.name]
        release = rehearsal.cluster.releases["gdn-streaming", "gdn-streaming"]
        no_more = replace(release, values={**release.values, "replicaCount": 0})
        rehearsal.cluster.releases["gdn-streaming", "gdn-streaming"] = no_more
        found = problems(verified(rehearsal))["pod-not-running"]
    assert f"no pod runs in gdn-streaming: {ended} is Evicted (The node was low on resource" in found
    assert "-> kubectl -n gdn-streaming get deployments,replicasets,events" in found


# --- Pods of several containers


def add(rehearsal: Rehearsal, **container: Any) -> None:
    """Give the proxy's pod a further container."""
    breakage.add_container(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster), Container(**container))


@pytest.mark.parametrize("kind", ["regular", "sidecar"])
def test_each_container_of_a_pod_shows_its_log(kind: Any) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        add(rehearsal, name="mesh", kind=kind, log="mesh is up\n")
        add(rehearsal, name="prepares", kind="init", log="prepared\n")
        found = verified(rehearsal)
    assert {finding.level for finding in found} <= {Level.OK, Level.NOTE}
    logs = {finding.seen for finding in found if finding.check == "logs"}
    assert len(logs) == 2
    assert any("streaming-proxy, last lines:" in log and "streaming-proxy is serving" in log for log in logs)
    assert any("mesh, last lines:" in log and "mesh is up" in log for log in logs)
    assert "2/2 Running" in next(finding.seen for finding in found if finding.check == "pods")


@pytest.mark.parametrize("kind", ["regular", "sidecar", "init"])
def test_a_container_that_crashes_is_named_with_reason_restarts_and_log(kind: Any) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        add(rehearsal, name="checks", kind=kind, crashing=True, restarts=12, log="iptables: permission denied\n")
        rehearsal.clock.skip(600)
        found = verified(rehearsal)
    told = problems(found)
    assert set(told) == {"pod-not-running", "targets"}
    assert "checks: CrashLoopBackOff" in told["pod-not-running"]
    assert "12 restarts" in told["pod-not-running"]
    assert "PodInitializing" not in told["pod-not-running"]
    [log] = [finding.seen for finding in found if finding.check == "logs" and "checks" in finding.seen]
    assert "last lines before its restart:\niptables: permission denied" in log
    assert Level.UNKNOWN not in {finding.level for finding in found}


def test_a_log_that_cannot_be_had_hides_no_other() -> None:
    with a_rehearsal(as_config(replicas="2", stickiness="true")) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        away, there = sorted(pod.name for pod in rehearsal.cluster.pods.values() if pod.release)
        node = rehearsal.cluster.pods["gdn-streaming", away].node
        breakage.add_container(rehearsal.cluster, away, Container(name="mesh"))
        breakage.change_node(rehearsal.cluster, node, ready=False)
        logs = [finding for finding in verified(rehearsal) if finding.check == "logs"]
    assert [finding.level for finding in logs] == [Level.OK, Level.UNKNOWN]
    assert there in logs[0].seen
    assert f"{away} streaming-proxy, {away} mesh: the API answered 500" in logs[1].seen


# --- Pods that may not be created


def limit(rehearsal: Rehearsal) -> None:
    """Give the proxy's namespace a quota that its pods exceed."""
    rehearsal.cluster.quotas["gdn-streaming"] = {"limits.memory": "16Gi"}


def evict_all(rehearsal: Rehearsal) -> None:
    for place in [place for place, pod in rehearsal.cluster.pods.items() if pod.release]:
        del rehearsal.cluster.pods[place]


def run_another_pod(rehearsal: Rehearsal) -> None:
    """A pod of somebody's in the proxy's namespace."""
    rehearsal.cluster.pods["gdn-streaming", "shell"] = Pod(name="shell", namespace="gdn-streaming", node="gpu-1")


@pytest.mark.parametrize("beside", [settle, run_another_pod])
def test_pods_that_a_quota_refuses_are_told_with_its_words_and_the_selector_is_not_blamed(
    beside: Callable[[Rehearsal], None],
) -> None:
    with a_rehearsal() as rehearsal:
        limit(rehearsal)
        with pytest.raises(StepsFailedError, match="context deadline exceeded"):
            rehearsal.engine.up()
        beside(rehearsal)
        found = verified(rehearsal)
        told = problems(found)
        rehearsal.cluster.quotas.clear()
        rehearsal.engine.up()
        rehearsal.await_health()
        assert problems(verified(rehearsal)) == {}
    assert "exceeded quota: team, requested: limits.memory=24Gi" in told["pod-not-running"]
    assert "-> let gdn-streaming take the pod (its quota, limit range" in told["pod-not-running"]
    assert "node-port-unbound" not in told
    assert "selector" not in "".join(told.values())
    assert "describe pods" not in told["pod-not-running"]


def test_a_quota_that_came_later_is_told_where_pods_are_missing() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        limit(rehearsal)
        evict_all(rehearsal)
        rehearsal.clock.skip(600)
        told = problems(verified(rehearsal))
    assert set(told) == {"pod-not-running", "targets"}
    assert "no pod runs in gdn-streaming: Error creating: pods" in told["pod-not-running"]


def test_an_update_that_a_quota_refuses_is_a_problem_though_the_old_pods_serve() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        limit(rehearsal)
        rehearsal.reconfigure({"lls:imageTag": "2.0.2"})
        with pytest.raises(StepsFailedError, match="context deadline exceeded"):
            rehearsal.engine.up()
        told = problems(verified(rehearsal))
    assert set(told) == {"release", "pod-not-running"}
    assert "exceeded quota" in told["pod-not-running"]


def test_events_that_may_not_be_read_hide_no_pod() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        crash(rehearsal)
        rehearsal.cluster.denied.add(("list", "events"))
        found = verified(rehearsal)
    assert "CrashLoopBackOff" in problems(found)["pod-not-running"]
    assert [finding.check for finding in found if finding.level is Level.UNKNOWN] == ["events"]


# --- What in the cluster may stop packets, and is not judged


def restrict(rehearsal: Rehearsal, *rules: Mapping[str, Any], selects: Mapping[str, Any] | None = None) -> None:
    """Give the proxy's namespace a network policy for what gets in."""
    rehearsal.cluster.network_policies["gdn-streaming", "default-deny"] = {
        "podSelector": selects or {},
        "policyTypes": ["Ingress"],
        "ingress": list(rules),
    }


def test_a_network_policy_for_the_proxys_pods_is_noted_and_named_where_no_cause_is_found() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        restrict(rehearsal)
        rehearsal.clock.skip(600)
        found = verified(rehearsal)
    [policy] = [finding for finding in found if finding.check == "network-policies"]
    assert policy.level is Level.NOTE
    assert "default-deny of gdn-streaming restrict what gets in" in policy.seen
    assert "Could not be judged: network-policies (default-deny" in problems(found)["targets"]


EXPRESSIONS: list[Any] = [
    {"key": "app", "operator": "Exists"},
    {"key": "app", "operator": "In", "values": ["streaming-proxy"]},
    {"key": "other", "operator": "DoesNotExist"},
    {"key": "app", "operator": "NotIn", "values": ["other"]},
]


SELECTED: list[tuple[list[Any], dict[str, Any], bool]] = [
    ([{"ports": [{"port": 8000}]}], {"matchLabels": {"app": "streaming-proxy"}}, True),
    ([{"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}], {"matchExpressions": EXPRESSIONS}, True),
    ([{}], {}, False),
    ([], {"matchLabels": {"app": "other"}}, False),
    ([], {"matchExpressions": [*EXPRESSIONS, {"key": "app", "operator": "DoesNotExist"}]}, False),
    ([], {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["streaming-proxy"]}]}, False),
]


@pytest.mark.parametrize(("rules", "selects", "told"), SELECTED)
def test_only_network_policies_that_restrict_the_proxys_pods_are_told(
    rules: list[Mapping[str, Any]], selects: Mapping[str, Any], told: bool
) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        restrict(rehearsal, *rules, selects=selects)
        found = verified(rehearsal)
    assert any(finding.check == "network-policies" for finding in found) == told


def test_network_policies_that_may_not_be_listed_are_unknown_and_nothing_else_is() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        rehearsal.cluster.denied.add(("list", "networkpolicies"))
        found = verified(rehearsal)
    assert [finding.check for finding in found if finding.level is Level.UNKNOWN] == ["network-policies"]
    assert problems(found) == {}


def test_a_pod_with_security_groups_of_its_own_is_noted() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        [place] = [place for place, pod in rehearsal.cluster.pods.items() if pod.release]
        annotations = {"vpc.amazonaws.com/pod-eni": "[]"}
        rehearsal.cluster.pods[place] = replace(rehearsal.cluster.pods[place], annotations=annotations)
        found = verified(rehearsal)
    [own] = [finding for finding in found if finding.check == "pod-interface"]
    assert (own.level, place[1] in own.seen) == (Level.NOTE, True)


# --- externalTrafficPolicy Local

LOCAL = {"external_traffic_policy": "Local"}


def split_service(rehearsal: Rehearsal, **policies: str) -> None:
    """Give each protocol a service of its own, with its traffic policy."""
    service = rehearsal.cluster.services.pop(("gdn-streaming", "streaming-proxy"))
    for protocol, policy in policies.items():
        ports = tuple(port for port in service.ports if port.protocol == protocol)
        rehearsal.cluster.services["gdn-streaming", protocol.lower()] = replace(
            service, name=protocol.lower(), ports=ports, external_traffic_policy=policy
        )


def test_with_a_local_traffic_policy_a_node_without_a_proxy_is_unhealthy_by_design() -> None:
    with a_rehearsal(quirks=LOCAL) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        found = verified(rehearsal)
    assert problems(found) == {}
    [target] = [finding for finding in found if finding.check == "targets" and "10.0.16.5" in finding.seen]
    assert target.level is Level.NOTE
    assert "by design" in target.seen


def test_with_a_local_traffic_policy_a_pod_that_fails_is_a_problem_of_its_own_node() -> None:
    with a_rehearsal(as_config(replicas=2, stickiness=True), quirks=LOCAL) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        fail_probe(rehearsal)
        rehearsal.clock.skip(600)
        found = problems(verified(rehearsal))
    assert set(found) == {"pod-not-running", "targets"}
    assert "only a node's own pods answer" in found["pod-not-running"]


def test_health_checks_that_are_answered_everywhere_hide_nodes_that_drop_media() -> None:
    with a_rehearsal(quirks=LOCAL) as rehearsal:
        rehearsal.engine.up()
        split_service(rehearsal, UDP="Local", TCP="Cluster")
        rehearsal.await_health()
        found = problems(verified(rehearsal))
        assert rehearsal.aws.obstacles() == ["nothing answers on UDP 30504 of 10.0.16.5"]
    assert set(found) == {"node-port-local"}
    assert "10.0.16.5 are healthy, get clients' packets, and drop them" in found["node-port-local"]


def test_health_checks_alone_may_have_a_local_traffic_policy() -> None:
    with a_rehearsal(quirks=LOCAL) as rehearsal:
        rehearsal.engine.up()
        split_service(rehearsal, UDP="Cluster", TCP="Local")
        rehearsal.await_health()
        found = verified(rehearsal)
    assert problems(found) == {}
    assert "unhealthy by design" in next(finding.seen for finding in found if finding.check == "node-port-local")


@pytest.mark.parametrize(
    ("quirks", "breaking"), [(LOCAL, settle), ({}, register_elsewhere)], ids=["no proxy there", "another zone"]
)
def test_waiting_ends_as_soon_as_all_are_healthy_that_can_be(
    quirks: Mapping[str, Any], breaking: Callable[[Rehearsal], None]
) -> None:
    watcher = Saying()
    with a_rehearsal(quirks=quirks, clock=PatientClock()) as rehearsal:
        rehearsal.engine.up()
        breaking(rehearsal)
        clock = PatientClockOf(rehearsal)
        assert verification(rehearsal).wait(600, clock, watcher)
    assert clock.now() < 300
    assert watcher.said[-1].endswith("; 1 cannot be as things are")


def test_waiting_goes_on_where_the_cluster_does_not_tell_who_could_be_healthy() -> None:
    with a_rehearsal(quirks=LOCAL) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        rehearsal.cluster.denied.add(("list", "services"))
        assert not verification(rehearsal).wait(60, PatientClockOf(rehearsal), Unwatched())


# --- Many targets


def test_five_hundred_targets_are_judged_with_a_few_questions() -> None:
    others = {"node-type": "other"}
    nodes = tuple(Node(name=f"gpu-{number}", zone="a", labels=others if number else None) for number in range(500))
    with a_rehearsal(nodes=nodes, clock=PatientClock()) as rehearsal:
        rehearsal.engine.up()
        targets: Any = [{"Id": address, "Port": 30504} for _, address in rehearsal.aws.nodes.values()]
        elbv2: Any = rehearsal.aws.client("elbv2")
        elbv2.register_targets(TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=targets)
        rehearsal.clock.skip(600)
        rehearsal.aws.calls.clear()
        found = verified(rehearsal)
        asked = Counter(rehearsal.aws.calls)
        assert problems(found) == {}
        assert not [finding for finding in found if finding.level is Level.UNKNOWN]
        assert sum(finding.check == "targets" for finding in found) == 500
        assert max(asked.values()) <= 6, asked
        revoke("tcp", 30800)(rehearsal)
        assert problems(verified(rehearsal))["rule-missing"].count("10.0.") == 500


# --- Prefix lists as clients

OFFICE = PrefixList(id="pl-0abc", cidrs=("203.0.113.0/24", "198.51.100.0/24"))


def test_the_clients_of_a_prefix_list_are_those_that_it_holds() -> None:
    with a_rehearsal(as_config(allowedCidrs=["pl-0abc"]), prefix_lists=(OFFICE,)) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        assert problems(verified(rehearsal)) == {}
        deny_in_acl(0, 5004, 5004, peer="203.0.113.0/24")(rehearsal)
        assert "UDP 5004 inbound from 203.0.113.0/24" in problems(verified(rehearsal))["network-acl"]


def test_a_prefix_list_that_cannot_be_read_leaves_its_clients_unjudged() -> None:
    with a_rehearsal(as_config(allowedCidrs=["pl-0abc"]), prefix_lists=(OFFICE,)) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        rehearsal.aws.denied.add("ec2:GetManagedPrefixListEntries")
        found = verified(rehearsal)
    assert problems(found) == {}
    assert [finding.check for finding in found if finding.level is Level.UNKNOWN] == ["nlb-ingress"]
