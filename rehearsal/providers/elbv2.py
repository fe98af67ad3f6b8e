"""The AWS provider's load balancers, target groups and listeners.

The provider refuses a name that is taken before AWS could answer with what has it, and of what it deletes it expects
that it is there (hashicorp/terraform-provider-aws internal/service/elbv2: load_balancer.go, target_group.go and
listener.go, Create and Delete). Of a load balancer that is gone, AWS itself takes the deletion for a success.
"""

from collections.abc import Mapping
from typing import Any, Final

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import (
    BALANCER,
    LISTENER,
    TARGET_GROUP,
    balancer_of,
    listener_of,
    target_group_of,
)
from rehearsal.aws.server import Aws
from rehearsal.providers.calls import ExistsError, lost_tags, own_tags, tag_list, unless_gone
from rehearsal.providers.lifecycle import Lifecycle, unfinished
from rehearsal.world import WorldClock

POLL: Final = 5.0
"""Seconds of the emulated world between two looks at something that AWS is still doing."""

NLB_TIMEOUT: Final = 600.0
"""Seconds that the provider waits for a load balancer."""


class Elbv2Types:
    """The lifecycles of what Elastic Load Balancing keeps. Ids are ARNs."""

    def __init__(self, aws: Aws, clock: WorldClock) -> None:
        """Make it in that AWS, and wait by that clock."""
        self._ec2 = aws.client("ec2")
        self._elbv2 = aws.client("elbv2")
        self._clock = clock
        self.lifecycles: Mapping[str, Lifecycle] = {
            TARGET_GROUP: Lifecycle(self._create_group, self._update_group, self._delete_group, self._read_group),
            BALANCER: Lifecycle(self._create_nlb, self._update_nlb, self._delete_nlb, self._read_nlb),
            LISTENER: Lifecycle(
                self._create_listener, self._update_listener, self._delete_listener, self._read_listener
            ),
        }

    def _retag(self, arn: str, old: Properties, new: Properties) -> Properties:
        if gone := lost_tags(old, new):
            self._elbv2.remove_tags(ResourceArns=[arn], TagKeys=gone)
        self._elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(new))
        return {"tagsAll": new["tags"]}

    def _tags(self, arn: str) -> dict[str, str]:
        return own_tags(self._elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0])

    # --- Target groups

    def _create_group(self, inputs: Properties) -> tuple[str, Properties]:
        name, check = inputs["name"], inputs["healthCheck"]
        if unless_gone(lambda: self._elbv2.describe_target_groups(Names=[name])):
            raise ExistsError(f"ELBv2 Target Group ({name}) already exists")
        made: Any = self._elbv2.create_target_group(
            Name=name,
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            VpcId=inputs["vpcId"],
            TargetType=inputs["targetType"],
            HealthCheckEnabled=check["enabled"],
            **_health_check(check),
            Tags=tag_list(inputs),
        )["TargetGroups"][0]
        arn, outputs = made["TargetGroupArn"], _group_outputs(made, inputs)
        with unfinished(arn, outputs):
            self._set_attributes(arn, inputs)
        return arn, outputs

    def _set_attributes(self, arn: str, inputs: Properties) -> None:
        stickiness = inputs["stickiness"]
        values = {
            "deregistration_delay.timeout_seconds": str(inputs["deregistrationDelay"]),
            "stickiness.enabled": "true" if stickiness["enabled"] else "false",
            "stickiness.type": stickiness["type"],
        }
        attributes: Any = [{"Key": key, "Value": value} for key, value in values.items()]
        self._elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)

    def _update_group(self, arn: str, old: Properties, new: Properties) -> Properties:
        self._elbv2.modify_target_group(TargetGroupArn=arn, **_health_check(new["healthCheck"]))
        self._set_attributes(arn, new)
        return self._retag(arn, old, new)

    def _delete_group(self, arn: str, _: Properties) -> None:
        self._elbv2.delete_target_group(TargetGroupArn=arn)

    def _read_group(self, arn: str, _: Properties) -> tuple[Properties, Properties] | None:
        return unless_gone(lambda: self._described_group(arn))

    def _described_group(self, arn: str) -> tuple[Properties, Properties]:
        found: Any = self._elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]
        attributes = _attributes(self._elbv2.describe_target_group_attributes(TargetGroupArn=arn))
        inputs = target_group_of(found, self._tags(arn)).inputs | {
            "deregistrationDelay": int(attributes["deregistration_delay.timeout_seconds"]),
            "stickiness": {
                "type": attributes["stickiness.type"],
                "enabled": attributes["stickiness.enabled"] == "true",
            },
        }
        return inputs, _group_outputs(found, inputs)

    # --- Load balancers

    def _create_nlb(self, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        if unless_gone(lambda: self._elbv2.describe_load_balancers(Names=[name])):
            raise ExistsError(f"ELBv2 Load Balancer ({name}) already exists")
        mappings: list[Any] = [
            {"SubnetId": mapping["subnetId"]}
            | ({"AllocationId": mapping["allocationId"]} if mapping.get("allocationId") else {})
            for mapping in inputs["subnetMappings"]
        ]
        made: Any = self._elbv2.create_load_balancer(
            Name=name,
            Type=inputs["loadBalancerType"],
            Scheme="internal" if inputs["internal"] else "internet-facing",
            SubnetMappings=mappings,
            SecurityGroups=inputs["securityGroups"],
            Tags=tag_list(inputs),
        )["LoadBalancers"][0]
        arn = made["LoadBalancerArn"]
        with unfinished(arn, _nlb_outputs(made, inputs)):
            self._set_protection(arn, inputs)
            return arn, _nlb_outputs(self._wait_for_nlb(arn), inputs)

    def _wait_for_nlb(self, arn: str) -> Any:
        deadline = self._clock.now() + NLB_TIMEOUT
        while True:
            is_late = self._clock.now() > deadline  # before the look, which may take long itself
            found: Any = self._elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
            state = found["State"]["Code"]
            if state == "active":
                return found
            if state == "failed" or is_late:
                raise TimeoutError(f"waiting for ELBv2 Load Balancer ({arn}) create: it is {state!r}, not 'active'")
            self._clock.sleep(POLL)

    def _update_nlb(self, arn: str, old: Properties, new: Properties) -> Properties:
        if new["securityGroups"] != old.get("securityGroups"):
            self._elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=new["securityGroups"])
        self._set_protection(arn, new)
        self._retag(arn, old, new)
        return _nlb_outputs(self._wait_for_nlb(arn), new)

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

    def _read_nlb(self, arn: str, _: Properties) -> tuple[Properties, Properties] | None:
        return unless_gone(lambda: self._described_nlb(arn))

    def _described_nlb(self, arn: str) -> tuple[Properties, Properties]:
        found: Any = self._elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        attributes = _attributes(self._elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn))
        protected = attributes["deletion_protection.enabled"] == "true"
        inputs = balancer_of(found, self._tags(arn)).inputs | {"enableDeletionProtection": protected}
        return inputs, _nlb_outputs(found, inputs)

    # --- Listeners

    def _create_listener(self, inputs: Properties) -> tuple[str, Properties]:
        made: Any = self._elbv2.create_listener(
            LoadBalancerArn=inputs["loadBalancerArn"],
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            DefaultActions=[_forward(inputs)],
            Tags=tag_list(inputs),
        )["Listeners"][0]
        arn = made["ListenerArn"]
        return arn, {"arn": arn, "tagsAll": inputs.get("tags", {})}

    def _update_listener(self, arn: str, old: Properties, new: Properties) -> Properties:
        self._elbv2.modify_listener(
            ListenerArn=arn, Protocol=new["protocol"], Port=new["port"], DefaultActions=[_forward(new)]
        )
        return self._retag(arn, old, new)

    def _delete_listener(self, arn: str, _: Properties) -> None:
        self._elbv2.delete_listener(ListenerArn=arn)

    def _read_listener(self, arn: str, _: Properties) -> tuple[Properties, Properties] | None:
        return unless_gone(lambda: self._described_listener(arn))

    def _described_listener(self, arn: str) -> tuple[Properties, Properties]:
        found: Any = self._elbv2.describe_listeners(ListenerArns=[arn])["Listeners"][0]
        inputs = listener_of(found, self._tags(arn)).inputs
        return inputs, {"arn": arn, "tagsAll": inputs["tags"]}


def _attributes(answer: Any) -> Mapping[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}


def _group_outputs(described: Any, inputs: Properties) -> Properties:
    arn: str = described["TargetGroupArn"]
    return {
        "arn": arn,
        "arnSuffix": arn.rpartition(":")[2],
        "ipAddressType": described.get("IpAddressType", "ipv4"),
        "loadBalancerArns": described.get("LoadBalancerArns", []),
        "tagsAll": inputs.get("tags", {}),
    }


def _nlb_outputs(described: Any, inputs: Properties) -> Properties:
    arn: str = described["LoadBalancerArn"]
    return {
        "arn": arn,
        "arnSuffix": arn.partition(":loadbalancer/")[2],
        "dnsName": described["DNSName"],
        "ipAddressType": described.get("IpAddressType", "ipv4"),
        "subnets": [zone["SubnetId"] for zone in described["AvailabilityZones"]],
        "tagsAll": inputs.get("tags", {}),
        "vpcId": described["VpcId"],
        "zoneId": described["CanonicalHostedZoneId"],
    }


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
