"""What the stack needs to be allowed: in AWS as docs/iam-policy.json says, and in the cluster."""

import json
from typing import Final

from lls.config import Config
from lls.operations.stack import PROJECT

POLICY: Final = PROJECT / "docs" / "iam-policy.json"
"""The IAM policy: statements Deploy (`up`), CleanUp (`destroy`, `sweep`) and Operate (the other commands)."""

CLUSTER: Final = (
    ("list", "nodes", False),
    ("create", "namespaces", False),
    ("delete", "namespaces", False),
    ("create", "secrets", True),
    ("create", "services", True),
    ("create", "deployments.apps", True),
)
"""What the cluster must allow: verb, resource, and whether within the stack's namespace."""


def needed_actions(config: Config) -> tuple[str, ...]:
    """The IAM actions of `up` and `destroy` for a stack's config."""
    statements = {each["Sid"]: each["Action"] for each in json.loads(POLICY.read_text())["Statement"]}
    actions = {*statements["Deploy"], *statements["CleanUp"]}
    if not config.static_ip or config.eip_allocation_id:
        actions -= {"ec2:AllocateAddress", "ec2:ReleaseAddress"}
    if config.chart or config.registry_config:
        actions = {each for each in actions if not each.startswith("ecr:")}
    if config.registration != "autoscaling":
        actions = {each for each in actions if not each.startswith("autoscaling:") and "Nodegroup" not in each}
    return tuple(sorted(actions))
