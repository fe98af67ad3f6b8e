"""The provider protocol, as an engine's client speaks it to the plugins of a world."""

import base64
import json
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2

from lls.operations.world.inventory import ADDRESS, BALANCER, GROUP
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE
from rehearsal.kubernetes.api import kubeconfig_for
from tests.support.plugin_client import UNKNOWN, Plugin, PluginError, message, secret, started
from tests.support.real import ChangingRealRehearsal, a_real_rehearsal
from tests.support.silent import put_on_path

HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
CHART: dict[str, Any] = {
    "name": "proxy",
    "namespace": "x",
    "chart": f"oci://{HOST}/demo/gdn-streaming",
    "values": {},
    "timeout": 60,
}
TAGS = {"team": "x"}
SAME = provider_pb2.DiffResponse.DIFF_NONE
SOME = provider_pb2.DiffResponse.DIFF_SOME


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[ChangingRealRehearsal]:
    """A world with plugins, and a CLI that does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        put_on_path(patch, tmp_path_factory.mktemp("bin"), "pulumi", "exit 0")
        with a_real_rehearsal({}, tmp_path_factory.mktemp("project"), factor=10_000.0) as rehearsal:
            yield rehearsal


@pytest.fixture(scope="module")
def aws(world: ChangingRealRehearsal, tmp_path_factory: pytest.TempPathFactory) -> Generator[Plugin]:
    """The AWS plugin of that world."""
    with started(world.commands, "aws", tmp_path_factory.mktemp("aws")) as plugin:
        plugin.configure(region="us-west-2", version="7.0.0")
        yield plugin


def group_in(world: ChangingRealRehearsal, name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "description": "x", "vpcId": world.aws.vpc_id, "tags": TAGS, **changes}


def kubeconfig(world: ChangingRealRehearsal) -> str:
    return kubeconfig_for(world.kubernetes.endpoint, "x")


# --- The plugin itself


@pytest.mark.parametrize(("package", "major"), [("aws", "7"), ("kubernetes", "4")])
def test_a_plugin_has_the_version_of_the_package_that_the_program_uses(
    package: str, major: str, world: ChangingRealRehearsal, tmp_path: Path
) -> None:
    with started(world.commands, package, tmp_path) as plugin:
        version = plugin.ask("GetPluginInfo", Empty()).version
        schema = json.loads(plugin.ask("GetSchema", provider_pb2.GetSchemaRequest()).schema)
    assert version.split(".")[0] == major
    assert schema == {"name": package, "version": version}


def test_any_settings_are_taken_and_it_is_configured_for_secrets_and_previews(
    world: ChangingRealRehearsal, tmp_path: Path
) -> None:
    settings = {"region": "us-west-2", "skipMetadataApiCheck": "true"}
    with started(world.commands, "aws", tmp_path) as plugin:
        checked = plugin.ask("CheckConfig", provider_pb2.CheckRequest(news=message(settings)))
        configured = plugin.configure(**settings)
    assert (dict(checked.inputs), list(checked.failures)) == (settings, [])
    assert configured.acceptSecrets
    assert configured.supportsPreview


@pytest.mark.parametrize(
    ("package", "settings", "told"),
    [
        ("aws", {"region": "eu-west-1"}, "aws:region is eu-west-1: the emulated world is in us-west-2"),
        ("aws", {}, "aws:region is None: the emulated world is in us-west-2"),
        (
            "kubernetes",
            {"kubeconfig": kubeconfig_for("https://elsewhere.example", "x")},
            "unable to connect to the Kubernetes API at https://elsewhere.example",
        ),
    ],
)
def test_settings_of_another_world_are_told_by_whatever_needs_them_and_by_nothing_else(
    package: str, settings: dict[str, Any], told: str, world: ChangingRealRehearsal, tmp_path: Path
) -> None:
    type_ = {"aws": ADDRESS, "kubernetes": KUBERNETES_NAMESPACE}[package]
    inputs = {"domain": "vpc", "metadata": {"name": "x"}}
    with started(world.commands, package, tmp_path) as plugin:
        plugin.configure(**settings)
        assert plugin.diff(type_, inputs, inputs).changes == SAME
        assert plugin.create(type_, inputs, preview=True) == ("", inputs)
        for ask in (
            lambda: plugin.check(type_, inputs),
            lambda: plugin.create(type_, inputs),
            lambda: plugin.update(type_, "x", inputs, inputs, inputs),
            lambda: plugin.read(type_, "x", inputs, inputs),
            lambda: plugin.delete(type_, "x", inputs),
            lambda: plugin.invoke("aws:index/getPartition:getPartition"),
        ):
            with pytest.raises(PluginError) as caught:
                ask()
            assert str(caught.value) == told


def test_an_unconfigured_plugin_says_so(world: ChangingRealRehearsal, tmp_path: Path) -> None:
    with (
        started(world.commands, "aws", tmp_path) as plugin,
        pytest.raises(PluginError, match=r"^it is not configured$"),
    ):
        plugin.create(ADDRESS, {"domain": "vpc"})


@pytest.mark.parametrize(
    ("old", "new", "changes", "replaces"),
    [
        ({"kubeconfig": "a"}, {"kubeconfig": "a", "version": "4.0.0"}, SAME, []),
        ({"kubeconfig": "a", "clusterIdentifier": "c"}, {"kubeconfig": "b", "clusterIdentifier": "c"}, SOME, []),
        (
            {"kubeconfig": "a", "clusterIdentifier": "c"},
            {"kubeconfig": "a", "clusterIdentifier": "d"},
            SOME,
            ["clusterIdentifier"],
        ),
    ],
)
def test_only_another_cluster_replaces_its_provider_and_what_that_has_made(
    old: Any, new: Any, changes: int, replaces: list[str], aws: Plugin, world: ChangingRealRehearsal, tmp_path: Path
) -> None:
    with started(world.commands, "kubernetes", tmp_path) as plugin:
        found = plugin.diff("pulumi:providers:kubernetes", old, new, "DiffConfig")
    assert (found.changes, list(found.replaces)) == (changes, replaces)


def test_two_instances_of_a_plugin_are_configured_differently_at_once(
    world: ChangingRealRehearsal, tmp_path: Path
) -> None:
    login = {"auths": {HOST: {"auth": base64.b64encode(b"AWS:password").decode()}}}
    settings = json.dumps({"registryConfigPath": "registry.json"})
    with ExitStack() as until:
        plugins: list[Plugin] = []
        for name in ("with", "without"):
            (tmp_path / name).mkdir()
            plugins.append(until.enter_context(started(world.commands, "kubernetes", tmp_path / name)))
            plugins[-1].configure(kubeconfig=kubeconfig(world), helmReleaseSettings=settings)
        (tmp_path / "with" / "registry.json").write_text(json.dumps(login))
        assert plugins[0].check(RELEASE, CHART).inputs["name"] == "proxy"
        with pytest.raises(PluginError, match="basic credential not found"):
            plugins[1].check(RELEASE, CHART)
        plugins[0].create(KUBERNETES_NAMESPACE, {"metadata": {"name": "shared"}})
        assert plugins[1].read(KUBERNETES_NAMESPACE, "shared", {}, {})[0] == "shared"


# --- Check and Diff


def test_inputs_that_are_not_known_yet_are_not_refused(world: ChangingRealRehearsal, tmp_path: Path) -> None:
    with started(world.commands, "kubernetes", tmp_path) as plugin:
        plugin.configure(kubeconfig=secret(kubeconfig(world)))
        with pytest.raises(PluginError, match="basic credential not found"):
            plugin.check(RELEASE, CHART)
        for unknown in (UNKNOWN, {"in": {"a": ["list", UNKNOWN]}}, secret(UNKNOWN)):
            assert plugin.check(RELEASE, CHART | {"values": unknown}).inputs["name"] == "proxy"


OLD = {"name": "x", "description": "y", "vpcId": "vpc-1", "tags": TAGS}


@pytest.mark.parametrize(
    ("change", "diffs", "replaces"),
    [
        ({}, [], []),
        ({"tags": secret(TAGS)}, [], []),
        ({"tags": {"team": "z"}}, ["tags"], []),
        ({"tags": {"team": UNKNOWN}}, ["tags"], []),
        ({"tags": None}, ["tags"], []),
        ({"description": "z", "tags": None}, ["description", "tags"], ["description"]),
        ({"vpcId": UNKNOWN}, ["vpcId"], ["vpcId"]),
    ],
)
def test_a_change_is_told_with_whether_it_replaces_and_the_named_goes_first(
    change: Any, diffs: list[str], replaces: list[str], aws: Plugin
) -> None:
    found = aws.diff(GROUP, OLD, OLD | change)
    assert found.changes == (SOME if diffs else SAME)
    assert (list(found.diffs), list(found.replaces)) == (diffs, replaces)
    assert found.deleteBeforeReplace == bool(replaces)


def test_a_version_is_the_engines_own_among_settings_and_the_programs_among_inputs(aws: Plugin) -> None:
    old, new = {"version": "2.0.1"}, {"version": "2.1.0"}
    assert aws.diff("pulumi:providers:aws", old, new, "DiffConfig").changes == SAME
    assert list(aws.diff("kubernetes:helm.sh/v3:Release", old, new).diffs) == ["version"]


def test_what_has_no_name_is_made_before_the_old_one_goes(aws: Plugin) -> None:
    found = aws.diff(ADDRESS, {"domain": "vpc"}, {"domain": "standard"})
    assert list(found.replaces) == ["domain"]
    assert not found.deleteBeforeReplace


def test_an_nlb_whose_subnets_are_not_known_yet_is_not_replaced_for_that(aws: Plugin) -> None:
    old = {"name": "x", "subnetMappings": [{"subnetId": "a"}]}
    assert not aws.diff(BALANCER, old, old | {"subnetMappings": [{"subnetId": UNKNOWN}]}).replaces


# --- What changes the world


def test_a_preview_makes_nothing_and_knows_the_inputs(aws: Plugin, world: ChangingRealRehearsal) -> None:
    called = len(world.calls)
    inputs = {"domain": "vpc", "tags": {"team": UNKNOWN}}
    assert aws.create(ADDRESS, inputs, preview=True) == ("", inputs)
    state = {"domain": "vpc", "tags": TAGS, "publicIp": "192.0.2.1", "address": "gone"}
    old = {"domain": "vpc", "tags": TAGS, "address": "gone"}
    assert aws.update(ADDRESS, "eipalloc-1", state, old, inputs, preview=True) == inputs | {"publicIp": "192.0.2.1"}
    assert world.calls[called:] == []


def test_a_resource_is_made_changed_read_and_deleted_and_a_key_that_goes_leaves_the_state(
    aws: Plugin, world: ChangingRealRehearsal
) -> None:
    called = len(world.calls)
    inputs = {"domain": "vpc", "tags": TAGS, "customerOwnedIpv4Pool": "x"}
    id_, state = aws.create(ADDRESS, inputs)
    assert state == inputs | state
    assert state["id"] == state["allocationId"] == id_
    new = {"domain": "vpc", "tags": {"team": "y"}}
    changed = aws.update(ADDRESS, id_, state, inputs, new)
    assert changed == {key: value for key, value in state.items() if key not in inputs} | new | {"tagsAll": new["tags"]}
    [address] = world.aws.client("ec2").describe_addresses(AllocationIds=[id_])["Addresses"]
    assert address.get("Tags") == [{"Key": "team", "Value": "y"}]
    assert aws.read(ADDRESS, id_, new, changed) == (id_, new, changed)
    aws.delete(ADDRESS, id_, new)
    assert aws.read(ADDRESS, id_, new, changed) == ("", {}, {})
    aws.delete(ADDRESS, id_, new)
    made = [(call.operation, call.error, call.started <= call.finished) for call in world.calls[called:]]
    assert made == [("create", None, True), ("update", None, True), ("delete", None, True), ("delete", None, True)]


def test_what_is_secret_stays_secret_in_every_answer(aws: Plugin) -> None:
    inputs = {"domain": "vpc", "tags": {"team": secret("x"), "plain": "y"}}
    id_, state = aws.create(ADDRESS, inputs)
    assert state["tags"] == inputs["tags"]
    new = inputs | {"tags": secret({"team": "z"})}
    changed = aws.update(ADDRESS, id_, state, inputs, new)
    assert changed["tags"] == new["tags"]
    _, read, properties = aws.read(ADDRESS, id_, new, changed)
    assert read["tags"] == properties["tags"] == new["tags"]
    _, read, _ = aws.read(ADDRESS, id_, inputs, state)
    assert read["tags"] == secret({"team": "z"})
    aws.delete(ADDRESS, id_, new)


def test_what_somebody_changed_is_read_and_an_import_gets_what_a_program_would_give(
    aws: Plugin, world: ChangingRealRehearsal
) -> None:
    inputs = group_in(world, "read")
    id_, state = aws.create(GROUP, inputs)
    world.aws.client("ec2").create_tags(Resources=[id_], Tags=[{"Key": "team", "Value": "theirs"}])
    _, read, properties = aws.read(GROUP, id_, inputs, state)
    assert read == inputs | {"tags": {"team": "theirs"}}
    assert properties == state | {"tags": {"team": "theirs"}, "tagsAll": {"team": "theirs"}}
    assert aws.read(GROUP, id_, {}, {})[1] == read
    aws.delete(GROUP, id_, inputs)


def test_a_failure_is_a_sentence_and_the_call_is_kept_with_it(aws: Plugin, world: ChangingRealRehearsal) -> None:
    inputs = group_in(world, "sg-x")
    with pytest.raises(PluginError, match=r"InvalidParameterValue.* CreateSecurityGroup") as caught:
        aws.create(GROUP, inputs)
    assert (caught.value.id, caught.value.properties) == ("", {})
    assert world.calls[-1].error == str(caught.value)


def test_a_creation_that_fails_late_tells_what_there_is_by_now(aws: Plugin, world: ChangingRealRehearsal) -> None:
    inputs = group_in(world, "late", tags=secret(TAGS))
    with (
        world.aws.refuse("ec2:RevokeSecurityGroupEgress", "AccessDenied"),
        pytest.raises(PluginError, match="UnauthorizedOperation") as caught,
    ):
        aws.create(GROUP, inputs)
    left = caught.value
    assert left.reasons == [str(left)]
    assert left.properties == left.properties | inputs | {"id": left.id, "tagsAll": TAGS}
    [group] = world.aws.client("ec2").describe_security_groups(GroupIds=[left.id])["SecurityGroups"]
    assert group.get("GroupName") == "late"
    assert aws.update(GROUP, left.id, left.properties, inputs, inputs)["id"] == left.id
    aws.delete(GROUP, left.id, inputs)


# --- Look-ups


def test_a_look_up_is_answered_and_one_that_fails_says_why(aws: Plugin) -> None:
    assert aws.invoke("aws:index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com"
    with pytest.raises(PluginError, match="ResourceNotFoundException"):
        aws.invoke("aws:eks/getCluster:getCluster", name="nosuch")
    with pytest.raises(PluginError, match="nosuch"):
        aws.invoke("aws:index/nosuch:nosuch")


def test_a_cancellation_is_taken(aws: Plugin) -> None:
    assert aws.ask("Cancel", Empty()) == Empty()
