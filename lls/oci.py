"""References to charts and images in OCI registries, and what they tell of ECR."""

import re
from typing import Final, NamedTuple

OCI_SCHEME: Final = "oci://"

_ECR_HOST: Final = re.compile(r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+")


class EcrRegistry(NamedTuple):
    """An account's private ECR registry: host name, account id and region."""

    host: str
    account: str
    region: str


def is_oci(chart: str) -> bool:
    """Whether a chart is an OCI reference rather than a local path."""
    return chart.startswith(OCI_SCHEME)


def ecr_registry(chart: str) -> EcrRegistry | None:
    """The ECR registry of an OCI chart; None for another registry, which needs no ECR login."""
    host = chart.removeprefix(OCI_SCHEME).partition("/")[0]
    match = _ECR_HOST.fullmatch(host) if is_oci(chart) else None
    return EcrRegistry(host, *match.groups()) if match else None
