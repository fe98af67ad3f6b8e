"""Access to the registry that holds the chart: one auth file, fresh on every run (guide step 4.1)."""

import json
import re
from pathlib import Path
from typing import Final, NamedTuple

from lls.files import write_private

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


def write_auth_file(stack: str, host: str, token: str) -> str:
    """Write a docker-style auth file, mode 0600, and return its path relative to the project folder.

    `token` is ECR's authorization token: base64 of user and password. The path is relative because it is
    an input of the Kubernetes provider: an absolute one would be a diff on every other machine. The
    content is no input, so a fresh token is no diff.
    """
    path = Path(".lls", stack, "registry.json")
    write_private(path, json.dumps({"auths": {host: {"auth": token}}}))
    return str(path)
