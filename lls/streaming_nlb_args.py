"""What step 2 of the guide needs to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pulumi

from lls import guide


class ElasticIp(NamedTuple):
    """An existing Elastic IP: its allocation id and its address."""

    allocation_id: str
    address: str


@dataclass(frozen=True, kw_only=True)
class StreamingNlbArgs:
    """What a StreamingNlb needs. Ports are numbers. `allowed_cidrs` are IPv4 CIDRs and ids of managed prefix lists.

    `instance` tells the cluster's installations apart, in names and tags.
    `registration` tells who registers the targets, each in a group of their own; `deregistration_delay` is in
    seconds; `stickiness` sends a source address always to the same target.
    `elastic_ip` is an existing address to use; without one, `static_ip` allocates an address.
    `dns_name` is what clients call it, empty for its own name. It gets a record in the Route 53 zone of
    `hosted_zone_id`, if that is not empty.
    """

    cluster_name: str
    instance: str = ""
    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    udp_port: int = guide.UDP_PORT
    allowed_cidrs: Sequence[str] = ("0.0.0.0/0",)
    static_ip: bool = False
    elastic_ip: ElasticIp | None = None
    dns_name: str = ""
    hosted_zone_id: str = ""
    target_type: guide.TargetType = guide.TARGET_TYPE
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    health_node_port: int = guide.HEALTH_NODE_PORT
    health_path: str = guide.HEALTH_PATH
    registration: guide.Registration = "nodes"
    deregistration_delay: int = guide.DEREGISTRATION_DELAY
    stickiness: bool = False
    deletion_protection: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
