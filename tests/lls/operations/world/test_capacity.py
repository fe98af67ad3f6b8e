import json
from typing import Any

import pulumi
import pytest
from kubernetes.client import V1Node, V1Pod

from lls.operations.world.capacity import Demand, demand_of, shortfall
from tests.support.configs import loaded
from tests.support.recorded import CONFIG

DEMAND = Demand.model_validate({"resources": {"requests": {"cpu": "5"}}})


def node(**allocatable: str) -> V1Node:
    made = V1Node.from_dict(
        {
            "metadata": {"name": "gpu-1"},
            "spec": {},
            "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
        }
    )
    assert made
    return made


def container(cpu: str, **parts: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **parts}


def pod(*containers: dict[str, Any], **spec: Any) -> V1Pod:
    made = V1Pod.from_dict(
        {
            "metadata": {"name": "p", "namespace": "other"},
            "spec": {"nodeName": "gpu-1", "containers": list(containers), **spec},
            "status": {"phase": "Running"},
        }
    )
    assert made
    return made


SIDECAR = container("3", restartPolicy="Always")


@pytest.mark.parametrize(
    ("held", "free"),
    [
        (pod(container("3")), "5000m"),
        (pod(container("100m"), initContainers=[SIDECAR]), "4900m"),
        (pod(container("1"), initContainers=[container("4")]), "4000m"),
        (pod(container("1"), initContainers=[SIDECAR, container("2")]), "3000m"),
        (pod(container("1"), overhead={"cpu": "2500m"}), "4500m"),
    ],
    ids=["containers", "a sidecar stays", "an init container comes first", "one beside a sidecar", "overhead"],
)
def test_a_pod_holds_what_the_scheduler_counts(held: V1Pod, free: str) -> None:
    seen = shortfall(node(cpu="8"), [held], DEMAND, "gdn-streaming").seen
    assert seen == ("" if free == "5000m" else f"{free} cpu free")


@pytest.mark.parametrize(("slots", "seen"), [("2", ""), ("1", "no place for another pod beside its 1")])
def test_a_node_takes_so_many_pods(slots: str, seen: str) -> None:
    assert shortfall(node(cpu="8", pods=slots), [pod(container("1"))], DEMAND, "gdn-streaming").seen == seen


def test_what_has_only_a_limit_requests_that_as_the_api_server_sets_it() -> None:
    resources = {"requests": None, "limits": {"cpu": "6", "memory": "24Gi"}}
    demand = demand_of(loaded({**CONFIG, "lls:helmValues": json.dumps({"resources": resources})}))
    assert demand.resources.requests == {"cpu": "6", "memory": "24Gi"}
    assert shortfall(node(cpu="5500m", memory="48Gi"), [], demand, "x").seen == "5500m cpu free"


def test_values_that_no_pod_can_have_are_told_in_our_words() -> None:
    config = loaded({**CONFIG, "lls:helmValues": '{"tolerations": "all", "nodeSelector": ["gpu"]}'})
    with pytest.raises(pulumi.RunError) as caught:
        demand_of(config)
    told = "lls:helmValues: Kubernetes takes no pod with nodeSelector: give a mapping; tolerations: give a list."
    assert str(caught.value) == told
