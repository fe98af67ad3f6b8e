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


def split(reference: str) -> tuple[str, str]:
    """Host, with its port if it has one, and path of a chart's or an image's reference, with oci:// or without."""
    host, _, path = reference.removeprefix(OCI_SCHEME).partition("/")
    return host, path


def tag_of(chart_version: str) -> str:
    """The tag that Helm gives a chart of that version: a tag cannot hold a +."""
    return chart_version.replace("+", "_")


def ecr_registry(reference: str) -> EcrRegistry | None:
    """The private ECR registry that a reference is into; None for any other registry, and for a local chart."""
    host, _ = split(reference)
    match = _ECR_HOST.fullmatch(host)
    return EcrRegistry(host, *match.groups()) if match else None
