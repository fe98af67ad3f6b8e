from collections.abc import Mapping

import pulumi
import pytest
from kubernetes.client import V1Node

from lls.fitness import COMPUTE_TYPE_LABEL, EXCLUDE_LABEL, TAINTS, JudgedNode, judge
from lls.operations.program.recording import Properties
from tests.support.nodes import instance_id, node
from tests.support.recorded import recorded

HERE: Mapping[str, str] = {"state": "running", "vpc-id": "vpc-1", "availability-zone": "us-west-2a"}


def judged(*nodes: V1Node, **told: Mapping[str, str] | None) -> dict[str, JudgedNode]:
    """Each node by name, as EC2 tells of its instance: running in the right place but for what is `told` by node."""
    instances = {str(node.spec.provider_id).rpartition("/")[2]: node for node in nodes if node.spec}
    facts = {
        id_: {**HERE, **(told.get(name) or {})}
        for id_, node in instances.items()
        if told.get(name := str(node.metadata and node.metadata.name), HERE) is not None
    }

    def answer(arguments: Properties) -> Properties:
        filters = {filter_["name"]: filter_["values"] for filter_ in arguments["filters"]}
        filters["state"] = arguments["instanceStateNames"]
        asked = filters.pop("instance-id")
        found = [id_ for id_ in asked if id_ in facts and all(facts[id_][key] in filters[key] for key in filters)]
        addresses = (facts[id_].get("address", f"10.0.0.{int(id_[2:], 16) % 256}") for id_ in found)
        return {"ids": found, "privateIps": [address for address in addresses if address]}

    verdicts: list[JudgedNode] = []
    stack = recorded(
        program=lambda: verdicts.extend(judge(nodes, vpc_id="vpc-1", zone="us-west-2a")),
        answers={"aws:ec2/getInstances:getInstances": answer},
    )
    stack.engine.up()
    questions.append(len(stack.recorder.asked("getInstances")))
    return {verdict.name: verdict for verdict in verdicts}


questions: list[int] = []


def unfit(only: V1Node, **facts: str) -> str:
    """Why a node called `a` is unfit, by what EC2 says of it."""
    return judged(only, a=facts)["a"].unfit


def test_the_address_of_a_node_is_the_primary_one_that_ec2_tells_and_not_the_first_of_its_list() -> None:
    listed = node("a", "10.0.9.9", provider_id=f"aws:///us-west-2a/{instance_id('10.0.0.7')}")
    found = judged(listed)["a"]
    assert (found.target_id("ip"), found.target_id("instance")) == ("10.0.0.7", instance_id("10.0.0.7"))
    assert found.unfit == ""


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"state": "stopped"}, "stopped in EC2"),
        ({"state": "stopping"}, "stopped in EC2"),
        ({"state": "terminated", "address": ""}, "terminated in EC2"),
        ({"state": "shutting-down"}, "terminated in EC2"),
        ({"state": "pending"}, "pending in EC2"),
        ({"vpc-id": "vpc-2"}, "not in vpc-1"),
        ({"address": ""}, "without a private IPv4 address"),
        ({"availability-zone": "us-west-2b"}, "not in zone us-west-2a by EC2's word, whatever its label says"),
    ],
)
def test_a_node_is_unfit_by_what_ec2_says_of_its_instance(facts: Mapping[str, str], reason: str) -> None:
    assert unfit(node("a"), **facts) == reason


def test_a_node_that_ec2_does_not_know_is_unfit() -> None:
    assert judged(node("a"), a=None)["a"].unfit == "unknown to EC2 in this account and region"


def test_a_node_of_another_zone_is_told_by_its_label_and_found_by_ec2() -> None:
    assert unfit(node("a", zone="us-west-2b"), **{"availability-zone": "us-west-2b"}) == "in zone us-west-2b"
    assert unfit(node("a", zone="us-west-2b")) == ""


@pytest.mark.parametrize("taint", sorted(TAINTS))
def test_a_node_on_its_way_out_or_not_yet_in_is_unfit(taint: str) -> None:
    assert unfit(node("a", taints=["nvidia.com/gpu", taint])) == f"{TAINTS[taint]} (taint {taint})"


@pytest.mark.parametrize(
    "taint",
    ["node.kubernetes.io/not-ready", "DeletionCandidateOfClusterAutoscaler", "nvidia.com/gpu", "CriticalAddonsOnly"],
)
def test_a_node_that_only_stumbles_or_is_only_a_candidate_or_tainted_for_pods_is_fit(taint: str) -> None:
    assert unfit(node("a", taints=[taint])) == ""


def test_a_cordoned_node_is_fit_because_its_proxy_still_serves() -> None:
    assert unfit(node("a", cordoned=True, taints=["node.kubernetes.io/unschedulable"])) == ""


def test_a_node_that_is_being_deleted_is_unfit() -> None:
    assert unfit(node("a", deleted="2026-01-01T00:00:00Z")) == "being deleted"


def test_a_node_excluded_from_load_balancers_is_unfit_whatever_the_labels_value() -> None:
    assert unfit(node("a", labels={EXCLUDE_LABEL: ""})) == f"carrying the label {EXCLUDE_LABEL}"


@pytest.mark.parametrize(
    ("compute_type", "provider_id", "reason"),
    [
        ("fargate", "aws:///us-west-2a/0123/fargate-ip-10-0-0-1", "on Fargate, which answers on no NodePort"),
        ("hybrid", "eks-hybrid:///us-west-2/demo/mi-0123", "a hybrid node, which is no EC2 instance"),
        ("", "aws:///us-west-2a/0123/fargate-ip-10-0-0-1", "without an EC2 instance"),
    ],
)
def test_a_node_that_is_no_instance_is_unfit_and_ec2_is_not_asked(
    compute_type: str, provider_id: str, reason: str
) -> None:
    assert unfit(node("a", provider_id=provider_id, labels={COMPUTE_TYPE_LABEL: compute_type})) == reason
    assert questions[-1] == 0


def test_a_node_of_eks_auto_mode_is_an_instance_like_any_other() -> None:
    assert unfit(node("a", labels={COMPUTE_TYPE_LABEL: "auto"})) == ""


def test_a_node_without_a_provider_id_yet_is_told_by_its_taint() -> None:
    taint = "node.cloudprovider.kubernetes.io/uninitialized"
    assert unfit(node("a", provider_id=None, taints=[taint])) == f"not initialised yet (taint {taint})"


def test_where_all_nodes_are_fit_ec2_is_asked_once_and_for_the_rest_only_as_far_as_needed() -> None:
    nodes = [node(name, f"10.0.0.{number}") for number, name in enumerate("abc", 1)]
    assert not any(found.unfit for found in judged(*nodes).values())
    assert questions[-1] == 1
    assert judged(*nodes, b={"state": "stopped"})["b"].unfit
    assert questions[-1] == 5


def test_a_cluster_of_the_ipv6_family_is_refused_with_the_key() -> None:
    stack = recorded(
        answers={
            "aws:eks/getCluster:getCluster": {
                **dict(recorded().recorder.answers["aws:eks/getCluster:getCluster"]),  # pyright: ignore[reportArgumentType, reportCallIssue]
                "kubernetesNetworkConfigs": [{"ipFamily": "ipv6"}],
            }
        }
    )
    with pytest.raises(pulumi.RunError, match=r"demo is of the IPv6 family.*either lls:targetType.*lls:clusterName"):
        stack.engine.up()
    assert not stack.resources
