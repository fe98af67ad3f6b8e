"""Which of the targets carry a security group, as EC2 tells of their instances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import pulumi_aws as aws

from lls.asking import ask
from lls.cluster_api import ClusterApi
from lls.config import Config
from lls.instances import find_instances
from lls.target_registration import ZONE_LABEL, Targets

STANDING: Final = ("pending", "running", "stopping", "stopped")
"""States of instances that are there, or will be again: only those have an address and security groups."""

SHOWN: Final = 10
"""Targets of which an error says what they carry: each is a question of its own."""


@dataclass
class Carriers:
    """The targets' instances: those whose EC2 filter `key` has one of the values, within the other `filters`.

    `targets` are their ids or addresses, where these are known before EC2 is asked. Questions raise pulumi.RunError.
    """

    key: str
    values: Sequence[str]
    filters: Mapping[str, str]
    targets: frozenset[str] = frozenset()
    _carrying: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """The targets that have an instance, each with its address."""
        return self._ask({})

    def of(self, group: str) -> frozenset[str]:
        """The targets that carry a group on their instance's first network interface, to which load balancers send."""
        if group not in self._carrying:
            self._carrying[group] = frozenset(self._ask({"instance.group-id": group}))
        return self._carrying[group]

    def of_any(self, groups: Iterable[str]) -> frozenset[str]:
        """The targets that carry one of these groups."""
        return frozenset[str]().union(*map(self.of, groups))

    def are_all(self, groups: Iterable[str]) -> bool:
        """Whether each target that has an instance carries one of these groups; not where none has an instance."""
        found = self.of_any(groups)
        return bool(found) and (found == self.targets or found == frozenset(self.addresses))

    def bare(self, groups: Sequence[str]) -> Sequence[str]:
        """The targets that have an instance, and carry none of these groups."""
        return () if self.are_all(groups) else sorted(self.addresses.keys() - self.of_any(groups))

    def untold(self, groups: Sequence[str]) -> str:
        """Of which targets it cannot be told whether they carry one of these groups; empty where of all."""
        covered = self.of_any(groups)
        if covered and covered == self.targets:
            return ""
        missing = sorted(self.targets - self.addresses.keys()) or (() if self.addresses else self.values)
        if not missing and self.addresses:
            return ""
        return (
            f"no instance of {self.filters['vpc-id']} is known for {', '.join(missing) or 'the labelled nodes'}, "
            f"so whether they carry {' or '.join(groups)} cannot be told"
        )

    def describe(self, targets: Sequence[str]) -> str:
        """What some of the targets that have an instance carry, in a sentence."""
        told = [f"{target} carries {self._groups_of(target)}" for target in targets[:SHOWN]]
        return "; ".join(told) + (f" ({len(targets) - SHOWN} more)." if len(targets) > SHOWN else ".")

    def _groups_of(self, target: str) -> str:
        filters = {"vpc-id": self.filters["vpc-id"], "addresses.private-ip-address": self.addresses[target]}
        try:
            found = aws.ec2.get_network_interface(
                filters=[
                    aws.ec2.GetNetworkInterfaceFilterArgs(name=name, values=[value]) for name, value in filters.items()
                ]
            )
        except Exception as error:  # whoever reads it is being told of an error already
            return f"what could not be read ({' '.join(str(error).split())})"
        return ", ".join(sorted(found.security_groups)) or "no group"

    def _ask(self, more: Mapping[str, str]) -> Mapping[str, str]:
        found = find_instances({**self.filters, **more}, self.key, self.values, states=STANDING)
        by_address = self.key == "private-ip-address"
        return {address if by_address else instance: address for instance, address in found.items()}


def find_carriers(config: Config, vpc_id: str, targets: Targets, api: ClusterApi) -> Carriers:
    """The instances of a stack's targets, whoever registers them. Raises pulumi.RunError."""
    here = {"vpc-id": vpc_id}
    if targets.autoscaling_groups:
        zone = {"availability-zone": config.availability_zone}
        return Carriers("tag:aws:autoscaling:groupName", targets.autoscaling_groups, here | zone)
    if targets.binding:
        labels = {**targets.binding.node_selector, ZONE_LABEL: targets.binding.availability_zone}
        found = ask(
            "nodes in the Kubernetes API",
            lambda: api.nodes(labels),
            "Check that `aws eks get-token` works here and may list nodes, or set lls:kubeconfig and lls:kubeContext.",
        )
        provider_ids = [(node.spec.provider_id if node.spec else None) or "" for node in found]
        ids = sorted(id_.rpartition("/")[2] for id_ in provider_ids if id_.startswith("aws:"))
        return Carriers("instance-id", ids, here, frozenset(ids))
    key = "instance-id" if config.target_type == "instance" else "private-ip-address"
    return Carriers(key, targets.ids, here, frozenset(targets.ids))
