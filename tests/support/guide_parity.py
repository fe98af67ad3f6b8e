"""The state that the guide makes, next to ours."""

from collections.abc import Mapping
from typing import Any

from rehearsal.aws.server import Aws

State = dict[str, Any]


INTENDED: Mapping[str, str] = {
    "target 10.0.16.6": "a node that is being removed is not registered",
    "target 10.0.48.4": "a node of another zone is not registered: it would be unused",
    "listener udp/5004.tags": "every taggable resource carries the guide's tags",
    "rule NLB udp/5004 from 0.0.0.0/0.tags": "every taggable resource carries the guide's tags",
    "rule NLB egress -1 to 0.0.0.0/0.tags": "every taggable resource carries the guide's tags",
    "rule node udp/30504 from NLB.tags": "every taggable resource carries the guide's tags",
    "rule node tcp/30800 from NLB": "in the guide's table, missing in its commands",
    "rule node udp/6004 from node": "in the guide's table, missing in its commands",
    "rule node udp/3478 from node": "in the guide's table, missing in its commands",
    "rule node tcp/8000 from node": "in the guide's table, missing in its commands",
    "address.tags": "the guide leaves lls:managed-by and Project off, so that its clean-up cannot find the address",
}
"""Each difference between the guide's state and ours, and why it is meant."""


def state_of(aws: Aws) -> State:
    """What the account holds for the stack, in words that do not depend on ids or on order."""
    ec2, elbv2 = aws.client("ec2"), aws.client("elbv2")
    described: list[Any] = list(ec2.describe_security_groups()["SecurityGroups"])
    names = {each["GroupId"]: "NLB" for each in described if each["GroupName"].endswith("-rp-sg")}
    names |= dict.fromkeys(aws.node_security_group_ids, "node")
    state: State = {}

    def put(name: str, facts: Mapping[str, Any], tags: list[dict[str, str]] | None) -> None:
        state[name] = {key: value for key, value in facts.items() if value is not None}
        state[f"{name}.tags"] = {tag["Key"]: tag["Value"] for tag in tags or []}

    for group in described:
        if names.get(group["GroupId"]) == "NLB":
            put("group", {key: group[key] for key in ("GroupName", "Description", "VpcId")}, group.get("Tags"))
    rules: list[Any] = list(ec2.describe_security_group_rules()["SecurityGroupRules"])
    for rule in rules:
        owner = names.get(rule["GroupId"])
        source = rule.get("CidrIpv4") or names.get(rule.get("ReferencedGroupInfo", {}).get("GroupId"), "")
        if owner and not (owner == "node" and rule["IsEgress"]):
            port = "" if rule["FromPort"] == -1 else f"/{rule['FromPort']}"
            direction = (
                f"egress {rule['IpProtocol']}{port} to" if rule["IsEgress"] else f"{rule['IpProtocol']}{port} from"
            )
            put(f"rule {owner} {direction} {source}", {"ToPort": rule["ToPort"]}, rule.get("Tags"))
    addresses: list[Any] = list(ec2.describe_addresses()["Addresses"])
    for address in addresses:
        put("address", {"Domain": address["Domain"], "used": "AssociationId" in address}, address.get("Tags"))
    balancers: list[Any] = list(elbv2.describe_load_balancers()["LoadBalancers"])
    for balancer in balancers:
        arn = balancer["LoadBalancerArn"]
        facts = {key: balancer[key] for key in ("LoadBalancerName", "Type", "Scheme", "VpcId", "IpAddressType")}
        zones = [(zone["ZoneName"], zone["SubnetId"]) for zone in balancer["AvailabilityZones"]]
        attributes = elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        facts |= {
            "zones": zones,
            "groups": [names[group] for group in balancer["SecurityGroups"]],
            "attributes": attributes,
        }
        put("NLB", facts, tags_of(aws, arn))
        listeners: list[Any] = list(elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"])
        for listener in listeners:
            name = f"listener {listener['Protocol'].lower()}/{listener['Port']}"
            [action] = listener["DefaultActions"]
            forward = action["TargetGroupArn"].rpartition("/")[0].rpartition("/")[2]
            put(name, {"type": action["Type"], "forward": forward}, tags_of(aws, listener["ListenerArn"]))
    groups: list[Any] = list(elbv2.describe_target_groups()["TargetGroups"])
    for group in groups:
        arn = group.pop("TargetGroupArn")
        del group["LoadBalancerArns"]
        attributes = elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        put("target group", group | {"attributes": attributes}, tags_of(aws, arn))
        targets: list[Any] = list(elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"])
        for target in targets:
            state[f"target {target['Target']['Id']}"] = target["Target"]["Port"]
    return state


def tags_of(aws: Aws, arn: str) -> Any:
    return aws.client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"][0].get("Tags")


def differences(guide: State, ours: State) -> set[str]:
    """Names whose facts differ; of something that only one side has, its tags are not counted again."""
    found = {name for name in guide.keys() | ours.keys() if guide.get(name) != ours.get(name)}
    return {name for name in found if not name.endswith(".tags") or name.removesuffix(".tags") not in found}
