"""Whether the name that clients call leads to the load balancer."""

import socket
from collections.abc import Callable, Sequence
from typing import Final

from lls.hosted_zone import HostedZone
from lls.operations.report.finding import Finding, ok, problem, unknown
from lls.waiting import NAME, within

Resolve = Callable[[str], Sequence[str]]
"""The addresses of a name. Raises OSError."""

ABSENT: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""How a resolver says that there is no such name, or no address of it: an answer, and no failure to get one."""


def addresses_of(name: str) -> Sequence[str]:
    """What the system's resolver says, within a limit. Raises OSError."""
    found = within(NAME, f"the address of {name}", lambda: socket.getaddrinfo(name, None))
    return sorted({str(answer[4][0]) for answer in found})


def judge_name(name: str, balancer: str, resolver: Resolve, remedy: Callable[[], str]) -> Finding:
    """Whether all that a name stands for are addresses of the load balancer of that DNS name.

    `remedy` is asked only for a name that does not.
    """
    try:
        wanted = resolver(balancer)
    except OSError as error:
        return unknown("dns", f"{balancer} does not resolve here: {error}", "a new name takes minutes; see --wait")
    if name == balancer:
        return ok("dns", f"{name} is {', '.join(wanted)}")
    try:
        found = resolver(name)
    except OSError as error:
        if error.errno in ABSENT:
            return problem("dns", f"{name} has no address: {error}", remedy())
        return unknown("dns", f"{name} does not resolve here: {error}", "run this again, or from elsewhere")
    if set(found) <= set(wanted):
        return ok("dns", f"{name} is {', '.join(found)}, as {balancer} is")
    return problem("dns", f"{name} is {', '.join(found)}, and {balancer} is {', '.join(wanted)}", remedy())


def record_to_make(name: str, balancer: str) -> str:
    """What the user does who makes the record."""
    return f"make the record {name} CNAME {balancer}, or an alias of it where {name} is the top of its zone"


def way_to_zone(zone: HostedZone) -> str:
    """What makes the world know the records of a zone, which is the usual fault."""
    return (
        f"let the domain above name {', '.join(zone.name_servers)} as the name servers of {zone.name}, if it does not: "
        f"dig NS {zone.name}; an alias that has changed is cached for 60 seconds"
    )
