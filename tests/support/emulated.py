"""An emulated AWS alone."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.server import Aws
from tests.support.worlds import PatientClock


class EmulatedAws:
    """An emulated AWS, and short ways to make things in it."""

    def __init__(self, aws: Aws, clock: PatientClock) -> None:
        self.aws = aws
        self.clock = clock
        self.ec2 = aws.client("ec2")
        self.elbv2 = aws.client("elbv2")
        self.proxy_runs = True

    def group(self, name: str = "demo-rp-sg") -> str:
        return self.ec2.create_security_group(GroupName=name, Description="x", VpcId=self.aws.vpc_id)["GroupId"]

    def nlb(self, group: str | None = None, name: str = "rp-public-demo", **mapping: str) -> str:
        made = self.elbv2.create_load_balancer(
            Name=name,
            Type="network",
            SubnetMappings=[{"SubnetId": self.aws.subnets["a"][0], **mapping}],  # pyright: ignore[reportArgumentType]
            SecurityGroups=[group or self.group()],
        )
        return made["LoadBalancers"][0].get("LoadBalancerArn", "")

    def target_group(self, name: str = "demo-rp-tg", **changes: Any) -> str:
        settings: dict[str, Any] = {
            "Name": name,
            "Protocol": "UDP",
            "Port": 30504,
            "VpcId": self.aws.vpc_id,
            "TargetType": "ip",
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPort": "30800",
            "HealthCheckPath": "/v1/health",
        }
        made = self.elbv2.create_target_group(**(settings | changes))
        return made["TargetGroups"][0].get("TargetGroupArn", "")

    def listener(self, nlb: str, group: str, port: int = 5004, protocol: str = "UDP") -> str:
        made = self.elbv2.create_listener(
            LoadBalancerArn=nlb,
            Protocol=protocol,  # pyright: ignore[reportArgumentType]
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        return made["Listeners"][0].get("ListenerArn", "")

    def register(self, group: str, *targets: str) -> None:
        self.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": target, "Port": 30504} for target in targets])

    def allow(self, group: str, source: str, protocol: str, port: int) -> None:
        self.ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[
                {
                    "IpProtocol": protocol,
                    "FromPort": port,
                    "ToPort": port,
                    "UserIdGroupPairs": [{"GroupId": source}],
                }
            ],
        )

    def health(self, group: str) -> dict[str, tuple[str, str]]:
        found: Any = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {
            target["Target"]["Id"]: (target["TargetHealth"]["State"], target["TargetHealth"].get("Reason", ""))
            for target in found
        }

    def balancer(self, arn: str) -> Any:
        return self.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]

    def node(self, name: str) -> str:
        return self.aws.nodes[name][1]

    def serving(self) -> tuple[str, str, str]:
        """NLB's group, NLB and target group of a path that is open for health and media."""
        group = self.group()
        self.ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[
                {"IpProtocol": "udp", "FromPort": 5004, "ToPort": 5004, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            ],
        )
        node_group = self.aws.node_security_group_ids[0]
        self.allow(node_group, group, "tcp", 30800)
        self.allow(node_group, group, "udp", 30504)
        nlb, targets = self.nlb(group), self.target_group()
        self.listener(nlb, targets)
        return group, nlb, targets


def refuses(code: str) -> AbstractContextManager[Any]:
    return pytest.raises(ClientError, match=rf"\({code}\)")
