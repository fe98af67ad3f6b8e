"""Step 2 of the guide: the public Network Load Balancer with its security group, target group and listener."""

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.naming import Names
from lls.streaming_nlb_args import StreamingNlbArgs


class StreamingNlb(pulumi.ComponentResource):
    """`lls:index:StreamingNlb`, step 2 of the guide.

    Creates a security group with one ingress rule per source and one egress rule, an Elastic IP if asked
    for, a target group, the NLB and its UDP listener, and the record of a name in a zone if given. Destroyed in the
    guide's order: listener and record, NLB, then target group, security group and Elastic IP.
    """

    security_group: aws.ec2.SecurityGroup
    target_group: aws.lb.TargetGroup
    load_balancer: aws.lb.LoadBalancer
    listener: aws.lb.Listener
    static_ip: pulumi.Output[str] | None
    """The static address; None without one."""
    endpoint_name: pulumi.Output[str]
    """What clients call it: a name that was given, known before anything is made, or else its own."""

    def __init__(self, name: str, args: StreamingNlbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:StreamingNlb", name, None, opts)
        names = Names(args.cluster_name, args.instance)
        self.security_group = self._make_security_group(name, args, names)
        self._make_rules(name, args, names)
        allocation_id, self.static_ip = self._make_address(name, args, names)
        self.target_group = self._make_target_group(name, args, names)
        self.load_balancer = self._make_load_balancer(name, args, names, allocation_id)
        self.listener = self._make_listener(name, args, names)
        self._make_record(name, args)
        self.endpoint_name = pulumi.Output.from_input(args.dns_name or self.load_balancer.dns_name)
        self.register_outputs(
            {
                "nlbArn": self.load_balancer.arn,
                "nlbDnsName": self.load_balancer.dns_name,
                "securityGroupId": self.security_group.id,
                "targetGroupArn": self.target_group.arn,
                "staticIp": self.static_ip,
            }
        )

    @property
    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _make_security_group(self, name: str, args: StreamingNlbArgs, names: Names) -> aws.ec2.SecurityGroup:
        """2.3: the group that an NLB must have from its beginning."""
        return aws.ec2.SecurityGroup(
            f"{name}-sg",
            name=names.security_group,
            description=f"Security group for LLS streaming NLB (UDP {args.udp_port})",
            vpc_id=args.vpc_id,
            tags=names.tags(names.security_group, args.tags, purpose="streaming-nlb"),
            opts=pulumi.ResourceOptions(
                parent=self,
                # AWS never changes a description, and the guide puts the port in it: a new port must not
                # replace the group of a serving NLB.
                ignore_changes=["description"],
                # The NLB and the nodes' rules hold the group until they have its successor. pulumi-aws would
                # delete whatever has a given name first.
                delete_before_replace=False,
            ),
        )

    def _make_rules(self, name: str, args: StreamingNlbArgs, names: Names) -> None:
        """2.4: who may stream, and that all may go out."""
        for source in args.allowed_cidrs:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-ingress-{source}",
                security_group_id=self.security_group.id,
                description="LLS streaming traffic",
                ip_protocol="udp",
                from_port=args.udp_port,
                to_port=args.udp_port,
                **_source(source),
                tags=names.tags(f"{names.security_group}-ingress", args.tags),
                opts=self._child,
            )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-egress",
            security_group_id=self.security_group.id,
            ip_protocol="-1",
            cidr_ipv4="0.0.0.0/0",
            tags=names.tags(f"{names.security_group}-egress", args.tags),
            opts=self._child,
        )

    def _make_address(
        self, name: str, args: StreamingNlbArgs, names: Names
    ) -> tuple[pulumi.Input[str] | None, pulumi.Output[str] | None]:
        """2.5 B: the allocation id and the address of a static IP, given or made; None without one."""
        if args.elastic_ip:
            return args.elastic_ip.allocation_id, pulumi.Output.from_input(args.elastic_ip.address)
        if not args.static_ip:
            return None, None
        elastic_ip = aws.ec2.Eip(
            f"{name}-eip", domain="vpc", tags=names.tags(names.elastic_ip, args.tags), opts=self._child
        )
        return elastic_ip.id, elastic_ip.public_ip

    def _make_target_group(self, name: str, args: StreamingNlbArgs, names: Names) -> aws.lb.TargetGroup:
        """2.7: the group, with the health check that the guide asks for."""
        group_name = names.target_group(
            port=args.streaming_node_port, target_type=args.target_type, registration=args.registration
        )
        return aws.lb.TargetGroup(
            f"{name}-tg",
            name=group_name,
            protocol="UDP",
            port=args.streaming_node_port,
            vpc_id=args.vpc_id,
            target_type=args.target_type,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                enabled=True,
                protocol="HTTP",
                port=str(args.health_node_port),
                path=args.health_path,
                interval=guide.HEALTH_INTERVAL,
                timeout=guide.HEALTH_TIMEOUT,
                healthy_threshold=guide.HEALTHY_THRESHOLD,
                unhealthy_threshold=guide.UNHEALTHY_THRESHOLD,
                matcher=guide.HEALTH_MATCHER,
            ),
            deregistration_delay=args.deregistration_delay,
            stickiness=aws.lb.TargetGroupStickinessArgs(type="source_ip", enabled=args.stickiness),
            tags=names.tags(group_name, args.tags, purpose="streaming-targets"),
            # The listener holds the group until it has its successor, which has another name. pulumi-aws would
            # delete whatever has a given name first.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )

    def _make_load_balancer(
        self, name: str, args: StreamingNlbArgs, names: Names, allocation_id: pulumi.Input[str] | None
    ) -> aws.lb.LoadBalancer:
        """2.5 and 2.6: the NLB in the one public subnet of its zone."""
        return aws.lb.LoadBalancer(
            f"{name}-nlb",
            name=names.nlb,
            load_balancer_type="network",
            internal=False,
            security_groups=[self.security_group.id],
            # A mapping even without an address: with `subnets` the provider sees no difference when a
            # static address is switched off, and the NLB would keep it.
            subnet_mappings=[
                aws.lb.LoadBalancerSubnetMappingArgs(subnet_id=args.subnet_id, allocation_id=allocation_id)
            ],
            enable_deletion_protection=args.deletion_protection,
            tags=names.tags(names.nlb, args.tags, purpose="streaming-traffic"),
            opts=pulumi.ResourceOptions(
                parent=self,
                # The guide: a target group must be deleted after the NLB.
                depends_on=[self.target_group],
                # A successor needs the name, the Elastic IP and the target group for itself.
                delete_before_replace=True,
            ),
        )

    def _make_listener(self, name: str, args: StreamingNlbArgs, names: Names) -> aws.lb.Listener:
        """2.8: what forwards to the target group."""
        return aws.lb.Listener(
            f"{name}-listener",
            load_balancer_arn=self.load_balancer.arn,
            protocol="UDP",
            port=args.udp_port,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=self.target_group.arn)],
            tags=names.tags(names.nlb, args.tags),
            opts=self._child,
        )

    def _make_record(self, name: str, args: StreamingNlbArgs) -> None:
        """The name in its zone, if there is one: an alias, which follows the load balancer's addresses by itself.

        It does not evaluate the targets' health: there is no other record that Route 53 could answer with instead.
        """
        if args.hosted_zone_id:
            aws.route53.Record(
                f"{name}-record",
                zone_id=args.hosted_zone_id,
                name=args.dns_name,
                type="A",
                aliases=[
                    aws.route53.RecordAliasArgs(
                        name=self.load_balancer.dns_name,
                        zone_id=self.load_balancer.zone_id,
                        evaluate_target_health=False,
                    )
                ],
                opts=self._child,
            )


def _source(source: str) -> dict[str, str]:
    return {"prefix_list_id" if source.startswith("pl-") else "cidr_ipv4": source}
