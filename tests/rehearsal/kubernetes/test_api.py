import base64
import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import Any

import pytest
from kubernetes.client import (
    ApiClient,
    ApiException,
    ApisApi,
    AuthorizationV1Api,
    CoreV1Api,
    CustomObjectsApi,
    DiscoveryV1Api,
    VersionApi,
)
from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]
from urllib3.exceptions import HTTPError

from lls.cluster_api import ClusterApi
from lls.operations.world.capacity import demand_of, shortfall
from lls.operations.world.proxy import Proxy
from rehearsal.kubernetes.api import TOKEN, KubernetesApi, kubeconfig_for
from rehearsal.kubernetes.chart import KubernetesError, Service, ServicePort
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.scheduler import Container
from rehearsal.kubernetes.shims import commands_on_the_path
from rehearsal.world import ELSEWHERE, ExistingPod, Node
from tests.support import breakage
from tests.support.configs import loaded
from tests.support.recorded import CONFIG, as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import PatientClock, a_rehearsal, a_world

NAMESPACE = "gdn-streaming"
BINDINGS = ("elbv2.k8s.aws", "v1beta1", NAMESPACE, "targetgroupbindings")


class EmulatedCluster:
    """An emulated cluster, its API by the official client, and the proxy's release."""

    def __init__(self, cluster: Cluster, kubernetes: KubernetesApi, clock: PatientClock) -> None:
        self.cluster = cluster
        self.kubernetes = kubernetes
        self.clock = clock
        config: Any = json.loads(kubeconfig_for(kubernetes.endpoint, "x"))
        self.client: ApiClient = new_client_from_config_dict(config, persist_config=False)
        self.core: Any = CoreV1Api(self.client)

    def install(
        self, *, replicas: int = 1, cpu: str = "5000m", tag: str = "2.0.1", timeout: int = 600, **more: Any
    ) -> None:
        """Install the release, with `more` of the chart's values."""
        if NAMESPACE not in self.cluster.namespaces:
            self.cluster.create_namespace(NAMESPACE)
        resources = {"cpu": cpu, "memory": "24Gi"}
        values = {
            "env": {"lbPort": "5004", "lbDns": "x.example"},
            "replicaCount": replicas,
            "availabilityZones": {"enabled": True, "zones": ["us-west-2a"]},
            "nodeSelector": {"node-type": "compute"},
            "image": {"repository": "r.example/streaming-proxy", "tag": tag, "pullPolicy": "Always"},
            "resources": {"requests": resources, "limits": resources},
            **more,
        }
        self.cluster.install(
            NAMESPACE, NAMESPACE, chart="oci://r.example/gdn-streaming", version=tag, values=values, timeout=timeout
        )

    def pods(self, **selectors: str) -> list[Any]:
        return self.core.list_namespaced_pod(NAMESPACE, **selectors).items

    def pod(self) -> Any:
        [pod] = self.pods()
        return pod

    def reasons(self) -> set[str]:
        return {item.reason for item in self.core.list_namespaced_event(NAMESPACE).items}

    def releases(self) -> list[Any]:
        secrets = self.core.list_namespaced_secret(NAMESPACE, label_selector="owner=helm,name=gdn-streaming").items
        return [
            json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret.data["release"]))))
            for secret in secrets
        ]

    def answers(self, port: int = 30504) -> set[str]:
        return {node.name for node in self.cluster.nodes.values() if self.cluster.answers(node.ip or "", port, "")}


def a_cluster(**world: Any) -> tuple[Cluster, PatientClock]:
    clock = PatientClock()
    given = a_world(quirks=world.pop("quirks", None), nvcf=ELSEWHERE).model_copy(update=world)
    cluster = Cluster(given, clock, {"node-type": "compute"})
    for number, node in enumerate(given.nodes):
        cluster.nodes[node.name] = node.model_copy(update={"ip": f"10.0.0.{number}", "instance_id": f"i-{number}"})
    return cluster, clock


@pytest.fixture
def make() -> Iterator[Callable[..., EmulatedCluster]]:
    with ExitStack() as until:

        def make(**world: Any) -> EmulatedCluster:
            cluster, clock = a_cluster(**world)
            kubernetes = until.enter_context(KubernetesApi(cluster))
            until.enter_context(commands_on_the_path(cluster.world.cluster, kubernetes.endpoint))
            fixture = EmulatedCluster(cluster, kubernetes, clock)
            until.callback(fixture.client.close)
            return fixture

        yield make


@pytest.fixture
def emulated(make: Callable[..., EmulatedCluster]) -> EmulatedCluster:
    return make()


@pytest.fixture
def installed(emulated: EmulatedCluster) -> EmulatedCluster:
    emulated.install()
    return emulated


def refused(status: int, ask: Callable[[], Any]) -> str:
    """The message of a refusal."""
    with pytest.raises(ApiException) as caught:
        ask()
    error: Any = caught.value
    assert error.status == status
    body = json.loads(error.body)
    assert (body["kind"], body["code"]) == ("Status", status)
    return body["message"]


# --- Nodes and namespaces


def test_the_api_has_a_version(emulated: EmulatedCluster) -> None:
    assert VersionApi(emulated.client).get_code().git_version.startswith("v1.")
    asked: Any = emulated.client.rest_client
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert asked.request("GET", f"{emulated.kubernetes.endpoint}/readyz", headers=header).read() == b"ok"


def test_a_node_tells_what_pods_may_request_of_it_and_whether_it_is_ready(emulated: EmulatedCluster) -> None:
    breakage.change_node(emulated.cluster, "gpu-1", ready=False, cordoned=True, cpu="8")
    node = emulated.core.read_node("gpu-1")
    assert node.status.allocatable == {"cpu": "8", "memory": "384Gi", "pods": "110"}
    assert node.spec.unschedulable
    assert {condition.type: condition.status for condition in node.status.conditions}["Ready"] != "True"
    assert not emulated.core.read_node("gpu-2").spec.unschedulable


def test_nodes_are_chosen_by_labels(emulated: EmulatedCluster) -> None:
    found = emulated.core.list_node(label_selector="node-type in (compute),kubernetes.io/hostname!=gpu-1,!nosuch").items
    assert {node.metadata.name for node in found} == {"gpu-2", "gpu-3", "gpu-4"}


def test_what_is_not_there_is_not_found(emulated: EmulatedCluster) -> None:
    assert refused(404, lambda: emulated.core.read_node("x")) == 'nodes "x" not found'
    assert refused(404, lambda: emulated.core.read_namespace("x")) == 'namespaces "x" not found'


def test_a_deleted_namespace_is_terminating_until_it_is_gone_with_everything_in_it(installed: EmulatedCluster) -> None:
    emulated = installed
    assert emulated.core.read_namespace(NAMESPACE).status.phase == "Active"
    emulated.core.delete_namespace(NAMESPACE)
    assert emulated.core.read_namespace(NAMESPACE).status.phase == "Terminating"
    emulated.core.delete_namespace(NAMESPACE)  # which is no mistake: kube-apiserver v1.34.4
    emulated.clock.skip(11)
    refused(404, lambda: emulated.core.read_namespace(NAMESPACE))
    assert emulated.pods() == []
    assert emulated.releases() == []
    assert emulated.cluster.leftovers() == ()


def test_a_namespace_whose_deletion_hangs_tells_why_in_its_conditions(emulated: EmulatedCluster) -> None:
    emulated.cluster.create_namespace(NAMESPACE)
    assert emulated.core.read_namespace(NAMESPACE).status.conditions is None
    breakage.hang_deletion(emulated.cluster, NAMESPACE, breakage.FINALIZER)
    emulated.clock.skip(10_000)
    told = {
        condition.type: condition.message
        for condition in emulated.core.read_namespace(NAMESPACE).status.conditions
        if condition.status == "True"
    }
    assert told == breakage.FINALIZER
    emulated.cluster.hung.clear()
    refused(404, lambda: emulated.core.read_namespace(NAMESPACE))


# --- Pods


def test_the_release_runs_as_many_pods_as_it_has_replicas_under_the_guides_label(emulated: EmulatedCluster) -> None:
    emulated.install(replicas=2)
    pods = emulated.pods(label_selector="app=streaming-proxy")
    assert {pod.spec.node_name for pod in pods} == {"gpu-1", "gpu-2"}
    for pod in pods:
        assert pod.metadata.name.startswith("streaming-proxy-")
        assert pod.status.phase == "Running"
        assert pod.status.container_statuses[0].ready
        assert pod.status.container_statuses[0].restart_count == 0
        assert pod.spec.containers[0].resources.requests == {"cpu": "5", "memory": "24Gi"}
        assert pod.spec.containers[0].readiness_probe.http_get.path == "/v1/health"


def test_pods_are_chosen_by_node_and_phase(installed: EmulatedCluster) -> None:
    emulated = installed
    assert len(emulated.pods(field_selector="spec.nodeName=gpu-1,status.phase=Running")) == 1
    assert emulated.pods(field_selector="spec.nodeName!=gpu-1") == []
    assert len(emulated.core.list_pod_for_all_namespaces(field_selector="status.phase!=Failed").items) == 1
    assert "field label not supported" in refused(400, lambda: emulated.pods(field_selector="spec.color=red"))


def test_a_crashing_pod_keeps_restarting_and_its_log_says_why(installed: EmulatedCluster) -> None:
    emulated = installed
    name = emulated.pod().metadata.name
    breakage.crash(emulated.cluster, name, restarts=9)
    status = emulated.pod().status.container_statuses[0]
    assert (status.ready, status.restart_count) == (False, 9)
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.last_state.terminated.exit_code == 1
    log = emulated.core.read_namespaced_pod_log(name, NAMESPACE, tail_lines=1, previous=True)
    assert log.startswith("SettingsError")
    assert "BackOff" in emulated.reasons()
    assert emulated.answers() == set()
    breakage.recover(emulated.cluster, name)
    assert emulated.answers() == set(emulated.cluster.nodes)


def test_the_log_of_a_pod_with_several_containers_is_that_of_a_named_one(installed: EmulatedCluster) -> None:
    name = installed.pod().metadata.name
    breakage.add_container(installed.cluster, name, Container(name="waits", kind="init", log="ready to go\n"))
    assert "is serving" in installed.core.read_namespaced_pod_log(name, NAMESPACE)
    breakage.add_container(installed.cluster, name, Container(name="mesh", log="meshed\n"))
    message = refused(400, lambda: installed.core.read_namespaced_pod_log(name, NAMESPACE))
    assert f"a container name must be specified for pod {name}, choose one of: [streaming-proxy waits mesh]" in message
    for container, said in (("streaming-proxy", "is serving"), ("mesh", "meshed"), ("waits", "ready to go")):
        assert said in installed.core.read_namespaced_pod_log(name, NAMESPACE, container=container)
    message = refused(400, lambda: installed.core.read_namespaced_pod_log(name, NAMESPACE, container="else"))
    assert f"container else is not valid for pod {name}" in message


def test_no_container_starts_before_the_init_containers_have_ended(installed: EmulatedCluster) -> None:
    name = installed.pod().metadata.name
    fails = Container(name="checks", kind="init", crashing=True, restarts=12, log="no route to host\n")
    breakage.add_container(installed.cluster, name, fails)
    pod = installed.pod()
    [init], [own] = pod.status.init_container_statuses, pod.status.container_statuses
    assert pod.status.phase == "Pending"
    assert (init.state.waiting.reason, init.restart_count, init.ready) == ("CrashLoopBackOff", 12, False)
    assert own.state.waiting.reason == "PodInitializing"
    message = refused(400, lambda: installed.core.read_namespaced_pod_log(name, NAMESPACE))
    assert "is waiting to start: PodInitializing" in message
    log = installed.core.read_namespaced_pod_log(name, NAMESPACE, container="checks", previous=True)
    assert log == "no route to host\n"
    assert installed.answers() == set()


def test_a_pod_without_its_image_is_pending_and_has_no_log(installed: EmulatedCluster) -> None:
    emulated = installed
    name = emulated.pod().metadata.name
    breakage.fail_image_pull(emulated.cluster, name)
    assert emulated.pod().status.phase == "Pending"
    assert emulated.pod().status.container_statuses[0].state.waiting.reason == "ImagePullBackOff"
    assert {"Failed", "BackOff"} <= emulated.reasons()
    message = refused(400, lambda: emulated.core.read_namespaced_pod_log(name, NAMESPACE))
    assert "trying and failing to pull image" in message


def test_a_pod_that_fails_its_probe_is_not_ready(installed: EmulatedCluster) -> None:
    emulated = installed
    breakage.fail_probe(emulated.cluster, emulated.pod().metadata.name)
    assert {condition.type: condition.status for condition in emulated.pod().status.conditions}["Ready"] == "False"
    assert "Unhealthy" in emulated.reasons()
    assert emulated.answers() == set()


def test_a_pod_that_no_node_takes_is_pending(installed: EmulatedCluster) -> None:
    emulated = installed
    breakage.unschedule(
        emulated.cluster, emulated.pod().metadata.name, "0/5 nodes are available: 5 Insufficient memory."
    )
    assert (emulated.pod().status.phase, emulated.pod().spec.node_name) == ("Pending", None)
    [event] = emulated.core.list_namespaced_event(NAMESPACE).items
    assert (event.reason, event.message) == ("FailedScheduling", "0/5 nodes are available: 5 Insufficient memory.")


def test_a_full_cluster_takes_no_release_and_the_scheduler_says_why(make: Callable[..., EmulatedCluster]) -> None:
    emulated = make(
        pods=(ExistingPod(name="sim", node="gpu-1", cpu="44"), ExistingPod(name="sim-2", node="gpu-2", memory="370Gi"))
    )
    with pytest.raises(KubernetesError) as caught:
        emulated.install()
    assert "0/5 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated" in str(
        caught.value
    )
    assert emulated.clock.time == 600
    assert emulated.pod().status.phase == "Pending"
    assert emulated.reasons() == {"FailedScheduling"}
    assert [release["info"]["status"] for release in emulated.releases()] == ["failed"]
    emulated.cluster.remove("pods", "default", "sim")
    emulated.install()
    assert emulated.pod().spec.node_name == "gpu-1"
    assert [release["info"]["status"] for release in emulated.releases()] == ["failed", "deployed"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cordoned": True}, "1 node(s) were unschedulable"),
        ({"ready": False}, "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"),
        ({"taints": ("dedicated",)}, "1 node(s) had untolerated taint {dedicated: }"),
    ],
)
def test_a_node_that_takes_no_pods_is_left_out(emulated: EmulatedCluster, change: dict[str, Any], reason: str) -> None:
    breakage.change_node(emulated.cluster, "gpu-1", **change)
    emulated.install()
    assert emulated.pod().spec.node_name == "gpu-2"
    del emulated.cluster.nodes["gpu-2"]
    assert reason in emulated.cluster.pods[NAMESPACE, emulated.pod().metadata.name].message


@pytest.mark.parametrize(
    ("taint", "toleration", "fits"),
    [
        ("nvidia.com/gpu", None, False),
        ("nvidia.com/gpu:PreferNoSchedule", None, True),
        ("nvidia.com/gpu", {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ("nvidia.com/gpu=x", {"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ("nvidia.com/gpu=x", {"key": "nvidia.com/gpu", "value": "x"}, True),
        ("nvidia.com/gpu=x", {"key": "nvidia.com/gpu", "operator": "Equal", "value": "y"}, False),
        ("nvidia.com/gpu=x", {"key": "nvidia.com/gpu"}, False),
        ("nvidia.com/gpu", {"key": "other", "operator": "Exists"}, False),
        ("nvidia.com/gpu:NoExecute", {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, False),
        ("nvidia.com/gpu:NoExecute", {"operator": "Exists"}, True),
        ("nvidia.com/gpu:NoExecute", {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}, True),
    ],
)
def test_a_pod_goes_to_a_tainted_node_only_with_a_toleration_and_preflight_agrees(
    make: Callable[..., EmulatedCluster], taint: str, toleration: dict[str, Any] | None, fits: bool
) -> None:
    emulated = make(nodes=(Node(name="gpu-1", zone="a", taints=(taint,)),))
    tolerations = [toleration] if toleration else []
    demand = demand_of(loaded({**CONFIG, **as_config(helmValues={"tolerations": tolerations})}))
    assert (shortfall(emulated.core.list_node().items[0], [], demand, "x").seen == "") == fits
    with suppress(KubernetesError):
        emulated.install(tolerations=tolerations)
    assert bool(emulated.pod().spec.node_name) == fits


@pytest.mark.parametrize(
    ("toleration", "told"),
    [
        ({"key": "", "operator": "Equal"}, "operator must be Exists when `key` is empty"),
        ({"key": "a", "operator": "Exists", "value": "b"}, "value must be empty"),
        ({"key": "a", "operator": "Exists", "effect": "Never"}, "effect"),
        ({"key": "a", "operator": "Exists", "tolerationSeconds": 9}, "effect must be 'NoExecute'"),
    ],
)
def test_a_toleration_that_the_api_does_not_take_fails_the_release(
    emulated: EmulatedCluster, toleration: dict[str, Any], told: str
) -> None:
    with pytest.raises(KubernetesError, match=told):
        emulated.install(tolerations=[toleration])


def test_a_world_shows_nodes_of_each_kind(make: Callable[..., EmulatedCluster]) -> None:
    emulated = make(
        nodes=(
            Node(name="fargate", zone="a", compute_type="fargate", ip="10.0.16.9"),
            Node(name="hybrid", zone="a", compute_type="hybrid", ip="192.168.100.1"),
            Node(
                name="auto", zone="a", compute_type="auto", instance_id="i-0a", ip="10.0.16.8", addresses=("10.1.0.8",)
            ),
            Node(name="stopped", zone="a", instance_state="stopped", instance_id="i-0b", ip="10.0.16.7"),
        )
    )
    shown = {node.metadata.name: node for node in emulated.core.list_node().items}
    ids = {name: node.spec.provider_id.partition(":///")[0] for name, node in shown.items()}
    assert ids == {"fargate": "aws", "hybrid": "eks-hybrid", "auto": "aws", "stopped": "aws"}
    kinds = {name: node.metadata.labels.get("eks.amazonaws.com/compute-type") for name, node in shown.items()}
    assert kinds == {"fargate": "fargate", "hybrid": "hybrid", "auto": "auto", "stopped": None}
    assert [address.address for address in shown["auto"].status.addresses] == ["10.1.0.8", "10.0.0.2", "auto"]
    taints = {name: {taint.key for taint in node.spec.taints or ()} for name, node in shown.items()}
    assert taints["fargate"] == {"eks.amazonaws.com/compute-type"}
    assert taints["stopped"] == {"node.kubernetes.io/unreachable", "node.cloudprovider.kubernetes.io/shutdown"}
    assert {condition.status for condition in shown["stopped"].status.conditions} == {"Unknown"}


def test_a_cluster_of_the_ipv6_family_lists_such_addresses_and_answers_on_no_other(
    make: Callable[..., EmulatedCluster],
) -> None:
    emulated = make(quirks={"ip_family": "ipv6"})
    emulated.install()
    addresses = [node.status.addresses[0].address for node in emulated.core.list_node().items]
    assert {ip_address(address).version for address in addresses} == {6}
    assert emulated.answers() == set()


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        ({"limits.memory": "16Gi"}, "exceeded quota: team, requested: limits.memory=24Gi, used: limits.memory=0"),
        ({"limits.memory": "16Gi", "pods": "0"}, "requested: limits.memory=24Gi,pods=1, used: limits.memory=0,pods=0"),
    ],
)
def test_a_quota_refuses_pods_and_only_an_event_of_their_replica_set_tells(
    emulated: EmulatedCluster, quota: dict[str, str], words: str
) -> None:
    emulated.cluster.quotas[NAMESPACE] = quota
    with pytest.raises(KubernetesError, match=r"context deadline exceeded: pods .* is forbidden"):
        emulated.install()
    assert emulated.pods() == []
    [event] = emulated.core.list_namespaced_event(NAMESPACE).items
    assert (event.involved_object.kind, event.type, event.reason) == ("ReplicaSet", "Warning", "FailedCreate")
    assert words in event.message
    emulated.cluster.quotas.clear()
    assert emulated.pod().status.phase == "Running"
    assert "FailedCreate" not in emulated.reasons()


def test_a_pod_whose_node_goes_is_made_anew_elsewhere(installed: EmulatedCluster) -> None:
    emulated = installed
    before = emulated.pod().metadata.name
    del emulated.cluster.nodes["gpu-1"]
    assert emulated.pod().spec.node_name == "gpu-2"
    assert emulated.pod().metadata.name != before


def test_pods_on_a_node_that_is_not_ready_are_not_ready_and_have_no_log(installed: EmulatedCluster) -> None:
    emulated = installed
    breakage.change_node(emulated.cluster, "gpu-1", ready=False)
    assert not emulated.pod().status.container_statuses[0].ready
    assert "i/o timeout" in refused(
        500, lambda: emulated.core.read_namespaced_pod_log(emulated.pod().metadata.name, NAMESPACE)
    )


# --- Services


def test_the_chart_has_a_service_with_both_node_ports(installed: EmulatedCluster) -> None:
    [service] = installed.core.list_namespaced_service(NAMESPACE).items
    assert {(port.protocol, port.node_port) for port in service.spec.ports} == {("UDP", 30504), ("TCP", 30800)}
    assert service.metadata.labels["app.kubernetes.io/managed-by"] == "Helm"
    assert service.metadata.annotations["meta.helm.sh/release-name"] == "gdn-streaming"


def test_a_service_knows_its_ready_pods(installed: EmulatedCluster) -> None:
    emulated = installed
    [subset] = emulated.core.read_namespaced_endpoints("streaming-proxy", NAMESPACE).subsets
    assert [address.target_ref.name for address in subset.addresses] == [emulated.pod().metadata.name]
    breakage.fail_probe(emulated.cluster, emulated.pod().metadata.name)
    found: Any = DiscoveryV1Api(emulated.client).list_namespaced_endpoint_slice(
        NAMESPACE, label_selector="kubernetes.io/service-name=streaming-proxy"
    )
    assert [endpoint.conditions.ready for endpoint in found.items[0].endpoints] == [False]


def test_a_taken_node_port_is_a_service_of_somebody_else(make: Callable[..., EmulatedCluster]) -> None:
    emulated = make(quirks={"taken_node_ports": (30504,)})
    [service] = emulated.core.list_service_for_all_namespaces().items
    assert (service.metadata.namespace, service.metadata.name) == ("other", "other-30504")
    with pytest.raises(KubernetesError, match="already allocated"):
        emulated.install()
    assert [release["info"]["status"] for release in emulated.releases()] == ["failed"]
    assert emulated.cluster.leftovers() == ("namespace gdn-streaming", "release gdn-streaming/gdn-streaming")
    assert emulated.pod().status.phase == "Running"  # Helm makes what is not refused all the same
    assert emulated.core.list_namespaced_service(NAMESPACE).items == []


@pytest.mark.parametrize(
    "held",
    [
        {"ports": (ServicePort(name="x", protocol="TCP", port=80, node_port=30504),)},
        {"ports": (), "health_check_node_port": 30504, "external_traffic_policy": "Local"},
    ],
    ids=["for another protocol", "for health checks"],
)
def test_a_node_port_is_one_services_alone_whatever_it_is_for(emulated: EmulatedCluster, held: dict[str, Any]) -> None:
    emulated.cluster.services["else", "x"] = Service(name="x", namespace="else", selector={}, **held)
    with pytest.raises(KubernetesError, match="30504: provided port is already allocated"):
        emulated.install()


def test_a_network_policy_without_types_is_about_what_gets_in(installed: EmulatedCluster) -> None:
    policies = installed.cluster.network_policies
    for rules, answering in (("{}", 0), ('{"ingress": [{}]}', 5), ('{"policyTypes": ["Egress"]}', 5)):
        policies[NAMESPACE, "x"] = {"podSelector": {}, **json.loads(rules)}
        assert len(installed.answers()) == answering


def test_a_pod_that_has_only_limits_requests_them_too(emulated: EmulatedCluster) -> None:
    with pytest.raises(KubernetesError, match="Insufficient cpu"):
        emulated.install(resources={"limits": {"cpu": "48500m", "memory": "24576Mi"}})
    resources = emulated.pod().spec.containers[0].resources
    assert resources.requests == resources.limits == {"cpu": "48500m", "memory": "24Gi"}


def test_nothing_answers_on_a_node_port_that_no_service_has(installed: EmulatedCluster) -> None:
    emulated = installed
    assert emulated.answers() == set(emulated.cluster.nodes)
    breakage.change_node_port(emulated.cluster, 30504, 31999)
    assert (emulated.answers(), emulated.answers(31999)) == (set(), set(emulated.cluster.nodes))
    del emulated.cluster.services[NAMESPACE, "streaming-proxy"]
    assert emulated.answers(31999) == set()


def test_with_a_local_traffic_policy_only_nodes_with_a_pod_answer(make: Callable[..., EmulatedCluster]) -> None:
    emulated = make(quirks={"external_traffic_policy": "Local"})
    emulated.install()
    assert emulated.answers() == {"gpu-1"}


@pytest.mark.parametrize("ending", [breakage.evict, breakage.terminate])
def test_a_pod_that_was_evicted_or_is_being_deleted_has_a_successor_and_serves_no_more(
    installed: EmulatedCluster, ending: Callable[[Cluster, str], None]
) -> None:
    emulated = installed
    name = emulated.pod().metadata.name
    ending(emulated.cluster, name)
    pods = {pod.metadata.name: pod for pod in emulated.pods()}
    ended = pods.pop(name)
    [successor] = pods.values()
    assert successor.status.phase == "Running"
    assert (ended.status.phase, bool(ended.metadata.deletion_timestamp)) == (
        ("Failed", False) if ending is breakage.evict else ("Running", True)
    )
    assert emulated.answers() == set(emulated.cluster.nodes)
    breakage.fail_probe(emulated.cluster, successor.metadata.name)
    assert emulated.answers() == set()


def test_a_binding_that_pulumi_made_is_deleted_by_its_name() -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        [(_, name)] = rehearsal.cluster.bindings
        config: Any = json.loads(kubeconfig_for(rehearsal.kubernetes.endpoint, "x"))
        client: ApiClient = new_client_from_config_dict(config, persist_config=False)
        api: Any = CustomObjectsApi(client)
        assert api.delete_namespaced_custom_object(*BINDINGS, name)["details"]["name"] == name
        assert api.list_namespaced_custom_object(*BINDINGS)["items"] == []
        client.close()


# --- Helm


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603, S607


def test_each_revision_of_a_release_is_a_secret(installed: EmulatedCluster) -> None:
    emulated = installed
    emulated.install(tag="2.0.2")
    assert [(release["version"], release["info"]["status"]) for release in emulated.releases()] == [
        (1, "superseded"),
        (2, "deployed"),
    ]
    last = emulated.releases()[-1]
    assert last["chart"]["metadata"] == {"name": "gdn-streaming", "version": "2.0.2"}
    assert last["config"]["image"]["tag"] == "2.0.2"
    assert (
        emulated.core.read_namespaced_secret("sh.helm.release.v1.gdn-streaming.v2", NAMESPACE).type
        == "helm.sh/release.v1"
    )


def test_an_upgrade_that_cannot_be_placed_leaves_the_old_pods_serving(installed: EmulatedCluster) -> None:
    emulated = installed
    with pytest.raises(KubernetesError, match="Insufficient cpu"):
        emulated.install(cpu="60")
    assert sorted(pod.status.phase for pod in emulated.pods()) == ["Pending", "Running"]
    assert emulated.answers()


def test_a_release_that_was_left_pending_refuses_another_operation(installed: EmulatedCluster) -> None:
    emulated = installed
    breakage.change_release(emulated.cluster, NAMESPACE, "gdn-streaming", "pending-upgrade")
    with pytest.raises(KubernetesError, match="another operation"):
        emulated.install(tag="2.0.2")
    status = helm("status", "gdn-streaming", "-n", NAMESPACE, "-o", "json")
    assert json.loads(status.stdout)["info"]["status"] == "pending-upgrade"


def test_helm_rolls_a_pending_release_back_to_a_revision_that_there_is(installed: EmulatedCluster) -> None:
    back = ("rollback", "gdn-streaming", "-n", NAMESPACE)
    breakage.change_release(installed.cluster, NAMESPACE, "gdn-streaming", "pending-install")
    assert "release has no 0 version" in helm(*back).stderr
    breakage.change_release(installed.cluster, NAMESPACE, "gdn-streaming", "deployed")
    installed.install(tag="2.0.2")
    breakage.change_release(installed.cluster, NAMESPACE, "gdn-streaming", "pending-upgrade")
    assert helm(*back, "1").returncode == 0
    assert [release["info"]["status"] for release in installed.releases()][-1] == "deployed"
    assert installed.pod().spec.containers[0].image.endswith(":2.0.1")
    installed.install(tag="2.0.2")


def test_a_release_whose_uninstall_was_interrupted_takes_no_upgrade(installed: EmulatedCluster) -> None:
    breakage.change_release(installed.cluster, NAMESPACE, "gdn-streaming", "uninstalling")
    with pytest.raises(KubernetesError, match="has no deployed releases"):
        installed.install(tag="2.0.2")


def test_helm_uninstalls_and_says_what_it_cannot_find(installed: EmulatedCluster) -> None:
    done = helm("uninstall", "gdn-streaming", "-n", NAMESPACE, "--wait", "--timeout", "5m")
    assert (done.returncode, done.stdout) == (0, 'release "gdn-streaming" uninstalled\n')
    assert installed.pods() == []
    assert installed.core.list_service_for_all_namespaces().items == []
    again = helm("uninstall", "gdn-streaming", "-n", NAMESPACE)
    assert (again.returncode, again.stderr) == (
        1,
        "Error: uninstall: Release not loaded: gdn-streaming: release: not found\n",
    )
    assert helm("status", "gdn-streaming", "-n", NAMESPACE).stderr == "Error: release: not found\n"
    assert helm("version").returncode == 0


def test_helm_may_be_denied_or_not_reach_the_cluster(installed: EmulatedCluster) -> None:
    uninstall = ("uninstall", "gdn-streaming", "-n", NAMESPACE)
    installed.cluster.denied.add(("list", "secrets"))
    assert "secrets is forbidden" in helm(*uninstall).stderr
    with installed.kubernetes.outage("unauthorized"):
        assert "asked for the client to provide credentials" in helm(*uninstall).stderr
    with installed.kubernetes.outage("refused"):
        assert "connection refused" in helm(*uninstall).stderr


def test_the_operations_see_the_release_that_pulumi_installed() -> None:
    with a_rehearsal(as_config(namespace="streams", releaseName="proxy")) as emulated:
        emulated.engine.up()
        kubeconfig = kubeconfig_for(emulated.kubernetes.endpoint, "x")
        proxy = Proxy(ClusterApi(kubeconfig), "streams", "proxy")
        release = proxy.find_release()
        assert release
        assert (release.status, release.chart, release.version) == ("deployed", "gdn-streaming", "2.0.1")
        assert proxy.find_namespace()
        assert proxy.logs(breakage.a_proxy(emulated.cluster), "streaming-proxy", 10)
        assert proxy.uninstall(kubeconfig, "") is None
        assert proxy.others() == []
        proxy.delete_namespace()


# --- Permissions, discovery, outages


def test_a_denied_verb_is_seen_by_a_review_and_refused_in_life(installed: EmulatedCluster) -> None:
    emulated = installed

    def allowed(verb: str, resource: str, subresource: str | None = None) -> bool:
        attributes = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": NAMESPACE}
        review: Any = {"spec": {"resourceAttributes": attributes}}
        answer: Any = AuthorizationV1Api(emulated.client).create_self_subject_access_review(review)
        return answer.status.allowed

    name = emulated.pod().metadata.name
    assert allowed("list", "nodes")
    emulated.cluster.denied |= {("list", "nodes"), ("get", "pods/log"), ("delete", "namespaces")}
    assert not allowed("list", "nodes")
    assert not allowed("get", "pods", "log")
    user = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"
    assert (
        refused(403, emulated.core.list_node)
        == f'nodes is forbidden: User "{user}" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert refused(403, lambda: emulated.core.read_namespaced_pod_log(name, NAMESPACE)).endswith(
        f'cannot get resource "pods/log" in API group "" in the namespace "{NAMESPACE}"'
    )
    refused(403, lambda: emulated.core.delete_namespace(NAMESPACE))
    assert emulated.pods()


def test_target_group_bindings_exist_only_with_their_controller(make: Callable[..., EmulatedCluster]) -> None:
    without = make()
    groups: Any = ApisApi(without.client).get_api_versions()
    assert "elbv2.k8s.aws" not in {group.name for group in groups.groups}
    with pytest.raises(ApiException, match="404"):
        CustomObjectsApi(without.client).list_namespaced_custom_object(*BINDINGS)

    emulated = make(quirks={"load_balancer_controller": True})
    emulated.install()
    api: Any = CustomObjectsApi(emulated.client)
    resources = api.get_api_resources("elbv2.k8s.aws", "v1beta1")
    assert [resource.name for resource in resources.resources] == ["targetgroupbindings"]
    body = {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": "proxy"},
        "spec": {"targetGroupARN": "arn:tg"},
    }
    api.create_namespaced_custom_object(*BINDINGS, body)
    assert "already exists" in refused(409, lambda: api.create_namespaced_custom_object(*BINDINGS, body))
    assert api.get_namespaced_custom_object(*BINDINGS, "proxy")["spec"] == {"targetGroupARN": "arn:tg"}
    assert api.delete_namespaced_custom_object(*BINDINGS, "proxy")["status"] == "Success"
    assert api.list_namespaced_custom_object(*BINDINGS)["items"] == []


def test_an_outage_lasts_as_long_as_it_is_held(emulated: EmulatedCluster) -> None:
    with emulated.kubernetes.outage("unauthorized"):
        assert refused(401, emulated.core.list_node) == "Unauthorized"
    with emulated.kubernetes.outage("silent"), pytest.raises(HTTPError, match="timed out"):
        emulated.core.list_node(_request_timeout=0.1)
    with emulated.kubernetes.outage("refused"), pytest.raises(HTTPError, match="refused"):
        emulated.core.list_node()
    assert len(emulated.core.list_node().items) == 5


def test_a_wrong_token_is_known_to_nobody(emulated: EmulatedCluster) -> None:
    config: Any = json.loads(kubeconfig_for(emulated.kubernetes.endpoint, "x").replace(TOKEN, "nosuch"))
    client: ApiClient = new_client_from_config_dict(config, persist_config=False)
    core: Any = CoreV1Api(client)
    assert refused(401, core.list_node) == "Unauthorized"
    client.close()
