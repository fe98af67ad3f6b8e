"""The streaming proxy's chart: the values it takes and the service it makes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from lls.config.values import in_words
from rehearsal.world import Quirks

SELECTOR: Mapping[str, str] = {"app": "streaming-proxy"}
"""Labels of the proxy's pods: the guide's `kubectl logs -l app=streaming-proxy`."""


class KubernetesError(Exception):
    """What the Kubernetes API or Helm refuses, in its words."""


class ChartModel(BaseModel):
    """Chart values that the guide documents (step 3). A chart takes others too, and ignores them."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", strict=True)


class Environment(ChartModel):
    """The pod's environment: strings, or Kubernetes refuses the pod."""

    lb_port: Annotated[str, Field(pattern=r"^\d{1,5}$")]
    lb_dns: Annotated[str, Field(pattern=r"^[a-z0-9A-Z.-]+$")]


class Zones(ChartModel):
    """Zones in which pods may run."""

    enabled: bool = False
    zones: list[str] = []


class Image(ChartModel):
    """The image to pull."""

    repository: str
    tag: str
    pull_policy: Literal["Always", "IfNotPresent", "Never"]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


class Resources(ChartModel):
    """Resources of a pod."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class TaintLike(Protocol):
    """What a toleration is compared with."""

    @property
    def key(self) -> str:
        """Its key."""
        ...

    @property
    def value(self) -> str:
        """Its value, perhaps empty."""
        ...

    @property
    def effect(self) -> str:
        """Its effect."""
        ...


class Toleration(ChartModel):
    """A toleration of the pod, as the API takes it."""

    key: str = ""
    operator: Literal["", "Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None

    @model_validator(mode="after")
    def _valid(self) -> Self:
        if not self.key and self.operator != "Exists":
            raise ValueError('operator must be Exists when `key` is empty, which means "match all values and all keys"')
        if self.operator == "Exists" and self.value:
            raise ValueError("value must be empty when `operator` is 'Exists'")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("effect must be 'NoExecute' when `tolerationSeconds` is set")
        return self

    def covers(self, taint: TaintLike) -> bool:
        """Whether it tolerates a taint: by effect, key and value, of which an empty one stands for any."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or self.value == taint.value


class ChartValues(ChartModel):
    """The values file of the guide's step 3, and the chart's NodePorts, for which NVIDIA documents no values.

    What a null has dropped is Kubernetes' default: one replica, on any node of any zone, without requests and limits.
    """

    env: Environment
    replica_count: Annotated[int, Field(ge=0)] = 1
    availability_zones: Zones = Zones()
    node_selector: dict[str, str] = {}
    image: Image
    resources: Resources = Resources()
    tolerations: list[Toleration] = Field(default_factory=list[Toleration])
    streaming_node_port: int | None = None
    health_node_port: int | None = None

    @property
    def template(self) -> str:
        """The hash of the pod template, of which neither the number of replicas nor a NodePort is a part."""
        rest = {"replica_count", "streaming_node_port", "health_node_port"}
        text = json.dumps(self.model_dump(exclude=rest), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def documented(values: Mapping[str, Any]) -> ChartValues:
    """The values as the chart reads them. Raises KubernetesError where it cannot."""
    try:
        return ChartValues.model_validate(_without_nulls(values))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {in_words(problem)}" for problem in error.errors())
        raise KubernetesError(f"values don't meet the chart: {'; '.join(problems)}") from None


def _without_nulls(values: Any) -> Any:
    """Values as the chart's templates see them: a null has dropped the chart's default, and is nothing itself."""
    if not isinstance(values, Mapping):
        return values
    mapping = cast(Mapping[str, Any], values)
    return {key: _without_nulls(value) for key, value in mapping.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ServicePort:
    """A port of a NodePort service."""

    name: str
    protocol: Literal["TCP", "UDP"]
    port: int
    node_port: int


@dataclass(frozen=True, kw_only=True)
class Service:
    """A NodePort service. `release` is the name of the Helm release that made it.

    One with a `health_check_node_port` is a LoadBalancer's with externalTrafficPolicy Local.
    """

    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str]
    release: str = ""
    external_traffic_policy: str = "Cluster"
    health_check_node_port: int | None = None

    @property
    def node_ports(self) -> frozenset[int]:
        """The node ports that no other service can have, for whatever protocol and purpose it has them."""
        return frozenset(port.node_port for port in self.ports) | {self.health_check_node_port or 0} - {0}


def service_of(release: str, namespace: str, values: ChartValues, quirks: Quirks) -> Service:
    """The service that the chart makes, with fixed NodePorts: those of its values, else the world's."""
    streaming = values.streaming_node_port or quirks.chart_streaming_node_port
    health = values.health_node_port or quirks.chart_health_node_port
    return Service(
        name="streaming-proxy",
        namespace=namespace,
        ports=(
            ServicePort(name="streaming", protocol="UDP", port=6004, node_port=streaming),
            ServicePort(name="health", protocol="TCP", port=8000, node_port=health),
        ),
        selector=SELECTOR,
        release=release,
        external_traffic_policy=quirks.external_traffic_policy,
    )


def foreign_service(node_port: int) -> Service:
    """A service of somebody else, which holds a NodePort for both protocols."""
    return Service(
        name=f"other-{node_port}",
        namespace="other",
        ports=(
            ServicePort(name="tcp", protocol="TCP", port=80, node_port=node_port),
            ServicePort(name="udp", protocol="UDP", port=80, node_port=node_port),
        ),
        selector={"app": f"other-{node_port}"},
    )
