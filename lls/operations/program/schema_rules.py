"""Which inputs a change of replaces, by the provider's schema. Written by `python -m scripts.replacement_rules`."""

from collections.abc import Mapping
from typing import Final

PACKAGE: Final = "aws"
VERSION: Final = "7.51.1"
ORIGIN: Final = "`ForceNew` in hashicorp/terraform-provider-aws v6, which Pulumi's schema calls willReplaceOnChanges"

BY_SCHEMA: Final[Mapping[str, tuple[str, ...]]] = {
    "aws:autoscaling/attachment:Attachment": ("autoscalingGroupName", "elb", "lbTargetGroupArn"),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName",),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name",),
    "aws:ec2/eip:Eip": ("address", "domain", "ipamPoolId", "networkBorderGroup", "publicIpv4Pool"),
    "aws:ec2/securityGroup:SecurityGroup": ("description", "name", "namePrefix", "vpcId"),
    "aws:lb/listener:Listener": ("loadBalancerArn",),
    "aws:lb/loadBalancer:LoadBalancer": ("customerOwnedIpv4Pool", "internal", "loadBalancerType", "name", "namePrefix"),
    "aws:lb/targetGroup:TargetGroup": (
        "ipAddressType",
        "name",
        "namePrefix",
        "port",
        "protocol",
        "protocolVersion",
        "targetControlPort",
        "targetType",
        "vpcId",
    ),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": (
        "availabilityZone",
        "port",
        "quicServerId",
        "targetGroupArn",
        "targetId",
    ),
    "aws:route53/record:Record": ("name", "zoneId"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (),
}
"""Paths of inputs, by type."""
