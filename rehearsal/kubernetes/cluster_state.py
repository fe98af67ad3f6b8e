"""The state of an emulated EKS cluster: nodes, pods and services, and the streaming proxy's Helm release."""

import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from lls.fitness import COMPUTE_TYPE_LABEL, TAINTS
from lls.target_registration import ZONE_LABEL
from rehearsal.aws.callers import ROLE, EmulatedCaller
from rehearsal.kubernetes.chart import KubernetesError, Service, documented, foreign_service, service_of
from rehearsal.kubernetes.release import HelmRelease, Status, next_revision, pod_of
from rehearsal.kubernetes.scheduler import UNREACHABLE, Pod, UnschedulableError, over_quota, place, quantity, taints
from rehearsal.kubernetes.workloads import ClusterService, Deployment, deployment_of, other_half
from rehearsal.world import Node, World, WorldClock

WEBHOOK: Final = 'admission webhook "vtargetgroupbinding.elbv2.k8s.aws" denied the request:'
"""How a refusal of the AWS Load Balancer Controller begins."""

FINALIZERS_REMAIN: Final = "NamespaceFinalizersRemaining"
"""The condition of a namespace in which something is held back by finalizers."""


def policy_types(policy: Mapping[str, Any]) -> list[str]:
    """What a network policy is about, also where it leaves that open, as the API server then sets it."""
    return policy.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in policy else [])]


class Cluster:
    """The cluster of a world.

    `nodes` may be changed at any time, as an autoscaler does; so may `services`, somebody's `secrets` and
    `config_maps`, by namespace and name, `quotas`, by namespace, which refuse pods beyond limits such as
    `limits.memory`, `network_policies`, their specs by namespace and name, and `denied`, the verbs and resources that
    the user may not use, such as ("list", "nodes") or ("get", "pods/log"). `roles` are the ARNs of the AWS roles
    that have an access entry, and `guests` those of their sessions that have come in. `hung` are the namespaces
    whose deletion does not end: each with the conditions of its status that tell why, and their messages. `nvcf` is
    NVCF's own half.
    """

    def __init__(self, world: World, clock: WorldClock, node_selector: Mapping[str, str]) -> None:
        """Describe the cluster; nodes without labels of their own carry `node_selector`."""
        self.world = world
        self._clock = clock
        self._node_selector = node_selector
        self._lock = threading.RLock()
        self._gone_at: dict[str, float] = {}
        self.hung: dict[str, Mapping[str, str]] = {}
        taken = map(foreign_service, world.quirks.taken_node_ports)
        self.nodes: dict[str, Node] = {}
        self.services: dict[tuple[str, str], Service] = {
            (service.namespace, service.name): service for service in taken
        }
        self.pods: dict[tuple[str, str], Pod] = {
            (pod.namespace, pod.name): Pod(
                name=pod.name,
                namespace=pod.namespace,
                node=pod.node,
                requests={"cpu": pod.cpu, "memory": pod.memory},
            )
            for pod in world.pods
        }
        self.nvcf = other_half(world.nvcf)
        self.namespaces: set[str] = {"default", "kube-system", *self.nvcf.namespaces} | {
            service for service, _ in (*self.services, *self.pods)
        }
        self._before = frozenset(self.namespaces)
        self.releases: dict[tuple[str, str], HelmRelease] = {}
        self.bindings: dict[tuple[str, str], dict[str, Any]] = {}
        self.secrets: set[tuple[str, str]] = set()
        self.config_maps: set[tuple[str, str]] = set()
        self.network_policies: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.quotas: dict[str, Mapping[str, str]] = {}
        self.refusals: dict[tuple[str, str], str] = {}
        self.denied: set[tuple[str, str]] = set()
        self.user = f"arn:{world.partition}:sts::{world.account}:assumed-role/{ROLE}/session"
        self.roles: set[str] = {f"arn:{world.partition}:iam::{world.account}:role/{ROLE}"}
        self.guests: set[str] = set()
        self.identify: Callable[[str, str], EmulatedCaller | None] = lambda key, role: None

    def admits(self, key: str, role: str) -> bool:
        """Whether somebody may come in whose token was signed by an access key, and as a role of that key's choice.

        `identify` tells who that is in AWS.
        """
        caller = self.identify(key, role)
        if caller is None or caller.role not in {re.sub(":role/.*/", ":role/", role) for role in self.roles}:
            return False
        self.guests.add(caller.arn)
        return True

    # --- What Pulumi's provider and Helm do

    def create_namespace(self, name: str) -> None:
        """Create a namespace; one that exists is refused."""
        with self.settled():
            if name in self.namespaces:
                raise KubernetesError(f'namespaces "{name}" already exists')
            self.namespaces.add(name)

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with everything in it, and wait until it is gone."""
        self.begin_deletion(name)
        self._clock.sleep(self.world.latencies.namespace_delete)
        with self._lock:
            self._gone_at[name] = self._clock.now()
            self._expire()

    def begin_deletion(self, name: str) -> None:
        """Delete a namespace in the background."""
        with self.settled():
            self._gone_at.setdefault(name, self._clock.now() + self.world.latencies.namespace_delete)

    def terminating(self, namespace: str) -> bool:
        """Whether a namespace is being deleted."""
        return namespace in self._gone_at

    def install(
        self, name: str, namespace: str, *, chart: str, version: str | None, values: Mapping[str, Any], timeout: int
    ) -> HelmRelease:
        """Install or upgrade a release and wait until its pods run, at most `timeout` seconds."""
        key = (namespace, name)
        with self.settled():
            if namespace not in self.namespaces:
                raise KubernetesError(f'create: failed to create: namespaces "{namespace}" not found')
            before = self.releases.get(key)
            if before and before.status.startswith("pending-"):
                raise KubernetesError("another operation (install/upgrade/rollback) is in progress")
            if before and before.status == "uninstalling":
                raise KubernetesError(f'"{name}" has no deployed releases')
            if not self.world.quirks.mirrored and ".dkr.ecr." in chart:
                raise KubernetesError(f"failed to download {chart!r} at version {version!r}: not found")
            read = documented(values)
            for request in (*read.resources.requests.values(), *read.resources.limits.values()):
                quantity(request)
            self.releases[key] = next_revision(before, HelmRelease(name, namespace, chart, version, values))
            service = service_of(name, namespace, read, self.world.quirks)
            if taken := self._taken(service):
                self._conclude(key, "failed")
                place = [port.node_port for port in service.ports].index(taken)
                raise KubernetesError(
                    f'Service "{service.name}" is invalid: spec.ports[{place}].nodePort: Invalid value: {taken}: '
                    "provided port is already allocated"
                )
            self.services[namespace, service.name] = service
            self._reconcile()
            waiting = self._pending(key)
        if waiting:
            self._clock.sleep(timeout)
        else:
            self._clock.sleep(self.world.latencies.helm_install)
        with self.settled():
            if waiting := self._pending(key):
                self._conclude(key, "failed")
                raise KubernetesError(f"context deadline exceeded: {waiting[0]}")
            return self._conclude(key, "deployed")

    def rollback(self, name: str, namespace: str, revision: int) -> None:
        """Make an earlier revision of a release the last one again; 0 is the one before the last."""
        key = (namespace, name)
        with self.settled():
            before = self.releases.get(key)
            if before is None:
                raise KubernetesError("release: not found")
            wanted = revision or before.revision - 1
            found = next((earlier for earlier in before.earlier if earlier.revision == wanted), None)
            if found is None:
                raise KubernetesError(f"release has no {wanted} version")
            self.releases[key] = next_revision(before, replace(found, earlier=()))
            self._reconcile()
            self._conclude(key, "deployed")

    def uninstall(self, name: str, namespace: str) -> None:
        """Uninstall a release. One whose uninstall did not end can be uninstalled again."""
        with self._lock:
            if found := self.releases.get((namespace, name)):
                self.releases[namespace, name] = replace(found, status="uninstalling")
        self._clock.sleep(self.world.latencies.helm_uninstall)
        with self._lock:
            if self.releases.pop((namespace, name), None) is None:
                raise KubernetesError(f"uninstall: Release not loaded: {name}: release: not found")
            self.refusals = {key: why for key, why in self.refusals.items() if key[0] != namespace}
            for kept in (self.services, self.pods):
                for key in [held for held in kept if held[0] == namespace and kept[held].release == name]:
                    del kept[key]

    # --- What runs

    def bind(self, binding: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take a TargetGroupBinding, whose service and namespace must be there, or a change of it.

        Its controller's webhook lets no two bind one group, and never lets a binding have another group (in
        kubernetes-sigs/aws-load-balancer-controller webhooks/elbv2/targetgroupbinding_validator.go).
        """
        place = binding["metadata"]["namespace"], binding["metadata"]["name"]
        reference, arn = binding["spec"]["serviceRef"], binding["spec"]["targetGroupARN"]
        with self._lock:
            service = self.services.get((place[0], reference["name"]))
            if service is None or reference["port"] not in [port.port for port in service.ports]:
                raise KubernetesError(f"service {reference['name']} has no port {reference['port']} in {place[0]}")
            before = self.bindings.get(place, binding)
            fixed = [
                key for key in ("targetGroupARN", "targetType") if before["spec"].get(key) != binding["spec"].get(key)
            ]
            if fixed:
                fields = ",".join(f"spec.{key}" for key in fixed)
                raise KubernetesError(
                    f"{WEBHOOK} TargetGroupBinding update may not change these immutable fields: {fields}"
                )
            others = [
                key for key, other in self.bindings.items() if key != place and other["spec"]["targetGroupARN"] == arn
            ]
            if others:
                names = " ".join("/".join(other) for other in others)
                raise KubernetesError(
                    f"{WEBHOOK} TargetGroup {arn} is already bound to following TargetGroupBindings [{names}]"
                )
            self.bindings[place] = dict(binding)
        return binding

    def unbind(self, binding: Mapping[str, Any]) -> None:
        """Forget a TargetGroupBinding."""
        with self._lock:
            self.bindings.pop((binding["metadata"]["namespace"], binding["metadata"]["name"]), None)

    def bound_targets(self, binding: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the controller registers for a binding: the instances of its nodes, at the service's NodePort."""
        reference = binding["spec"]["serviceRef"]
        with self._lock:
            service = self.services.get((binding["metadata"]["namespace"], reference["name"]))
            ports = [port.node_port for port in service.ports if port.port == reference["port"]] if service else []
            wanted = binding["spec"]["nodeSelector"]["matchLabels"]
            fitting = [
                node
                for node in self.nodes.values()
                if wanted.items() <= self.labels(node).items()
                and node.has_instance
                and not {taint.key for taint in taints(node)} & TAINTS.keys()
            ]
            return [{"Id": node.instance_id, "Port": port} for port in ports for node in fitting]

    def answers(self, address: str, port: int, path: str) -> bool:
        """Whether a node answers on a port: a service has it as NodePort, and a ready pod serves it.

        `path` is asked of the health port only.
        """
        with self.settled():
            node = next((node.name for node in self.nodes.values() if self._listens(node, address)), None)
            if node is None or (path and path != self.world.quirks.chart_health_path):
                return False
            return any(
                self.ready(pod)
                and self._admits(pod)
                and (service.external_traffic_policy == "Cluster" or pod.node == node)
                for service in self.services.values()
                if any(taken.node_port == port for taken in service.ports)
                for pod in self.selected(service)
            )

    def _admits(self, pod: Pod) -> bool:
        """Whether network policies let traffic in to a pod; of rules only those count that let in all."""
        selecting = [
            policy
            for (namespace, _), policy in self.network_policies.items()
            if namespace == pod.namespace
            and policy["podSelector"].get("matchLabels", {}).items() <= pod.labels.items()
            and "Ingress" in policy_types(policy)
        ]
        return not selecting or any({} in policy.get("ingress", ()) for policy in selecting)

    def _listens(self, node: Node, address: str) -> bool:
        """Whether NodePorts are open on an IPv4 address of a node."""
        speaks_ipv4 = self.world.quirks.ip_family == "ipv4" and node.compute_type != "fargate"
        is_up = UNREACHABLE not in {taint.key for taint in taints(node)}
        return speaks_ipv4 and is_up and address in (node.ip, *node.addresses)

    def selected(self, service: Service | ClusterService) -> list[Pod]:
        """The pods of a service that have not failed for good."""
        return [
            pod
            for pod in self.all_pods
            if pod.namespace == service.namespace
            and service.selector.items() <= pod.labels.items()
            and pod.state != "evicted"
        ]

    def ready(self, pod: Pod) -> bool:
        """Whether a pod is ready: all of its containers run."""
        return self.runs(pod) and not any(container.crashing for container in pod.added)

    def runs(self, pod: Pod) -> bool:
        """Whether a pod's own container would run: on a node that is not ready it is not known to."""
        return pod.state == "running" and pod.node in self.nodes and self.nodes[pod.node].serves

    @property
    def all_pods(self) -> list[Pod]:
        """Every pod: those of NVCF's own half are on the last node, and ask for nothing of it."""
        node = next(reversed(self.nodes), "")
        return [*self.pods.values(), *(pod for service in self.nvcf.services.values() for pod in service.pods(node))]

    def deployments(self) -> list[Deployment]:
        """The Deployments of the releases."""
        found: list[Deployment] = []
        for release in self.releases.values():
            replicas = documented(release.values).replica_count
            ready = sum(self.ready(pod) for pod in self._of(release))
            found.append(deployment_of(release, replicas, min(ready, replicas)))
        return found

    def leftovers(self) -> tuple[str, ...]:
        """Namespaces and releases that a stack left behind."""
        with self.settled():
            namespaces = (f"namespace {name}" for name in self.namespaces - self._before)
            releases = (f"release {namespace}/{name}" for namespace, name in self.releases)
            return tuple(sorted([*namespaces, *releases]))

    def labels(self, node: Node) -> dict[str, str]:
        """The labels of a node. Its zone is what its instance's was when it joined, unless somebody said otherwise."""
        own = self._node_selector if node.labels is None else node.labels
        zone = {ZONE_LABEL: self.world.zone(node.zone)} if node.compute_type != "hybrid" else {}
        kind = {COMPUTE_TYPE_LABEL: node.compute_type} if node.compute_type != "ec2" else {}
        return {
            "kubernetes.io/hostname": node.name,
            "topology.kubernetes.io/region": self.world.region,
            **zone,
            **kind,
            **own,
        }

    def remove(self, resource: str, namespace: str, name: str) -> bool:
        """Delete an object; whether the resource is one that can be."""
        kept: Mapping[str, dict[tuple[str, str], Any]] = {
            "pods": self.pods,
            "services": self.services,
            "targetgroupbindings": self.bindings,
        }
        if resource == "namespaces":
            self.begin_deletion(name)
        elif resource in kept:
            with self._lock:
                kept[resource].pop((namespace, name), None)
        return resource == "namespaces" or resource in kept

    # --- Controllers

    @contextmanager
    def settled(self) -> Generator[None]:
        """Hold the cluster, after its controllers have done what is due."""
        with self._lock:
            self._expire()
            self._reconcile()
            yield

    def _expire(self) -> None:
        """Remove the namespaces whose time has come, with what is in them.

        One whose deletion does not end loses its content too, but for what may be held back by finalizers.
        """
        for name in [name for name, at in self._gone_at.items() if at <= self._clock.now()]:
            if name not in self.hung:
                del self._gone_at[name]
                self.namespaces.discard(name)
            is_held = FINALIZERS_REMAIN in self.hung.get(name, ())
            for kept in (self.releases, self.services, self.pods, self.refusals, *([] if is_held else [self.bindings])):
                for key in [held for held in kept if held[0] == name]:
                    del kept[key]
            for named in (self.secrets, *([] if is_held else [self.config_maps])):
                named -= {held for held in named if held[0] == name}

    def _reconcile(self) -> None:
        """Let each release have its pods, on nodes that exist; pods of an old template go when the new ones run.

        A release has them also where its service was refused: Helm makes the other objects all the same.
        """
        for key in [key for key, pod in self.pods.items() if pod.node and pod.node not in self.nodes and pod.release]:
            del self.pods[key]
        for key, pod in list(self.pods.items()):
            if pod.state == "pending" and not pod.held:
                self.pods[key] = self._scheduled(pod, starting=False)
        for release in self.releases.values():
            if release.namespace not in self._gone_at and release.status != "uninstalling":
                self._replicate(release)

    def _replicate(self, release: HelmRelease) -> None:
        values = documented(release.values)
        own = [pod for pod in self._of(release) if pod.template == values.template and pod.stays]
        for pod in own[values.replica_count :]:
            del self.pods[pod.namespace, pod.name]
        for _ in range(values.replica_count - len(own)):
            pod = pod_of(release, values)
            replica_set = pod.namespace, pod.replica_set
            self.refusals.pop(replica_set, None)
            others = [
                other for other in self.pods.values() if other.namespace == pod.namespace and other.state != "evicted"
            ]
            if refusal := over_quota(pod, others, self.quotas.get(pod.namespace, {})):
                self.refusals[replica_set] = refusal
                return
            pod = self._scheduled(pod, starting=release.status.startswith("pending-"))
            self.pods[pod.namespace, pod.name] = pod
            own.append(pod)
        if all(self.ready(pod) for pod in own):
            for pod in self._of(release):
                if pod.template != values.template:
                    del self.pods[pod.namespace, pod.name]

    def _scheduled(self, pod: Pod, *, starting: bool) -> Pod:
        others = [other for other in self.pods.values() if other.name != pod.name and other.state != "evicted"]
        try:
            node = place(pod, self.nodes.values(), self.labels, others, ZONE_LABEL)
        except UnschedulableError as error:
            return replace(pod, state="pending", message=str(error))
        return replace(pod, node=node, state="starting" if starting else "running", message="")

    def _of(self, release: HelmRelease) -> Iterator[Pod]:
        """Its pods, of any template."""
        return (
            pod for pod in list(self.pods.values()) if (pod.namespace, pod.release) == (release.namespace, release.name)
        )

    def _pending(self, key: tuple[str, str]) -> list[str]:
        """Why a release's pods do not run."""
        refused = [why for (namespace, _), why in self.refusals.items() if namespace == key[0]]
        return refused + [pod.message for pod in self._of(self.releases[key]) if pod.state == "pending"]

    def _conclude(self, key: tuple[str, str], status: Status) -> HelmRelease:
        """End an operation of Helm; what was starting runs."""
        with self._lock:
            release = self.releases[key] = replace(self.releases[key], status=status)
            for pod in self._of(release):
                if pod.state == "starting":
                    self.pods[pod.namespace, pod.name] = replace(pod, state="running")
            self._reconcile()
            return release

    def _taken(self, wanted: Service) -> int | None:
        """The NodePort that another service holds."""
        others = [service for key, service in self.services.items() if key != (wanted.namespace, wanted.name)]
        return next((port for port in sorted(wanted.node_ports) for other in others if port in other.node_ports), None)
