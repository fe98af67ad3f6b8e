"""A world in which all is found and nothing is real: what is left of a change is the program's and the engine's."""

import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from lls import artifacts, targets
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.operations.program.recording import Properties
from lls.operations.world.inventory import INGRESS


@contextmanager
def nothing_asked() -> Generator[None]:
    """Within it the program asks no cluster and writes no file."""
    with (
        patch.object(targets, "find_ids", _targets),
        patch.object(artifacts, "write_auth_file", return_value="registry.json"),
        patch.object(ClusterApi, "serves", return_value=True),
        patch.object(ClusterApi, "nodes", return_value=[]),
    ):
        yield


def _targets(config: Config, *_: object) -> tuple[str, ...]:
    if config.registration == "static":
        return tuple(sorted(config.targets))
    return ("i-0a1b2c3d",) if config.target_type == "instance" else ("10.0.0.1",)


class InventedProvider:
    """Finds all that is looked up, and makes things that are nothing but an id and outputs."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self._rules: list[Properties] = []

    def now(self) -> float:
        """Time stands still."""
        return 0

    def check(self, type_: str, inputs: Properties) -> None:
        """Nothing is refused."""

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """An id, and the outputs that the program refers to."""
        id_ = f"{type_.rpartition(':')[2]}-{uuid.uuid4()}"
        if type_ == INGRESS:
            self._rules.append(inputs)
        return id_, {
            key: f"{key} of {id_}" for key in ("arn", "arnSuffix", "dnsName", "zoneId", "allocationId", "publicIp")
        }

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Nothing else changes."""
        return {}

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Nothing is there to delete."""

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """Everything is as it was made."""
        return inputs, {}

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Whatever is looked up is found."""
        filters = {filter_["name"]: filter_["values"][0] for filter_ in arguments.get("filters", ())}
        answers: Mapping[str, Properties] = {
            "getCallerIdentity": {"accountId": "123456789012"},
            "getPartition": {"dnsSuffix": "amazonaws.com"},
            "getCluster": {
                "arn": f"arn:aws:eks:us-west-2:123456789012:cluster/{arguments.get('name')}",
                "endpoint": "https://cluster.example",
                "certificateAuthorities": [{"data": "Y2E="}],
                "vpcConfig": {"vpcId": "vpc-1", "clusterSecurityGroupId": "sg-c1"},
            },
            "getSubnets": {"ids": [f"subnet-of-{filters.get('availability-zone')}"]},
            "getRouteTables": {
                "ids": [f"rtb-of-{value}" for value in filters.get("association.subnet-id", "").split()]
            },
            "getRouteTable": {"routeTableId": "rtb-1", "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]},
            "getInternetGateway": {"internetGatewayId": "igw-1"},
            "getSecurityGroups": {"ids": ["sg-a1"]},
            "getInstances": {"ids": ["i-0a1b2c3d"], "privateIps": ["10.0.0.1"]},
            "getSecurityGroupRules": {"ids": self._rules_named(arguments)},
            "getZone": {
                "zoneId": arguments.get("zoneId") or "Z0FOUND",
                "name": "example.com",
                "nameServers": [],
                "privateZone": False,
            },
            "getElasticIp": {"publicIp": "203.0.113.9"},
            "getAuthorizationToken": {"authorizationToken": "QVdTOnNlY3JldA=="},
            "getNodeGroups": {"names": ["first"]},
            "getNodeGroup": {
                "labels": {"node-type": "compute"},
                "resources": [
                    {
                        "autoscalingGroups": [{"name": f"eks-{arguments.get('nodeGroupName')}"}],
                        "remoteAccessSecurityGroupId": "",
                    }
                ],
            },
            "getGroup": {"availabilityZones": ["us-west-2a"]},
        }
        return answers[token.rpartition(":")[2]]

    def _rules_named(self, arguments: Properties) -> list[str]:
        wanted = {filter_["name"]: filter_["values"] for filter_ in arguments.get("filters", ())}
        return [
            rule["tags"]["Name"]
            for rule in self._rules
            if rule["securityGroupId"] in wanted.get("group-id", ())
            and rule["tags"]["Name"] in wanted.get("tag:Name", ())
        ]
