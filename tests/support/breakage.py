"""Ways to break an emulated cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.release import Status
from rehearsal.kubernetes.scheduler import Container, PodState

STACK_TRACE: Final = """\
2026-01-01T00:00:00Z INFO  starting streaming-proxy
2026-01-01T00:00:01Z ERROR unhandled exception
Traceback (most recent call last):
  File "/opt/streaming-proxy/main.py", line 87, in <module>
    serve(Settings.from_environment())
  File "/opt/streaming-proxy/settings.py", line 41, in from_environment
    raise SettingsError(f"LB_DNS {name!r} does not resolve")
SettingsError: LB_DNS 'streaming.example' does not resolve
"""
"""The log of a proxy that cannot start."""

UNAVAILABLE_API: Final = {
    "NamespaceDeletionDiscoveryFailure": "Discovery failed for some groups, 1 failing: unable to retrieve the complete "
    "list of server APIs: metrics.k8s.io/v1beta1: the server is currently unable to handle the request"
}
FINALIZER: Final = {
    "NamespaceContentRemaining": "Some resources are remaining: targetgroupbindings.elbv2.k8s.aws has 1 resource "
    "instances",
    "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: "
    "elbv2.k8s.aws/resources in 1 resource instances",
}
"""Why the deletion of a namespace hangs, as its conditions tell."""


def a_proxy(cluster: Cluster) -> str:
    """The name of a pod of a Helm release."""
    with cluster.settled():
        return min(pod.name for pod in cluster.pods.values() if pod.release)


def crash(cluster: Cluster, pod: str, *, restarts: int = 7) -> None:
    """Let a pod end in CrashLoopBackOff."""
    _change_pod(cluster, pod, "crashing", restarts=restarts, log=STACK_TRACE)


def fail_image_pull(cluster: Cluster, pod: str) -> None:
    """Let a pod end in ImagePullBackOff."""
    _change_pod(cluster, pod, "unpullable")


def fail_probe(cluster: Cluster, pod: str) -> None:
    """Let a pod fail its readiness probe."""
    _change_pod(cluster, pod, "unready")


def unschedule(cluster: Cluster, pod: str, message: str = "0/1 nodes are available: 1 Insufficient cpu.") -> None:
    """Let no node take a pod."""
    _change_pod(cluster, pod, "pending", node="", message=message)


def evict(cluster: Cluster, pod: str) -> None:
    """Let the kubelet have evicted a pod, which stays as a record of that."""
    _change_pod(cluster, pod, "evicted", message="The node was low on resource: ephemeral-storage.")


def terminate(cluster: Cluster, pod: str) -> None:
    """Let a pod be deleted, and take its time."""
    _change_pod(cluster, pod, "terminating")


def add_container(cluster: Cluster, pod: str, container: Container) -> None:
    """Give a pod a further container, as an injector would have."""
    with cluster.settled():
        [key] = [key for key in cluster.pods if key[1] == pod]
        cluster.pods[key] = replace(cluster.pods[key], added=(*cluster.pods[key].added, container))


def recover(cluster: Cluster, pod: str) -> None:
    """Let a pod that has a node run again."""
    _change_pod(cluster, pod, "running", held=False)


def change_node(cluster: Cluster, name: str, **changes: Any) -> None:
    """Change a node, such as `ready=False` or `cordoned=True`."""
    cluster.nodes[name] = cluster.nodes[name].model_copy(update=changes)


def change_node_port(cluster: Cluster, old: int, new: int) -> None:
    """Give the service with that NodePort another one."""
    for key, service in cluster.services.items():
        ports = tuple(replace(port, node_port=new) if port.node_port == old else port for port in service.ports)
        cluster.services[key] = replace(service, ports=ports)


def hang_deletion(cluster: Cluster, namespace: str, conditions: Mapping[str, str] = UNAVAILABLE_API) -> None:
    """Let a namespace be deleted, and that not end, as these conditions tell."""
    cluster.hung[namespace] = conditions
    cluster.begin_deletion(namespace)


def change_release(cluster: Cluster, namespace: str, name: str, status: Status) -> None:
    """Give the last revision of a release another status, such as `failed` or `pending-upgrade`."""
    cluster.releases[namespace, name] = replace(cluster.releases[namespace, name], status=status)


def _change_pod(cluster: Cluster, name: str, state: PodState, *, held: bool = True, **changes: Any) -> None:
    with cluster.settled():
        [key] = [key for key in cluster.pods if key[1] == name]
        cluster.pods[key] = replace(cluster.pods[key], state=state, held=held, **changes)
