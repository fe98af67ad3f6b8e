"""The stack's outputs for other stacks, with their types."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import pulumi

T = TypeVar("T")


class StackOutput(Generic[T]):
    """One output, read when it is asked for, and converted to its type."""

    def __init__(self, key: str, convert: Callable[[Any], T]) -> None:
        """Describe the output of that key; `convert` makes its value from what a stack reference carries."""
        self.key = key
        self._convert = convert

    def __get__(self, outputs: "LlsOutputs", _: type) -> pulumi.Output[T]:
        return outputs.reference.get_output(self.key).apply(self._value)

    def _value(self, value: Any) -> T:
        try:
            return self._convert(value)
        except TypeError:
            raise pulumi.RunError(f"The referenced LLS stack has no output {self.key}.") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in values]


class LlsOutputs:
    """Outputs of an LLS stack, each typed: `LlsOutputs.of("org/lls/prod").udp_port` is an Output of an int.

    Reading one that the stack lacks fails with pulumi.RunError; `static_ip` is None where there is none.
    """

    cluster_name = StackOutput("clusterName", _text)
    region = StackOutput("region", _text)
    availability_zone = StackOutput("availabilityZone", _text)
    vpc_id = StackOutput("vpcId", _text)
    nlb_name = StackOutput("nlbName", _text)
    nlb_arn = StackOutput("nlbArn", _text)
    nlb_dns_name = StackOutput("nlbDnsName", _text)
    nlb_zone_id = StackOutput("nlbZoneId", _text)
    static_ip = StackOutput("staticIp", _optional_text)
    # int, because numbers of a stack reference arrive as floats.
    udp_port = StackOutput("udpPort", int)
    streaming_endpoint = StackOutput("streamingEndpoint", _text)
    security_group_id = StackOutput("securityGroupId", _text)
    node_security_group_id = StackOutput("nodeSecurityGroupId", _text)
    target_group_arn = StackOutput("targetGroupArn", _text)
    target_type = StackOutput("targetType", _text)
    targets = StackOutput("targets", _texts)
    namespace = StackOutput("namespace", _text)
    release_name = StackOutput("releaseName", _text)
    chart_version = StackOutput("chartVersion", _text)

    def __init__(self, reference: pulumi.StackReference) -> None:
        """Read the outputs of a referenced stack."""
        self.reference = reference

    @classmethod
    def of(cls, stack: str) -> Self:
        """The outputs of the stack of that name, such as `ORGANIZATION/lls/prod`."""
        return cls(pulumi.StackReference(stack))
