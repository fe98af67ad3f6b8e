"""Steps 3 and 4.1 of the guide: the streaming proxy's namespace, values and Helm release."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from lls import guide
from lls.oci import is_oci

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StreamingProxyReleaseArgs:
    """What a StreamingProxyRelease needs. `cpu` and `memory` are Kubernetes quantities, `timeout` seconds.

    `nlb_dns_name` is what clients call the load balancer: its own name, or another that leads to it.
    `chart` is an OCI reference, or the path of a local chart, whose version is then its own.
    `helm_values` is merged last into the chart's values.
    """

    nlb_dns_name: pulumi.Input[str]
    udp_port: int = guide.UDP_PORT
    availability_zone: str
    node_selector: Mapping[str, str]
    chart: str
    chart_version: str
    image_repository: str
    image_tag: str
    namespace: str = guide.RELEASE_NAME
    release_name: str = guide.RELEASE_NAME
    replicas: int = 1
    cpu: str = "5000m"
    memory: str = "24Gi"
    timeout: int = 600
    helm_values: Mapping[str, Any] = field(default_factory=dict[str, Any])


class StreamingProxyRelease(pulumi.ComponentResource):
    """`lls:index:StreamingProxyRelease`, steps 3 and 4.1 of the guide.

    Creates the namespace and the Helm release in the cluster of the Kubernetes provider that it inherits.
    Destroyed release first, so that Helm uninstalls before the namespace goes.
    """

    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: StreamingProxyReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:StreamingProxyRelease", name, None, opts)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=args.namespace),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.release = k8s.helm.v3.Release(
            f"{name}-release",
            name=args.release_name,
            namespace=namespace.metadata.name,
            chart=args.chart,
            version=args.chart_version if is_oci(args.chart) else None,
            values=chart_values(args),
            timeout=args.timeout,
            # The chart's NodePorts are fixed: a successor cannot start beside its predecessor.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.register_outputs({"status": self.release.status})


def chart_values(args: StreamingProxyReleaseArgs) -> Values:
    """Step 3: the guide's values file, with `helm_values` merged over it."""
    resources = {"cpu": args.cpu, "memory": args.memory}
    values: Values = {
        "env": {"lbPort": str(args.udp_port), "lbDns": args.nlb_dns_name},
        "replicaCount": args.replicas,
        "availabilityZones": {"enabled": True, "zones": [args.availability_zone]},
        "nodeSelector": dict(args.node_selector),
        "image": {"repository": args.image_repository, "tag": args.image_tag, "pullPolicy": "Always"},
        "resources": {"requests": resources, "limits": resources},
    }
    return merge(values, args.helm_values)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """`base` with `over` laid on it: mappings are merged deeply, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merge(cast(Mapping[str, Any], below), cast(Mapping[str, Any], value))
        merged[key] = value
    return merged
