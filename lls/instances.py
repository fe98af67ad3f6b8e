"""EC2's word on instances, by way of the AWS provider."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pulumi_aws as aws

from lls.asking import ask

FILTER_VALUES: Final = 200
"""Values that EC2 takes in the filters of one question, of all of them together."""


def find_instances(
    filters: Mapping[str, str], key: str, values: Sequence[str], *, states: Sequence[str] = ("running",)
) -> Mapping[str, str]:
    """The instances in those states that match the filters: id to primary private IPv4 address, "" without one.

    `key` is the filter that takes many `values`, which are asked for in as few questions as EC2 allows. Raises
    pulumi.RunError.
    """
    found: dict[str, str] = {}
    room = FILTER_VALUES - len(filters) - len(states)
    for start in range(0, len(values), room):
        found.update(_ask(filters, key, values[start : start + room], states))
    return found


def _ask(
    filters: Mapping[str, str], key: str, values: Sequence[str], states: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Ids and addresses: lists of one answer, in one of which instances without an address are missing."""
    answer = ask(
        "the nodes' EC2 instances",
        lambda: aws.ec2.get_instances(
            filters=[
                aws.ec2.GetInstancesFilterArgs(name=key, values=list(values)),
                *(aws.ec2.GetInstancesFilterArgs(name=name, values=[value]) for name, value in filters.items()),
            ],
            instance_state_names=list(states),
        ),
        "Allow ec2:DescribeInstances (docs/iam-policy.json).",
    )
    if len(answer.ids) == len(answer.private_ips):
        yield from zip(answer.ids, answer.private_ips, strict=True)
    elif len(answer.ids) == 1:
        yield answer.ids[0], ""
    else:
        for id_ in answer.ids:
            yield from _ask(filters, "instance-id", [id_], states)
