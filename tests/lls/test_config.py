import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pulumi
import pytest
import yaml

from lls.config import OTHER_KEYS, SCHEMA, Config, schema
from tests.support.configs import BAD, KUBECONFIG, config_problems, loaded
from tests.support.recorded import CONFIG, as_config


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


@pytest.mark.parametrize(("key", "value", "remedy"), BAD, ids=[f"{key}={value!s:.20}" for key, value, _ in BAD])
def test_a_bad_value_is_one_problem_with_key_value_and_remedy(key: str, value: Any, remedy: str) -> None:
    [problem] = config_problems({**CONFIG, **as_config(**{key: value})})
    assert f"lls:{key}" in problem
    assert any(json.dumps(part) in problem for part in parts_of(value))
    assert remedy in problem


def parts_of(value: Any) -> Iterator[Any]:
    """A value, and the parts of it that the problem may be about."""
    yield value
    if isinstance(value, dict):
        for key, part in cast(dict[str, Any], value).items():
            yield from (key, *parts_of(part))
    if isinstance(value, list):
        for part in cast(list[Any], value):
            yield from parts_of(part)


def test_an_instance_takes_one_of_the_tags() -> None:
    most = as_config(instance="b", tags={f"key{number}": "" for number in range(44)})
    assert loaded({**CONFIG, **most}).instance == "b"
    [problem] = config_problems({**CONFIG, **most, **as_config(tags={f"key{number}": "" for number in range(45)})})
    assert "use at most 44 tags: AWS takes 50" in problem


def test_a_problem_with_one_part_of_a_list_shows_that_part() -> None:
    [problem] = config_problems({**CONFIG, **as_config(allowedCidrs=["10.0.0.0/8", "10.0.0.1/8"])})
    assert problem.startswith('  lls:allowedCidrs[1] = "10.0.0.1/8": use ')


@pytest.mark.parametrize("key", ["aws:region", "lls:clusterName", "lls:availabilityZone"])
def test_a_missing_required_key_is_named_with_the_command_that_sets_it(key: str) -> None:
    [problem] = config_problems({other: value for other, value in CONFIG.items() if other != key})
    assert f"pulumi config set {key} VALUE" in problem


def test_an_unknown_key_is_refused_with_the_key_that_was_meant() -> None:
    [problem] = config_problems({**CONFIG, "lls:udpport": "6000"})
    assert "did you mean lls:udpPort?" in problem
    assert "pulumi config rm lls:udpport" in problem


def test_keys_of_other_namespaces_are_left_alone() -> None:
    assert loaded({**CONFIG, "aws:profile": "prod", "other:key": "x"}).profile == "prod"


def test_all_problems_are_reported_at_once() -> None:
    bad = {**CONFIG, **as_config(udpPort=0, cpu="none", targets=["i-1"], allowedCidrs=["a", "b"], unknown="x")}
    del bad["lls:clusterName"]
    found = config_problems(bad)
    for key in ("udpPort", "cpu", "targets", "allowedCidrs[0]", "allowedCidrs[1]", "unknown", "clusterName"):
        assert any(f"lls:{key}" in problem for problem in found), key
    assert len(found) == 7


def test_a_cluster_name_with_capitals_needs_a_repository_prefix() -> None:
    [problem] = config_problems({**CONFIG, "lls:clusterName": "Demo"})
    assert problem.startswith("  lls:repositoryPrefix")
    assert "'demo'" in problem
    assert loaded({**CONFIG, "lls:clusterName": "Demo", "lls:repositoryPrefix": "demo"}).prefix == "demo"


def test_a_prefix_that_nothing_uses_is_not_checked() -> None:
    given = as_config(clusterName="Demo", chart="oci://registry.example/x", imageRepository="registry.example/y")
    assert loaded({**CONFIG, **given}).cluster_name == "Demo"


def test_instance_targets_are_instance_ids() -> None:
    config = {**CONFIG, **as_config(targetType="instance", targets=["i-0a1b2c3d4e5f60718"])}
    assert loaded(config).targets == ("i-0a1b2c3d4e5f60718",)
    [problem] = config_problems({**config, **as_config(targets=["10.0.0.1"])})
    assert "needs instance ids" in problem


def test_a_context_must_be_one_of_the_kubeconfig() -> None:
    config = {**CONFIG, "lls:kubeconfig": KUBECONFIG}
    assert loaded({**config, "lls:kubeContext": "two"}).kube_context == "two"
    [problem] = config_problems({**config, "lls:kubeContext": "three"})
    assert "which has: one, two" in problem


@pytest.mark.parametrize("text", ["~/.kube/config", "{", "[]", "contexts: []", "contexts: [{}]"])
def test_a_kubeconfig_that_is_none_is_refused_without_being_shown(text: str) -> None:
    [problem] = config_problems({**CONFIG, "lls:kubeconfig": text})
    assert problem.startswith("  lls:kubeconfig = [secret]: give the contents of a kubeconfig")


def test_a_secret_value_is_never_shown_in_a_problem() -> None:
    found = config_problems({**CONFIG, "lls:memory": "hunter2"}, secret_keys=["lls:memory"])
    assert "hunter2" not in "".join(found)
    assert all(problem.startswith("  lls:memory = [secret]: ") for problem in found)


@pytest.mark.parametrize("key", ["clusterName", "tags", "targets"])
def test_a_secret_that_would_end_up_in_clear_is_refused(key: str) -> None:
    config = {**CONFIG, "lls:tags": '{"team": "streaming"}'}
    [problem] = config_problems(config, secret_keys=[f"lls:{key}"])
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


def test_prefix_lists_are_sources_beside_cidrs() -> None:
    sources = ("203.0.113.0/24", "pl-0abc")
    assert loaded({**CONFIG, **as_config(allowedCidrs=list(sources))}).allowed_cidrs == sources


def test_the_single_group_of_the_nodes_is_one_of_several_or_a_problem() -> None:
    both = {**CONFIG, **as_config(nodeSecurityGroupId="sg-0a", nodeSecurityGroupIds=["sg-0b", "sg-0a"])}
    assert loaded(both).node_security_group_ids == ("sg-0b", "sg-0a")
    [problem] = config_problems({**both, **as_config(nodeSecurityGroupIds=["sg-0b"])})
    assert problem.startswith('  lls:nodeSecurityGroupIds = ["sg-0b"]: lls:nodeSecurityGroupId is sg-0a')
    assert "or leave that key empty" in problem


@pytest.mark.parametrize("quantity", ["5000m", "5", "0.5", "24Gi", "1e3", "128974848"])
def test_every_form_of_kubernetes_quantity_is_accepted(quantity: str) -> None:
    assert loaded({**CONFIG, "lls:memory": quantity}).memory == quantity


def test_targets_are_only_read_by_static_registration() -> None:
    assert loaded({**CONFIG, "lls:registration": "nodes", "lls:targets": '["later"]'}).targets == ("later",)


# --- Types

WRONG: Mapping[str, Any] = {
    "text": "x y",
    "empty": "",
    "whole": 7,
    "huge": 10**400,
    "float": 1.5,
    "boolean": True,
    "null": None,
    "list": ["x y", 5, None],
    "mapping": {"a b": "x", "c": 5, "d": None},
    "nested": {"env": {"a": [{"b": True}]}, "list": [[{}]]},
    "list of lists": [[1], {"a": None}],
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("key", [*schema(), *OTHER_KEYS])
def test_every_wrong_type_of_every_key_is_told_in_our_words_with_key_and_remedy(key: str, kind: str) -> None:
    value = WRONG[kind]
    full = key if ":" in key else f"lls:{key}"
    try:
        loaded({**CONFIG, full: value if isinstance(value, str) else json.dumps(value)})
    except pulumi.RunError as error:
        head, *problems = str(error).splitlines()
        assert head == "The stack's config needs a change:"
        assert any(problem.startswith(f"  {full}") for problem in problems)
        for problem in problems:
            assert re.match(r"  (aws|lls):\w+(\[[^]]+\])* = .+: .{10,}$", problem)
            assert not re.search("Input should|validation error|pydantic|Value error|Field required", problem)


@pytest.mark.parametrize("key", ["nodeSelector", "tags"])
def test_booleans_and_whole_numbers_become_the_texts_that_they_were(key: str) -> None:
    given = {"gpu": True, "spot": False, "generation": 5, "account": 123456789012, "plain": "5"}
    told = {"gpu": "true", "spot": "false", "generation": "5", "account": "123456789012", "plain": "5"}
    assert loaded({**CONFIG, **as_config(**{key: given})}).model_dump(by_alias=True)[key] == told


@pytest.mark.parametrize(("value", "told"), [(1.1, "put it in quotes"), (None, "null is no text"), (10**20, "quotes")])
@pytest.mark.parametrize("key", ["nodeSelector", "tags"])
def test_what_may_have_been_another_text_is_to_be_quoted(key: str, value: Any, told: str) -> None:
    [problem] = config_problems({**CONFIG, **as_config(**{key: {"version": value}})})
    assert problem.startswith(f"  lls:{key}[version] = {json.dumps(value)}: ")
    assert told in problem


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"a": {"b": [2**53, 2**53 + 1]}}, "[a][b][1]"),
        ({"a": -(2**53) - 1}, "[a]"),
        ({"a": 1e30}, "[a]"),
        ({"env": {"debug": True}}, "[env][debug]"),
        ({"env": {"level": 3}}, "[env][level]"),
        ({"env": {"ratio": 0.5}}, "[env][ratio]"),
        ({"env": [{"name": "debug", "value": True}]}, "[env][0][value]"),
        ({"sidecar": {"env": [{"name": "level", "value": 3}]}}, "[sidecar][env][0][value]"),
    ],
)
@pytest.mark.parametrize("secret_keys", [[], ["lls:helmValues"]], ids=["plain", "secret"])
def test_helm_values_that_would_arrive_as_something_else_are_to_be_quoted(
    values: Any, where: str, secret_keys: list[str]
) -> None:
    [problem] = config_problems({**CONFIG, **as_config(helmValues=values)}, secret_keys)
    assert problem.startswith(f"  lls:helmValues{where} = ")
    assert problem.endswith('put it in quotes, as in "5"')
    assert ("[secret]" in problem) is bool(secret_keys)


@pytest.mark.parametrize(
    "values",
    [
        {"a": 2**53, "b": -(2**53), "c": 0.1, "d": True, "e": None},
        {"env": {"a": "true", "b": "5", "c": None, "nested": {"enabled": True}}},
        {"env": [{"name": "a", "value": "true"}, {"name": "b", "valueFrom": {"optional": True}}]},
    ],
)
def test_other_helm_values_are_taken_as_they_are(values: Any) -> None:
    assert loaded({**CONFIG, **as_config(helmValues=values)}).helm_values == values
