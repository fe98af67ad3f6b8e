import asyncio
import contextvars
import json
from collections.abc import Collection, Mapping
from typing import Any, cast

import pulumi
import pytest
import yaml
from pulumi.runtime import set_all_config

from lls.config import OTHER_KEYS, SCHEMA, Config, load
from tests.conftest import CONFIG, as_config

KUBECONFIG = yaml.safe_dump({"contexts": [{"name": "one"}, {"name": "two"}], "clusters": [], "users": []})


def loaded(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> Config:
    async def run() -> Config:
        set_all_config(dict(config), list(secret_keys))
        return load()

    return contextvars.Context().run(asyncio.run, run())


def problems(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        loaded(config, secret_keys)
    first, *rest = str(caught.value).splitlines()
    assert first == "The stack's config needs a change:"
    return rest


def test_three_keys_are_enough() -> None:
    config = loaded(
        {"aws:region": "us-west-2", "lls:clusterName": "demo", "lls:availabilityZone": "us-west-2a"},
    )
    assert config.udp_port == 5004
    assert config.allowed_cidrs == ("0.0.0.0/0",)
    assert config.node_selector == {"node-type": "compute"}
    assert config.prefix == "demo"


def test_every_declared_key_is_a_field_and_every_field_is_declared() -> None:
    declared = set(yaml.safe_load(SCHEMA.read_text())["config"])
    fields = {field.alias for field in Config.model_fields.values()}
    assert fields - declared == {*OTHER_KEYS, "aws:"}
    assert declared <= fields


def test_every_declared_key_has_type_and_description() -> None:
    for key, declared in yaml.safe_load(SCHEMA.read_text())["config"].items():
        assert declared["type"] in ("string", "integer", "boolean", "array", "object"), key
        assert declared["description"].endswith("."), key


def test_the_config_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded(CONFIG).udp_port = 1  # pyright: ignore[reportAttributeAccessIssue]


BAD: list[tuple[str, Any, str]] = [
    ("clusterName", "-demo", "use the name of an EKS cluster"),
    ("clusterName", "d" * 101, "1 to 100"),
    ("clusterName", "", "use the name of an EKS cluster"),
    ("instance", "B", "at most 8 lower-case letters and digits"),
    ("instance", "zone-b", "at most 8 lower-case letters and digits"),
    ("instance", "b" * 9, "at most 8 lower-case letters and digits"),
    ("availabilityZone", "us-east-1a", "use a zone of aws:region us-west-2"),
    ("availabilityZone", "usw2-az1", "not a zone id"),
    ("availabilityZone", "us-west-2", "such as us-west-2a"),
    ("udpPort", 0, "1 to 65535"),
    ("udpPort", 65536, "1 to 65535"),
    ("udpPort", "five", "valid integer"),
    ("udpPort", 30504, "use another port: lls:udpPort has this one"),
    ("allowedCidrs", [], "at least one CIDR"),
    ("allowedCidrs", ["10.0.0.0/8", "10.0.0.0/8"], "each only once"),
    ("allowedCidrs", ["10.0.0.1/8"], "without host bits"),
    ("allowedCidrs", ["everyone"], "IPv4 or IPv6 CIDR"),
    ("allowedCidrs", "10.0.0.0/8", "valid tuple"),
    ("staticIp", "maybe", "valid boolean"),
    ("eipAllocationId", "203.0.113.5", "use an allocation id"),
    ("vpcId", "subnet-1", "use a VPC's id"),
    ("publicSubnetId", "vpc-1", "use a subnet's id"),
    ("nodeSecurityGroupId", "default", "use a security group's id"),
    ("targetType", "lambda", "'ip' or 'instance'"),
    ("registration", "magic", "'nodes', 'static'"),
    ("registration", "autoscaling", "autoscaling registers instances: set lls:targetType instance"),
    ("registration", "binding", "binding registers instances: set lls:targetType instance"),
    ("replicas", "2", "more than one needs lls:stickiness true"),
    ("deregistrationDelay", "3601", "use 0 to 3600 seconds"),
    ("drainSeconds", "-1", "use 0 to 3600 seconds"),
    ("servicePort", "0", "use a port from 1 to 65535"),
    ("nodeGroups", [""], "use the name of a managed node group"),
    ("nodeGroups", ["gpu", "gpu"], "each node group only once"),
    ("serviceName", "Proxy", "use the name of a service"),
    ("targets", [], "at least one target"),
    ("targets", ["10.0.0.1", "10.0.0.1"], "each only once"),
    ("targets", ["i-0a1b2c3d"], "needs IPv4 addresses"),
    ("nodeSelector", {"bad key": "x"}, "use a Kubernetes label key"),
    ("nodeSelector", {"node-type": "with space"}, "use a Kubernetes label value"),
    ("nodeSelector", {"gpu": True}, "valid string"),
    ("nodeSelector", ["node-type"], "valid dictionary"),
    ("streamingNodePort", 29999, "30000 to 32767"),
    ("healthNodePort", 32768, "30000 to 32767"),
    ("healthNodePort", 30504, "use another port: lls:streamingNodePort has this one"),
    ("healthPath", "v1/health", "begins with /"),
    ("healthPath", "/with space", "no spaces"),
    ("repositoryPrefix", "Upper", "'upper'"),
    ("chart", "oci://registry.example/Charts/x", "lower case"),
    ("chart", "oci://registry.example/charts/x:1.0.0", "lls:chartVersion"),
    ("chart", "./missing", "existing chart folder"),
    ("chartVersion", "latest", "exact semantic version"),
    ("chartVersion", ">=2.0.0", "exact semantic version"),
    ("imageRepository", "oci://registry.example/x", "without oci://"),
    ("imageRepository", "registry.example/x:1", "lls:imageTag"),
    ("imageTag", "2.0.1 ", "image tag"),
    ("registryConfig", "missing.json", "existing docker-style auth file"),
    ("namespace", "default", "neither default"),
    ("namespace", "kube-system", "neither default"),
    ("namespace", "n" * 64, "at most 63"),
    ("releaseName", "r" * 54, "at most 53"),
    ("releaseName", "Release", "a-z"),
    ("replicas", 0, "at least 1"),
    ("cpu", "5 cores", "Kubernetes quantity"),
    ("cpu", "0", "positive"),
    ("memory", "24GB", "Kubernetes quantity"),
    ("memory", "-1Gi", "positive"),
    ("helmTimeout", 0, "at least 1"),
    ("helmValues", "text", "valid dictionary"),
    ("deletionProtection", "perhaps", "valid boolean"),
    ("tags", {"aws:owner": "me"}, "not aws:"),
    ("tags", {"k" * 129: "v"}, "1 to 128"),
    ("tags", {"key": "v" * 257}, "at most 256"),
    ("tags", {f"key{number}": "" for number in range(46)}, "at most 45"),
    ("tags", {"lls:instance": "b"}, "set the key lls:instance instead"),
    ("kubeContext", "one", "which has: none"),
]


@pytest.mark.parametrize(("key", "value", "remedy"), BAD, ids=[f"{key}={value!s:.20}" for key, value, _ in BAD])
def test_a_bad_value_is_one_problem_with_key_value_and_remedy(key: str, value: Any, remedy: str) -> None:
    [problem] = problems({**CONFIG, **as_config(**{key: value})})
    assert f"lls:{key}" in problem
    assert any(json.dumps(part) in problem for part in parts_of(value))
    assert remedy in problem


def parts_of(value: Any) -> list[Any]:
    """A value, or the part of it that the problem is about."""
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        return [mapping, *mapping.keys(), *mapping.values()]
    return [value, *cast(list[Any], value)] if isinstance(value, list) else [value]


def test_an_instance_takes_one_of_the_tags() -> None:
    most = as_config(instance="b", tags={f"key{number}": "" for number in range(44)})
    assert loaded({**CONFIG, **most}).instance == "b"
    [problem] = problems({**CONFIG, **most, **as_config(tags={f"key{number}": "" for number in range(45)})})
    assert "use at most 44 tags: AWS takes 50" in problem


def test_a_problem_with_one_part_of_a_list_shows_that_part() -> None:
    [problem] = problems({**CONFIG, **as_config(allowedCidrs=["10.0.0.0/8", "10.0.0.1/8"])})
    assert problem.startswith('  lls:allowedCidrs[1] = "10.0.0.1/8": use ')


@pytest.mark.parametrize("key", ["aws:region", "lls:clusterName", "lls:availabilityZone"])
def test_a_missing_required_key_is_named_with_the_command_that_sets_it(key: str) -> None:
    [problem] = problems({each: value for each, value in CONFIG.items() if each != key})
    assert f"pulumi config set {key} VALUE" in problem


def test_an_unknown_key_is_refused_with_the_key_that_was_meant() -> None:
    [problem] = problems({**CONFIG, "lls:udpport": "6000"})
    assert "did you mean lls:udpPort?" in problem
    assert "pulumi config rm lls:udpport" in problem


def test_keys_of_other_namespaces_are_left_alone() -> None:
    assert loaded({**CONFIG, "aws:profile": "prod", "other:key": "x"}).profile == "prod"


def test_all_problems_are_reported_at_once() -> None:
    bad = {**CONFIG, **as_config(udpPort=0, cpu="none", targets=["i-1"], allowedCidrs=["a", "b"], unknown="x")}
    del bad["lls:clusterName"]
    found = problems(bad)
    for key in ("udpPort", "cpu", "targets", "allowedCidrs[0]", "allowedCidrs[1]", "unknown", "clusterName"):
        assert any(f"lls:{key}" in problem for problem in found), key
    assert len(found) == 7


def test_a_cluster_name_with_capitals_needs_a_repository_prefix() -> None:
    [problem] = problems({**CONFIG, "lls:clusterName": "Demo"})
    assert problem.startswith("  lls:repositoryPrefix")
    assert "'demo'" in problem
    assert loaded({**CONFIG, "lls:clusterName": "Demo", "lls:repositoryPrefix": "demo"}).prefix == "demo"


def test_a_prefix_that_nothing_uses_is_not_checked() -> None:
    given = as_config(clusterName="Demo", chart="oci://registry.example/x", imageRepository="registry.example/y")
    assert loaded({**CONFIG, **given}).cluster_name == "Demo"


def test_instance_targets_are_instance_ids() -> None:
    config = {**CONFIG, **as_config(targetType="instance", targets=["i-0a1b2c3d4e5f60718"])}
    assert loaded(config).targets == ("i-0a1b2c3d4e5f60718",)
    [problem] = problems({**config, **as_config(targets=["10.0.0.1"])})
    assert "needs instance ids" in problem


def test_a_context_must_be_one_of_the_kubeconfig() -> None:
    config = {**CONFIG, "lls:kubeconfig": KUBECONFIG}
    assert loaded({**config, "lls:kubeContext": "two"}).kube_context == "two"
    [problem] = problems({**config, "lls:kubeContext": "three"})
    assert "which has: one, two" in problem


@pytest.mark.parametrize("text", ["~/.kube/config", "{", "[]", "contexts: []", "contexts: [{}]"])
def test_a_kubeconfig_that_is_none_is_refused_without_being_shown(text: str) -> None:
    [problem] = problems({**CONFIG, "lls:kubeconfig": text})
    assert problem.startswith("  lls:kubeconfig = [secret]: give the contents of a kubeconfig")


def test_a_secret_value_is_never_shown_in_a_problem() -> None:
    found = problems({**CONFIG, "lls:memory": "hunter2"}, secret_keys=["lls:memory"])
    assert "hunter2" not in "".join(found)
    assert all(problem.startswith("  lls:memory = [secret]: ") for problem in found)


@pytest.mark.parametrize("key", ["clusterName", "tags", "targets"])
def test_a_secret_that_would_end_up_in_clear_is_refused(key: str) -> None:
    config = {**CONFIG, "lls:tags": '{"team": "streaming"}'}
    [problem] = problems(config, secret_keys=[f"lls:{key}"])
    assert "set it without --secret" in problem


def test_secret_helm_values_stay_secret_leaf_by_leaf() -> None:
    values = loaded({**CONFIG, **as_config(helmValues={"env": {"key": "hunter2"}})}, ["lls:helmValues"]).helm_values
    assert isinstance(values["env"]["key"], pulumi.Output)
    assert "hunter2" not in repr(values)


@pytest.mark.parametrize("zone", ["us-west-2d", "us-west-2-lax-1a"])
def test_zones_and_local_zones_of_the_region_are_accepted(zone: str) -> None:
    assert loaded({**CONFIG, "lls:availabilityZone": zone}).availability_zone == zone


@pytest.mark.parametrize(
    ("region", "zone"),
    [("us-gov-west-1", "us-gov-west-1a"), ("cn-north-1", "cn-north-1b"), ("ap-southeast-3", "ap-southeast-3c")],
)
def test_regions_of_every_partition_are_accepted(region: str, zone: str) -> None:
    assert loaded({**CONFIG, "aws:region": region, "lls:availabilityZone": zone}).region == region


def test_ipv6_cidrs_are_accepted_in_their_canonical_form() -> None:
    assert loaded({**CONFIG, **as_config(allowedCidrs=["2001:db8::/32"])}).allowed_cidrs == ("2001:db8::/32",)
    [problem] = problems({**CONFIG, **as_config(allowedCidrs=["2001:DB8::/32"])})
    assert "without host bits" in problem


@pytest.mark.parametrize("quantity", ["5000m", "5", "0.5", "24Gi", "1e3", "128974848"])
def test_every_form_of_kubernetes_quantity_is_accepted(quantity: str) -> None:
    assert loaded({**CONFIG, "lls:memory": quantity}).memory == quantity


def test_targets_are_only_read_by_static_registration() -> None:
    assert loaded({**CONFIG, "lls:registration": "nodes", "lls:targets": '["later"]'}).targets == ("later",)
