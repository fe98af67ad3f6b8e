"""What a stack's runs call, and how a run that fails ends."""

from collections.abc import Collection

import pytest

from rehearsal.engine.engine import StepsFailedError
from rehearsal.rehearse import Rehearsal
from tests.support.recorded import as_config

CREATIONS: Collection[str] = (
    "ec2:AllocateAddress",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateLoadBalancer",
    "elasticloadbalancing:CreateTargetGroup",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterTargets",
)


NODES = as_config(staticIp=True)


def destroyed_but(rehearsal: Rehearsal) -> tuple[set[str], set[str]]:
    """What a destroy could not delete, and what is left."""
    with pytest.raises(StepsFailedError) as caught:
        rehearsal.engine.destroy()
    message = str(caught.value)
    return {urn for urn, resource in rehearsal.engine.state.items() if f"{resource.name}: " in message}, set(
        rehearsal.engine.state
    )
