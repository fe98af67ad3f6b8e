"""The stack's outputs, written by the program and read by other stacks: one declaration of names and types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import pulumi

if TYPE_CHECKING:
    from lls.config import Config
    from lls.lookups import Surroundings
    from lls.streaming_nlb import StreamingNlb

T = TypeVar("T")


@dataclass(frozen=True)
class Program:
    """What the program's outputs come from."""

    config: "Config"
    found: "Surroundings"
    nlb: "StreamingNlb"


class StackOutput(Generic[T]):
    """One output: its key, its type, and where the program has it from."""

    def __init__(self, key: str, convert: Callable[[Any], T], value: Callable[["Program"], Any]) -> None:
        """Describe the output of that key; `convert` makes its value from what a stack reference carries."""
        self.key = key
        self.value = value
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

    Reading one that the stack lacks fails with pulumi.RunError; `dns_name` and `static_ip` are None where there
    is none.
    """

    cluster_name = StackOutput("clusterName", _text, lambda stack: stack.config.cluster_name)
    region = StackOutput("region", _text, lambda stack: stack.config.region)
    availability_zone = StackOutput("availabilityZone", _text, lambda stack: stack.config.availability_zone)
    vpc_id = StackOutput("vpcId", _text, lambda stack: stack.found.vpc_id)
    nlb_name = StackOutput("nlbName", _text, lambda stack: stack.nlb.load_balancer.name)
    nlb_arn = StackOutput("nlbArn", _text, lambda stack: stack.nlb.load_balancer.arn)
    nlb_dns_name = StackOutput("nlbDnsName", _text, lambda stack: stack.nlb.load_balancer.dns_name)
    nlb_zone_id = StackOutput("nlbZoneId", _text, lambda stack: stack.nlb.load_balancer.zone_id)
    dns_name = StackOutput("dnsName", _optional_text, lambda stack: stack.config.dns_name or None)
    static_ip = StackOutput("staticIp", _optional_text, lambda stack: stack.nlb.static_ip)
    # int, because numbers of a stack reference arrive as floats.
    udp_port = StackOutput("udpPort", int, lambda stack: stack.config.udp_port)
    streaming_endpoint = StackOutput(
        "streamingEndpoint",
        _text,
        lambda stack: pulumi.Output.format("{0}:{1}", stack.nlb.endpoint_name, stack.config.udp_port),
    )
    security_group_id = StackOutput("securityGroupId", _text, lambda stack: stack.nlb.security_group.id)
    node_security_group_id = StackOutput(
        "nodeSecurityGroupId", _text, lambda stack: stack.found.node_security_groups.first
    )
    target_group_arn = StackOutput("targetGroupArn", _text, lambda stack: stack.nlb.target_group.arn)
    target_type = StackOutput("targetType", _text, lambda stack: stack.config.target_type)
    targets = StackOutput("targets", _texts, lambda stack: list(stack.found.targets.ids))
    namespace = StackOutput("namespace", _text, lambda stack: stack.config.namespace)
    release_name = StackOutput("releaseName", _text, lambda stack: stack.config.release_name)
    chart_version = StackOutput("chartVersion", _text, lambda stack: stack.config.chart_version)

    alarm_names = StackOutput("alarmNames", _texts, lambda stack: stack.config.alarm_names)

    def __init__(self, reference: pulumi.StackReference) -> None:
        """Read the outputs of a referenced stack."""
        self.reference = reference

    @classmethod
    def of(cls, stack: str) -> Self:
        """The outputs of the stack of that name, such as `ORGANIZATION/lls/prod`."""
        return cls(pulumi.StackReference(stack))


def export(program: Program) -> None:
    """Export every output that LlsOutputs declares."""
    for output in vars(LlsOutputs).values():
        if isinstance(output, StackOutput):
            pulumi.export(output.key, cast(StackOutput[Any], output).value(program))
