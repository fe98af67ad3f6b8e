"""Step 4.3 of the guide: on which security groups of the nodes the stack makes its rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.asking import ask
from lls.carriers import Carriers
from lls.cluster import EksCluster
from lls.config import Config
from lls.guide import Port
from lls.node_port_ingress import rule_key


@dataclass(frozen=True)
class NodeSecurityGroups:
    """The groups that get the stack's rules, sorted.

    `main` is the one whose rules have names without its id, if any has: see `_main`.
    """

    ids: tuple[str, ...]
    main: str | None

    @property
    def first(self) -> str:
        """The group of a stack that has one."""
        return self.main or self.ids[0]

    @property
    def more(self) -> tuple[str, ...]:
        """The groups whose rules have names with their ids."""
        return tuple(group for group in self.ids if group != self.main)


def find_node_security_groups(
    config: Config, vpc_id: str, cluster: EksCluster, carriers: Carriers
) -> NodeSecurityGroups:
    """4.3: the given groups, else those called CLUSTER-node-* or the cluster security group, as the targets carry them.

    Raises pulumi.RunError for a given group that no target carries, and where a group would have to be guessed.
    """
    given = config.node_security_group_ids or tuple(filter(None, [config.node_security_group_id]))
    if given:
        _check(config, vpc_id, carriers, given)
    ids = tuple(sorted(given or _choose(config, vpc_id, cluster, carriers)))
    return NodeSecurityGroups(ids, _main(config, ids))


def without_effect(carriers: Carriers, groups: Sequence[str]) -> str:
    """For which targets the rules on these groups do nothing; empty for none."""
    bare = carriers.bare(groups)
    if not bare:
        return ""
    return (
        f"{', '.join(bare)} do not carry {' or '.join(groups)}, so its rules do nothing for them: "
        f"{carriers.describe(bare)} List a group of theirs too, in lls:nodeSecurityGroupIds."
    )


def _check(config: Config, vpc_id: str, carriers: Carriers, given: Sequence[str]) -> None:
    """Each group that the config names must be in the VPC, and on a target where there is any."""
    key = "lls:nodeSecurityGroupIds" if config.node_security_group_ids else "lls:nodeSecurityGroupId"
    problems: list[str] = []
    for group in given:
        if not _security_groups({"vpc-id": vpc_id, "group-id": group}):
            problems.append(f"{key} = {group}: no security group of {vpc_id}. Set it to one that the nodes carry.")
        elif not carriers.of(group) and carriers.addresses:
            problems.append(
                f"{key} = {group}: no target carries it, so its rules would do nothing: "
                f"{carriers.describe(sorted(carriers.addresses))} Set it to one that the nodes carry."
            )
    if problems:
        raise pulumi.RunError("\n".join(problems))


def _choose(config: Config, vpc_id: str, cluster: EksCluster, carriers: Carriers) -> Sequence[str]:
    """The one group that all targets carry, a named one before the cluster's; else the named ones, one or another."""
    name, own = f"{config.cluster_name}-node-*", cluster.security_group_id
    named = _security_groups(
        {"vpc-id": vpc_id, "group-name": name, "tag-key": f"kubernetes.io/cluster/{config.cluster_name}"}
    )
    if not named and not own:
        raise pulumi.RunError(
            f"{vpc_id} has no security group called {name}, and the cluster has none of its own. "
            "Set the one that the nodes carry: pulumi config set lls:nodeSecurityGroupId GROUP"
        )
    on_all = [group for group in named if carriers.are_all([group])]
    if len(on_all) == 1:
        return on_all
    if own and carriers.are_all([own]):
        return [own]
    if not on_all and carriers.addresses:
        carried = [group for group in named if carriers.of(group)]
        if carriers.are_all(carried):
            return carried
        raise pulumi.RunError(
            f"The targets do not all carry one of the security groups called {name} ({', '.join(named) or 'none'}), "
            f"nor all the cluster's ({own or 'none'}): {carriers.describe(sorted(carriers.addresses))} "
            "Set those that they carry: lls:nodeSecurityGroupId, or lls:nodeSecurityGroupIds where they differ."
        )
    if len(named) > 1:
        raise pulumi.RunError(
            f"{vpc_id} has several security groups called {name}: {', '.join(on_all or named)}. "
            "Set the one that the nodes carry: pulumi config set lls:nodeSecurityGroupId GROUP, "
            "or, where node groups have one each, lls:nodeSecurityGroupIds"
        )
    return named or [own]


def _security_groups(filters: Mapping[str, str]) -> list[str]:
    found = ask(
        "security groups of the nodes",
        lambda: aws.ec2.get_security_groups(
            filters=[aws.ec2.GetSecurityGroupsFilterArgs(name=name, values=[value]) for name, value in filters.items()]
        ),
        "Check lls:vpcId, or set lls:nodeSecurityGroupId.",
    )
    return sorted(found.ids)


def _main(config: Config, groups: Sequence[str]) -> str | None:
    """The group whose rules have names without its id: a stack's only one, unless its rules have the id already.

    The rules of a group that stays must keep their names when others come and go: AWS refuses a rule that is there
    already, and a deleted one is missed at once. Which names they have depends on how many groups there were, so AWS
    is asked, by the tag Name. Where no rule is yet, the rules of several groups all have the ids.
    """
    if len(groups) == 1:
        return None if _has_rules(config, groups[0], rule_key(groups[0])) else groups[0]
    return next((group for group in groups if _has_rules(config, group, "")), None)


def _has_rules(config: Config, group: str, key: str) -> bool:
    """Whether a group has rules of this stack whose names end in that key."""
    ports = (Port("udp", config.streaming_node_port), Port("tcp", config.health_node_port), *guide.NODE_INTERNAL_PORTS)
    filters = {
        "group-id": [group],
        "tag:lls:cluster": [config.cluster_name],
        "tag:Name": [config.names.node_rule(port, key) for port in ports],
    }
    found = ask(
        f"rules of security group {group}",
        lambda: aws.vpc.get_security_group_rules(
            filters=[
                aws.vpc.GetSecurityGroupRulesFilterArgs(name=name, values=values) for name, values in filters.items()
            ]
        ),
        "Allow ec2:DescribeSecurityGroupRules (docs/iam-policy.json).",
    )
    return bool(found.ids)
