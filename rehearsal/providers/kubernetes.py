"""The Kubernetes provider."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from lls.files import read_yaml
from lls.operations.program.recording import Properties
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE
from rehearsal.aws.server import Aws
from rehearsal.engine.engine import UnfinishedError
from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.release import HelmRelease
from rehearsal.providers.bindings import BINDING, Bindings
from rehearsal.providers.lifecycle import Lifecycle, LifecycleProvider
from rehearsal.providers.registry import Registry
from rehearsal.world import WorldClock

DEFAULT_TIMEOUT: Final = 300
"""Seconds that the provider lets Helm wait, where a program names none."""

READ_BY: Final[Mapping[str, Collection[tuple[str, str]]]] = {
    KUBERNETES_NAMESPACE: {("get", "namespaces")},
    BINDING: {("get", "targetgroupbindings")},
    RELEASE: {("get", "secrets"), ("list", "secrets")},
}
"""By which verbs and resources each type is read. Helm keeps releases in secrets."""


class KubernetesProvider(LifecycleProvider):
    """The Kubernetes provider of a cluster.

    `configure` makes instances of it, which share the cluster; `auth_file` is what one logs in to registries with.
    """

    def __init__(
        self,
        clock: WorldClock,
        aws: Aws,
        cluster: Cluster,
        endpoint: str,
        registry: Registry,
        auth_file: Path | None = None,
    ) -> None:
        """Work on the cluster behind that endpoint, whose load balancer controller registers targets in that AWS."""
        super().__init__(
            clock,
            {
                KUBERNETES_NAMESPACE: Lifecycle(
                    self._create_namespace, self._keep, self._delete_namespace, self._read_namespace
                ),
                RELEASE: Lifecycle(self._install, self._upgrade, self._uninstall, self._read_release),
                BINDING: Bindings(cluster, aws).lifecycle,
            },
        )
        self._aws = aws
        self._cluster = cluster
        self._endpoint = endpoint
        self._registry = registry
        self._auth_file = auth_file

    def configure(self, inputs: Properties, folder: Path) -> "KubernetesProvider":
        """An instance with the inputs of a provider resource, whose relative paths are read from a folder.

        Raises ConnectionError where its kubeconfig is not this cluster's.
        """
        servers = [cluster["cluster"]["server"] for cluster in read_yaml(inputs["kubeconfig"])["clusters"]]
        if servers != [self._endpoint]:
            raise ConnectionError(f"unable to connect to the Kubernetes API at {', '.join(servers)}")
        path = json.loads(inputs.get("helmReleaseSettings", "{}")).get("registryConfigPath")
        return KubernetesProvider(
            self._clock, self._aws, self._cluster, self._endpoint, self._registry, folder / path if path else None
        )

    def check(self, type_: str, inputs: Properties) -> None:
        """As the Helm provider does, pull the chart on every run: its registry login must be good."""
        if type_ == RELEASE:
            self._registry.pull(inputs["chart"], self._auth_file)

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as the cluster has it; see LifecycleProvider. Raises PermissionError where that is denied."""
        for verb, resource in sorted(READ_BY[type_]):
            if (verb, resource) in self._cluster.denied:
                raise PermissionError(f'{resource} is forbidden: User "{self._cluster.user}" cannot {verb} {resource}')
        return super().read(type_, id_, inputs)

    def _keep(self, *_: object) -> Properties:
        return {}

    # --- Namespaces

    def _create_namespace(self, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["metadata"]["name"]
        self._cluster.create_namespace(name)
        return name, {"status": {"phase": "Active"}}

    def _delete_namespace(self, name: str, _: Properties) -> None:
        """One that is gone is deleted (pulumi/pulumi-kubernetes provider/pkg/await/await.go: Deletion)."""
        if self._read_namespace(name, {}) is not None:
            self._cluster.delete_namespace(name)

    def _read_namespace(self, name: str, _: Properties) -> tuple[Properties, Properties] | None:
        with self._cluster.settled():
            if name not in self._cluster.namespaces:
                return None
            phase = "Terminating" if self._cluster.terminating(name) else "Active"
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, {"status": {"phase": phase}}

    # --- Helm releases

    def _install(self, inputs: Properties) -> tuple[str, Properties]:
        name, namespace = inputs["name"], inputs["namespace"]
        id_ = f"{namespace}/{name}"
        try:
            made = self._cluster.install(
                name,
                namespace,
                chart=inputs["chart"],
                version=inputs.get("version"),
                values=inputs["values"],
                timeout=inputs["timeout"],
            )
        except KubernetesError as error:
            if left := self._cluster.releases.get((namespace, name)):
                raise UnfinishedError(id_, _release_outputs(left), error) from error
            raise
        return id_, _release_outputs(made)

    def _upgrade(self, _: str, __: Properties, new: Properties) -> Properties:
        return self._install(new)[1]

    def _uninstall(self, _: str, inputs: Properties) -> None:
        """One that is gone cannot be (in the same place, provider/pkg/provider/helm_release.go: Delete)."""
        self._cluster.uninstall(inputs["name"], inputs["namespace"])

    def _read_release(self, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """Helm knows of a chart its name and version, but not where it came from."""
        namespace, _, name = id_.rpartition("/")
        with self._cluster.settled():
            found = self._cluster.releases.get((namespace or "default", name))
        if found is None:
            return None
        values: Properties = {
            "name": found.name,
            "namespace": found.namespace,
            "version": found.version,
            "values": dict(found.values),
        }
        imported: dict[str, Any] = {} if inputs else {"chart": _chart_name(found), "timeout": DEFAULT_TIMEOUT}
        return values | imported, _release_outputs(found)


def _chart_name(release: HelmRelease) -> str:
    return release.chart.rstrip("/").rpartition("/")[2]


def _release_outputs(release: HelmRelease) -> Properties:
    return {
        "status": {
            "name": release.name,
            "namespace": release.namespace,
            "status": release.status,
            "revision": release.revision,
            "chart": _chart_name(release),
            "version": release.version or "",
        }
    }
