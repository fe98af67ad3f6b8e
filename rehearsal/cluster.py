"""An emulated EKS cluster: serves its nodes to the Kubernetes client, and takes the streaming proxy's release."""

import json
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, Literal, Self
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from rehearsal.world import Clock, Node, World

TOKEN: Final = "token-of-the-rehearsal"  # noqa: S105


class ClusterError(Exception):
    """What the Kubernetes API or Helm refuses, in its words."""


class Values(BaseModel):
    """Chart values that the guide documents (step 3). A chart takes others too, and ignores them."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", strict=True)


class Environment(Values):
    """The pod's environment: strings, or Kubernetes refuses the pod."""

    lb_port: Annotated[str, Field(pattern=r"^\d{1,5}$")]
    lb_dns: Annotated[str, Field(pattern=r"^[a-z0-9A-Z.-]+$")]


class Zones(Values):
    """Zones in which pods may run."""

    enabled: bool
    zones: list[str]


class Image(Values):
    """The image to pull."""

    repository: str
    tag: str
    pull_policy: Literal["Always", "IfNotPresent", "Never"]


class Resources(Values):
    """Resources of a pod."""

    requests: dict[str, str]
    limits: dict[str, str]


class ChartValues(Values):
    """The values file of the guide's step 3."""

    env: Environment
    replica_count: Annotated[int, Field(ge=0)]
    availability_zones: Zones
    node_selector: dict[str, str]
    image: Image
    resources: Resources


@dataclass(frozen=True)
class Release:
    """An installed Helm release and the nodes that its pods run on."""

    name: str
    namespace: str
    chart: str
    version: str | None
    values: Mapping[str, Any]
    pods: tuple[str, ...]


class Cluster:
    """The cluster of a world. A context manager: inside it, its API listens and `aws eks get-token` works.

    `nodes` may be changed at any time, as an autoscaler does.
    """

    def __init__(self, world: World, clock: Clock, node_selector: Mapping[str, str]) -> None:
        """Describe the cluster; nodes without labels of their own carry `node_selector`."""
        self._world = world
        self._clock = clock
        self._node_selector = node_selector
        self._exit = ExitStack()
        self._lock = threading.Lock()
        self.nodes: dict[str, Node] = {}
        self.namespaces: set[str] = {"default", "kube-system"}
        self.releases: dict[tuple[str, str], Release] = {}
        self.endpoint = ""

    def __enter__(self) -> Self:
        """Start the API on a free port of 127.0.0.1 and put an `aws` command on the path."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self._exit.callback(server.server_close)
        self._exit.callback(thread.join)
        self._exit.callback(server.shutdown)
        commands = Path(self._exit.enter_context(TemporaryDirectory()))
        self._write_aws_command(commands / "aws")
        path = f"{commands}{os.pathsep}{os.environ.get('PATH', '')}"
        self._exit.enter_context(patch.dict(os.environ, {"PATH": path}))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the API and take the command away."""
        self._exit.close()

    def create_namespace(self, name: str) -> None:
        """Create a namespace; one that exists is refused."""
        with self._lock:
            if name in self.namespaces:
                raise ClusterError(f'namespaces "{name}" already exists')
            self.namespaces.add(name)

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with everything in it."""
        self._clock.sleep(self._world.latencies.namespace_delete)
        with self._lock:
            self.namespaces.discard(name)
            self.releases = {key: release for key, release in self.releases.items() if release.namespace != name}

    def install(
        self, name: str, namespace: str, *, chart: str, version: str | None, values: Mapping[str, Any], timeout: int
    ) -> Release:
        """Install or upgrade a release and wait until its pods run, at most `timeout` seconds."""
        with self._lock:
            if namespace not in self.namespaces:
                raise ClusterError(f'create: failed to create: namespaces "{namespace}" not found')
            others = [each for key, each in self.releases.items() if key != (namespace, name)]
            for port in self._node_ports():
                if others or port in self._world.quirks.taken_node_ports:
                    raise ClusterError(
                        f"Service {name!r} is invalid: spec.ports[0].nodePort: Invalid value: {port}: "
                        "provided port is already allocated"
                    )
        pods = self._schedule(_documented(values), timeout)
        self._clock.sleep(self._world.latencies.helm_install)
        release = Release(name, namespace, chart, version, values, pods)
        with self._lock:
            self.releases[namespace, name] = release
        return release

    def uninstall(self, name: str, namespace: str) -> None:
        """Uninstall a release."""
        self._clock.sleep(self._world.latencies.helm_uninstall)
        with self._lock:
            if self.releases.pop((namespace, name), None) is None:
                raise ClusterError(f"uninstall: Release not loaded: {name}: release: not found")

    def answers(self, address: str, port: int, path: str) -> bool:
        """Whether a node answers on a port: every node serves the chart's NodePorts while a pod runs.

        `path` is asked of the health port only.
        """
        with self._lock:
            running = any(release.pods for release in self.releases.values())
            known = any(node.ip == address for node in self.nodes.values())
        quirks = self._world.quirks
        if port == quirks.chart_health_node_port:
            return running and known and path == quirks.chart_health_path
        return running and known and port == quirks.chart_streaming_node_port

    def leftovers(self) -> tuple[str, ...]:
        """Namespaces and releases that a stack left behind."""
        namespaces = (f"namespace {name}" for name in self.namespaces - {"default", "kube-system"})
        releases = (f"release {namespace}/{name}" for namespace, name in self.releases)
        return tuple(sorted([*namespaces, *releases]))

    def _node_ports(self) -> tuple[int, int]:
        return self._world.quirks.chart_streaming_node_port, self._world.quirks.chart_health_node_port

    def _schedule(self, values: ChartValues, timeout: int) -> tuple[str, ...]:
        """Nodes for the pods, by selector and zone; Helm waits for them in vain where there are none."""
        zones = values.availability_zones
        fitting = [
            name
            for name, node in sorted(self.nodes.items())
            if values.node_selector.items() <= self._labels(node).items()
            and (not zones.enabled or self._world.zone(node.zone) in zones.zones)
            and not node.taints
        ]
        if values.replica_count and not fitting:
            self._clock.sleep(timeout)
            raise ClusterError(
                f"context deadline exceeded: 0/{len(self.nodes)} nodes are available: "
                "none match the pod's node affinity/selector"
            )
        return tuple(fitting[number % len(fitting)] for number in range(values.replica_count))

    def _labels(self, node: Node) -> dict[str, str]:
        own = self._node_selector if node.labels is None else node.labels
        return {
            **own,
            "kubernetes.io/hostname": node.name,
            "topology.kubernetes.io/region": self._world.region,
            "topology.kubernetes.io/zone": self._world.zone(node.zone),
        }

    def _matching(self, selector: str) -> list[dict[str, Any]]:
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        nodes = sorted(self.nodes.values(), key=lambda node: node.name)
        return [self._node(node) for node in nodes if wanted.items() <= self._labels(node).items()]

    def _node(self, node: Node) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": node.name, "labels": self._labels(node)}
        if node.deleting:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return {
            "metadata": metadata,
            "spec": {
                "providerID": f"aws:///{self._world.zone(node.zone)}/{node.instance_id}",
                "taints": [{"key": key, "effect": "NoSchedule"} for key in node.taints],
            },
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": node.ip},
                    {"type": "Hostname", "address": node.name},
                ]
            },
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    return self._answer(401, {"kind": "Status", "reason": "Unauthorized"})
                if url.path != "/api/v1/nodes":
                    return self._answer(404, {"kind": "Status", "reason": "NotFound"})
                selector = parse_qs(url.query).get("labelSelector", [""])[0]
                items = cluster._matching(selector)  # pyright: ignore[reportPrivateUsage]
                return self._answer(200, {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": items})

            def _answer(self, status: int, body: Mapping[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    def _write_aws_command(self, path: Path) -> None:
        credential = {
            "kind": "ExecCredential",
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "status": {"token": TOKEN},
        }
        path.write_text(
            f"""#!/bin/sh
case "$*" in
*"eks get-token --cluster-name {self._world.cluster} "*) echo '{json.dumps(credential)}' ;;
*) echo "the rehearsal has no: aws $*" >&2; exit 252 ;;
esac
"""
        )
        path.chmod(0o700)


def kubeconfig_for(endpoint: str, context: str) -> str:
    """A kubeconfig with a token, for stacks that bring their own."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rehearsal", "cluster": {"server": endpoint}}],
            "users": [{"name": "rehearsal", "user": {"token": TOKEN}}],
            "contexts": [{"name": context, "context": {"cluster": "rehearsal", "user": "rehearsal"}}],
            "current-context": context,
        }
    )


def _documented(values: Mapping[str, Any]) -> ChartValues:
    try:
        return ChartValues.model_validate(values)
    except ValidationError as error:
        problems = (f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
        raise ClusterError(f"values don't meet the chart: {'; '.join(problems)}") from None
