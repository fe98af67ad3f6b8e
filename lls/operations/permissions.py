"""What the stack needs to be allowed."""

from typing import Final

from lls.config import Config

DEPLOY: Final = (
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DescribeAddresses",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:ModifySecurityGroupRules",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "eks:DescribeCluster",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateLoadBalancer",
    "elasticloadbalancing:CreateTargetGroup",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterTargets",
)
"""IAM actions of `up`."""

CLEAN_UP: Final = (
    "ec2:DeleteSecurityGroup",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DeregisterTargets",
)
"""IAM actions of `destroy` beyond those of `up`."""

CLUSTER: Final = (
    ("list", "nodes", False),
    ("create", "namespaces", False),
    ("delete", "namespaces", False),
    ("create", "secrets", True),
    ("create", "services", True),
    ("create", "deployments.apps", True),
)
"""What the cluster must allow: verb, resource, and whether within the stack's namespace."""


def needed_actions(config: Config) -> tuple[str, ...]:
    """The IAM actions of `up` and `destroy` for a stack's config."""
    address = ("ec2:AllocateAddress", "ec2:ReleaseAddress") if config.static_ip and not config.eip_allocation_id else ()
    ecr = () if config.chart or config.registry_config else ("ecr:GetAuthorizationToken", "ecr:BatchGetImage")
    return tuple(sorted((*DEPLOY, *CLEAN_UP, *address, *ecr)))
