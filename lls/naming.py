"""Physical names and tags: the guide's names where AWS takes them, shortened with a hash where it does not."""

import hashlib
import re
from collections.abc import Mapping
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


INSTANCE_TAG: Final = "lls:instance"
"""The tag that tells one cluster's installations apart; the only one, or the first, has none."""

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Names:
    """What one installation's things are called in AWS, and how they are tagged.

    `instance` tells installations of one cluster apart; an empty one is in no name and in no tag.
    """

    cluster: str
    instance: str = ""

    @property
    def nlb(self) -> str:
        """2.1: `rp-public-CLUSTER`."""
        return self._fit("rp-public-{}", ELB_NAME)

    @property
    def security_group(self) -> str:
        """2.1: `CLUSTER-rp-sg`."""
        return self._fit("{}-rp-sg", SECURITY_GROUP_NAME)

    @property
    def elastic_ip(self) -> str:
        """2.5 B: `CLUSTER-lls-eip`, a tag only, so any cluster name fits."""
        return f"{self.cluster}{self._suffix}-lls-eip"

    def target_group(
        self, *, port: int, target_type: guide.TargetType, registration: guide.Registration = "nodes"
    ) -> str:
        """2.1: `CLUSTER-rp-tg`, with a short hash for any shape but the guide's.

        AWS never changes a target group's port or type, and refuses to delete a group that a listener
        uses. A name that follows the shape lets the successor exist first, so that the listener can move.
        Who registers the targets is part of the shape: two in one group would deregister each other's.
        """
        owner = "stack" if registration in ("nodes", "static") else registration
        if (port, target_type, owner) == (guide.STREAMING_NODE_PORT, guide.TARGET_TYPE, "stack"):
            return self._fit("{}-rp-tg", ELB_NAME)
        shape = f"{port}/{target_type}" + ("" if owner == "stack" else f"/{owner}")
        return self._fit("{}-rp-tg-" + _digest(shape), ELB_NAME)

    def node_rule(self, port: guide.Port, key: str = "") -> str:
        """4.3: `streaming-proxy-udp-30504`, a tag only; `key` tells rules on several groups of the nodes apart."""
        return f"streaming-proxy-{port}{self._suffix}{key}"

    def alarm(self, end: str) -> str:
        """An alarm's: `CLUSTER-lls-END`. AWS takes 255 characters, so any cluster name fits."""
        return f"{self.cluster}{self._suffix}-lls-{end}"

    def dashboard(self, region: str) -> str:
        """The dashboard's, `CLUSTER-lls-REGION`: an account has one dashboard of a name in all of its regions."""
        return self.alarm(region)

    def tags(self, name: str, extra: Tags, *, purpose: str | None = None) -> dict[str, str]:
        """Tags of one resource: the user's `extra` ones, overruled by the guide's own, which clean-up goes by.

        `purpose` is `lls:purpose`, which the guide gives to the security group, the NLB and the target group.
        """
        own = {"Name": name, **self.marks, "Project": "nvcf"}
        return {**extra, **own, **({"lls:purpose": purpose} if purpose else {})}

    @property
    def marks(self) -> Mapping[str, str]:
        """The tags that clean-up goes by: the guide's two, and the instance where there is one."""
        instance = {INSTANCE_TAG: self.instance} if self.instance else {}
        return {"lls:cluster": self.cluster, "lls:managed-by": "customer", **instance}

    def claims(self, tags: Tags) -> bool:
        """Whether tags say that something is this installation's."""
        return not self.missing(tags) and self.resembles(tags)

    def is_beside(self, tags: Tags) -> bool:
        """Whether tags say that something is another installation's of the same cluster."""
        other = Names(self.cluster, tags.get(INSTANCE_TAG, ""))
        return other != self and other.claims(tags)

    def missing(self, tags: Tags) -> list[str]:
        """The marks that tags lack, each as KEY=VALUE."""
        return [f"{key}={value}" for key, value in self.marks.items() if tags.get(key) != value]

    def resembles(self, tags: Tags) -> bool:
        """Whether tags name this installation, be it its own thing or one that the guide tags with the cluster only."""
        return tags.get("lls:cluster") == self.cluster and tags.get(INSTANCE_TAG, "") == self.instance

    @property
    def _suffix(self) -> str:
        return f"-{self.instance}" if self.instance else ""

    def _fit(self, template: str, rule: NameRule) -> str:
        """The template filled with cluster and instance; the cluster shortened, but still unique, where AWS wants."""
        template = template.format("{}" + self._suffix)
        name = template.format(self.cluster)
        if rule.accepts(name):
            return name
        digest = _digest(self.cluster)
        room = rule.max_length - len(template.format(f"-{digest}"))
        stem = re.sub(r"[^A-Za-z0-9]+", "-", self.cluster).strip("-")
        stem = re.sub(r"^((internal|sg)(-|$))+", "", stem, flags=re.IGNORECASE)[:room].strip("-")
        return template.format("-".join(filter(None, (stem, digest))))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
