"""What AWS holds for a cluster's stack, in Pulumi's terms: type, id and inputs."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lls.dashboard import marks_of
from lls.guide import NODE_INTERNAL_PORTS
from lls.hosted_zone import lies_in
from lls.operations.program.recording import Properties
from lls.operations.world.account import Account, AwsError

GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
INGRESS: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ADDRESS: Final = "aws:ec2/eip:Eip"
TARGET_GROUP: Final = "aws:lb/targetGroup:TargetGroup"
BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
LISTENER: Final = "aws:lb/listener:Listener"
TARGET: Final = "aws:lb/targetGroupAttachment:TargetGroupAttachment"
ATTACHMENT: Final = "aws:autoscaling/attachment:Attachment"
RECORD: Final = "aws:route53/record:Record"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD: Final = "aws:cloudwatch/dashboard:Dashboard"
RULES: Final = (INGRESS, EGRESS)

OTHER_BALANCER: Final = "another load balancer"
"""No type of Pulumi's: load balancers that no stack of ours makes."""

ARN_OUTPUTS: Final[Mapping[str, str]] = {ALARM: "arn", DASHBOARD: "dashboardArn"}
"""Types whose ids are mere names, which another region or account has too, and the output that tells them apart."""

TAGS_AT_ONCE: Final = 20
"""How many ARNs elasticloadbalancing:DescribeTags takes."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something in AWS. `id` is what Pulumi imports it by, `inputs` what the program would have given for it.

    `outputs` are the properties that others refer to; `state` is AWS's word for how it is, where it has one.
    """

    type: str
    id: str
    inputs: Properties
    outputs: Properties
    state: str = ""

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self.inputs.get("tags", {})

    @property
    def name(self) -> str:
        """What a reader knows it by."""
        if self.type == LISTENER:
            return f"{self.inputs['protocol']} {self.inputs['port']}"
        if self.type == ATTACHMENT:
            return str(self.inputs["autoscalingGroupName"])
        return (
            self.inputs.get("name")
            or self.inputs.get("dashboardName")
            or self.tags.get("Name")
            or self.inputs.get("targetId")
            or self.id
        )

    @property
    def known_as(self) -> str:
        """What tells it from all others in the states of stacks."""
        return known_as(self.type, self.id, self.outputs)

    @property
    def kind(self) -> str:
        """Its type in words."""
        return KINDS[self.type]

    @property
    def holders(self) -> tuple[str, ...]:
        """Ids of what it is part of, or serves, and goes with."""
        keys = ("loadBalancerArn", "targetGroupArn", "lbTargetGroupArn", "referencedSecurityGroupId")
        known = {**self.outputs, **self.inputs}
        return tuple(known[key] for key in keys if key in known)

    @property
    def uses(self) -> tuple[str, ...]:
        """Ids of what a load balancer cannot be without."""
        addresses = [
            mapping["allocationId"] for mapping in self.inputs.get("subnetMappings", ()) if "allocationId" in mapping
        ]
        return (*self.inputs.get("securityGroups", ()), *addresses)

    @property
    def leads_to(self) -> str:
        """What a DNS record says of its name: an alias's target, or values; in lower case, as DNS has it."""
        targets = [alias["name"] for alias in self.inputs.get("aliases", ())] or self.inputs.get("records", ())
        return ", ".join(str(target).rstrip(".").lower() for target in targets)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (
            "" if self.id.endswith(self.name) or "arn:" in self.id else f" ({self.id})"
        )


KINDS: Final[Mapping[str, str]] = {
    GROUP: "security group",
    INGRESS: "ingress rule",
    EGRESS: "egress rule",
    ADDRESS: "Elastic IP",
    TARGET_GROUP: "target group",
    BALANCER: "load balancer",
    LISTENER: "listener",
    TARGET: "target",
    ATTACHMENT: "attachment of Auto Scaling group",
    RECORD: "DNS record",
    ALARM: "alarm",
    DASHBOARD: "dashboard",
    OTHER_BALANCER: "load balancer",
}


def known_as(type_: str, id_: str, outputs: Mapping[str, Any]) -> str:
    """What tells a resource from all others: its id, or the ARN where the id is a mere name."""
    return str(outputs.get(ARN_OUTPUTS.get(type_, "")) or id_)


@dataclass(frozen=True)
class Interface:
    """A network interface, with its private address. `instance_id` is empty where it is attached to no instance."""

    id: str
    description: str
    instance_id: str
    group_ids: tuple[str, ...]
    subnet_id: str
    address: str

    @property
    def is_balancers(self) -> bool:
        """Whether it is, or was, an Application or Network Load Balancer's."""
        return re.match(r"ELB (net|app|gwy)/", self.description) is not None

    def __str__(self) -> str:
        of = f"instance {self.instance_id}" if self.instance_id else self.description
        return f"network interface {self.id}" + (f" of {of}" if of else "")


def interface_description(balancer: Thing) -> str:
    """What AWS describes the network interfaces of a load balancer by."""
    return f"ELB {balancer.id.partition(':loadbalancer/')[2]}"


def deregistration(thing: Thing) -> str:
    """The command that takes a target out of its group; empty for anything else."""
    if "targetId" not in thing.inputs:
        return ""
    return (
        f"aws elbv2 deregister-targets --region {thing.inputs['targetGroupArn'].split(':')[3]} "
        f"--target-group-arn {thing.inputs['targetGroupArn']} "
        f"--targets Id={thing.inputs['targetId']},Port={thing.inputs['port']}"
    )


def is_internal(rule: Properties) -> bool:
    """Whether inputs of an ingress rule are for a port that the proxy's nodes open to each other."""
    ports = {(port.protocol, port.number, port.number) for port in NODE_INTERNAL_PORTS}
    opened = rule["ipProtocol"], rule.get("fromPort"), rule.get("toPort")
    return "referencedSecurityGroupId" in rule and opened in ports


class Inventory:
    """What one account and region hold. Each answer is fresh."""

    def __init__(self, account: Account) -> None:
        """Look in that account and region."""
        self._account = account

    def groups(self, **filters: str) -> list[Thing]:
        """Security groups, by EC2's filters with _ for - (and `tags` for tags)."""
        found = self._account.every("ec2", "describe_security_groups", "SecurityGroups", Filters=_filters(filters))
        return [group_of(description) for description in found]

    def rules(self, group_ids: Iterable[str]) -> list[Thing]:
        """The rules of these security groups."""
        found = self._account.filtered("describe_security_group_rules", "SecurityGroupRules", "group-id", group_ids)
        return [rule_of(description) for description in found]

    def rules_naming(self, group_ids: Collection[str]) -> list[tuple[Thing, Thing]]:
        """The rules of other groups, of either way, whose peer is one of these groups, each with the group it is in."""
        others: dict[str, Thing] = {}
        for id_ in group_ids:
            for way in ("ip_permission__group_id", "egress__ip_permission__group_id"):
                others |= {group.id: group for group in self.groups(**{way: id_}) if group.id not in group_ids}
        return [
            (rule, others[rule.inputs["securityGroupId"]])
            for rule in self.rules(others)
            if rule.inputs.get("referencedSecurityGroupId") in group_ids
        ]

    def addresses(self) -> list[Thing]:
        """The Elastic IPs; `state` is the network interface that holds one."""
        found = self._account.call("ec2", "describe_addresses")["Addresses"]
        return [address_of(description) for description in found if "AllocationId" in description]

    def balancers(self) -> list[Thing]:
        """The Network Load Balancers."""
        return [balancer for balancer in self.all_balancers() if balancer.type == BALANCER]

    def all_balancers(self) -> list[Thing]:
        """The load balancers of every type; those of another than Network are of the type OTHER_BALANCER."""
        found = list(self._account.every("elbv2", "describe_load_balancers", "LoadBalancers"))
        tags = self._tags_of([description["LoadBalancerArn"] for description in found])
        return [
            balancer_of(description, tags[arn])
            for description in found
            if (arn := description["LoadBalancerArn"]) in tags
        ]

    def find_balancer(self, name: str, arn: str = "") -> Thing | None:
        """The Network Load Balancer of an ARN, else of a name. Asks for that alone, and not for its tags."""
        described = self._find("describe_load_balancers", "LoadBalancers", "LoadBalancerArns", name, arn)
        found = balancer_of(described, {}) if described else None
        return found if found and found.type == BALANCER else None

    def find_target_group(self, name: str, arn: str = "") -> Thing | None:
        """The target group with a port of an ARN, else of a name. Asks for that alone, and not for its tags."""
        described = self._find("describe_target_groups", "TargetGroups", "TargetGroupArns", name, arn)
        return target_group_of(described, {}) if described and "Port" in described else None

    def _find(self, operation: str, key: str, arns: str, name: str, arn: str) -> Any:
        """What AWS says of the one of an ARN, else of a name; None where there is neither."""
        for arguments in ([{arns: [arn]}] if arn else []) + [{"Names": [name]}]:
            try:
                return self._account.call("elbv2", operation, **arguments)[key][0]
            except AwsError as error:
                if not error.is_gone:
                    raise
        return None

    def endpoint_services(self) -> Mapping[str, tuple[str, ...]]:
        """The account's VPC endpoint services: ids to the ARNs of the Network Load Balancers that they offer."""
        found = self._account.every("ec2", "describe_vpc_endpoint_service_configurations", "ServiceConfigurations")
        return {service["ServiceId"]: tuple(service.get("NetworkLoadBalancerArns", ())) for service in found}

    def is_protected(self, balancer: Thing) -> bool:
        """Whether a load balancer refuses to be deleted."""
        attributes = self._account.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=balancer.id)
        return {"Key": "deletion_protection.enabled", "Value": "true"} in attributes["Attributes"]

    def target_groups(self) -> list[Thing]:
        """The target groups."""
        found = list(self._account.every("elbv2", "describe_target_groups", "TargetGroups"))
        tags = self._tags_of([description["TargetGroupArn"] for description in found])
        return [
            target_group_of(description, tags[arn])
            for description in found
            if (arn := description["TargetGroupArn"]) in tags
        ]

    def listeners(self, balancer_arn: str, *, tagged: bool = True) -> list[Thing]:
        """The listeners of a load balancer, with their tags or without."""
        found = list(self._account.every("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer_arn))
        listener_arns = [description["ListenerArn"] for description in found]
        untagged: dict[str, Mapping[str, str]] = {listener_arn: {} for listener_arn in listener_arns}
        tags = self._tags_of(listener_arns) if tagged else untagged
        return [
            listener_of(description, tags[arn]) for description in found if (arn := description["ListenerArn"]) in tags
        ]

    def targets(self, target_group_arn: str) -> list[Thing]:
        """What is registered in a target group and not draining; `state` is its health, with the reason."""
        answer = self._account.call("elbv2", "describe_target_health", TargetGroupArn=target_group_arn)
        found: list[Thing] = []
        for description in answer["TargetHealthDescriptions"]:
            target, health = description["Target"], description["TargetHealth"]
            inputs = {"targetGroupArn": target_group_arn, "targetId": target["Id"], "port": target["Port"]}
            if health["State"] != "draining":
                found.append(
                    Thing(
                        type=TARGET,
                        id=f"{target_group_arn},{target['Id']},{target['Port']}",
                        inputs=inputs,
                        outputs={},
                        state=f"{health['State']} {health.get('Reason', '')}".strip(),
                    )
                )
        return sorted(found, key=lambda thing: thing.id)

    def attachments(self, target_group_arns: Collection[str]) -> list[Thing]:
        """What attaches Auto Scaling groups to these target groups."""
        if not target_group_arns:
            return []
        found = self._account.every("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
        return [
            Thing(
                type=ATTACHMENT,
                id=f"{description['AutoScalingGroupName']},{arn}",
                inputs={"autoscalingGroupName": description["AutoScalingGroupName"], "lbTargetGroupArn": arn},
                outputs={},
            )
            for description in found
            for arn in description.get("TargetGroupARNs", ())
            if arn in target_group_arns
        ]

    def records(self, name: str, zone_id: str = "") -> list[Thing]:
        """The DNS records of a name, in a Route 53 zone, else in all public ones that may have it."""
        found: list[Thing] = []
        for id_ in [zone_id] if zone_id else self._zones_of(name):
            arguments = {"HostedZoneId": id_, "StartRecordName": name, "MaxItems": "100"}
            try:
                listed = self._account.call("route53", "list_resource_record_sets", **arguments)["ResourceRecordSets"]
            except AwsError as error:
                if not error.is_gone:
                    raise
                continue
            found += [record for record in (record_of(id_, each) for each in listed) if record.name == name]
        return found

    def _zones_of(self, name: str) -> list[str]:
        return [
            zone["Id"].rpartition("/")[2]
            for zone in self._account.every("route53", "list_hosted_zones", "HostedZones")
            if not zone.get("Config", {}).get("PrivateZone") and lies_in(name, zone["Name"].rstrip("."))
        ]

    def alarms(self, prefix: str) -> list[Thing]:
        """The metric alarms whose names begin so; `state` is OK, ALARM or INSUFFICIENT_DATA."""
        listed = list(self._account.every("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix))
        found: list[Thing] = []
        for description in listed:
            try:
                arn = description["AlarmArn"]
                tags = tags_of(self._account.call("cloudwatch", "list_tags_for_resource", ResourceARN=arn))
            except AwsError as error:
                if error.is_gone:
                    continue  # by now: without tags it would look nobody's
                raise
            found.append(alarm_of(description, tags))
        return found

    def dashboard(self, name: str) -> Thing | None:
        """The dashboard of a name. Its tags are the marks in its body, as the AWS provider cannot tag one."""
        try:
            return dashboard_of(self._account.call("cloudwatch", "get_dashboard", DashboardName=name))
        except AwsError as error:
            if error.is_gone:
                return None
            raise

    def interfaces(
        self, *, groups: Sequence[str] = (), ids: Sequence[str] = (), descriptions: Sequence[str] = ()
    ) -> list["Interface"]:
        """The network interfaces that carry one of these security groups, and those with these ids or descriptions."""
        found: dict[str, Interface] = {}
        for name, values in (("group-id", groups), ("network-interface-id", ids), ("description", descriptions)):
            for description in self._account.filtered("describe_network_interfaces", "NetworkInterfaces", name, values):
                found[description["NetworkInterfaceId"]] = Interface(
                    description["NetworkInterfaceId"],
                    description.get("Description", ""),
                    description.get("Attachment", {}).get("InstanceId", ""),
                    tuple(group["GroupId"] for group in description.get("Groups", ())),
                    description.get("SubnetId", ""),
                    description.get("PrivateIpAddress", ""),
                )
        return list(found.values())

    def tagged_rules(self, cluster: str) -> list[Thing]:
        """The rules that carry the tag of a cluster."""
        filters = _filters({"tag__lls_cluster": cluster})
        found = self._account.every("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters)
        return list(map(rule_of, found))

    def _tags_of(self, arns: list[str]) -> dict[str, Mapping[str, str]]:
        """The tags by ARN. What is gone by now is left out: without tags it would look nobody's."""
        found: dict[str, Mapping[str, str]] = {}
        for start in range(0, len(arns), TAGS_AT_ONCE):
            found |= self._tags_at_once(arns[start : start + TAGS_AT_ONCE])
        return found

    def _tags_at_once(self, arns: list[str]) -> dict[str, Mapping[str, str]]:
        """AWS refuses a question about several of which one is gone: then each half is asked about."""
        try:
            answer = self._account.call("elbv2", "describe_tags", ResourceArns=arns)
        except AwsError as error:
            if not error.is_gone:
                raise
            middle = len(arns) // 2
            return self._tags_at_once(arns[:middle]) | self._tags_at_once(arns[middle:]) if middle else {}
        return {description["ResourceArn"]: tags_of(description) for description in answer["TagDescriptions"]}


def _filters(filters: Mapping[str, str]) -> list[dict[str, Any]]:
    """EC2's filters from names that Python takes: `ip_permission__group_id` is `ip-permission.group-id`."""
    special = {"tag__lls_cluster": "tag:lls:cluster", "tag__lls_managed_by": "tag:lls:managed-by"}
    return [
        {"Name": special.get(name) or name.replace("__", ".").replace("_", "-"), "Values": [value]}
        for name, value in filters.items()
    ]


def tags_of(described: Any) -> dict[str, str]:
    """The tags in an answer of AWS."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def group_of(described: Any) -> Thing:
    """A security group as EC2 describes it."""
    return Thing(
        type=GROUP,
        id=described["GroupId"],
        inputs={
            "name": described["GroupName"],
            "description": described["Description"],
            "vpcId": described.get("VpcId", ""),
            "tags": tags_of(described),
        },
        outputs={"id": described["GroupId"]},
    )


def address_of(described: Any) -> Thing:
    """An Elastic IP as EC2 describes it; `state` is the network interface that holds it."""
    return Thing(
        type=ADDRESS,
        id=described["AllocationId"],
        inputs={"domain": described.get("Domain", "vpc"), "tags": tags_of(described)},
        outputs={"allocationId": described["AllocationId"], "publicIp": described["PublicIp"]},
        state=described.get("NetworkInterfaceId", ""),
    )


def rule_of(described: Any) -> Thing:
    """A rule of a security group as EC2 describes it."""
    inputs: Properties = {
        "securityGroupId": described["GroupId"],
        "ipProtocol": described["IpProtocol"],
        "description": described.get("Description", ""),
        "cidrIpv4": described.get("CidrIpv4"),
        "cidrIpv6": described.get("CidrIpv6"),
        "prefixListId": described.get("PrefixListId"),
        "referencedSecurityGroupId": described.get("ReferencedGroupInfo", {}).get("GroupId"),
        "tags": tags_of(described),
    }
    if described["IpProtocol"] != "-1":
        inputs |= {"fromPort": described.get("FromPort"), "toPort": described.get("ToPort")}
    rule_id = described["SecurityGroupRuleId"]
    return Thing(
        type=EGRESS if described["IsEgress"] else INGRESS,
        id=rule_id,
        inputs={key: value for key, value in inputs.items() if value is not None},
        outputs={"securityGroupRuleId": rule_id},
    )


def balancer_of(described: Any, tags: Mapping[str, str]) -> Thing:
    """A load balancer of any type. Gateway Load Balancers have neither scheme nor DNS name."""
    arn = described["LoadBalancerArn"]
    mappings: list[Properties] = []
    for zone in described.get("AvailabilityZones", ()):
        allocations = [
            address["AllocationId"] for address in zone.get("LoadBalancerAddresses", ()) if "AllocationId" in address
        ]
        mappings.append({"subnetId": zone["SubnetId"], **({"allocationId": allocations[0]} if allocations else {})})
    return Thing(
        type=BALANCER if described["Type"] == "network" else OTHER_BALANCER,
        id=arn,
        inputs={
            "name": described["LoadBalancerName"],
            "loadBalancerType": described["Type"],
            "internal": described.get("Scheme") == "internal",
            "securityGroups": sorted(described.get("SecurityGroups", ())),
            "subnetMappings": mappings,
            "tags": tags,
        },
        outputs={
            "arn": arn,
            "arnSuffix": arn.partition(":loadbalancer/")[2],
            "name": described["LoadBalancerName"],
            "dnsName": described.get("DNSName", ""),
            "zoneId": described.get("CanonicalHostedZoneId", ""),
            "vpcId": described.get("VpcId", ""),
        },
        state=described.get("State", {}).get("Code", ""),
    )


def target_group_of(described: Any, tags: Mapping[str, str]) -> Thing:
    """A target group of any target type. A Lambda function's has no port, protocol or VPC."""
    arn = described["TargetGroupArn"]
    return Thing(
        type=TARGET_GROUP,
        id=arn,
        inputs={
            "name": described["TargetGroupName"],
            "protocol": described.get("Protocol"),
            "port": described.get("Port"),
            "vpcId": described.get("VpcId"),
            "targetType": described.get("TargetType"),
            "healthCheck": {
                "enabled": described.get("HealthCheckEnabled"),
                "protocol": described.get("HealthCheckProtocol"),
                "port": described.get("HealthCheckPort"),
                "path": described.get("HealthCheckPath"),
                "interval": described.get("HealthCheckIntervalSeconds"),
                "timeout": described.get("HealthCheckTimeoutSeconds"),
                "healthyThreshold": described.get("HealthyThresholdCount"),
                "unhealthyThreshold": described.get("UnhealthyThresholdCount"),
                "matcher": described.get("Matcher", {}).get("HttpCode"),
            },
            "tags": tags,
        },
        outputs={"arn": arn, "arnSuffix": arn.rpartition(":")[2]},
        state=", ".join(described.get("LoadBalancerArns", ())),
    )


def listener_of(described: Any, tags: Mapping[str, str]) -> Thing:
    """A listener as Elastic Load Balancing describes it."""
    arn = described["ListenerArn"]
    return Thing(
        type=LISTENER,
        id=arn,
        inputs={
            "loadBalancerArn": described["LoadBalancerArn"],
            "protocol": described["Protocol"],
            "port": described["Port"],
            "defaultActions": [
                {"type": action["Type"], "targetGroupArn": action.get("TargetGroupArn", "")}
                for action in described["DefaultActions"]
            ],
            "tags": tags,
        },
        outputs={"arn": arn},
    )


def record_of(zone_id: str, described: Any) -> Thing:
    """A record as Route 53 describes it, in one of its zones."""
    inputs: Properties = {
        "zoneId": zone_id,
        "name": described["Name"].rstrip("."),
        "type": described["Type"],
        "setIdentifier": described.get("SetIdentifier"),
        "ttl": described.get("TTL"),
    }
    if alias := described.get("AliasTarget"):
        inputs["aliases"] = [
            {
                "name": alias["DNSName"].rstrip("."),
                "zoneId": alias["HostedZoneId"],
                "evaluateTargetHealth": alias["EvaluateTargetHealth"],
            }
        ]
    else:
        inputs["records"] = [value["Value"] for value in described.get("ResourceRecords", ())]
    given = {key: value for key, value in inputs.items() if value is not None}
    return Thing(type=RECORD, id=record_id(given), inputs=given, outputs={})


def record_id(inputs: Properties) -> str:
    """What Pulumi knows a record by: createRecordImportID in the AWS provider's internal/service/route53/record.go."""
    keys = ("zoneId", "name", "type", "setIdentifier")
    return "_".join(str(inputs[key]) for key in keys if inputs.get(key))


def alias_change(action: str, inputs: Properties) -> Properties:
    """What makes Route 53 create, change or delete an alias, as its ChangeResourceRecordSets takes it."""
    [alias] = inputs["aliases"]
    target = {
        "HostedZoneId": alias["zoneId"],
        "DNSName": alias["name"],
        "EvaluateTargetHealth": alias["evaluateTargetHealth"],
    }
    record = {"Name": inputs["name"], "Type": inputs["type"], "AliasTarget": target}
    return {
        "HostedZoneId": inputs["zoneId"],
        "ChangeBatch": {"Changes": [{"Action": action, "ResourceRecordSet": record}]},
    }


def of_balancer(record: Thing, balancers: Iterable[Thing]) -> Thing:
    """A record that knows which of the load balancers it is an alias of, if of any: it goes with that.

    One of another type or with a routing policy, as no stack of ours makes it, goes with none.
    """
    is_plain = "aliases" in record.inputs and record.inputs["type"] == "A" and "setIdentifier" not in record.inputs
    for balancer in balancers:
        if is_plain and balancer.outputs["dnsName"].lower() == record.leads_to:
            return replace(record, outputs={"loadBalancerArn": balancer.id})
    return record


def alarm_of(described: Any, tags: Mapping[str, str]) -> Thing:
    """A metric alarm as CloudWatch describes it."""
    return Thing(
        type=ALARM,
        id=described["AlarmName"],
        inputs={
            "name": described["AlarmName"],
            "alarmDescription": described.get("AlarmDescription"),
            "comparisonOperator": described["ComparisonOperator"],
            "threshold": described.get("Threshold"),
            "evaluationPeriods": described["EvaluationPeriods"],
            "datapointsToAlarm": described.get("DatapointsToAlarm"),
            "treatMissingData": described.get("TreatMissingData"),
            "alarmActions": described.get("AlarmActions", []),
            "okActions": described.get("OKActions", []),
            "namespace": described.get("Namespace"),
            "metricName": described.get("MetricName"),
            "statistic": described.get("Statistic"),
            "period": described.get("Period"),
            "dimensions": _dimensions_of(described) or None,
            "metricQueries": [_query_of(query) for query in described.get("Metrics", ())] or None,
            "tags": tags,
        },
        outputs={"arn": described["AlarmArn"]},
        state=described.get("StateValue", ""),
    )


def _query_of(described: Any) -> Properties:
    """A part of an alarm's metric math."""
    metric = described.get("MetricStat")
    inputs: Properties = {
        "id": described["Id"],
        "label": described.get("Label"),
        "expression": described.get("Expression"),
        "returnData": described.get("ReturnData", True),
        "metric": metric
        and {
            "namespace": metric["Metric"]["Namespace"],
            "metricName": metric["Metric"]["MetricName"],
            "dimensions": _dimensions_of(metric["Metric"]),
            "period": metric["Period"],
            "stat": metric["Stat"],
        },
    }
    return {key: value for key, value in inputs.items() if value is not None}


def _dimensions_of(described: Any) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in described.get("Dimensions", ())}


def dashboard_of(described: Any) -> Thing:
    """A dashboard as CloudWatch gives it. Its tags are no input: they are the marks in its body."""
    return Thing(
        type=DASHBOARD,
        id=described["DashboardName"],
        inputs={
            "dashboardName": described["DashboardName"],
            "dashboardBody": described["DashboardBody"],
            "tags": marks_of(described["DashboardBody"]),
        },
        outputs={"dashboardArn": described["DashboardArn"]},
    )
