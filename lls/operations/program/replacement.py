"""Which changes replace a resource, from the schemas of pulumi-aws 7 and pulumi-kubernetes 4."""

from collections.abc import Collection, Mapping
from typing import Final

REPLACED_BY: Final[Mapping[str, Collection[str]]] = {
    "aws:ec2/securityGroup:SecurityGroup": ("name", "description", "vpcId"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("securityGroupId",),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ("securityGroupId",),
    "aws:ec2/eip:Eip": ("domain",),
    "aws:lb/targetGroup:TargetGroup": ("name", "port", "protocol", "targetType", "vpcId"),
    "aws:lb/loadBalancer:LoadBalancer": ("name", "internal", "loadBalancerType", "subnetMappings"),
    "aws:lb/listener:Listener": ("loadBalancerArn",),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": ("targetGroupArn", "targetId", "port"),
    "aws:autoscaling/attachment:Attachment": ("autoscalingGroupName", "lbTargetGroupArn", "elb"),
    "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": ("metadata",),
    "kubernetes:core/v1:Namespace": ("metadata",),
    "kubernetes:helm.sh/v3:Release": ("name", "namespace"),
    "pulumi:providers:kubernetes": ("clusterIdentifier",),
}
"""Inputs whose change replaces a resource, by type."""
