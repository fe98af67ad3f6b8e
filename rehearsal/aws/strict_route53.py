"""What Route 53 refuses and moto lets pass, and how long a change takes.

AWS's words are those of its answers to other people: hashicorp/terraform#9732 (a CNAME in the way), aws/aws-cli#4687
(an alias), cookpad/roadworker#89 (a CNAME beside others), widdix/node-route53-updater#3 (what exists already).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.elbv2.models import elbv2_backends
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, RecordSet, Route53Backend
from moto.route53.responses import Route53

from lls.hosted_zone import lies_in
from rehearsal.aws.strict import Proceed, Rule, enforce
from rehearsal.world import World, WorldClock


@dataclass
class StrictRoute53:
    """The refusals of Route 53 in one world, and the times at which changes are with all its name servers."""

    world: World
    clock: WorldClock
    in_sync_at: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def enforce(self, until: ExitStack) -> None:
        """Refuse until that stack is closed."""
        enforce(
            (
                Rule(Route53Backend, "change_resource_record_sets", self._change),
                Rule(Route53, "change_resource_record_sets", self._answer_change),
                Rule(Route53, "get_change", self._get_change),
            ),
            until,
        )

    # --- Changes

    def _answer_change(self, proceed: Proceed, _: Route53) -> ActionResult:
        """Tell which change it is, that it may be asked for."""
        proceed()
        change_id = f"C{next(self._numbers):020}"
        self.in_sync_at[change_id] = self.clock.now() + self.world.latencies.dns_in_sync
        return self._described(change_id)

    def _get_change(self, _: Proceed, response: Route53) -> ActionResult:
        change_id = str(response._get_param("Id")).removeprefix("/change/")  # pyright: ignore[reportPrivateUsage]
        if change_id not in self.in_sync_at:
            raise Route53ClientError("NoSuchChange", f"Could not find resource with ID: {change_id}")
        return self._described(change_id)

    def _described(self, change_id: str) -> ActionResult:
        status = "INSYNC" if self.clock.now() >= self.in_sync_at[change_id] else "PENDING"
        return ActionResult({"ChangeInfo": {"Id": f"/change/{change_id}", "Status": status, "SubmittedAt": utcnow()}})

    def _change(self, _: Proceed, route53: Route53Backend, zone_id: str, changes: Sequence[Mapping[str, Any]]) -> None:
        """All of a batch, one after the other, or nothing of it."""
        zone = route53.get_hosted_zone(zone_id)
        before = list(zone.rrsets)
        for change in changes:
            wanted = dict(change["ResourceRecordSet"])
            wanted["Name"] = f"{wanted['Name'].rstrip('.').lower()}."
            wanted["ResourceRecords"] = [record["Value"] for record in wanted.get("ResourceRecords") or ()]
            if refusals := list(self._refusals(zone, change["Action"], wanted)):
                zone.rrsets = before
                raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(refusals)}]")
            zone.rrsets = [record for record in zone.rrsets if _key(record) != _key(_record(wanted))]
            if change["Action"] != "DELETE":
                zone.add_rrset(wanted)

    def _refusals(self, zone: FakeZone, action: str, wanted: dict[str, Any]) -> Iterator[str]:
        name, type_ = wanted["Name"], wanted["Type"]
        record = _record(wanted)
        there = next((known for known in zone.rrsets if _key(known) == _key(record)), None)
        shown = f"resource record set [name='{name}', type='{type_}']"
        if not lies_in(name, zone.name):
            yield f"RRSet with DNS name {name} is not permitted in zone {zone.name}"
        elif action == "DELETE":
            if there is None:
                yield f"Tried to delete {shown} but it was not found"
            elif _values(there) != _values(record):
                yield f"Tried to delete {shown} but the values provided do not match the current values"
        else:
            if there and action == "CREATE":
                yield f"Tried to create {shown} but it already exists"
            yield from self._conflicts(zone, record)
            if alias := wanted.get("AliasTarget"):
                yield from self._unfit_alias(alias, type_)

    def _conflicts(self, zone: FakeZone, record: RecordSet) -> Iterator[str]:
        """A CNAME is alone with its name, and not at the top of a zone."""
        others = {known.type for known in zone.rrsets if known.name == record.name and known.type != record.type}
        if record.type == "CNAME" and record.name == zone.name:
            yield f"RRSet of type CNAME with DNS name {record.name} is not permitted at apex in zone {zone.name}"
        elif record.type == "CNAME" and others:
            yield (
                f"RRSet of type CNAME with DNS name {record.name} is not permitted as it conflicts with other records "
                f"with the same DNS name in zone {zone.name}"
            )
        elif "CNAME" in others:
            yield (
                f"RRSet of type {record.type} with DNS name {record.name} is not permitted because a conflicting RRSet "
                f"of type CNAME with the same DNS name already exists in zone {zone.name}"
            )

    def _unfit_alias(self, alias: Mapping[str, Any], type_: str) -> Iterator[str]:
        """An alias of a load balancer is of one that exists, in the zone of its region's load balancers."""
        wanted, zone_id = str(alias["DNSName"]).rstrip(".").lower(), alias["HostedZoneId"]
        shown = f"Tried to create an alias that targets {wanted}., type {type_} in zone {zone_id}"
        balancers = elbv2_backends[self.world.account][self.world.region].load_balancers.values()
        balancer = next((each for each in balancers if str(each.dns_name).lower() == wanted), None)
        if balancer is None or balancer.canonical_hosted_zone_id != zone_id:
            if balancer or not wanted.endswith(f".elb.{self.world.region}.{self.world.dns_suffix}"):
                yield f"{shown}, but the alias target name does not lie within the target zone"
            yield f"{shown}, but that target was not found"


def _record(wanted: dict[str, Any]) -> RecordSet:
    made: Any = RecordSet(wanted)
    return made


def _key(record: RecordSet) -> tuple[object, ...]:
    return record.name, record.type, record.set_identifier


def _values(record: RecordSet) -> tuple[object, ...]:
    alias: Mapping[str, Any] = record.alias_target or {}
    target = str(alias.get("DNSName", "")).rstrip(".").lower()
    health = str(alias.get("EvaluateTargetHealth", "")).lower()
    return sorted(map(str, record.records)), str(record.ttl or ""), target, alias.get("HostedZoneId"), health
