import json
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from kubernetes.client import V1Node

from lls import lookups
from lls.cluster_api import ClusterApi, ClusterError
from tests.support.nodes import node
from tests.support.recorded import ANSWERS, RecordedStack, as_config, recorded, up
from tests.support.strategies import STRATEGIES

SUBNETS = "aws:ec2/getSubnets:getSubnets"
GROUPS = "aws:ec2/getSecurityGroups:getSecurityGroups"
INSTANCES = "aws:ec2/getInstances:getInstances"
INTERFACE = "aws:ec2/getNetworkInterface:getNetworkInterface"
RULES = "aws:vpc/getSecurityGroupRules:getSecurityGroupRules"
LIST = "aws:ec2/getManagedPrefixList:getManagedPrefixList"
QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"
CLUSTER = "aws:eks/getCluster:getCluster"
GOING = "2026-01-01T00:00:00Z"
TOKEN = "aws:ecr/getAuthorizationToken:getAuthorizationToken"  # noqa: S105


def refused(changes: Mapping[str, str] | None = None, answers: Mapping[str, Any] | None = None) -> str:
    """The error of a first up, which must create nothing."""
    made = recorded(changes, answers=answers)
    with pytest.raises(pulumi.RunError) as caught:
        made.engine.up()
    assert not made.resources
    return str(caught.value)


def filters(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {filter_["name"]: filter_["values"][0] for filter_ in arguments["filters"]}


def helm_settings(made: RecordedStack) -> dict[str, str]:
    return json.loads(made.named("cluster").inputs["helmReleaseSettings"])


def with_nodes(monkeypatch: pytest.MonkeyPatch, *nodes: V1Node) -> list[tuple[str, str, Mapping[str, str]]]:
    """Let the API have these nodes; the answer fills with what it is asked."""
    asked: list[tuple[str, str, Mapping[str, str]]] = []

    class Api:
        def __init__(self, kubeconfig: str, context: str) -> None:
            self.known_by = (kubeconfig, context)

        def nodes(self, selector: Mapping[str, str]) -> list[V1Node]:
            asked.append((*self.known_by, selector))
            return list(nodes)

    monkeypatch.setattr(lookups, "ClusterApi", Api)
    return asked


IGW, NAT = {"gatewayId": "igw-1"}, {"natGatewayId": "nat-1"}
MAIN = "rtb-main"


def routed(subnets: Mapping[str, str], routes: Mapping[str, Mapping[str, str]], attached: str = "igw-1") -> Any:
    """Answers for a zone: each subnet's own route table, if any, and where each table's default route leads."""

    def tables(arguments: Mapping[str, Any]) -> dict[str, Any]:
        table = subnets[filters(arguments)["association.subnet-id"]]
        return {"ids": [table] if table else []}

    def table(arguments: Mapping[str, Any]) -> dict[str, Any]:
        if "routeTableId" not in arguments:
            assert (arguments["vpcId"], filters(arguments)) == ("vpc-1", {"association.main": "true"})
        id_ = arguments.get("routeTableId", MAIN)
        return {
            "routeTableId": id_,
            "routes": [{"cidrBlock": "0.0.0.0/0", **route} for route in (routes.get(id_),) if route],
        }

    def gateway(arguments: Mapping[str, Any]) -> dict[str, Any]:
        assert filters(arguments) == {"attachment.vpc-id": "vpc-1"}
        if not attached:
            raise LookupError("no matching EC2 Internet Gateway found")
        return {"internetGatewayId": attached}

    return {
        SUBNETS: {"ids": list(subnets)},
        "aws:ec2/getRouteTables:getRouteTables": tables,
        "aws:ec2/getRouteTable:getRouteTable": table,
        "aws:ec2/getInternetGateway:getInternetGateway": gateway,
    }


def test_the_subnets_of_the_zone_and_vpc_are_asked_for_whatever_addresses_instances_get_there() -> None:
    made = up()
    [asked] = made.recorder.asked("getSubnets")
    assert filters(asked) == {"vpc-id": "vpc-1", "availability-zone": "us-west-2a"}
    assert made.of("LoadBalancer")[0].inputs["subnetMappings"] == [{"subnetId": "subnet-1"}]


@pytest.mark.parametrize(
    ("subnets", "routes"),
    [
        ({"subnet-1": "rtb-a", "subnet-2": "rtb-b"}, {"rtb-a": IGW, "rtb-b": NAT}),
        ({"subnet-1": "rtb-a", "subnet-2": ""}, {"rtb-a": IGW, MAIN: NAT}),
        ({"subnet-1": "", "subnet-2": "rtb-b"}, {MAIN: IGW, "rtb-b": {}}),
        ({"subnet-1": "rtb-a", "subnet-2": "rtb-b"}, {"rtb-a": IGW, "rtb-b": {"gatewayId": "vgw-1"}}),
        ({"subnet-1": "rtb-a", "subnet-2": "rtb-b"}, {"rtb-a": IGW, "rtb-b": {"gatewayId": "igw-gone"}}),
        ({"subnet-1": "rtb-a", "subnet-2": "rtb-b"}, {"rtb-a": IGW, "rtb-b": {**IGW, "cidrBlock": "10.1.0.0/16"}}),
        (
            {"subnet-1": "rtb-a", "subnet-2": "rtb-b"},
            {"rtb-a": IGW, "rtb-b": {**IGW, "cidrBlock": "", "ipv6CidrBlock": "::/0"}},
        ),
    ],
    ids=["own tables", "main is private", "main is public", "a VPN", "a gateway that is gone", "a part of it", "IPv6"],
)
def test_the_public_subnet_is_the_one_whose_default_route_leads_to_the_internet_gateway(
    subnets: Mapping[str, str], routes: Mapping[str, Mapping[str, str]]
) -> None:
    made = up(answers=routed(subnets, routes))
    assert made.of("LoadBalancer")[0].inputs["subnetMappings"] == [{"subnetId": "subnet-1"}]


def test_each_route_table_is_read_once() -> None:
    made = up(answers=routed({"subnet-1": "rtb-a", "subnet-2": "", "subnet-3": ""}, {"rtb-a": IGW}))
    assert [asked.get("routeTableId", MAIN) for asked in made.recorder.asked("getRouteTable")] == [MAIN, "rtb-a"]


def test_no_public_subnet_is_an_error_that_lists_the_zones_with_their_routes() -> None:
    error = refused(answers=routed({"subnet-9": "", "subnet-8": "rtb-b"}, {"rtb-b": NAT}))
    assert "us-west-2a of vpc-1 has no public subnet" in error
    assert "subnet-8: 0.0.0.0/0 -> nat-1 (rtb-b); subnet-9: no 0.0.0.0/0 (rtb-main)" in error
    assert "pulumi config set lls:publicSubnetId" in error


def test_where_only_one_subnet_leads_through_an_endpoint_the_error_names_both_and_the_key() -> None:
    firewall = {"vpcEndpointId": "vpce-1"}
    error = refused(answers=routed({"subnet-9": "", "subnet-8": "rtb-b"}, {"rtb-b": firewall, MAIN: NAT}))
    assert "has no public subnet" in error
    assert "If what is behind vpce-1 lets clients in" in error
    assert "pulumi config set lls:publicSubnetId subnet-8" in error
    several = refused(answers=routed({"subnet-9": "", "subnet-8": "rtb-b"}, {"rtb-b": firewall, MAIN: firewall}))
    assert several.endswith("pulumi config set lls:publicSubnetId SUBNET")


def test_a_subnet_that_leads_through_an_endpoint_does_not_compete_with_the_public_one() -> None:
    routes = {"rtb-a": IGW, "rtb-b": {"vpcEndpointId": "vpce-1"}}
    made = up(answers=routed({"subnet-2": "rtb-b", "subnet-1": "rtb-a"}, routes))
    assert made.of("LoadBalancer")[0].inputs["subnetMappings"] == [{"subnetId": "subnet-1"}]


@pytest.mark.parametrize("order", [["subnet-2", "subnet-1"], ["subnet-1", "subnet-2"]])
def test_several_public_subnets_are_an_error_that_lists_them_in_order_with_their_routes(order: list[str]) -> None:
    error = refused(answers=routed(dict.fromkeys(order, "rtb-a") | {"subnet-3": ""}, {"rtb-a": IGW}))
    assert "us-west-2a of vpc-1 has several public subnets" in error
    assert "subnet-1: 0.0.0.0/0 -> igw-1 (rtb-a); subnet-2: 0.0.0.0/0 -> igw-1 (rtb-a). Set" in error
    assert "subnet-3" not in error
    assert "pulumi config set lls:publicSubnetId" in error


def test_routes_to_a_gateway_that_is_not_attached_are_an_error_that_says_so() -> None:
    error = refused(answers=routed({"subnet-1": "rtb-a"}, {"rtb-a": IGW}, attached=""))
    assert "internet gateway of vpc-1 failed: no matching EC2 Internet Gateway found" in error
    assert "Attach" in error
    assert "lls:publicSubnetId" in error


def test_a_given_subnet_is_used_once_it_is_seen_to_lie_in_the_zone() -> None:
    made = up({"lls:publicSubnetId": "subnet-7"}, answers={SUBNETS: {"ids": ["subnet-7"]}})
    assert filters(made.recorder.asked("getSubnets")[0])["subnet-id"] == "subnet-7"
    assert made.of("LoadBalancer")[0].inputs["subnetMappings"] == [{"subnetId": "subnet-7"}]


def test_a_given_subnet_of_another_zone_is_refused() -> None:
    error = refused({"lls:publicSubnetId": "subnet-7"}, {SUBNETS: {"ids": []}})
    assert "lls:publicSubnetId = subnet-7: no subnet of vpc-1 in us-west-2a" in error


def node_groups(
    groups: Collection[str] = (), *, instances: Mapping[str, Collection[str]] | None = None, plain: str = ""
) -> dict[str, Any]:
    """Answers of an AWS with these security groups of nodes, and instances that carry some; one has `plain` rules."""
    carried = {"10.0.0.1": ["sg-a1"], "10.0.0.2": ["sg-a1"]} if instances is None else instances

    def known(arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = filters(arguments)
        return {"ids": [group for group in groups if asked.get("group-id", group) == group]}

    def found(arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = filters(arguments)
        addresses = [address for address, on in carried.items() if asked.get("instance.group-id") in (None, *on)]
        return {"ids": [f"i-{address}" for address in addresses], "privateIps": addresses}

    def interface(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"securityGroups": list(carried[filters(arguments)["addresses.private-ip-address"]])}

    def rules(arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = filters(arguments)
        is_plain = asked["tag:Name"] == "streaming-proxy-udp-30504"
        return {"ids": ["sgr-1"] if is_plain and asked["group-id"] == plain else []}

    return {GROUPS: known, INSTANCES: found, INTERFACE: interface, RULES: rules}


def rule_names(made: RecordedStack) -> set[str]:
    return {name.removeprefix("node-ports-") for name in made.names("node-ports-")}


def on(group: str, made: RecordedStack) -> set[str]:
    """The names of the rules on a group of the nodes."""
    rules = made.of("SecurityGroupIngressRule")
    return {rule.name.removeprefix("node-ports-") for rule in rules if rule.inputs["securityGroupId"] == group}


GUIDES = {"media", "health", "internal-udp-6004", "internal-udp-3478", "internal-tcp-8000"}
SPLIT = {"10.0.0.1": ["sg-a1"], "10.0.0.2": ["sg-b1"]}


def test_the_node_group_is_found_by_name_vpc_and_cluster_tag() -> None:
    made = up()
    [asked] = made.recorder.asked("getSecurityGroups")
    assert filters(asked) == {
        "vpc-id": "vpc-1",
        "group-name": "demo-node-*",
        "tag-key": "kubernetes.io/cluster/demo",
    }
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-a1"
    assert rule_names(made) == GUIDES


def test_ec2_is_asked_by_its_documented_filter_which_of_the_targets_carry_a_group() -> None:
    asked = [filters(arguments) for arguments in up().recorder.asked("getInstances")]
    assert {"private-ip-address": "10.0.0.1", "vpc-id": "vpc-1", "instance.group-id": "sg-a1"} in asked


@pytest.mark.parametrize(
    ("named", "carried", "chosen"),
    [
        (["sg-a1", "sg-old"], ["sg-a1"], "sg-a1"),  # one left over
        (["sg-old"], ["sg-c1"], "sg-c1"),  # managed node groups beside a leftover
        ([], ["sg-c1"], "sg-c1"),
        (["sg-a1"], ["sg-a1", "sg-c1"], "sg-a1"),  # as ever, the named one first
        (["sg-a1", "sg-b1"], ["sg-a1", "sg-b1", "sg-c1"], "sg-c1"),  # nothing tells the named ones apart
    ],
)
def test_the_group_that_all_targets_carry_is_chosen(named: list[str], carried: list[str], chosen: str) -> None:
    made = up(answers=node_groups(named, instances={"10.0.0.1": carried, "10.0.0.2": carried}))
    assert made.engine.outputs["nodeSecurityGroupId"] == chosen
    assert on(chosen, made) == GUIDES
    assert not made.log.warnings


def test_several_groups_that_all_targets_carry_are_an_error_that_lists_them() -> None:
    both = ["sg-b1", "sg-a1"]
    error = refused(answers=node_groups(["sg-b1", "sg-a1"], instances={"10.0.0.1": both, "10.0.0.2": both}))
    assert "sg-a1, sg-b1" in error
    assert "pulumi config set lls:nodeSecurityGroupId" in error


@pytest.mark.parametrize("named", [[], ["sg-old"], ["sg-b1"]])
def test_targets_without_a_known_group_are_an_error_with_what_each_carries(named: list[str]) -> None:
    error = refused(answers=node_groups(named, instances=SPLIT))
    assert "10.0.0.1 carries sg-a1; 10.0.0.2 carries sg-b1" in error
    assert "sg-c1" in error
    assert "lls:nodeSecurityGroupIds" in error


def test_without_any_group_the_error_names_the_key() -> None:
    bare = dict(ANSWERS[CLUSTER]) | {"vpcConfig": {"vpcId": "vpc-1", "clusterSecurityGroupId": ""}}
    error = refused(answers={CLUSTER: bare, GROUPS: {"ids": []}})
    assert "pulumi config set lls:nodeSecurityGroupId" in error


def test_targets_that_ec2_does_not_know_leave_the_group_unchecked_and_said() -> None:
    made = up(answers=node_groups(["sg-a1"], instances={}))
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-a1"
    [told] = made.log.warnings
    assert "no instance of vpc-1 is known for 10.0.0.1, 10.0.0.2, so whether they carry sg-a1 cannot be told" in told
    assert "several security groups" in refused(answers=node_groups(["sg-a1", "sg-b1"], instances={}))


def test_one_target_that_ec2_does_not_know_is_told_and_the_others_decide() -> None:
    made = up(answers=node_groups(["sg-a1", "sg-old"], instances={"10.0.0.1": ["sg-a1"]}))
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-a1"
    assert "no instance of vpc-1 is known for 10.0.0.2" in made.log.warnings[0]


def test_a_given_node_group_must_exist_in_the_vpc() -> None:
    assert up({"lls:nodeSecurityGroupId": "sg-7"}).engine.outputs["nodeSecurityGroupId"] == "sg-7"
    error = refused({"lls:nodeSecurityGroupId": "sg-7"}, {GROUPS: {"ids": []}})
    assert "lls:nodeSecurityGroupId = sg-7: no security group of vpc-1" in error


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (as_config(nodeSecurityGroupId="sg-7"), "lls:nodeSecurityGroupId = sg-7"),
        (as_config(nodeSecurityGroupIds=["sg-a1", "sg-7"]), "lls:nodeSecurityGroupIds = sg-7"),
    ],
)
def test_a_given_group_that_no_target_carries_is_an_error_with_what_they_carry(
    given: Mapping[str, str], named: str
) -> None:
    error = refused(given, node_groups(["sg-a1", "sg-7"]))
    assert f"{named}: no target carries it" in error
    assert "10.0.0.1 carries sg-a1; 10.0.0.2 carries sg-a1." in error
    assert "Set it to one that the nodes carry" in error


def test_a_target_that_carries_none_of_the_given_groups_is_told() -> None:
    made = up(as_config(nodeSecurityGroupId="sg-a1"), answers=node_groups(["sg-a1", "sg-b1"], instances=SPLIT))
    [told] = made.log.warnings
    assert "10.0.0.2 do not carry sg-a1" in told
    assert "10.0.0.2 carries sg-b1" in told
    assert "lls:nodeSecurityGroupIds" in told


@pytest.mark.parametrize("given", [{}, as_config(nodeSecurityGroupIds=["sg-b1", "sg-a1"])])
def test_node_groups_with_a_security_group_each_have_the_rules_on_each(given: Mapping[str, str]) -> None:
    made = up(given, answers=node_groups(["sg-a1", "sg-b1"], instances=SPLIT))
    for group, other in (("sg-a1", "sg-b1"), ("sg-b1", "sg-a1")):
        keyed = {f"{name}-{group}" for name in GUIDES}
        assert on(group, made) == keyed | {f"{name}-from-{other}" for name in keyed if name.startswith("internal")}
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-a1"
    assert not made.log.warnings


def test_the_group_that_was_the_only_one_keeps_the_names_of_its_rules_when_another_comes() -> None:
    made = up(answers=node_groups(["sg-a1", "sg-b1"], instances=SPLIT, plain="sg-b1"))
    internal = {name for name in GUIDES if name.startswith("internal")}
    assert on("sg-b1", made) == GUIDES | {f"{name}-from-sg-a1" for name in internal}
    assert on("sg-a1", made) == {f"{name}-sg-a1" for name in GUIDES} | {f"{name}-sg-a1-from-main" for name in internal}
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-b1"


@pytest.mark.parametrize("strategy", ["autoscaling", "binding"])
def test_groups_are_checked_whoever_registers_the_targets(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nodes(*_: object) -> list[V1Node]:
        return [node("a")]

    def serves(*_: object) -> bool:
        return True

    monkeypatch.setattr(ClusterApi, "serves", serves)
    monkeypatch.setattr(ClusterApi, "nodes", nodes)
    groups = {
        "aws:eks/getNodeGroups:getNodeGroups": {"names": ["gpu"]},
        "aws:eks/getNodeGroup:getNodeGroup": {
            "labels": {"node-type": "compute"},
            "resources": [{"autoscalingGroups": [{"name": "eks-gpu"}], "remoteAccessSecurityGroupId": ""}],
        },
        "aws:autoscaling/getGroup:getGroup": {"availabilityZones": ["us-west-2a"]},
    }
    answers = {**groups, **node_groups(["sg-old"], instances={"10.0.0.1": ["sg-c1"]})}
    made = up({**STRATEGIES[strategy]}, answers=answers)
    assert made.engine.outputs["nodeSecurityGroupId"] == "sg-c1"


# --- Sources


def test_a_prefix_list_is_a_source_with_a_rule_named_after_it() -> None:
    made = up(as_config(allowedCidrs=["203.0.113.0/24", "pl-0abc"]))
    rules = {rule.name: rule.inputs for rule in made.of("SecurityGroupIngressRule")}
    assert rules["streaming-ingress-pl-0abc"]["prefixListId"] == "pl-0abc"
    assert "cidrIpv4" not in rules["streaming-ingress-pl-0abc"]
    assert made.recorder.asked("getManagedPrefixList") == [{"id": "pl-0abc"}]
    assert not made.recorder.asked("getServiceQuota")


def cidrs(number: int) -> list[str]:
    return [f"203.0.{third}.0/24" for third in range(number)]


@pytest.mark.parametrize(
    ("sources", "most", "count"),
    [(cidrs(61), 10, "61 sources that count as 61"), ([*cidrs(1), "pl-0abc"], 60, "pl-0abc counts for 60")],
)
def test_more_sources_than_a_security_group_takes_are_refused_before_anything_is_made(
    sources: list[str], most: int, count: str
) -> None:
    answers = {QUOTA: {"value": 60.0}, LIST: {**ANSWERS[LIST], "maxEntries": most}}
    error = refused(as_config(allowedCidrs=sources), answers)
    assert count in error
    assert "a security group takes 60 (quota L-0EA8095F)" in error
    answers[QUOTA] = {"value": 61.0}
    assert len(up(as_config(allowedCidrs=sources), answers=answers).names("streaming-ingress")) == len(sources)


def test_a_quota_that_cannot_be_read_is_told_and_only_aws_own_limit_refuses() -> None:
    def denied(_: object) -> dict[str, Any]:
        raise PermissionError("AccessDeniedException")

    answers: dict[str, Any] = {QUOTA: denied}
    made = up(as_config(allowedCidrs=cidrs(61)), answers=answers)
    assert "AccessDeniedException" in made.log.warnings[0]
    answers[LIST] = {**ANSWERS[LIST], "maxEntries": 1000}
    assert "takes 1000" in refused(as_config(allowedCidrs=["203.0.113.0/24", "pl-0abc"]), answers)


def missing(_: object) -> dict[str, Any]:
    raise LookupError("empty result")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({**ANSWERS[LIST], "addressFamily": "IPv6"}, "the load balancer speaks IPv4 only"),
        ({**ANSWERS[LIST], "ownerId": "AWS"}, "AWS's own list"),
        (missing, "prefix lists of this account and region"),
    ],
    ids=["of IPv6", "of AWS", "missing"],
)
def test_a_prefix_list_that_lets_nobody_in_is_refused_before_anything_is_made(answer: Any, words: str) -> None:
    error = refused(as_config(allowedCidrs=["pl-0abc"]), {LIST: answer})
    assert "lls:allowedCidrs" in error
    assert "pl-0abc" in error
    assert words in error


# --- Where


def test_a_given_vpc_is_where_everything_is_looked_up() -> None:
    made = up({"lls:vpcId": "vpc-7"})
    assert filters(made.recorder.asked("getSubnets")[0])["vpc-id"] == "vpc-7"
    assert made.of("SecurityGroup")[0].inputs["vpcId"] == "vpc-7"


def test_a_missing_cluster_is_one_sentence_with_the_keys_to_check() -> None:
    def gone(_: object) -> dict[str, Any]:
        raise LookupError("couldn't find resource")

    error = refused(answers={CLUSTER: gone})
    assert "EKS cluster demo in us-west-2" in error
    assert "couldn't find resource" in error
    assert "lls:clusterName" in error
    assert "\n" not in error


def test_a_cluster_that_is_not_active_yet_is_an_error_that_says_so() -> None:
    error = refused(answers={CLUSTER: {**ANSWERS[CLUSTER], "certificateAuthorities": []}})
    assert "Wait until it is active" in error


def test_the_labelled_nodes_of_the_zone_become_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = with_nodes(monkeypatch, node("b", "10.0.0.2"), node("a", "10.0.0.1"), node("c", deleted=GOING))
    made = up({"lls:registration": "nodes"})
    assert made.engine.outputs["targets"] == ["10.0.0.1", "10.0.0.2"]
    assert any("being deleted: c" in message for message in made.log.messages)
    [(kubeconfig, context, selector)] = asked
    assert "get-token" in kubeconfig
    assert (context, selector) == ("", {"node-type": "compute"})


def test_nodes_are_asked_for_with_the_given_kubeconfig_and_context(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = with_nodes(monkeypatch, node("a"))
    kubeconfig = json.dumps({"contexts": [{"name": "one"}]})
    up({"lls:registration": "nodes", "lls:kubeconfig": kubeconfig, "lls:kubeContext": "one"})
    assert asked[0][:2] == (kubeconfig, "one")


def test_no_eligible_node_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with_nodes(monkeypatch, node("c", deleted=GOING))
    error = refused({"lls:registration": "nodes"})
    assert "No node with node-type=compute can be a target in us-west-2a" in error
    assert "being deleted: c" in error
    assert "lls:nodeSelector" in error


def test_nodes_left_out_are_warned_of_and_those_of_one_reason_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with_nodes(monkeypatch, node("a"), node("b", deleted=GOING), node("c", deleted=GOING))
    messages = up({"lls:registration": "nodes"}).log.messages
    assert "Nodes that will not be targets: being deleted: b, c" in messages


def test_no_labelled_node_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with_nodes(monkeypatch)
    error = refused({"lls:registration": "nodes"})
    assert "no node has these labels" in error


def test_an_unreachable_api_is_an_error_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def nodes(*_: object) -> list[V1Node]:
        raise ClusterError(401, "Unauthorized")

    monkeypatch.setattr(ClusterApi, "nodes", nodes)
    error = refused({"lls:registration": "nodes"})
    assert "the API answered 401 Unauthorized: the cluster does not know who asks" in error
    assert "aws eks create-access-entry" in error
    assert "lls:kubeconfig" in error
    assert "lls:registration static" in error


def test_static_targets_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = with_nodes(monkeypatch)
    assert up().engine.outputs["targets"] == ["10.0.0.1", "10.0.0.2"]
    assert not asked


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("us-west-2", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com")],
)
def test_chart_and_image_are_in_the_accounts_ecr_in_every_partition(region: str, suffix: str) -> None:
    made = up(
        {"aws:region": region, "lls:availabilityZone": f"{region}a"},
        answers={"aws:index/getPartition:getPartition": {"dnsSuffix": suffix}},
    )
    release = made.of("Release")[0].inputs
    host = f"123456789012.dkr.ecr.{region}.{suffix}"
    assert release["chart"] == f"oci://{host}/demo/gdn-streaming"
    assert release["values"]["image"]["repository"] == f"{host}/demo/streaming-proxy"
    assert json.loads(Path(".lls/test/registry.json").read_text())["auths"].keys() == {host}


def test_the_repository_prefix_replaces_the_clusters_name() -> None:
    assert (
        up({"lls:repositoryPrefix": "team/nvcf"}).of("Release")[0].inputs["chart"].endswith("/team/nvcf/gdn-streaming")
    )


def test_the_login_is_for_the_account_and_region_of_the_charts_registry() -> None:
    made = up({"lls:chart": "oci://999999999999.dkr.ecr.eu-west-1.amazonaws.com/x/gdn-streaming"})
    assert made.recorder.asked("getAuthorizationToken") == [{"registryId": "999999999999", "region": "eu-west-1"}]


def test_the_login_is_a_file_for_the_owner_alone_that_only_the_provider_is_told_of() -> None:
    made = up()
    path = helm_settings(made)["registryConfigPath"]
    assert path == ".lls/test/registry.json"
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_preview_logs_in_too_because_helm_pulls_the_chart_then() -> None:
    recorded().engine.preview()
    assert Path(".lls/test/registry.json").exists()


@pytest.mark.parametrize("chart", ["oci://127.0.0.1:5000/gdn-streaming", "chart"])
def test_other_registries_and_local_charts_need_no_login(chart: str) -> None:
    Path("chart").mkdir()
    made = up({"lls:chart": chart})
    assert not made.recorder.asked("getAuthorizationToken")
    assert "registryConfigPath" not in helm_settings(made)


def test_a_given_auth_file_is_used_instead_of_a_login() -> None:
    Path("auth.json").write_text("{}")
    made = up({"lls:registryConfig": "auth.json"})
    assert not made.recorder.asked("getAuthorizationToken")
    assert helm_settings(made) == {"registryConfigPath": "auth.json"}


def test_account_and_partition_are_only_asked_for_where_ecr_is_used() -> None:
    made = up(as_config(chart="oci://registry.example/x", imageRepository="registry.example/y"))
    assert not made.recorder.asked("getCallerIdentity")
    assert not made.recorder.asked("getPartition")


def test_a_denied_login_names_the_permission_and_the_key() -> None:
    def denied(_: object) -> dict[str, Any]:
        raise PermissionError("AccessDeniedException: not authorized to perform ecr:GetAuthorizationToken")

    error = refused(answers={TOKEN: denied})
    assert "AccessDeniedException" in error
    assert "lls:registryConfig" in error


# --- The token's identity

ROLE = "arn:aws:iam::123456789012:role/deploy"
UNFOLLOWED = (
    "The cluster's tokens are those of the environment's AWS credentials, since `aws eks get-token` cannot follow "
)


def token_of(aws: Mapping[str, Any], **options: Any) -> tuple[list[str], list[str]]:
    """The arguments of the command that fetches a stack's tokens, and what the program warned of."""
    told = {f"aws:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in aws.items()}
    made = up(told, **options)
    exec_ = json.loads(made.named("cluster").inputs["kubeconfig"])["users"][0]["user"]["exec"]
    return exec_["args"], [message for message in made.log.messages if message.startswith(UNFOLLOWED)]


@pytest.mark.parametrize("more", [{}, {"sessionName": "ci"}, {"sessionName": "ci", "duration": "1h"}])
def test_a_plain_role_fetches_the_tokens_too(more: Mapping[str, str]) -> None:
    arguments, warned = token_of({"assumeRoles": [{"roleArn": ROLE, **more}]})
    assert arguments[-2:] == ["--role-arn", ROLE]
    assert warned == []


@pytest.mark.parametrize(
    ("aws", "keys"),
    [
        ({"assumeRoles": [{"roleArn": ROLE, "externalId": "x"}]}, "aws:assumeRoles"),
        ({"assumeRoles": [{"roleArn": ROLE}, {"roleArn": ROLE}]}, "aws:assumeRoles"),
        ({"assumeRoles": "no list"}, "aws:assumeRoles"),
        ({"assumeRoles": {"roleArn": ROLE}}, "aws:assumeRoles"),
        (
            {"assumeRoles": [{"roleArn": ROLE}], "accessKey": "a", "secretKey": "b", "token": "c"},
            "aws:accessKey, aws:assumeRoles, aws:secretKey, aws:token",
        ),
        ({"assumeRoleWithWebIdentity": {"roleArn": ROLE}}, "aws:assumeRoleWithWebIdentity"),
        (
            {"sharedConfigFiles": ["a"], "sharedCredentialsFiles": ["b"]},
            "aws:sharedConfigFiles, aws:sharedCredentialsFiles",
        ),
    ],
)
def test_tokens_that_cannot_follow_the_provider_are_told_of(aws: Mapping[str, Any], keys: str) -> None:
    arguments, warned = token_of(aws)
    assert "--role-arn" not in arguments
    assert warned == [f"{UNFOLLOWED}{keys}: set lls:kubeconfig if the cluster does not know them."]


def test_a_secret_role_is_not_written_into_the_kubeconfig_in_clear() -> None:
    arguments, warned = token_of({"assumeRoles": [{"roleArn": ROLE}]}, secret_keys=["aws:assumeRoles"])
    assert "--role-arn" not in arguments
    assert warned


def test_keys_of_the_environment_that_come_before_the_profile_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert token_of({"profile": "prod"})[1] == []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    [warned] = token_of({"profile": "prod"})[1]
    assert warned.startswith(f"{UNFOLLOWED}aws:profile beside AWS_ACCESS_KEY_ID: ")
    assert token_of({})[1] == []


def test_a_kubeconfig_of_the_stacks_own_needs_no_warning() -> None:
    own = as_config(kubeconfig=json.dumps({"contexts": [{"name": "one"}]}))
    made = up({**own, "aws:accessKey": "a", "aws:secretKey": "b"})
    assert not any(message.startswith(UNFOLLOWED) for message in made.log.messages)
