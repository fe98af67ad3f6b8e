"""Which ZONE_DNS the workers of streaming functions get: the address at which they reach the streaming proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from kubernetes.client import AppsV1Api

from lls.cluster_api import REQUEST_TIMEOUT, ClusterApi, ClusterError
from lls.operations.world import nvcf


@dataclass(frozen=True)
class ServiceAddress:
    """A port of a service of this cluster, asked by `scheme`: http or https."""

    scheme: str
    namespace: str
    name: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """What a URL names in this cluster; None where it leads elsewhere, or is no URL.

        NAME.NAMESPACE.svc, with the cluster's domain or without it, is a service, and so is a name without dots, of the
        workers' own namespace. Two parts may as well be a public name.
        """
        try:
            parts = urlsplit(url)
            usual = {"http": 80, "https": 443}[parts.scheme]
            port = parts.port or usual
        except (ValueError, KeyError):
            return None
        match (parts.hostname or "").rstrip(".").split("."):
            case [name] if name:
                return cls(parts.scheme, nvcf.BACKEND_NAMESPACE, name, port)
            case [name, namespace, "svc", *_]:
                return cls(parts.scheme, namespace, name, port)
            case _:
                return None

    def __str__(self) -> str:
        return f"service {self.name} in {self.namespace}"


@dataclass(frozen=True)
class Agent:
    """NVCF's cluster agent, which gives the workers their environment: its own, as far as that is plain.

    `hidden` are variables whose values come from somewhere else, such as a secret.
    """

    environment: Mapping[str, str]
    hidden: frozenset[str] = frozenset()

    @property
    def zone_dns(self) -> str:
        """The ZONE_DNS that it gives."""
        return self.environment.get(nvcf.ZONE_DNS_OVERRIDE) or nvcf.ZONE_DNS

    @property
    def interface(self) -> str:
        """The STREAMING_INTERFACE that it gives."""
        return self.environment.get(nvcf.INTERFACE_OVERRIDE) or nvcf.INTERFACE


def find_agent(api: ClusterApi) -> Agent | None:
    """The cluster agent; None where the cluster has none. Raises what `ClusterApi.ask` raises.

    Of a variable that is set several times the last one holds, as in Kubernetes.
    """
    try:
        deployment: Any = api.ask(
            lambda client: AppsV1Api(client).read_namespaced_deployment(
                nvcf.AGENT, nvcf.AGENT_NAMESPACE, _request_timeout=REQUEST_TIMEOUT
            )
        )
    except ClusterError as error:
        if error.status == 404:
            return None
        raise
    variables = {
        variable.name: variable
        for container in deployment.spec.template.spec.containers
        for variable in container.env or ()
    }
    return Agent(
        {name: variable.value or "" for name, variable in variables.items() if not variable.value_from},
        frozenset(name for name, variable in variables.items() if variable.value_from),
    )
