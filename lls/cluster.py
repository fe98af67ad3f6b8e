"""Access to the EKS cluster: its kubeconfig and the Kubernetes provider."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from lls.config import Config


@dataclass(frozen=True, kw_only=True)
class EksCluster:
    """What `aws eks describe-cluster` says. `certificate_authority` is base64; group ids may be empty.

    `ip_family` is that of pods and services: ipv4, which is EKS' default, or ipv6.
    """

    name: str
    arn: str
    region: str
    endpoint: str
    certificate_authority: str
    vpc_id: str
    security_group_id: str
    ip_family: str = "ipv4"


def eks_kubeconfig(
    cluster: EksCluster, profile: str = "", *, role_arn: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """A kubeconfig whose token comes from `aws eks get-token`: stable, and without a secret of its own.

    `profile` is the AWS profile of the provider, and `role_arn` the role that it assumes, so that both act as the
    same identity; what else tells who that is stands in `environment`.
    """
    arguments = ["--region", cluster.region, "eks", "get-token", "--cluster-name", cluster.name, "--output", "json"]
    told = ({"AWS_PROFILE": profile} if profile else {}) | dict(environment or {})
    credentials = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": [*arguments, "--role-arn", role_arn] if role_arn else arguments,
        "env": [{"name": name, "value": value} for name, value in told.items()] or None,
        "interactiveMode": "Never",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster.name,
                    "cluster": {
                        "server": cluster.endpoint,
                        "certificate-authority-data": cluster.certificate_authority,
                    },
                }
            ],
            "users": [{"name": cluster.name, "user": {"exec": credentials}}],
            "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": cluster.name}}],
            "current-context": cluster.name,
        }
    )


def kubeconfig_of_identity(config: Config, cluster: EksCluster) -> str:
    """One whose tokens are the AWS provider's identity's, as far as `aws eks get-token` can be that."""
    unfollowed = [] if config.token_role else sorted(config.identity)
    if config.profile and "AWS_ACCESS_KEY_ID" in os.environ:
        unfollowed.append("aws:profile beside AWS_ACCESS_KEY_ID")
    if unfollowed:
        pulumi.log.warn(
            f"The cluster's tokens are those of the environment's AWS credentials, since `aws eks get-token` cannot "
            f"follow {', '.join(unfollowed)}: set lls:kubeconfig if the cluster does not know them."
        )
    return eks_kubeconfig(cluster, config.profile, role_arn=config.token_role)


def kubernetes_provider(
    name: str,
    cluster: EksCluster,
    kubeconfig: pulumi.Input[str],
    *,
    context: str = "",
    registry_config: str | None = None,
) -> k8s.Provider:
    """The provider of everything in the cluster.

    `cluster_identifier` keeps an unknown or changed kubeconfig from replacing what is installed.
    `registry_config` is the auth file that Helm logs in with; None leaves Helm its own.
    """
    return k8s.Provider(
        name,
        kubeconfig=kubeconfig,
        context=context or None,
        cluster_identifier=cluster.arn,
        helm_release_settings=k8s.HelmReleaseSettingsArgs(registry_config_path=registry_config),
    )
