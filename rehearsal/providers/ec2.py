"""The AWS provider's security groups, their rules, and Elastic IPs.

To delete what is gone is no failure for these (hashicorp/terraform-provider-aws internal/service/ec2: ec2_eip.go,
vpc_security_group.go and vpc_security_group_ingress_rule.go, Delete).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import ADDRESS, EGRESS, GROUP, INGRESS, Thing, address_of, group_of, rule_of
from rehearsal.aws.server import Aws
from rehearsal.providers.calls import lost_tags, own_tags, tag_list, unless_gone
from rehearsal.providers.lifecycle import Lifecycle, unfinished
from rehearsal.world import World

RULE: Final[Mapping[str, str]] = {
    "ipProtocol": "IpProtocol",
    "fromPort": "FromPort",
    "toPort": "ToPort",
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
    "description": "Description",
}
"""A rule's arguments at the AWS provider, and at EC2."""


class Ec2Types:
    """The lifecycles of what EC2 keeps."""

    def __init__(self, aws: Aws, world: World) -> None:
        """Make it in that AWS."""
        self._ec2 = aws.client("ec2")
        self._world = world
        self.lifecycles: Mapping[str, Lifecycle] = {
            GROUP: Lifecycle(self._create_group, self._retag, self._delete_group, self._read_group),
            INGRESS: Lifecycle(self._create_ingress, self._update_rule, self._delete_ingress, self._read_rule),
            EGRESS: Lifecycle(self._create_egress, self._update_rule, self._delete_egress, self._read_rule),
            ADDRESS: Lifecycle(self._create_address, self._retag, self._delete_address, self._read_address),
        }

    def _arn(self, kind: str, id_: str) -> str:
        world = self._world
        return f"arn:{world.partition}:ec2:{world.region}:{world.account}:{kind}/{id_}"

    def _retag(self, id_: str, old: Properties, new: Properties) -> Properties:
        if gone := lost_tags(old, new):
            self._ec2.delete_tags(Resources=[id_], Tags=[{"Key": key} for key in gone])
        self._ec2.create_tags(Resources=[id_], Tags=tag_list(new))
        return {"tagsAll": new["tags"]}

    # --- Security groups

    def _create_group(self, inputs: Properties) -> tuple[str, Properties]:
        group_id = self._ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list(inputs)}],
        )["GroupId"]
        outputs = self._group_outputs(group_id, inputs)
        with unfinished(group_id, outputs):
            self._ec2.revoke_security_group_egress(
                GroupId=group_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            )
        return group_id, outputs

    def _delete_group(self, group_id: str, _: Properties) -> None:
        unless_gone(lambda: self._ec2.delete_security_group(GroupId=group_id))

    def _read_group(self, group_id: str, _: Properties) -> tuple[Properties, Properties] | None:
        found = unless_gone(lambda: self._ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"])
        if not found:
            return None
        inputs = _inputs(group_of, found[0])
        return inputs, self._group_outputs(group_id, inputs)

    def _group_outputs(self, group_id: str, inputs: Properties) -> Properties:
        return {
            "arn": self._arn("security-group", group_id),
            "ownerId": self._world.account,
            "tagsAll": inputs.get("tags", {}),
        }

    # --- Rules

    def _create_ingress(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.authorize_security_group_ingress(**_new_rule(inputs))
        return self._made_rule(made["SecurityGroupRules"], inputs)

    def _create_egress(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.authorize_security_group_egress(**_new_rule(inputs))
        return self._made_rule(made["SecurityGroupRules"], inputs)

    def _made_rule(self, rules: list[Any], inputs: Properties) -> tuple[str, Properties]:
        rule_id = rules[0]["SecurityGroupRuleId"]
        return rule_id, self._rule_outputs(rule_id, inputs)

    def _update_rule(self, rule_id: str, old: Properties, new: Properties) -> Properties:
        if any(new.get(key) != old.get(key) for key in RULE):
            self._ec2.modify_security_group_rules(
                GroupId=new["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": _rule_request(new)}],
            )
        return self._retag(rule_id, old, new)

    def _delete_ingress(self, rule_id: str, inputs: Properties) -> None:
        group_id = inputs["securityGroupId"]
        unless_gone(lambda: self._ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=[rule_id]))

    def _delete_egress(self, rule_id: str, inputs: Properties) -> None:
        group_id = inputs["securityGroupId"]
        unless_gone(lambda: self._ec2.revoke_security_group_egress(GroupId=group_id, SecurityGroupRuleIds=[rule_id]))

    def _read_rule(self, rule_id: str, _: Properties) -> tuple[Properties, Properties] | None:
        found = unless_gone(
            lambda: self._ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
        )
        if not found:
            return None
        inputs = dict.fromkeys(RULE) | _inputs(rule_of, found[0])
        return inputs, self._rule_outputs(rule_id, inputs)

    def _rule_outputs(self, rule_id: str, inputs: Properties) -> Properties:
        return {
            "arn": self._arn("security-group-rule", rule_id),
            "securityGroupRuleId": rule_id,
            "tagsAll": inputs.get("tags", {}),
        }

    # --- Elastic IPs

    def _create_address(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._ec2.allocate_address(
            Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tag_list(inputs)}]
        )
        return made["AllocationId"], self._address_outputs(made, inputs)

    def _delete_address(self, allocation_id: str, _: Properties) -> None:
        unless_gone(lambda: self._ec2.release_address(AllocationId=allocation_id))

    def _read_address(self, allocation_id: str, _: Properties) -> tuple[Properties, Properties] | None:
        found = unless_gone(lambda: self._ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"])
        if not found:
            return None
        inputs = _inputs(address_of, found[0])
        return inputs, self._address_outputs(found[0], inputs)

    def _address_outputs(self, described: Any, inputs: Properties) -> Properties:
        region = self._world.region
        domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
        name = f"ec2-{described['PublicIp'].replace('.', '-')}.{domain}.{self._world.dns_suffix}"
        return {
            "allocationId": described["AllocationId"],
            "arn": self._arn("elastic-ip", described["AllocationId"]),
            "associationId": described.get("AssociationId", ""),
            "networkBorderGroup": described.get("NetworkBorderGroup", region),
            "networkInterface": described.get("NetworkInterfaceId", ""),
            "privateIp": described.get("PrivateIpAddress", ""),
            "publicDns": name,
            "publicIp": described["PublicIp"],
            "publicIpv4Pool": described.get("PublicIpv4Pool", "amazon"),
            "tagsAll": inputs.get("tags", {}),
        }


def _inputs(thing_of: Callable[[Any], Thing], described: Any) -> Properties:
    return thing_of(described).inputs | {"tags": own_tags(described)}


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
        "TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": tag_list(inputs)}],
    }


def _rule_request(inputs: Properties) -> Any:
    return {RULE[key]: value for key, value in inputs.items() if key in RULE}
