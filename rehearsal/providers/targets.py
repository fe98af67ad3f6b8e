"""The AWS provider's registrations: of targets, and of whole Auto Scaling groups."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import ATTACHMENT, TARGET
from rehearsal.aws.server import Aws
from rehearsal.providers.calls import unless_gone
from rehearsal.providers.lifecycle import Lifecycle

NOT_REGISTERED: Final = frozenset({"Target.NotRegistered", "Target.DeregistrationInProgress"})
"""Reasons of a target's health by which the provider takes it for gone."""


class TargetTypes:
    """The lifecycles of registrations. Each of their arguments replaces them."""

    def __init__(self, aws: Aws) -> None:
        """Make them in that AWS."""
        self._elbv2 = aws.client("elbv2")
        self._aws = aws
        self.lifecycles: Mapping[str, Lifecycle] = {
            TARGET: Lifecycle(self._register, _keep, self._deregister, self._read_target),
            ATTACHMENT: Lifecycle(self._attach, _keep, self._detach, self._read_attachment),
        }

    def _register(self, inputs: Properties) -> tuple[str, Properties]:
        self._elbv2.register_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[_target(inputs)])
        return f"{inputs['targetGroupArn']}-{uuid.uuid4()}", {}

    def _deregister(self, _: str, inputs: Properties) -> None:
        """Where the target group is gone it fails: the provider expects another of AWS's refusals.

        Source: Delete in internal/service/elbv2/target_group_attachment.go of hashicorp/terraform-provider-aws 6.
        """
        self._elbv2.deregister_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[_target(inputs)])

    def _read_target(self, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """An import's id is ARN,TARGET,PORT. That of a state tells no target: it is random, as the provider's is."""
        if not inputs:
            arn, target_id, port = id_.split(",")
            inputs = {"targetGroupArn": arn, "targetId": target_id, "port": int(port)}
        found = unless_gone(
            lambda: self._elbv2.describe_target_health(
                TargetGroupArn=inputs["targetGroupArn"], Targets=[_target(inputs)]
            )["TargetHealthDescriptions"]
        )
        target = {"targetId": inputs["targetId"], "port": inputs["port"]}
        is_there = any(_registered(health) == target for health in found or ())
        return (inputs, {}) if is_there else None

    def _attach(self, inputs: Properties) -> tuple[str, Properties]:
        self._aws.client("autoscaling").attach_load_balancer_target_groups(
            AutoScalingGroupName=inputs["autoscalingGroupName"], TargetGroupARNs=[inputs["lbTargetGroupArn"]]
        )
        return f"{inputs['autoscalingGroupName']}-{uuid.uuid4()}", {}

    def _detach(self, _: str, inputs: Properties) -> None:
        self._aws.client("autoscaling").detach_load_balancer_target_groups(
            AutoScalingGroupName=inputs["autoscalingGroupName"], TargetGroupARNs=[inputs["lbTargetGroupArn"]]
        )

    def _read_attachment(self, _: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The provider has no import for it. Raises NotImplementedError for one."""
        if not inputs:
            raise NotImplementedError(f"{ATTACHMENT} cannot be imported")
        groups = self._aws.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[inputs["autoscalingGroupName"]]
        )["AutoScalingGroups"]
        attached = any(inputs["lbTargetGroupArn"] in group.get("TargetGroupARNs", ()) for group in groups)
        return (inputs, {}) if attached else None


def _registered(health: Any) -> Properties | None:
    """The target of a health description, in the provider's terms; None where it is not registered any more."""
    if health["TargetHealth"].get("Reason") in NOT_REGISTERED:
        return None
    return {"targetId": health["Target"]["Id"], "port": health["Target"]["Port"]}


def _target(inputs: Properties) -> Any:
    return {"Id": inputs["targetId"], "Port": inputs["port"]}


def _keep(*_: object) -> Properties:
    return {}
