"""Step 4.2 of the guide: the proxy's nodes as targets of the NLB, by one of three ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from lls import guide
from lls.streaming_nlb import StreamingNlb

BINDING_API: Final = "elbv2.k8s.aws/v1beta1"
"""The API of the AWS Load Balancer Controller's TargetGroupBinding."""

ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What a TargetGroupBinding of the AWS Load Balancer Controller needs: the proxy's service, and its nodes.

    `service_port` is the port of the service whose NodePort takes the media.
    """

    namespace: str
    service_name: str
    service_port: int
    node_selector: Mapping[str, str]
    availability_zone: str


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Who the targets are, or who keeps them: one of the three. Found by `lls.targets`."""

    ids: tuple[str, ...] = ()
    autoscaling_groups: tuple[str, ...] = ()
    binding: Binding | None = None


@dataclass(frozen=True, kw_only=True)
class TargetRegistrationArgs:
    """What a TargetRegistration needs: the target group, and who the targets are.

    `nlb` is the load balancer that serves the group, and `after` what else must work before a target is announced:
    both are created first and destroyed last. `drain_seconds` is how long a destroy waits after the deregistration.
    """

    target_group_arn: pulumi.Input[str]
    targets: Targets
    nlb: StreamingNlb | None = None
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    drain_seconds: int = 0
    after: Sequence[pulumi.Resource] = ()


class TargetRegistration(pulumi.ComponentResource):
    """`lls:index:TargetRegistration`, step 4.2 of the guide.

    Registers each target by an attachment named after the target itself, so that a node that comes or
    goes leaves the others registered; or attaches Auto Scaling groups, which then register their
    instances; or creates a TargetGroupBinding, by which the AWS Load Balancer Controller registers the
    nodes. Destroyed before the listener and everything in `after`, with a pause for draining if asked for.
    """

    def __init__(self, name: str, args: TargetRegistrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:TargetRegistration", name, None, opts)
        arn, targets = args.target_group_arn, args.targets
        child = self._when_it_works(name, args)
        for target in targets.ids:
            aws.lb.TargetGroupAttachment(
                f"{name}-{target}", target_group_arn=arn, target_id=target, port=args.streaming_node_port, opts=child
            )
        for group in targets.autoscaling_groups:
            aws.autoscaling.Attachment(
                f"{name}-{group}", autoscaling_group_name=group, lb_target_group_arn=arn, opts=child
            )
        if targets.binding:
            self._bind(name, arn, targets.binding, child)
        self.register_outputs({"targets": list(targets.ids)})

    def _when_it_works(self, name: str, args: TargetRegistrationArgs) -> pulumi.ResourceOptions:
        """Targets are announced when something answers and can be reached, and withdrawn first."""
        if not args.drain_seconds:
            listener = [args.nlb.listener] if args.nlb else []
            return pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *listener])
        from lls.draining import Draining  # needed rarely, and costs time to import

        # What drains still streams through the load balancer's own rules, so all of it outlives the pause.
        serving = [*args.after, *([args.nlb] if args.nlb else [])]
        pause = Draining(
            f"{name}-draining", args.drain_seconds, pulumi.ResourceOptions(parent=self, depends_on=serving)
        )
        return pulumi.ResourceOptions(parent=self, depends_on=[*serving, pause])

    def _bind(
        self, name: str, target_group_arn: pulumi.Input[str], binding: Binding, opts: pulumi.ResourceOptions
    ) -> None:
        """Let the controller register; it makes no security group rules, which are NodePortIngress's."""
        labels = {**binding.node_selector, ZONE_LABEL: binding.availability_zone}
        k8s.apiextensions.CustomResource(
            f"{name}-binding",
            api_version=BINDING_API,
            kind="TargetGroupBinding",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=binding.service_name, namespace=binding.namespace),
            spec={
                "targetGroupARN": target_group_arn,
                "targetType": "instance",
                "serviceRef": {"name": binding.service_name, "port": binding.service_port},
                "nodeSelector": {"matchLabels": labels},
            },
            opts=pulumi.ResourceOptions.merge(
                opts,
                # The controller never lets a binding have another group, nor a group another binding beside it.
                pulumi.ResourceOptions(replace_on_changes=["spec.targetGroupARN"], delete_before_replace=True),
            ),
        )
