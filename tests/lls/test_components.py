import subprocess
import sys
from collections.abc import Callable

import pulumi
import pulumi_kubernetes as k8s
import pytest

from lls import (
    ElasticIp,
    NodePortIngress,
    NodePortIngressArgs,
    StreamingNlb,
    StreamingNlbArgs,
    StreamingProxyRelease,
    StreamingProxyReleaseArgs,
    TargetRegistration,
    TargetRegistrationArgs,
    Targets,
)
from lls.draining import DrainingProvider
from lls.operations.program.stack_file import PROJECT
from tests.support.recorded import RecordedStack, recorded


def made(program: Callable[[], None]) -> RecordedStack:
    """A stack of components alone: they must not read any config."""
    result = recorded(program=program)
    result.engine.config = {}
    result.engine.up()
    return result


def nlb(**changes: object) -> RecordedStack:
    arguments: dict[str, object] = {"cluster_name": "demo", "vpc_id": "vpc-1", "subnet_id": "subnet-1"}

    def program() -> None:
        component = StreamingNlb("x", StreamingNlbArgs(**(arguments | changes)))  # pyright: ignore[reportArgumentType]
        pulumi.export("staticIp", component.static_ip)

    return made(program)


def ingress(**changes: object) -> RecordedStack:
    arguments: dict[str, object] = {
        "cluster_name": "demo",
        "node_security_group_id": "sg-node",
        "nlb_security_group_id": "sg-nlb",
    }
    return made(lambda: NodePortIngress("x", NodePortIngressArgs(**(arguments | changes))) and None)  # pyright: ignore[reportArgumentType]


def test_the_nlb_is_the_guides() -> None:
    [balancer] = nlb().of("LoadBalancer")
    tags = balancer.inputs.pop("tags")
    assert balancer.inputs == {
        "name": "rp-public-demo",
        "loadBalancerType": "network",
        "internal": False,
        "securityGroups": ["id-SecurityGroup"],
        "subnetMappings": [{"subnetId": "subnet-1"}],
        "enableDeletionProtection": False,
    }
    assert tags["lls:purpose"] == "streaming-traffic"
    assert balancer.delete_before_replace


def test_the_target_group_has_every_health_setting_of_the_guide() -> None:
    [group] = nlb().of("TargetGroup")
    assert group.inputs.pop("tags")["lls:purpose"] == "streaming-targets"
    assert group.inputs == {
        "name": "demo-rp-tg",
        "protocol": "UDP",
        "port": 30504,
        "vpcId": "vpc-1",
        "targetType": "ip",
        "healthCheck": {
            "enabled": True,
            "protocol": "HTTP",
            "port": "30800",
            "path": "/v1/health",
            "interval": 30,
            "timeout": 6,
            "healthyThreshold": 5,
            "unhealthyThreshold": 2,
            "matcher": "200-399",
        },
        "deregistrationDelay": 300,
        "stickiness": {"type": "source_ip", "enabled": False},
    }


def test_the_security_group_lets_in_the_streaming_port_and_lets_out_everything() -> None:
    result = nlb(udp_port=6000)
    [group] = result.of("SecurityGroup")
    [entry] = result.of("SecurityGroupIngressRule")
    [way_out] = result.of("SecurityGroupEgressRule")
    assert group.inputs["name"] == "demo-rp-sg"
    assert group.inputs["description"] == "Security group for LLS streaming NLB (UDP 6000)"
    assert group.ignore_changes == ("description",)
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs
    rule = {key: entry.inputs[key] for key in ("ipProtocol", "fromPort", "toPort", "cidrIpv4", "description")}
    assert rule == {
        "ipProtocol": "udp",
        "fromPort": 6000,
        "toPort": 6000,
        "cidrIpv4": "0.0.0.0/0",
        "description": "LLS streaming traffic",
    }
    assert way_out.inputs["ipProtocol"] == "-1"
    assert way_out.inputs["cidrIpv4"] == "0.0.0.0/0"


def test_each_source_has_a_rule_of_its_own_named_after_it() -> None:
    result = nlb(allowed_cidrs=("10.0.0.0/8", "pl-0abc"))
    rules = {rule.name: rule.inputs for rule in result.of("SecurityGroupIngressRule")}
    assert rules["x-ingress-10.0.0.0/8"]["cidrIpv4"] == "10.0.0.0/8"
    assert rules["x-ingress-pl-0abc"]["prefixListId"] == "pl-0abc"
    assert "cidrIpv4" not in rules["x-ingress-pl-0abc"]


def test_the_listener_forwards_the_streaming_port_to_the_target_group() -> None:
    [listener] = nlb(udp_port=6000).of("Listener")
    assert listener.inputs["protocol"] == "UDP"
    assert listener.inputs["port"] == 6000
    assert listener.inputs["loadBalancerArn"] == "arn:nlb"
    assert listener.inputs["defaultActions"] == [{"type": "forward", "targetGroupArn": "arn:tg"}]


def test_without_a_static_address_there_is_no_elastic_ip() -> None:
    result = nlb()
    assert not result.of("Eip")
    assert "staticIp" not in result.engine.outputs


def test_an_allocated_address_is_mapped_to_the_subnet() -> None:
    result = nlb(static_ip=True)
    [address] = result.of("Eip")
    assert address.inputs["domain"] == "vpc"
    assert address.inputs["tags"]["Name"] == "demo-lls-eip"
    assert result.of("LoadBalancer")[0].inputs["subnetMappings"] == [{"subnetId": "subnet-1", "allocationId": "id-Eip"}]
    assert result.engine.outputs["staticIp"] == "203.0.113.5"


@pytest.mark.parametrize("static_ip", [False, True])
def test_a_given_address_is_used_and_never_owned(static_ip: bool) -> None:
    result = nlb(static_ip=static_ip, elastic_ip=ElasticIp("eipalloc-7", "203.0.113.7"))
    assert not result.of("Eip")
    mapping = {"subnetId": "subnet-1", "allocationId": "eipalloc-7"}
    assert result.of("LoadBalancer")[0].inputs["subnetMappings"] == [mapping]
    assert result.engine.outputs["staticIp"] == "203.0.113.7"


def test_deletion_protection_is_the_nlbs() -> None:
    assert nlb(deletion_protection=True).of("LoadBalancer")[0].inputs["enableDeletionProtection"] is True


def test_nodes_let_in_media_and_health_checks_from_the_nlb_and_the_internal_ports_from_themselves() -> None:
    rules = {
        rule.inputs["tags"]["Name"]: (
            rule.inputs["securityGroupId"],
            rule.inputs["referencedSecurityGroupId"],
            rule.inputs["ipProtocol"],
            rule.inputs["fromPort"],
            rule.inputs["toPort"],
        )
        for rule in ingress().of("SecurityGroupIngressRule")
    }
    assert rules == {
        "streaming-proxy-udp-30504": ("sg-node", "sg-nlb", "udp", 30504, 30504),
        "streaming-proxy-tcp-30800": ("sg-node", "sg-nlb", "tcp", 30800, 30800),
        "streaming-proxy-udp-6004": ("sg-node", "sg-node", "udp", 6004, 6004),
        "streaming-proxy-udp-3478": ("sg-node", "sg-node", "udp", 3478, 3478),
        "streaming-proxy-tcp-8000": ("sg-node", "sg-node", "tcp", 8000, 8000),
    }


def test_the_internal_rules_can_be_left_to_the_node_group() -> None:
    assert ingress(internal_rules=False).names() == {"x-media", "x-health"}


def test_each_group_of_the_nodes_lets_in_the_load_balancer_and_every_group() -> None:
    result = ingress(more_node_security_group_ids=("sg-0b",))
    media, internal = ("media", "health"), ("internal-udp-6004", "internal-udp-3478", "internal-tcp-8000")
    seen = {
        rule.name: (rule.inputs["securityGroupId"], rule.inputs["referencedSecurityGroupId"])
        for rule in result.of("SecurityGroupIngressRule")
    }
    assert seen == {
        **{f"x-{name}": ("sg-node", "sg-nlb") for name in media},
        **{f"x-{name}-sg-0b": ("sg-0b", "sg-nlb") for name in media},
        **{f"x-{name}": ("sg-node", "sg-node") for name in internal},
        **{f"x-{name}-from-sg-0b": ("sg-node", "sg-0b") for name in internal},
        **{f"x-{name}-sg-0b-from-main": ("sg-0b", "sg-node") for name in internal},
        **{f"x-{name}-sg-0b": ("sg-0b", "sg-0b") for name in internal},
    }
    tagged = {rule.name: rule.inputs["tags"]["Name"] for rule in result.of("SecurityGroupIngressRule")}
    assert tagged["x-media-sg-0b"] == "streaming-proxy-udp-30504-sg-0b"
    assert tagged["x-media"] == "streaming-proxy-udp-30504"


def test_node_rules_keep_their_logical_names_when_ports_change() -> None:
    assert ingress().names() == ingress(streaming_node_port=30600, health_node_port=30900).names()


def release(chart: str = "oci://registry.example/gdn-streaming") -> RecordedStack:
    def program() -> None:
        StreamingProxyRelease(
            "x",
            StreamingProxyReleaseArgs(
                nlb_dns_name="nlb.example",
                availability_zone="us-west-2a",
                node_selector={"node-type": "compute"},
                chart=chart,
                chart_version="2.0.1",
                image_repository="registry.example/streaming-proxy",
                image_tag="2.0.1",
                timeout=120,
            ),
            opts=pulumi.ResourceOptions(providers=[k8s.Provider("k", kubeconfig="{}")]),
        )

    return made(program)


def test_the_release_has_a_fixed_name_in_a_namespace_of_its_own() -> None:
    result = release()
    [namespace] = result.of("Namespace")
    [helm] = result.of("Release")
    assert namespace.inputs["metadata"] == {"name": "gdn-streaming"}
    settings = {"name": "gdn-streaming", "namespace": "gdn-streaming", "version": "2.0.1", "timeout": 120}
    assert settings.items() <= helm.inputs.items()
    assert helm.delete_before_replace
    assert not helm.inputs.get("createNamespace")


def test_everything_in_the_cluster_uses_the_inherited_provider() -> None:
    result = release()
    provider = result.named("k").urn
    assert {resource.provider for resource in [*result.of("Namespace"), *result.of("Release")]} == {provider}


def test_a_local_chart_has_the_version_that_it_says() -> None:
    assert "version" not in release("./chart").of("Release")[0].inputs


def test_each_target_has_an_attachment_named_after_itself() -> None:
    arguments = TargetRegistrationArgs(target_group_arn="arn:tg", targets=Targets(ids=("10.0.0.1", "10.0.0.2")))
    result = made(lambda: TargetRegistration("x", arguments) and None)
    assert {resource.name: resource.inputs for resource in result.of("TargetGroupAttachment")} == {
        "x-10.0.0.1": {"targetGroupArn": "arn:tg", "targetId": "10.0.0.1", "port": 30504},
        "x-10.0.0.2": {"targetGroupArn": "arn:tg", "targetId": "10.0.0.2", "port": 30504},
    }


def test_components_have_the_contracts_type_tokens() -> None:
    arguments = TargetRegistrationArgs(target_group_arn="arn:tg", targets=Targets())
    stacks = [nlb(), ingress(), release(), made(lambda: TargetRegistration("x", arguments) and None)]
    assert {resource.type for result in stacks for resource in result.engine.state.values() if not resource.custom} == {
        "pulumi:pulumi:Stack",
        "lls:index:StreamingNlb",
        "lls:index:NodePortIngress",
        "lls:index:StreamingProxyRelease",
        "lls:index:TargetRegistration",
    }


def test_importing_the_components_loads_neither_the_cluster_client_nor_the_operations() -> None:
    asked = (
        "import sys, lls; print(*[name for name in sys.modules if name.startswith(('kubernetes', 'boto3', 'lls.'))])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=PROJECT)  # noqa: S603
    loaded = done.stdout.split()
    assert "lls.streaming_nlb" in loaded
    assert not [name for name in loaded if name.startswith(("kubernetes", "boto3", "lls.operations", "lls.config"))]


def test_the_draining_provider_stays_where_states_refer_to_it() -> None:
    assert (DrainingProvider.__module__, DrainingProvider.__qualname__) == ("lls.draining", "DrainingProvider")
