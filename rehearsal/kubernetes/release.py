"""Revisions of a Helm release, and the pods of one."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from rehearsal.kubernetes.chart import SELECTOR, ChartValues
from rehearsal.kubernetes.scheduler import Pod

Status = Literal[
    "deployed", "failed", "pending-install", "pending-upgrade", "pending-rollback", "superseded", "uninstalling"
]


@dataclass(frozen=True)
class HelmRelease:
    """The last revision of a Helm release; `earlier` are those before it."""

    name: str
    namespace: str
    chart: str
    version: str | None
    values: Mapping[str, Any]
    status: Status = "deployed"
    revision: int = 1
    earlier: tuple["HelmRelease", ...] = ()
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def next_revision(before: HelmRelease | None, wanted: HelmRelease) -> HelmRelease:
    """The next revision of a release, while Helm works on it."""
    if before is None:
        return replace(wanted, status="pending-install")
    superseded = replace(before, status="superseded" if before.status == "deployed" else before.status, earlier=())
    return replace(
        wanted, status="pending-upgrade", revision=before.revision + 1, earlier=(*before.earlier, superseded)
    )


def pod_of(release: HelmRelease, values: ChartValues) -> Pod:
    """A new pod of a release, before it is scheduled."""
    return Pod(
        name=f"{SELECTOR['app']}-{values.template}-{uuid.uuid4().hex[:5]}",
        namespace=release.namespace,
        labels={**SELECTOR, "pod-template-hash": values.template},
        requests=values.resources.requests,
        limits=values.resources.limits,
        node_selector=values.node_selector,
        zones=tuple(values.availability_zones.zones) if values.availability_zones.enabled else (),
        tolerations=tuple(values.tolerations),
        image=str(values.image),
        log="2026-01-01T00:00:00Z INFO  streaming-proxy is serving\n",
        release=release.name,
        template=values.template,
    )
