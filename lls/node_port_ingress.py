"""Step 4.3 of the guide and its security group table: what the nodes let in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.guide import Port
from lls.naming import Names


@dataclass(frozen=True, kw_only=True)
class NodePortIngressArgs:
    """What a NodePortIngress needs: the group that the nodes carry and the group of the NLB.

    `instance` tells the cluster's installations apart, in names and tags. `internal_rules` also opens, between
    the nodes, the ports that the proxy and its workers use.
    """

    cluster_name: str
    instance: str = ""
    node_security_group_id: pulumi.Input[str]
    nlb_security_group_id: pulumi.Input[str]
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    health_node_port: int = guide.HEALTH_NODE_PORT
    internal_rules: bool = True
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class NodePortIngress(pulumi.ComponentResource):
    """`lls:index:NodePortIngress`, step 4.3 of the guide and its security group table.

    Creates ingress rules on the nodes' group: media (UDP) and health checks (TCP) from the NLB's group,
    and the internal ports from the nodes themselves. Destroyed before the NLB's group, which AWS would
    otherwise not let go.
    """

    def __init__(self, name: str, args: NodePortIngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:NodePortIngress", name, None, opts)
        names = Names(args.cluster_name, args.instance)

        def allow(logical_name: str, port: Port, source_group: pulumi.Input[str], description: str) -> None:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-{logical_name}",
                security_group_id=args.node_security_group_id,
                referenced_security_group_id=source_group,
                description=description,
                ip_protocol=port.protocol,
                from_port=port.number,
                to_port=port.number,
                tags=names.tags(names.node_rule(port), args.tags),
                opts=pulumi.ResourceOptions(parent=self),
            )

        allow("media", Port("udp", args.streaming_node_port), args.nlb_security_group_id, "LLS media from the NLB")
        allow("health", Port("tcp", args.health_node_port), args.nlb_security_group_id, "LLS health checks of the NLB")
        if args.internal_rules:
            for port in guide.NODE_INTERNAL_PORTS:
                allow(f"internal-{port}", port, args.node_security_group_id, "LLS traffic between nodes")
        self.register_outputs({})
