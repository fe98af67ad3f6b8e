"""The stack: NVIDIA's LLS installation guide, from step 2 to step 4.3, in the order that the graph dictates."""

import pulumi

import lls
from lls import outputs
from lls.cluster import kubernetes_provider
from lls.config import load
from lls.lookups import look_up

config = load()
found = look_up(config)

cluster = kubernetes_provider(
    "cluster", found.cluster, found.kubeconfig, context=config.kube_context, registry_config=found.registry_config
)
in_cluster = pulumi.ResourceOptions(providers=[cluster])

# Step 2: the load balancer.
nlb = lls.StreamingNlb(
    "streaming",
    lls.StreamingNlbArgs(
        cluster_name=config.cluster_name,
        instance=config.instance,
        vpc_id=found.vpc_id,
        subnet_id=found.subnet_id,
        udp_port=config.udp_port,
        allowed_cidrs=config.allowed_cidrs,
        static_ip=config.static_ip,
        elastic_ip=found.elastic_ip,
        dns_name=config.dns_name,
        hosted_zone_id=found.hosted_zone.id if found.hosted_zone else "",
        target_type=config.target_type,
        streaming_node_port=config.streaming_node_port,
        health_node_port=config.health_node_port,
        health_path=config.health_path,
        registration=config.registration,
        deregistration_delay=config.deregistration_delay,
        stickiness=config.stickiness,
        deletion_protection=config.deletion_protection,
        tags=config.tags,
    ),
)

# Step 4.3 and the security group table: what the nodes let in.
ingress = lls.NodePortIngress(
    "node-ports",
    lls.NodePortIngressArgs(
        cluster_name=config.cluster_name,
        instance=config.instance,
        node_security_group_id=found.node_security_groups.main,
        more_node_security_group_ids=found.node_security_groups.more,
        nlb_security_group_id=nlb.security_group.id,
        streaming_node_port=config.streaming_node_port,
        health_node_port=config.health_node_port,
        internal_rules=config.node_internal_rules,
        tags=config.tags,
    ),
)

# Steps 3 and 4.1: the streaming proxy.
proxy = lls.StreamingProxyRelease(
    "proxy",
    lls.StreamingProxyReleaseArgs(
        nlb_dns_name=nlb.endpoint_name,
        udp_port=config.udp_port,
        availability_zone=config.availability_zone,
        node_selector=config.node_selector,
        chart=found.chart,
        chart_version=config.chart_version,
        image_repository=found.image_repository,
        image_tag=config.image_tag,
        namespace=config.namespace,
        release_name=config.release_name,
        replicas=config.replicas,
        cpu=config.cpu,
        memory=config.memory,
        timeout=config.helm_timeout,
        helm_values=config.helm_values,
    ),
    opts=in_cluster,
)

# Step 4.2: the targets, once the proxy answers and the path to it is open.
lls.TargetRegistration(
    "targets",
    lls.TargetRegistrationArgs(
        target_group_arn=nlb.target_group.arn,
        targets=found.targets,
        nlb=nlb,
        streaming_node_port=config.streaming_node_port,
        drain_seconds=config.drain_seconds,
        after=[proxy, ingress],
    ),
    opts=in_cluster,
)

# Beyond the guide: who is told when it breaks, and where it shows.
if config.alarm_topic_arn or config.dashboard:
    lls.StreamingAlarms(
        "alarms",
        lls.StreamingAlarmsArgs(
            cluster_name=config.cluster_name,
            instance=config.instance,
            region=config.region,
            availability_zone=config.availability_zone,
            load_balancer=nlb.load_balancer.arn_suffix,
            target_group=nlb.target_group.arn_suffix,
            topic_arn=config.alarm_topic_arn,
            thresholds=config.alarm_thresholds,
            dashboard=config.dashboard,
            tags=config.tags,
        ),
    )

# Step 2.9: what other stacks consume.
outputs.export(outputs.Program(config, found, nlb))
