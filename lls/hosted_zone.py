"""The Route 53 zone that gets the record of `lls:dnsName`: given, or found by the name."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pulumi
import pulumi_aws as aws

from lls.asking import ask
from lls.config import Config
from lls.config.dns import NO_ZONE

NONE_FOUND: Final = "no matching Route 53 Hosted Zone found"
"""What the provider says where no zone has a name, and in no other case.

Source: SingularDataSourceFindError in internal/tfresource/not_found_error.go of hashicorp/terraform-provider-aws 6.
"""

SEVERAL_FOUND: Final = "multiple Route 53 Hosted Zones matched"
"""Likewise, where several have it."""


class HostedZone(NamedTuple):
    """A public hosted zone of the account: its id, its domain, and the name servers that its domain is delegated to."""

    id: str
    name: str
    name_servers: tuple[str, ...]


def find_hosted_zone(config: Config) -> HostedZone | None:
    """The public zone that gets the record; None where there is to be none of ours.

    Private zones don't count: clients are browsers. Of several the one of the longest name holds the name, as in DNS.
    Raises pulumi.RunError.
    """
    if not config.dns_name or config.hosted_zone_id == NO_ZONE:
        return None
    if config.hosted_zone_id:
        return _given(config)
    found = (_named(config, domain) for domain in _domains(config.dns_name))
    return next((zone for zone in found if zone), None)


def lies_in(name: str, domain: str) -> bool:
    """Whether a name may have a record in the zone of a domain: below it, or as the domain itself."""
    return name == domain or name.endswith(f".{domain}")


def _given(config: Config) -> HostedZone:
    zone_id = config.hosted_zone_id
    found = ask(f"hosted zone {zone_id}", lambda: aws.route53.get_zone(zone_id=zone_id), _remedy(config))
    zone = _zone(found)
    if found.private_zone:
        wrong = f"zone {zone.name} is private, and no browser sees it"
    elif not lies_in(config.dns_name, zone.name):
        wrong = f"{config.dns_name} is not in its zone {zone.name}"
    else:
        return zone
    raise pulumi.RunError(f"lls:hostedZoneId = {zone_id}: {wrong}. {_remedy(config)}")


def _domains(name: str) -> Iterator[str]:
    """The name and the domains above it, from the longest on, but for the top one, which nobody has a zone of."""
    labels = name.split(".")
    return (".".join(labels[start:]) for start in range(len(labels) - 1))


def _named(config: Config, domain: str) -> HostedZone | None:
    """The one public zone of a domain; None where there is none."""
    try:
        found = ask(
            f"hosted zone of {domain}",
            lambda: aws.route53.get_zone(name=domain, private_zone=False),
            f"Allow it (docs/iam-policy.json), or do without: {_remedy(config)}",
        )
    except pulumi.RunError as error:
        if NONE_FOUND in str(error):
            return None
        if SEVERAL_FOUND in str(error):
            raise pulumi.RunError(
                f"lls:dnsName = {config.dns_name}: this account has several public zones {domain}. {_remedy(config)}"
            ) from None
        raise
    return _zone(found)


def _remedy(config: Config) -> str:
    return (
        f"Set lls:hostedZoneId to the id of a public zone of this account that holds {config.dns_name}, or to "
        f"{NO_ZONE} if you make the record."
    )


def _zone(found: Any) -> HostedZone:
    return HostedZone(found.zone_id, found.name.rstrip("."), tuple(found.name_servers))
