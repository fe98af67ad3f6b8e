import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench.guide_commands import follow
from lls.operations.preflight import Preflight
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.world.account import Account, AwsError
from lls.operations.world.answers import LookUps
from lls.operations.world.inventory import BALANCER
from lls.operations.world.registry import Login, api_host, login_remedy, login_to, logins_of
from lls.operations.world.states import Operation, State
from rehearsal.engine.engine import StepsFailedError
from rehearsal.kubernetes.chart import Service, ServicePort
from rehearsal.kubernetes.chart_files import archive, chart_files
from rehearsal.rehearse import Rehearsal
from rehearsal.world import Node, PrefixList, Quirks, Subnet
from tests.support import breakage
from tests.support.operations import install, preflight_of, problems_by_check
from tests.support.recorded import as_config
from tests.support.registries import (
    Registry,
    a_chart,
    an_image,
    docker_registry,
    fill,
    internet,
    needs_docker_registry,
)
from tests.support.strategies import QUIRKS
from tests.support.worlds import NO_CLI, KnownStates, a_rehearsal, knowing

Breaking = Callable[[Rehearsal], object]


def nothing(rehearsal: Rehearsal) -> None:
    """The world is broken from its beginning."""


def a_group(rehearsal: Rehearsal, name: str) -> None:
    rehearsal.aws.client("elbv2").create_target_group(Name=name, Protocol="UDP", Port=1, VpcId=rehearsal.aws.vpc_id)


def delete_namespace(rehearsal: Rehearsal) -> None:
    rehearsal.cluster.create_namespace("gdn-streaming")
    breakage.hang_deletion(rehearsal.cluster, "gdn-streaming")


def allow_in_node_group(protocol: str, port: int) -> Breaking:
    def breaking(rehearsal: Rehearsal) -> None:
        group = rehearsal.aws.node_security_group_ids[0]
        permission: Any = {
            "IpProtocol": protocol,
            "FromPort": port,
            "ToPort": port,
            "UserIdGroupPairs": [{"GroupId": group}],
        }
        rehearsal.aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])

    return breaking


def carry_another_group_on(*names: str) -> Breaking:
    """Nodes lose the group that is called theirs."""

    def breaking(rehearsal: Rehearsal) -> None:
        for name in names:
            rehearsal.aws.client("ec2").modify_instance_attribute(
                InstanceId=rehearsal.aws.nodes[name][0], Groups=[rehearsal.aws.cluster_security_group_id]
            )

    return breaking


carry_another_group = carry_another_group_on("gpu-1", "gpu-2")


def hold_address(rehearsal: Rehearsal) -> None:
    ec2: Any = rehearsal.aws.client("ec2")
    interface = ec2.create_network_interface(SubnetId=rehearsal.aws.subnets["a"][0])["NetworkInterface"]
    ec2.associate_address(AllocationId="eipalloc-0a1b2c3d", NetworkInterfaceId=interface["NetworkInterfaceId"])


def fill_quota(rehearsal: Rehearsal) -> None:
    for _ in range(5):
        rehearsal.aws.client("ec2").allocate_address(Domain="vpc")


def deny_action(rehearsal: Rehearsal) -> None:
    rehearsal.aws.denied.add("elasticloadbalancing:CreateLoadBalancer")


def deny_verb(rehearsal: Rehearsal) -> None:
    rehearsal.cluster.denied.add(("create", "namespaces"))


def follow_guide(rehearsal: Rehearsal) -> None:
    follow(rehearsal.aws, "demo", "us-west-2a")


def detach_gateway(rehearsal: Rehearsal) -> None:
    ec2: Any = rehearsal.aws.client("ec2")
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=rehearsal.aws.vpc_id)


def hold_for_health_checks(rehearsal: Rehearsal) -> None:
    """A load balancer's service of somebody's, whose health checks were given a port of ours."""
    ports = (ServicePort(name="http", protocol="TCP", port=80, node_port=31111),)
    rehearsal.cluster.services["ingress", "nginx"] = Service(
        name="nginx",
        namespace="ingress",
        selector={},
        ports=ports,
        external_traffic_policy="Local",
        health_check_node_port=30800,
    )


def small_nodes() -> tuple[Node, ...]:
    return tuple(Node.model_validate({"name": name, "zone": "a", "cpu": "4"}) for name in ("gpu-1", "gpu-2"))


def subnets(**of_the_zone: Any) -> tuple[Subnet, ...]:
    return (
        Subnet.model_validate({"zone": "a", "public": True} | of_the_zone),
        Subnet(zone="a", public=False),
        Subnet(zone="b", public=True),
        Subnet(zone="b", public=False),
    )


FAULTS: dict[str, tuple[Breaking, Mapping[str, Any], str, str]] = {
    "permissions": (deny_action, {}, "permissions", "may not elasticloadbalancing:CreateLoadBalancer"),
    "cluster": (nothing, {"quirks": {"cluster_status": "FAILED"}}, "cluster", "demo is FAILED"),
    "rights in the cluster": (deny_verb, {}, "kubernetes", "may not create namespaces"),
    "subnet without the internet": (
        nothing,
        {"subnets": subnets(id="subnet-0a", internetGateway=False), "config": as_config(publicSubnetId="subnet-0a")},
        "subnet",
        "no route to an internet gateway",
    ),
    "no public subnet": (
        nothing,
        {"subnets": subnets(id="subnet-0a", internetGateway=False, mapPublicIp=True)},
        "subnet",
        "subnet-0a: no 0.0.0.0/0",
    ),
    "detached internet gateway": (detach_gateway, {}, "subnet", "internet gateway of vpc-"),
    "detached internet gateway of a given subnet": (
        detach_gateway,
        {"subnets": subnets(id="subnet-0a"), "config": as_config(publicSubnetId="subnet-0a")},
        "subnet",
        "no route to an internet gateway",
    ),
    "subnet without addresses": (nothing, {"subnets": subnets(freeAddresses=7)}, "subnet", "7 free addresses"),
    "load balancer quota": (nothing, {"quirks": {"quotas": {"L-69A177A2": 0}}}, "quotas", "0 of 0 load balancers"),
    "target group quota": (nothing, {"quirks": {"quotas": {"L-B22855CB": 0}}}, "quotas", "0 of 0 target groups"),
    "address quota": (fill_quota, {"config": {"lls:staticIp": "true"}}, "quotas", "5 of 5 Elastic IPs"),
    "rule quota": (nothing, {"quirks": {"quotas": {"L-0EA8095F": 4}}}, "quotas", "0 of 4 rules"),
    "held address": (
        hold_address,
        {"config": {"lls:eipAllocationId": "eipalloc-0a1b2c3d"}},
        "elastic ip",
        "is held by eni-",
    ),
    "taken name": (lambda rehearsal: a_group(rehearsal, "demo-rp-tg"), {}, "names", "target group demo-rp-tg"),
    "rule of someone else": (allow_in_node_group("udp", 6004), {}, "node group", "lls:nodeInternalRules false"),
    "group that no node carries": (
        carry_another_group,
        {"config": as_config(nodeSecurityGroupId="sg-0a1b2c3d4e5f60718")},
        "node group",
        "no target carries it",
    ),
    "group that a node does not carry": (
        carry_another_group_on("gpu-2"),
        {"config": as_config(nodeSecurityGroupId="sg-0a1b2c3d4e5f60718")},
        "node group",
        "set lls:nodeSecurityGroupIds to all groups that they carry",
    ),
    "too many sources": (
        nothing,
        {"config": as_config(allowedCidrs=[f"203.0.{third}.0/24" for third in range(61)])},
        "sources",
        "61 sources that count as 61 inbound rules, and a security group takes 60",
    ),
    "a prefix list that may grow beyond the quota": (
        nothing,
        {
            "config": as_config(allowedCidrs=["203.0.113.0/24", "pl-0abc"]),
            "prefix_lists": (PrefixList(id="pl-0abc", max_entries=60),),
        },
        "sources",
        "pl-0abc counts for 60",
    ),
    "a prefix list of IPv6": (
        nothing,
        {
            "config": as_config(allowedCidrs=["203.0.113.0/24", "pl-0abc"]),
            "prefix_lists": (PrefixList(id="pl-0abc", address_family="IPv6"),),
        },
        "sources",
        "speaks IPv4 only",
    ),
    "two groups": (nothing, {"quirks": {"node_groups": 2}}, "node group", "lls:nodeSecurityGroupId"),
    "no room": (nothing, {"nodes": small_nodes()}, "nodes", "4000m cpu free"),
    "taken NodePort": (nothing, {"quirks": {"taken_node_ports": (30800,)}}, "node ports", "lls:healthNodePort"),
    "NodePort for health checks": (hold_for_health_checks, {}, "node ports", "30800 is held by service ingress/nginx"),
    "namespace": (
        lambda rehearsal: rehearsal.cluster.create_namespace("gdn-streaming"),
        {},
        "namespace",
        "not in the stack's state",
    ),
    "namespace that is being deleted": (
        delete_namespace,
        {},
        "namespace",
        "metrics.k8s.io/v1beta1: the server is currently unable to handle the request -> wait until it is gone; "
        "if it stays, make the API answer that is named, or delete its APIService: kubectl get apiservices",
    ),
    "chart and image": (nothing, {"quirks": {"mirrored": False}}, "chart image", "python -m lls mirror"),
    "leftovers": (follow_guide, {}, "leftovers", "python -m lls adopt --stack test takes them over"),
    "release of the guide": (install, {}, "namespace", "adopt"),
}


@pytest.mark.parametrize(("breaking", "options", "expected", "words"), FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_found_and_nothing_else(
    breaking: Breaking, options: Mapping[str, Any], expected: str, words: str
) -> None:
    options = dict(options)
    with a_rehearsal(options.pop("config", None), **options) as rehearsal:
        breaking(rehearsal)
        before = rehearsal.leftovers()
        found = problems_by_check(preflight_of(rehearsal))
        assert rehearsal.leftovers() == before
    checks = {check for check in ("node group", "node ports", "elastic ip") if check in expected}
    rest = expected
    for check in checks:
        rest = rest.replace(check, "")
    assert set(found) == checks | set(rest.split())
    assert words in "".join(found.values())


def test_a_plain_world_is_ready_and_every_check_says_so() -> None:
    with a_rehearsal() as rehearsal:
        found = preflight_of(rehearsal)
    assert {finding.level for finding in found} == {Level.OK}
    assert {finding.check for finding in found} == {
        "credentials",
        "states",
        "state",
        "tools",
        "permissions",
        "cluster",
        "kubernetes",
        "zone",
        "subnet",
        "quotas",
        "sources",
        "names",
        "node group",
        "nodes",
        "registration",
        "node ports",
        "namespace",
        "chart",
        "chart contents",
        "image",
        "leftovers",
    }


def test_a_deployed_stack_is_ready_too() -> None:
    with a_rehearsal({"lls:staticIp": "true"}) as rehearsal:
        rehearsal.engine.up()
        assert problems_by_check(preflight_of(rehearsal)) == {}


def test_credentials_that_aws_does_not_accept_are_an_error_and_no_finding() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.refuse("*", "ExpiredToken")
        with pytest.raises(AwsError, match="have expired"):
            preflight_of(rehearsal)


def test_an_unknown_zone_is_named_with_those_there_are() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.reconfigure({"lls:availabilityZone": "us-west-2z"})
        found = problems_by_check(preflight_of(rehearsal))
    assert "us-west-2a, us-west-2b" in found["zone"]


@pytest.mark.parametrize(
    ("letter", "kind"), [("-lax-1a", "local-zone"), ("-wl1-las-wlz-1", "wavelength-zone")], ids=["local", "wavelength"]
)
def test_a_zone_that_no_network_load_balancer_can_be_in_is_a_problem_that_names_the_others(
    letter: str, kind: str
) -> None:
    edge = (Subnet(zone=letter, public=True), *subnets())
    with a_rehearsal(subnets=edge) as rehearsal:
        zone = {"availability_zone": f"us-west-2{letter}"}
        installation = knowing(rehearsal)
        installation.config = installation.config.model_copy(update=zone)
        found = problems_by_check(Preflight(installation).run(Unwatched()))
    assert f"us-west-2{letter} is a {kind}, where AWS has no Network Load Balancers" in found["zone"]
    assert "lls:availabilityZone to one of us-west-2a, us-west-2b," in found["zone"]


def test_a_zone_that_aws_constrains_is_noted() -> None:
    config = {"aws:region": "us-east-1", "lls:availabilityZone": "us-east-1e"}
    with a_rehearsal(config) as rehearsal:
        found = {finding.check: finding for finding in preflight_of(rehearsal)}
    assert found["zone"].level is Level.NOTE
    assert "us-east-1e is use1-az3, which AWS constrains" in found["zone"].seen


def test_a_cluster_that_does_not_exist_ends_the_checks_with_the_keys_to_look_at() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.reconfigure({"lls:clusterName": "other"})
        found = problems_by_check(preflight_of(rehearsal))
    assert set(found) == {"cluster"}
    assert "lls:clusterName" in found["cluster"]


def test_an_interrupted_run_is_told_with_what_to_do() -> None:
    with a_rehearsal() as rehearsal:
        state = State(pending=(Operation("creating", BALANCER, "streaming-nlb"),))
        found = preflight_of(rehearsal, KnownStates({"test": state}))
    assert "creating streaming-nlb" in problems_by_check(found)["state"]
    assert any("pulumi stack import" in finding.remedy for finding in found if finding.check == "states")


def test_what_may_not_be_looked_at_is_unknown_with_the_action_that_was_denied() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.refuse("iam:SimulatePrincipalPolicy", "AccessDenied")
        rehearsal.aws.refuse("servicequotas:GetServiceQuota", "AccessDeniedException")
        found = preflight_of(rehearsal)
    assert problems_by_check(found) == {}
    [permissions] = [finding for finding in found if finding.check == "permissions"]
    assert permissions.level is Level.UNKNOWN
    assert "AWS denied iam:SimulatePrincipalPolicy" in permissions.seen


def test_without_the_cli_only_what_needs_the_state_is_unknown_and_only_where_there_is_such() -> None:
    with a_rehearsal() as rehearsal:
        found = preflight_of(rehearsal, KnownStates(failure=NO_CLI))
        assert {finding.check for finding in found if finding.level is not Level.OK} == {"states"}
        follow_guide(rehearsal)
        found = preflight_of(rehearsal, KnownStates(failure=NO_CLI))
    assert {finding.check for finding in found if finding.level is Level.UNKNOWN} == {"states", "leftovers", "names"}
    assert problems_by_check(found) == {}


def test_a_binding_without_the_controller_is_found() -> None:
    with a_rehearsal(as_config(registration="binding", targetType="instance")) as rehearsal:
        assert "install the AWS Load Balancer Controller" in problems_by_check(preflight_of(rehearsal))["registration"]


@pytest.mark.parametrize(
    ("broken", "check"),
    [("_look", "state"), ("_place", "cluster"), ("_check_quotas", "quotas"), ("_check_image", "image")],
)
def test_whatever_breaks_in_a_check_is_its_finding_and_the_others_stay(
    broken: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(Preflight, broken, fail)
    with a_rehearsal() as rehearsal:
        found = {finding.check: finding for finding in preflight_of(rehearsal)}
    assert found[check].level is Level.UNKNOWN
    assert found[check].seen.startswith("this check broke: ZeroDivisionError at test_preflight.py:")
    assert found["credentials"].level is Level.OK
    if broken.startswith("_check"):
        assert len([finding for finding in found.values() if finding.level is Level.OK]) >= 10


def test_a_group_that_only_nodes_without_a_target_would_need_is_unknown_not_wrong() -> None:
    with a_rehearsal(as_config(registration="binding", targetType="instance"), quirks=QUIRKS, nodes=()) as rehearsal:
        found = [finding for finding in preflight_of(rehearsal) if finding.check == "node group"]
    assert [finding.level for finding in found] == [Level.UNKNOWN]
    assert "cannot be told" in found[0].seen


def test_sources_that_come_before_others_go_must_fit_beside_them() -> None:
    quirks = {"quotas": {"L-0EA8095F": 10}}
    with a_rehearsal(
        as_config(allowedCidrs=["203.0.113.0/24", "pl-0abc"]),
        quirks=quirks,
        prefix_lists=(PrefixList(id="pl-0abc", max_entries=5),),
    ) as rehearsal:
        rehearsal.engine.up()
        rehearsal.reconfigure(as_config(allowedCidrs=[f"203.1.{third}.0/24" for third in range(5)]))
        found = problems_by_check(preflight_of(rehearsal))
        assert "has 6 of 10 inbound rules, and 5 would be added before any goes" in found["sources"]
        with pytest.raises(StepsFailedError, match="RulesPerSecurityGroupLimitExceeded"):
            rehearsal.engine.up()


# --- Chart and image, wherever they are

ELSEWHERE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ANOTHERS = "999999999999.dkr.ecr.us-west-2.amazonaws.com"
HERE = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def artifacts_of(rehearsal: Rehearsal, **changes: str) -> dict[str, Finding]:
    found = {finding.check: finding for finding in preflight_of(rehearsal, None, **changes)}
    return {check: found[check] for check in ("chart", "image")}


def test_the_charts_own_node_ports_are_read_before_anything_is_made() -> None:
    with a_rehearsal(quirks={"chart_streaming_node_port": 31504}) as rehearsal:
        found = problems_by_check(preflight_of(rehearsal))
        mended = problems_by_check(preflight_of(rehearsal, streamingNodePort="31504"))
    assert list(found) == ["chart contents"]
    assert "does not open NodePort UDP 30504 (it opens: UDP 31504, TCP 30800)" in found["chart contents"]
    assert mended == {}


def test_a_chart_that_is_there_and_cannot_be_read_is_unknown() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.denied.add("ecr:GetDownloadUrlForLayer")
        found = {finding.check: finding for finding in preflight_of(rehearsal)}
    assert found["chart"].level is Level.OK
    assert found["chart contents"].level is Level.UNKNOWN
    assert "AWS denied ecr:GetDownloadUrlForLayer" in found["chart contents"].seen


def test_a_local_chart_is_read_where_it_is(tmp_path: Path) -> None:
    packed = tmp_path / "chart.tgz"
    packed.write_bytes(archive(chart_files(Quirks(chart_health_node_port=31800), "2.0.1")))
    with a_rehearsal() as rehearsal:
        found = problems_by_check(preflight_of(rehearsal, chart=str(packed)))
    assert "does not open NodePort TCP 30800" in found["chart contents"]


@pytest.mark.parametrize(("name", "noted"), [("a" * 19, False), ("a" * 20, True)])
def test_a_cluster_name_that_nvidia_calls_too_long_for_streaming_is_noted(name: str, noted: bool) -> None:
    with a_rehearsal({"lls:clusterName": name}) as rehearsal:
        found = [finding for finding in preflight_of(rehearsal) if finding.check == "cluster"]
    assert [finding.level for finding in found] == [Level.OK, *([Level.NOTE] if noted else [])]


def push(rehearsal: Rehearsal, repository: str, tag: str, region: str) -> None:
    ecr: Any = rehearsal.aws.client("ecr", region_name=region)
    ecr.create_repository(repositoryName=repository)
    manifest: Any = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)


def test_what_is_in_another_region_is_looked_for_there() -> None:
    where = {"chart": f"oci://{ELSEWHERE}/x/gdn-streaming", "imageRepository": f"{ELSEWHERE}/demo/streaming-proxy"}
    with a_rehearsal() as rehearsal:
        push(rehearsal, "x/gdn-streaming", "2.0.1", "eu-west-1")
        found = artifacts_of(rehearsal, **where)
    assert (found["chart"].level, found["chart"].seen) == (
        Level.OK,
        f"{ELSEWHERE}/x/gdn-streaming:2.0.1 exists",
    )
    assert (found["image"].level, found["image"].seen, found["image"].remedy) == (
        Level.PROBLEM,
        f"{ELSEWHERE}/demo/streaming-proxy:2.0.1 does not exist",
        "python -m lls mirror --stack test",
    )


def test_what_another_account_lacks_is_told_with_who_must_make_room_for_it() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.refuse("ecr:DescribeImages", "RepositoryNotFoundException")
        found = artifacts_of(rehearsal, imageRepository=f"{ANOTHERS}/x/streaming-proxy")
    assert found["image"].level is Level.PROBLEM
    assert found["image"].remedy.startswith("have 999999999999 create x/streaming-proxy in us-west-2 and let")


@pytest.mark.parametrize(
    ("rules", "path", "upstream"),
    [
        ({"nvcr": "nvcr.io"}, "nvcr/nvidia/streaming-proxy", "nvcr.io"),
        ({"nv": "quay.io", "nvcr": "nvcr.io", "ROOT": "x.io"}, "nvcr/streaming-proxy", "nvcr.io"),
        ({"ROOT": "111111111111.dkr.ecr.us-east-1.amazonaws.com"}, "any/streaming-proxy", "111111111111"),
    ],
    ids=["prefix", "longest", "root"],
)
def test_what_ecr_fetches_itself_is_no_problem_and_not_to_be_mirrored(
    rules: Mapping[str, str], path: str, upstream: str
) -> None:
    with a_rehearsal(quirks={"pull_through_cache": rules}) as rehearsal:
        found = artifacts_of(rehearsal, imageRepository=f"{HERE}/{path}")
    assert found["image"].level is Level.NOTE
    assert f"{HERE}/{path}:2.0.1 is fetched from {upstream}" in found["image"].seen
    assert "mirror" not in found["image"].remedy


def test_a_prefix_ends_at_a_slash() -> None:
    with a_rehearsal(quirks={"pull_through_cache": {"nv": "nvcr.io"}}) as rehearsal:
        found = artifacts_of(rehearsal, imageRepository=f"{HERE}/nvcr/streaming-proxy")
    assert found["image"].level is Level.PROBLEM


def test_rules_that_may_not_be_read_leave_it_unknown_whether_ecr_fetches_it() -> None:
    with a_rehearsal(quirks={"mirrored": False}) as rehearsal:
        rehearsal.aws.denied.add("ecr:DescribePullThroughCacheRules")
        found = artifacts_of(rehearsal)
    assert {finding.level for finding in found.values()} == {Level.UNKNOWN}
    assert "ecr:DescribePullThroughCacheRules" in found["image"].seen
    assert "python -m lls mirror" in found["image"].remedy


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_another_registry_is_asked_itself_and_what_it_hides_is_unknown(tmp_path: Path, scheme: Any) -> None:
    with (
        internet(tmp_path, "ghcr.io") as certificate,
        Registry("ghcr.io", login=Login("me", "secret"), certificate=certificate, scheme=scheme) as registry,
        a_rehearsal() as rehearsal,
    ):
        registry.put("org/gdn-streaming", "2.0.1_b", a_chart())
        where = {"chart": f"oci://{registry.host}/org/gdn-streaming", "imageRepository": f"{registry.host}/org/x"}
        hidden = artifacts_of(rehearsal, **where, chartVersion="2.0.1+b")
        auth = tmp_path / "auth.json"
        token = base64.b64encode(b"me:secret").decode()
        auth.write_text(json.dumps({"auths": {f"https://{registry.host}/v2/": {"auth": token}}}))
        known = artifacts_of(rehearsal, **where, chartVersion="2.0.1+b", registryConfig=str(auth))
    assert {finding.level for finding in hidden.values()} == {Level.UNKNOWN}
    assert "docker login" in hidden["chart"].seen
    assert "lls:registryConfig" in hidden["chart"].seen
    assert (known["chart"].level, known["image"].level) == (Level.OK, Level.PROBLEM)
    assert f"{registry.host}/org/x:2.0.1 does not exist" in known["image"].seen


@needs_docker_registry
def test_an_image_of_several_platforms_in_a_real_registry_exists(tmp_path: Path) -> None:
    with docker_registry(tmp_path) as host, a_rehearsal() as rehearsal:
        fill(host, "org/streaming-proxy", "2.0.1", an_image())
        found = artifacts_of(rehearsal, imageRepository=f"{host}/org/streaming-proxy")
        missing = artifacts_of(rehearsal, imageRepository=f"{host}/org/other")
    assert found["image"].level is Level.OK
    assert "does not exist, or" in missing["image"].seen
    assert f"docker login {host}" in missing["image"].remedy


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nvcr.io", "$oauthtoken"),
        ("public.ecr.aws", "aws ecr-public get-login-password --region us-east-1"),
        ("ghcr.io", "read:packages"),
        ("docker.io", "Docker Hub"),
        ("registry.example:5000", "docker login registry.example:5000"),
    ],
)
def test_the_remedy_for_a_login_fits_the_registry(host: str, words: str) -> None:
    assert words in login_remedy(host)
    assert "lls:registryConfig" in login_remedy(host)


def test_docker_hub_is_asked_at_its_own_host_with_the_login_that_auth_files_have_for_it(tmp_path: Path) -> None:
    auth = tmp_path / "auth.json"
    token = base64.b64encode(b"me:secret").decode()
    auth.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": token}}}))
    assert api_host("docker.io") == "registry-1.docker.io"
    assert login_to("docker.io", logins_of(str(auth))) == login_to("registry-1.docker.io", logins_of(str(auth)))
    assert login_to("docker.io", logins_of(str(auth)))


def test_the_login_of_the_programs_look_up_is_to_the_region_of_the_registry() -> None:
    asked = {"registryId": "999999999999", "region": "eu-west-1"}
    with a_rehearsal() as rehearsal:
        look_ups = LookUps(Account(rehearsal.aws.client), "us-west-2")
        found = look_ups.invoke("aws:ecr/getAuthorizationToken:getAuthorizationToken", asked)
    assert found["proxyEndpoint"] == "https://999999999999.dkr.ecr.eu-west-1.amazonaws.com"


# --- Partitions


@pytest.mark.parametrize(
    ("region", "partition"), [("us-west-2", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_arn_in_a_remedy_is_of_the_regions_partition(region: str, partition: str) -> None:
    with a_rehearsal({"aws:region": region, "lls:availabilityZone": f"{region}a"}) as rehearsal:
        deny_verb(rehearsal)
        found = problems_by_check(preflight_of(rehearsal))
    assert f"--policy-arn arn:{partition}:eks::aws:cluster-access-policy/" in found["kubernetes"]


def test_a_listed_target_that_is_no_node_or_an_unfit_one_is_found() -> None:
    listed = as_config(registration="static", targets=["10.0.16.4"])
    with a_rehearsal(listed) as rehearsal:
        address = {name: address for name, (_, address) in rehearsal.aws.nodes.items()}
        targets = ["10.9.9.9", *(address[name] for name in ("gpu-1", "gpu-2", "gpu-3", "gpu-4"))]
        rehearsal.reconfigure(as_config(targets=targets))
        rehearsal.aws.client("ec2").stop_instances(InstanceIds=[rehearsal.aws.nodes["gpu-2"][0]])
        told = problems_by_check(preflight_of(rehearsal))["nodes"]
    assert "no node of the cluster has the primary private address 10.9.9.9" in told
    assert f"{address['gpu-2']}: node gpu-2 is stopped in EC2" in told
    assert f"{address['gpu-3']}: node gpu-3 is being removed (taint karpenter.sh/disrupted)" in told
    assert f"{address['gpu-4']}: node gpu-4 is in zone us-west-2b" in told
    assert address["gpu-1"] not in told


@pytest.mark.parametrize("target_type", ["ip", "instance"])
def test_nodes_that_are_left_out_are_named_with_the_reason_and_no_problem(target_type: str) -> None:
    nodes = (
        Node(name="gpu-1", zone="a"),
        Node(name="gpu-2", zone="a", instance_state="stopped"),
        Node(name="gpu-3", zone="a", compute_type="fargate"),
        Node(name="gpu-4", zone="a", compute_type="hybrid"),
        Node(name="gpu-5", zone="a", other_vpc=True),
    )
    with a_rehearsal(as_config(targetType=target_type), nodes=nodes) as rehearsal:
        found = preflight_of(rehearsal)
    assert problems_by_check(found) == {}
    [told] = [finding.seen for finding in found if finding.check == "nodes" and "targets" in finding.seen]
    assert told.startswith("1 targets in us-west-2a; left out are nodes stopped in EC2: gpu-2; on Fargate")
    assert "a hybrid node, which is no EC2 instance: gpu-4; not in vpc-" in told


@pytest.mark.parametrize("target_type", ["ip", "instance"])
def test_a_cluster_of_the_ipv6_family_is_a_problem_of_the_cluster(target_type: str) -> None:
    with a_rehearsal(as_config(targetType=target_type), quirks={"ip_family": "ipv6"}) as rehearsal:
        found = problems_by_check(preflight_of(rehearsal))
    assert found.keys() == {"cluster"}
    assert "IPv6 family" in found["cluster"]


GPU_NODES = tuple(
    Node(name=name, zone="a", taints=("nvidia.com/gpu=present:NoSchedule", "spot:PreferNoSchedule"))
    for name in ("gpu-1", "gpu-2")
)


def test_a_taint_without_a_toleration_is_named_with_the_values_that_help() -> None:
    given = [{"key": "team", "operator": "Equal", "value": "x", "effect": "NoExecute", "tolerationSeconds": 30}]
    with a_rehearsal(as_config(helmValues={"tolerations": given}), nodes=GPU_NODES) as rehearsal:
        [told] = [finding for finding in preflight_of(rehearsal) if finding.level is Level.PROBLEM]
        assert "untolerated taint nvidia.com/gpu=present:NoSchedule" in told.seen
        remedy = json.loads(told.remedy.partition(" in lls:helmValues to ")[2])
        assert remedy == [*given, {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        rehearsal.reconfigure(as_config(helmValues={"tolerations": remedy}))
        assert problems_by_check(preflight_of(rehearsal)) == {}
        rehearsal.engine.up()
        assert {health.state for health in rehearsal.await_health()} == {"healthy"}


def test_values_that_no_pod_can_have_are_a_problem_of_the_key() -> None:
    with a_rehearsal(as_config(helmValues={"tolerations": [{"operator": "Equal"}]})) as rehearsal:
        told = problems_by_check(preflight_of(rehearsal))["nodes"]
    assert "lls:helmValues: Kubernetes takes no pod with tolerations.0: " in told
    assert "the operator must be Exists" in told


def test_an_upgrade_without_room_beside_the_old_pod_is_noted() -> None:
    small = (Node(name="gpu-1", zone="a", cpu="8", memory="32Gi"),)
    with a_rehearsal(nodes=small) as rehearsal:
        assert not any("an upgrade" in finding.seen for finding in preflight_of(rehearsal))
        rehearsal.engine.up()
        found = preflight_of(rehearsal)
    assert problems_by_check(found) == {}
    assert [finding.level for finding in found if "an upgrade has no room" in finding.seen] == [Level.NOTE]
