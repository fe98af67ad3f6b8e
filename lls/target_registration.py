"""Step 4.2 of the guide: the proxy's nodes as targets of the NLB."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from lls import guide


@dataclass(frozen=True, kw_only=True)
class TargetRegistrationArgs:
    """What a TargetRegistration needs. `targets` are IPs or instance ids, as the target group's type wants.

    `after` is what must work before a target is announced: it is created first and destroyed last.
    """

    target_group_arn: pulumi.Input[str]
    targets: Sequence[str]
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    after: Sequence[pulumi.Resource] = ()


class TargetRegistration(pulumi.ComponentResource):
    """`lls:index:TargetRegistration`, step 4.2 of the guide.

    Registers each target by an attachment named after the target itself, so that a node that comes or
    goes leaves the others registered. Destroyed before everything in `after`.
    """

    def __init__(self, name: str, args: TargetRegistrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:TargetRegistration", name, None, opts)
        # Targets are announced when something answers and can be reached, and withdrawn first.
        child = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        for target in args.targets:
            aws.lb.TargetGroupAttachment(
                f"{name}-{target}",
                target_group_arn=args.target_group_arn,
                target_id=target,
                port=args.streaming_node_port,
                opts=child,
            )
        self.register_outputs({"targets": list(args.targets)})
