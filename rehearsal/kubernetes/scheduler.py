"""Pods, and the scheduler that finds nodes for them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal, Self

from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType]

from rehearsal.kubernetes.chart import KubernetesError, Toleration
from rehearsal.world import Node

PODS_PER_NODE: Final = 110

PodState = Literal["starting", "running", "unready", "crashing", "unpullable", "pending", "evicted", "terminating"]
"""What a pod does. `unready` fails its readiness probe; `pending` has no node; `terminating` runs until it is gone."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container beside a pod's own, as a mesh adds one. Of the init containers only a `sidecar` is to go on running.

    `crashing` is one that ends with an error, again and again.
    """

    name: str
    kind: Literal["regular", "init", "sidecar"] = "regular"
    crashing: bool = False
    restarts: int = 0
    log: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it has ended and was meant to."""
        return self.kind == "init" and not self.crashing


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of one container and those that were added. `release` and `template` are empty if Helm did not make it.

    `message` is the scheduler's about a pending pod. `held` keeps a state that a test set: the scheduler
    leaves the pod alone.
    """

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    node: str = ""
    requests: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Mapping[str, str] = field(default_factory=dict[str, str])
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    zones: tuple[str, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    image: str = "registry.k8s.io/pause:3.10"
    state: PodState = "running"
    message: str = ""
    restarts: int = 0
    log: str = ""
    held: bool = False
    release: str = ""
    template: str = ""
    added: tuple[Container, ...] = ()
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def requested(self) -> Mapping[str, str]:
        """What it requests, which is its limit where it has only that."""
        return {**self.limits, **self.requests}

    @property
    def replica_set(self) -> str:
        """The name of the ReplicaSet that made it, if Helm did."""
        return f"streaming-proxy-{self.template}"

    @property
    def stays(self) -> bool:
        """Whether its ReplicaSet counts it: one that failed, or is being deleted, gets a successor."""
        return self.state not in ("evicted", "terminating")

    @property
    def container(self) -> str:
        """The name of its container."""
        return "streaming-proxy" if self.release else self.name

    @property
    def is_initialized(self) -> bool:
        """Whether every init container has done its part; until then no other one starts."""
        return not any(container.crashing and container.kind != "regular" for container in self.added)

    @property
    def phase(self) -> str:
        """Its phase, as Kubernetes sums it up."""
        if self.state == "evicted":
            return "Failed"
        is_pending = self.state in ("starting", "unpullable", "pending") or not self.is_initialized
        return "Pending" if is_pending else "Running"


@dataclass(frozen=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read KEY[=VALUE][:EFFECT], as kubectl takes it."""
        rest, _, effect = text.partition(":")
        key, _, value = rest.partition("=")
        return cls(key, value, effect or "NoSchedule")


class UnschedulableError(Exception):
    """No node takes a pod; the message is the scheduler's."""


UNREACHABLE: Final = "node.kubernetes.io/unreachable"
"""What Kubernetes puts on a node that it no longer hears of."""

EFFECTS_OF_CONDITIONS: Final = ("NoSchedule", "NoExecute")
"""With which Kubernetes taints a node that is not ready or does not report."""

CORDONED: Final = Taint("node.kubernetes.io/unschedulable")
"""What Kubernetes puts on a cordoned node."""


BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL: Final = ("m", "", "k", "M", "G", "T", "P", "E")
"""Suffixes of quantities, each 1024 or 1000 times the one before."""


def quantity(text: str) -> Decimal:
    """A quantity as a number. Raises KubernetesError for what is none."""
    try:
        return parse_quantity(text)
    except ValueError:
        raise KubernetesError(
            f"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': {text!r}"
        ) from None


def canonical(text: str) -> str:
    """A quantity as the API server writes it: with the largest suffix of its kind that leaves it whole.

    So 5000m is 5, and 24576Mi is 24Gi. Raises KubernetesError for what is none.
    """
    number = quantity(text)
    return text if number and re.search(r"[eE][-+]?\d", text) else _written(number, is_binary=text.endswith("i"))


def _written(number: Decimal, *, is_binary: bool) -> str:
    base, suffixes = (1024, BINARY) if is_binary else (1000, DECIMAL)
    number = (number if is_binary else number * 1000).to_integral_value(ROUND_CEILING)
    power = 0
    while number and number % base == 0 and power + 1 < len(suffixes):
        number, power = number // base, power + 1
    return f"{number:f}{suffixes[power]}" if number else "0"


def place(
    pod: Pod, nodes: Iterable[Node], labels: Callable[[Node], Mapping[str, str]], others: Iterable[Pod], zone_label: str
) -> str:
    """The node for a pod: of those that fit, the one with the fewest pods like it.

    Raises UnschedulableError where none fits.
    """
    nodes, others = sorted(nodes, key=lambda node: node.name), list(others)
    alike = Counter(other.node for other in others if other.labels == pod.labels)
    reasons: Counter[str] = Counter()
    fitting: list[str] = []
    for node in nodes:
        against = _reasons(pod, node, labels(node), [other for other in others if other.node == node.name], zone_label)
        reasons.update(against)
        if not against:
            fitting.append(node.name)
    if not fitting:
        listed = ", ".join(sorted(f"{number} {reason}" for reason, number in reasons.items()))
        raise UnschedulableError(f"0/{len(nodes)} nodes are available: {listed or 'no nodes available'}.")
    return min(fitting, key=lambda name: (alike[name], name))


def _reasons(pod: Pod, node: Node, labels: Mapping[str, str], on_it: list[Pod], zone_label: str) -> list[str]:
    """Why a node does not take a pod, as the first of the scheduler's filters says that it does not pass."""
    if node.cordoned and not any(toleration.covers(CORDONED) for toleration in pod.tolerations):
        return ["node(s) were unschedulable"]
    for taint in taints(node):
        if taint.effect != "PreferNoSchedule" and not any(toleration.covers(taint) for toleration in pod.tolerations):
            return [f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"]
    if not pod.node_selector.items() <= labels.items() or (pod.zones and labels.get(zone_label) not in pod.zones):
        return ["node(s) didn't match Pod's node affinity/selector"]
    short = [
        f"Insufficient {resource}"
        for resource, allocatable in (("cpu", node.cpu), ("memory", node.memory))
        if sum((_request(other, resource) for other in (pod, *on_it)), Decimal()) > quantity(allocatable)
    ]
    return ["Too many pods", *short] if len(on_it) >= PODS_PER_NODE else short


def taints(node: Node) -> tuple[Taint, ...]:
    """The taints of a node: its own, and what Kubernetes and EKS add."""
    found = [Taint.parse(text) for text in node.taints]
    if node.compute_type == "fargate":
        found.append(Taint("eks.amazonaws.com/compute-type", "fargate"))
    if node.instance_state != "running":
        found.append(Taint("node.cloudprovider.kubernetes.io/shutdown"))
        found += [Taint(UNREACHABLE, effect=effect) for effect in EFFECTS_OF_CONDITIONS]
    elif not node.ready:
        found += [Taint("node.kubernetes.io/not-ready", effect=effect) for effect in EFFECTS_OF_CONDITIONS]
    return tuple(found)


COMPUTE: Final = re.compile(r"((requests|limits)\.)?(cpu|memory)")
"""What a quota asks every container to specify. Of other resources it counts those that pods ask for."""


def over_quota(pod: Pod, others: Iterable[Pod], quota: Mapping[str, str]) -> str:
    """Why a namespace's quota takes no further pod beside the others, in the words of its admission; empty if it does.

    `quota` has limits such as `requests.cpu`, `limits.memory`, `requests.nvidia.com/gpu`, or `pods`; others are not
    kept an eye on, as the API server does not. The quota is called "team". Seen at kube-apiserver v1.34.4.
    """
    hard = {limited: quota[limited] for limited in sorted(quota)}
    missing = [limited for limited in hard if COMPUTE.fullmatch(limited) and _counted(pod, limited) is None]
    if missing:
        told = "; ".join(f"{limited} for: {pod.container}" for limited in missing)
        return f'pods "{pod.name}" is forbidden: failed quota: team: must specify {told}'
    others, over = list(others), list[tuple[str, str, str, str]]()
    for limited, limit in hard.items():
        wanted = _counted(pod, limited)
        used = sum((quantity(_counted(other, limited) or "0") for other in others), Decimal())
        if wanted is not None and used + quantity(wanted) > quantity(limit):
            is_binary = wanted.endswith("i")
            over.append((limited, canonical(wanted), _written(used, is_binary=is_binary), canonical(limit)))
    if not over:
        return ""
    requested, used, allowed = (",".join(f"{row[0]}={row[place]}" for row in over) for place in (1, 2, 3))
    amounts = f"requested: {requested}, used: {used}, limited: {allowed}"
    return f'pods "{pod.name}" is forbidden: exceeded quota: team, {amounts}'


def _counted(pod: Pod, limited: str) -> str | None:
    """What a pod counts for in a limit of a quota; None where it specifies nothing, or no quota limits that."""
    if limited == "pods":
        return "1"
    kind, _, resource = limited.rpartition(".") if COMPUTE.fullmatch(limited) else limited.partition(".")
    if kind == "limits":
        return pod.limits.get(resource) if COMPUTE.fullmatch(limited) else None
    return pod.requested.get(resource)


def _request(pod: Pod, resource: str) -> Decimal:
    return quantity(pod.requested.get(resource, "0"))
