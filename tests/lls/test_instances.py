from collections.abc import Callable

import pulumi

from lls.instances import FILTER_VALUES, find_instances
from lls.operations.program.recording import Properties
from tests.support.recorded import RecordedStack, recorded


def stack_of(program: Callable[[], object], answer: Callable[[Properties], Properties]) -> RecordedStack:
    """A stack whose output is what a program finds."""
    return recorded(
        program=lambda: pulumi.export("found", program()), answers={"aws:ec2/getInstances:getInstances": answer}
    )


def test_many_instances_are_asked_for_in_as_few_questions_as_ec2_allows() -> None:
    ids = [f"i-{number:017x}" for number in range(500)]
    questions: list[Properties] = []

    def answer(arguments: Properties) -> Properties:
        questions.append(arguments)
        asked = next(filter_["values"] for filter_ in arguments["filters"] if filter_["name"] == "instance-id")
        return {
            "ids": asked,
            "privateIps": [f"10.0.0.{id_}" for id_ in asked],
        }

    stack = stack_of(lambda: find_instances({"vpc-id": "vpc-1"}, "instance-id", ids), answer)
    stack.engine.up()
    assert stack.engine.outputs["found"][ids[300]] == f"10.0.0.{ids[300]}"
    assert len(stack.engine.outputs["found"]) == 500
    assert len(questions) == 3
    for question in questions:
        values = sum(len(filter_["values"]) for filter_ in question["filters"]) + len(question["instanceStateNames"])
        assert values <= FILTER_VALUES


def test_an_instance_without_an_address_does_not_get_anothers() -> None:
    addresses = {"i-1": "10.0.0.1", "i-2": "", "i-3": "10.0.0.3"}

    def answer(arguments: Properties) -> Properties:
        ids = next(filter_["values"] for filter_ in arguments["filters"] if filter_["name"] == "instance-id")
        return {"ids": ids, "privateIps": [addresses[id_] for id_ in ids if addresses[id_]]}

    stack = stack_of(lambda: find_instances({}, "instance-id", list(addresses)), answer)
    stack.engine.up()
    assert stack.engine.outputs["found"] == addresses
