"""The program as a stack of a provider that makes nothing and records what it is asked."""

import json
from collections.abc import Callable, Collection, Mapping
from ipaddress import IPv4Address
from typing import Any

from lls.cluster import EksCluster
from lls.operations.program.recording import run_project
from rehearsal.engine.engine import Engine, Listener, Properties, Resource

CONFIG: Mapping[str, str] = {
    "aws:region": "us-west-2",
    "lls:clusterName": "demo",
    "lls:availabilityZone": "us-west-2a",
    "lls:registration": "static",
    "lls:targets": '["10.0.0.1", "10.0.0.2"]',
}


CLUSTER = EksCluster(
    name="demo",
    arn="arn:aws:eks:us-west-2:123456789012:cluster/demo",
    region="us-west-2",
    endpoint="https://demo.example",
    certificate_authority="Y2E=",
    vpc_id="vpc-1",
    security_group_id="sg-c1",
)


def instances(arguments: Properties) -> Properties:
    """Every instance that is asked for is there, with an address told by its id or an id told by its address.

    It carries every security group. An Auto Scaling group has one.
    """
    asked = {filter_["name"]: filter_["values"] for filter_ in arguments["filters"]}
    if "tag:aws:autoscaling:groupName" in asked:
        return {"ids": ["i-0a1b2c3d4e5f60718"], "privateIps": ["10.0.0.1"]}
    if "private-ip-address" in asked:
        addresses = asked["private-ip-address"]
        return {"ids": [f"i-{int(IPv4Address(address)):017x}" for address in addresses], "privateIps": addresses}
    ids = asked["instance-id"]
    return {"ids": ids, "privateIps": [str(IPv4Address(int(id_[2:], 16) % 2**32)) for id_ in ids]}


ANSWERS: Mapping[str, Properties] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
    "aws:index/getPartition:getPartition": {"dnsSuffix": "amazonaws.com"},
    "aws:eks/getCluster:getCluster": {
        "arn": CLUSTER.arn,
        "endpoint": CLUSTER.endpoint,
        "certificateAuthorities": [{"data": CLUSTER.certificate_authority}],
        "vpcConfig": {"vpcId": "vpc-1", "clusterSecurityGroupId": "sg-c1"},
    },
    "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-1"]},
    "aws:ec2/getRouteTables:getRouteTables": {"ids": ["rtb-1"]},
    "aws:ec2/getRouteTable:getRouteTable": {
        "routeTableId": "rtb-1",
        "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}],
    },
    "aws:ec2/getInternetGateway:getInternetGateway": {"internetGatewayId": "igw-1"},
    "aws:ec2/getSecurityGroups:getSecurityGroups": {"ids": ["sg-a1"]},
    "aws:vpc/getSecurityGroupRules:getSecurityGroupRules": {"ids": []},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {
        "name": "offices",
        "addressFamily": "IPv4",
        "maxEntries": 10,
        "ownerId": "123456789012",
    },
    "aws:ec2/getElasticIp:getElasticIp": {"publicIp": "203.0.113.9"},
    "aws:route53/getZone:getZone": {
        "zoneId": "Z0",
        "name": "example.com",
        "nameServers": ["ns-1.example"],
        "privateZone": False,
    },
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"authorizationToken": "QVdTOnNlY3JldA=="},
}


OUTPUTS: Mapping[str, Properties] = {
    "aws:lb/loadBalancer:LoadBalancer": {
        "arn": "arn:nlb",
        "arnSuffix": "net/rp-public-demo/1",
        "dnsName": "demo.elb.example",
        "zoneId": "Z1",
        "vpcId": "vpc-1",
    },
    "aws:lb/targetGroup:TargetGroup": {"arn": "arn:tg", "arnSuffix": "targetgroup/demo-rp-tg/1"},
    "aws:lb/listener:Listener": {"arn": "arn:listener"},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"arn": "arn:alarm"},
    "aws:ec2/eip:Eip": {"allocationId": "eipalloc-1", "publicIp": "203.0.113.5"},
    "kubernetes:helm.sh/v3:Release": {"status": {"status": "deployed"}},
}


class Recorder:
    """A provider that makes nothing: it answers with what AWS would and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Properties | Callable[[Properties], Properties]]) -> None:
        self.answers = {**ANSWERS, "aws:ec2/getInstances:getInstances": instances, **answers}
        self.invoked: list[tuple[str, Properties]] = []
        self.did: list[tuple[str, str]] = []
        self._time = 0.0

    def now(self) -> float:
        self._time += 1
        return self._time

    def check(self, type_: str, inputs: Properties) -> None:
        pass

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Ids and ARNs differ from one of a kind to the next."""
        before = self.did.count(("create", type_))
        self.did.append(("create", type_))
        outputs = dict(OUTPUTS.get(type_, {}))
        if before:
            outputs |= {key: f"{outputs[key]}.{before}" for key in ("arn", "dnsName") if key in outputs}
        return f"id-{type_.rpartition(':')[2]}", outputs

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        self.did.append(("update", type_))
        return {}

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        self.did.append(("delete", type_))

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        return inputs, {}

    def invoke(self, token: str, arguments: Properties) -> Properties:
        self.invoked.append((token, arguments))
        answer = self.answers[token]
        return answer(arguments) if callable(answer) else answer

    def asked(self, function: str) -> list[Properties]:
        return [arguments for token, arguments in self.invoked if token.endswith(f":{function}")]


class Log(Listener):
    """Keeps what a program logged."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    def logged(self, severity: str, message: str) -> None:
        self.messages.append(message)
        if severity == "warning":
            self.warnings.append(message)


class RecordedStack:
    """The project's program as a stack of a recorder."""

    def __init__(
        self,
        config: Mapping[str, str],
        answers: Mapping[str, Any],
        program: Callable[[], None] = run_project,
        secret_keys: Collection[str] = (),
    ) -> None:
        self.recorder = Recorder(answers)
        self.log = Log()
        self.engine = Engine(
            program=program,
            project="lls",
            stack="test",
            config=config,
            secret_keys=secret_keys,
            provider=self.recorder,
            listener=self.log,
        )

    @property
    def resources(self) -> list[Resource]:
        return [resource for resource in self.engine.state.values() if resource.custom]

    def named(self, name: str) -> Resource:
        return next(resource for resource in self.engine.state.values() if resource.name == name)

    def names(self, prefix: str = "") -> set[str]:
        return {resource.name for resource in self.resources if resource.name.startswith(prefix)}

    def of(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type.endswith(f":{type_}")]


def recorded(
    changes: Mapping[str, str] | None = None,
    *,
    answers: Mapping[str, Any] | None = None,
    program: Callable[[], None] = run_project,
    secret_keys: Collection[str] = (),
) -> RecordedStack:
    """A stack of the plain config with changes, before its first run."""
    return RecordedStack({**CONFIG, **(changes or {})}, answers or {}, program, secret_keys)


def up(changes: Mapping[str, str] | None = None, **options: Any) -> RecordedStack:
    """The same, after its first up."""
    made = recorded(changes, **options)
    made.engine.up()
    return made


def as_config(**values: Any) -> dict[str, str]:
    """Keys of the project as the engine passes them."""
    return {f"lls:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
