"""The objects of an emulated cluster in the shapes of the Kubernetes API."""

import base64
import gzip
import json
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rehearsal.kubernetes import workloads
from rehearsal.kubernetes.chart import Service
from rehearsal.kubernetes.cluster_state import Cluster, policy_types
from rehearsal.kubernetes.metadata import BEGINNING, Json, metadata, moment
from rehearsal.kubernetes.release import HelmRelease
from rehearsal.kubernetes.scheduler import CORDONED, PODS_PER_NODE, Container, Pod, Taint, canonical, taints
from rehearsal.world import Answering, Node

NAMESPACE_CONDITIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "NamespaceDeletionDiscoveryFailure": (
        "DiscoveryFailed",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "GroupVersionParsingFailed",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeletionFailed",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("SomeResourcesRemain", "ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "SomeFinalizersRemain",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}
"""The conditions of a namespace that is being deleted: the reason while one is true, then reason and message."""

GRACE_PERIOD: Final = 30
"""Seconds that a pod has to end in once it is deleted."""

ROOT_CA_IS: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)

INITIALIZING: Final = {"waiting": {"reason": "PodInitializing"}}
"""The state of a container that waits for the init containers."""

CONTAINER_DEFAULTS: Final = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
POD_DEFAULTS: Final[Json] = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "serviceAccount": "default",
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": GRACE_PERIOD,
}
SERVICE_DEFAULTS: Final[Json] = {
    "internalTrafficPolicy": "Cluster",
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "sessionAffinity": "None",
}
"""What the API server sets where a request leaves it open (tests/real/test_cluster.py compares it)."""

TOLERATED_FOR: Final = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for state in ("not-ready", "unreachable")
]
"""The tolerations that the API server gives to each pod."""

KUBELET: Final = {
    "architecture": "amd64",
    "bootID": "00000000-0000-0000-0000-000000000000",
    "containerRuntimeVersion": "containerd://2.1.4",
    "kernelVersion": "6.12.46-66.121.amzn2023.x86_64",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.34.1-eks-113cf36",
    "machineID": "0" * 32,
    "operatingSystem": "linux",
    "osImage": "Amazon Linux 2023.9.20250929",
    "systemUUID": "00000000-0000-0000-0000-000000000000",
}
"""What the kubelet of every node tells of itself."""

PROBE: Final = {
    "httpGet": {"path": "/v1/health", "port": 8000, "scheme": "HTTP"},
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


def nodes(cluster: Cluster) -> list[Json]:
    """All nodes."""
    return [_node(cluster, node) for node in cluster.nodes.values()]


def namespaces(cluster: Cluster) -> list[Json]:
    """All namespaces."""
    return [
        _namespace(name, cluster.hung.get(name, {}) if cluster.terminating(name) else None)
        for name in cluster.namespaces
    ]


def pods(cluster: Cluster) -> list[Json]:
    """All pods."""
    return [_pod(cluster, pod) for pod in cluster.all_pods]


def services(cluster: Cluster) -> list[Json]:
    """All services."""
    inner = [workloads.service_object(service, SERVICE_DEFAULTS) for service in cluster.nvcf.services.values()]
    return [*(_service(service) for service in cluster.services.values()), *inner]


def endpoints(cluster: Cluster) -> list[Json]:
    """The endpoints of all services."""
    return [
        {
            "metadata": metadata(service.name, service.namespace),
            "subsets": [
                {
                    key: [_target(pod) for pod in cluster.selected(service) if cluster.ready(pod) is ready]
                    for key, ready in (("addresses", True), ("notReadyAddresses", False))
                }
                | {
                    "ports": [
                        {"name": port.name, "port": port.port, "protocol": port.protocol} for port in service.ports
                    ]
                }
            ]
            if cluster.selected(service)
            else [],
        }
        for service in _with_endpoints(cluster)
    ]


def _with_endpoints(cluster: Cluster) -> list[Service | workloads.ClusterService]:
    """The services that Kubernetes keeps the endpoints of."""
    return [
        *cluster.services.values(),
        *(service for service in cluster.nvcf.services.values() if not service.external_name),
    ]


def endpoint_slices(cluster: Cluster) -> list[Json]:
    """One slice for each service."""
    return [
        {
            "metadata": metadata(
                f"{service.name}-1",
                service.namespace,
                labels={"kubernetes.io/service-name": service.name},
                generation=1,
            ),
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [pod_ip(pod)],
                    "conditions": {
                        "ready": cluster.ready(pod),
                        "serving": cluster.ready(pod) or pod.state == "terminating",
                        "terminating": pod.state == "terminating",
                    },
                    "nodeName": pod.node,
                    "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name},
                }
                for pod in cluster.selected(service)
                if pod.node
            ],
            "ports": [{"name": port.name, "port": port.port, "protocol": port.protocol} for port in service.ports],
        }
        for service in _with_endpoints(cluster)
    ]


@dataclass(frozen=True)
class Behind:
    """What is behind a service: its ports, its ready endpoints, and what those do."""

    ports: tuple[int, ...]
    addresses: tuple[str, ...]
    answering: Answering = "answers"


def service_behind(cluster: Cluster, namespace: str, name: str) -> Behind | None:
    """What is behind a service; None where there is no such."""
    place = namespace, name
    service = cluster.nvcf.services.get(place) or cluster.services.get(place)
    if service is None:
        return None
    ready = tuple(pod_ip(pod) for pod in cluster.selected(service) if cluster.ready(pod))
    ports = tuple(port.port for port in service.ports if port.protocol == "TCP")
    answering = service.answering if isinstance(service, workloads.ClusterService) else "answers"
    return Behind(ports, ready, answering)


def secrets(cluster: Cluster) -> list[Json]:
    """The secrets in which Helm keeps the revisions of its releases, and somebody's own."""
    kept = [_secret(revision) for last in cluster.releases.values() for revision in (*last.earlier, last)]
    own = [{"metadata": metadata(name, namespace), "type": "Opaque"} for namespace, name in sorted(cluster.secrets)]
    return kept + own


def config_maps(cluster: Cluster) -> list[Json]:
    """The certificate that Kubernetes puts into each namespace that stays, and somebody's own."""
    given = [
        {
            "metadata": metadata("kube-root-ca.crt", namespace, annotations={"kubernetes.io/description": ROOT_CA_IS}),
            "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"},
        }
        for namespace in sorted(cluster.namespaces)
        if not cluster.terminating(namespace)
    ]
    return [*given, *({"metadata": metadata(name, namespace)} for namespace, name in sorted(cluster.config_maps))]


def events(cluster: Cluster) -> list[Json]:
    """What is to be said of the pods now, and of ReplicaSets whose pods are refused. Past events are not kept."""
    refused = [_refused(*where, why) for where, why in cluster.refusals.items()]
    return [*refused, *(event for pod in cluster.pods.values() if pod.release for event in _events(pod))]


def bindings(cluster: Cluster) -> list[Json]:
    """The target group bindings."""
    return [
        {**binding, "metadata": metadata(name, namespace, generation=1) | binding["metadata"]}
        for (namespace, name), binding in cluster.bindings.items()
    ]


def network_policies(cluster: Cluster) -> list[Json]:
    """All network policies."""
    return [
        {
            "metadata": metadata(name, namespace, generation=1),
            "spec": {**spec, "policyTypes": policy_types(spec)},
        }
        for (namespace, name), spec in cluster.network_policies.items()
    ]


def deployments(cluster: Cluster) -> list[Json]:
    """NVCF's own, and one for each release of the proxy."""
    found = [*cluster.nvcf.deployments.values(), *cluster.deployments()]
    return [workloads.deployment_object(deployment) for deployment in found]


def cron_jobs(cluster: Cluster) -> list[Json]:
    """All CronJobs."""
    return [workloads.cron_job_object(job) for job in cluster.nvcf.cron_jobs.values()]


def none(_: Cluster) -> list[Json]:
    """What no emulated cluster has."""
    return []


SHOWN: Final[Mapping[str, Callable[[Cluster], list[Json]]]] = {
    "nodes": nodes,
    "namespaces": namespaces,
    "pods": pods,
    "services": services,
    "endpoints": endpoints,
    "endpointslices": endpoint_slices,
    "secrets": secrets,
    "configmaps": config_maps,
    "events": events,
    "persistentvolumeclaims": none,
    "networkpolicies": network_policies,
    "deployments": deployments,
    "cronjobs": cron_jobs,
    "targetgroupbindings": bindings,
}
"""What shows the objects of each resource."""


def pod_ip(pod: Pod) -> str:
    """The address of a pod."""
    number = zlib.crc32(pod.name.encode())
    return f"10.0.{192 + number % 64}.{1 + number // 64 % 254}"


def _node(cluster: Cluster, node: Node) -> Json:
    deleting: Json = {"deletionTimestamp": moment(BEGINNING)} if node.deleting else {}
    carried = [*taints(node), *([CORDONED] if node.cordoned else [])]
    resources = _canonical({"cpu": node.cpu, "memory": node.memory, "pods": str(PODS_PER_NODE)})
    status, reason, message = _readiness(node)
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": moment(BEGINNING),
    }
    return {
        "metadata": metadata(node.name, labels=cluster.labels(node), **deleting),
        "spec": {
            "providerID": _provider_id(cluster, node),
            "taints": [_taint(taint) for taint in carried],
            **({"unschedulable": True} if node.cordoned else {}),
        },
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": address} for address in _addresses(cluster, node)),
                {"type": "Hostname", "address": node.name},
            ],
            "allocatable": resources,
            "capacity": resources,
            "conditions": [condition],
            "nodeInfo": KUBELET,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }


def _readiness(node: Node) -> tuple[str, str, str]:
    """Status, reason and message of the condition Ready."""
    if node.instance_state != "running":
        return "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
    if not node.ready:
        return "False", "KubeletNotReady", "container runtime network not ready"
    return "True", "KubeletReady", "kubelet is posting ready status"


def _provider_id(cluster: Cluster, node: Node) -> str:
    zone, world = cluster.world.zone(node.zone), cluster.world
    made_up = uuid.uuid5(uuid.NAMESPACE_OID, node.name).hex
    if node.compute_type == "fargate":
        return f"aws:///{zone}/{made_up[:10]}-{made_up}/fargate-{node.name}"
    if node.compute_type == "hybrid":
        return f"eks-hybrid:///{world.region}/{world.cluster}/mi-{made_up[:17]}"
    return f"aws:///{zone}/{node.instance_id}"


def _addresses(cluster: Cluster, node: Node) -> list[str | None]:
    """What the cluster lists: of the IPv6 family that alone, else the node's own order."""
    if cluster.world.quirks.ip_family == "ipv6":
        number = zlib.crc32(node.name.encode())
        return [f"2600:1f14::{number >> 16:x}:{number & 0xFFFF:x}"]
    return [*node.addresses, node.ip]


def _taint(taint: Taint) -> Json:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, "effect": taint.effect, **value}


def _namespace(name: str, hung: Mapping[str, str] | None) -> Json:
    """A namespace. One that is being deleted has all conditions; those of `hung`, with their messages, are true."""
    deleted: Json = {} if hung is None else {"deletionTimestamp": moment(datetime.now(UTC))}
    conditions = [] if hung is None else [_condition(type_, hung) for type_ in NAMESPACE_CONDITIONS]
    return {
        "metadata": metadata(name, labels={"kubernetes.io/metadata.name": name}, **deleted),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"} if hung is None else {"phase": "Terminating", "conditions": conditions},
    }


def _condition(type_: str, hung: Mapping[str, str]) -> Json:
    failing, reason, message = NAMESPACE_CONDITIONS[type_]
    told = {"status": "False", "reason": reason, "message": message}
    if type_ in hung:
        told = {"status": "True", "reason": failing, "message": hung[type_]}
    return {"type": type_, "lastTransitionTime": moment(BEGINNING), **told}


def _canonical(quantities: Mapping[str, str]) -> Json:
    return {resource: canonical(text) for resource, text in quantities.items()}


def _target(pod: Pod) -> Json:
    reference = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}
    return {"ip": pod_ip(pod), "nodeName": pod.node, "targetRef": reference}


def _pod(cluster: Cluster, pod: Pod) -> Json:
    ready = cluster.ready(pod) or pod.state == "terminating"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": pod.replica_set,
        "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, pod.template)),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    owned = {"ownerReferences": [owner]} if pod.release else {}
    own = {
        "name": pod.container,
        "image": pod.image,
        "resources": {"requests": _canonical(pod.requested), "limits": _canonical(pod.limits)},
        **CONTAINER_DEFAULTS,
        **({"readinessProbe": PROBE, "livenessProbe": PROBE} if pod.release else {}),
    }

    def added(container: Container) -> Json:
        return {"name": container.name, "image": pod.image, "resources": {}, **CONTAINER_DEFAULTS}

    regular = [container for container in pod.added if container.kind == "regular"]
    init = [container for container in pod.added if container.kind != "regular"]
    own_ready = pod.is_initialized and (cluster.runs(pod) or pod.state == "terminating")
    statuses = {
        "containerStatuses": [
            _container_status(pod, ready=own_ready),
            *(_added_status(pod, container) for container in regular),
        ],
        "initContainerStatuses": [_added_status(pod, container) for container in init],
    }
    deleted: Json = {}
    if pod.state == "terminating":
        end = datetime.now(UTC) + timedelta(seconds=GRACE_PERIOD)
        deleted = {"deletionTimestamp": moment(end), "deletionGracePeriodSeconds": GRACE_PERIOD}
    evicted: Json = {"reason": "Evicted", "message": pod.message} if pod.state == "evicted" else {}
    scheduled = {"nodeName": pod.node} if pod.node else {}
    placed: Json = {}
    if pod.node:
        placed = {"podIP": pod_ip(pod), "podIPs": [{"ip": pod_ip(pod)}]}
        if (node := cluster.nodes.get(pod.node)) and node.ip:
            placed |= {"hostIP": node.ip, "hostIPs": [{"ip": node.ip}]}
    return {
        "metadata": metadata(
            pod.name,
            pod.namespace,
            at=pod.created,
            labels=dict(pod.labels),
            annotations=dict(pod.annotations),
            generation=1,
            **owned,
            **deleted,
        ),
        "spec": {
            "containers": [own, *map(added, regular)],
            "initContainers": [
                added(container) | ({"restartPolicy": "Always"} if container.kind == "sidecar" else {})
                for container in init
            ],
            "nodeSelector": dict(pod.node_selector),
            "tolerations": [
                *(toleration.model_dump(by_alias=True, exclude_defaults=True) for toleration in pod.tolerations),
                *TOLERATED_FOR,
            ],
            **POD_DEFAULTS,
            **scheduled,
        },
        "status": {
            "phase": pod.phase,
            "conditions": _conditions(pod, ready=ready),
            **placed,
            **evicted,
            **(statuses if pod.node and not evicted else {}),
            "startTime": moment(pod.created),
            "qosClass": _quality(pod),
        },
    }


def _quality(pod: Pod) -> str:
    """The quality of service class: see kubernetes.io/docs/tasks/configure-pod-container/quality-service-pod."""
    if pod.added or pod.requested != pod.limits or not {"cpu", "memory"} <= pod.limits.keys():
        return "Burstable" if pod.requested else "BestEffort"
    return "Guaranteed"


def _conditions(pod: Pod, *, ready: bool) -> list[Json]:
    since = moment(pod.created)
    unscheduled = {"reason": "Unschedulable", "message": pod.message}
    at_fault = [pod.container] if pod.state != "running" else []
    at_fault += [container.name for container in pod.added if container.crashing]
    unready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(at_fault)}]"}
    uninitialized = {"reason": "ContainersNotInitialized"}
    found = [("PodScheduled", bool(pod.node), unscheduled)]
    if pod.node:
        found += [
            ("Initialized", pod.is_initialized, uninitialized),
            ("ContainersReady", ready, unready),
            ("Ready", ready, unready),
        ]
    return [
        {"type": type_, "status": str(holds), "lastTransitionTime": since, **({} if holds else details)}
        for type_, holds, details in found
    ]


def _container_status(pod: Pod, *, ready: bool) -> Json:
    return {
        "name": pod.container,
        "image": pod.image,
        "imageID": "",
        "ready": ready,
        "started": pod.is_initialized and pod.state in ("running", "unready", "terminating"),
        "restartCount": pod.restarts,
        "state": _container_state(pod) if pod.is_initialized else INITIALIZING,
        "lastState": {"terminated": _died(pod)} if pod.restarts else {},
    }


def _added_status(pod: Pod, container: Container) -> Json:
    """The status of a container beside the pod's own; none but init containers start before those have done theirs."""
    state: Json = {"running": {"startedAt": moment(pod.created)}}
    if container.is_done:
        state = {"terminated": _died(pod) | {"exitCode": 0, "reason": "Completed"}}
    elif container.crashing:
        state = _back_off(pod, container.name)
    elif container.kind == "regular" and not pod.is_initialized:
        state = INITIALIZING
    return {
        "name": container.name,
        "image": pod.image,
        "imageID": "",
        "ready": container.is_done or "running" in state,
        "started": "running" in state,
        "restartCount": container.restarts,
        "state": state,
        "lastState": {"terminated": _died(pod)} if container.restarts else {},
    }


def _died(pod: Pod) -> Json:
    return {"exitCode": 1, "reason": "Error", "startedAt": moment(pod.created), "finishedAt": moment(datetime.now(UTC))}


def _back_off(pod: Pod, container: str) -> Json:
    message = f"back-off 5m0s restarting failed container={container} pod={pod.name}_{pod.namespace}"
    return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}


def _container_state(pod: Pod) -> Json:
    if pod.state == "crashing":
        return _back_off(pod, pod.container)
    if pod.state == "unpullable":
        return {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{pod.image}"'}}
    if pod.state == "starting":
        return {"waiting": {"reason": "ContainerCreating"}}
    return {"running": {"startedAt": moment(pod.created)}}


def _service(service: Service) -> Json:
    number = zlib.crc32(f"{service.namespace}/{service.name}".encode())
    helm: Json = {"labels": {"app.kubernetes.io/managed-by": "Helm"}} if service.release else {}
    if service.release:
        helm["annotations"] = {
            "meta.helm.sh/release-name": service.release,
            "meta.helm.sh/release-namespace": service.namespace,
        }
    address = f"172.20.{number % 256}.{number // 256 % 254 + 1}"
    of_type: Json = {"type": "NodePort"}
    if service.health_check_node_port:
        of_type = {
            "type": "LoadBalancer",
            "healthCheckNodePort": service.health_check_node_port,
            "allocateLoadBalancerNodePorts": True,
        }
    return {
        "metadata": metadata(service.name, service.namespace, **helm),
        "spec": {
            **of_type,
            **SERVICE_DEFAULTS,
            "clusterIP": address,
            "clusterIPs": [address],
            "selector": dict(service.selector),
            "externalTrafficPolicy": service.external_traffic_policy,
            "ports": [
                {
                    "name": port.name,
                    "protocol": port.protocol,
                    "port": port.port,
                    "targetPort": port.port,
                    "nodePort": port.node_port,
                }
                for port in service.ports
            ],
        },
        "status": {"loadBalancer": {}},
    }


def _secret(release: HelmRelease) -> Json:
    chart = release.chart.rstrip("/").rpartition("/")[2]
    version = release.version or "0.0.0"
    at = moment(release.at)
    document = {
        "name": release.name,
        "namespace": release.namespace,
        "version": release.revision,
        "info": {"status": release.status, "first_deployed": at, "last_deployed": at, "description": release.status},
        "chart": {"metadata": {"name": chart, "version": version}},
        "config": release.values,
    }
    packed = base64.b64encode(gzip.compress(json.dumps(document).encode()))
    labels = {
        "owner": "helm",
        "name": release.name,
        "status": release.status,
        "version": str(release.revision),
        "modifiedAt": str(int(release.at.timestamp())),
    }
    name = f"sh.helm.release.v1.{release.name}.v{release.revision}"
    return {
        "metadata": metadata(name, release.namespace, at=release.at, labels=labels),
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(packed).decode()},
    }


def _events(pod: Pod) -> list[Json]:
    name = f"{pod.namespace}/{pod.name}"
    kubelet, back_off = "kubelet", f"Back-off restarting failed container {pod.container} in pod {name}"
    placed = ("Normal", "Scheduled", f"Successfully assigned {name} to {pod.node}", "default-scheduler")
    missing = f'failed to resolve reference "{pod.image}": {pod.image}: not found'
    told = {
        "pending": [("Warning", "FailedScheduling", pod.message, "default-scheduler")],
        "unpullable": [
            placed,
            (
                "Warning",
                "Failed",
                f'Failed to pull image "{pod.image}": rpc error: code = NotFound: {missing}',
                kubelet,
            ),
            ("Warning", "Failed", "Error: ImagePullBackOff", kubelet),
            ("Normal", "BackOff", f'Back-off pulling image "{pod.image}"', kubelet),
        ],
        "crashing": [placed, ("Warning", "BackOff", back_off, kubelet)],
        "unready": [
            placed,
            ("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", kubelet),
        ],
        "starting": [placed, ("Normal", "Pulling", f'Pulling image "{pod.image}"', kubelet)],
        "evicted": [placed, ("Warning", "Evicted", pod.message, kubelet)],
        "terminating": [placed, ("Normal", "Killing", f"Stopping container {pod.container}", kubelet)],
        "running": [placed, ("Normal", "Started", f"Started container {pod.container}", kubelet)],
    }[pod.state]
    about = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "apiVersion": "v1"}
    return [
        _event(about, number, pod.created, type_, reason, message, component)
        for number, (type_, reason, message, component) in enumerate(told)
    ]


def _refused(namespace: str, replica_set: str, why: str) -> Json:
    about = {"kind": "ReplicaSet", "namespace": namespace, "name": replica_set, "apiVersion": "apps/v1"}
    message, component = f"Error creating: {why}", "replicaset-controller"
    return _event(about, 0, datetime.now(UTC), "Warning", "FailedCreate", message, component)


def _event(about: Json, number: int, at: datetime, type_: str, reason: str, message: str, component: str) -> Json:
    return {
        "metadata": metadata(f"{about['name']}.{number:016x}", about["namespace"], at=at),
        "involvedObject": about,
        "type": type_,
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "firstTimestamp": moment(at),
        "lastTimestamp": moment(at),
        "count": 1,
        "reportingComponent": component,
        "reportingInstance": "",
    }
