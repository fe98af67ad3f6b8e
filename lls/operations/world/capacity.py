"""Room on the nodes, as the scheduler counts it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType]

from lls.config import Config


def lacks(node: Any, pods: Iterable[Any], config: Config) -> str:
    """What a node lacks for the proxy; empty where it has room, or runs it already."""
    here = [pod for pod in pods if pod.spec.node_name == name_of(node)]
    here = [pod for pod in here if pod.status.phase not in ("Succeeded", "Failed")]
    if any(pod.metadata.namespace == config.namespace for pod in here):
        return ""
    if node.spec.unschedulable:
        return "cordoned"
    ready = [condition.status for condition in node.status.conditions or () if condition.type == "Ready"]
    if ready != ["True"]:
        return "not ready"
    allocatable: dict[str, str] = node.status.allocatable or {}
    lacking: list[str] = []
    for resource, wanted in (("cpu", config.cpu), ("memory", config.memory)):
        used = sum((_requested(pod, resource) for pod in here), Decimal(0))
        free = parse_quantity(allocatable.get(resource, "0")) - used
        if free < parse_quantity(wanted):
            lacking.append(f"{_amount(free, resource)} {resource} free")
    return ", ".join(lacking)


def _amount(value: Decimal, resource: str) -> str:
    return f"{value / 2**30:.1f}Gi" if resource == "memory" else f"{value * 1000:.0f}m"


def _requested(pod: Any, resource: str) -> Decimal:
    requests: list[dict[str, str]] = [
        (container.resources.requests or {}) if container.resources else {} for container in pod.spec.containers
    ]
    return sum((parse_quantity(request.get(resource, "0")) for request in requests), Decimal(0))


def name_of(thing: Any) -> str:
    """The name of a Kubernetes object."""
    return thing.metadata.name
