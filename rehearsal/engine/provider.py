"""Makes Pulumi resources real in the emulated world, by the calls and waits of the real providers."""

import base64
import json
import math
import stat
import uuid
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from lls.auth_file import AuthFileError, read_auth_file
from lls.files import read_yaml
from lls.operations.program.recording import Properties
from lls.operations.program.replacement import REPLACED_BY
from lls.operations.world.account import Account
from lls.operations.world.answers import LookUps
from rehearsal.aws.server import Aws
from rehearsal.engine.engine import UnfinishedError
from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.world import WorldClock

POLL: Final = 5.0
"""Seconds of the emulated world between two looks at something that AWS is still doing."""

NLB_TIMEOUT: Final = 600.0
"""Seconds that the provider waits for a load balancer."""

TOKEN_LIFE: Final = 12 * 3600
"""Seconds that an ECR token is good for, of those that are skipped: none expires since a machine is slow."""


_DESCRIBED: Final[Mapping[str, tuple[str, str, str]]] = {
    "aws:ec2/securityGroup:SecurityGroup": ("ec2", "describe_security_groups", "GroupIds"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "ec2",
        "describe_security_group_rules",
        "SecurityGroupRuleIds",
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        "ec2",
        "describe_security_group_rules",
        "SecurityGroupRuleIds",
    ),
    "aws:ec2/eip:Eip": ("ec2", "describe_addresses", "AllocationIds"),
    "aws:lb/targetGroup:TargetGroup": ("elbv2", "describe_target_groups", "TargetGroupArns"),
    "aws:lb/loadBalancer:LoadBalancer": ("elbv2", "describe_load_balancers", "LoadBalancerArns"),
    "aws:lb/listener:Listener": ("elbv2", "describe_listeners", "ListenerArns"),
}
"""By which call a provider sees whether a resource is there: service, operation, and the argument of its id."""


@dataclass(frozen=True)
class Lifecycle:
    """How one type of resource is created, updated and deleted."""

    create: Callable[[Properties], tuple[str, Properties]]
    update: Callable[[str, Properties, Properties], Properties]
    delete: Callable[[str, Properties], None]


class EmulatedProvider:
    """The AWS and Kubernetes providers of a world."""

    def __init__(self, clock: WorldClock, aws: Aws, cluster: Cluster, cluster_endpoint: str) -> None:
        """Serve the resources of the cluster's world. `registry_status` is what the chart's registry answers."""
        self.registry_status = 200
        self._clock = clock
        self._cluster = cluster
        self._cluster_endpoint = cluster_endpoint
        self._ec2 = aws.client("ec2")
        self._elbv2 = aws.client("elbv2")
        self._aws = aws
        self._tokens: dict[str, float] = {}
        self._registry_config: str | None = None
        self._kinds: Mapping[str, Lifecycle] = {
            "aws:ec2/securityGroup:SecurityGroup": Lifecycle(
                self._create_security_group, self._retag_ec2, self._delete_security_group
            ),
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Lifecycle(
                self._create_ingress, self._update_rule, self._delete_ingress
            ),
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Lifecycle(
                self._create_egress, self._update_rule, self._delete_egress
            ),
            "aws:ec2/eip:Eip": Lifecycle(self._create_address, self._retag_ec2, self._delete_address),
            "aws:lb/targetGroup:TargetGroup": Lifecycle(
                self._create_target_group, self._update_target_group, self._delete_target_group
            ),
            "aws:lb/loadBalancer:LoadBalancer": Lifecycle(self._create_nlb, self._update_nlb, self._delete_nlb),
            "aws:lb/listener:Listener": Lifecycle(self._create_listener, self._update_listener, self._delete_listener),
            "aws:lb/targetGroupAttachment:TargetGroupAttachment": Lifecycle(
                self._register, self._keep, self._deregister
            ),
            "aws:autoscaling/attachment:Attachment": Lifecycle(self._attach, self._keep, self._detach),
            "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": Lifecycle(self._bind, self._keep, self._unbind),
            "pulumi-python:dynamic:Resource": Lifecycle(self._create_pause, self._keep_inputs, self._delete_pause),
            "kubernetes:core/v1:Namespace": Lifecycle(self._create_namespace, self._keep, self._delete_namespace),
            "kubernetes:helm.sh/v3:Release": Lifecycle(self._install, self._upgrade, self._uninstall),
            "pulumi:providers:kubernetes": Lifecycle(self._connect, self._reconnect, self._forget),
        }
        self._look_ups = LookUps(Account(aws.patient_client), cluster.world.region)

    def now(self) -> float:
        """Seconds in the emulated world."""
        return self._clock.now()

    def replaces(self, type_: str) -> Collection[str]:
        """Inputs of that type whose change replaces the resource."""
        return REPLACED_BY.get(type_, ())

    def check(self, type_: str, inputs: Properties) -> None:
        """As the Helm provider does, pull the chart on every run: its registry login must be good."""
        if type_ == "pulumi:providers:kubernetes":
            settings = json.loads(inputs.get("helmReleaseSettings", "{}"))
            self._registry_config = settings.get("registryConfigPath")
            self._check_kubeconfig(inputs)
        elif type_ == "kubernetes:helm.sh/v3:Release":
            self._check_registry(inputs["chart"])

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id and outputs."""
        return self._kinds[type_].create(inputs)

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place; its outputs."""
        return self._kinds[type_].update(id_, old, new)

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Delete the resource."""
        self._kinds[type_].delete(id_, inputs)

    def exists(self, type_: str, id_: str, inputs: Properties) -> bool:
        """Whether the resource is still there. A provider and a pause are nowhere but in the state."""
        if type_ in _DESCRIBED:
            service, operation, ids = _DESCRIBED[type_]
            return self._is_described(service, operation, **{ids: [id_]})
        if type_ == "aws:lb/targetGroupAttachment:TargetGroupAttachment":
            return self._is_registered(inputs)
        if type_ == "aws:autoscaling/attachment:Attachment":
            groups = self._aws.client("autoscaling").describe_auto_scaling_groups(
                AutoScalingGroupNames=[inputs["autoscalingGroupName"]]
            )["AutoScalingGroups"]
            return any(inputs["lbTargetGroupArn"] in group.get("TargetGroupARNs", ()) for group in groups)
        namespace, _, name = id_.rpartition("/")
        kept: Mapping[str, Collection[object]] = {
            "kubernetes:core/v1:Namespace": {("", name) for name in self._cluster.namespaces},
            "kubernetes:helm.sh/v3:Release": self._cluster.releases,
            "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": self._cluster.bindings,
        }
        return type_ not in kept or (namespace, name) in kept[type_]

    def _is_described(self, service: str, operation: str, **arguments: Any) -> bool:
        try:
            getattr(self._aws.client(service), operation)(**arguments)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "").endswith(("NotFound", "NotFound.Malformed")):
                return False
            raise
        return True

    def _is_registered(self, inputs: Properties) -> bool:
        target: Any = {"Id": inputs["targetId"], "Port": inputs["port"]}
        arn = inputs["targetGroupArn"]
        if not self._is_described("elbv2", "describe_target_groups", TargetGroupArns=[arn]):
            return False
        health = self._elbv2.describe_target_health(TargetGroupArn=arn, Targets=[target])["TargetHealthDescriptions"]
        return all(found.get("TargetHealth", {}).get("Reason") != "Target.NotRegistered" for found in health)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        answer = self._look_ups.invoke(token, arguments)
        if "authorizationToken" in answer:
            self._tokens[answer["authorizationToken"]] = self._clock.skipped + TOKEN_LIFE
        return answer

    # --- Security groups and addresses

    def _create_security_group(self, inputs: Properties) -> tuple[str, Properties]:
        group_id = self._ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": _tag_list(inputs)}],
        )["GroupId"]
        with _unfinished(group_id, {"id": group_id}):
            self._ec2.revoke_security_group_egress(
                GroupId=group_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            )
        return group_id, {"id": group_id}

    def _delete_security_group(self, group_id: str, _: Properties) -> None:
        self._ec2.delete_security_group(GroupId=group_id)

    def _create_ingress(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.authorize_security_group_ingress(**_new_rule(inputs))
        return _rule_id(made["SecurityGroupRules"])

    def _create_egress(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.authorize_security_group_egress(**_new_rule(inputs))
        return _rule_id(made["SecurityGroupRules"])

    def _update_rule(self, rule_id: str, old: Properties, new: Properties) -> Properties:
        changed = {key for key in new if new[key] != old.get(key)} - {"tags"}
        if changed:
            self._ec2.modify_security_group_rules(
                GroupId=new["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": _rule_request(new)}],
            )
        return self._retag_ec2(rule_id, old, new)

    def _delete_ingress(self, rule_id: str, inputs: Properties) -> None:
        self._ec2.revoke_security_group_ingress(GroupId=inputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])

    def _delete_egress(self, rule_id: str, inputs: Properties) -> None:
        self._ec2.revoke_security_group_egress(GroupId=inputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])

    def _create_address(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.allocate_address(
            Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": _tag_list(inputs)}]
        )
        return made["AllocationId"], {"allocationId": made["AllocationId"], "publicIp": made["PublicIp"]}

    def _delete_address(self, allocation_id: str, _: Properties) -> None:
        self._ec2.release_address(AllocationId=allocation_id)

    def _retag_ec2(self, id_: str, old: Properties, new: Properties) -> Properties:
        gone = old["tags"].keys() - new["tags"].keys()
        if gone:
            self._ec2.delete_tags(Resources=[id_], Tags=[{"Key": key} for key in gone])
        self._ec2.create_tags(Resources=[id_], Tags=_tag_list(new))
        return {"id": id_}

    # --- Load balancer

    def _create_target_group(self, inputs: Properties) -> tuple[str, Properties]:
        check = inputs["healthCheck"]
        made = self._elbv2.create_target_group(
            Name=inputs["name"],
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            VpcId=inputs["vpcId"],
            TargetType=inputs["targetType"],
            HealthCheckEnabled=check["enabled"],
            **_health_check(check),
            Tags=_tag_list(inputs),
        )["TargetGroups"][0]
        arn = made.get("TargetGroupArn", "")
        with _unfinished(arn, {"arn": arn}):
            self._set_target_group_attributes(arn, inputs)
        return arn, {"arn": arn}

    def _set_target_group_attributes(self, arn: str, inputs: Properties) -> None:
        stickiness = inputs["stickiness"]
        values = {
            "deregistration_delay.timeout_seconds": str(inputs["deregistrationDelay"]),
            "stickiness.enabled": "true" if stickiness["enabled"] else "false",
            "stickiness.type": stickiness["type"],
        }
        attributes: Any = [{"Key": key, "Value": value} for key, value in values.items()]
        self._elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)

    def _update_target_group(self, arn: str, old: Properties, new: Properties) -> Properties:
        self._elbv2.modify_target_group(TargetGroupArn=arn, **_health_check(new["healthCheck"]))
        self._set_target_group_attributes(arn, new)
        return self._retag_elbv2(arn, old, new)

    def _delete_target_group(self, arn: str, _: Properties) -> None:
        self._elbv2.delete_target_group(TargetGroupArn=arn)

    def _create_nlb(self, inputs: Properties) -> tuple[str, Properties]:
        mappings: list[Any] = [
            {"SubnetId": mapping["subnetId"]}
            | ({"AllocationId": mapping["allocationId"]} if mapping.get("allocationId") else {})
            for mapping in inputs["subnetMappings"]
        ]
        arn = self._elbv2.create_load_balancer(
            Name=inputs["name"],
            Type=inputs["loadBalancerType"],
            Scheme="internal" if inputs["internal"] else "internet-facing",
            SubnetMappings=mappings,
            SecurityGroups=inputs["securityGroups"],
            Tags=_tag_list(inputs),
        )["LoadBalancers"][0].get("LoadBalancerArn", "")
        with _unfinished(arn, {"arn": arn}):
            self._set_protection(arn, inputs)
            return arn, self._wait_for_nlb(arn)

    def _wait_for_nlb(self, arn: str) -> Properties:
        deadline = self._clock.now() + NLB_TIMEOUT
        while True:
            is_late = self._clock.now() > deadline  # before the look, which may take long itself
            found: Any = self._elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
            state = found["State"]["Code"]
            if state == "active":
                break
            if state == "failed" or is_late:
                raise TimeoutError(f"waiting for ELBv2 Load Balancer ({arn}) create: it is {state!r}, not 'active'")
            self._clock.sleep(POLL)
        return {
            "arn": arn,
            "dnsName": found["DNSName"],
            "zoneId": found["CanonicalHostedZoneId"],
            "vpcId": found["VpcId"],
        }

    def _update_nlb(self, arn: str, old: Properties, new: Properties) -> Properties:
        if new["securityGroups"] != old["securityGroups"]:
            self._elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=new["securityGroups"])
        self._set_protection(arn, new)
        self._retag_elbv2(arn, old, new)
        return self._wait_for_nlb(arn)

    def _set_protection(self, arn: str, inputs: Properties) -> None:
        enabled = "true" if inputs.get("enableDeletionProtection") else "false"
        self._elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": enabled}]
        )

    def _delete_nlb(self, arn: str, _: Properties) -> None:
        self._elbv2.delete_load_balancer(LoadBalancerArn=arn)
        interfaces = f"ELB {arn.partition(':loadbalancer/')[2]}"
        while self._ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [interfaces]}])[
            "NetworkInterfaces"
        ]:
            self._clock.sleep(POLL)

    def _create_listener(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._elbv2.create_listener(
            LoadBalancerArn=inputs["loadBalancerArn"],
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            DefaultActions=[_forward(inputs)],
            Tags=_tag_list(inputs),
        )["Listeners"][0]
        arn = made.get("ListenerArn", "")
        return arn, {"arn": arn}

    def _update_listener(self, arn: str, old: Properties, new: Properties) -> Properties:
        self._elbv2.modify_listener(
            ListenerArn=arn, Protocol=new["protocol"], Port=new["port"], DefaultActions=[_forward(new)]
        )
        return self._retag_elbv2(arn, old, new)

    def _delete_listener(self, arn: str, _: Properties) -> None:
        self._elbv2.delete_listener(ListenerArn=arn)

    def _retag_elbv2(self, arn: str, old: Properties, new: Properties) -> Properties:
        gone = old["tags"].keys() - new["tags"].keys()
        if gone:
            self._elbv2.remove_tags(ResourceArns=[arn], TagKeys=list(gone))
        self._elbv2.add_tags(ResourceArns=[arn], Tags=_tag_list(new))
        return {"arn": arn}

    def _register(self, inputs: Properties) -> tuple[str, Properties]:
        target: Any = {"Id": inputs["targetId"], "Port": inputs["port"]}
        self._elbv2.register_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[target])
        return f"{inputs['targetGroupArn']}-{uuid.uuid4()}", {}

    def _deregister(self, _: str, inputs: Properties) -> None:
        target: Any = {"Id": inputs["targetId"], "Port": inputs["port"]}
        self._elbv2.deregister_targets(TargetGroupArn=inputs["targetGroupArn"], Targets=[target])

    def _attach(self, inputs: Properties) -> tuple[str, Properties]:
        self._aws.client("autoscaling").attach_load_balancer_target_groups(
            AutoScalingGroupName=inputs["autoscalingGroupName"], TargetGroupARNs=[inputs["lbTargetGroupArn"]]
        )
        return f"{inputs['autoscalingGroupName']}-{uuid.uuid4()}", {}

    def _detach(self, _: str, inputs: Properties) -> None:
        self._aws.client("autoscaling").detach_load_balancer_target_groups(
            AutoScalingGroupName=inputs["autoscalingGroupName"], TargetGroupARNs=[inputs["lbTargetGroupArn"]]
        )

    def _create_pause(self, inputs: Properties) -> tuple[str, Properties]:
        return "draining", {}

    def _keep_inputs(self, _: str, __: Properties, new: Properties) -> Properties:
        return {key: value for key, value in new.items() if key != "__provider"}

    def _delete_pause(self, _: str, inputs: Properties) -> None:
        self._clock.sleep(float(inputs["seconds"]))

    # --- Kubernetes

    def _bind(self, inputs: Properties) -> tuple[str, Properties]:
        """What the AWS Load Balancer Controller does with a binding: register the instances of its nodes."""
        binding = self._cluster.bind(inputs)
        self._elbv2.register_targets(
            TargetGroupArn=inputs["spec"]["targetGroupARN"], Targets=cast(Any, self._cluster.bound_targets(binding))
        )
        return f"{inputs['metadata']['namespace']}/{inputs['metadata']['name']}", {}

    def _unbind(self, _: str, inputs: Properties) -> None:
        """Its finalizer ends only once it has deregistered; with the target group gone it never does."""
        targets = self._cluster.bound_targets(inputs)
        if targets:
            arn = inputs["spec"]["targetGroupARN"]
            self._elbv2.deregister_targets(TargetGroupArn=arn, Targets=cast(Any, targets))
        self._cluster.unbind(inputs)

    def _check_kubeconfig(self, inputs: Properties) -> None:
        servers = [cluster["cluster"]["server"] for cluster in read_yaml(inputs["kubeconfig"])["clusters"]]
        if servers != [self._cluster_endpoint]:
            raise ConnectionError(f"unable to connect to the Kubernetes API at {', '.join(servers)}")

    def _check_registry(self, chart: str) -> None:
        host = chart.removeprefix("oci://").partition("/")[0]
        if not chart.startswith("oci://") or ".dkr.ecr." not in host:
            return
        if self.registry_status != 200:
            raise ConnectionError(
                f"failed to pull {chart}: unexpected status from the registry: {self.registry_status}"
            )
        path = Path(self._registry_config or "no registry config")
        if not path.is_file():
            raise PermissionError(f"failed to pull {chart}: basic credential not found")
        try:
            login = read_auth_file(str(path)).login(host)
        except AuthFileError as error:
            raise PermissionError(f"failed to pull {chart}: {error}") from None
        if login is None:
            raise PermissionError(f"failed to pull {chart}: basic credential not found")
        token = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        if self._tokens.get(token, math.inf) < self._clock.skipped:
            raise PermissionError(f"failed to pull {chart}: 403 Your authorization token has expired")
        if token in self._tokens and stat.S_IMODE(path.stat().st_mode) != 0o600:
            raise PermissionError(f"{path} is readable by others")

    def _connect(self, _: Properties) -> tuple[str, Properties]:
        return str(uuid.uuid4()), {}

    def _reconnect(self, *_: object) -> Properties:
        return {}

    def _forget(self, *_: object) -> None:
        pass

    def _keep(self, *_: object) -> Properties:
        return {}

    def _create_namespace(self, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["metadata"]["name"]
        self._cluster.create_namespace(name)
        return name, {}

    def _delete_namespace(self, name: str, _: Properties) -> None:
        self._cluster.delete_namespace(name)

    def _install(self, inputs: Properties) -> tuple[str, Properties]:
        name, namespace = inputs["name"], inputs["namespace"]
        id_ = f"{namespace}/{name}"
        try:
            self._cluster.install(
                name,
                namespace,
                chart=inputs["chart"],
                version=inputs.get("version"),
                values=inputs["values"],
                timeout=inputs["timeout"],
            )
        except KubernetesError as error:
            if (namespace, name) in self._cluster.releases:
                raise UnfinishedError(id_, {}, error) from error
            raise
        return id_, {"status": {"name": name, "namespace": namespace, "status": "deployed"}}

    def _upgrade(self, _: str, __: Properties, new: Properties) -> Properties:
        return self._install(new)[1]

    def _uninstall(self, _: str, inputs: Properties) -> None:
        self._cluster.uninstall(inputs["name"], inputs["namespace"])


@contextmanager
def _unfinished(id_: str, outputs: Properties) -> Generator[None]:
    """What fails in here fails after the creation."""
    try:
        yield
    except Exception as error:
        raise UnfinishedError(id_, outputs, error) from error


def _tag_list(inputs: Properties) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in sorted(inputs.get("tags", {}).items())]


def _new_rule(inputs: Properties) -> Properties:
    permission: Properties = {"IpProtocol": inputs["ipProtocol"]}
    if "fromPort" in inputs:
        permission |= {"FromPort": inputs["fromPort"], "ToPort": inputs["toPort"]}
    about = {"Description": inputs["description"]} if "description" in inputs else {}
    if "cidrIpv4" in inputs:
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **about}]
    elif "cidrIpv6" in inputs:
        permission["Ipv6Ranges"] = [{"CidrIpv6": inputs["cidrIpv6"], **about}]
    elif "prefixListId" in inputs:
        permission["PrefixListIds"] = [{"PrefixListId": inputs["prefixListId"], **about}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **about}]
    return {
        "GroupId": inputs["securityGroupId"],
        "IpPermissions": [permission],
        "TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": _tag_list(inputs)}],
    }


def _rule_request(inputs: Properties) -> Any:
    names = {
        "ipProtocol": "IpProtocol",
        "fromPort": "FromPort",
        "toPort": "ToPort",
        "cidrIpv4": "CidrIpv4",
        "cidrIpv6": "CidrIpv6",
        "prefixListId": "PrefixListId",
        "referencedSecurityGroupId": "ReferencedGroupId",
        "description": "Description",
    }
    return {names[key]: value for key, value in inputs.items() if key in names}


def _rule_id(rules: list[Any]) -> tuple[str, Properties]:
    rule_id = rules[0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _health_check(check: Properties) -> Any:
    return {
        "HealthCheckProtocol": check["protocol"],
        "HealthCheckPort": check["port"],
        "HealthCheckPath": check["path"],
        "HealthCheckIntervalSeconds": check["interval"],
        "HealthCheckTimeoutSeconds": check["timeout"],
        "HealthyThresholdCount": check["healthyThreshold"],
        "UnhealthyThresholdCount": check["unhealthyThreshold"],
        "Matcher": {"HttpCode": check["matcher"]},
    }


def _forward(inputs: Properties) -> Any:
    action = inputs["defaultActions"][0]
    return {"Type": action["type"], "TargetGroupArn": action["targetGroupArn"]}
