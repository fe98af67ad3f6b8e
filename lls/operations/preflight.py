"""`preflight`: everything that would make `up` fail or, worse, succeed and not stream, before anything is made."""

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pulumi
from kubernetes.client import AuthorizationV1Api, CoreV1Api

from lls import guide, lookups
from lls.artifacts import find_artifacts
from lls.carriers import find_carriers
from lls.cluster import EksCluster
from lls.cluster_api import REQUEST_TIMEOUT, ClusterApi
from lls.config.dns import NO_ZONE
from lls.fitness import JudgedNode, check_ip_family
from lls.hosted_zone import HostedZone, find_hosted_zone
from lls.node_security_groups import find_node_security_groups, without_effect
from lls.oci import OCI_SCHEME, EcrRegistry, ecr_registry, is_oci, split, tag_of
from lls.operations.program.stack_file import StackError
from lls.operations.report.finding import (
    Check,
    Finding,
    Level,
    Outcome,
    Watcher,
    attempt,
    note,
    ok,
    problem,
    run_checks,
    unknown,
)
from lls.operations.world.account import AwsError
from lls.operations.world.alarm_topic import check_topic
from lls.operations.world.capacity import demand_of, name_of, shortfall, tolerations_for
from lls.operations.world.chart_archive import Chart, ChartError, from_ecr, from_registry, read_local
from lls.operations.world.chart_check import CHECK as CHART_CONTENTS
from lls.operations.world.chart_check import check_chart
from lls.operations.world.cluster_survey import look_into_cluster
from lls.operations.world.endpoint_name import Resolve, addresses_of, judge_name, record_to_make
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import INGRESS, Inventory, Thing, is_internal, of_balancer
from lls.operations.world.network import Network
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE, Kind
from lls.operations.world.partition import partition_of
from lls.operations.world.permissions import CLUSTER, Grant, needed
from lls.operations.world.proxy import CLUSTER_FAILURES
from lls.operations.world.registry import MirrorError, exists, login_remedy, login_to, logins_of, upstream_of
from lls.operations.world.rule_count import count_ipv4
from lls.operations.world.survey import Survey
from lls.public_subnet import find_public_subnet, leads_to_endpoint, leads_to_internet
from lls.sources import RULES_PER_GROUP, RULES_QUOTA, too_many, weigh_sources
from lls.target_registration import Targets
from lls.targets import choose_ids, find_targets, reasons

FREE_ADDRESSES: Final = 8
"""Free addresses that AWS asks of a load balancer's subnet."""

AVAILABILITY_ZONE: Final = "availability-zone"
"""The one type of zone that a Network Load Balancer can be in: no Local Zone, says "Update the Availability Zones for
your Network Load Balancer" in AWS's guide, and Wavelength Zones have Application Load Balancers only."""

CONSTRAINED: Final = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""Ids of zones with limited capacity, by the EKS guide's requirements for subnets. A Network Load Balancer cannot be in
a constrained zone, which no API tells: AWS does, when one is created."""

CLASHING: Final = frozenset({"A", "AAAA", "CNAME"})
"""Types of records that would be in the way of an alias A, or lead some clients elsewhere."""
LONG_NAME: Final = 20
"""Characters of a cluster's name that are too many for streaming: it "must be less than 20 characters", says "Terraform
Installation" of NVCF 0.5 (docs/v0.5/terraform-installation.md of https://github.com/NVIDIA/nvcf); later versions are
silent about it."""

QUOTAS: Final[Mapping[str, tuple[str, str, int]]] = {
    "load balancers": ("elasticloadbalancing", "L-69A177A2", 50),
    "target groups": ("elasticloadbalancing", "L-B22855CB", 3000),
    "Elastic IPs": ("ec2", "L-0263D0A3", 5),
    "rules of a security group": ("vpc", RULES_QUOTA, RULES_PER_GROUP),
}
"""Service Quotas: service, code, and AWS's default for where the value cannot be read."""


@dataclass(frozen=True)
class Place:
    """Where the stack will live, as far as it could be found."""

    cluster: EksCluster
    vpc_id: str
    api: ClusterApi


def run(installation: Installation, watcher: Watcher) -> Outcome:
    """Check everything."""
    return Outcome(Preflight(installation).run(watcher))


class Preflight:
    """The checks of one stack. Nothing is changed."""

    def __init__(self, installation: Installation, resolve: Resolve | None = None) -> None:
        """Check what that stack describes. `resolve` defaults to the system's."""
        self._installation = installation
        self._stack = installation.stack
        self._config = installation.config
        self._account = installation.account
        self._inventory = Inventory(installation.account)
        self._survey: Survey | None = None
        self._survey_failed: AwsError | None = None
        self._targets: Targets | None = None
        self._resolve = resolve or addresses_of
        self._lock = Lock()

    def run(self, watcher: Watcher) -> list[Finding]:
        """Every finding. The first checks decide whether the others can be made.

        Raises AwsError for credentials that AWS does not accept, and what `confirm_account` raises.
        """
        watcher.began("credentials and cluster")
        try:
            caller = self._installation.confirm_account()
        finally:
            watcher.ended("credentials and cluster")
        failures = (AwsError, StackError, MirrorError, *CLUSTER_FAILURES)
        places: list[Place] = []

        def find_place() -> list[Finding]:
            places.append(self._place())
            return []

        first = [
            ok("credentials", f"account {caller.account} as {caller.arn}"),
            *attempt("state", lambda: self._look(watcher), failures),
            *attempt("cluster", find_place, CLUSTER_FAILURES, mistakes=(AwsError, pulumi.RunError)),
        ]
        if not places:
            return first
        [place] = places
        checks: dict[str, Check] = {
            "tools": self._check_tools,
            "permissions": lambda: self._check_permissions(caller.arn),
            "cluster": lambda: self._check_cluster(place),
            "kubernetes": lambda: self._check_kubernetes(place),
            "zone": self._check_zone,
            "subnet": lambda: self._check_subnet(place),
            "quotas": self._check_quotas,
            "sources": lambda: self._check_sources(place),
            "names": lambda: self._check_names(place),
            "node group": lambda: self._check_node_group(place),
            "nodes": lambda: self._check_nodes(place),
            "registration": lambda: self._check_registration(place),
            "node ports": lambda: self._check_node_ports(place),
            "namespace": self._check_namespace,
            "release": self._check_release,
            "elastic ip": self._check_elastic_ip,
            "dns": self._check_dns,
            "chart": self._check_chart,
            "image": self._check_image,
            "alarms": lambda: self._check_alarms(caller.account),
            "leftovers": self._check_leftovers,
        }
        return [*first, *run_checks(checks, watcher, failures, mistakes=(pulumi.RunError,))]

    def _place(self) -> Place:
        config = self._config
        found = self._installation
        cluster = found.ask_as_program(lambda: lookups.find_cluster(config))
        vpc_id = found.ask_as_program(lambda: lookups.find_vpc(config, cluster))
        return Place(cluster, vpc_id, found.api)

    def _find_targets(self, place: Place) -> Targets:
        """Who the targets are, or who keeps them, looked up once for all checks. Raises pulumi.RunError."""
        config = self._config
        with self._lock:
            if self._targets is None:
                found = self._installation.ask_as_program(lambda: find_targets(config, place.vpc_id, place.api))
                self._targets = found
            return self._targets

    # --- AWS

    def _look(self, watcher: Watcher) -> list[Finding]:
        """What exists already, and whose it is: this first, since states are to be read after what they may own."""
        watcher.began("what exists already")
        try:
            self._survey = Survey(self._inventory, self._config)
        except AwsError as error:
            self._survey_failed = error
        finally:
            watcher.ended("what exists already")
        self._in_cluster = look_into_cluster(self._installation)
        self._ownership = self._installation.ownership(watcher)
        mattered = bool(self._found.things or self._in_cluster.has_namespace) if self._survey else True
        found = self._ownership.findings(mattered=mattered)
        own = self._ownership.own
        if own and own.pending:
            found.append(
                problem(
                    "state",
                    f"an interrupted run left operations pending: {', '.join(map(str, own.pending))}",
                    "see docs/runbook.md: cancel it, let the state forget them, then adopt what they made",
                )
            )
        elif own:
            found.append(ok("state", f"{len(own.resources)} resources" if own.resources else "nothing deployed yet"))
        return found

    @property
    def _found(self) -> Survey:
        """What exists already. Raises AwsError where it could not be looked at."""
        if self._survey is None:
            raise self._survey_failed or LookupError("not looked yet")
        return self._survey

    def _check_tools(self) -> list[Finding]:
        if self._config.kubeconfig.get_secret_value() or shutil.which("aws"):
            return [ok("tools", "what fetches the cluster's tokens is there")]
        return [problem("tools", "the aws command is not on the PATH, and fetches the cluster's tokens", "install it")]

    def _check_permissions(self, arn: str) -> list[Finding]:
        _, partition, _, _, account, _ = arn.split(":", 5)
        grants = list(needed(self._config, partition=partition, account=account))
        try:
            principal = self._principal(arn)
            denied = sorted({action for grant in grants for action in self._denied(principal, grant)})
        except AwsError as error:
            return [unknown("permissions", f"could not be simulated: {error}", "docs/iam-policy.json lists them")]
        if denied:
            return [problem("permissions", f"{principal} may not {', '.join(denied)}", "see docs/iam-policy.json")]
        count = len({action for grant in grants for action in grant.actions})
        return [ok("permissions", f"{principal} may do the {count} actions of up and destroy")]

    def _denied(self, principal: str, grant: Grant) -> Iterator[str]:
        answers = self._account.every(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=principal,
            ActionNames=list(grant.actions),
            ResourceArns=list(grant.resources),
            ContextEntries=list(grant.context),
        )
        return (answer["EvalActionName"] for answer in answers if answer["EvalDecision"] != "allowed")

    def _principal(self, arn: str) -> str:
        """The role behind an assumed role's ARN, which is what policies belong to."""
        role = re.fullmatch(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/.*", arn)
        return self._account.call("iam", "get_role", RoleName=role.group(1))["Role"]["Arn"] if role else arn

    def _check_cluster(self, place: Place) -> list[Finding]:
        check_ip_family(place.cluster)
        name = self._config.cluster_name
        status = self._account.call("eks", "describe_cluster", name=name)["cluster"]["status"]
        found = [
            ok("cluster", f"{name} is {status}")
            if status in ("ACTIVE", "UPDATING")
            else problem("cluster", f"{name} is {status}", "wait until it is ACTIVE")
        ]
        if len(name) >= LONG_NAME:
            seen = f"{name} has {len(name)} characters, and NVIDIA's limit for clusters that stream is {LONG_NAME - 1}"
            remedy = "ask NVIDIA whether it holds for your version: another name is another cluster (docs/lines.md)"
            found.append(note("cluster", seen, remedy))
        return found

    def _check_zone(self) -> list[Finding]:
        zone = self._config.availability_zone
        listed = self._account.call("ec2", "describe_availability_zones", AllAvailabilityZones=True)
        found = {described["ZoneName"]: described for described in listed["AvailabilityZones"]}
        usual = [name for name in sorted(found) if found[name].get("ZoneType", AVAILABILITY_ZONE) == AVAILABILITY_ZONE]
        if zone not in found:
            return [problem("zone", f"{self._config.region} has no zone {zone}", f"one of {', '.join(usual)}")]
        if zone not in usual:
            return [
                problem(
                    "zone",
                    f"{zone} is a {found[zone]['ZoneType']}, where AWS has no Network Load Balancers",
                    f"set lls:availabilityZone to one of {', '.join(usual)}, and run GPU nodes there: targets and load "
                    "balancer share a zone",
                )
            ]
        if found[zone]["State"] != "available" or found[zone].get("OptInStatus") == "not-opted-in":
            return [problem("zone", f"{zone} is not available to this account", "opt in to it, or use another")]
        if (id_ := found[zone].get("ZoneId")) in CONSTRAINED:
            return [
                note(
                    "zone",
                    f"{zone} is {id_}, which AWS constrains: it may refuse a Network Load Balancer there",
                    f"if it does, use another of {', '.join(usual)}",
                )
            ]
        return [ok("zone", f"{zone} is available")]

    def _check_subnet(self, place: Place) -> list[Finding]:
        config = self._config
        subnet_id = self._installation.ask_as_program(lambda: find_public_subnet(config, place.vpc_id))
        network = Network(self._account, place.vpc_id)
        free = network.subnet(subnet_id)["AvailableIpAddressCount"]
        found: list[Finding] = []
        target = network.default_route(subnet_id)
        if leads_to_endpoint(target):
            seen = f"{subnet_id}: its default route leads to {target}, and what is behind that is not looked into"
            found.append(note("subnet", seen, "see that it lets clients in, and answers out"))
        elif not leads_to_internet(target):
            found.append(
                problem(
                    "subnet",
                    f"{subnet_id} has no route to an internet gateway, so nothing from outside gets in",
                    "set lls:publicSubnetId to one that has, or add the route 0.0.0.0/0 to an igw-...",
                )
            )
        if free < FREE_ADDRESSES and not self._inventory_has_balancer():
            found.append(
                problem(
                    "subnet",
                    f"{subnet_id} has {free} free addresses; AWS asks for {FREE_ADDRESSES}",
                    "free some, or set lls:publicSubnetId to another public subnet of the zone",
                )
            )
        return found or [ok("subnet", f"{subnet_id} is public, with {free} free addresses")]

    def _inventory_has_balancer(self) -> bool:
        return any(balancer.name == self._config.names.nlb for balancer in self._inventory.balancers())

    def _check_quotas(self) -> list[Finding]:
        config, names = self._config, self._config.names
        balancers, groups = self._inventory.balancers(), self._inventory.target_groups()
        counts = {
            "load balancers": (len(balancers), any(names.claims(balancer.tags) for balancer in balancers)),
            "target groups": (len(groups), any(names.claims(group.tags) for group in groups)),
        }
        if config.static_ip and not config.eip_allocation_id:
            addresses = self._inventory.addresses()
            counts["Elastic IPs"] = (len(addresses), any(names.claims(address.tags) for address in addresses))
        return [self._quota(what, used, ours) for what, (used, ours) in counts.items()]

    def _quota(self, what: str, used: int, ours: bool, more: int = 1) -> Finding:
        """Whether a quota leaves room; `ours` are there already, and count."""
        limit, source = self._limit(what)
        if not ours and used + more > limit:
            return problem("quotas", f"{used} of {limit} {what} are used ({source})", _raise_quota(what, limit * 2))
        return ok("quotas", f"{used} of {limit} {what} are used")

    def _limit(self, what: str) -> tuple[int, str]:
        """The value of a quota, and where it is from."""
        service, code, default = QUOTAS[what]
        try:
            answer = self._account.call("service-quotas", "get_service_quota", ServiceCode=service, QuotaCode=code)
        except AwsError as error:
            return default, f"AWS's default for {code}; the account's own could not be read: {error}"
        return int(answer["Quota"]["Value"]), f"quota {code}"

    def _check_sources(self, place: Place) -> list[Finding]:
        """Whether the load balancer's group has room for a rule for each source, beside those that it has still."""
        config, what = self._config, "rules of a security group"
        weights = self._installation.ask_as_program(lambda: weigh_sources(config))
        limit, _ = self._limit(what)
        wanted = sum(weights.values())
        if wanted > limit:
            return [problem("sources", too_many(weights, limit), f"join CIDRs, or {_raise_quota(what, wanted)}")]
        groups = self._inventory.groups(group_name=config.names.security_group, vpc_id=place.vpc_id)
        held = [rule for rule in self._inventory.rules(group.id for group in groups) if rule.type == INGRESS]
        there = {rule.inputs.get("cidrIpv4") or rule.inputs.get("prefixListId") for rule in held}
        added = sum(weight for source, weight in weights.items() if source not in there)
        used = count_ipv4(self._account, held)
        if added and used + added > limit:
            seen = f"{groups[0]} has {used} of {limit} inbound rules, and {added} would be added before any goes"
            return [
                problem("sources", seen, f"add and remove in several runs of up, or {_raise_quota(what, limit * 2)}")
            ]
        return [ok("sources", f"{len(weights)} sources count as {wanted} of {limit} rules")]

    def _check_names(self, place: Place) -> list[Finding]:
        config, names = self._config, self._config.names
        wanted = {
            names.nlb: self._inventory.balancers(),
            config.target_group_name: self._inventory.target_groups(),
            names.security_group: self._inventory.groups(vpc_id=place.vpc_id),
        }
        alarms = self._inventory.alarms(names.alarm("")) if config.alarm_topic_arn else []
        wanted |= dict.fromkeys(config.alarm_names, alarms)
        if config.dashboard:
            dashboard = self._inventory.dashboard(name := names.dashboard(config.region))
            wanted[name] = [dashboard] if dashboard else []
        taken = [
            finding
            for name, things in wanted.items()
            for thing in things
            if thing.name == name and (finding := self._taken(thing))
        ]
        return taken or [ok("names", f"{', '.join(wanted)}: free, or this stack's")]

    def _taken(self, thing: Thing) -> Finding | None:
        """What is wrong about a thing that has one of the names; nothing where it is this stack's, or a leftover."""
        owner = self._ownership.of(thing)
        if owner.kind is Kind.ANOTHERS:
            remedy = "give this stack names of its own: pulumi config set lls:instance NAME (docs/zones.md)"
            return problem("names", f"{thing} has the name that this stack needs, and {owner}", remedy)
        if owner.kind is Kind.UNKNOWN:
            return unknown("names", f"{thing} has the name that this stack needs, and {owner}", "see states")
        if owner.kind is Kind.OURS or self._config.names.claims(thing.tags):
            return None
        seen = f"{thing} has the name that this stack needs, and is not this cluster's"
        return problem("names", seen, "rename it, or give this stack names of its own: lls:instance")

    def _check_elastic_ip(self) -> list[Finding]:
        allocation = self._config.eip_allocation_id
        if not allocation:
            return []
        self._installation.ask_as_program(lambda: lookups.find_elastic_ip(self._config))
        address = next((address for address in self._inventory.addresses() if address.id == allocation), None)
        ours = any(
            mapping.get("allocationId") == allocation
            for balancer in self._inventory.balancers()
            if self._config.names.claims(balancer.tags)
            for mapping in balancer.inputs["subnetMappings"]
        )
        if address and address.state and not ours:
            return [
                problem("elastic ip", f"{allocation} is held by {address.state}", "release it there, or use another")
            ]
        return [ok("elastic ip", f"{allocation} is free, or this stack's")]

    def _check_dns(self) -> list[Finding]:
        """Whether the endpoint's name is free for a record, or leads to the load balancer if the user makes it."""
        config = self._config
        if not config.dns_name:
            return []
        zone = self._installation.ask_as_program(lambda: find_hosted_zone(config))
        if zone:
            return self._check_records(zone)
        balancer = self._inventory.find_balancer(config.names.nlb)
        if balancer is None:
            seen = f"{config.dns_name}: this stack makes no record, and where yours is to lead is known after up"
            return [note("dns", seen, f"then {record_to_make(config.dns_name, 'nlbDnsName')}; verify checks it")]
        target: str = balancer.outputs["dnsName"]
        make = record_to_make(config.dns_name, target)
        return [judge_name(config.dns_name, target, self._resolve, lambda: make)]

    def _check_records(self, zone: HostedZone) -> list[Finding]:
        """Whether nothing has the name in the zone that this stack does not own; leftovers are told as such."""
        name, balancers = self._config.dns_name, self._inventory.balancers()
        found: list[Finding] = []
        for record in self._inventory.records(name, zone.id):
            record = of_balancer(record, balancers)
            owner = self._ownership.of(record)
            is_known = owner.kind is Kind.OURS or any(record.id == thing.id for thing in self._found.things)
            if record.inputs["type"] in CLASHING and (owner.kind is Kind.ANOTHERS or not is_known):
                whose = f", and {owner}" if owner.is_owned else ""
                seen = f"{record.inputs['type']} {name} exists in zone {zone.id} and leads to {record.leads_to}{whose}"
                remedy = f"delete it, set lls:dnsName to another name, or lls:hostedZoneId to {NO_ZONE} to keep it"
                found.append(problem("dns", seen, remedy))
        servers = ", ".join(zone.name_servers)
        return found or [ok("dns", f"{name} is free or this stack's, in zone {zone.id} of {zone.name} ({servers})")]

    def _check_alarms(self, account: str) -> list[Finding]:
        """Whether CloudWatch could be looked into, and whether the topic tells anybody of an alarm."""
        config, topic = self._config, self._config.alarm_topic_arn
        unseen = self._found.unseen(self._ownership)
        if not topic:
            return unseen
        resource = f"alarm:{config.alarm_names[0]}"
        arn = partition_of(config.region).arn("cloudwatch", resource, region=config.region, account=account)
        return [*unseen, *check_topic(self._account, topic, arn)]

    def _check_leftovers(self) -> list[Finding]:
        stack = self._stack.name
        by_kind: dict[Kind, list[str]] = {}
        for thing in self._found.things:
            by_kind.setdefault(self._found.owner_of(thing, self._ownership).kind, []).append(str(thing))
        found = [
            problem("leftovers", f"{lookalike.thing}: {lookalike.why}", lookalike.remedy)
            for lookalike in self._found.lookalikes
            if self._config.names.resembles(lookalike.thing.tags)  # the others are told by their names
            and not self._ownership.of(lookalike.thing).is_owned
        ]
        if lost := by_kind.get(Kind.NOBODYS):
            found.append(
                problem(
                    "leftovers",
                    f"in AWS and in no stack's state: {', '.join(lost)}",
                    f"python -m lls adopt --stack {stack} takes them over, python -m lls sweep --stack {stack} deletes",
                )
            )
        if unclear := by_kind.get(Kind.UNKNOWN):
            found.append(unknown("leftovers", f"whose these are cannot be told: {', '.join(unclear)}", "see states"))
        return found or [ok("leftovers", "nothing of an earlier installation")]

    # --- The nodes

    def _check_node_group(self, place: Place) -> list[Finding]:
        """Whether the nodes carry the groups that get the rules, and these have room for them."""
        config = self._config
        try:
            targets = self._find_targets(place)
        except pulumi.RunError:
            return [unknown("node group", "what the targets carry cannot be told without targets", "see registration")]

        def look() -> tuple[tuple[str, ...], str, str]:
            carriers = find_carriers(config, place.vpc_id, targets, place.api)
            ids = find_node_security_groups(config, place.vpc_id, place.cluster, carriers).ids
            return ids, without_effect(carriers, ids), carriers.untold(ids)

        groups, bare, untold = self._installation.ask_as_program(look)
        found = [finding for group in groups for finding in self._check_rules(group, groups)]
        if bare:
            found.append(problem("node group", bare, "set lls:nodeSecurityGroupIds to all groups that they carry"))
        if untold:
            told = problem if config.registration == "static" else unknown
            found.append(told("node group", untold, "check lls:targets" if config.targets else ""))
        return found or [ok("node group", f"{', '.join(groups)}: the nodes carry it, and it has room for the rules")]

    def _check_rules(self, group: str, groups: Collection[str]) -> Iterator[Finding]:
        """Whether a group of the nodes has room for the rules, and has none of them already."""
        config = self._config
        rules = [rule for rule in self._inventory.rules([group]) if rule.type == INGRESS]
        foreign = [
            rule
            for rule in rules
            if not config.names.claims(rule.tags) or self._ownership.of_itself(rule).kind is Kind.ANOTHERS
        ]
        clashes = [
            rule for rule in foreign if is_internal(rule.inputs) and rule.inputs["referencedSecurityGroupId"] in groups
        ]
        if config.node_internal_rules and clashes:
            yield problem(
                "node group",
                f"{group} has rules that this stack would make too: {', '.join(map(str, clashes))}",
                "pulumi config set lls:nodeInternalRules false",
            )
        elif config.node_internal_rules and any(
            rule.inputs["ipProtocol"] == "-1" and rule.inputs.get("referencedSecurityGroupId") == group
            for rule in foreign
        ):
            yield note(
                "node group",
                f"{group} already lets its nodes send each other everything",
                "lls:nodeInternalRules false leaves three needless rules out",
            )
        internal = len(guide.NODE_INTERNAL_PORTS) * len(groups) if config.node_internal_rules else 0
        more = max(0, 2 + internal - (len(rules) - len(foreign)))
        used = count_ipv4(self._account, rules)
        quota = self._quota("rules of a security group", used, not more, more)
        if quota.remedy:
            yield replace(quota, seen=f"{group}: {quota.seen}, and {more} would be added")

    def _check_kubernetes(self, place: Place) -> list[Finding]:
        found: list[Finding] = []
        admin = partition_of(self._config.region).arn(
            "eks", "cluster-access-policy/AmazonEKSClusterAdminPolicy", account="aws"
        )
        entry = f"--cluster-name {self._config.cluster_name} --region {self._config.region} --principal-arn ROLE"
        for verb, resource, namespaced in CLUSTER:
            name, _, group = resource.partition(".")
            attributes = {
                "verb": verb,
                "resource": name,
                "group": group,
                "namespace": self._config.namespace if namespaced else None,
            }
            review: Any = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }

            def ask(client: Any, review: Any = review) -> Any:
                return AuthorizationV1Api(client).create_self_subject_access_review(
                    review, _request_timeout=REQUEST_TIMEOUT
                )

            if not place.api.ask(ask).status.allowed:
                found.append(
                    problem(
                        "kubernetes",
                        f"this identity may not {verb} {resource}",
                        f"aws eks create-access-entry {entry}, if it has none, then aws eks associate-access-policy "
                        f"{entry} --access-scope type=cluster --policy-arn {admin}; where the cluster's authentication "
                        "mode is CONFIG_MAP, map it to a group that may, in the config map aws-auth",
                    )
                )
        return found or [ok("kubernetes", f"{place.cluster.endpoint} answers, and allows what up needs")]

    def _check_nodes(self, place: Place) -> list[Finding]:
        """Who will be a target, and whether the scheduler has a node for the proxy."""
        return [*self._check_fitness(), *self._check_room(place)]

    def _check_fitness(self) -> list[Finding]:
        config = self._config
        judged = self._installation.judged_nodes()
        if config.registration == "static":
            return self._check_listed(judged)
        targets = choose_ids(config, judged)
        left_out = f"; left out are nodes {reasons(judged)}" if reasons(judged) else ""
        return [ok("nodes", f"{len(targets)} targets in {config.availability_zone}{left_out}")]

    def _check_listed(self, judged: Sequence[JudgedNode]) -> list[Finding]:
        """The listed targets, which `up` registers unseen."""
        config = self._config
        known = {node.target_id(config.target_type): node for node in judged}
        kind = "instance" if config.target_type == "instance" else "primary private address"
        remedy = "correct lls:targets, which up takes at its word"
        found = [
            problem("nodes", f"{target}: node {node.name} is {node.unfit}", remedy)
            if (node := known.get(target))
            else problem("nodes", f"no node of the cluster has the {kind} {target}", remedy)
            for target in sorted(config.targets)
            if target not in known or known[target].unfit
        ]
        return found or [ok("nodes", f"{len(config.targets)} targets in {config.availability_zone}")]

    def _check_room(self, place: Place) -> list[Finding]:
        config, demand = self._config, demand_of(self._config)
        nodes = [node for node in place.api.nodes(demand.node_selector) if demand.chooses(node)]
        pods = place.api.ask(
            lambda client: CoreV1Api(client).list_pod_for_all_namespaces(_request_timeout=REQUEST_TIMEOUT).items
        )
        lacking = {name_of(node): shortfall(node, pods, demand, config.namespace) for node in nodes}
        if room := sum(not lack.seen for lack in lacking.values()):
            found = [ok("nodes", f"{room} of {len(nodes)} have {demand} free for the proxy, or run it already")]
            if all(shortfall(node, pods, demand, namespace="").seen for node in nodes):
                seen = f"an upgrade has no room: it starts a new pod ({demand}) beside the one that runs"
                found.append(note("nodes", seen, "before the next change of the proxy: add a node, or free one"))
            return found
        seen = "; ".join(f"{name}: {lack.seen}" for name, lack in lacking.items()) or "none has its labels and zone"
        tainted = next((lack.tolerable for lack in lacking.values() if lack.tolerable and not lack.others), None)
        remedy = (
            f"set tolerations in lls:helmValues to {json.dumps(tolerations_for(demand, tainted))}"
            if tainted
            else "add a node, free one, or set lls:cpu and lls:memory"
        )
        return [problem("nodes", f"the scheduler has no node for the proxy ({demand}): {seen}", remedy)]

    def _check_registration(self, place: Place) -> list[Finding]:
        config = self._config
        found = self._find_targets(place)
        kept = ", ".join(found.autoscaling_groups) or (found.binding and "the AWS Load Balancer Controller")
        return [ok("registration", f"{config.registration}: {kept or f'{len(found.ids)} targets'}")]

    def _check_node_ports(self, place: Place) -> list[Finding]:
        config = self._config
        services: list[Any] = place.api.ask(
            lambda client: CoreV1Api(client).list_service_for_all_namespaces(_request_timeout=REQUEST_TIMEOUT).items
        )
        owner = self._in_cluster.owners(self._installation, self._ownership).get(RELEASE)
        if owner and owner.kind is Kind.UNKNOWN:
            seen = f"release {config.namespace}/{config.release_name} may hold them, and {owner}"
            return [unknown("node ports", seen, "see states")]
        ours = None if owner and owner.kind is Kind.ANOTHERS else (config.namespace, config.release_name)
        keys = {config.streaming_node_port: "streamingNodePort", config.health_node_port: "healthNodePort"}
        taken = [
            problem(
                "node ports",
                f"NodePort {number} is held by service {service.metadata.namespace}/{service.metadata.name}{use}",
                f"free it, or change the chart's port by lls:helmValues and set lls:{keys[number]}",
            )
            for service in services
            for number, use in _node_ports(service).items()
            if number in keys and _helm_release(service) != ours
        ]
        return taken or [ok("node ports", f"{', '.join(map(str, keys))} are free, or this stack's")]

    def _check_namespace(self) -> list[Finding]:
        seen, name = self._in_cluster, self._config.namespace
        if seen.unknown:
            return [unknown("namespace", seen.unknown)]
        owner = seen.owners(self._installation, self._ownership).get(KUBERNETES_NAMESPACE)
        if owner is None:
            return [ok("namespace", f"{name} does not exist yet")]
        other = "set lls:namespace to another"
        if seen.deletion and owner.kind is not Kind.ANOTHERS:
            return [problem("namespace", f"{name} exists: {seen.deletion.seen}", seen.deletion.remedy)]
        match owner.kind:
            case Kind.OURS:
                return [ok("namespace", f"{name} is this stack's")]
            case Kind.ANOTHERS:
                return [problem("namespace", f"{name} is stack {owner.stack}'s", f"{other} (docs/zones.md)")]
            case Kind.NOBODYS:
                remedy = f"python -m lls adopt --stack {self._stack.name}, or {other}"
                return [problem("namespace", f"{name} exists and is not in the stack's state", remedy)]
            case Kind.UNKNOWN:
                told = problem if owner.is_mistaken else unknown
                return [told("namespace", f"{name} exists: {owner.clause}", other)]

    def _check_release(self) -> list[Finding]:
        """Whether Helm would upgrade the release. Whose it is, `_check_namespace` tells."""
        release = self._in_cluster.release
        owner = self._in_cluster.owners(self._installation, self._ownership).get(RELEASE)
        if release is None or owner is None or owner.kind is Kind.ANOTHERS:
            return []
        seen = f"release {release.namespace}/{release.name} is {release.status}"
        if not release.way_back:
            return [ok("release", seen)]
        if owner.kind is Kind.UNKNOWN:
            return [unknown("release", f"{seen}, so Helm would not upgrade it, and {owner}", "see states")]
        again = f"pulumi up --refresh --stack {self._stack.name}"
        return [problem("release", f"{seen}, so Helm would not upgrade it", f"{release.way_back}, then {again}")]

    # --- The artifacts

    def _check_chart(self) -> list[Finding]:
        """Whether the chart is there, and, where it is, whether it is what the config takes it for."""
        chart, image = self._installation.ask_as_program(lambda: find_artifacts(self._config))
        repository, tag = chart.removeprefix(OCI_SCHEME), tag_of(self._config.chart_version)
        found = self._artifact("chart", repository, tag) if is_oci(chart) else _local_chart(Path(chart))
        if any(finding.level is not Level.OK for finding in found):
            return found
        try:
            read = self._read_chart(repository, tag) if is_oci(chart) else read_local(Path(chart))
        except (ChartError, AwsError, MirrorError) as error:
            return [*found, unknown(CHART_CONTENTS, f"{chart} could not be read: {error}")]
        return [*found, *check_chart(read, self._config, image=image)]

    def _read_chart(self, repository: str, tag: str) -> Chart:
        """The chart of a tag. Raises AwsError, ChartError and MirrorError."""
        if registry := ecr_registry(repository):
            return from_ecr(self._installation.account_in(registry.region), registry, split(repository)[1], tag)
        return from_registry(repository, tag, logins_of(self._config.registry_config))

    def _check_image(self) -> list[Finding]:
        _, image = self._installation.ask_as_program(lambda: find_artifacts(self._config))
        return self._artifact("image", image, self._config.image_tag)

    def _artifact(self, check: str, repository: str, tag: str) -> list[Finding]:
        if registry := ecr_registry(repository):
            return [self._in_ecr(check, registry, repository, tag)]
        logins, (host, _) = logins_of(self._config.registry_config), split(repository)
        if exists(repository, tag, logins):
            return [ok(check, f"{repository}:{tag} exists")]
        if login_to(host, logins):
            return [problem(check, f"{repository}:{tag} does not exist", "push it there, or correct the config")]
        seen = f"{repository}:{tag} does not exist, or {host} hides it from who is not logged in"
        return [problem(check, seen, f"push it there, or correct the config; or {login_remedy(host)}")]

    def _in_ecr(self, check: str, registry: EcrRegistry, repository: str, tag: str) -> Finding:
        """Asked of the registry's own account and region, which need not be the stack's."""
        account, (_, path) = self._installation.account_in(registry.region), split(repository)
        wanted = [{"imageTag": tag}]
        try:
            account.call("ecr", "describe_images", registryId=registry.account, repositoryName=path, imageIds=wanted)
            return ok(check, f"{repository}:{tag} exists")
        except AwsError as error:
            if error.code not in ("RepositoryNotFoundException", "ImageNotFoundException"):
                raise
        remedy = f"python -m lls mirror --stack {self._stack.name}"
        if registry.account != self._account.caller.account:
            remedy = (
                f"have {registry.account} create {path} in {registry.region} and let this account push; then {remedy}"
            )
        try:
            upstream = upstream_of(account, registry, path)
        except AwsError as error:
            seen = f"{repository}:{tag} is not there, and whether ECR would fetch it cannot be told: {error}"
            return unknown(check, seen, remedy)
        if upstream:
            return note(
                check,
                f"{repository}:{tag} is fetched from {upstream} at the first pull, by a pull-through cache rule",
                "who pulls first needs ecr:BatchImportUpstreamImage, and ecr:CreateRepository",
            )
        return problem(check, f"{repository}:{tag} does not exist", remedy)


def _raise_quota(what: str, value: int) -> str:
    service, code, _ = QUOTAS[what]
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value}"
    )


def _local_chart(path: Path) -> list[Finding]:
    if path.is_dir() and not (path / "Chart.yaml").is_file():
        return [problem("chart", f"{path} has no Chart.yaml", "set lls:chart to a chart's folder or .tgz")]
    return [ok("chart", f"{path} is there")]


def _node_ports(service: Any) -> Mapping[int, str]:
    """The node ports of a service, each with what it is for where it is not for clients."""
    for_checks = {service.spec.health_check_node_port or 0: ", as its healthCheckNodePort"}
    return for_checks | {port.node_port or 0: "" for port in service.spec.ports or ()}


def _helm_release(service: Any) -> tuple[str, str]:
    """Namespace and name of the Helm release that made a service."""
    annotations: dict[str, str] = service.metadata.annotations or {}
    return service.metadata.namespace, annotations.get("meta.helm.sh/release-name", "")
