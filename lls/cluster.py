"""Access to the EKS cluster: its kubeconfig, the Kubernetes provider, and its nodes."""

import ipaddress
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pulumi
import pulumi_kubernetes as k8s
import yaml
from kubernetes import client as api  # its classes load when they are used: CoreV1Api takes a quarter of a second
from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]

from lls import guide

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, V1Node

T = TypeVar("T")

REQUEST_TIMEOUT: Final = (5, 30)
"""Seconds to connect to the Kubernetes API, and to wait for its answer."""

TIMEOUT: Final = 60
"""Seconds for the token and all tries of the request together."""

BINDING_API: Final = "elbv2.k8s.aws/v1beta1"
"""The API of the AWS Load Balancer Controller's TargetGroupBinding."""

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"

REMOVAL_TAINTS: Final = frozenset(
    {
        "ToBeDeletedByClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "aws-node-termination-handler/rebalance-recommendation",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/spot-itn",
    }
)
"""Taints of the cluster autoscaler, Karpenter and the AWS node termination handler on a node that they remove."""


@dataclass(frozen=True, kw_only=True)
class EksCluster:
    """What `aws eks describe-cluster` says. `certificate_authority` is base64; group ids may be empty."""

    name: str
    arn: str
    region: str
    endpoint: str
    certificate_authority: str
    vpc_id: str
    security_group_id: str


@dataclass(frozen=True)
class Targets:
    """What to register, sorted, and the nodes left out: name to reason."""

    ids: tuple[str, ...]
    skipped: Mapping[str, str]


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


def kubernetes_provider(
    name: str,
    cluster: EksCluster,
    *,
    kubeconfig: pulumi.Input[str],
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


class ClusterError(ConnectionError):
    """What the Kubernetes API answered instead of success. `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        """Carry the answer's status and reason."""
        super().__init__(f"the API answered {status} {reason}")
        self.status = status


class ClusterApi:
    """The API of a cluster, with limits in time. Its client is made at the first question."""

    def __init__(self, kubeconfig: str, context: str = "") -> None:
        """Use a context of that kubeconfig, by default the current one."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[["ApiClient"], T]) -> T:
        """The answer to a question, which should pass REQUEST_TIMEOUT to the client's methods.

        Raises TimeoutError without an answer in time, ClusterError for an answer other than success, and
        what the Kubernetes client raises where it cannot ask: ConfigException or urllib3's HTTPError.
        """
        answer: Future[T] = Future()

        def ask() -> None:
            try:
                answer.set_result(question(self._connected()))
            except Exception as error:
                answer.set_exception(error)

        # A thread, because the client waits without limit for the command that fetches the token.
        threading.Thread(target=ask, daemon=True).start()
        try:
            return answer.result(TIMEOUT)
        except api.ApiException as error:
            status, reason = cast(tuple[int, str], (error.status, error.reason))  # pyright: ignore[reportUnknownMemberType]
            raise ClusterError(status, reason) from error
        except TimeoutError:
            raise TimeoutError(f"no answer within {TIMEOUT} seconds") from None

    def nodes(self, selector: Mapping[str, str]) -> "list[V1Node]":
        """The nodes that carry the selector's labels. Raises what `ask` raises."""
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return self.ask(
            lambda client: (
                api.CoreV1Api(client).list_node(label_selector=labels, _request_timeout=REQUEST_TIMEOUT).items
            )
        )

    def serves(self, api_version: str) -> bool:
        """Whether the cluster knows an API, such as one of a CRD. Raises what `ask` raises."""
        group, _, version = api_version.partition("/")
        try:
            self.ask(
                lambda client: api.CustomObjectsApi(client).get_api_resources(
                    group, version, _request_timeout=REQUEST_TIMEOUT
                )
            )
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _connected(self) -> "ApiClient":
        with self._lock:
            if self._client is None:
                self._client = new_client_from_config_dict(
                    cast(Mapping[str, Any], yaml.safe_load(self._kubeconfig)),
                    context=self._context or None,
                    persist_config=False,
                )
            return self._client


def choose_targets(nodes: "Iterable[V1Node]", *, zone: str, target_type: guide.TargetType) -> Targets:
    """Which nodes an NLB of that zone can serve, as the ids that its target group wants."""
    ids: set[str] = set()
    skipped: dict[str, str] = {}
    for node in nodes:
        target = _target_id(node, target_type)
        reason = _ineligible(node, zone) or (None if target else f"without an {_WANTED[target_type]}")
        if target and not reason:
            ids.add(target)
        else:
            skipped[_name(node)] = reason or ""
    return Targets(tuple(sorted(ids)), dict(sorted(skipped.items())))


_WANTED: Final = {"ip": "IPv4 InternalIP", "instance": "EC2 instance"}


def _name(node: "V1Node") -> str:
    return (node.metadata.name if node.metadata else None) or "unnamed"


def _ineligible(node: "V1Node", zone: str) -> str | None:
    """Why a load balancer of that zone must not send to the node; None where it may."""
    metadata = node.metadata
    labels: Mapping[str, str] = (metadata.labels if metadata else None) or {}
    if labels.get(ZONE_LABEL) != zone:
        return f"in zone {labels.get(ZONE_LABEL, 'unknown')}"
    if EXCLUDE_LABEL in labels:
        return f"carrying the label {EXCLUDE_LABEL}"
    if metadata and metadata.deletion_timestamp:
        return "being deleted"
    taints = {taint.key for taint in (node.spec.taints if node.spec else None) or ()}
    removal = sorted(taints & REMOVAL_TAINTS)
    return f"being removed (taint {removal[0]})" if removal else None


def _target_id(node: "V1Node", target_type: guide.TargetType) -> str | None:
    if target_type == "instance":
        provider_id = (node.spec.provider_id if node.spec else None) or ""
        match = re.fullmatch(r"aws:///[^/]+/(i-[0-9a-f]+)", provider_id)
        return match.group(1) if match else None
    addresses = (node.status.addresses if node.status else None) or ()
    internal = [address.address for address in addresses if address.type == "InternalIP"]
    return next((address for address in internal if ipaddress.ip_address(address).version == 4), None)
