"""Step 4.3 of the guide and its security group table: what the nodes let in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.guide import Port
from lls.naming import Names


@dataclass(frozen=True, kw_only=True)
class NodePortIngressArgs:
    """What a NodePortIngress needs: the groups that the nodes carry, and the group of the NLB.

    `node_security_group_id` is the group whose rules have the guide's names; `more_node_security_group_ids` are further
    groups, of other nodes, whose rules have names with the group's id. `instance` tells the cluster's installations
    apart, in names and tags. `internal_rules` also opens, between all these nodes, the ports that the proxy and its
    workers use.
    """

    cluster_name: str
    instance: str = ""
    node_security_group_id: pulumi.Input[str] | None = None
    more_node_security_group_ids: Sequence[str] = ()
    nlb_security_group_id: pulumi.Input[str]
    streaming_node_port: int = guide.STREAMING_NODE_PORT
    health_node_port: int = guide.HEALTH_NODE_PORT
    internal_rules: bool = True
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class NodePortIngress(pulumi.ComponentResource):
    """`lls:index:NodePortIngress`, step 4.3 of the guide and its security group table.

    Creates ingress rules on each of the nodes' groups: media (UDP) and health checks (TCP) from the NLB's group,
    and the internal ports from each of the nodes' groups. Destroyed before the NLB's group, which AWS would
    otherwise not let go.
    """

    def __init__(self, name: str, args: NodePortIngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:NodePortIngress", name, None, opts)
        names = Names(args.cluster_name, args.instance)

        def allow(
            logical_name: str, group: pulumi.Input[str], port: Port, source: pulumi.Input[str], key: str, text: str
        ) -> None:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-{logical_name}{key}",
                security_group_id=group,
                referenced_security_group_id=source,
                description=text,
                ip_protocol=port.protocol,
                from_port=port.number,
                to_port=port.number,
                tags=names.tags(names.node_rule(port, key), args.tags),
                opts=pulumi.ResourceOptions(parent=self),
            )

        media, health = Port("udp", args.streaming_node_port), Port("tcp", args.health_node_port)
        groups: dict[str, pulumi.Input[str]] = {rule_key(group): group for group in args.more_node_security_group_ids}
        if args.node_security_group_id is not None:
            groups = {"": args.node_security_group_id, **groups}
        for key, group in groups.items():
            allow("media", group, media, args.nlb_security_group_id, key, "LLS media from the NLB")
            allow("health", group, health, args.nlb_security_group_id, key, "LLS health checks of the NLB")
            for port in guide.NODE_INTERNAL_PORTS if args.internal_rules else ():
                for other, source in groups.items():
                    pair = key if other == key else f"{key}-from{other or '-main'}"
                    allow(f"internal-{port}", group, port, source, pair, "LLS traffic between nodes")
        self.register_outputs({})


def rule_key(group: str) -> str:
    """What ends the names of the rules on one of several groups, so that another one's coming or going is nothing."""
    return f"-{group}"
