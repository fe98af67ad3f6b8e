"""AWS's partitions: the part of ARNs and host names that depends on where a region is."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session


@dataclass(frozen=True)
class Partition:
    """`id` is the second part of every ARN, such as aws or aws-cn; `dns_suffix` ends the names of service endpoints."""

    id: str
    dns_suffix: str

    def arn(self, service: str, resource: str, *, region: str = "", account: str = "") -> str:
        """The ARN of a resource; `account` may also be `aws`, for what is AWS's own."""
        return f"arn:{self.id}:{service}:{region}:{account}:{resource}"


@cache
def partition_of(region: str) -> Partition:
    """The partition of a region, also of one that is newer than botocore; of one that fits none, `aws`."""
    partitions: list[Any] = botocore.session.get_session().get_data("partitions")["partitions"]
    fitting = (partition for partition in partitions if re.fullmatch(partition["regionRegex"], region))
    found = next(fitting, partitions[0])
    return Partition(found["id"], found["outputs"]["dnsSuffix"])
