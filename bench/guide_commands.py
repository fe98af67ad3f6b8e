"""The guide's commands, one by one and with their own arguments: its installation and its clean-up."""

from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from rehearsal.aws.server import Aws
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.rehearse import Rehearsal
from rehearsal.world import WorldClock

WAITER: Final = 15.0
"""Seconds between two looks of `aws elbv2 wait`."""

RETRY: Final = 10.0
"""Seconds between two tries of the clean-up script to delete the security group: our guess, it is not published."""

RELEASE: Final = "gdn-streaming"

REGISTRATION: Final = "4.2 register-targets"
"""The command that is a loop over the nodes."""


@dataclass(frozen=True)
class Command:
    """One of the guide's commands, and when it ran, in seconds of the emulated world."""

    name: str
    started: float
    finished: float


@dataclass
class Journal:
    """What somebody who follows the guide typed. Without a clock nothing is noted, and nothing waited for."""

    clock: WorldClock | None = None
    commands: list[Command] = field(default_factory=list[Command])

    @contextmanager
    def command(self, name: str) -> Generator[None]:
        """Note one command."""
        started = self.clock.now() if self.clock else 0.0
        yield
        if self.clock:
            self.commands.append(Command(name, started, self.clock.now()))

    def wait(self, done: Callable[[], bool], every: float) -> None:
        """Look again and again until it is done."""
        while self.clock and not done():
            self.clock.sleep(every)


@dataclass(frozen=True)
class Made:
    """What steps 2 to 4.3 made."""

    security_group: str
    nlb: str
    target_group: str
    listener: str
    allocation: str | None


def follow(
    aws: Aws,
    cluster: str,
    zone: str,
    *,
    static: bool = False,
    health_rule: bool = True,
    journal: Journal | None = None,
    deploy: Callable[[str], None] = lambda dns_name: None,
) -> Made:
    """Steps 2.2 to 4.3, with the commands' own arguments; step 4.1 is what `deploy` does with the NLB's name.

    `health_rule` adds the rule that stands in the guide's table but not in its commands.
    """
    journal = journal or Journal()
    ec2, elbv2 = aws.client("ec2"), aws.client("elbv2")
    with journal.command("2.2 describe-cluster"):
        described: Any = aws.client("eks").describe_cluster(name=cluster)["cluster"]
    vpc = described["resourcesVpcConfig"]["vpcId"]
    with journal.command("2.2 describe-subnets"):
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

    with journal.command("2.3 create-security-group"):
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
    with journal.command("2.4 authorize ingress"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[streaming])
    with journal.command("2.4 revoke egress"):
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    with journal.command("2.4 authorize egress"):
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everything])

    allocation = None
    where: Any = {"Subnets": [subnet]}
    if static:
        specification: Any = {
            "ResourceType": "elastic-ip",
            "Tags": [{"Key": "Name", "Value": f"{cluster}-lls-eip"}, {"Key": "lls:cluster", "Value": cluster}],
        }
        with journal.command("2.5 allocate-address"):
            allocation = ec2.allocate_address(Domain="vpc", TagSpecifications=[specification])["AllocationId"]
        where = {"SubnetMappings": [{"SubnetId": subnet, "AllocationId": allocation}]}
    with journal.command("2.5 create-load-balancer"):
        nlb = elbv2.create_load_balancer(
            Name=f"rp-public-{cluster}",
            Type="network",
            Scheme="internet-facing",
            SecurityGroups=[group],
            Tags=tags(f"rp-public-{cluster}", "streaming-traffic"),
            **where,
        )["LoadBalancers"][0].get("LoadBalancerArn", "")

    def described_nlb() -> Any:
        return elbv2.describe_load_balancers(LoadBalancerArns=[nlb])["LoadBalancers"][0]

    with journal.command("2.6 wait load-balancer-available"):
        journal.wait(lambda: described_nlb()["State"]["Code"] == "active", WAITER)
    with journal.command("2.7 create-target-group"):
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
    with journal.command("2.8 create-listener"):
        listener = elbv2.create_listener(
            LoadBalancerArn=nlb,
            Protocol="UDP",
            Port=5004,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
        )["Listeners"][0].get("ListenerArn", "")
    with journal.command("2.9 describe-load-balancers"):
        dns_name = described_nlb()["DNSName"]
    deploy(dns_name)

    with journal.command(REGISTRATION):
        for name, (_, address) in aws.nodes.items():
            if name.startswith("gpu-"):
                elbv2.register_targets(TargetGroupArn=targets, Targets=[{"Id": address, "Port": 30504}])
    with journal.command("4.3 describe-security-groups"):
        node_group = _node_group(aws, cluster)
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
        with journal.command("4.3 authorize ingress"):
            ec2.authorize_security_group_ingress(
                GroupId=node_group, IpPermissions=[rule], TagSpecifications=[specification]
            )
    return Made(group, nlb, targets, listener, allocation)


def install(cluster: Cluster, dns_name: str) -> None:
    """Step 4.1 with the values of step 3, until the pods of step 6 run."""
    world = cluster.world
    resources = {"cpu": "5000m", "memory": "24Gi"}
    registry = f"{world.account}.dkr.ecr.{world.region}.{world.dns_suffix}/{world.cluster}"
    cluster.create_namespace(RELEASE)
    cluster.install(
        RELEASE,
        RELEASE,
        chart=f"oci://{registry}/gdn-streaming",
        version="2.0.1",
        values={
            "env": {"lbPort": "5004", "lbDns": dns_name},
            "replicaCount": 1,
            "availabilityZones": {"enabled": True, "zones": [world.zone("a")]},
            "nodeSelector": {"node-type": "compute"},
            "image": {"repository": f"{registry}/streaming-proxy", "tag": "2.0.1", "pullPolicy": "Always"},
            "resources": {"requests": resources, "limits": resources},
        },
        timeout=600,
    )


def follow_all(rehearsal: Rehearsal) -> list[Command]:
    """Steps 2.2 to 6 in the world of a rehearsal, with their waits.

    The guide's `helm upgrade` does not wait: the proxy starts while 4.2 and 4.3 go on, and step 6 waits for it.
    """
    journal, world = Journal(rehearsal.clock), rehearsal.world
    running: list[Future[None]] = []

    def start(dns_name: str) -> None:
        with journal.command("4.1 helm upgrade --install"):
            install(rehearsal.cluster, dns_name)

    with rehearsal.engine.workers() as background:

        def deploy(dns_name: str) -> None:
            with journal.command("4.1 get-login-password"):
                rehearsal.aws.client("ecr").get_authorization_token()
            running.append(background.in_background(start, dns_name))

        follow(rehearsal.aws, world.cluster, world.zone("a"), health_rule=False, journal=journal, deploy=deploy)
    for installed in running:
        installed.result()
    return sorted(journal.commands, key=lambda command: command.started)


def clean_up(rehearsal: Rehearsal) -> list[Command]:
    """The guide's uninstallation: by Helm and kubectl, then as its script does, by tags and in the script's order."""
    journal, cluster = Journal(rehearsal.clock), rehearsal.world.cluster
    ec2, elbv2 = rehearsal.aws.client("ec2"), rehearsal.aws.client("elbv2")
    with journal.command("helm uninstall"):
        rehearsal.cluster.uninstall(RELEASE, RELEASE)
    with journal.command("kubectl delete ns"):
        rehearsal.cluster.delete_namespace(RELEASE)
    by_tag: Any = [{"Name": "tag:lls:cluster", "Values": [cluster]}]
    with journal.command("find the NLB's group"):
        group: str = ec2.describe_security_groups(Filters=by_tag)["SecurityGroups"][0].get("GroupId", "")
    with journal.command("find the nodes' group"):
        node_group = _node_group(rehearsal.aws, cluster)
    media: Any = {
        "IpProtocol": "udp",
        "FromPort": 30504,
        "ToPort": 30504,
        "UserIdGroupPairs": [{"GroupId": group}],
    }
    with journal.command("revoke ingress"):
        ec2.revoke_security_group_ingress(GroupId=node_group, IpPermissions=[media])
    with journal.command("find the NLB"):
        balancers = [
            balancer.get("LoadBalancerArn", "") for balancer in elbv2.describe_load_balancers()["LoadBalancers"]
        ]
        [nlb] = _tagged(rehearsal.aws, balancers, cluster)
    with journal.command("delete-load-balancer"):
        elbv2.delete_load_balancer(LoadBalancerArn=nlb)
    with journal.command("wait load-balancers-deleted"):
        journal.wait(lambda: _is_gone(lambda: elbv2.describe_load_balancers(LoadBalancerArns=[nlb])), WAITER)
    with journal.command("find the target group"):
        groups = [group.get("TargetGroupArn", "") for group in elbv2.describe_target_groups()["TargetGroups"]]
        [targets] = _tagged(rehearsal.aws, groups, cluster)
    with journal.command("delete-target-group"):
        elbv2.delete_target_group(TargetGroupArn=targets)
    with journal.command("delete-security-group, retried"):
        journal.wait(lambda: _is_let_go(lambda: ec2.delete_security_group(GroupId=group)), RETRY)
    with journal.command("list addresses"):
        ec2.describe_addresses(Filters=by_tag)
    return journal.commands


def _node_group(aws: Aws, cluster: str) -> str:
    filters: Any = [{"Name": "group-name", "Values": [f"{cluster}-node-*"]}]
    return aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"][0].get("GroupId", "")


def _tagged(aws: Aws, arns: list[str], cluster: str) -> list[str]:
    """Those with both tags that the script goes by."""
    wanted = {"lls:cluster": cluster, "lls:managed-by": "customer"}
    described: list[Any] = list(aws.client("elbv2").describe_tags(ResourceArns=arns)["TagDescriptions"])
    return [
        description["ResourceArn"]
        for description in described
        if wanted.items() <= {tag["Key"]: tag["Value"] for tag in description["Tags"]}.items()
    ]


def _is_gone(look: Callable[[], Any]) -> bool:
    try:
        look()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "LoadBalancerNotFound":
            return True
        raise
    return False


def _is_let_go(delete: Callable[[], Any]) -> bool:
    try:
        delete()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "DependencyViolation":
            return False
        raise
    return True
