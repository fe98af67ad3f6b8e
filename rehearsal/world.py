"""The world that a stack is rehearsed in: zones, subnets, nodes, latencies and quirks."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lls import guide
from lls.files import read_yaml

DEFAULT_WORLD = Path(__file__).with_name("world.yaml")


class Model(BaseModel):
    """A frozen part of the world file; keys are camelCase and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


Quantity = Annotated[str, BeforeValidator(str)]
"""A quantity as Kubernetes writes it, such as 500m or 24Gi."""


ZoneType = Literal["availability-zone", "local-zone", "wavelength-zone"]
"""A zone's type, as EC2 calls it."""

TaintText = Annotated[str, Field(pattern=r"^[^=:]+(=[^=:]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$")]


class Subnet(Model):
    """A subnet of the cluster's VPC. `zone` is what follows the region's name, such as the letter a.

    What is `public` is routed to the internet gateway, unless `internet_gateway` is off: then it is only meant to be.
    `map_public_ip` is its MapPublicIpOnLaunch, which is about instances and makes nothing public. `free_addresses` are
    those that nothing holds; by default all of a /20.
    """

    zone: str
    public: bool
    id: str | None = None
    internet_gateway: bool = True
    map_public_ip: bool = False
    free_addresses: Annotated[int, Field(ge=0)] | None = None


ComputeType = Literal["ec2", "auto", "fargate", "hybrid"]
"""What a node runs on, as EKS labels it but for `ec2`. Fargate's and hybrid nodes have no EC2 instance."""

InstanceState = Literal["pending", "running", "shutting-down", "stopped", "stopping", "terminated"]


class Node(Model):
    """A node of the cluster and the EC2 instance behind it.

    Without `labels` it carries the stack's `nodeSelector`; without `ip` or `instance_id` it gets one. Labels may lie
    about the zone. `taints` are as kubectl writes them, KEY[=VALUE][:EFFECT], by default NoSchedule. `addresses` are
    more of its own, which the cluster lists before the primary one. `security_groups` are numbers, from 0, of the
    groups called CLUSTER-node-* that it carries, where not all; with none it carries the cluster security group. `cpu`
    and `memory` are what its pods may request together. With `other_vpc` its instance is in a VPC that is not the
    cluster's. Where its instance does not run, the cluster knows.
    """

    name: str
    zone: str
    labels: Mapping[str, str] | None = None
    taints: tuple[TaintText, ...] = ()
    ip: str | None = None
    addresses: tuple[str, ...] = ()
    instance_id: str | None = None
    instance_state: InstanceState = "running"
    other_vpc: bool = False
    compute_type: ComputeType = "ec2"
    security_groups: tuple[int, ...] | None = None
    deleting: bool = False
    cordoned: bool = False
    ready: bool = True
    cpu: Quantity = "48"
    memory: Quantity = "384Gi"

    @property
    def has_instance(self) -> bool:
        """Whether it is an EC2 instance of this account."""
        return self.compute_type in ("ec2", "auto")

    @property
    def serves(self) -> bool:
        """Whether its pods can be ready."""
        return self.ready and self.instance_state == "running"


class PrefixList(Model):
    """A managed prefix list of the account. `max_entries` is what it counts for in a security group."""

    id: str
    cidrs: tuple[str, ...] = ("198.51.100.0/24",)
    max_entries: Annotated[int, Field(ge=1)] = 10
    address_family: Literal["IPv4", "IPv6"] = "IPv4"


class HostedZone(Model):
    """A Route 53 zone of the account. Nobody resolves a name of one that is not `delegated`, or `private`."""

    name: str
    id: str | None = None
    private: bool = False
    delegated: bool = True


class ExistingPod(Model):
    """A pod that runs before `up` and holds part of a node."""

    name: str
    namespace: str = "default"
    node: str
    cpu: Quantity = "0"
    memory: Quantity = "0"


class Latencies(Model):
    """How long AWS and the cluster take, in their own seconds (figures: see world.yaml)."""

    api_call: float
    nlb_provisioning: float
    nlb_interfaces_linger: float
    helm_install: float
    helm_uninstall: float
    namespace_delete: float
    dns_in_sync: float = 30


class ManagedNodeGroup(Model):
    """A managed node group of EKS: the nodes of its zones that carry its labels, in an Auto Scaling group."""

    name: str
    zones: tuple[str, ...]
    labels: Mapping[str, str] = {}


class Quirks(Model):
    """Ways in which a world differs from the plain one.

    `node_groups` counts the security groups called CLUSTER-node-*; with none, nodes carry the cluster
    security group. `taken_node_ports` are NodePorts held by another service. The chart opens
    `chart_streaming_node_port` and `chart_health_node_port`, and answers on `chart_health_path`: what the
    stack's config says of them, unless the world says otherwise. `external_traffic_policy` is that of the
    chart's service; `load_balancer_controller` installs the AWS Load Balancer Controller. `nlb_state` is the
    state that load balancers end in. `ip_family` is that of the cluster's pods and services, and the only one in which
    its nodes answer on NodePorts. `quotas` are service quotas by code, where they are not AWS's defaults.
    `gvo_operator` adds the role CLUSTER-gvo-operator; without `mirrored`, ECR has neither chart nor image.
    `pull_through_cache` are ECR's rules: a repository's prefix, and the registry that it is a cache of.
    """

    node_groups: Annotated[int, Field(ge=0)] = 1
    taken_node_ports: tuple[int, ...] = ()
    chart_streaming_node_port: int = guide.STREAMING_NODE_PORT
    chart_health_node_port: int = guide.HEALTH_NODE_PORT
    chart_health_path: str = guide.HEALTH_PATH
    external_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    load_balancer_controller: bool = False
    ip_family: Literal["ipv4", "ipv6"] = "ipv4"
    cluster_status: Literal["CREATING", "ACTIVE", "UPDATING", "DELETING", "FAILED"] = "ACTIVE"
    nlb_state: Literal["provisioning", "active", "active_impaired", "failed"] = "active"
    quotas: Mapping[str, int] = {}
    gvo_operator: bool = False
    mirrored: bool = True
    pull_through_cache: Mapping[str, str] = {}
    managed_node_groups: tuple[ManagedNodeGroup, ...] = ()


Answering = Literal["answers", "refuses", "is silent"]
"""What a service does that is asked: `refuses` is a port that nobody listens on."""


class Nvcf(Model):
    """NVCF's own half, as far as it is in this cluster.

    `agent` is its cluster agent, with `agent_environment` of somebody's own. `zone_dns_service` is the service that
    workers reach the proxy by, with so many ready `zone_dns_endpoints`, and what it does when it is asked. With the
    `control_plane` here, `lls_addon` tells whether that add-on is on.
    """

    agent: bool = True
    agent_environment: Mapping[str, str] = {}
    zone_dns_service: bool = True
    zone_dns_endpoints: Annotated[int, Field(ge=0)] = 1
    zone_dns_answering: Answering = "answers"
    control_plane: bool = True
    lls_addon: bool = True


ELSEWHERE = Nvcf(agent=False, zone_dns_service=False, control_plane=False)
"""None of it: in another cluster."""


class World(Model):
    """What exists before `up`: an account, a region, a VPC and an EKS cluster with nodes.

    What the file leaves open (`region`, `cluster`, `vpc_id` and the like) is taken from the stack's config.
    `token_role` is the ARN of a role that may be assumed, and that the cluster lets in; `alarm_topic` that of an SNS
    topic to which somebody has subscribed.
    """

    account: str
    region: str
    cluster: str
    vpc_id: str | None = None
    node_security_group_ids: tuple[str, ...] = ()
    eip_allocation_id: str | None = None
    repository_prefix: str | None = None
    chart_version: str | None = None
    image_tag: str | None = None
    token_role: str | None = None
    alarm_topic: str | None = None
    subnets: tuple[Subnet, ...]
    nodes: tuple[Node, ...]
    pods: tuple[ExistingPod, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    hosted_zones: tuple[HostedZone, ...] = ()
    latencies: Latencies
    nvcf: Nvcf = Nvcf()
    quirks: Quirks = Quirks()

    @property
    def partition(self) -> Literal["aws", "aws-cn", "aws-us-gov"]:
        """The AWS partition of the region."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def dns_suffix(self) -> str:
        """The domain of the partition's service endpoints."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def zone(self, letter: str) -> str:
        """The full name of a zone, such as us-west-2a."""
        return f"{self.region}{letter}"

    def zone_type(self, zone: str) -> ZoneType:
        """What a zone is, as names tell: us-west-2a, us-west-2-lax-1a, or us-west-2-wl1-las-wlz-1."""
        further = zone.removeprefix(self.region)
        if "-wlz-" in further:
            return "wavelength-zone"
        return "local-zone" if further.startswith("-") else "availability-zone"

    @classmethod
    def parse(cls, text: str, *, zone: str = "a", chart: Mapping[str, str] | None = None, **from_stack: object) -> Self:
        """Read a world from YAML text; `chart` and `from_stack` fill what the text leaves open.

        In the text the zone `stack` means `zone`, and `other` a different one.
        Raises pydantic.ValidationError or yaml.YAMLError for a file that is not a world.
        """
        zones = {"stack": zone, "other": "a" if zone == "b" else "b"}
        given: Any = read_yaml(text)
        if not isinstance(given, dict):
            raise yaml.YAMLError("a world is a mapping, as rehearsal/world.yaml is")
        given = cast(dict[str, Any], given)
        places: list[Any] = [*(given.get("subnets") or ()), *(given.get("nodes") or ())]
        for place in places:
            if isinstance(place, dict) and place.get("zone") in zones:  # pyright: ignore[reportUnknownMemberType]
                place["zone"] = zones[place["zone"]]
        filled = {key: value for key, value in from_stack.items() if value}
        quirks: dict[str, Any] = {**(chart or {}), **(given.get("quirks") or {})}
        return cls.model_validate(filled | given | {"quirks": quirks})


class KilledError(BaseException):
    """Ends the thread of a process that was killed. Nothing handles it, as nothing handles SIGKILL."""


class WorldClock:
    """Time in the emulated world: `factor` of its seconds pass in one real second.

    A process of the world that was killed waits for nothing any more: see `follow`.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self._start = time.monotonic()
        self._process = threading.local()
        self.skipped = 0.0
        """Seconds that passed at once: the part of the time that does not depend on the machine."""

    def follow(self, killed: threading.Event) -> None:
        """Let the calling thread be one of a process of the world, which that event tells to be killed."""
        self._process.killed = killed

    def check(self) -> None:
        """Raise KilledError where the process of the calling thread was killed: it does nothing any more."""
        if (killed := self._killed) and killed.is_set():
            raise KilledError

    def now(self) -> float:
        """Seconds of the emulated world since its beginning."""
        return self.skipped + (time.monotonic() - self._start) * self.factor

    def skip(self, seconds: float) -> None:
        """Let that many seconds of the emulated world pass at once."""
        self.skipped += seconds

    def sleep(self, seconds: float) -> None:
        """Let that many seconds of the emulated world pass. Raises KilledError."""
        if killed := self._killed:
            killed.wait(seconds / self.factor)
            self.check()
        else:
            time.sleep(seconds / self.factor)

    @property
    def _killed(self) -> threading.Event | None:
        return getattr(self._process, "killed", None)
