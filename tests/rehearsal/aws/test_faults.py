from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from lls.operations.program.stack_file import Stack
from rehearsal.aws.faults import Fault
from rehearsal.aws.server import KEY, Aws
from rehearsal.aws.strict_quotas import QUOTAS
from rehearsal.engine.engine import StepsFailedError
from rehearsal.stack_world import world_for
from rehearsal.world import DEFAULT_WORLD, ManagedNodeGroup, Subnet, World
from tests.support.emulated import EmulatedAws, refuses
from tests.support.recorded import as_config
from tests.support.worlds import STACK, PatientClock, a_rehearsal, a_world, rehearsed

Make = Callable[..., EmulatedAws]


@contextmanager
def an_aws(world: World) -> Generator[EmulatedAws]:
    def answers(address: str, port: int, path: str) -> bool:
        return True

    clock = PatientClock()
    with Aws(world, clock, cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        yield EmulatedAws(aws, clock)


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as until:

        def make(**changes: Any) -> EmulatedAws:
            world = a_world(quirks=changes.pop("quirks", None)).model_copy(update=changes)
            return until.enter_context(an_aws(world))

        yield make


@pytest.fixture
def emulated(make: Make) -> EmulatedAws:
    return make()


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response.get("Error", {}).get("Code", "")


# --- Refusals


@pytest.mark.parametrize(
    ("code", "ec2", "query", "json"),
    [
        ("AccessDenied", "UnauthorizedOperation", "AccessDenied", "AccessDeniedException"),
        ("ExpiredToken", "RequestExpired", "ExpiredToken", "ExpiredTokenException"),
        ("Throttling", "RequestLimitExceeded", "Throttling", "ThrottlingException"),
        ("InternalFailure", "InternalError", "InternalFailure", "InternalServerException"),
        ("DryRunOperation", "DryRunOperation", "DryRunOperation", "DryRunOperation"),
    ],
)
def test_every_service_refuses_in_its_own_protocol_and_words(
    emulated: EmulatedAws, code: str, ec2: str, query: str, json: str
) -> None:
    aws = emulated.aws
    with aws.refuse("*", code):
        assert code_of(emulated.ec2.describe_vpcs) == ec2
        for call in (
            emulated.elbv2.describe_load_balancers,
            aws.client("sts").get_caller_identity,
            aws.client("iam").list_roles,
            aws.client("autoscaling").describe_auto_scaling_groups,
        ):
            assert code_of(call) == query
        for call in (
            lambda: aws.client("eks").describe_cluster(name="demo"),
            aws.client("ecr").describe_repositories,
            lambda: aws.client("service-quotas").list_service_quotas(ServiceCode="ec2"),
        ):
            assert code_of(call) == json
    emulated.ec2.describe_vpcs()


def test_a_refusal_names_the_user_and_the_action(emulated: EmulatedAws) -> None:
    with emulated.aws.refuse("eks:DescribeCluster", "AccessDenied"), pytest.raises(ClientError) as caught:
        emulated.aws.client("eks").describe_cluster(name="demo")
    assert (
        "User: arn:aws:sts::123456789012:assumed-role/rehearsal/session is not authorized to perform: "
        "eks:DescribeCluster on resource: *" in str(caught.value)
    )
    with emulated.aws.refuse("ec2:*", "Odd", message="because"), pytest.raises(ClientError, match="because"):
        emulated.ec2.describe_vpcs()


def test_a_refusal_lasts_for_so_many_calls_or_until_it_is_lifted(emulated: EmulatedAws) -> None:
    fault = emulated.aws.refuse("elasticloadbalancing:Describe*", "Throttling", times=2)
    for _ in range(2):
        assert code_of(emulated.elbv2.describe_target_groups) == "Throttling"
    emulated.elbv2.describe_target_groups()
    assert fault.seen == 2
    lasting: Fault = emulated.aws.refuse("elasticloadbalancing:DescribeTargetGroups", "Throttling")
    assert code_of(emulated.elbv2.describe_target_groups) == "Throttling"
    emulated.elbv2.describe_load_balancers()
    lasting.lift()
    emulated.elbv2.describe_target_groups()
    assert emulated.aws.calls.count("elasticloadbalancing:DescribeTargetGroups") == 5


def test_a_call_may_hang(emulated: EmulatedAws) -> None:
    impatient: Any = boto3.Session().client(  # pyright: ignore[reportUnknownMemberType]
        "ec2",
        endpoint_url=emulated.aws.endpoint,
        region_name="us-west-2",
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=Config(read_timeout=0.2, retries={"total_max_attempts": 1}),  # pyright: ignore[reportArgumentType]
    )
    with emulated.aws.hang("ec2:DescribeVpcs"), pytest.raises(ReadTimeoutError):
        impatient.describe_vpcs()
    impatient.describe_vpcs()
    impatient.close()


def test_a_denied_action_is_refused_and_the_simulator_knows(emulated: EmulatedAws) -> None:
    iam = emulated.aws.client("iam")
    emulated.aws.denied.add("elasticloadbalancing:Create*")
    source = iam.get_role(RoleName="rehearsal")["Role"]["Arn"]
    actions = ["elasticloadbalancing:CreateLoadBalancer", "ec2:DescribeVpcs"]
    results: Any = iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=actions)["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["implicitDeny", "allowed"]
    assert code_of(emulated.target_group) == "AccessDenied"


def test_the_simulator_takes_roles_and_no_sessions(emulated: EmulatedAws) -> None:
    arn = emulated.aws.client("sts").get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/rehearsal/session"
    iam = emulated.aws.client("iam")
    assert code_of(lambda: iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["x:Y"])) == "InvalidInput"
    missing = "arn:aws:iam::123456789012:role/nosuch"
    call = lambda: iam.simulate_principal_policy(PolicySourceArn=missing, ActionNames=["x:Y"])  # noqa: E731
    assert code_of(call) == "NoSuchEntity"


def test_a_refused_call_fails_an_up_which_the_next_one_completes() -> None:
    with a_rehearsal() as emulated:
        with (
            emulated.aws.refuse("elasticloadbalancing:CreateListener", "AccessDenied"),
            pytest.raises(StepsFailedError, match=r"AccessDenied.*CreateListener"),
        ):
            emulated.engine.up()
        emulated.engine.up()
        emulated.engine.destroy()
        assert emulated.leftovers() == []


# --- Paths of media and health checks


def entry(emulated: EmulatedAws, number: int, action: str, egress: bool, **rule: Any) -> None:
    """Put a rule into the ACL of the NLB's subnet, which is also that of every other."""
    [acl] = emulated.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [emulated.aws.vpc_id]}])[
        "NetworkAcls"
    ]
    wanted: Any = {"Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": action} | rule
    emulated.ec2.create_network_acl_entry(
        NetworkAclId=acl.get("NetworkAclId", ""), RuleNumber=number, Egress=egress, **wanted
    )


def own_acl(emulated: EmulatedAws, subnet: str) -> str:
    """Give a subnet an ACL of its own, which denies everything."""
    acl = emulated.ec2.create_network_acl(VpcId=emulated.aws.vpc_id)["NetworkAcl"].get("NetworkAclId", "")
    found: Any = emulated.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    [association] = [
        association["NetworkAclAssociationId"]
        for association in found["NetworkAcls"][0]["Associations"]
        if association["SubnetId"] == subnet
    ]
    emulated.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    return acl


def reached(emulated: EmulatedAws) -> tuple[str | None, tuple[str, str]]:
    """What stops media on its way to gpu-1, and its health once checks are through."""
    _, _, targets = emulated.serving()
    emulated.register(targets, emulated.node("gpu-1"))
    emulated.clock.skip(300)
    return emulated.aws.media_obstacle(targets, emulated.node("gpu-1")), emulated.health(targets)[
        emulated.node("gpu-1")
    ]


TIMEOUT = ("unhealthy", "Target.Timeout")
HEALTHY = ("healthy", "")


def test_an_open_path_reaches_the_node(emulated: EmulatedAws) -> None:
    assert reached(emulated) == (None, HEALTHY)


def test_a_public_looking_subnet_without_a_route_to_the_internet_gets_no_media(make: Make) -> None:
    world = a_world()
    emulated = make(subnets=tuple(subnet.model_copy(update={"internet_gateway": False}) for subnet in world.subnets))
    obstacle, health = reached(emulated)
    assert obstacle == f"{emulated.aws.subnets['a'][0]} of the load balancer has no route to an internet gateway"
    assert health == HEALTHY


@pytest.mark.parametrize(
    ("egress", "rule", "obstacle", "health"),
    [
        (False, {"Protocol": "17", "PortRange": {"From": 5004, "To": 5004}}, "in UDP 5004 from 198.51.100.7", HEALTHY),
        (True, {"Protocol": "17", "PortRange": {"From": 30504, "To": 30504}}, "out UDP 30504 to 10.0.", HEALTHY),
        (True, {"Protocol": "17", "CidrBlock": "198.51.100.0/24"}, "out UDP 1024-65535 to 198.51.100.7", HEALTHY),
        (True, {"Protocol": "6", "PortRange": {"From": 30800, "To": 30800}}, None, TIMEOUT),
        (False, {"Protocol": "6", "PortRange": {"From": 60000, "To": 65535}}, None, TIMEOUT),
        (True, {"Protocol": "17", "PortRange": {"From": 20000, "To": 29999}}, "out UDP 1024-65535 to 198.51", HEALTHY),
        (False, {"Protocol": "17", "CidrBlock": "203.0.113.0/24"}, None, HEALTHY),
    ],
)
def test_a_network_acl_stops_what_its_first_rule_denies(
    emulated: EmulatedAws, egress: bool, rule: dict[str, Any], obstacle: str | None, health: tuple[str, str]
) -> None:
    ports = {"PortRange": {"From": 0, "To": 65535}}
    entry(emulated, 50, "deny", egress, **(ports | rule))
    seen, checked = reached(emulated)
    assert bool(seen) == bool(obstacle)
    assert (obstacle or "") in (seen or "")
    assert checked == health


def test_an_allowing_rule_comes_before_a_later_denying_one(emulated: EmulatedAws) -> None:
    entry(emulated, 40, "allow", False)
    entry(emulated, 50, "deny", False)
    assert reached(emulated) == (None, HEALTHY)


def test_the_nodes_subnet_has_its_say_too(emulated: EmulatedAws) -> None:
    node_subnet = emulated.aws.subnets["a"][-1]
    acl = own_acl(emulated, node_subnet)
    obstacle, health = reached(emulated)
    assert obstacle == f"the network ACL {acl} of {node_subnet} does not let in UDP 30504 from 198.51.100.7"
    assert health == TIMEOUT


def test_a_stopped_instance_is_reached_by_nothing(emulated: EmulatedAws) -> None:
    emulated.ec2.stop_instances(InstanceIds=[emulated.aws.nodes["gpu-1"][0]])
    obstacle, health = reached(emulated)
    assert obstacle == f"no running instance has {emulated.node('gpu-1')}"
    assert health == TIMEOUT


# --- Load balancers and subnets


@pytest.mark.parametrize("state", ["provisioning", "failed"])
def test_a_load_balancer_may_never_become_active(make: Make, state: Any) -> None:
    emulated = make(quirks={"nlb_state": state})
    nlb = emulated.nlb()
    emulated.clock.skip(10_000)
    assert emulated.balancer(nlb)["State"]["Code"] == state
    emulated.aws.set_nlb_state("active")
    assert emulated.balancer(nlb)["State"]["Code"] == "active"


@pytest.mark.parametrize("state", ["provisioning", "failed"])
def test_an_up_does_not_wait_for_ever_for_a_load_balancer(state: str) -> None:
    with (
        a_rehearsal(quirks={"nlb_state": state}) as emulated,
        pytest.raises(StepsFailedError, match=f"it is '{state}'"),
    ):
        emulated.engine.up()


@pytest.mark.parametrize("letter", ["-lax-1a", "-wl1-las-wlz-1"], ids=["local", "wavelength"])
def test_a_zone_at_the_edge_takes_no_network_load_balancer(make: Make, letter: str) -> None:
    emulated = make(subnets=(Subnet(zone=letter, public=True),), nodes=())
    emulated.aws.subnets["a"] = emulated.aws.subnets[letter]
    with refuses("InvalidConfigurationRequest") as caught:
        emulated.nlb()
    assert f"Load balancers with type 'network' are not supported in us-west-2{letter}" in str(caught.value)


def test_a_subnet_whose_internet_gateway_is_detached_has_a_black_hole_and_gets_no_media(emulated: EmulatedAws) -> None:
    [gateway] = emulated.ec2.describe_internet_gateways()["InternetGateways"]
    emulated.ec2.detach_internet_gateway(
        InternetGatewayId=gateway.get("InternetGatewayId", ""), VpcId=emulated.aws.vpc_id
    )
    of_subnet: Any = [{"Name": "association.subnet-id", "Values": emulated.aws.subnets["a"][:1]}]
    [table] = emulated.ec2.describe_route_tables(Filters=of_subnet)["RouteTables"]
    states = {route.get("DestinationCidrBlock"): route.get("State") for route in table.get("Routes", ())}
    assert states == {"10.0.0.0/16": "active", "0.0.0.0/0": "blackhole"}
    assert "no route to an internet gateway" in (reached(emulated)[0] or "")


def test_a_subnet_with_few_addresses_takes_no_load_balancer(make: Make) -> None:
    world = a_world()
    emulated = make(subnets=tuple(subnet.model_copy(update={"free_addresses": 7}) for subnet in world.subnets))
    subnets: Any = emulated.ec2.describe_subnets(SubnetIds=[emulated.aws.subnets["a"][0]])["Subnets"]
    assert subnets[0]["AvailableIpAddressCount"] == 7
    with refuses("InvalidSubnet"):
        emulated.nlb()


# --- Quotas


def test_quotas_are_awss_defaults_unless_the_world_says_otherwise(make: Make) -> None:
    emulated = make(quirks={"quotas": {"L-69A177A2": 7}})
    quotas = emulated.aws.client("service-quotas")
    for code, quota in QUOTAS.items():
        default: Any = quotas.get_aws_default_service_quota(ServiceCode=quota.service, QuotaCode=code)["Quota"]
        assert (default["QuotaName"], default["Value"]) == (quota.name, quota.default)
    found: Any = quotas.get_service_quota(ServiceCode="elasticloadbalancing", QuotaCode="L-69A177A2")["Quota"]
    assert found["Value"] == 7
    listed: Any = quotas.list_service_quotas(ServiceCode="vpc")["Quotas"]
    assert {each["QuotaCode"] for each in listed} == {"L-0EA8095F", "L-E79EC296"}
    assert quotas.list_aws_default_service_quotas(ServiceCode="ec2")["Quotas"][0].get("Value") == 5
    unknown = lambda: quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0")  # noqa: E731
    assert code_of(unknown) == "NoSuchResourceException"
    limits: Any = emulated.elbv2.describe_account_limits()["Limits"]
    assert {"Name": "network-load-balancers", "Max": "7"} in limits


BEYOND: list[tuple[str, Callable[[EmulatedAws], Any], str]] = [
    ("L-69A177A2", lambda emulated: emulated.nlb(), "TooManyLoadBalancers"),
    ("L-B22855CB", lambda emulated: emulated.target_group(), "TooManyTargetGroups"),
    ("L-0263D0A3", lambda emulated: emulated.ec2.allocate_address(Domain="vpc"), "AddressLimitExceeded"),
    ("L-E79EC296", lambda emulated: emulated.group(), "SecurityGroupLimitExceeded"),
    ("L-0EA8095F", lambda emulated: emulated.serving(), "RulesPerSecurityGroupLimitExceeded"),
]


@pytest.mark.parametrize(("code", "call", "refusal"), BEYOND)
def test_nothing_is_made_beyond_a_quota(
    emulated: EmulatedAws, code: str, call: Callable[[EmulatedAws], Any], refusal: str
) -> None:
    emulated.aws.quotas[code] = 0
    with refuses(refusal):
        call(emulated)


def test_a_prefix_list_counts_for_as_many_rules_as_it_may_have_entries(emulated: EmulatedAws) -> None:
    emulated.aws.quotas["L-0EA8095F"] = 10
    group = emulated.group()
    for most, family, refused in ((10, "IPv4", False), (1, "IPv4", True), (10, "IPv6", False), (1, "IPv6", True)):
        made = emulated.ec2.create_managed_prefix_list(
            PrefixListName="offices", MaxEntries=most, AddressFamily=family, Entries=[]
        )
        permission: Any = {
            "IpProtocol": "udp",
            "FromPort": 5004,
            "ToPort": 5004,
            "PrefixListIds": [{"PrefixListId": made["PrefixList"].get("PrefixListId", "")}],
        }
        with refuses("RulesPerSecurityGroupLimitExceeded") if refused else nullcontext():
            emulated.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


def test_targets_are_limited_for_each_zone(emulated: EmulatedAws) -> None:
    emulated.aws.quotas["L-B211E961"] = 1
    targets = emulated.target_group()
    with refuses("TooManyTargets"):
        emulated.register(targets, emulated.node("gpu-1"), emulated.node("gpu-2"))


# --- What else a world may hold


def images(emulated: EmulatedAws, repository: str, tag: str) -> Any:
    return emulated.aws.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])


def test_chart_and_image_are_in_ecr_at_the_stacks_versions(make: Make) -> None:
    emulated = make()
    assert images(emulated, "demo/gdn-streaming", "2.0.1")["imageDetails"]
    assert images(emulated, "demo/streaming-proxy", "2.0.1")["imageDetails"]
    with refuses("ImageNotFoundException"):
        images(emulated, "demo/streaming-proxy", "9.9.9")


def test_a_stack_with_a_prefix_and_versions_of_its_own_finds_them() -> None:
    stack = Stack("test", {**STACK, **as_config(repositoryPrefix="team/nvcf", chartVersion="3.0.0", imageTag="3.0.2")})
    world = world_for(stack, DEFAULT_WORLD.read_text())
    with an_aws(world) as emulated:
        assert images(emulated, "team/nvcf/gdn-streaming", "3.0.0")["imageDetails"]
        assert images(emulated, "team/nvcf/streaming-proxy", "3.0.2")["imageDetails"]


def test_without_mirroring_ecr_is_empty(make: Make) -> None:
    emulated = make(quirks={"mirrored": False})
    with refuses("RepositoryNotFoundException"):
        images(emulated, "demo/streaming-proxy", "2.0.1")


def test_without_mirroring_the_release_fails() -> None:
    with pytest.raises(StepsFailedError, match="failed to download"):
        rehearsed(quirks={"mirrored": False})


def test_the_cluster_has_a_status_a_version_and_endpoints(make: Make) -> None:
    emulated = make(quirks={"cluster_status": "UPDATING"})
    cluster: Any = emulated.aws.client("eks").describe_cluster(name="demo")["cluster"]
    assert (cluster["status"], cluster["version"]) == ("UPDATING", "1.34")
    assert cluster["resourcesVpcConfig"]["endpointPublicAccess"]
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]


def test_the_operators_role_exists_where_the_world_has_it(make: Make) -> None:
    assert make(quirks={"gvo_operator": True}).aws.client("iam").get_role(RoleName="demo-gvo-operator")


def test_without_the_operator_there_is_no_such_role(emulated: EmulatedAws) -> None:
    with refuses("NoSuchEntity"):
        emulated.aws.client("iam").get_role(RoleName="demo-gvo-operator")


def test_a_managed_node_group_has_its_nodes_in_an_auto_scaling_group(make: Make) -> None:
    emulated = make(quirks={"managed_node_groups": (ManagedNodeGroup(name="gpu", zones=("a",)),)})
    eks: Any = emulated.aws.client("eks")
    assert eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["gpu"]
    described = eks.describe_nodegroup(clusterName="demo", nodegroupName="gpu")["nodegroup"]
    [group] = described["resources"]["autoScalingGroups"]
    found: Any = emulated.aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group["name"]])
    instances = {instance["InstanceId"] for instance in found["AutoScalingGroups"][0]["Instances"]}
    assert instances == {emulated.aws.nodes[name][0] for name in ("gpu-1", "gpu-2", "gpu-3", "system-1")}


def test_a_world_file_says_all_this() -> None:
    text = (
        DEFAULT_WORLD.read_text()
        .replace("pods: []", "pods: [{ name: sim, node: gpu-1, cpu: 40, memory: 300Gi }]")
        .replace(
            "{ zone: other, public: true }", "{ zone: other, public: true, freeAddresses: 9, internetGateway: false }"
        )
        .replace("quotas: {}", "quotas: { L-69A177A2: 1 }")
        .replace("managedNodeGroups: []", "managedNodeGroups: [{ name: gpu, zones: [a] }]")
        .replace("gpu-2, zone: stack", "gpu-2, zone: stack, cpu: 96, cordoned: true, ready: false")
    )
    world = world_for(Stack("test", STACK), text)
    assert (world.pods[0].cpu, world.nodes[1].cpu, world.nodes[1].cordoned) == ("40", "96", True)
    assert (world.subnets[2].free_addresses, world.subnets[2].internet_gateway) == (9, False)
    assert [subnet.map_public_ip for subnet in world.subnets] == [True, False, False, False]
    assert (world.quirks.quotas, world.quirks.managed_node_groups[0].name) == ({"L-69A177A2": 1}, "gpu")
