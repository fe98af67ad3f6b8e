import runpy
from typing import Any
from unittest.mock import patch

import pulumi
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import resource_pb2

from lls.operations.program.recording import Monitor
from lls.operations.program.stack_file import PROJECT
from lls.outputs import LlsOutputs, StackOutput
from tests.support.recorded import RecordedStack, recorded, up

REFERENCE = "organization/lls/dev"
CONSUMER = {"lls-dns:stack": REFERENCE, "lls-dns:zoneId": "Z0", "lls-dns:hostname": "stream.example.com"}


def consumer(outputs: dict[str, Any], program: Any) -> RecordedStack:
    """A stack of another project that reads those outputs."""
    result = recorded(program=program)
    result.engine.project = "lls-dns"
    result.engine.config = CONSUMER

    def read(monitor: Monitor, request: Any) -> resource_pb2.ReadResourceResponse:
        properties = Struct()
        properties.update({"name": request.id, "outputs": outputs, "secretOutputNames": []})
        urn = monitor.make_urn(request.parent, request.type, request.name)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=properties)

    with patch.object(Monitor, "ReadResource", read):
        result.engine.up()
    return result


NAMES = [name for name, value in vars(LlsOutputs).items() if isinstance(value, StackOutput)]


def read(name: str, outputs: dict[str, Any]) -> Any:
    def shown(value: Any) -> list[Any]:
        return [type(value).__name__, value]

    def program() -> None:
        pulumi.export("seen", getattr(LlsOutputs.of(REFERENCE), name).apply(shown))

    return consumer(outputs, program).engine.outputs["seen"]


def test_integers_stay_integers_though_references_carry_floats() -> None:
    assert read("udp_port", {"udpPort": 5004.0}) == ["int", 5004]


def test_texts_and_lists_are_read_as_they_are() -> None:
    outputs = up().engine.outputs
    assert read("streaming_endpoint", outputs) == ["str", "demo.elb.example:5004"]
    assert read("targets", outputs) == ["list", ["10.0.0.1", "10.0.0.2"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_output_of_a_stack_can_be_read(name: str) -> None:
    outputs = up({"lls:staticIp": "true"}).engine.outputs
    assert read(name, outputs)


def test_a_missing_output_fails_the_consumer() -> None:
    with pytest.raises(pulumi.RunError, match="The referenced LLS stack has no output udpPort"):
        read("udp_port", {})


def test_a_stack_without_a_static_address_has_none() -> None:
    assert read("static_ip", {}) == ["NoneType", None]


def dns(outputs: dict[str, Any]) -> RecordedStack:
    program = PROJECT / "examples" / "dns" / "__main__.py"
    return consumer(outputs, lambda: runpy.run_path(str(program), run_name="__main__") and None)


def test_the_example_makes_an_alias_to_the_nlb() -> None:
    made = dns(up().engine.outputs)
    [record] = made.of("Record")
    assert record.inputs["name"] == "stream.example.com"
    assert record.inputs["type"] == "A"
    assert record.inputs["aliases"] == [{"name": "demo.elb.example", "zoneId": "Z1", "evaluateTargetHealth": True}]
    assert made.engine.outputs["endpoint"] == "stream.example.com:5004"


def test_the_example_makes_a_record_for_a_static_address_too() -> None:
    made = dns(up({"lls:staticIp": "true"}).engine.outputs)
    record = made.named("static-address")
    assert record.inputs["name"] == "static.stream.example.com"
    assert record.inputs["records"] == ["203.0.113.5"]
