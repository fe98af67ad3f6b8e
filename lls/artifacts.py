"""Where chart and image are, and the login to the chart's registry, fresh on every run (guide steps 1 and 4.1)."""

import json
from pathlib import Path
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from lls import guide
from lls.asking import ask
from lls.config import Config
from lls.files import write_private
from lls.oci import OCI_SCHEME, ecr_registry, is_oci


class EcrToken(NamedTuple):
    """The host of an ECR registry and an authorization token for it: base64 of user and password."""

    host: str
    token: str


def write_auth_file(stack: str, host: str, token: str) -> str:
    """Write a docker-style auth file, mode 0600, and return its path relative to the project folder.

    `token` is ECR's authorization token: base64 of user and password. The path is relative because it is
    an input of the Kubernetes provider: an absolute one would be a diff on every other machine. The
    content is no input, so a fresh token is no diff.
    """
    path = Path(".lls", stack, "registry.json")
    write_private(path, json.dumps({"auths": {host: {"auth": token}}}))
    return str(path)


def find_artifacts(config: Config) -> tuple[str, str]:
    """Chart and image repository, in the account's ECR where the config leaves them open."""
    if config.chart and config.image_repository:
        return config.chart, config.image_repository
    remedy = "Set lls:chart and lls:imageRepository, or check the AWS credentials."
    account = ask("AWS account", aws.get_caller_identity, remedy).account_id
    suffix = ask("AWS partition", aws.get_partition, remedy).dns_suffix
    ecr = f"{account}.dkr.ecr.{config.region}.{suffix}/{config.prefix}"
    return (
        config.chart or f"{OCI_SCHEME}{ecr}/{guide.RELEASE_NAME}",
        config.image_repository or f"{ecr}/{guide.IMAGE_NAME}",
    )


def find_token(chart: str) -> EcrToken | None:
    """4.1: a login to the chart's ECR registry, whichever account and region it is in; None for any other."""
    registry = ecr_registry(chart) if is_oci(chart) else None
    if registry is None:
        return None
    found = ask(
        f"ECR login to {registry.host}",
        lambda: aws.ecr.get_authorization_token(registry_id=registry.account, region=registry.region),
        "Allow ecr:GetAuthorizationToken, or set lls:registryConfig to an auth file of your own.",
    )
    return EcrToken(registry.host, found.authorization_token)


def log_in(token: EcrToken | None) -> str | None:
    """The auth file with a token; None without one, where Helm's own settings hold."""
    return write_auth_file(pulumi.get_stack(), token.host, token.token) if token else None
