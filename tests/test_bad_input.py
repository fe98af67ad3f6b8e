"""Bad configs and bad worlds through the whole program: one message for each problem, and nothing is left."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lls.cluster_api import ClusterError
from lls.config import schema
from lls.operations.program.stack_file import Stack
from lls.targets import TARGETS_PER_ZONE
from rehearsal.rehearse import Rehearsal
from rehearsal.world import ManagedNodeGroup, Node, Subnet
from tests.support.configs import BAD, KUBECONFIG
from tests.support.recorded import CONFIG, RecordedStack, as_config, recorded
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import STACK, a_world

# --- Configs

ANOTHER = "helmTimeout"


def problems(**values: Any) -> list[str]:
    """What the program says of a config, before it asks or makes anything."""
    made = recorded(as_config(**values))
    with pytest.raises(pulumi.RunError) as caught:
        made.engine.up()
    assert (made.recorder.invoked, made.recorder.did, list(Path().iterdir())) == ([], [], [])
    head, *problems = str(caught.value).splitlines()
    assert head == "The stack's config needs a change:"
    return problems


@pytest.mark.parametrize(("key", "value", "remedy"), BAD, ids=[f"{key}={value!s:.20}" for key, value, _ in BAD])
def test_a_bad_value_is_one_problem_and_a_second_one_is_another(key: str, value: Any, remedy: str) -> None:
    [told] = problems(**{key: value})
    assert f"lls:{key}" in told
    assert remedy in told
    if key != ANOTHER:
        assert [
            problem for problem in problems(**{key: value, ANOTHER: "soon"}) if f"lls:{ANOTHER}" not in problem
        ] == [told]


# --- Worlds


class Bad(NamedTuple):
    """A world and a config that do not go together; `told` is what the one message names: key, value, remedy."""

    told: tuple[str, ...]
    config: Mapping[str, str] = {}
    world: Mapping[str, Any] = {}
    quirks: Mapping[str, Any] = {}


ZONE = {"zone": "a", "public": True}
GROUPS = {**QUIRKS, "load_balancer_controller": False}
NO_GROUPS = {"managed_node_groups": ()}


def nodes(**changes: Any) -> Mapping[str, Any]:
    """One node, with something about it that keeps it from being a target."""
    return {"nodes": (Node.model_validate({"name": "gpu-1", "zone": "a", **changes}),)}


def subnets(*each: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"subnets": tuple(map(Subnet.model_validate, each)), "nodes": ()}


LABELS = as_config(nodeSelector={"gpu": "yes"})

WORLDS: Mapping[str, Bad] = {
    "no such cluster": Bad(("demo", "lls:clusterName"), world={"cluster": "other"}),
    "cluster being made": Bad(("demo", "has no API yet", "Wait"), quirks={"cluster_status": "CREATING"}),
    "no subnet in the zone": Bad(
        ("us-west-2a", "no public subnet", "Its subnets: none", "lls:publicSubnetId"),
        as_config(registration="static", targets=["10.0.0.1"]),
        world={"subnets": (Subnet(zone="b", public=True),)},
    ),
    "only private subnets": Bad(
        ("us-west-2a", "no public subnet", "subnet-0a: no 0.0.0.0/0 (rtb-", "lls:publicSubnetId"),
        as_config(registration="static", targets=["10.0.0.1"]),
        subnets({"zone": "a", "public": False, "id": "subnet-0a", "mapPublicIp": True}),
    ),
    "two public subnets": Bad(
        ("subnet-0a: 0.0.0.0/0 -> igw-", "subnet-0b: 0.0.0.0/0 -> igw-", "lls:publicSubnetId"),
        as_config(registration="static", targets=["10.0.0.1"]),
        subnets({**ZONE, "id": "subnet-0a"}, {**ZONE, "id": "subnet-0b"}),
    ),
    "a subnet that is not there": Bad(
        ("lls:publicSubnetId = subnet-0dead", "us-west-2a", "Set it to a public subnet there"),
        as_config(publicSubnetId="subnet-0dead"),
        {"subnets": (Subnet(zone="a", public=True), Subnet(zone="b", public=True))},
    ),
    "a subnet of another zone": Bad(
        ("lls:publicSubnetId = subnet-0b", "us-west-2a", "Set it to a public subnet there"),
        as_config(publicSubnetId="subnet-0b"),
        {"subnets": (Subnet(zone="a", public=True), Subnet(zone="b", public=True, id="subnet-0b"))},
    ),
    "a VPC that is not there": Bad(
        ("lls:vpcId = vpc-0dead", "leave it empty"),
        as_config(vpcId="vpc-0dead", nodeSecurityGroupId="sg-0a1b2c3d"),
        {"vpc_id": "vpc-0a1b2c3d", "node_security_group_ids": ("sg-0a1b2c3d",)},
    ),
    "two groups of nodes": Bad(
        ("demo-node-*", "lls:nodeSecurityGroupId", "pulumi config set"), quirks={"node_groups": 2}
    ),
    "a group that is not there": Bad(
        ("lls:nodeSecurityGroupId = sg-0dead", "Set it to one that the nodes carry"),
        as_config(nodeSecurityGroupId="sg-0dead"),
        {"node_security_group_ids": ()},
    ),
    "an address that is not there": Bad(
        ("eipalloc-0dead", "lls:eipAllocationId", "lls:staticIp"),
        as_config(eipAllocationId="eipalloc-0dead"),
        {"eip_allocation_id": None},
    ),
    "no node with the labels": Bad(
        ("gpu=yes", "no node has these labels", "lls:nodeSelector"), LABELS, nodes(labels={"gpu": "no"})
    ),
    "all nodes in another zone": Bad(("in zone us-west-2b: gpu-1", "lls:availabilityZone"), LABELS, nodes(zone="b")),
    "all nodes are going": Bad(("gpu-1", "lls:nodeSelector"), LABELS, nodes(deleting=True)),
    "all nodes are disrupted": Bad(
        ("karpenter.sh/disrupted", "gpu-1", "lls:nodeSelector"), LABELS, nodes(taints=("karpenter.sh/disrupted",))
    ),
    "all instances are stopped": Bad(
        ("stopped in EC2: gpu-1", "lls:nodeSelector"), LABELS, nodes(instance_state="stopped")
    ),
    "a node that is no instance": Bad(("on Fargate", "gpu-1"), LABELS, nodes(compute_type="fargate")),
    "all instances in another VPC": Bad(("not in vpc-", "gpu-1"), LABELS, nodes(other_vpc=True)),
    "a cluster of the IPv6 family": Bad(("demo", "IPv6 family", "lls:clusterName"), quirks={"ip_family": "ipv6"}),
    "a cluster of the IPv6 family, by instance": Bad(
        ("demo", "IPv6 family", "lls:clusterName"), STRATEGIES["nodes"], quirks={"ip_family": "ipv6"}
    ),
    "no managed node group": Bad(("there are: none", "lls:nodeGroups"), STRATEGIES["autoscaling"], quirks=NO_GROUPS),
    "no managed node group with the labels": Bad(
        ("gpu=yes", "gpu, other, system, wide", "lls:nodeGroups"),
        {**STRATEGIES["autoscaling"], **LABELS},
        quirks=GROUPS,
    ),
    "a managed node group that is not there": Bad(
        ("typo", "lls:nodeGroups"), {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["typo"])}, quirks=GROUPS
    ),
    "a managed node group that spans zones": Bad(
        ("wide (eks-wide) spans us-west-2a, us-west-2b", "lls:allowOtherZones"),
        {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["wide"])},
        quirks=GROUPS,
    ),
    "managed node groups of other zones": Bad(
        ("us-west-2a", "far", "lls:nodeGroups"),
        STRATEGIES["autoscaling"],
        quirks={"managed_node_groups": (ManagedNodeGroup(name="far", zones=("b",), labels={"node-type": "compute"}),)},
    ),
    "no load balancer controller": Bad(
        ("elbv2.k8s.aws", "lls:registration binding", "install the AWS Load Balancer Controller"),
        STRATEGIES["binding"],
        quirks=GROUPS,
    ),
}


def refused(bad: Bad) -> str:
    """What a world's first up says, which must leave nothing."""
    config = {**STACK, **bad.config}
    world = a_world(config, quirks=bad.quirks, **bad.world)
    with Rehearsal(Stack("test", config), world, factor=10_000.0) as rehearsal:
        with pytest.raises(pulumi.RunError) as caught:
            rehearsal.engine.up()
        assert [resource for resource in rehearsal.engine.state.values() if resource.custom] == []
        assert [*rehearsal.aws.leftovers(), *rehearsal.cluster.leftovers()] == []
        assert not Path(".lls").exists()
    return str(caught.value)


@pytest.mark.parametrize("name", WORLDS)
def test_a_bad_world_is_one_message_and_nothing_is_made(name: str) -> None:
    told = refused(WORLDS[name])
    assert "\n" not in told
    for part in WORLDS[name].told:
        assert part in told


def test_several_bad_things_in_a_world_are_a_line_each() -> None:
    names = ("two public subnets", "two groups of nodes", "an address that is not there", "no node with the labels")
    rows = [WORLDS[name] for name in names]
    together = Bad(
        (),
        {**{key: value for row in rows for key, value in row.config.items()}, "lls:registration": "nodes"},
        {key: value for row in rows for key, value in row.world.items()},
        {key: value for row in rows for key, value in row.quirks.items()},
    )
    for line, row in zip(refused(together).splitlines(), rows, strict=True):
        assert all(part in line for part in row.told)


def test_more_targets_than_a_zone_of_a_load_balancer_takes_are_refused_with_the_quota() -> None:
    targets = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(TARGETS_PER_ZONE + 1)]
    made = recorded(as_config(targets=targets))
    with pytest.raises(
        pulumi.RunError, match=r"501 targets in us-west-2a: AWS takes 500.*L-B211E961.*lls:nodeSelector"
    ):
        made.engine.up()
    assert not made.resources


# --- Anything at all

ODD = ("", " ", "\n", "\0", "/", "..", "~", "é", "%s", "{}", "[]", "null", "-1", "1e999", "x" * 5000)
TEXT = st.one_of(st.sampled_from(ODD), st.text(max_size=40), st.text("abz019-./:_ {", max_size=40))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.just("\ud800")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
).map(json.dumps)
FITTING: Mapping[str, st.SearchStrategy[str]] = {
    "integer": st.one_of(st.integers(0, 70_000), st.integers(30_000, 32_767)).map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "array": st.lists(st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::/0", "i-0a1b2c3d", "gpu"]), max_size=3).map(
        json.dumps
    ),
    "object": st.dictionaries(st.sampled_from(["a", "env", "b/c"]), JSON.map(json.loads), max_size=3).map(json.dumps),
    "string": st.sampled_from(
        [
            *{each for row in BAD if isinstance(each := row[1], str)},
            *("instance", "static", "nodes", "autoscaling", "binding", "oci://registry.example/x", "vpc-1", "sg-1"),
            *("subnet-1", "eipalloc-1", "1.2.3", "team/x", "us-west-2a", KUBECONFIG, "one", "5", "24Gi"),
        ]
    ),
}


@st.composite
def configs(draw: st.DrawFn) -> tuple[dict[str, str], list[str]]:
    """A config with fitting or odd values for some of its keys, one of which may be unknown, and the secret ones."""
    config = dict(CONFIG)
    for key in draw(st.lists(st.sampled_from([*schema(), "typo"]), max_size=8, unique=True)):
        fitting = FITTING[schema()[key]["type"]] if key in schema() else TEXT
        config[f"lls:{key}"] = draw(st.one_of(fitting, fitting, fitting, TEXT, JSON))
    for key in draw(st.sets(st.sampled_from(["aws:region", "aws:profile"]), max_size=1)):
        config[key] = draw(TEXT)
    for key in draw(st.sets(st.sampled_from([*CONFIG]), max_size=1)):
        if draw(st.booleans()):
            del config[key]
    return config, draw(st.lists(st.sampled_from([*config]), max_size=1))


class NoApi:
    """A cluster that nobody can reach."""

    def __init__(self, *_: str) -> None:
        pass

    def nodes(self, _: object) -> None:
        raise ClusterError(401, "Unauthorized")

    def serves(self, _: object) -> bool:
        return True


GROUP: Mapping[str, Any] = {"labels": {"node-type": "compute"}, "resources": [{"autoscalingGroups": [{"name": "g"}]}]}
ANSWERS: Mapping[str, Any] = {
    "aws:eks/getNodeGroups:getNodeGroups": {"names": ["gpu"]},
    "aws:eks/getNodeGroup:getNodeGroup": GROUP,
    "aws:autoscaling/getGroup:getGroup": {"availabilityZones": ["us-west-2a"]},
}


@given(configs())
@settings(max_examples=settings.default.max_examples * 4 if settings.default else 200)
def test_any_config_is_told_problem_by_problem_or_makes_a_stack_that_can_go_again(
    drawn: tuple[dict[str, str], list[str]],
) -> None:
    config, secret_keys = drawn
    made = RecordedStack(config, ANSWERS, secret_keys=secret_keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lls.lookups.ClusterApi", NoApi)
        told = refusal(made)
        if told.startswith("The stack's config needs a change:"):
            assert made.recorder.invoked == []
            assert re.fullmatch(r".*:(\n  (lls|aws):\w+.*)+", told)
        if not told:
            made.engine.destroy()
    assert made.resources == []


def refusal(made: RecordedStack) -> str:
    """What the first up says; nothing where it succeeds."""
    try:
        made.engine.up()
    except pulumi.RunError as error:
        return str(error)
    return ""
