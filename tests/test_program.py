import json
import re
from collections.abc import Iterator, Mapping

import pytest
from pydantic.alias_generators import to_camel

from lls.outputs import LlsOutputs, StackOutput
from tests.support.contract import CONTRACT_OUTPUTS
from tests.support.recorded import RecordedStack, as_config, recorded, up

SHAPES: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "static address": {"lls:staticIp": "true"},
    "given address": {"lls:eipAllocationId": "eipalloc-7"},
    "instance targets": as_config(targetType="instance", targets=["i-0a1b2c3d"]),
    "other port": as_config(udpPort=6000, streamingNodePort=30600, healthNodePort=30900),
    "some clients": as_config(allowedCidrs=["10.0.0.0/8", "pl-0abc"]),
    "no internal rules": {"lls:nodeInternalRules": "false"},
    "long name": {"lls:clusterName": "nvcf-streaming-production-west"},
    "one of a cluster's several": as_config(instance="b2", staticIp=True),
    "tagged": as_config(tags={"team": "streaming", "Project": "mine"}),
    "own name": as_config(dnsName="stream.example.com"),
    "own name and record": as_config(dnsName="stream.example.com", hostedZoneId="none"),
}


TAGGABLE = re.compile(r"^aws:(?!lb/targetGroupAttachment|route53/record)")


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES), scope="module")
def shape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedStack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("shape"))
        yield up(request.param)


def test_every_taggable_resource_carries_the_guides_tags(shape: RecordedStack) -> None:
    cluster = shape.engine.config["lls:clusterName"]
    tagged = [resource for resource in shape.resources if TAGGABLE.match(resource.type)]
    assert len(tagged) >= 8
    for resource in tagged:
        tags = resource.inputs["tags"]
        assert tags["Name"], resource.name
        assert tags["lls:cluster"] == cluster
        assert tags["lls:managed-by"] == "customer"
        assert tags["Project"] == "nvcf"


def test_without_an_instance_every_name_and_tag_is_the_guides() -> None:
    made = {
        resource.name: (resource.inputs.get("name"), resource.inputs["tags"])
        for resource in up({"lls:staticIp": "true"}).resources
        if TAGGABLE.match(resource.type)
    }

    def tags(name: str, **more: str) -> Mapping[str, str]:
        return {"Name": name, "lls:cluster": "demo", "lls:managed-by": "customer", "Project": "nvcf"} | {
            f"lls:{key}": value for key, value in more.items()
        }

    assert made == {
        "streaming-sg": ("demo-rp-sg", tags("demo-rp-sg", purpose="streaming-nlb")),
        "streaming-ingress-0.0.0.0/0": (None, tags("demo-rp-sg-ingress")),
        "streaming-egress": (None, tags("demo-rp-sg-egress")),
        "streaming-eip": (None, tags("demo-lls-eip")),
        "streaming-tg": ("demo-rp-tg", tags("demo-rp-tg", purpose="streaming-targets")),
        "streaming-nlb": ("rp-public-demo", tags("rp-public-demo", purpose="streaming-traffic")),
        "streaming-listener": (None, tags("rp-public-demo")),
        "node-ports-media": (None, tags("streaming-proxy-udp-30504")),
        "node-ports-health": (None, tags("streaming-proxy-tcp-30800")),
        "node-ports-internal-udp-6004": (None, tags("streaming-proxy-udp-6004")),
        "node-ports-internal-udp-3478": (None, tags("streaming-proxy-udp-3478")),
        "node-ports-internal-tcp-8000": (None, tags("streaming-proxy-tcp-8000")),
    }


def test_an_instance_is_in_every_name_and_all_tags_and_changes_nothing_else() -> None:
    plain = up({"lls:staticIp": "true"}).engine.state
    made = up({"lls:staticIp": "true", "lls:instance": "b2"}).engine.state
    assert made.keys() == plain.keys()
    for urn, resource in made.items():
        inputs = dict(resource.inputs)
        if TAGGABLE.match(resource.type):
            tags = dict(inputs["tags"])
            assert tags.pop("lls:instance") == "b2", resource.name
            names = [tags["Name"], *([inputs["name"]] if "name" in inputs else [])]
            assert all("-b2" in name for name in names), names
            inputs["tags"] = tags
        assert json.loads(json.dumps(inputs).replace("-b2", "")) == plain[urn].inputs


def test_every_resource_but_components_and_the_provider_has_a_component_as_parent(shape: RecordedStack) -> None:
    for resource in shape.resources:
        if resource.type != "pulumi:providers:kubernetes":
            assert "::lls:index:" in resource.parent.replace("$", "::"), resource.name


def test_logical_names_hold_neither_the_clusters_name_nor_a_port(shape: RecordedStack) -> None:
    cluster = shape.engine.config["lls:clusterName"]
    for resource in shape.engine.state.values():
        assert cluster not in resource.name
        if "internal" not in resource.name:
            assert not re.search(r"5004|6000|30504|30600|30800|30900", resource.name), resource.name


def test_no_input_holds_the_registry_token(shape: RecordedStack) -> None:
    assert "QVdTOnNlY3JldA" not in json.dumps([resource.inputs for resource in shape.engine.state.values()])


def test_outputs_are_the_contracts(shape: RecordedStack) -> None:
    config = shape.engine.config
    static = {"staticIp"} if {"lls:staticIp", "lls:eipAllocationId"} & config.keys() else set[str]()
    named = {"dnsName"} if "lls:dnsName" in config else set[str]()
    assert shape.engine.outputs.keys() == CONTRACT_OUTPUTS - {"staticIp", "dnsName"} | static | named


def test_a_second_up_changes_nothing(shape: RecordedStack) -> None:
    assert {step.operation for step in shape.engine.up()} == {"same"}


def test_a_preview_before_the_first_up_plans_everything_and_makes_nothing(shape: RecordedStack) -> None:
    fresh = recorded(shape.engine.config)
    steps = fresh.engine.preview()
    assert {step.operation for step in steps} == {"create"}
    assert {step.resource.name for step in steps} == shape.names()
    assert not fresh.recorder.did
    assert not fresh.engine.state


def test_a_preview_after_an_up_plans_nothing(shape: RecordedStack) -> None:
    before = len(shape.recorder.did)
    assert {step.operation for step in shape.engine.preview()} == {"same"}
    assert len(shape.recorder.did) == before


def test_destroy_deletes_every_resource_once(shape: RecordedStack) -> None:
    made = up(shape.engine.config)
    names = [step.resource.name for step in made.engine.destroy() if step.resource.custom]
    assert sorted(names) == sorted(shape.names())
    assert not made.engine.state


def test_outputs_have_their_values_and_types() -> None:
    outputs = up({"lls:staticIp": "true"}).engine.outputs
    assert outputs["udpPort"] == 5004
    assert isinstance(outputs["udpPort"], int)
    assert outputs["streamingEndpoint"] == "demo.elb.example:5004"
    assert outputs["staticIp"] == "203.0.113.5"
    assert outputs["targets"] == ["10.0.0.1", "10.0.0.2"]


def test_the_typed_outputs_are_the_contracts() -> None:
    described = {name: var.key for name, var in vars(LlsOutputs).items() if isinstance(var, StackOutput)}
    assert set(described.values()) == CONTRACT_OUTPUTS
    assert all(to_camel(name) == key for name, key in described.items())


def test_one_port_feeds_rule_listener_and_chart() -> None:
    made = up({"lls:udpPort": "6000"})
    assert made.named("streaming-ingress-0.0.0.0/0").inputs["fromPort"] == 6000
    assert made.of("Listener")[0].inputs["port"] == 6000
    assert made.of("Release")[0].inputs["values"]["env"]["lbPort"] == "6000"


def test_the_chart_gets_the_nlbs_name_by_data_flow() -> None:
    made = up()
    [release], [balancer] = made.of("Release"), made.of("LoadBalancer")
    assert release.inputs["values"]["env"]["lbDns"] == "demo.elb.example"
    assert balancer.urn in release.property_dependencies["values"]


def test_the_zone_is_that_of_the_chart_too() -> None:
    values = up().of("Release")[0].inputs["values"]
    assert values["availabilityZones"] == {"enabled": True, "zones": ["us-west-2a"]}


def test_a_given_kubeconfig_is_a_secret_and_the_built_one_needs_not_be() -> None:
    kubeconfig = json.dumps({"contexts": [{"name": "one"}], "users": ["hunter2"]})
    made = up({"lls:kubeconfig": kubeconfig, "lls:kubeContext": "one"})
    assert "kubeconfig" in made.named("cluster").secrets
    assert made.named("cluster").inputs["context"] == "one"
    assert "kubeconfig" not in up().named("cluster").secrets


def test_secret_helm_values_are_secret_inputs() -> None:
    made = up(as_config(helmValues={"env": {"key": "hunter2"}}), secret_keys=["lls:helmValues"])
    [release] = made.of("Release")
    assert "values" in release.secrets
    assert release.inputs["values"]["env"]["key"] == "hunter2"
    assert release.inputs["values"]["env"]["lbPort"] == "5004"


@pytest.mark.parametrize("secret_keys", [[], ["lls:helmValues"]], ids=["plain", "secret"])
def test_a_null_of_the_helm_values_reaches_the_release_as_one(secret_keys: list[str]) -> None:
    made = up(as_config(helmValues={"nodeSelector": None, "image": {"pullPolicy": None}}), secret_keys=secret_keys)
    sent = made.of("Release")[0].inputs["values"]
    assert (sent["nodeSelector"], sent["image"]["pullPolicy"]) == (None, None)
    assert sent["image"]["tag"] == "2.0.1"


def test_the_provider_is_told_which_cluster_it_serves() -> None:
    assert up().named("cluster").inputs["clusterIdentifier"] == "arn:aws:eks:us-west-2:123456789012:cluster/demo"


def converged(changes: Mapping[str, str], start: Mapping[str, str] | None = None) -> dict[str, set[str]]:
    """What one `up` does about a change: operation to logical names."""
    made = up(start)
    made.engine.config = {**made.engine.config, **changes}
    done: dict[str, set[str]] = {}
    for step in made.engine.up():
        done.setdefault(step.operation, set()).add(step.resource.name)
    assert {step.operation for step in made.engine.up()} == {"same"}
    del done["same"]
    return done


CHANGES: list[tuple[str, Mapping[str, str], Mapping[str, str], Mapping[str, set[str]]]] = [
    (
        "the UDP port changes in place everywhere",
        {},
        {"lls:udpPort": "6000"},
        {"update": {"streaming-ingress-0.0.0.0/0", "streaming-listener", "proxy-release"}},
    ),
    (
        "a CIDR joins and another leaves without touching the rest",
        as_config(allowedCidrs=["10.0.0.0/8", "10.64.0.0/10"]),
        as_config(allowedCidrs=["10.64.0.0/10", "pl-0abc"]),
        {"create": {"streaming-ingress-pl-0abc"}, "delete": {"streaming-ingress-10.0.0.0/8"}},
    ),
    (
        "a mere tag change replaces nothing",
        {},
        as_config(tags={"team": "streaming"}),
        {
            "update": {
                "streaming-sg",
                "streaming-ingress-0.0.0.0/0",
                "streaming-egress",
                "streaming-tg",
                "streaming-nlb",
                "streaming-listener",
                "node-ports-media",
                "node-ports-health",
                "node-ports-internal-udp-6004",
                "node-ports-internal-udp-3478",
                "node-ports-internal-tcp-8000",
            }
        },
    ),
    (
        "a node that goes and one that comes leave the others registered",
        {},
        as_config(targets=["10.0.0.2", "10.0.0.3"]),
        {"create": {"targets-10.0.0.3"}, "delete": {"targets-10.0.0.1"}},
    ),
    (
        "a new chart version is an upgrade",
        {},
        {"lls:chartVersion": "3.0.0"},
        {"update": {"proxy-release"}},
    ),
    (
        "a new image tag is an upgrade",
        {},
        {"lls:imageTag": "3.0.2"},
        {"update": {"proxy-release"}},
    ),
    (
        "deletion protection is switched in place",
        {},
        {"lls:deletionProtection": "true"},
        {"update": {"streaming-nlb"}},
    ),
    (
        "health settings change in place",
        {},
        as_config(healthNodePort=30900, healthPath="/healthz"),
        {"update": {"streaming-tg", "node-ports-health"}},
    ),
    (
        "a static address replaces the NLB and its listener only",
        {},
        {"lls:staticIp": "true"},
        {
            "create": {"streaming-eip"},
            "delete": {"streaming-nlb", "streaming-listener"},
            "replace": {"streaming-nlb", "streaming-listener"},
            "update": {"proxy-release"},
        },
    ),
    (
        "an existing address replaces the NLB and its listener only",
        {},
        {"lls:eipAllocationId": "eipalloc-7"},
        {
            "delete": {"streaming-nlb", "streaming-listener"},
            "replace": {"streaming-nlb", "streaming-listener"},
            "update": {"proxy-release"},
        },
    ),
    (
        "another release name replaces the release, deleted first",
        {},
        {"lls:releaseName": "streaming"},
        {"delete": {"proxy-release"}, "replace": {"proxy-release"}},
    ),
    (
        "another target type gives a new target group and new targets",
        {},
        as_config(targetType="instance", targets=["i-0a1b2c3d"]),
        {
            "replace": {"streaming-tg"},
            "update": {"streaming-listener"},
            "create": {"targets-i-0a1b2c3d"},
            "delete": {"streaming-tg", "targets-10.0.0.1", "targets-10.0.0.2"},
        },
    ),
    (
        "internal rules are removed when the node group has them",
        {},
        {"lls:nodeInternalRules": "false"},
        {"delete": {"node-ports-internal-udp-6004", "node-ports-internal-udp-3478", "node-ports-internal-tcp-8000"}},
    ),
]


@pytest.mark.parametrize(
    ("start", "change", "expected"), [change[1:] for change in CHANGES], ids=[change[0] for change in CHANGES]
)
def test_a_change_converges_in_one_up(
    start: Mapping[str, str], change: Mapping[str, str], expected: Mapping[str, set[str]]
) -> None:
    assert converged(change, start) == expected


def test_a_changed_port_of_the_target_group_changes_its_name_so_that_both_can_exist() -> None:
    made = up()
    [before] = made.of("TargetGroup")
    made.engine.config = {**made.engine.config, "lls:streamingNodePort": "30600"}
    made.engine.up()
    [after] = made.of("TargetGroup")
    assert before.inputs["name"] == "demo-rp-tg"
    assert re.fullmatch("demo-rp-tg-[0-9a-f]{6}", after.inputs["name"])
    assert after.delete_before_replace is False  # where the options say nothing, pulumi-aws deletes first


def test_a_static_address_that_is_still_unknown_is_previewed_as_an_update_and_replaces_the_nlb_at_up() -> None:
    made = up()
    made.engine.config = {**made.engine.config, "lls:staticIp": "true"}
    planned, done = (
        [step.operation for step in steps if step.resource.name == "streaming-nlb"]
        for steps in (made.engine.preview(), made.engine.up())
    )
    assert planned == ["update"]
    assert done == ["delete", "replace"]


def test_a_mistake_in_the_config_creates_nothing() -> None:
    made = recorded({"lls:udpPort": "0"})
    with pytest.raises(Exception, match="lls:udpPort = "):
        made.engine.up()
    assert not made.recorder.did
    assert not made.recorder.invoked


def test_nothing_is_logged_above_information_when_all_is_well() -> None:
    assert all(message.startswith("Looking up ") for message in up().log.messages)
