"""What an account holds that is an installation's, what only looks like it, and what uses it. Changes nothing."""

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lls import guide
from lls.alarm_rules import RULES as ALARM_RULES
from lls.config import Config
from lls.config.dns import NO_ZONE
from lls.naming import Names
from lls.operations.report.finding import Finding, note, unknown
from lls.operations.world.account import AwsError
from lls.operations.world.inventory import (
    ADDRESS,
    ALARM,
    BALANCER,
    DASHBOARD,
    GROUP,
    INGRESS,
    RULES,
    TARGET_GROUP,
    Interface,
    Inventory,
    Thing,
    alias_change,
    interface_description,
    is_internal,
    of_balancer,
)
from lls.operations.world.ownership import Kind, Owner, Ownership
from lls.operations.world.partition import partition_of


@dataclass(frozen=True)
class Lookalike:
    """Something with this installation's name or one of its tags, and without the other tags.

    Or a DNS record of its name that is left of a load balancer with its name. `why` tells why it is not taken for this
    installation's.
    """

    thing: Thing
    why: str
    remedy: str


@dataclass(frozen=True)
class Dependent:
    """What the deletion of a thing would break, or what AWS refuses it for."""

    thing: Thing
    user: str
    remedy: str
    by: str = ""
    """Id of the user, where it has one."""

    def __str__(self) -> str:
        return f"{self.thing} is used by {self.user}"


class Survey:
    """One look at an account. `things` are the installation's, in the order of the guide's clean-up.

    Alarms and dashboard, attachments and targets, rules of other groups, listeners, DNS records, load balancers, target
    groups, groups, addresses: AWS lets each go once those before it are gone, and no record is left that leads nowhere.
    """

    def __init__(self, inventory: Inventory, config: Config) -> None:
        """Look. Raises AwsError."""
        self._inventory = inventory
        self._config = config
        names = config.names
        with ThreadPoolExecutor() as pool:
            balancing = pool.submit(inventory.all_balancers)
            grouping = pool.submit(inventory.target_groups)
            addressing = pool.submit(inventory.addresses)
            tagged = pool.submit(inventory.groups, tag__lls_cluster=names.cluster)
            named = pool.submit(inventory.groups, group_name=names.security_group)
            tagged_rules = pool.submit(inventory.tagged_rules, names.cluster)
            naming_it = pool.submit(_records_of_the_name, inventory, config)
            watching = pool.submit(self._watching)
            self._balancers = balancing.result()
            self._target_groups = grouping.result()
            self._addresses = addressing.result()
            self._groups = list({group.id: group for group in (*tagged.result(), *named.result())}.values())
            self._rules = tagged_rules.result()
            self._watchers, self._unwatched = watching.result()
            balancers = [
                balancer for balancer in self._balancers if balancer.type == BALANCER and names.claims(balancer.tags)
            ]
            target_groups = [group for group in self._target_groups if names.claims(group.tags)]
            groups = [group for group in self._groups if names.claims(group.tags)]
            self._records = [of_balancer(record, self._balancers) for record in naming_it.result()]
            listeners = pool.map(inventory.listeners, (balancer.id for balancer in balancers))
            targets = pool.map(inventory.targets, (group.id for group in target_groups))
            attachments = pool.submit(inventory.attachments, [group.id for group in target_groups])
            naming = pool.submit(inventory.rules_naming, [group.id for group in groups])
            inner = {group.id for group in groups}
            ours = {balancer.id for balancer in balancers}
            self._naming = {rule.id: (rule, group) for rule, group in naming.result()}
            rules = {rule.id: rule for rule in self._rules if names.claims(rule.tags)} | {
                id_: rule for id_, (rule, group) in self._naming.items() if _is_for_the_nodes(rule, group, config)
            }
            self.things: tuple[Thing, ...] = (
                *(watcher for watcher in self._watchers if names.claims(watcher.tags)),
                *attachments.result(),
                *(target for found in targets for target in found),
                *(rule for _, rule in sorted(rules.items()) if rule.inputs["securityGroupId"] not in inner),
                *(listener for found in listeners for listener in found),
                *(record for record in self._records if ours & {*record.holders}),
                *balancers,
                *target_groups,
                *groups,
                *(address for address in self._addresses if names.claims(address.tags)),
            )

    def _watching(self) -> tuple[list[Thing], AwsError | None]:
        """The alarms and the dashboard of this installation's names; or why CloudWatch did not let us look."""
        names = self._config.names
        try:
            dashboard = self._inventory.dashboard(names.dashboard(self._config.region))
            return [*self._inventory.alarms(names.alarm("")), *([dashboard] if dashboard else [])], None
        except AwsError as error:
            if not error.denied:
                raise
            return [], error

    def unseen(self, ownership: Ownership) -> list[Finding]:
        """That CloudWatch could not be looked into: it matters where there may be something of ours in it."""
        if self._unwatched is None:
            return []
        seen, remedy = f"not looked into: {self._unwatched}", "docs/iam-policy.json has what to allow"
        own, config = ownership.own, self._config
        if own and not (config.alarm_topic_arn or config.dashboard or own.types & {ALARM, DASHBOARD}):
            return [note("alarms", f"{seen} Neither config nor state has an alarm or a dashboard.", remedy)]
        return [unknown("alarms", seen, remedy)]

    @property
    def lookalikes(self) -> list[Lookalike]:
        """What has this installation's name, or is tagged with its cluster, without all of its tags."""
        names, region = self._config.names, self._config.region
        called = {
            BALANCER: {names.nlb},
            TARGET_GROUP: {self._config.target_group_name, _guides_target_group(names)},
            GROUP: {names.security_group},
            ADDRESS: {names.elastic_ip},
            ALARM: {names.alarm(rule.name) for rule in ALARM_RULES},
            DASHBOARD: {names.dashboard(region)},
        }
        known = {thing.id for thing in self.things}
        outer = (rule for rule in self._rules if rule.inputs["securityGroupId"] not in known)
        candidates = (*self._balancers, *self._target_groups, *self._groups, *self._addresses, *outer, *self._watchers)
        return [
            Lookalike(candidate, _lacking(names.missing(candidate.tags)), _tagging(candidate, names, region))
            for candidate in candidates
            if candidate.id not in known
            and (
                names.resembles(candidate.tags)
                or (_nameless(candidate.tags) and candidate.name in called.get(candidate.type, ()))
            )
        ] + [
            Lookalike(record, f"it leads to {record.leads_to}, a load balancer that is not there", _deletion(record))
            for record in self._records
            if not record.holders and _was_of(record, names, region)
        ]

    def owner_of(self, thing: Thing, ownership: Ownership) -> Owner:
        """Whose one of the `things` is. A rule between nodes is also the cluster's other installations', if any."""
        owner = ownership.of(thing)
        if owner.kind is Kind.NOBODYS and self._is_between_nodes(thing):
            for balancer in self._balancers:
                if self._config.names.is_beside(balancer.tags):
                    why = f"the nodes of {balancer.name} need it too; let that one's stack make it (docs/zones.md)"
                    return Owner(Kind.UNKNOWN, why=why, is_mistaken=True)
        return owner

    def _is_between_nodes(self, thing: Thing) -> bool:
        """Whether a thing is a rule that lets nodes in, of the same security group or, as only we make it, another."""
        if thing.inputs.get("referencedSecurityGroupId") == thing.inputs.get("securityGroupId", ""):
            return True
        return thing.type == INGRESS and is_internal(thing.inputs) and self._config.names.claims(thing.tags)

    def dependents(self, doomed: Iterable[Thing]) -> list[Dependent]:
        """What uses these things, or protects them, and is not itself among them. Raises AwsError."""
        things = {thing.id: thing for thing in doomed}
        groups = [thing for thing in things.values() if thing.type == GROUP]
        addresses = {thing.state: thing for thing in things.values() if thing.type == ADDRESS and thing.state}
        found = [
            *self._protected(things.values()),
            *self._offered(things),
            *self._balancers_beyond(things),
            *self._target_groups_beyond(things),
        ]
        region = self._config.region
        for rule in (thing for thing in things.values() if thing.type in RULES):
            source = rule.inputs.get("referencedSecurityGroupId")
            if source and source not in things and not self._is_between_nodes(rule):
                user = f"the members of security group {source}, which stays"
                found.append(Dependent(rule, user, self._remedy_of(source) or f"delete {source} first", source))
        for id_, (rule, group) in self._naming.items():
            source = rule.inputs["referencedSecurityGroupId"]
            if id_ not in things and source in things and group.id not in things:
                way = "ingress" if rule.type == INGRESS else "egress"
                remedy = (
                    f"if nothing needs it: aws ec2 revoke-security-group-{way} --region {region} --group-id {group.id} "
                    f"--security-group-rule-ids {id_}"
                )
                found.append(Dependent(things[source], f"{way} rule {id_} of {group}", remedy, id_))
        told = {(dependent.thing.id, dependent.by) for dependent in found}
        for interface in self._inventory.interfaces(groups=[group.id for group in groups], ids=sorted(addresses)):
            balancer = self._holder_of(interface)
            if balancer in things or (interface.is_balancers and not balancer):
                continue  # it goes with its load balancer, or that is gone already and it lingers
            used = [group for group in groups if group.id in interface.group_ids]
            used += [addresses[interface.id]] if interface.id in addresses else []
            found += [
                Dependent(thing, str(interface), f"free it of {thing.id}, or delete it", interface.id)
                for thing in used
                if (thing.id, balancer) not in told
            ]
        return found

    def _protected(self, doomed: Iterable[Thing]) -> Iterable[Dependent]:
        for thing in doomed:
            if thing.type == BALANCER and self._inventory.is_protected(thing):
                yield Dependent(
                    thing,
                    "somebody: its deletion protection is on",
                    f"aws elbv2 modify-load-balancer-attributes --region {self._config.region} "
                    f"--load-balancer-arn {thing.id} --attributes Key=deletion_protection.enabled,Value=false",
                )

    def _offered(self, doomed: Mapping[str, Thing]) -> Iterable[Dependent]:
        """VPC endpoint services that offer a load balancer that goes. AWS deletes none that a service offers."""
        if not any(thing.type == BALANCER for thing in doomed.values()):
            return
        region = f"--region {self._config.region}"
        for service, balancers in self._inventory.endpoint_services().items():
            for arn in doomed.keys() & set(balancers):
                remedy = (
                    "if nobody needs it: reject its endpoint connections, then "
                    f"aws ec2 delete-vpc-endpoint-service-configurations {region} --service-ids {service}"
                )
                if set(balancers) - doomed.keys():
                    remedy = (
                        f"if nobody needs it there: aws ec2 modify-vpc-endpoint-service-configuration {region} "
                        f"--service-id {service} --remove-network-load-balancer-arns {arn}"
                    )
                yield Dependent(doomed[arn], f"VPC endpoint service {service}", remedy, service)

    def _remedy_of(self, id_: str) -> str:
        """What to do about a lookalike; empty for anything else."""
        return next((lookalike.remedy for lookalike in self.lookalikes if lookalike.thing.id == id_), "")

    def _balancers_beyond(self, doomed: Mapping[str, Thing]) -> Iterable[Dependent]:
        """Load balancers, of any type, that stay and use what goes."""
        why = {lookalike.thing.id: lookalike for lookalike in self.lookalikes}
        for balancer in self._balancers:
            if balancer.id in doomed:
                continue
            like = why.get(balancer.id)
            remedy = like.remedy if like else "free it of that, or delete it, first"
            serving = [group.id for group in self._target_groups if balancer.id in group.state.split(", ")]
            for id_ in (*balancer.uses, *serving):
                if id_ in doomed:
                    user = f"{balancer}, which stays" + (f": {like.why}" if like else "")
                    yield Dependent(doomed[id_], user, remedy, balancer.id)

    def _target_groups_beyond(self, doomed: Mapping[str, Thing]) -> Iterable[Dependent]:
        """Target groups that stay and are served by a load balancer that goes."""
        for group in self._target_groups:
            for arn in group.state.split(", "):
                if arn in doomed and group.id not in doomed:
                    remedy = "its targets would be cut off: keep both, or delete its listener first"
                    yield Dependent(doomed[arn], f"{group}, which stays", remedy, group.id)

    def _holder_of(self, interface: Interface) -> str:
        """The ARN of the load balancer that an interface is of; empty where it is none's."""
        holders = (
            balancer.id for balancer in self._balancers if interface.description == interface_description(balancer)
        )
        return next(holders, "")


def _is_for_the_nodes(rule: Thing, group: Thing, config: Config) -> bool:
    """Whether a rule that names the load balancer's group is the guide's 4.3: it lets the cluster's nodes answer."""
    cluster = config.cluster_name
    is_anothers = not _nameless(rule.tags) and not config.names.resembles(rule.tags)
    return (rule.type == INGRESS and not is_anothers) and (
        group.id == config.node_security_group_id
        or f"kubernetes.io/cluster/{cluster}" in group.tags
        or group.tags.get("aws:eks:cluster-name") == cluster
    )


def _guides_target_group(names: Names) -> str:
    return names.target_group(port=guide.STREAMING_NODE_PORT, target_type=guide.TARGET_TYPE)


def _records_of_the_name(inventory: Inventory, config: Config) -> list[Thing]:
    """The records of the endpoint's name in the zones that could be the stack's; Route 53 is asked for no other."""
    if not config.dns_name or config.hosted_zone_id == NO_ZONE:
        return []
    return inventory.records(config.dns_name, config.hosted_zone_id)


def _was_of(record: Thing, names: Names, region: str) -> bool:
    """Whether a record is an alias of what this installation's load balancer was called, at some time."""
    own = rf"{re.escape(names.nlb.lower())}-[0-9a-f]{{16}}\.elb\.{region}\.{re.escape(partition_of(region).dns_suffix)}"
    return record.id.endswith("_A") and "aliases" in record.inputs and re.fullmatch(own, record.leads_to) is not None


def _deletion(record: Thing) -> str:
    """The command that deletes an alias, which nobody can tell whose it was."""
    change = alias_change("DELETE", record.inputs)
    return (
        f"if it is this installation's: aws route53 change-resource-record-sets --hosted-zone-id "
        f"{change['HostedZoneId']} --change-batch '{json.dumps(change['ChangeBatch'])}'"
    )


def _lacking(missing: Iterable[str]) -> str:
    tags = list(missing)
    return f"it lacks the tag{'s' * (len(tags) > 1)} {', '.join(tags)}"


def _nameless(tags: Mapping[str, str]) -> bool:
    """Whether no tag says which cluster a thing belongs to."""
    return "lls:cluster" not in tags


def _tagging(thing: Thing, names: Names, region: str) -> str:
    """The command that makes a thing this installation's by its tags, or lets an address go, which the guide leaves."""
    if thing.type == ADDRESS:
        return f"aws ec2 release-address --allocation-id {thing.id}"
    if thing.type == DASHBOARD:
        command = f"aws cloudwatch delete-dashboards --region {region} --dashboard-names {thing.id}"
        return f"if it is this installation's: {command}; then run this again"
    tags = " ".join(f"Key={tag.replace('=', ',Value=')}" for tag in names.missing(thing.tags))
    if thing.type == GROUP or thing.type in RULES:
        tagging = f"aws ec2 create-tags --region {region} --resources {thing.id} --tags {tags}"
    elif thing.type == ALARM:
        tagging = f"aws cloudwatch tag-resource --region {region} --resource-arn {thing.known_as} --tags {tags}"
    else:
        tagging = f"aws elbv2 add-tags --region {region} --resource-arns {thing.id} --tags {tags}"
    return f"if it is this installation's: {tagging}; then run this again"
