"""Configs as the program loads them, good and bad."""

import asyncio
import contextvars
from collections.abc import Collection, Mapping
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import set_all_config

from lls.config import Config, load

KUBECONFIG = yaml.safe_dump({"contexts": [{"name": "one"}, {"name": "two"}], "clusters": [], "users": []})


def loaded(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> Config:
    async def run() -> Config:
        set_all_config(dict(config), list(secret_keys))
        return load()

    return contextvars.Context().run(asyncio.run, run())


def config_problems(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        loaded(config, secret_keys)
    first, *rest = str(caught.value).splitlines()
    assert first == "The stack's config needs a change:"
    return rest


BAD: list[tuple[str, Any, str]] = [
    ("clusterName", "-demo", "use the name of an EKS cluster"),
    ("clusterName", "d" * 101, "1 to 100"),
    ("clusterName", "", "use the name of an EKS cluster"),
    ("instance", "B", "at most 8 lower-case letters and digits"),
    ("instance", "zone-b", "at most 8 lower-case letters and digits"),
    ("instance", "b" * 9, "at most 8 lower-case letters and digits"),
    ("availabilityZone", "us-east-1a", "use a zone of aws:region us-west-2"),
    ("availabilityZone", "usw2-az1", "not a zone id"),
    ("availabilityZone", "us-west-2", "such as us-west-2a"),
    ("udpPort", 0, "1 to 65535"),
    ("udpPort", 65536, "1 to 65535"),
    ("udpPort", "five", "use a whole number"),
    ("udpPort", 30504, "use another port: lls:udpPort has this one"),
    ("allowedCidrs", [], "at least one CIDR"),
    ("allowedCidrs", ["10.0.0.0/8", "10.0.0.0/8"], "each only once"),
    ("allowedCidrs", ["10.0.0.1/8"], "without host bits"),
    ("allowedCidrs", "10.0.0.0/8", "give a list: pulumi config set --path 'lls:allowedCidrs[0]' VALUE"),
    ("allowedCidrs", [10], "use a text: put it in quotes"),
    ("staticIp", "maybe", "use true or false"),
    ("staticIp", "on", "use true or false"),
    ("staticIp", 1, "use true or false"),
    ("allowedCidrs", ["everyone"], "IPv4 CIDR"),
    ("allowedCidrs", ["everyone"], "a managed prefix list, such as pl-"),
    ("allowedCidrs", ["pl-list"], "a managed prefix list, such as pl-"),
    ("allowedCidrs", ["2001:db8::/32"], "the load balancer speaks IPv4 only"),
    ("allowedCidrs", ["0.0.0.0/0", "::/0"], "the load balancer speaks IPv4 only"),
    ("allowedCidrs", ["2001:db8::1/32"], "the load balancer speaks IPv4 only"),
    ("eipAllocationId", "203.0.113.5", "use an allocation id"),
    ("dnsName", "stream", "use a whole host name"),
    ("dnsName", "Stream.example.com", "in lower case"),
    ("dnsName", "stream.example.com.", "without a dot at its end"),
    ("dnsName", "*.example.com", "use a whole host name"),
    ("dnsName", "203.0.113.5", "use a whole host name"),
    ("dnsName", "stream_1.example.com", "use a whole host name"),
    ("dnsName", "-stream.example.com", "use a whole host name"),
    ("dnsName", f"{'a' * 64}.example.com", "at most 63"),
    ("dnsName", ".".join(["abcdefghi"] * 26), "use a whole host name"),
    ("hostedZoneId", "example.com", "use the id of a Route 53 hosted zone"),
    ("hostedZoneId", "/hostedzone/Z0123456789", "use the id of a Route 53 hosted zone"),
    ("hostedZoneId", "Z0123456789ABCDEFGHIJ", "set lls:dnsName too"),
    ("hostedZoneId", "none", "set lls:dnsName too"),
    ("vpcId", "subnet-1", "use a VPC's id"),
    ("publicSubnetId", "vpc-1", "use a subnet's id"),
    ("nodeSecurityGroupId", "default", "use a security group's id"),
    ("nodeSecurityGroupIds", ["default"], "use a security group's id"),
    ("nodeSecurityGroupIds", [""], "use a security group's id"),
    ("nodeSecurityGroupIds", ["sg-0a", "sg-0a"], "list each only once"),
    ("targetType", "lambda", "'ip' or 'instance'"),
    ("registration", "magic", "'nodes', 'static'"),
    ("registration", "autoscaling", "autoscaling registers instances: set lls:targetType instance"),
    ("registration", "binding", "binding registers instances: set lls:targetType instance"),
    ("replicas", "2", "more than one needs lls:stickiness true"),
    ("deregistrationDelay", "3601", "use 0 to 3600 seconds"),
    ("drainSeconds", "-1", "use 0 to 3600 seconds"),
    ("servicePort", "0", "use a port from 1 to 65535"),
    ("nodeGroups", [""], "use the name of a managed node group"),
    ("nodeGroups", ["gpu", "gpu"], "each node group only once"),
    ("serviceName", "Proxy", "use the name of a service"),
    ("targets", [], "at least one target"),
    ("targets", ["10.0.0.1", "10.0.0.1"], "each only once"),
    ("targets", ["i-0a1b2c3d"], "needs IPv4 addresses"),
    ("nodeSelector", {"bad key": "x"}, "use a Kubernetes label key"),
    ("nodeSelector", {"node-type": "with space"}, "use a Kubernetes label value"),
    ("nodeSelector", {"gpu": 1.5}, "put it in quotes"),
    ("nodeSelector", {"gpu": None}, "null is no text"),
    ("nodeSelector", {"gpu": ["yes"]}, "use a text"),
    ("nodeSelector", {"gpu": 2**53 + 1}, "put it in quotes"),
    ("nodeSelector", ["node-type"], "give a mapping: pulumi config set --path 'lls:nodeSelector.NAME' VALUE"),
    ("streamingNodePort", 29999, "30000 to 32767"),
    ("healthNodePort", 32768, "30000 to 32767"),
    ("healthNodePort", 30504, "use another port: lls:streamingNodePort has this one"),
    ("healthPath", "v1/health", "begins with /"),
    ("healthPath", "/with space", "no spaces"),
    ("repositoryPrefix", "Upper", "'upper'"),
    ("chart", "oci://registry.example/Charts/x", "lower case"),
    ("chart", "oci://registry.example/charts/x:1.0.0", "lls:chartVersion"),
    ("chart", "./missing", "existing chart folder"),
    ("chartVersion", "latest", "exact semantic version"),
    ("chartVersion", ">=2.0.0", "exact semantic version"),
    ("imageRepository", "oci://registry.example/x", "without oci://"),
    ("imageRepository", "registry.example/x:1", "lls:imageTag"),
    ("imageTag", "2.0.1 ", "image tag"),
    ("registryConfig", "missing.json", "existing docker-style auth file"),
    ("namespace", "default", "neither default"),
    ("namespace", "kube-system", "neither default"),
    ("namespace", "n" * 64, "at most 63"),
    ("releaseName", "r" * 54, "at most 53"),
    ("releaseName", "Release", "a-z"),
    ("replicas", 0, "at least 1"),
    ("cpu", "5 cores", "Kubernetes quantity"),
    ("cpu", "0", "positive"),
    ("memory", "24GB", "Kubernetes quantity"),
    ("memory", "-1Gi", "positive"),
    ("helmTimeout", 0, "at least 1"),
    ("helmValues", "text", "give a mapping"),
    ("helmValues", {"env": {"debug": True}}, "Kubernetes takes only a text for an environment variable"),
    ("helmValues", {"id": 2**53 + 1}, "loses digits"),
    ("deletionProtection", "perhaps", "use true or false"),
    ("tags", {"aws:owner": "me"}, "not aws:"),
    ("tags", {"k" * 129: "v"}, "1 to 128"),
    ("tags", {"key": "v" * 257}, "at most 256"),
    ("tags", {f"key{number}": "" for number in range(46)}, "at most 45"),
    ("tags", {"lls:instance": "b"}, "set the key lls:instance instead"),
    ("tags", {"release": 1.1}, "put it in quotes"),
    ("tags", {"release": None}, "null is no text"),
    ("kubeContext", "one", "which has: none"),
    ("alarmTopicArn", "pager", "use the ARN of an SNS topic, such as arn:aws:sns:us-west-2:123456789012:pager"),
    ("alarmTopicArn", "arn:aws:sqs:us-west-2:123456789012:pager", "use the ARN of an SNS topic"),
    ("alarmTopicArn", "arn:aws:sns:us-east-1:123456789012:pager", "use one in aws:region us-west-2"),
    ("alarmTopicArn", "arn:aws:sns:us-west-2:123456789012:pager.fifo", "cannot notify a FIFO topic"),
    ("alarmThresholds", {"hosts": 1}, "use one of healthyHosts, unhealthyHosts"),
    ("alarmThresholds", {"healthyHosts": 0}, "healthyHosts 0: use 1 to 500"),
    ("alarmThresholds", {"healthyPercent": 101}, "healthyPercent 101: use 1 to 100"),
    ("alarmThresholds", {"healthyHosts": 1.5}, "use a whole number"),
    ("alarmThresholds", [1], "give a mapping"),
    ("dashboard", "perhaps", "use true or false"),
]
