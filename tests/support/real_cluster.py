"""A real API server that somebody lends for a comparison: what is made in it, and how that is taken away again."""

import os
import tempfile
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Final

import pytest

from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.objects import CONTAINER_DEFAULTS, POD_DEFAULTS, SERVICE_DEFAULTS, SHOWN, TOLERATED_FOR
from tests.support.cluster_comparison import HEALTH, HELD, STREAMING, Places, Question
from tests.support.kube_api import RESOURCE_TYPES, Answer, Json, KubeApi, collection

KUBECONFIG: Final = "LLS_REAL_KUBECONFIG"
"""The environment's variable that names the kubeconfig of a cluster whose owner agrees, by its current context."""

CONTEXT: Final = "LLS_REAL_CONTEXT"
"""The variable that names another of its contexts."""

LOCK: Final = Path(tempfile.gettempdir(), "lls-compared.lock")

PREFIX: Final = "lls-compared-"
"""What the names of all namespaces and nodes begin with that are made."""

GONE_WITHIN: Final = 60.0
"""Seconds for a namespace to go."""

CONTROLLER_ANSWERS: Final = 5.0
"""Seconds in which a controller does its part, if there is one."""

OF_SERVER: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
OF_DELETION: Final = ("deletionTimestamp", "deletionGracePeriodSeconds")

MIRRORED: Final = ("configmaps", "networkpolicies", "services", "secrets", "events", "pods")
"""What is made in a namespace, in that order. Endpoints are a controller's, and nobody of ours reads them."""


class RealCluster:
    """A real API, and the namespaces and nodes that were made in it."""

    def __init__(self, api: KubeApi) -> None:
        self.api = api
        self.places = Places(f"{PREFIX}{uuid.uuid4().hex[:8]}")
        self._namespaces: list[str] = []
        self._nodes: list[str] = []
        self.version: str = api.ask("GET", "/version").object_["gitVersion"]
        self.has_own_nodes = bool(api.ask("GET", "/api/v1/nodes").object_["items"])
        """Beside which none are made up."""
        self.has_bindings = api.ask("GET", "/apis/elbv2.k8s.aws/v1beta1").status == 200
        self.has_controllers = False
        """Whether somebody ends the deletion of namespaces. Known once one was made."""

    def knows(self, question: Question) -> bool:
        """Whether it has what a question is about."""
        has_nodes, has_bindings = not self.has_own_nodes, self.has_bindings
        return (has_nodes or not question.needs_nodes) and (has_bindings or not question.needs_bindings)

    def ask(self, question: Question) -> Answer:
        """Its answer to a question about what was mirrored."""
        target = self.places.filled(question.target)
        if question.by == "stranger":
            with self.api.as_stranger() as stranger:
                return stranger.ask(question.method, target, question.body)
        return self.api.ask(question.method, target, question.body, as_nobody=question.by == "nobody")

    def create_namespace(self, name: str) -> None:
        """Make a namespace, with what controllers put into each, which there may be none to do."""
        assert name.startswith(self.places.mark)
        self._namespaces.append(name)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        assert self.api.ask("POST", "/api/v1/namespaces", namespace).object_
        deadline = time.monotonic() + CONTROLLER_ANSWERS
        accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
        while time.monotonic() < deadline and not self.has_controllers:
            self.has_controllers = self.api.ask("GET", f"{accounts}/default").status == 200
            time.sleep(0.2)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        assert self.api.ask("POST", accounts, account).status in (201, 409)

    def create(self, resource: str, object_: Json) -> Json:
        """Make an object as strictly as the API can take it, then its status, which is a resource of its own."""
        namespace = object_["metadata"].get("namespace", "")
        made = self.api.ask("POST", f"{collection(resource, namespace)}?fieldValidation=Strict", object_)
        assert made.status == 201 or (made.status == 409 and resource == "configmaps"), f"{resource}: {made.body}"
        if resource not in ("nodes", "pods"):
            return made.body
        return self._update(resource, made.object_, {"status": object_["status"]}, "/status")

    def _update(self, resource: str, object_: Json, change: Json, part: str = "") -> Json:
        """Change an object, which somebody else may be changing too."""
        metadata = object_["metadata"]
        target = f"{collection(resource, metadata.get('namespace', ''))}/{metadata['name']}"
        while True:
            done = self.api.ask("PUT", f"{target}{part}?fieldValidation=Strict", object_ | change)
            if done.status != 409:
                return done.object_
            object_ = self.api.ask("GET", target).object_

    def try_out(self, resource: str, object_: Json) -> Json:
        """An object as the API would make it, and does not."""
        target = collection(resource, object_["metadata"].get("namespace", ""))
        return self.api.ask("POST", f"{target}?fieldValidation=Strict&dryRun=All", object_).object_

    def mirror(self, cluster: Cluster) -> None:
        """Make what an emulated cluster has at these places, nodes only where there are none."""
        for node in () if self.has_own_nodes else requests(cluster, "nodes"):
            self._nodes.append(node["metadata"]["name"])
            self._update("nodes", self.create("nodes", node), {"spec": node["spec"]})
        for namespace in (self.places.namespace, self.places.ending):
            if namespace in cluster.namespaces:
                self.create_namespace(namespace)
        for resource in MIRRORED:
            for object_ in requests(cluster, resource):
                if object_["metadata"]["namespace"] == self.places.ending:
                    object_["metadata"]["finalizers"] = [HELD]
                if object_["metadata"]["namespace"].startswith(self.places.mark):
                    self.create(resource, object_)
        for pod in SHOWN["pods"](cluster):
            if "deletionTimestamp" in (metadata := pod["metadata"]):
                self.api.ask("DELETE", f"{collection('pods', metadata['namespace'])}/{metadata['name']}")
        for namespace in SHOWN["namespaces"](cluster):
            if namespace["metadata"]["name"] == self.places.ending:
                self._begin_to_end(namespace)

    def _begin_to_end(self, namespace: Json) -> None:
        """Delete a namespace, and wait until a controller has told why it stays, or tell it without one."""
        target = f"/api/v1/namespaces/{namespace['metadata']['name']}"
        deleted = self.api.ask("DELETE", target).object_
        if not self.has_controllers:
            self._update("namespaces", deleted, {"status": namespace["status"]}, "/status")
        deadline = time.monotonic() + 4 * CONTROLLER_ANSWERS
        while time.monotonic() < deadline:
            conditions = self.api.ask("GET", target).object_["status"].get("conditions", ())
            if any(condition["type"] == "NamespaceFinalizersRemaining" for condition in conditions):
                return
            time.sleep(0.2)

    def clear(self) -> None:
        """Take away whatever was made, also what is held back by finalizers or stays for want of a controller."""
        for name in self._namespaces:
            self.api.ask("DELETE", f"/api/v1/namespaces/{name}")
            for resource in (*MIRRORED, *(["targetgroupbindings"] if self.has_bindings else [])):
                for object_ in self.api.ask("GET", collection(resource, name)).object_["items"]:
                    self._remove(resource, name, object_)
        for name in self._nodes:
            self.api.ask("DELETE", f"/api/v1/nodes/{name}")
        for name in self._namespaces:
            self._await_end(name)

    def _remove(self, resource: str, namespace: str, object_: Json) -> None:
        target = f"{collection(resource, namespace)}/{object_['metadata']['name']}"
        if object_["metadata"].pop("finalizers", None):
            kind = RESOURCE_TYPES[resource]
            self.api.ask("PUT", target, {"apiVersion": kind.version, "kind": kind.name, **object_})
        self.api.ask("DELETE", f"{target}?gracePeriodSeconds=0")

    def _await_end(self, name: str) -> None:
        target = f"/api/v1/namespaces/{name}"
        deadline = time.monotonic() + GONE_WITHIN
        while (left := self.api.ask("GET", target)).status == 200:
            if not self.has_controllers:
                self.api.ask("DELETE", f"{target}/serviceaccounts")
                self.api.ask("PUT", f"{target}/finalize", left.body | {"spec": {"finalizers": []}})
            assert time.monotonic() < deadline, f"namespace {name} does not go: {left.body['status']}"
            time.sleep(0.2)


@contextmanager
def lent_cluster() -> Generator[RealCluster]:
    """The cluster that the environment names, freed of what was made in it also after a failure; skips without one.

    Whoever else runs the tests on this machine waits.
    """
    path = os.environ.get(KUBECONFIG)
    if not path:
        pytest.skip(f"needs a real API server, on request only: {KUBECONFIG}=FILE names the kubeconfig of one")
    with LOCK.open("w") as lock, KubeApi(Path(path).read_text(), os.environ.get(CONTEXT, "")) as api:
        flock(lock, LOCK_EX)
        _refuse(api)
        cluster = RealCluster(api)
        try:
            yield cluster
        finally:
            cluster.clear()


def _refuse(api: KubeApi) -> None:
    """Refuse a cluster that holds what another comparison would have made, or the proxy's NodePorts."""
    namespaces = [item["metadata"]["name"] for item in api.ask("GET", "/api/v1/namespaces").object_["items"]]
    left = [name for name in namespaces if name.startswith(PREFIX)]
    assert not left, f"an earlier comparison left {', '.join(left)} behind, or one is under way: see to them first"
    for service in api.ask("GET", "/api/v1/services").object_["items"]:
        held = {port.get("nodePort") for port in service["spec"].get("ports", ())} & {STREAMING, HEALTH}
        assert not held, (
            f"NodePorts {held} are held by {service['metadata']['namespace']}/{service['metadata']['name']}"
        )


def requests(cluster: Cluster, resource: str) -> list[Json]:
    """The objects of an emulated cluster as somebody would make them: without what a server or a controller sets."""
    kind = RESOURCE_TYPES[resource]
    with cluster.settled():
        found = SHOWN[resource](cluster)
    about = {"apiVersion": kind.version, "kind": kind.name}
    return [about | _without_defaults(object_, resource) for object_ in found]


def _without_defaults(object_: Json, resource: str) -> Json:
    metadata = {key: value for key, value in object_["metadata"].items() if key not in (*OF_SERVER, *OF_DELETION)}
    metadata.pop("ownerReferences", None)  # a controller deletes what belongs to nothing that there is
    spec: Any = object_.get("spec")
    if resource == "pods":
        spec = {key: value for key, value in spec.items() if key not in POD_DEFAULTS}
        spec["tolerations"] = [toleration for toleration in spec["tolerations"] if toleration not in TOLERATED_FOR]
        for containers in ("containers", "initContainers"):
            spec[containers] = [
                {key: value for key, value in container.items() if key not in CONTAINER_DEFAULTS}
                for container in spec[containers]
            ]
    elif resource == "services":
        ours = (*SERVICE_DEFAULTS, "clusterIP", "clusterIPs")
        spec = {key: value for key, value in spec.items() if key not in ours}
    elif resource == "networkpolicies":
        spec = {key: value for key, value in spec.items() if key != "policyTypes"}
    return object_ | {"metadata": metadata} | ({} if spec is None else {"spec": spec})
