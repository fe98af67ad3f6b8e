"""Step 4.2 of the guide: the proxy's nodes as targets of the NLB, by one of three ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from lls import guide
from lls.cluster import BINDING_API, ZONE_LABEL


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
class Registration:
    """Who the targets are, or who keeps them: one of the three. Found by `lls.lookups`."""

    targets: tuple[str, ...] = ()
    autoscaling_groups: tuple[str, ...] = ()
    binding: Binding | None = None


@dataclass(frozen=True, kw_only=True)
class TargetRegistrationArgs:
    """What a TargetRegistration needs, and one of `targets`, `autoscaling_groups` and `binding`.

    `targets` are IPs or instance ids, as the target group's type wants; the others need instance targets.
    `drain_seconds` is how long a destroy waits after the deregistration. `after` is what must work before a
    target is announced: it is created first and destroyed last.
    """

    target_group_arn: pulumi.Input[str]
    targets: Sequence[str] = ()
    autoscaling_groups: Sequence[str] = ()
    binding: Binding | None = None
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    drain_seconds: int = 0
    after: Sequence[pulumi.Resource] = ()


class TargetRegistration(pulumi.ComponentResource):
    """`lls:index:TargetRegistration`, step 4.2 of the guide.

    Registers each target by an attachment named after the target itself, so that a node that comes or
    goes leaves the others registered; or attaches Auto Scaling groups, which then register their
    instances; or creates a TargetGroupBinding, by which the AWS Load Balancer Controller registers the
    nodes. Destroyed before everything in `after`, with a pause for draining if asked for.
    """

    def __init__(self, name: str, args: TargetRegistrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:TargetRegistration", name, None, opts)
        # Targets are announced when something answers and can be reached, and withdrawn first.
        child = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        if args.drain_seconds:
            from lls.draining import Draining

            drained = Draining(f"{name}-draining", args.drain_seconds, child)
            child = pulumi.ResourceOptions(parent=self, depends_on=[*args.after, drained])
        for target in args.targets:
            aws.lb.TargetGroupAttachment(
                f"{name}-{target}",
                target_group_arn=args.target_group_arn,
                target_id=target,
                port=args.streaming_node_port,
                opts=child,
            )
        for group in args.autoscaling_groups:
            aws.autoscaling.Attachment(
                f"{name}-{group}", autoscaling_group_name=group, lb_target_group_arn=args.target_group_arn, opts=child
            )
        if args.binding:
            self._bind(name, args.target_group_arn, args.binding, child)
        self.register_outputs({"targets": list(args.targets)})

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
            opts=opts,
        )
