import re
from collections.abc import Callable

import pytest

from lls import guide, naming
from lls.guide import Port
from lls.tags import guide_tags

ELB = re.compile(r"(?!internal-)(?!-)(?!.*--)[A-Za-z0-9-]{1,32}(?<!-)", re.IGNORECASE)
SECURITY_GROUP = re.compile(r"(?!sg-)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)


def target_group_name(cluster: str) -> str:
    return naming.target_group_name(cluster, port=30504, target_type="ip")


def other_target_group_name(cluster: str) -> str:
    return naming.target_group_name(cluster, port=30600, target_type="instance")


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
    assert naming.nlb_name("demo") == "rp-public-demo"
    assert naming.security_group_name("demo") == "demo-rp-sg"
    assert target_group_name("demo") == "demo-rp-tg"
    assert naming.elastic_ip_name("demo") == "demo-lls-eip"


@pytest.mark.parametrize("name", [naming.nlb_name, target_group_name, other_target_group_name])
@pytest.mark.parametrize("cluster", ODD_CLUSTERS)
def test_load_balancer_and_target_group_names_are_within_awss_limits(name: Callable[[str], str], cluster: str) -> None:
    assert ELB.fullmatch(name(cluster)), name(cluster)


@pytest.mark.parametrize("cluster", ODD_CLUSTERS)
def test_security_group_names_are_within_awss_limits(cluster: str) -> None:
    assert SECURITY_GROUP.fullmatch(naming.security_group_name(cluster))


@pytest.mark.parametrize(
    ("name", "longest"), [(naming.nlb_name, 22), (target_group_name, 26), (naming.security_group_name, 100)]
)
def test_a_name_is_the_guides_up_to_the_limit_and_shortened_over_it(name: Callable[[str], str], longest: int) -> None:
    assert "c" * longest in name("c" * longest)
    if longest < 100:
        assert "c" * (longest + 1) not in name("c" * (longest + 1))


def test_shortened_names_tell_clusters_apart_and_stay_the_same() -> None:
    one, other = "nvcf-production-us-west-2-a", "nvcf-production-us-west-2-b"
    assert naming.nlb_name(one) != naming.nlb_name(other)
    assert naming.nlb_name(one) == naming.nlb_name(one) == "rp-public-nvcf-production-0e5778"


def test_clusters_that_differ_in_a_replaced_character_only_get_different_names() -> None:
    assert naming.nlb_name("a_b") != naming.nlb_name("a-b")


def test_any_other_shape_gives_the_target_group_another_name() -> None:
    names = {
        naming.target_group_name("demo", port=port, target_type=target_type)
        for port in (30504, 30505)
        for target_type in ("ip", "instance")
    }
    assert len(names) == 4
    assert all(name == "demo-rp-tg" or re.fullmatch("demo-rp-tg-[0-9a-f]{6}", name) for name in names)


def test_node_rules_are_named_in_the_guides_manner() -> None:
    assert naming.node_rule_name(Port("udp", guide.STREAMING_NODE_PORT)) == "streaming-proxy-udp-30504"


def test_the_guides_tags_win_over_the_users() -> None:
    tags = guide_tags("demo", "x", {"Project": "mine", "Name": "mine", "team": "mine"}, purpose="streaming-nlb")
    assert tags == {
        "team": "mine",
        "Name": "x",
        "lls:cluster": "demo",
        "lls:managed-by": "customer",
        "Project": "nvcf",
        "lls:purpose": "streaming-nlb",
    }


def test_there_is_no_purpose_where_the_guide_has_none() -> None:
    assert "lls:purpose" not in guide_tags("demo", "x", {})
