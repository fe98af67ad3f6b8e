"""The AWS provider's DNS records.

A new record is a CREATE, which Route 53 refuses where there is one; an update is an UPSERT. Of a record that is gone
the provider takes the deletion for a success. After each change it waits until all name servers have it
(hashicorp/terraform-provider-aws internal/service/route53: resourceRecordCreate, resourceRecordUpdate and
resourceRecordDelete in record.go, waitChangeInsync in change_info.go).
"""

from collections.abc import Mapping
from typing import Final

from lls.operations.program.recording import Properties
from lls.operations.world.inventory import RECORD, Thing, alias_change, record_id, record_of
from rehearsal.aws.server import Aws
from rehearsal.providers.calls import unless_gone
from rehearsal.providers.lifecycle import Lifecycle
from rehearsal.world import WorldClock

POLL: Final = 15.0
"""Seconds before the provider's first look at a change, and between two."""

ARGUMENTS: Final = ("aliases", "records", "ttl", "setIdentifier")
"""What a record may have beside its zone, name and type."""

TIMEOUT: Final = 1800.0
"""Seconds that it waits for a change."""


class Route53Types:
    """The lifecycle of an alias. Its id is ZONE_NAME_TYPE, as an import's is."""

    def __init__(self, aws: Aws, clock: WorldClock) -> None:
        """Make records in that AWS, and wait by that clock."""
        self._route53 = aws.client("route53")
        self._clock = clock
        self.lifecycles: Mapping[str, Lifecycle] = {
            RECORD: Lifecycle(self._create, self._update, self._delete, self._read)
        }

    def _create(self, inputs: Properties) -> tuple[str, Properties]:
        self._route53.get_hosted_zone(Id=inputs["zoneId"])
        self._change("CREATE", inputs)
        return record_id(inputs), {"fqdn": inputs["name"]}

    def _update(self, _: str, __: Properties, new: Properties) -> Properties:
        self._route53.get_hosted_zone(Id=new["zoneId"])
        self._change("UPSERT", new)
        return {}

    def _delete(self, id_: str, _: Properties) -> None:
        """It deletes what is there now, whatever was given."""
        if found := self._find(id_):
            self._change("DELETE", found.inputs)

    def _change(self, action: str, inputs: Properties) -> None:
        change = self._route53.change_resource_record_sets(**alias_change(action, inputs))["ChangeInfo"]["Id"]
        deadline = self._clock.now() + TIMEOUT
        while True:
            self._clock.sleep(POLL)
            is_late = self._clock.now() > deadline
            status = self._route53.get_change(Id=change)["ChangeInfo"]["Status"]
            if status == "INSYNC":
                return
            if is_late:
                raise TimeoutError(f"waiting for Route 53 change {change}: it is {status!r}, not 'INSYNC'")

    def _read(self, id_: str, given: Properties) -> tuple[Properties, Properties] | None:
        found = self._find(id_)
        if found is None:
            return None
        inputs = dict.fromkeys(ARGUMENTS) | found.inputs
        if given and found.leads_to == Thing(type=RECORD, id=id_, inputs=given, outputs={}).leads_to:
            # The provider tells no difference in the case of letters.
            inputs = inputs | {"aliases": [found.inputs["aliases"][0] | {"name": given["aliases"][0]["name"]}]}
        return inputs, {"fqdn": inputs["name"]}

    def _find(self, id_: str) -> Thing | None:
        zone_id, name, type_ = id_.split("_")

        def ask() -> Thing | None:
            self._route53.get_hosted_zone(Id=zone_id)
            answer = self._route53.list_resource_record_sets(
                HostedZoneId=zone_id, StartRecordName=name, StartRecordType=type_, MaxItems="1"
            )
            found = [record_of(zone_id, each) for each in answer["ResourceRecordSets"]]
            return next((record for record in found if record.id == id_), None)

        return unless_gone(ask)
