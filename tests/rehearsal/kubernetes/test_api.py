import base64
import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from lls.operations.world.proxy import Proxy
from rehearsal.kubernetes.api import TOKEN, KubernetesApi, kubeconfig_for
from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.shims import commands_on_the_path
from rehearsal.world import ExistingPod
from tests.support import breakage
from tests.support.recorded import as_config
from tests.support.worlds import PatientClock, a_rehearsal, a_world

NAMESPACE = "gdn-streaming"
BINDINGS = ("elbv2.k8s.aws", "v1beta1", NAMESPACE, "targetgroupbindings")


class Fixture:
    """An emulated cluster, its API by the official client, and the proxy's release."""

    def __init__(self, cluster: Cluster, kubernetes: KubernetesApi, clock: PatientClock) -> None:
        self.cluster = cluster
        self.kubernetes = kubernetes
        self.clock = clock
        config: Any = json.loads(kubeconfig_for(kubernetes.endpoint, "x"))
        self.client: ApiClient = new_client_from_config_dict(config, persist_config=False)
        self.core: Any = CoreV1Api(self.client)

    def install(self, *, replicas: int = 1, cpu: str = "5000m", tag: str = "2.0.1", timeout: int = 600) -> None:
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
        return {each.reason for each in self.core.list_namespaced_event(NAMESPACE).items}

    def releases(self) -> list[Any]:
        secrets = self.core.list_namespaced_secret(NAMESPACE, label_selector="owner=helm,name=gdn-streaming").items
        return [
            json.loads(gzip.decompress(base64.b64decode(base64.b64decode(each.data["release"])))) for each in secrets
        ]

    def answers(self, port: int = 30504) -> set[str]:
        return {node.name for node in self.cluster.nodes.values() if self.cluster.answers(node.ip or "", port, "")}


def a_cluster(**world: Any) -> tuple[Cluster, PatientClock]:
    clock = PatientClock()
    given = a_world(quirks=world.pop("quirks", None)).model_copy(update=world)
    cluster = Cluster(given, clock, {"node-type": "compute"})
    for number, node in enumerate(given.nodes):
        cluster.nodes[node.name] = node.model_copy(update={"ip": f"10.0.0.{number}", "instance_id": f"i-{number}"})
    return cluster, clock


@pytest.fixture
def make() -> Iterator[Callable[..., Fixture]]:
    with ExitStack() as until:

        def make(**world: Any) -> Fixture:
            cluster, clock = a_cluster(**world)
            kubernetes = until.enter_context(KubernetesApi(cluster))
            until.enter_context(commands_on_the_path(cluster.world.cluster, kubernetes.endpoint))
            fixture = Fixture(cluster, kubernetes, clock)
            until.callback(fixture.client.close)
            return fixture

        yield make


@pytest.fixture
def it(make: Callable[..., Fixture]) -> Fixture:
    return make()


@pytest.fixture
def installed(it: Fixture) -> Fixture:
    it.install()
    return it


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


def test_the_api_has_a_version(it: Fixture) -> None:
    assert VersionApi(it.client).get_code().git_version.startswith("v1.")
    asked: Any = it.client.rest_client
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert asked.request("GET", f"{it.kubernetes.endpoint}/readyz", headers=header).read() == b"ok"


def test_a_node_tells_what_pods_may_request_of_it_and_whether_it_is_ready(it: Fixture) -> None:
    breakage.change_node(it.cluster, "gpu-1", ready=False, cordoned=True, cpu="8")
    node = it.core.read_node("gpu-1")
    assert node.status.allocatable == {"cpu": "8", "memory": "384Gi", "pods": "110"}
    assert node.spec.unschedulable
    assert {each.type: each.status for each in node.status.conditions}["Ready"] != "True"
    assert not it.core.read_node("gpu-2").spec.unschedulable


def test_nodes_are_chosen_by_labels(it: Fixture) -> None:
    found = it.core.list_node(label_selector="node-type in (compute),kubernetes.io/hostname!=gpu-1,!nosuch").items
    assert {each.metadata.name for each in found} == {"gpu-2", "gpu-3", "gpu-4"}


def test_what_is_not_there_is_not_found(it: Fixture) -> None:
    assert refused(404, lambda: it.core.read_node("x")) == 'nodes "x" not found'
    assert refused(404, lambda: it.core.read_namespace("x")) == 'namespaces "x" not found'


def test_a_deleted_namespace_is_terminating_until_it_is_gone_with_everything_in_it(installed: Fixture) -> None:
    it = installed
    assert it.core.read_namespace(NAMESPACE).status.phase == "Active"
    it.core.delete_namespace(NAMESPACE)
    assert it.core.read_namespace(NAMESPACE).status.phase == "Terminating"
    refused(409, lambda: it.core.delete_namespace(NAMESPACE))
    it.clock.skip(11)
    refused(404, lambda: it.core.read_namespace(NAMESPACE))
    assert it.pods() == []
    assert it.releases() == []
    assert it.cluster.leftovers() == ()


# --- Pods


def test_the_release_runs_as_many_pods_as_it_has_replicas_under_the_guides_label(it: Fixture) -> None:
    it.install(replicas=2)
    pods = it.pods(label_selector="app=streaming-proxy")
    assert {each.spec.node_name for each in pods} == {"gpu-1", "gpu-2"}
    for pod in pods:
        assert pod.metadata.name.startswith("streaming-proxy-")
        assert pod.status.phase == "Running"
        assert pod.status.container_statuses[0].ready
        assert pod.status.container_statuses[0].restart_count == 0
        assert pod.spec.containers[0].resources.requests == {"cpu": "5000m", "memory": "24Gi"}
        assert pod.spec.containers[0].readiness_probe.http_get.path == "/v1/health"


def test_pods_are_chosen_by_node_and_phase(installed: Fixture) -> None:
    it = installed
    assert len(it.pods(field_selector="spec.nodeName=gpu-1,status.phase=Running")) == 1
    assert it.pods(field_selector="spec.nodeName!=gpu-1") == []
    assert len(it.core.list_pod_for_all_namespaces(field_selector="status.phase!=Failed").items) == 1
    assert "field label not supported" in refused(400, lambda: it.pods(field_selector="spec.color=red"))


def test_a_crashing_pod_keeps_restarting_and_its_log_says_why(installed: Fixture) -> None:
    it = installed
    name = it.pod().metadata.name
    breakage.crash(it.cluster, name, restarts=9)
    status = it.pod().status.container_statuses[0]
    assert (status.ready, status.restart_count) == (False, 9)
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.last_state.terminated.exit_code == 1
    log = it.core.read_namespaced_pod_log(name, NAMESPACE, tail_lines=1, previous=True)
    assert log.startswith("SettingsError")
    assert "BackOff" in it.reasons()
    assert it.answers() == set()
    breakage.recover(it.cluster, name)
    assert it.answers() == set(it.cluster.nodes)


def test_a_pod_without_its_image_is_pending_and_has_no_log(installed: Fixture) -> None:
    it = installed
    name = it.pod().metadata.name
    breakage.fail_image_pull(it.cluster, name)
    assert it.pod().status.phase == "Pending"
    assert it.pod().status.container_statuses[0].state.waiting.reason == "ImagePullBackOff"
    assert {"Failed", "BackOff"} <= it.reasons()
    message = refused(400, lambda: it.core.read_namespaced_pod_log(name, NAMESPACE))
    assert "trying and failing to pull image" in message


def test_a_pod_that_fails_its_probe_is_not_ready(installed: Fixture) -> None:
    it = installed
    breakage.fail_probe(it.cluster, it.pod().metadata.name)
    assert {each.type: each.status for each in it.pod().status.conditions}["Ready"] == "False"
    assert "Unhealthy" in it.reasons()
    assert it.answers() == set()


def test_a_pod_that_no_node_takes_is_pending(installed: Fixture) -> None:
    it = installed
    breakage.unschedule(it.cluster, it.pod().metadata.name, "0/5 nodes are available: 5 Insufficient memory.")
    assert (it.pod().status.phase, it.pod().spec.node_name) == ("Pending", None)
    [event] = it.core.list_namespaced_event(NAMESPACE).items
    assert (event.reason, event.message) == ("FailedScheduling", "0/5 nodes are available: 5 Insufficient memory.")


def test_a_full_cluster_takes_no_release_and_the_scheduler_says_why(make: Callable[..., Fixture]) -> None:
    it = make(
        pods=(ExistingPod(name="sim", node="gpu-1", cpu="44"), ExistingPod(name="sim-2", node="gpu-2", memory="370Gi"))
    )
    with pytest.raises(KubernetesError) as caught:
        it.install()
    assert "0/5 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated" in str(
        caught.value
    )
    assert it.clock.time == 600
    assert it.pod().status.phase == "Pending"
    assert it.reasons() == {"FailedScheduling"}
    assert [each["info"]["status"] for each in it.releases()] == ["failed"]
    it.cluster.remove("pods", "default", "sim")
    it.install()
    assert it.pod().spec.node_name == "gpu-1"
    assert [each["info"]["status"] for each in it.releases()] == ["failed", "deployed"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cordoned": True}, "1 node(s) were unschedulable"),
        ({"ready": False}, "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"),
        ({"taints": ("dedicated",)}, "1 node(s) had untolerated taint {dedicated: }"),
    ],
)
def test_a_node_that_takes_no_pods_is_left_out(it: Fixture, change: dict[str, Any], reason: str) -> None:
    breakage.change_node(it.cluster, "gpu-1", **change)
    it.install()
    assert it.pod().spec.node_name == "gpu-2"
    del it.cluster.nodes["gpu-2"]
    assert reason in it.cluster.pods[NAMESPACE, it.pod().metadata.name].message


def test_a_pod_whose_node_goes_is_made_anew_elsewhere(installed: Fixture) -> None:
    it = installed
    before = it.pod().metadata.name
    del it.cluster.nodes["gpu-1"]
    assert it.pod().spec.node_name == "gpu-2"
    assert it.pod().metadata.name != before


def test_pods_on_a_node_that_is_not_ready_are_not_ready_and_have_no_log(installed: Fixture) -> None:
    it = installed
    breakage.change_node(it.cluster, "gpu-1", ready=False)
    assert not it.pod().status.container_statuses[0].ready
    assert "i/o timeout" in refused(500, lambda: it.core.read_namespaced_pod_log(it.pod().metadata.name, NAMESPACE))


# --- Services


def test_the_chart_has_a_service_with_both_node_ports(installed: Fixture) -> None:
    [service] = installed.core.list_namespaced_service(NAMESPACE).items
    assert {(each.protocol, each.node_port) for each in service.spec.ports} == {("UDP", 30504), ("TCP", 30800)}
    assert service.metadata.labels["app.kubernetes.io/managed-by"] == "Helm"
    assert service.metadata.annotations["meta.helm.sh/release-name"] == "gdn-streaming"


def test_a_service_knows_its_ready_pods(installed: Fixture) -> None:
    it = installed
    [subset] = it.core.read_namespaced_endpoints("streaming-proxy", NAMESPACE).subsets
    assert [each.target_ref.name for each in subset.addresses] == [it.pod().metadata.name]
    breakage.fail_probe(it.cluster, it.pod().metadata.name)
    found: Any = DiscoveryV1Api(it.client).list_namespaced_endpoint_slice(
        NAMESPACE, label_selector="kubernetes.io/service-name=streaming-proxy"
    )
    assert [each.conditions.ready for each in found.items[0].endpoints] == [False]


def test_a_taken_node_port_is_a_service_of_somebody_else(make: Callable[..., Fixture]) -> None:
    it = make(quirks={"taken_node_ports": (30504,)})
    [service] = it.core.list_service_for_all_namespaces().items
    assert (service.metadata.namespace, service.metadata.name) == ("other", "other-30504")
    with pytest.raises(KubernetesError, match="already allocated"):
        it.install()
    assert [each["info"]["status"] for each in it.releases()] == ["failed"]
    assert it.cluster.leftovers() == ("namespace gdn-streaming", "release gdn-streaming/gdn-streaming")


def test_nothing_answers_on_a_node_port_that_no_service_has(installed: Fixture) -> None:
    it = installed
    assert it.answers() == set(it.cluster.nodes)
    breakage.change_node_port(it.cluster, 30504, 31999)
    assert (it.answers(), it.answers(31999)) == (set(), set(it.cluster.nodes))
    del it.cluster.services[NAMESPACE, "streaming-proxy"]
    assert it.answers(31999) == set()


def test_with_a_local_traffic_policy_only_nodes_with_a_pod_answer(make: Callable[..., Fixture]) -> None:
    it = make(quirks={"external_traffic_policy": "Local"})
    it.install()
    assert it.answers() == {"gpu-1"}


# --- Helm


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603, S607


def test_each_revision_of_a_release_is_a_secret(installed: Fixture) -> None:
    it = installed
    it.install(tag="2.0.2")
    assert [(each["version"], each["info"]["status"]) for each in it.releases()] == [(1, "superseded"), (2, "deployed")]
    last = it.releases()[-1]
    assert last["chart"]["metadata"] == {"name": "gdn-streaming", "version": "2.0.2"}
    assert last["config"]["image"]["tag"] == "2.0.2"
    assert it.core.read_namespaced_secret("sh.helm.release.v1.gdn-streaming.v2", NAMESPACE).type == "helm.sh/release.v1"


def test_an_upgrade_that_cannot_be_placed_leaves_the_old_pods_serving(installed: Fixture) -> None:
    it = installed
    with pytest.raises(KubernetesError, match="Insufficient cpu"):
        it.install(cpu="60")
    assert sorted(each.status.phase for each in it.pods()) == ["Pending", "Running"]
    assert it.answers()


def test_a_release_that_was_left_pending_refuses_another_operation(installed: Fixture) -> None:
    it = installed
    breakage.change_release(it.cluster, NAMESPACE, "gdn-streaming", "pending-upgrade")
    with pytest.raises(KubernetesError, match="another operation"):
        it.install(tag="2.0.2")
    status = helm("status", "gdn-streaming", "-n", NAMESPACE, "-o", "json")
    assert json.loads(status.stdout)["info"]["status"] == "pending-upgrade"


def test_helm_uninstalls_and_says_what_it_cannot_find(installed: Fixture) -> None:
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


def test_helm_may_be_denied_or_not_reach_the_cluster(installed: Fixture) -> None:
    uninstall = ("uninstall", "gdn-streaming", "-n", NAMESPACE)
    installed.cluster.denied.add(("list", "secrets"))
    assert "secrets is forbidden" in helm(*uninstall).stderr
    with installed.kubernetes.outage("unauthorized"):
        assert "asked for the client to provide credentials" in helm(*uninstall).stderr
    with installed.kubernetes.outage("refused"):
        assert "connection refused" in helm(*uninstall).stderr


def test_the_operations_see_the_release_that_pulumi_installed() -> None:
    with a_rehearsal(as_config(namespace="streams", releaseName="proxy")) as it:
        it.engine.up()
        kubeconfig = kubeconfig_for(it.kubernetes.endpoint, "x")
        proxy = Proxy(ClusterApi(kubeconfig), "streams", "proxy")
        release = proxy.find_release()
        assert release
        assert (release.status, release.chart, release.version) == ("deployed", "gdn-streaming", "2.0.1")
        assert proxy.find_namespace()
        assert proxy.logs(breakage.a_proxy(it.cluster), 10)
        assert proxy.uninstall(kubeconfig, "") is None
        assert proxy.others() == []
        proxy.delete_namespace()


# --- Permissions, discovery, outages


def test_a_denied_verb_is_seen_by_a_review_and_refused_in_life(installed: Fixture) -> None:
    it = installed

    def allowed(verb: str, resource: str, subresource: str | None = None) -> bool:
        attributes = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": NAMESPACE}
        review: Any = {"spec": {"resourceAttributes": attributes}}
        answer: Any = AuthorizationV1Api(it.client).create_self_subject_access_review(review)
        return answer.status.allowed

    name = it.pod().metadata.name
    assert allowed("list", "nodes")
    it.cluster.denied |= {("list", "nodes"), ("get", "pods/log"), ("delete", "namespaces")}
    assert not allowed("list", "nodes")
    assert not allowed("get", "pods", "log")
    user = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"
    assert (
        refused(403, it.core.list_node)
        == f'nodes is forbidden: User "{user}" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert refused(403, lambda: it.core.read_namespaced_pod_log(name, NAMESPACE)).endswith(
        f'cannot get resource "pods/log" in API group "" in the namespace "{NAMESPACE}"'
    )
    refused(403, lambda: it.core.delete_namespace(NAMESPACE))
    assert it.pods()


def test_target_group_bindings_exist_only_with_their_controller(make: Callable[..., Fixture]) -> None:
    without = make()
    groups: Any = ApisApi(without.client).get_api_versions()
    assert "elbv2.k8s.aws" not in {each.name for each in groups.groups}
    with pytest.raises(ApiException, match="404"):
        CustomObjectsApi(without.client).list_namespaced_custom_object(*BINDINGS)

    it = make(quirks={"load_balancer_controller": True})
    it.install()
    api: Any = CustomObjectsApi(it.client)
    resources = api.get_api_resources("elbv2.k8s.aws", "v1beta1")
    assert [each.name for each in resources.resources] == ["targetgroupbindings"]
    body = {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": "proxy"},
        "spec": {"targetGroupARN": "arn:tg"},
    }
    api.create_namespaced_custom_object(*BINDINGS, body)
    assert "already exists" in refused(409, lambda: api.create_namespaced_custom_object(*BINDINGS, body))
    assert api.get_namespaced_custom_object(*BINDINGS, "proxy")["spec"] == {"targetGroupARN": "arn:tg"}
    api.delete_namespaced_custom_object(*BINDINGS, "proxy")
    assert api.list_namespaced_custom_object(*BINDINGS)["items"] == []


def test_an_outage_lasts_as_long_as_it_is_held(it: Fixture) -> None:
    with it.kubernetes.outage("unauthorized"):
        assert refused(401, it.core.list_node) == "Unauthorized"
    with it.kubernetes.outage("silent"), pytest.raises(HTTPError, match="timed out"):
        it.core.list_node(_request_timeout=0.1)
    with it.kubernetes.outage("refused"), pytest.raises(HTTPError, match="refused"):
        it.core.list_node()
    assert len(it.core.list_node().items) == 5


def test_a_wrong_token_is_known_to_nobody(it: Fixture) -> None:
    config: Any = json.loads(kubeconfig_for(it.kubernetes.endpoint, "x").replace(TOKEN, "nosuch"))
    client: ApiClient = new_client_from_config_dict(config, persist_config=False)
    core: Any = CoreV1Api(client)
    assert refused(401, core.list_node) == "Unauthorized"
    client.close()
