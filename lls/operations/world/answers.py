"""The program's look-ups, answered by AWS without a Pulumi engine."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from lls.hosted_zone import NONE_FOUND, SEVERAL_FOUND
from lls.operations.program.recording import Properties
from lls.operations.world.account import Account
from lls.operations.world.partition import partition_of

ROUTE: Final[Mapping[str, str]] = {
    "cidrBlock": "DestinationCidrBlock",
    "natGatewayId": "NatGatewayId",
    "transitGatewayId": "TransitGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "carrierGatewayId": "CarrierGatewayId",
    "localGatewayId": "LocalGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
}
"""A route's keys at the AWS provider, and at EC2. The provider tells no route's state."""


class LookUps:
    """Answers the invokes that `lls.lookups` makes, by the calls that the AWS provider makes for them."""

    def __init__(self, account: Account, region: str) -> None:
        """Ask that account; `region` tells the partition."""
        self._account = account
        self._region = region
        self._answers: Mapping[str, Callable[[Properties], Properties]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": self._caller_identity,
            "aws:index/getPartition:getPartition": self._partition,
            "aws:eks/getCluster:getCluster": self._eks_cluster,
            "aws:ec2/getSubnets:getSubnets": self._subnets,
            "aws:ec2/getRouteTables:getRouteTables": self._route_tables,
            "aws:ec2/getRouteTable:getRouteTable": self._route_table,
            "aws:ec2/getInternetGateway:getInternetGateway": self._internet_gateway,
            "aws:ec2/getSecurityGroups:getSecurityGroups": self._security_groups,
            "aws:ec2/getManagedPrefixList:getManagedPrefixList": self._prefix_list,
            "aws:ec2/getNetworkInterface:getNetworkInterface": self._network_interface,
            "aws:vpc/getSecurityGroupRules:getSecurityGroupRules": self._security_group_rules,
            "aws:servicequotas/getServiceQuota:getServiceQuota": self._service_quota,
            "aws:ec2/getElasticIp:getElasticIp": self._elastic_ip,
            "aws:route53/getZone:getZone": self._hosted_zone,
            "aws:ec2/getInstances:getInstances": self._instances,
            "aws:eks/getNodeGroups:getNodeGroups": self._node_groups,
            "aws:eks/getNodeGroup:getNodeGroup": self._node_group,
            "aws:autoscaling/getGroup:getGroup": self._autoscaling_group,
            "aws:ecr/getAuthorizationToken:getAuthorizationToken": self._authorization_token,
        }

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """The answer to one invoke. Raises AwsError."""
        return self._answers[token](arguments)

    def _caller_identity(self, _: Properties) -> Properties:
        identity = self._account.call("sts", "get_caller_identity")
        return {"accountId": identity["Account"], "arn": identity["Arn"], "id": identity["Account"]}

    def _partition(self, _: Properties) -> Properties:
        found = partition_of(self._region)
        return {"partition": found.id, "dnsSuffix": found.dns_suffix, "id": found.id}

    def _eks_cluster(self, arguments: Properties) -> Properties:
        cluster = self._account.call("eks", "describe_cluster", name=arguments["name"])["cluster"]
        network = cluster["resourcesVpcConfig"]
        authority = cluster.get("certificateAuthority", {}).get("data")
        family = cluster.get("kubernetesNetworkConfig", {}).get("ipFamily", "ipv4")
        return {
            "arn": cluster["arn"],
            "name": cluster["name"],
            "endpoint": cluster.get("endpoint", ""),
            "certificateAuthorities": [{"data": authority}] if authority else [],
            "vpcConfig": {
                "vpcId": network["vpcId"],
                "subnetIds": network["subnetIds"],
                "clusterSecurityGroupId": network.get("clusterSecurityGroupId", ""),
                "securityGroupIds": network["securityGroupIds"],
            },
            "kubernetesNetworkConfigs": [{"ipFamily": family}],
        }

    def _subnets(self, arguments: Properties) -> Properties:
        found = self._account.every("ec2", "describe_subnets", "Subnets", Filters=_filters(arguments))
        return {"ids": [description["SubnetId"] for description in found]}

    def _route_tables(self, arguments: Properties) -> Properties:
        found = self._account.every("ec2", "describe_route_tables", "RouteTables", Filters=_filters(arguments))
        return {"ids": [description["RouteTableId"] for description in found]}

    def _route_table(self, arguments: Properties) -> Properties:
        filters = [*_filters(arguments)]
        for key, name in (("routeTableId", "route-table-id"), ("vpcId", "vpc-id")):
            filters += [{"Name": name, "Values": [arguments[key]]}] if arguments.get(key) else []
        [table] = self._account.every("ec2", "describe_route_tables", "RouteTables", Filters=filters)
        return {
            "routeTableId": table["RouteTableId"],
            "routes": [_route(route) for route in table["Routes"] if route.get("GatewayId") != "local"],
        }

    def _internet_gateway(self, arguments: Properties) -> Properties:
        found = list(
            self._account.every("ec2", "describe_internet_gateways", "InternetGateways", Filters=_filters(arguments))
        )
        if not found:
            raise LookupError("no matching EC2 Internet Gateway found")
        return {"internetGatewayId": found[0]["InternetGatewayId"]}

    def _security_groups(self, arguments: Properties) -> Properties:
        found = self._account.every("ec2", "describe_security_groups", "SecurityGroups", Filters=_filters(arguments))
        return {"ids": [description["GroupId"] for description in found]}

    def _prefix_list(self, arguments: Properties) -> Properties:
        [found] = self._account.call("ec2", "describe_managed_prefix_lists", PrefixListIds=[arguments["id"]])[
            "PrefixLists"
        ]
        entries = self._account.every("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=arguments["id"])
        return {
            "id": found["PrefixListId"],
            "name": found["PrefixListName"],
            "addressFamily": found["AddressFamily"],
            "entries": [{"cidr": entry["Cidr"], "description": entry.get("Description", "")} for entry in entries],
            "maxEntries": found.get("MaxEntries", 0),
            "ownerId": found["OwnerId"],
        }

    def _network_interface(self, arguments: Properties) -> Properties:
        [found] = self._account.every(
            "ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=_filters(arguments)
        )
        groups = [group["GroupId"] for group in found["Groups"]]
        return {"id": found["NetworkInterfaceId"], "securityGroups": groups}

    def _security_group_rules(self, arguments: Properties) -> Properties:
        found = self._account.every(
            "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=_filters(arguments)
        )
        return {"ids": [description["SecurityGroupRuleId"] for description in found]}

    def _service_quota(self, arguments: Properties) -> Properties:
        """The provider asks for AWS's default first, then for the account's own."""
        asked = {"ServiceCode": arguments["serviceCode"], "QuotaCode": arguments["quotaCode"]}
        self._account.call("service-quotas", "get_aws_default_service_quota", **asked)
        quota = self._account.call("service-quotas", "get_service_quota", **asked)["Quota"]
        return {"quotaCode": quota["QuotaCode"], "value": quota["Value"]}

    def _elastic_ip(self, arguments: Properties) -> Properties:
        [address] = self._account.call("ec2", "describe_addresses", AllocationIds=[arguments["id"]])["Addresses"]
        return {"id": arguments["id"], "publicIp": address["PublicIp"]}

    def _hosted_zone(self, arguments: Properties) -> Properties:
        """The provider lists all zones for a name, and then reads the one with its tags, as one that is given."""
        zone_id, name = arguments.get("zoneId"), arguments.get("name")
        if not zone_id:
            found = [
                zone
                for zone in self._account.every("route53", "list_hosted_zones", "HostedZones")
                if zone["Name"].rstrip(".") == name and zone["Config"]["PrivateZone"] == arguments["privateZone"]
            ]
            if len(found) != 1:
                raise LookupError(SEVERAL_FOUND if found else NONE_FOUND)
            zone_id = found[0]["Id"].rpartition("/")[2]
        told = self._account.call("route53", "get_hosted_zone", Id=zone_id)
        self._account.call("route53", "list_tags_for_resource", ResourceType="hostedzone", ResourceId=zone_id)
        return {
            "zoneId": zone_id,
            "name": told["HostedZone"]["Name"].rstrip("."),
            "privateZone": told["HostedZone"]["Config"]["PrivateZone"],
            "nameServers": told.get("DelegationSet", {}).get("NameServers", []),
        }

    def _instances(self, arguments: Properties) -> Properties:
        states = {"Name": "instance-state-name", "Values": list(arguments["instanceStateNames"])}
        filters = [*_filters(arguments), states]
        reservations = self._account.every("ec2", "describe_instances", "Reservations", Filters=filters)
        found = [instance for reservation in reservations for instance in reservation["Instances"]]
        return {
            "ids": [instance["InstanceId"] for instance in found],
            "privateIps": [instance["PrivateIpAddress"] for instance in found if instance.get("PrivateIpAddress")],
        }

    def _node_groups(self, arguments: Properties) -> Properties:
        found = self._account.every("eks", "list_nodegroups", "nodegroups", clusterName=arguments["clusterName"])
        return {"names": list(found)}

    def _node_group(self, arguments: Properties) -> Properties:
        found = self._account.call(
            "eks",
            "describe_nodegroup",
            clusterName=arguments["clusterName"],
            nodegroupName=arguments["nodeGroupName"],
        )["nodegroup"]
        groups = [{"name": group["name"]} for group in found.get("resources", {}).get("autoScalingGroups", ())]
        return {
            "labels": found.get("labels", {}),
            "subnetIds": found["subnets"],
            "resources": [{"autoscalingGroups": groups, "remoteAccessSecurityGroupId": ""}],
        }

    def _autoscaling_group(self, arguments: Properties) -> Properties:
        name = arguments["name"]
        found = list(
            self._account.every(
                "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]
            )
        )
        if not found:
            raise LookupError(f"there is no Auto Scaling group {name}")
        return {"name": name, "availabilityZones": found[0]["AvailabilityZones"]}

    def _authorization_token(self, arguments: Properties) -> Properties:
        registry, region = arguments["registryId"], arguments.get("region") or self._region
        account = self._account if region == self._region else self._account.in_region(region)
        [found] = account.call("ecr", "get_authorization_token", registryIds=[registry])["authorizationData"]
        user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
        return {
            "authorizationToken": found["authorizationToken"],
            "userName": user,
            "password": password,
            "proxyEndpoint": found["proxyEndpoint"],
            "expiresAt": str(found["expiresAt"]),
        }


def _route(described: Any) -> Properties:
    gateway = described.get("GatewayId", "")
    gateway_key = "vpcEndpointId" if gateway.startswith("vpce-") else "gatewayId"
    return {key: described.get(name, "") for key, name in ROUTE.items()} | {gateway_key: gateway}


def _filters(arguments: Properties) -> list[Any]:
    return [{"Name": filter_["name"], "Values": filter_["values"]} for filter_ in arguments.get("filters", [])]
