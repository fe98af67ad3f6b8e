"""The stack's outputs for other stacks, with their types."""

from collections.abc import Callable
from typing import Any, Self, TypeVar, cast

import pulumi

T = TypeVar("T")


class LlsOutputs:
    """Outputs of an LLS stack, each typed: `LlsOutputs.of("org/lls/prod").udp_port` is an Output of an int.

    Reading an output that the stack lacks fails the run with pulumi's own error; only `static_ip` may be
    missing, and is then None.
    """

    cluster_name: pulumi.Output[str]
    region: pulumi.Output[str]
    availability_zone: pulumi.Output[str]
    vpc_id: pulumi.Output[str]
    nlb_name: pulumi.Output[str]
    nlb_arn: pulumi.Output[str]
    nlb_dns_name: pulumi.Output[str]
    nlb_zone_id: pulumi.Output[str]
    static_ip: pulumi.Output[str | None]
    udp_port: pulumi.Output[int]
    streaming_endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    node_security_group_id: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    target_type: pulumi.Output[str]
    targets: pulumi.Output[list[str]]
    namespace: pulumi.Output[str]
    release_name: pulumi.Output[str]
    chart_version: pulumi.Output[str]

    def __init__(self, stack: pulumi.StackReference) -> None:
        """Read the outputs of a referenced stack."""

        def text(key: str) -> pulumi.Output[str]:
            return _require(stack, key, str)

        self.cluster_name = text("clusterName")
        self.region = text("region")
        self.availability_zone = text("availabilityZone")
        self.vpc_id = text("vpcId")
        self.nlb_name = text("nlbName")
        self.nlb_arn = text("nlbArn")
        self.nlb_dns_name = text("nlbDnsName")
        self.nlb_zone_id = text("nlbZoneId")
        self.static_ip = cast(pulumi.Output[str | None], stack.get_output("staticIp"))
        # Numbers of a stack reference arrive as floats.
        self.udp_port = _require(stack, "udpPort", int)
        self.streaming_endpoint = text("streamingEndpoint")
        self.security_group_id = text("securityGroupId")
        self.node_security_group_id = text("nodeSecurityGroupId")
        self.target_group_arn = text("targetGroupArn")
        self.target_type = text("targetType")
        self.targets = _require(stack, "targets", _strings)
        self.namespace = text("namespace")
        self.release_name = text("releaseName")
        self.chart_version = text("chartVersion")

    @classmethod
    def of(cls, stack: str) -> Self:
        """The outputs of the stack of that name, such as `ORGANIZATION/lls/prod`."""
        return cls(pulumi.StackReference(stack))


def _require(stack: pulumi.StackReference, key: str, convert: Callable[[Any], T]) -> pulumi.Output[T]:
    return stack.require_output(key).apply(convert)


def _strings(values: list[Any]) -> list[str]:
    return [str(value) for value in values]
