"""What to run about a finding, such that it changes the case."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pulumi

from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Thing, deregistration
from lls.operations.world.network_acl import Denial
from lls.operations.world.proxy import CLUSTER_FAILURES
from lls.operations.world.registration import eligible_targets, registered_by
from lls.operations.world.states import State


@dataclass(frozen=True)
class Remedies:
    """The remedies for one stack's `targets`, by id. `state` is None where it cannot be read."""

    installation: Installation
    state: State | None
    balancer_arn: str
    targets: Mapping[str, Thing]
    _acl_rules: dict[tuple[str, str], dict[Hashable, int]] = field(
        default_factory=dict[tuple[str, str], dict[Hashable, int]]
    )
    """Numbers of the rules that were told of, by ACL and direction, and by what they allow."""

    @property
    def up(self) -> str:
        """What makes again, or puts right, what somebody deleted or changed by hand."""
        stack = self.installation.stack.name
        if self.state is None or not self.balancer_arn or self.balancer_arn in self.state.ids:
            return f"pulumi up --refresh --stack {stack}"
        return f"python -m lls adopt --stack {stack}, its import, then pulumi up --stack {stack}"

    def removal(self, target: str) -> str:
        """What takes out a target for good."""
        config, stack = self.installation.config, self.installation.stack.name
        by_hand = deregistration(self.targets[target])
        if config.registration == "autoscaling":
            return f"nothing, if its Auto Scaling group is replacing it; by hand: {by_hand}"
        if config.registration == "binding":
            return f"nothing, if the AWS Load Balancer Controller runs, which deregisters it; by hand: {by_hand}"
        if self.state is None or target not in registered_by(self.state):
            return by_hand
        if config.registration == "static" and target in config.targets:
            return f"take {target} out of lls:targets, then pulumi up --stack {stack}"
        if self._eligible is not None and target not in self._eligible:
            return f"pulumi up --stack {stack}"
        return f"delete its node from the cluster (kubectl delete node), then pulumi up --stack {stack}"

    def start(self, instance_id: str) -> str:
        """What starts an instance that is stopped."""
        region = self.installation.config.region
        return f"aws ec2 start-instances --region {region} --instance-ids {instance_id}"

    def allow_in_acl(self, denial: Denial) -> str:
        """The rule that lets a network ACL pass what it denies. No two have one number."""
        told = self._acl_rules.setdefault((denial.acl_id, denial.leg.direction), {})
        used = {*denial.taken, *(number for key, number in told.items() if key != _wanted(denial))}
        number = next((number for number in range(denial.rule - 1, 0, -1) if number not in used), None)
        if number is None:
            return f"delete rule {denial.rule} of {denial.acl_id}, or give it a number above a rule that allows this"
        number = told.setdefault(_wanted(denial), number)
        first, last = denial.ports
        peer = denial.peer if "/" in denial.peer else f"{denial.peer}/32"
        return (
            f"aws ec2 create-network-acl-entry --region {self.installation.config.region} "
            f"--network-acl-id {denial.acl_id} --{'egress' if denial.leg.direction == 'out' else 'ingress'} "
            f"--rule-number {number} --protocol {denial.leg.protocol} --port-range From={first},To={last} "
            f"--cidr-block {peer} --rule-action allow"
        )

    @cached_property
    def _eligible(self) -> frozenset[str] | None:
        """The targets that an `up` would register now; None where that cannot be told."""
        try:
            return eligible_targets(self.installation)
        except (AwsError, pulumi.RunError, *CLUSTER_FAILURES):
            return None


def _wanted(denial: Denial) -> Hashable:
    """What a rule against a denial allows."""
    return denial.leg.protocol, denial.ports, denial.peer
