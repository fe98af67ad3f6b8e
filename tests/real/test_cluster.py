"""Our emulated Kubernetes API held against a real one. CONTRIBUTING.md tells how to lend a cluster."""

import os
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Final

import pytest

from lls.cluster_api import ClusterApi, ClusterError
from lls.operations.world.proxy import Proxy, deletion_of
from lls.target_registration import BINDING_API
from rehearsal.kubernetes.chart import KubernetesError, Service, ServicePort
from rehearsal.kubernetes.scheduler import Pod, over_quota
from tests.support.cluster_comparison import (
    HELD,
    QUESTIONS,
    STREAMING,
    Emulated,
    Record,
    digest,
    emulated,
    fields,
    install,
    unwritten,
)
from tests.support.kube_api import Json, collection
from tests.support.real_cluster import MIRRORED, RealCluster, lent_cluster, requests
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import a_rehearsal

WRITE: Final = "LLS_REAL_RECORD"
"""The environment's variable that has what the cluster answers recorded, for the tests that have none."""


@dataclass(frozen=True)
class Pair:
    """An emulated cluster and a real one with the same in it."""

    ours: Emulated
    real: RealCluster


@pytest.fixture(scope="module")
def pair() -> Generator[Pair]:
    with lent_cluster() as real, emulated(real.places) as ours:
        real.mirror(ours.cluster)
        yield Pair(ours, real)


def objects(pair: Pair, resource: str) -> dict[str, tuple[Json, Json]]:
    """Ours and the real one of each object that was mirrored."""
    if resource == "nodes" and pair.real.has_own_nodes:
        return {}
    namespace = "" if resource in ("nodes", "namespaces") else pair.real.places.namespace
    ours, real = (
        {item["metadata"]["name"]: item for item in api.ask("GET", collection(resource, namespace)).object_["items"]}
        for api in (pair.ours.api, pair.real.api)
    )
    mark = pair.real.places.mark
    return {name: (ours[name], real[name]) for name in ours if namespace or name.startswith(mark)}


@pytest.mark.parametrize("resource", ["nodes", "namespaces", *MIRRORED])
def test_objects_have_the_fields_that_a_real_server_gives_them(pair: Pair, resource: str) -> None:
    found = objects(pair, resource)
    if not found:
        pytest.skip("the cluster has nodes of its own, beside which none are made up")
    places = pair.real.places
    for name, (ours, real) in found.items():
        assert unwritten(resource, fields(ours, places), fields(real, places)) == {}, name


def test_a_load_balancers_service_has_the_fields_that_a_real_server_would_give_it(pair: Pair) -> None:
    port = ServicePort(name="x", protocol="TCP", port=80, node_port=STREAMING + 1)
    service = Service(
        name="balanced",
        namespace=pair.real.places.namespace,
        ports=(port,),
        selector={"app": "x"},
        external_traffic_policy="Local",
        health_check_node_port=STREAMING + 2,
    )
    pair.ours.cluster.services[service.namespace, service.name] = service
    [request] = [found for found in requests(pair.ours.cluster, "services") if found["metadata"]["name"] == "balanced"]
    ours = pair.ours.api.ask("GET", f"{collection('services', service.namespace)}/balanced").object_
    del ours["metadata"]["resourceVersion"]  # which what is only tried out has none of
    del pair.ours.cluster.services[service.namespace, service.name]
    real, places = pair.real.try_out("services", request), pair.real.places
    assert unwritten("services", fields(ours, places), fields(real, places)) == {}


def test_a_taken_node_port_is_refused_in_the_words_of_a_real_server(pair: Pair) -> None:
    elsewhere = f"{pair.real.places.mark}-c"
    with pytest.raises(KubernetesError) as refused:
        install(pair.ours.cluster, elsewhere)
    [service] = [
        found
        for found in requests(pair.ours.cluster, "services")
        if found["spec"]["ports"][0].get("nodePort") == STREAMING
    ]
    pair.real.create_namespace(elsewhere)
    answer = pair.real.api.ask(
        "POST", collection("services", elsewhere), service | {"metadata": {"name": "streaming-proxy"}}
    )
    assert answer.status == 422
    assert answer.body["message"] == str(refused.value)


QUOTAS: Final = (
    {"limits.memory": "16Gi"},
    {"requests.cpu": "1500m", "limits.cpu": "6", "cpu": "1"},
    {"memory": "1Gi"},
    {"requests.nvidia.com/gpu": "1"},
    {"limits.nvidia.com/gpu": "1"},
    {"pods": "0"},
    {"requests.memory": "48Gi", "limits.cpu": "1k"},
)
AMOUNTS: Final[tuple[dict[str, dict[str, str]], ...]] = (
    {"requests": {"cpu": "5000m", "memory": "24Gi"}, "limits": {"cpu": "5000m", "memory": "24Gi"}},
    {"limits": {"cpu": "0.5", "memory": "24Gi", "nvidia.com/gpu": "2"}},
    {},
)


def test_a_pod_beyond_a_quota_is_refused_in_the_words_of_a_real_server(pair: Pair) -> None:
    namespace = f"{pair.real.places.mark}-d"
    pair.real.create_namespace(namespace)
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    for quota in QUOTAS:
        team = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": quota}}
        made = pair.real.api.ask("POST", quotas, team).object_
        counted = {"status": {"hard": made["spec"]["hard"], "used": dict.fromkeys(quota, "0")}}
        pair.real.api.ask("PUT", f"{quotas}/team/status", {**team, **counted})
        for amounts in AMOUNTS:
            container = {"name": "x", "image": "x", "resources": amounts}
            asked = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
            answer = pair.real.api.ask("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", asked)
            said = "" if answer.status == 201 else answer.body["message"]
            pod = replace(Pod(name="x", namespace=namespace), **amounts)
            assert over_quota(pod, (), quota) == said, (quota, amounts)
        pair.real.api.ask("DELETE", f"{quotas}/team")


def test_the_binding_that_the_program_registers_is_one_that_the_controllers_crd_takes(pair: Pair) -> None:
    if not pair.real.has_bindings:
        pytest.skip("the cluster does not know TargetGroupBindings")
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        resources = list(rehearsal.engine.state.values())
    [inputs] = [resource.inputs for resource in resources if resource.type.endswith(":TargetGroupBinding")]
    made = inputs | {"metadata": inputs["metadata"] | {"namespace": pair.real.places.namespace}}
    assert pair.real.try_out("targetgroupbindings", made)["spec"] == inputs["spec"]


def test_the_programs_own_client_reads_a_real_cluster_as_the_emulated_one(pair: Pair) -> None:
    ours = ClusterApi(pair.ours.api.kubeconfig)
    real = ClusterApi(pair.real.api.alone)
    mark = {"compared": pair.real.places.mark}
    if not pair.real.has_own_nodes:
        assert [node.to_dict()["metadata"]["name"] for node in real.nodes(mark)] == [
            node.to_dict()["metadata"]["name"] for node in ours.nodes(mark)
        ]
    assert real.serves(BINDING_API) is pair.real.has_bindings
    assert not real.serves("nosuch.io/v1")


def test_a_stranger_is_told_what_lets_one_in_by_either_cluster(pair: Pair) -> None:
    told: list[str] = []
    for api in (pair.ours.api, pair.real.api):
        with pytest.raises(ClusterError) as refused:
            ClusterApi(api.as_stranger().kubeconfig, api.context).nodes({})
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_the_deletion_of_a_namespace_that_hangs_is_told_alike_and_may_be_asked_for_again(pair: Pair) -> None:
    if not pair.real.has_controllers:
        pytest.skip("the cluster has no controllers, which tell why a deletion does not end")
    ours, real = (
        Proxy(ClusterApi(kubeconfig), pair.real.places.ending, "gdn-streaming")
        for kubeconfig in (pair.ours.api.kubeconfig, pair.real.api.alone)
    )
    told = deletion_of(ours.find_namespace())
    assert told
    assert HELD in told.seen
    assert deletion_of(real.find_namespace()) == told
    assert (real.find_release(), real.others()) == (ours.find_release(), ours.others())
    real.delete_namespace()
    ours.delete_namespace()


def set_by_server(pair: Pair, resource: str) -> dict[str, Json]:
    """What the real server set in each object by itself."""
    places, found = pair.real.places, dict[str, Json]()
    asked = {request["metadata"]["name"]: fields(request, places) for request in requests(pair.ours.cluster, resource)}
    for name, (_, real) in objects(pair, resource).items():
        given = fields(real, places).items()
        found[places.hidden(name)] = {path: value for path, value in given if path not in asked[name]}
    return found


def test_every_answer_is_that_of_a_real_server(pair: Pair) -> None:
    places, answers, different = pair.real.places, list[tuple[str, Json]](), dict[str, object]()
    found = {resource: set_by_server(pair, resource) for resource in ("nodes", *MIRRORED)}
    for question in QUESTIONS:
        if not pair.real.knows(question):
            continue
        ours, real = digest(pair.ours.ask(question, places), places), digest(pair.real.ask(question), places)
        answers.append((question.name, real))
        if unlike := unwritten(question.name, ours, real):
            different[question.name] = unlike
    assert different == {}
    if os.environ.get(WRITE):
        Record(pair.real.version, answers, found).write()
