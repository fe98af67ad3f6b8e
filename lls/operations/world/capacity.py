"""Which nodes the scheduler would give the proxy to, and what keeps it from the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Self, cast

import pulumi
from kubernetes.client import V1Taint
from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType]
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from lls.config import Config
from lls.config.values import in_words
from lls.fitness import TAINTS
from lls.streaming_proxy_release import StreamingProxyReleaseArgs, chart_values
from lls.target_registration import ZONE_LABEL

CONDITIONS: Final = "node.kubernetes.io/"
"""What the taints begin with that Kubernetes sets by a node's condition, and takes away with it."""

CORDONED: Final = V1Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")

WORDS: Final[Mapping[str, str]] = {
    **{taint: f"{word} (taint {taint})" for taint, word in TAINTS.items()},
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/not-ready": "not ready",
}
"""Taints that say what becomes of a node. Nobody should tolerate them to get a proxy to run."""


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class Toleration(_Values):
    """A toleration of the pod, by Kubernetes' rules: without a key of every taint, without an effect of each."""

    model_config = ConfigDict(extra="allow")

    key: str = ""
    operator: Literal["", "Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""

    @model_validator(mode="after")
    def _as_kubernetes_takes_it(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists takes no value")
        if self.operator != "Exists" and not self.key:
            raise ValueError("without a key the operator must be Exists")
        return self

    def covers(self, taint: Any) -> bool:
        """Whether it tolerates a taint of a node."""
        return (
            self.effect in ("", taint.effect)
            and self.key in ("", taint.key)
            and (self.operator == "Exists" or self.value == (taint.value or ""))
        )


class _Zones(_Values):
    enabled: bool = False
    zones: tuple[str, ...] = ()


class _Resources(_Values):
    """A container's resources; what has a limit and no request requests its limit, as the API server sets it."""

    requests: Mapping[str, str | int | float] = Field(default_factory=dict[str, str | int | float])

    @model_validator(mode="before")
    @classmethod
    def _with_limits(cls, resources: Any) -> Any:
        if not isinstance(resources, Mapping):
            return resources
        given = cast(Mapping[str, Mapping[str, Any] | None], resources)
        return {**given, "requests": {**(given.get("limits") or {}), **(given.get("requests") or {})}}


class Demand(_Values):
    """What the proxy's pod asks of a node, as the chart's values say in the end."""

    resources: _Resources = _Resources()
    node_selector: Mapping[str, str] = Field(default_factory=dict[str, str])
    availability_zones: _Zones = _Zones()
    tolerations: tuple[Toleration, ...] = ()

    def chooses(self, node: Any) -> bool:
        """Whether node selector and zones let the pod go there."""
        labels: Mapping[str, str] = node.metadata.labels or {}
        zones = self.availability_zones
        in_zone = not zones.enabled or labels.get(ZONE_LABEL) in zones.zones
        return in_zone and self.node_selector.items() <= labels.items()

    def tolerates(self, taint: Any) -> bool:
        """Whether a taint of a node keeps the pod away no longer, or never did."""
        return taint.effect == "PreferNoSchedule" or any(toleration.covers(taint) for toleration in self.tolerations)

    def __str__(self) -> str:
        return " and ".join(f"{amount} {resource}" for resource, amount in self.resources.requests.items())


@dataclass(frozen=True)
class Shortfall:
    """What keeps the proxy from a node: taints that a toleration should cover, and everything else."""

    tolerable: tuple[Any, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def seen(self) -> str:
        """In words; empty where the proxy could run, or runs already."""
        return ", ".join([*(f"untolerated taint {shown(taint)}" for taint in self.tolerable), *self.others])


def demand_of(config: Config) -> Demand:
    """What a stack's proxy will ask for. Raises pulumi.RunError for values that no pod can have."""
    values = chart_values(
        StreamingProxyReleaseArgs(
            nlb_dns_name="",
            availability_zone=config.availability_zone,
            node_selector=config.node_selector,
            chart="",
            chart_version="",
            image_repository="",
            image_tag="",
            cpu=config.cpu,
            memory=config.memory,
            helm_values=config.helm_values,
        )
    )
    try:
        demand = Demand.model_validate({key: value for key, value in values.items() if value is not None})
        for amount in demand.resources.requests.values():
            parse_quantity(str(amount))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {in_words(problem)}" for problem in error.errors())
        raise pulumi.RunError(f"lls:helmValues: Kubernetes takes no pod with {'; '.join(problems)}.") from None
    except ValueError as error:
        raise pulumi.RunError(f"lls:helmValues: resources.requests: {error}. Use quantities, such as 24Gi.") from None
    return demand


def shortfall(node: Any, pods: Iterable[Any], demand: Demand, namespace: str) -> Shortfall:
    """What a node that the pod's selector chooses lacks for it."""
    here = [pod for pod in pods if pod.spec.node_name == name_of(node)]
    here = [pod for pod in here if pod.status.phase not in ("Succeeded", "Failed")]
    if any(pod.metadata.namespace == namespace for pod in here):
        return Shortfall()
    untolerated = [taint for taint in node.spec.taints or () if not demand.tolerates(taint)]
    hopeless = [taint for taint in untolerated if taint.key in WORDS or taint.key.startswith(CONDITIONS)]
    others = [WORDS.get(taint.key, f"taint {shown(taint)}") for taint in hopeless]
    if node.spec.unschedulable and not demand.tolerates(CORDONED):
        others.append("cordoned")
    if not any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or ()):
        others.append("not ready")
    allocatable: dict[str, str] = node.status.allocatable or {}
    for resource, wanted in demand.resources.requests.items():
        used = sum((_requested(pod, resource) for pod in here), Decimal(0))
        free = parse_quantity(allocatable.get(resource, "0")) - used
        if free < parse_quantity(str(wanted)):
            others.append(f"{_amount(free, resource)} {resource} free")
    if "pods" in allocatable and len(here) >= parse_quantity(allocatable["pods"]):
        others.append(f"no place for another pod beside its {len(here)}")
    return Shortfall(tuple(taint for taint in untolerated if taint not in hopeless), tuple(dict.fromkeys(others)))


def shown(taint: Any) -> str:
    """A taint as kubectl writes it."""
    return f"{taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect}"


def tolerations_for(demand: Demand, taints: Iterable[Any]) -> list[Mapping[str, str]]:
    """The list of tolerations that covers these taints too, as chart values."""
    kept = [toleration.model_dump(by_alias=True, exclude_unset=True) for toleration in demand.tolerations]
    return [*kept, *({"key": taint.key, "operator": "Exists", "effect": taint.effect} for taint in taints)]


def _amount(value: Decimal, resource: str) -> str:
    if resource == "cpu":
        return f"{value * 1000:.0f}m"
    return f"{value / 2**30:.1f}Gi" if resource == "memory" else f"{value:f}"


def _requested(pod: Any, resource: str) -> Decimal:
    """What a pod holds of a node, by the scheduler's formula.

    Init containers run one after another before the others, except for sidecars, which stay (restartPolicy Always).
    """
    initial, sidecars = Decimal(0), Decimal(0)
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":
            sidecars += _of_container(container, resource)
            initial = max(initial, sidecars)
        else:
            initial = max(initial, sidecars + _of_container(container, resource))
    running = sum((_of_container(container, resource) for container in pod.spec.containers), sidecars)
    overhead: dict[str, str] = pod.spec.overhead or {}
    return max(initial, running) + parse_quantity(overhead.get(resource, "0"))


def _of_container(container: Any, resource: str) -> Decimal:
    requests: dict[str, str] = (container.resources.requests or {}) if container.resources else {}
    return parse_quantity(requests.get(resource, "0"))


def name_of(thing: Any) -> str:
    """The name of a Kubernetes object."""
    return thing.metadata.name
