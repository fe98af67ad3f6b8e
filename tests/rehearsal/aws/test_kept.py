from typing import Any

import pytest
from moto.core.serialize import BaseXMLSerializer, EC2Serializer, ResponseSerializer
from moto.ec2.models.core import TaggedEC2Resource

from rehearsal.rehearse import Rehearsal
from tests.support.strategies import QUIRKS
from tests.support.worlds import a_rehearsal

OWN = [
    (ResponseSerializer, "get_value", ResponseSerializer.get_value),
    (BaseXMLSerializer, "_serialize_body", vars(BaseXMLSerializer)["_serialize_body"]),
    (EC2Serializer, "_serialize_body", vars(EC2Serializer)["_serialize_body"]),
    (TaggedEC2Resource, "get_tags", TaggedEC2Resource.get_tags),
]
"""Moto's own way, as long as nothing is rehearsed."""

CALLS = [
    ("ec2", "describe_instances"),
    ("ec2", "describe_network_interfaces"),
    ("ec2", "describe_security_group_rules"),
    ("ec2", "describe_route_tables"),
    ("ec2", "describe_subnets"),
    ("elbv2", "describe_load_balancers"),
    ("elbv2", "describe_target_groups"),
    ("autoscaling", "describe_auto_scaling_groups"),
    ("iam", "list_roles"),
    ("ecr", "describe_repositories"),
    ("eks", "list_clusters"),
]


def test_an_answer_made_the_short_way_is_motos_own() -> None:
    with a_rehearsal(quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        tag: Any = {"Key": "note", "Value": "<a & 'b'> \"c\""}
        ec2 = rehearsal.aws.client("ec2")
        ec2.create_tags(Resources=[rehearsal.aws.vpc_id], Tags=[tag])
        assert tag in ec2.describe_vpcs(VpcIds=[rehearsal.aws.vpc_id])["Vpcs"][0].get("Tags", [])
        short = answers(rehearsal)
        with pytest.MonkeyPatch.context() as motos:
            for owner, name, own in OWN:
                motos.setattr(owner, name, own)
            assert answers(rehearsal) == short


def answers(rehearsal: Rehearsal) -> dict[str, Any]:
    found = {operation: getattr(rehearsal.aws.client(service), operation)() for service, operation in CALLS}
    return {operation: {**answer, "ResponseMetadata": {}} for operation, answer in found.items()}
