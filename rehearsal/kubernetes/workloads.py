"""NVCF's own half in an emulated cluster: its cluster agent, the service behind ZONE_DNS and the LLS add-on.

Names are spelled out here, not taken from the operations, which would find themselves in their own mirror.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.kubernetes.chart import SELECTOR
from rehearsal.kubernetes.metadata import BEGINNING, Json, metadata
from rehearsal.kubernetes.release import HelmRelease
from rehearsal.kubernetes.scheduler import Pod
from rehearsal.world import Answering, Nvcf


@dataclass(frozen=True, kw_only=True)
class ClusterPort:
    """A port of a service that no node has."""

    name: str
    port: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True, kw_only=True)
class ClusterService:
    """A ClusterIP service with so many pods. With an `external_name` it is an alias of that."""

    name: str
    namespace: str
    port: int
    endpoints: int = 1
    answering: Answering = "answers"
    external_name: str = ""

    @property
    def ports(self) -> tuple[ClusterPort, ...]:
        """Its one port."""
        return (ClusterPort(name="http", port=self.port),)

    @property
    def selector(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return {"app": self.name}

    def pods(self, node: str) -> list[Pod]:
        """Its pods, all on one node."""
        names = (f"{self.name}-{number}" for number in range(self.endpoints))
        at = BEGINNING
        return [Pod(name=name, namespace=self.namespace, labels=self.selector, node=node, created=at) for name in names]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A Deployment of one container. Of `hidden` variables the value is a secret's."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    environment: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()
    replicas: int = 1
    ready: int = 1
    image: str = "registry.k8s.io/pause:3.10"


@dataclass(frozen=True, kw_only=True)
class CronJob:
    """A CronJob."""

    name: str
    namespace: str
    schedule: str
    suspended: bool = False


@dataclass
class OtherHalf:
    """What of NVCF a cluster has, by namespace and name; it may be changed at any time."""

    services: dict[tuple[str, str], ClusterService] = field(default_factory=dict[tuple[str, str], ClusterService])
    deployments: dict[tuple[str, str], Deployment] = field(default_factory=dict[tuple[str, str], Deployment])
    cron_jobs: dict[tuple[str, str], CronJob] = field(default_factory=dict[tuple[str, str], CronJob])
    namespaces: frozenset[str] = frozenset()


def other_half(nvcf: Nvcf) -> OtherHalf:
    """What the world says there is."""
    half = OtherHalf()
    if nvcf.agent:
        labels = {"app.kubernetes.io/name": "nvca", "app.kubernetes.io/instance": "nvca"}
        environment = tuple(nvcf.agent_environment.items())
        half.deployments["nvca-system", "nvca"] = Deployment(
            name="nvca", namespace="nvca-system", labels=labels, environment=environment
        )
        half.namespaces |= {"nvca-system", "nvcf-backend"}
    if nvcf.zone_dns_service:
        half.services["nvcf-backend", "nvcf-sbs"] = ClusterService(
            name="nvcf-sbs",
            namespace="nvcf-backend",
            port=8000,
            endpoints=nvcf.zone_dns_endpoints,
            answering=nvcf.zone_dns_answering,
        )
        half.namespaces |= {"nvcf-backend"}
    if nvcf.control_plane:
        half.namespaces |= {"vault-system"}
    if nvcf.control_plane and nvcf.lls_addon:
        name = "addons-lls-turn-hmac-rotation"
        half.cron_jobs["vault-system", name] = CronJob(name=name, namespace="vault-system", schedule="0 0 1 * *")
    return half


def deployment_of(release: HelmRelease, replicas: int, ready: int) -> Deployment:
    """The Deployment of the proxy's release."""
    return Deployment(
        name="streaming-proxy", namespace=release.namespace, labels=SELECTOR, replicas=replicas, ready=ready
    )


# --- In the shapes of the Kubernetes API


def service_object(service: ClusterService, defaults: Json) -> Json:
    """A service, with the defaults that the API server sets."""
    number = zlib.crc32(f"{service.namespace}/{service.name}".encode())
    address = f"172.20.{number % 256}.{number // 256 % 254 + 1}"
    ports = [{"name": "http", "protocol": "TCP", "port": service.port, "targetPort": service.port}]
    spec: Json = {"type": "ClusterIP", **defaults, "clusterIP": address, "clusterIPs": [address], "ports": ports}
    spec["selector"] = dict(service.selector)
    if service.external_name:
        spec = {"type": "ExternalName", "externalName": service.external_name, "sessionAffinity": "None"}
    return {"metadata": metadata(service.name, service.namespace), "spec": spec, "status": {"loadBalancer": {}}}


def deployment_object(deployment: Deployment) -> Json:
    """A Deployment, with what the API server sets and its controller says."""
    values: list[Json] = [{"name": name, "value": value} for name, value in deployment.environment]
    secret = {"secretKeyRef": {"name": "environment", "key": "value"}}
    values += [{"name": name, "valueFrom": secret} for name in deployment.hidden]
    labels = dict(deployment.labels)
    container: Json = {"name": deployment.name, "image": deployment.image, "env": values, "resources": {}}
    waiting = deployment.replicas - deployment.ready
    return {
        "metadata": metadata(deployment.name, deployment.namespace, labels=labels, generation=1),
        "spec": {
            "replicas": deployment.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": deployment.replicas,
            "updatedReplicas": deployment.replicas,
            "readyReplicas": deployment.ready,
            "availableReplicas": deployment.ready,
            **({"unavailableReplicas": waiting} if waiting else {}),
        },
    }


def cron_job_object(job: CronJob) -> Json:
    """A CronJob."""
    container = {"name": job.name, "image": "registry.k8s.io/pause:3.10"}
    pod = {"restartPolicy": "OnFailure", "containers": [container]}
    return {
        "metadata": metadata(job.name, job.namespace, generation=1),
        "spec": {
            "schedule": job.schedule,
            "concurrencyPolicy": "Forbid",
            "suspend": job.suspended,
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
        "status": {},
    }
