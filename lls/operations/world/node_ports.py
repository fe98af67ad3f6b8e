"""Which nodes answer on the chart's NodePorts: the services that have them, and the pods behind those."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lls.guide import Port
from lls.operations.report.finding import Cause, Finding, Level, ok, problem
from lls.operations.world.nvcf import BLOCKED_MEDIA
from lls.operations.world.pods import is_living, is_ready, refusals
from lls.operations.world.proxy import CLUSTER_FAILURES, Proxy
from lls.operations.world.remedies import Remedies

KEYS: Mapping[str, str] = {"udp": "streamingNodePort", "tcp": "healthNodePort"}
"""The config's keys of the NodePorts."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster. `why_not_ready` is empty for one that is ready."""

    name: str
    ids: frozenset[str]
    """What target groups may know it by: its addresses and its EC2 instance's id."""
    why_not_ready: str


@dataclass(frozen=True)
class Backend:
    """A service and the pods that it selects, and that have neither ended nor are being deleted."""

    service: Any
    pods: Sequence[Any]

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.metadata.name

    @property
    def is_local(self) -> bool:
        """Whether kube-proxy serves its NodePorts only where a pod of it is."""
        return self.service.spec.external_traffic_policy == "Local"

    @property
    def ready(self) -> list[Any]:
        """The pods that serve."""
        return [pod for pod in self.pods if is_ready(pod)]

    def on(self, node: str) -> list[Any]:
        """The pods on a node."""
        return [pod for pod in self.pods if pod.spec.node_name == node]


class NodePorts:
    """One look at who answers on the NodePorts for media and for health checks. Each question is asked once."""

    def __init__(self, proxy: Proxy, remedies: Remedies, *, media: Port, health: Port) -> None:
        """Look at that proxy's cluster, once something is asked."""
        self._proxy = proxy
        self._remedies = remedies
        self.media = media
        self.health = health

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """The cluster's nodes, by each id that target groups may know one by. Raises what asking the cluster raises."""
        nodes = [_node(node) for node in self._proxy.api.nodes({})]
        return {id_: node for node in nodes for id_ in node.ids}

    @cached_property
    def backends(self) -> Mapping[Port, Backend]:
        """What is behind each NodePort of the namespace. Raises what asking the cluster raises."""
        services: list[Any] = self._proxy.services()
        return {
            Port(port.protocol.lower(), port.node_port): Backend(service, _selected(service, self._living))
            for service in services
            for port in service.spec.ports or ()
            if port.node_port
        }

    @cached_property
    def _living(self) -> Sequence[Any]:
        return [pod for pod in self._proxy.pods() if is_living(pod)]

    @cached_property
    def _refused(self) -> Sequence[str]:
        """Why pods may not be created, as far as events can be read."""
        with suppress(*CLUSTER_FAILURES):
            return refusals(self._proxy.events())
        return ()

    def silent_by_design(self, targets: Iterable[str]) -> frozenset[str]:
        """The targets that health checks cannot reach although all is well: pods of the proxy serve, but none is there.

        Raises what asking the cluster raises.
        """
        backend = self.backends.get(self.health)
        if backend is None or not backend.is_local or not backend.ready:
            return frozenset()
        nodes = {target: self.nodes[target] for target in targets if target in self.nodes}
        return frozenset(target for target, node in nodes.items() if not backend.on(node.name))

    def check(self, *, unhealthy: Collection[str], healthy: Iterable[str]) -> list[Finding]:
        """Whether the NodePorts are bound, who answers there, and why the unhealthy targets do not.

        Raises what asking the cluster raises.
        """
        silent = self.silent_by_design(unhealthy)
        targets = frozenset(unhealthy) - silent
        found = [*self._unbound(self.media, targets), *self._unbound(self.health, targets)]
        media, health = self.backends.get(self.media), self.backends.get(self.health)
        if health:
            found += self._unserved(health, targets)
        if health and health.is_local:
            found += self._quiet(health, silent)
        elif media and media.is_local:
            found += self._deaf(media, healthy)
        found += self._unfit(targets)
        bound = f"UDP {self.media.number} and TCP {self.health.number} are bound"
        is_fine = not any(finding.level is Level.PROBLEM for finding in found)
        return [ok("node ports", bound), *found] if is_fine else found

    def _unbound(self, port: Port, targets: frozenset[str]) -> list[Finding]:
        """What is wrong with a NodePort as such. Without the health checks' all targets are unhealthy."""
        backend = self.backends.get(port)
        if backend and backend.pods:
            return []
        shown = f"{port.protocol.upper()} {port.number}"
        if backend:
            if not self._living or self._refused:
                return []  # which is told of the pods
            seen = f"service {backend.name} selects no pod ({_labels(backend.service)})"
            remedy = "make the service's selector match the chart's pods"
        else:
            bound = ", ".join(f"{other.protocol.upper()} {other.number}" for other in self.backends) or "none"
            seen = f"no service of {self._proxy.namespace} has NodePort {shown} (bound: {bound})"
            remedy = self._binding(port)
        if port == self.media:
            seen += f": {BLOCKED_MEDIA}"
        affected = targets if port == self.health else frozenset[str]()
        return [Cause(check="node-port-unbound", level=Level.PROBLEM, seen=seen, remedy=remedy, targets=affected)]

    def _binding(self, port: Port) -> str:
        """How a NodePort gets its service: by other values, or, where the release has lost its own, from Helm."""
        release = self._proxy.find_release()
        if release is None:
            return self._remedies.up
        if not self.backends:
            return f"helm -n {release.namespace} rollback {release.name} {release.revision}"
        return f"set lls:{KEYS[port.protocol]} to the chart's, or the chart's by lls:helmValues"

    def _unserved(self, health: Backend, targets: frozenset[str]) -> list[Finding]:
        """Targets whose health checks meet no pod that serves: everywhere, or on the nodes whose own pods do not."""
        if not health.ready:
            silent = targets
            seen = f"service {health.name} has no ready pod, so no node answers on TCP {self.health.number}"
        elif health.is_local:
            nodes = {target: self.nodes[target].name for target in targets if target in self.nodes}
            unready: set[str] = {pod.spec.node_name for pod in health.pods} - {
                pod.spec.node_name for pod in health.ready
            }
            silent = frozenset(target for target, node in nodes.items() if node in unready)
            where = ", ".join(sorted(filter(None, unready)))
            seen = f"with externalTrafficPolicy Local only a node's own pods answer, and those on {where} are not ready"
        else:
            return []
        if not silent:
            return []
        look = f"kubectl -n {self._proxy.namespace} describe pods -l {_labels(health.service)}"
        if not health.pods:
            look = "see why it has none, above or below"
        return [Cause(check="pod-not-running", level=Level.PROBLEM, seen=seen, remedy=look, targets=silent)]

    def _quiet(self, health: Backend, silent: frozenset[str]) -> list[Finding]:
        """Where health checks are answered by a node's own pods alone."""
        if not health.ready:
            return []
        seen = f"{_answering(health)}; targets without a proxy pod are unhealthy by design"
        return [Cause(check="node-port-local", level=Level.NOTE, seen=seen, targets=silent)]

    def _deaf(self, media: Backend, healthy: Iterable[str]) -> list[Finding]:
        """Where media is taken by a node's own pods alone, while every node answers health checks."""
        nodes = {target: self.nodes[target].name for target in healthy if target in self.nodes}
        deaf = sorted(target for target, node in nodes.items() if not any(map(is_ready, media.on(node))))
        if not media.ready or not deaf:
            return []
        return [
            problem(
                "node-port-local",
                f"{_answering(media)}, and health checks are answered everywhere: {', '.join(deaf)} are healthy, get "
                "clients' packets, and drop them",
                "give the service of the health checks externalTrafficPolicy Local too (lls:helmValues)",
            )
        ]

    def _unfit(self, targets: frozenset[str]) -> list[Finding]:
        """Unhealthy targets that are no nodes of the cluster, or nodes that are not ready."""
        strangers = frozenset(target for target in targets if target not in self.nodes)
        found: list[Finding] = [
            Cause(
                check="node-gone",
                level=Level.PROBLEM,
                seen=f"{target}: it is no node of the cluster",
                remedy=self._remedies.removal(target),
                targets=frozenset({target}),
            )
            for target in sorted(strangers)
        ]
        for target in sorted(targets - strangers):
            node = self.nodes[target]
            if node.why_not_ready:
                seen = f"{target}: node {node.name} is not ready: {node.why_not_ready}"
                look = f"kubectl describe node {node.name}"
                found.append(
                    Cause(
                        check="node-not-ready",
                        level=Level.PROBLEM,
                        seen=seen,
                        remedy=look,
                        targets=frozenset({target}),
                    )
                )
        return found


def _selected(service: Any, pods: Iterable[Any]) -> list[Any]:
    selector: dict[str, str] = service.spec.selector or {}
    return [pod for pod in pods if selector and selector.items() <= (pod.metadata.labels or {}).items()]


def _answering(backend: Backend) -> str:
    nodes = ", ".join(sorted({pod.spec.node_name for pod in backend.ready}))
    return f"service {backend.name} answers on {nodes} only (externalTrafficPolicy Local)"


def _labels(service: Any) -> str:
    selector: dict[str, str] = service.spec.selector or {}
    return ",".join(f"{key}={value}" for key, value in selector.items())


def _node(node: Any) -> Node:
    instance = re.search(r"i-[0-9a-f]+$", node.spec.provider_id or "")
    ready = next((condition for condition in node.status.conditions or () if condition.type == "Ready"), None)
    is_ready = ready is not None and ready.status == "True"
    return Node(
        name=node.metadata.name,
        ids=frozenset(
            [address.address for address in node.status.addresses or () if address.type == "InternalIP"]
            + ([instance.group()] if instance else [])
        ),
        why_not_ready="" if is_ready else (ready and (ready.message or ready.reason)) or "its state is unknown",
    )
