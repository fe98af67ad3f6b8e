import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lls import guide
from lls.guide import Port
from lls.naming import Names

ELB = re.compile(r"(?!internal-)(?!-)(?!.*--)[A-Za-z0-9-]{1,32}(?<!-)", re.IGNORECASE)
SECURITY_GROUP = re.compile(r"(?!sg-)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)


def nlb(names: Names) -> str:
    return names.nlb


def security_group(names: Names) -> str:
    return names.security_group


def target_group(names: Names) -> str:
    return names.target_group(port=30504, target_type="ip")


def other_target_group(names: Names) -> str:
    return names.target_group(port=30600, target_type="instance")


def elastic_ip(names: Names) -> str:
    return names.elastic_ip


def node_rule(names: Names) -> str:
    return names.node_rule(Port("udp", 30504))


EVERY_NAME = [nlb, security_group, target_group, other_target_group, elastic_ip, node_rule]

CLUSTERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", fullmatch=True)
INSTANCES = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)

ODD_CLUSTERS = [
    "c",
    "c" * 22,
    "c" * 23,
    "c" * 26,
    "c" * 27,
    "c" * 30,
    "c" * 100,
    "under_score",
    "ends-",
    "ends_",
    "double--hyphen",
    "internal-prod",
    "INTERNAL-prod",
    "internal-internal-prod",
    "internal",
    "internal_",
    "internal-" + "c" * 91,
    "sg-prod",
    "SG-prod",
    "sg-internal-prod",
    "0",
    "a" + "_" * 99,
]


def test_names_that_fit_are_the_guides() -> None:
    names = Names("demo")
    assert names.nlb == "rp-public-demo"
    assert names.security_group == "demo-rp-sg"
    assert target_group(names) == "demo-rp-tg"
    assert names.elastic_ip == "demo-lls-eip"


@pytest.mark.parametrize("name", [nlb, target_group, other_target_group])
@pytest.mark.parametrize("cluster", ODD_CLUSTERS)
def test_load_balancer_and_target_group_names_are_within_awss_limits(
    name: Callable[[Names], str], cluster: str
) -> None:
    assert ELB.fullmatch(name(Names(cluster))), name(Names(cluster))


@pytest.mark.parametrize("cluster", ODD_CLUSTERS)
def test_security_group_names_are_within_awss_limits(cluster: str) -> None:
    assert SECURITY_GROUP.fullmatch(Names(cluster).security_group)


@pytest.mark.parametrize(("name", "longest"), [(nlb, 22), (target_group, 26), (security_group, 100)])
def test_a_name_is_the_guides_up_to_the_limit_and_shortened_over_it(name: Callable[[Names], str], longest: int) -> None:
    assert "c" * longest in name(Names("c" * longest))
    if longest < 100:
        assert "c" * (longest + 1) not in name(Names("c" * (longest + 1)))


def test_shortened_names_tell_clusters_apart_and_stay_the_same() -> None:
    one, other = "nvcf-production-us-west-2-a", "nvcf-production-us-west-2-b"
    assert Names(one).nlb != Names(other).nlb
    assert Names(one).nlb == Names(one).nlb == "rp-public-nvcf-production-0e5778"


def test_clusters_that_differ_in_a_replaced_character_only_get_different_names() -> None:
    assert Names("a_b").nlb != Names("a-b").nlb


def test_any_other_shape_gives_the_target_group_another_name() -> None:
    names = {
        Names("demo").target_group(port=port, target_type=target_type)
        for port in (30504, 30505)
        for target_type in ("ip", "instance")
    }
    assert len(names) == 4
    assert all(name == "demo-rp-tg" or re.fullmatch("demo-rp-tg-[0-9a-f]{6}", name) for name in names)


def test_node_rules_are_named_in_the_guides_manner() -> None:
    assert Names("demo").node_rule(Port("udp", guide.STREAMING_NODE_PORT)) == "streaming-proxy-udp-30504"


def test_an_instance_stands_behind_the_clusters_name() -> None:
    names = Names("demo", "b")
    assert names.nlb == "rp-public-demo-b"
    assert names.security_group == "demo-b-rp-sg"
    assert target_group(names) == "demo-b-rp-tg"
    assert names.elastic_ip == "demo-b-lls-eip"
    assert node_rule(names) == "streaming-proxy-udp-30504-b"
    assert re.fullmatch("demo-b-rp-tg-[0-9a-f]{6}", other_target_group(names))


@pytest.mark.parametrize("name", EVERY_NAME)
@pytest.mark.parametrize("instance", ["b", "0", "westzone"])
@pytest.mark.parametrize("cluster", ODD_CLUSTERS)
def test_an_instance_can_be_read_in_the_name_of_any_cluster(
    cluster: str, instance: str, name: Callable[[Names], str]
) -> None:
    assert re.search(f"-{instance}(-|$)", name(Names(cluster, instance)))


@given(CLUSTERS, INSTANCES)
def test_names_with_an_instance_are_within_awss_limits_and_it_can_be_read(cluster: str, instance: str) -> None:
    names = Names(cluster, instance)
    for name in (nlb, target_group, other_target_group):
        assert ELB.fullmatch(name(names)), name(names)
    assert SECURITY_GROUP.fullmatch(names.security_group)
    for name in EVERY_NAME:
        assert re.search(f"-{instance}(-|$)", name(names)), name(names)


@given(CLUSTERS, st.sets(INSTANCES, min_size=1, max_size=8))
def test_a_clusters_instances_have_different_names_and_claim_only_their_own(cluster: str, instances: set[str]) -> None:
    every = [Names(cluster, instance) for instance in ("", *sorted(instances))]
    for name in EVERY_NAME:
        assert len({name(config) for config in every}) == len(every)
    for config in every:
        tags = config.tags("x", {})
        assert [names for names in every if names.claims(tags)] == [config]


def test_another_clusters_name_may_end_like_an_instance_and_the_tags_tell_them_apart() -> None:
    one, other = Names("demo", "b"), Names("demo-b")
    assert one.nlb == other.nlb
    assert not one.claims(other.tags("x", {}))
    assert not other.claims(one.tags("x", {}))


def test_what_is_tagged_with_the_cluster_only_resembles_its_installation_without_an_instance() -> None:
    tags = {"lls:cluster": "demo"}
    assert Names("demo").resembles(tags)
    assert not Names("demo").claims(tags)
    assert not Names("demo", "b").resembles(tags)
    assert not Names("other").resembles(tags)


def test_the_guides_tags_win_over_the_users() -> None:
    tags = Names("demo").tags("x", {"Project": "mine", "Name": "mine", "team": "mine"}, purpose="streaming-nlb")
    assert tags == {
        "team": "mine",
        "Name": "x",
        "lls:cluster": "demo",
        "lls:managed-by": "customer",
        "Project": "nvcf",
        "lls:purpose": "streaming-nlb",
    }


def test_there_is_no_purpose_where_the_guide_has_none() -> None:
    assert "lls:purpose" not in Names("demo").tags("x", {})
