from typing import Any

import pytest

from lls.operations.world.network_acl import EPHEMERAL, Leg, denial


def entry(number: int, action: str, block: str = "0.0.0.0/0", first: int = 0, last: int = 65535) -> dict[str, Any]:
    ports = {} if (first, last) == (0, 65535) else {"PortRange": {"From": first, "To": last}}
    protocol = "17" if ports else "-1"
    return {
        "RuleNumber": number,
        "RuleAction": action,
        "Egress": False,
        "Protocol": protocol,
        "CidrBlock": block,
        **ports,
    }


DEFAULT = entry(32767, "deny")


def seen(leg: Leg, *entries: dict[str, Any]) -> tuple[str, bool] | None:
    found = denial({"NetworkAclId": "acl-1", "Entries": [*entries, DEFAULT]}, leg)
    return (str(found).removeprefix("network ACL acl-1 of subnet-1 denies "), found.is_for_all) if found else None


def entering(*, ports: tuple[int, int] = (5004, 5004), peer: str = "0.0.0.0/0") -> Leg:
    return Leg("subnet-1", "in", "udp", ports, peer)


@pytest.mark.parametrize(
    ("leg", "entries", "expected"),
    [
        (entering(), [entry(100, "allow")], None),
        (entering(), [], ("UDP 5004 inbound from 0.0.0.0/0 (no rule allows it)", True)),
        (
            entering(),
            [entry(50, "deny", first=5000, last=5010), entry(100, "allow")],
            ("UDP 5004 inbound from 0.0.0.0/0 (rule 50)", True),
        ),
        (entering(), [entry(40, "allow", first=5004, last=5004), entry(50, "deny")], None),
        (
            entering(),
            [entry(50, "deny", "192.0.2.0/24"), entry(100, "allow")],
            ("UDP 5004 inbound from 192.0.2.0/24 (rule 50)", False),
        ),
        (
            entering(),
            [entry(50, "deny", "0.0.0.0/1"), entry(60, "deny", "128.0.0.0/1"), entry(100, "allow")],
            ("UDP 5004 inbound from 0.0.0.0/1 (rule 50)", True),
        ),
        (entering(peer="198.51.100.7"), [entry(50, "deny", "192.0.2.0/24"), entry(100, "allow")], None),
        (
            entering(peer="198.51.100.7"),
            [entry(50, "deny", "198.51.100.0/24"), entry(100, "allow")],
            ("UDP 5004 inbound from 198.51.100.7 (rule 50)", True),
        ),
        (entering(ports=EPHEMERAL), [entry(100, "allow", first=1024, last=65535)], None),
        (
            entering(ports=EPHEMERAL),
            [entry(100, "allow", first=32768, last=65535)],
            ("UDP 1024-32767 inbound from 0.0.0.0/0 (no rule allows it)", True),
        ),
        (entering(ports=EPHEMERAL), [entry(50, "deny", first=3389, last=3389), entry(100, "allow")], None),
    ],
)
def test_what_an_acl_denies_is_told_exactly(
    leg: Leg, entries: list[dict[str, Any]], expected: tuple[str, bool] | None
) -> None:
    assert seen(leg, *entries) == expected
