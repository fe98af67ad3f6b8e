"""What the contract promises to other stacks."""

CONTRACT_OUTPUTS = {
    "clusterName",
    "region",
    "availabilityZone",
    "vpcId",
    "nlbName",
    "nlbArn",
    "nlbDnsName",
    "nlbZoneId",
    "staticIp",
    "udpPort",
    "streamingEndpoint",
    "securityGroupId",
    "nodeSecurityGroupId",
    "targetGroupArn",
    "targetType",
    "targets",
    "namespace",
    "releaseName",
    "chartVersion",
    "alarmNames",
}
