"""The streaming proxy as the cluster has it: namespace, Helm release, pods, services."""

import base64
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from kubernetes.client import ApiClient, CoreV1Api, V1Namespace, V1Pod, V1Service
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from lls.cluster_api import REQUEST_TIMEOUT, ClusterApi, ClusterError, T
from lls.waiting import UNINSTALL, SilentError, run_command

CLUSTER_FAILURES: Final = (ClusterError, TimeoutError, ConfigException, HTTPError, OSError)
"""What asking a cluster raises when it cannot answer."""

KEPT_SECRETS: Final = ("helm.sh/release.v1", "kubernetes.io/service-account-token")
"""Types of secrets that Helm and Kubernetes keep by themselves."""

ROOT_CERTIFICATE: Final = "kube-root-ca.crt"
"""The config map that Kubernetes puts into every namespace."""

HANGS: Final[Mapping[str, str]] = {
    "NamespaceDeletionDiscoveryFailure": "make the API answer that is named, or delete its APIService: "
    "kubectl get apiservices",
    "NamespaceDeletionGroupVersionParsingFailure": "correct the API whose version is named: kubectl get apiservices",
    "NamespaceDeletionContentFailure": "take away what refuses the deletion that is named",
    "NamespaceContentRemaining": "let the controller run that takes the finalizers off what remains",
    "NamespaceFinalizersRemaining": "let the controller run that takes the finalizers off what remains",
}
"""The conditions of a namespace whose deletion does not end, and what lets it."""


@dataclass(frozen=True)
class Deletion:
    """A namespace's deletion that has begun: that and why it has not ended, and what to do."""

    seen: str
    remedy: str


@dataclass(frozen=True)
class Release:
    """A Helm release: its last revision with its status, and the chart with its version.

    `served` is the last of its earlier revisions that was ever deployed; 0 if none was.
    """

    name: str
    namespace: str
    status: str
    chart: str
    version: str
    revision: int = 1
    served: int = 0

    @property
    def way_back(self) -> str:
        """What lets Helm go on after it was interrupted; empty where nothing stops its next upgrade.

        Helm upgrades no release that is pending, "another operation (install/upgrade/rollback) is in progress", nor one
        whose uninstall did not end, which "has no deployed releases".
        """
        is_pending = self.status.startswith("pending-")
        if not is_pending and self.status != "uninstalling":
            return ""
        step = f"rollback {self.name} {self.served}" if is_pending and self.served else f"uninstall {self.name}"
        return f"once no run is under way: helm -n {self.namespace} {step}"


class Proxy:
    """The proxy in one cluster, by the namespace and the release name that the config gives."""

    def __init__(self, api: ClusterApi, namespace: str, release_name: str) -> None:
        """Look there."""
        self.api = api
        self.namespace = namespace
        self.release_name = release_name

    def find_namespace(self) -> V1Namespace | None:
        """The namespace, if there is one."""
        return self._found(
            lambda client: CoreV1Api(client).read_namespace(self.namespace, _request_timeout=REQUEST_TIMEOUT)
        )

    def find_release(self) -> Release | None:
        """The last revision of the release, from the secret in which Helm keeps it."""
        selector = f"owner=helm,name={self.release_name}"
        secrets = self._list("list_namespaced_secret", label_selector=selector)
        if not secrets:
            return None
        *earlier, last = sorted(secrets, key=_revision)
        served = [secret for secret in earlier if secret.metadata.labels.get("status") in ("deployed", "superseded")]
        packed = base64.b64decode(base64.b64decode(last.data["release"]))
        found: Any = json.loads(gzip.decompress(packed))
        chart = found["chart"]["metadata"]
        return Release(
            name=self.release_name,
            namespace=self.namespace,
            status=found["info"]["status"],
            chart=chart["name"],
            version=str(chart.get("version", "")),
            revision=int(found["version"]),
            served=max(map(_revision, served), default=0),
        )

    def pods(self) -> list[V1Pod]:
        """The pods of the namespace that belong to no job."""
        pods = cast(list[V1Pod], self._list("list_namespaced_pod"))
        return [pod for pod in pods if not any(owner.kind == "Job" for owner in _owners(pod))]

    def services(self) -> list[V1Service]:
        """The services of the namespace."""
        return self._list("list_namespaced_service")

    def events(self) -> list[Any]:
        """What happened lately in the namespace, oldest first; of the same time, warnings last."""
        events = self._list("list_namespaced_event")
        return sorted(events, key=lambda event: (str(event.last_timestamp or event.event_time or ""), event.type or ""))

    def logs(self, pod: str, container: str, lines: int, *, previous: bool = False) -> str:
        """The last lines of a container's log; `previous` of those before its last restart."""
        return self.api.ask(
            lambda client: CoreV1Api(client).read_namespaced_pod_log(
                pod,
                self.namespace,
                container=container,
                tail_lines=lines,
                previous=previous,
                _request_timeout=REQUEST_TIMEOUT,
            )
        )

    def others(self) -> list[str]:
        """What is in the namespace and would go with it, but for what Kubernetes puts into each and what Helm keeps."""
        secrets = [secret for secret in self._list("list_namespaced_secret") if secret.type not in KEPT_SECRETS]
        config_maps = [
            config_map
            for config_map in self._list("list_namespaced_config_map")
            if _name(config_map) != ROOT_CERTIFICATE
        ]
        claims = self._list("list_namespaced_persistent_volume_claim")
        return [
            f"{kind} {_name(object_)}"
            for kind, found in (
                ("pod", self.pods()),
                ("service", self.services()),
                ("volume claim", claims),
                ("config map", config_maps),
                ("secret", secrets),
            )
            for object_ in found
        ] + [f"release {release}" for release in sorted(self._other_releases())]

    def _other_releases(self) -> set[str]:
        """Names of Helm's other releases in the namespace."""
        kept = self._list("list_namespaced_secret", label_selector="owner=helm")
        return {secret.metadata.labels.get("name", "") for secret in kept} - {self.release_name}

    def delete_namespace(self) -> None:
        """Delete the namespace, if nobody has yet. Does not wait."""
        try:
            self.api.ask(
                lambda client: CoreV1Api(client).delete_namespace(self.namespace, _request_timeout=REQUEST_TIMEOUT)
            )
        except ClusterError as error:
            if error.status not in (404, 409):  # gone, or being deleted already
                raise

    def uninstall(self, kubeconfig: str, context: str) -> str | None:
        """Uninstall the release with Helm; what went wrong, or None."""
        helm = shutil.which("helm")
        if helm is None:
            return "the helm command is not on the PATH"
        with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-") as file:  # NamedTemporaryFile's mode is 0600
            file.write(kubeconfig)
            file.flush()
            where = ["--kubeconfig", file.name, *(["--kube-context", context] if context else [])]
            command = [helm, "uninstall", self.release_name, "--namespace", self.namespace, "--wait", *where]
            try:
                done = run_command(command, UNINSTALL, f"`helm uninstall {self.release_name}`")
            except SilentError as error:
                return str(error)
        return None if done.returncode == 0 else " ".join(done.stderr.split())

    def _list(self, method: str, **arguments: Any) -> list[Any]:
        def ask(client: ApiClient) -> list[Any]:
            call = getattr(CoreV1Api(client), method)
            return call(self.namespace, _request_timeout=REQUEST_TIMEOUT, **arguments).items

        return self.api.ask(ask)

    def _found(self, question: Callable[[ApiClient], T]) -> T | None:
        try:
            return self.api.ask(question)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise


def deletion_of(namespace: V1Namespace | None) -> Deletion | None:
    """How the deletion of a namespace stands; None where it is not being deleted."""
    if not (namespace and namespace.metadata and namespace.metadata.deletion_timestamp):
        return None
    conditions = (namespace.status.conditions if namespace.status else None) or ()
    reasons = {condition.type: condition.message for condition in conditions if condition.status == "True"}
    seen = [f"{type_}: {message}" for type_, message in reasons.items()]
    if finalizers := namespace.metadata.finalizers:
        seen.append(f"finalizers of its own remain: {', '.join(finalizers)}")
    remedies = dict.fromkeys(HANGS[type_] for type_ in reasons if type_ in HANGS)
    return Deletion(
        "it is being deleted" + (f", which waits for this: {'; '.join(seen)}" if seen else ""),
        "wait until it is gone" + (f"; if it stays, {', and '.join(remedies)}" if remedies else ""),
    )


def _revision(secret: Any) -> int:
    """The number of the revision that a secret of Helm's keeps."""
    return int(secret.metadata.labels.get("version", 0))


def _owners(pod: V1Pod) -> list[Any]:
    return (pod.metadata.owner_references if pod.metadata else None) or []


def _name(thing: Any) -> str:
    return thing.metadata.name
