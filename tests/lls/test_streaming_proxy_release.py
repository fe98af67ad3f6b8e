from typing import Any

import yaml

from lls.streaming_proxy_release import StreamingProxyReleaseArgs, chart_values, merge

# The guide's step 3, with its placeholders filled.
GUIDE_VALUES = """
env:
  lbPort: "5004"
  lbDns: "nlb.elb.us-west-2.amazonaws.com"
replicaCount: 1
availabilityZones:
  enabled: true
  zones:
    - us-west-2a
nodeSelector:
  node-type: compute
image:
  repository: registry.example/streaming-proxy
  tag: 2.0.1
  pullPolicy: Always
resources:
  requests:
    cpu: "5000m"
    memory: "24Gi"
  limits:
    cpu: "5000m"
    memory: "24Gi"
"""


def values(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "nlb_dns_name": "nlb.elb.us-west-2.amazonaws.com",
        "availability_zone": "us-west-2a",
        "node_selector": {"node-type": "compute"},
        "chart": "oci://registry.example/gdn-streaming",
        "chart_version": "2.0.1",
        "image_repository": "registry.example/streaming-proxy",
        "image_tag": "2.0.1",
    }
    return chart_values(StreamingProxyReleaseArgs(**(arguments | changes)))


def test_values_are_exactly_the_guides() -> None:
    assert values() == yaml.safe_load(GUIDE_VALUES)


def test_the_port_is_a_string_because_it_becomes_an_environment_variable() -> None:
    assert values(udp_port=6000)["env"]["lbPort"] == "6000"


def test_requests_and_limits_are_alike() -> None:
    resources = values(cpu="4", memory="8Gi")["resources"]
    assert resources["requests"] == resources["limits"] == {"cpu": "4", "memory": "8Gi"}


def test_helm_values_are_merged_last_and_deeply() -> None:
    merged = values(helm_values={"env": {"lbPort": "1", "extra": "x"}, "image": {"pullPolicy": "Never"}, "new": [1]})
    assert merged["env"] == {"lbPort": "1", "lbDns": "nlb.elb.us-west-2.amazonaws.com", "extra": "x"}
    assert merged["image"]["pullPolicy"] == "Never"
    assert merged["image"]["tag"] == "2.0.1"
    assert merged["new"] == [1]


def test_a_null_takes_the_place_of_whatever_is_there_so_that_helm_drops_the_charts_default() -> None:
    merged = values(helm_values={"nodeSelector": None, "image": {"pullPolicy": None}, "probes": {"liveness": None}})
    assert merged["nodeSelector"] is None
    assert merged["image"] == {"repository": "registry.example/streaming-proxy", "tag": "2.0.1", "pullPolicy": None}
    assert merged["probes"] == {"liveness": None}


def test_merging_replaces_lists_and_leaves_its_arguments_alone() -> None:
    base: dict[str, Any] = {"a": {"b": [1, 2]}, "c": {"d": 1}}
    over: dict[str, Any] = {"a": {"b": [3]}, "c": "text"}
    assert merge(base, over) == {"a": {"b": [3]}, "c": "text"}
    assert base == {"a": {"b": [1, 2]}, "c": {"d": 1}}
