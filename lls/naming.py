"""Physical names: the guide's where AWS takes them, shortened with a hash where it does not."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from lls import guide


@dataclass(frozen=True)
class NameRule:
    """What AWS accepts as a name. `max_length` is in characters."""

    max_length: int
    pattern: re.Pattern[str]

    def accepts(self, name: str) -> bool:
        """Whether AWS takes the name as it is."""
        return len(name) <= self.max_length and self.pattern.fullmatch(name) is not None


ELB_NAME: Final = NameRule(32, re.compile(r"(?!internal-)(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE))
"""Load balancers and target groups: 32 letters, digits and single inner hyphens, no leading `internal-`."""

SECURITY_GROUP_NAME: Final = NameRule(255, re.compile(r"(?!sg-)[A-Za-z0-9_-]+", re.IGNORECASE))
"""Security groups: no leading `sg-` (the wider character set of AWS never occurs here)."""


def nlb_name(cluster: str) -> str:
    """2.1: `rp-public-CLUSTER`."""
    return _fit("rp-public-{}", cluster, ELB_NAME)


def security_group_name(cluster: str) -> str:
    """2.1: `CLUSTER-rp-sg`."""
    return _fit("{}-rp-sg", cluster, SECURITY_GROUP_NAME)


def target_group_name(
    cluster: str, *, port: int, target_type: guide.TargetType, registration: guide.Registration = "nodes"
) -> str:
    """2.1: `CLUSTER-rp-tg`, with a short hash for any shape but the guide's.

    AWS never changes a target group's port or type, and refuses to delete a group that a listener
    uses. A name that follows the shape lets the successor exist first, so that the listener can move.
    Who registers the targets is part of the shape: two in one group would deregister each other's.
    """
    owner = "stack" if registration in ("nodes", "static") else registration
    if (port, target_type, owner) == (guide.STREAMING_NODE_PORT, guide.TARGET_TYPE, "stack"):
        return _fit("{}-rp-tg", cluster, ELB_NAME)
    shape = f"{port}/{target_type}" + ("" if owner == "stack" else f"/{owner}")
    return _fit("{}-rp-tg-" + _digest(shape), cluster, ELB_NAME)


def elastic_ip_name(cluster: str) -> str:
    """2.5 B: `CLUSTER-lls-eip`, a tag only, so any cluster name fits."""
    return f"{cluster}-lls-eip"


def node_rule_name(port: guide.Port) -> str:
    """4.3: `streaming-proxy-udp-30504`, a tag only."""
    return f"streaming-proxy-{port}"


def _fit(template: str, cluster: str, rule: NameRule) -> str:
    """The template filled with the cluster's name, or with a shortened one that is still unique to it."""
    name = template.format(cluster)
    if rule.accepts(name):
        return name
    digest = _digest(cluster)
    room = rule.max_length - len(template.format(f"-{digest}"))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", cluster).strip("-")
    stem = re.sub(r"^((internal|sg)(-|$))+", "", stem, flags=re.IGNORECASE)[:room].strip("-")
    return template.format("-".join(filter(None, (stem, digest))))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
