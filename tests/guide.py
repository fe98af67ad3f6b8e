"""The guide's AWS calls, one by one, as its commands make them, and its clean-up."""

from dataclasses import dataclass
from typing import Any

from rehearsal.aws import Aws


@dataclass(frozen=True)
class Made:
    """What steps 2 to 4.3 made."""

    security_group: str
    nlb: str
    target_group: str
    listener: str
    allocation: str | None


def follow(aws: Aws, cluster: str, zone: str, *, static: bool = False, health_rule: bool = True) -> Made:
    """Steps 2.2 to 2.8, 4.2 and 4.3, with the commands' own arguments.

    `health_rule` adds the rule that stands in the guide's table but not in its commands.
    """
    ec2, elbv2 = aws.client("ec2"), aws.client("elbv2")
    described: Any = aws.client("eks").describe_cluster(name=cluster)["cluster"]
    vpc = described["resourcesVpcConfig"]["vpcId"]
    subnets: Any = ec2.describe_subnets(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "map-public-ip-on-launch", "Values": ["true"]},
            {"Name": "availability-zone", "Values": [zone]},
        ]
    )["Subnets"]
    subnet = subnets[0]["SubnetId"]

    def tags(name: str, purpose: str) -> Any:
        pairs = {
            "Name": name,
            "lls:cluster": cluster,
            "lls:managed-by": "customer",
            "lls:purpose": purpose,
            "Project": "nvcf",
        }
        return [{"Key": key, "Value": value} for key, value in pairs.items()]

    group = ec2.create_security_group(
        GroupName=f"{cluster}-rp-sg",
        Description="Security group for LLS streaming NLB (UDP 5004)",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(f"{cluster}-rp-sg", "streaming-nlb")}],
    )["GroupId"]
    streaming: Any = {
        "IpProtocol": "udp",
        "FromPort": 5004,
        "ToPort": 5004,
        "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "LLS streaming traffic"}],
    }
    everything: Any = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[streaming])
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everything])

    allocation = None
    where: Any = {"Subnets": [subnet]}
    if static:
        specification: Any = {
            "ResourceType": "elastic-ip",
            "Tags": [{"Key": "Name", "Value": f"{cluster}-lls-eip"}, {"Key": "lls:cluster", "Value": cluster}],
        }
        allocation = ec2.allocate_address(Domain="vpc", TagSpecifications=[specification])["AllocationId"]
        where = {"SubnetMappings": [{"SubnetId": subnet, "AllocationId": allocation}]}
    nlb = elbv2.create_load_balancer(
        Name=f"rp-public-{cluster}",
        Type="network",
        Scheme="internet-facing",
        SecurityGroups=[group],
        Tags=tags(f"rp-public-{cluster}", "streaming-traffic"),
        **where,
    )["LoadBalancers"][0].get("LoadBalancerArn", "")
    targets = elbv2.create_target_group(
        Name=f"{cluster}-rp-tg",
        Protocol="UDP",
        Port=30504,
        VpcId=vpc,
        TargetType="ip",
        HealthCheckEnabled=True,
        HealthCheckProtocol="HTTP",
        HealthCheckPort="30800",
        HealthCheckPath="/v1/health",
        HealthCheckIntervalSeconds=30,
        HealthCheckTimeoutSeconds=6,
        HealthyThresholdCount=5,
        UnhealthyThresholdCount=2,
        Matcher={"HttpCode": "200-399"},
        Tags=tags(f"{cluster}-rp-tg", "streaming-targets"),
    )["TargetGroups"][0].get("TargetGroupArn", "")
    listener = elbv2.create_listener(
        LoadBalancerArn=nlb,
        Protocol="UDP",
        Port=5004,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
    )["Listeners"][0].get("ListenerArn", "")

    for name in ("gpu-1", "gpu-2", "gpu-3", "gpu-4"):
        elbv2.register_targets(TargetGroupArn=targets, Targets=[{"Id": aws.nodes[name][1], "Port": 30504}])
    groups: Any = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{cluster}-node-*"]}])
    node_group = groups["SecurityGroups"][0]["GroupId"]
    rules = [("udp", 30504), *([("tcp", 30800)] if health_rule else [])]
    for protocol, port in rules:
        rule: Any = {
            "IpProtocol": protocol,
            "FromPort": port,
            "ToPort": port,
            "UserIdGroupPairs": [{"GroupId": group}],
        }
        name = f"streaming-proxy-{protocol}-{port}"
        specification = {"ResourceType": "security-group-rule", "Tags": [{"Key": "Name", "Value": name}]}
        ec2.authorize_security_group_ingress(
            GroupId=node_group, IpPermissions=[rule], TagSpecifications=[specification]
        )
    return Made(group, nlb, targets, listener, allocation)
