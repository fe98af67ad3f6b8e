"""The keys of a DNS name of one's own for the endpoint."""

from typing import Annotated, Final

from pydantic import BaseModel, ValidationInfo, field_validator

from lls.config.forms import optional

NO_ZONE: Final = "none"
"""What `hostedZoneId` says where the record is the user's own."""

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

HostName = Annotated[
    str,
    optional(
        rf"(?=.{{1,253}}$)(?!.*\.[0-9]+$)({_LABEL}\.)+{_LABEL}",
        "use a whole host name in lower case without a dot at its end, such as stream.example.com: labels of at most "
        "63 of a-z, 0-9 and -",
    ),
]
ZoneId = Annotated[
    str,
    optional(
        rf"{NO_ZONE}|Z[A-Z0-9]{{1,31}}",
        f"use the id of a Route 53 hosted zone, such as Z0123456789ABCDEFGHIJ; or {NO_ZONE}, where you make the record",
    ),
]


class DnsKeys(BaseModel):
    """`dns_name` is what clients call the endpoint, empty for the load balancer's own name.

    `hosted_zone_id` is the Route 53 zone that gets its record: empty to find it by the name, NO_ZONE for none.
    """

    dns_name: HostName
    hosted_zone_id: ZoneId

    @field_validator("hosted_zone_id")
    @classmethod
    def _zone_of_a_name(cls, zone_id: str, info: ValidationInfo) -> str:
        if zone_id and info.data.get("dns_name") == "":
            raise ValueError("set lls:dnsName too, the name that gets a record there, or leave this key empty")
        return zone_id
