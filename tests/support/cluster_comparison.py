"""What is asked of an emulated and of a real Kubernetes API alike, and what of their answers must agree."""

import json
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, Self
from unittest.mock import patch
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from lls.operations.cli import main
from lls.operations.world.states import State
from rehearsal.kubernetes.api import RESOURCE_TYPES, KubernetesApi, kubeconfig_for
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.scheduler import Container, Pod
from rehearsal.kubernetes.workloads import ClusterService
from rehearsal.world import ELSEWHERE
from tests.support import breakage
from tests.support.kube_api import NOBODY, Answer, Json, KubeApi, collection, differences, kind_of, leaves
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import KnownStates, MutableRehearsal, PatientClock, a_rehearsal, a_world, reached

STREAMING, HEALTH = 31504, 31800
"""NodePorts of the compared proxy: not the chart's, which a lent cluster may have."""

RECORD: Final = Path(__file__).with_name("kube_apiserver.json")
"""What a real API server answered, with its version: see tests/real/test_cluster.py."""

BINDING: Final = {
    "apiVersion": "elbv2.k8s.aws/v1beta1",
    "kind": "TargetGroupBinding",
    "metadata": {"name": "made", "labels": {"a": "b"}},
    "spec": {
        "targetGroupARN": "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/x/0",
        "targetType": "instance",
        "serviceRef": {"name": "streaming-proxy", "port": 6004},
    },
}

IN_NAMESPACES: Final = [resource for resource, kind in RESOURCE_TYPES.items() if kind.namespaced]
BINDINGS: Final = "targetgroupbindings"


@dataclass(frozen=True)
class Question:
    """A request. Into its target names are filled: {namespace}, {pod}, {node}, {ending} and the like, see Places.

    `nobody` is a user whom no role allows anything, `stranger` one whose token is known to no one.
    """

    method: str
    target: str
    body: Json | None = None
    by: Literal["admin", "nobody", "stranger"] = "admin"

    @property
    def name(self) -> str:
        """What tells it from the others."""
        by = "" if self.by == "admin" else f" by {self.by}"
        of = f" {json.dumps(self.body, sort_keys=True)}" if self.body is not None else ""
        return f"{self.method} {self.target}{of}{by}"

    @property
    def needs_nodes(self) -> bool:
        """Whether it is about nodes that must have been made up."""
        return self.target.startswith("/api/v1/nodes?")

    @property
    def needs_bindings(self) -> bool:
        """Whether it is about what only the AWS Load Balancer Controller's CRD makes known."""
        return "elbv2.k8s.aws" in self.target


REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PODS: Final = "/api/v1/namespaces/{namespace}/pods"


def _review(verb: str, resource: str, group: str = "", namespace: str | None = None) -> Json:
    attributes = {"verb": verb, "resource": resource, "group": group, "namespace": namespace}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }


def _questions() -> Iterable[Question]:
    for resource in RESOURCE_TYPES:
        all_, some = collection(resource), collection(resource, "{namespace}" if resource in IN_NAMESPACES else "")
        yield Question("GET", f"{some}/nosuch")
        yield Question("DELETE", f"{some}/nosuch")
        for target in {all_: 0, some: 0, f"{some}/x": 0}:
            yield Question("GET", target, by="nobody")
        yield Question("DELETE", f"{some}/x", by="nobody")
        if resource in IN_NAMESPACES:
            yield Question("GET", collection(resource, "nosuch"))
    yield Question("GET", "/api/v1/namespaces/{namespace}")
    yield Question("GET", "/api/v1/namespaces/{ending}")
    yield Question("DELETE", "/api/v1/namespaces/{namespace}", by="nobody")
    yield Question("DELETE", "/api/v1/namespaces/{ending}")
    for resource in IN_NAMESPACES:
        yield Question("GET", collection(resource, "{ending}"))
    # Selectors and pages
    for selector in (
        *("app=streaming-proxy", "app==streaming-proxy,pod-template-hash", "app!=x", "!app", "app", "app notin (x)"),
        *("x notin (x)", "app in (x,streaming-proxy)", "app in ()", "x=", "x!=", "app in (in,streaming-proxy)"),
        *("a===", "a=b,", "a in (b", "a b", "-", "a=$", "a/b/c=x!", "!!", "(a)", "a,,b", "a in b", "a in (b)c", "a>b"),
        *("a>1", "a<1"),
    ):
        yield Question("GET", f"{PODS}?labelSelector={_quoted(selector)}")
    for selector in (
        *(
            "spec.nodeName={node}",
            "spec.nodeName!={node}",
            "status.phase=Running,spec.nodeName=",
            "metadata.name={pod}",
        ),
        *("metadata.namespace==nosuch", "spec.color=red", "spec.nodeName", "spec.nodeName>1", "status.phase=Running,"),
    ):
        yield Question("GET", f"{PODS}?fieldSelector={_quoted(selector)}")
    for value in ("true", "false"):
        label = _quoted("compared={mark}")
        yield Question("GET", f"/api/v1/nodes?fieldSelector=spec.unschedulable%3D{value}&labelSelector={label}")
    yield Question("GET", "/api/v1/nodes?labelSelector=compared%3D{mark}")
    yield Question("GET", "/api/v1/nodes?labelSelector=compared%3D{mark}&limit=2")
    for page in ("limit=1", "limit=100", "limit=0", "limit=x", "limit=1&labelSelector=owner%3Dhelm"):
        yield Question("GET", f"/api/v1/namespaces/{{namespace}}/secrets?{page}")
    yield Question("GET", "/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3Dgdn-streaming")
    yield Question("GET", "/api/v1/namespaces/{namespace}/secrets?fieldSelector=type%3Dhelm.sh/release.v1")
    # Logs, as far as no kubelet is asked
    yield Question("GET", f"{PODS}/nosuch/log?container=x&tailLines=50&previous=true")
    yield Question("GET", f"{PODS}/{{pod}}/log?container=nosuch&tailLines=50")
    yield Question("GET", f"{PODS}/{{pod}}/log", by="nobody")
    yield Question("GET", f"{PODS}/{{unscheduled}}/log")
    label = _quoted("kubernetes.io/service-name=nosuch")
    yield Question("GET", f"{collection('endpointslices', '{namespace}')}?labelSelector={label}")
    # What is passed on to a service, as far as there is nobody behind it
    proxies = "/api/v1/namespaces/{namespace}/services"
    yield Question("GET", f"{proxies}/http:nosuch:8000/proxy/")
    yield Question("GET", f"{proxies}/http:nvcf-sbs:9/proxy/")
    yield Question("GET", f"{proxies}/http:nvcf-sbs:8000/proxy/")
    yield Question("GET", f"{proxies}/http:nvcf-sbs:8000/proxy/", by="nobody")
    # Reviews
    yield Question("POST", REVIEWS, _review("list", "nodes"))
    yield Question("POST", REVIEWS, _review("create", "deployments", "apps", "x"), by="nobody")
    yield Question("POST", REVIEWS, {})
    # Discovery and what there is not
    for target in ("/readyz", "/healthz", "/livez", "/nosuch", "/apis/nosuch.io/v1", "/apis/nosuch.io/v1/things"):
        yield Question("GET", target)
    for target in ("/api/v1/nosuch", "/api/v2", "/api/v1/namespaces/{namespace}/nosuch", f"{PODS}/x/nosuch"):
        yield Question("GET", target)
    for target in ("/api/v1/nodes", "/version", "/readyz", "/nosuch"):
        yield Question("GET", target, by="stranger")
    yield Question("PUT", PODS)
    # Target group bindings
    bindings = collection(BINDINGS, "{namespace}")
    for version in ("apis/apps/v1", "apis/batch/v1"):
        yield Question("GET", f"/{version}")
    for version in ("api/v1", "apis/networking.k8s.io/v1", "apis/discovery.k8s.io/v1", "apis/elbv2.k8s.aws/v1beta1"):
        yield Question("GET", f"/{version}")
    yield Question("GET", "/apis/networking.k8s.io")
    yield Question("GET", "/version")
    yield Question("POST", bindings, BINDING)
    yield Question("POST", bindings, BINDING | {"metadata": {"name": "made"}})
    yield Question("GET", f"{bindings}/made")
    yield Question("GET", bindings)
    yield Question("POST", bindings, BINDING, by="nobody")
    yield Question("POST", bindings, BINDING | {"metadata": {"name": "x", "namespace": "else"}})
    yield Question("POST", bindings, BINDING | {"metadata": {}})
    yield Question("POST", collection(BINDINGS, "nosuch"), BINDING)
    yield Question("POST", collection(BINDINGS, "{ending}"), BINDING)
    yield Question("DELETE", f"{bindings}/made")
    # Deletions of what is there
    yield Question("DELETE", "/api/v1/namespaces/{namespace}/services/streaming-proxy")
    yield Question("DELETE", f"{PODS}/{{pod}}")
    yield Question("DELETE", "/api/v1/namespaces/{namespace}")
    yield Question("DELETE", "/api/v1/namespaces/{namespace}")


def _quoted(selector: str) -> str:
    return quote(selector, safe="{}/")


QUESTIONS: Final = tuple(_questions())
"""In the order in which they are asked: the last ones delete."""


# --- What both have before


@dataclass(frozen=True)
class Places:
    """The names of what is asked about: all of it begins with a mark, so that two clusters can have it at a time."""

    mark: str

    @property
    def namespace(self) -> str:
        """A namespace with the proxy's release."""
        return f"{self.mark}-a"

    @property
    def ending(self) -> str:
        """A namespace whose deletion does not end."""
        return f"{self.mark}-b"

    @property
    def node(self) -> str:
        """A node."""
        return f"{self.mark}-gpu-1"

    def filled(self, target: str) -> str:
        """A question's target with the names in it."""
        names = {"namespace": self.namespace, "ending": self.ending, "node": self.node, "mark": self.mark}
        return target.format(**names, pod="proxy-1", unscheduled="proxy-2")

    def hidden(self, text: str) -> str:
        """A text without the mark."""
        return text.replace(self.mark, "MARK")


HELD: Final = "lls.test/held"
"""The finalizer of a config map in the namespace that is being deleted."""

ENDING: Final = {
    "NamespaceContentRemaining": "Some resources are remaining: configmaps. has 1 resource instances",
    "NamespaceFinalizersRemaining": f"Some content in the namespace has finalizers remaining: {HELD} in 1 resource "
    "instances",
}
"""Why its deletion does not end."""


def emulated_cluster(places: Places) -> Cluster:
    """An emulated cluster with what the questions are about."""
    quirks = {"load_balancer_controller": True, "chart_streaming_node_port": STREAMING}
    world = a_world(quirks=quirks, nvcf=ELSEWHERE)
    world = world.model_copy(update={"quirks": world.quirks.model_copy(update={"chart_health_node_port": HEALTH})})
    clock = PatientClock()
    cluster = Cluster(world, clock, {"node-type": "compute"})
    for number, node in enumerate(world.nodes):
        labels = {"node-type": "compute", "compared": places.mark}
        name, instance = f"{places.mark}-{node.name}", f"i-{number:017x}"
        changes = {
            "name": name,
            "ip": f"10.0.0.{number}",
            "instance_id": instance,
            "labels": labels,
            "cordoned": number == 2,
        }
        cluster.nodes[name] = node.model_copy(update=changes)
    install(cluster, places.namespace)
    install(cluster, places.namespace)
    [(namespace, name)] = list(cluster.pods)
    cluster.pods[namespace, "proxy-1"] = replace(cluster.pods.pop((namespace, name)), name="proxy-1")
    breakage.add_container(cluster, "proxy-1", Container(name="waits", kind="init"))
    breakage.add_container(cluster, "proxy-1", Container(name="mesh", kind="sidecar"))
    breakage.add_container(cluster, "proxy-1", Container(name="logs"))
    message = "0/5 nodes are available: 5 Insufficient memory."
    waiting = Pod(
        name="proxy-2",
        namespace=namespace,
        labels={"app": "else"},
        state="pending",
        message=message,
        held=True,
        limits={"cpu": "0.5", "memory": "1024Mi"},
    )
    cluster.pods[namespace, waiting.name] = waiting
    unserved = ClusterService(name="nvcf-sbs", namespace=namespace, port=8000, endpoints=0)
    cluster.nvcf.services[namespace, unserved.name] = unserved
    cluster.secrets.add((namespace, "mine"))
    cluster.config_maps.add((namespace, "mine"))
    cluster.network_policies[namespace, "ingress"] = {"podSelector": {}, "ingress": [{}]}
    cluster.network_policies[namespace, "both"] = {"podSelector": {"matchLabels": {"a": "b"}}, "egress": [{}]}
    cluster.create_namespace(places.ending)
    cluster.config_maps.add((places.ending, "held"))
    cluster.secrets.add((places.ending, "mine"))
    breakage.hang_deletion(cluster, places.ending, ENDING)
    clock.skip(60)
    return cluster


def install(cluster: Cluster, namespace: str, **values: Any) -> None:
    """Install or upgrade the proxy's release."""
    if namespace not in cluster.namespaces:
        cluster.create_namespace(namespace)
    resources = {"cpu": "5000m", "memory": "24Gi"}
    cluster.install(
        "gdn-streaming",
        namespace,
        chart="oci://r.example/gdn-streaming",
        version="2.0.1",
        values={
            "env": {"lbPort": "5004", "lbDns": "x.example"},
            "nodeSelector": {"node-type": "compute"},
            "image": {"repository": "r.example/streaming-proxy", "tag": "2.0.1", "pullPolicy": "Always"},
            "resources": {"requests": resources, "limits": resources},
            **values,
        },
        timeout=600,
    )


class Everything(set[tuple[str, str]]):
    """All verbs of all resources."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass
class Emulated:
    """An emulated cluster's API, to be asked."""

    cluster: Cluster
    api: KubeApi

    def ask(self, question: Question, places: Places) -> Answer:
        """Its answer."""
        target = places.filled(question.target)
        if question.by == "stranger":
            with self.api.as_stranger() as stranger:
                return stranger.ask(question.method, target, question.body)
        if question.by == "admin":
            return self.api.ask(question.method, target, question.body)
        with patch.multiple(self.cluster, denied=Everything(), user=NOBODY):
            return self.api.ask(question.method, target, question.body)


@contextmanager
def emulated(places: Places) -> Generator[Emulated]:
    """An emulated cluster with what the questions are about, and its API."""
    cluster = emulated_cluster(places)
    with KubernetesApi(cluster) as served, KubeApi(kubeconfig_for(served.endpoint, "emulated")) as api:
        yield Emulated(cluster, api)


# --- What of the answers must agree

MOMENTS: Final = re.compile(r"\.(uid|resourceVersion|\w*[tT]imestamp|\w*Time|startedAt|finishedAt|modifiedAt)$")
"""Fields whose values no two clusters have in common."""

ADDRESSES: Final = re.compile(r"spec\.clusterIPs?(\[\d+\])?$|data\.")
"""And such that the server of each chooses, or a controller of it."""


def digest(answer: Answer, places: Places) -> Any:
    """What must agree of an answer: a refusal as a whole, a list by its names, an object by its fields."""
    if isinstance(answer.body, str):
        return {"status": answer.status, "text": answer.body}
    body: Any = json.loads(places.hidden(json.dumps(answer.body)))
    if "kind" not in body:
        return {"status": answer.status, "keys": sorted(body)}
    kind = str(body["kind"])
    if kind == "Status":
        body.get("details", {}).pop("uid", None)
        return body
    shown: Json = {"status": answer.status, "kind": kind, "apiVersion": body.get("apiVersion")}
    if kind == "APIResourceList":
        told = ("kind", "namespaced", "singularName", "shortNames")
        served = {resource["name"]: [resource.get(key) for key in told] for resource in body["resources"]}
        return shown | {"resources": {name: served[name] for name in served if name in RESOURCE_TYPES}}
    if kind.endswith("List"):
        about, names = body["metadata"], [item["metadata"]["name"] for item in body["items"]]
        left = {"continues": bool(about.get("continue")), "remaining": about.get("remainingItemCount")}
        return shown | {"names": names, **left}
    return shown | {"fields": fields(body, places)}


def fields(object_: Json, places: Places) -> Json:
    """An object's fields by their paths, with a star for what no two clusters have in common."""
    object_ = json.loads(places.hidden(json.dumps(object_)))
    metadata = {key: value for key, value in object_.get("metadata", {}).items() if key != "managedFields"}
    return {
        path: "*" if MOMENTS.search(path) or ADDRESSES.match(path) else value
        for path, value in leaves(object_ | {"metadata": metadata})
    }


@dataclass(frozen=True)
class Record:
    """What a real API server of a version answered to the questions in their order, and set in objects by itself."""

    version: str
    answers: list[tuple[str, Json]]
    objects: dict[str, dict[str, Json]]
    """The fields that it set, by resource and object."""

    @classmethod
    def read(cls) -> Self:
        """The record that was written last."""
        return cls(**json.loads(RECORD.read_text()))

    def write(self) -> None:
        """Keep it, a line for each answer, so that a change of one is a change of a line."""
        answers = ",\n".join(json.dumps(answer) for answer in self.answers)
        objects = ",\n".join(f"{json.dumps(name)}: {json.dumps(found)}" for name, found in self.objects.items())
        RECORD.write_text(
            f'{{"version": "{self.version}",\n"answers": [\n{answers}\n],\n"objects": {{\n{objects}\n}}}}\n'
        )


@dataclass(frozen=True)
class Difference:
    """Where the emulated API may differ from a real one, by what is asked and by the field, and why."""

    where: str
    field: str
    why: str


WRITTEN: Final = (
    Difference(
        "DELETE .*/namespaces/[^/]*",
        r"status\.conditions.*",
        "the emulated controller writes its conditions at once, a real one a moment after the answer; what they say in "
        "the end is compared",
    ),
    Difference(
        "DELETE .*/pods/.*|pods",
        r"spec\.volumes.*|spec\.\w+\[\]\.volumeMounts.*",
        "the token of the pod's service account: nobody reads it",
    ),
    Difference(
        "DELETE .*/pods/.*|pods",
        r"metadata\.ownerReferences.*",
        "not made in a real cluster, whose garbage collector deletes pods of a ReplicaSet that is not there",
    ),
    Difference(
        "DELETE .*/pods/.*",
        r"metadata\.(deletion\w+|generation)",
        "no kubelet has to end an emulated pod, which is gone at once; nothing of ours deletes pods",
    ),
    Difference(
        "nodes",
        r"metadata\.annotations\..*",
        "what controllers note for themselves, where there are any",
    ),
    Difference(
        "configmaps",
        r"data\..*",
        "the certificate of the cluster, and the finalizer of the comparison's own",
    ),
)
"""Every difference that is left."""


def unwritten(where: str, ours: Any, real: Any) -> dict[str, tuple[Any, Any]]:
    """The differences of two digests, or of two objects' fields, that no line above is about: ours and the real one."""
    found = differences(ours.get("fields", ours), real.get("fields", real))
    known = [line.field for line in WRITTEN if re.fullmatch(line.where, where)]
    return {path: pair for path, pair in found.items() if not any(re.fullmatch(line, kind_of(path)) for line in known)}


# --- The calls that program and operations make


def call_of(method: str, target: str) -> str:
    """A request without what differs from one of its kind to the next: names, and the values of its parameters."""
    url = urlsplit(target)
    path = re.sub(r"/namespaces/[^/]+", "/namespaces/NAME", url.path)
    path = re.sub(r"/(pods|services|deployments|cronjobs)/[^/]+", r"/\1/NAME", path)
    return " ".join([method, path, *sorted(parse_qs(url.query))])


@cache
def calls_made() -> frozenset[str]:
    """Every call to the cluster of the program, for each way to register, and of the operations, with broken pods."""
    found: set[tuple[str, str]] = set()
    for config in STRATEGIES.values():
        with a_rehearsal(config, quirks=QUIRKS) as rehearsal:
            rehearsal.engine.up()
            found |= set(rehearsal.kubernetes.calls)
    with a_rehearsal(as_config(clusterName="nvcf-dev"), quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        breakage.crash(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))
        for command in ("preflight", "verify", "drift", "adopt", "check-clean", "sweep"):
            run_command(rehearsal, command, State() if command in ("sweep", "adopt") else rehearsal.state())
        found |= set(rehearsal.kubernetes.calls)
    return frozenset(call_of(*call) for call in found if not call[1].startswith("/helm/"))


def run_command(rehearsal: MutableRehearsal, command: str, state: State) -> None:
    """Run one of the operations as the command line does."""
    with reached(rehearsal), pytest.MonkeyPatch.context() as change:
        change.setattr("lls.operations.world.installation.CliBackend", partial(KnownStates, {"dev": state}))
        main([command, "--stack", "dev", *(["--yes"] if command == "sweep" else [])])


def calls_compared() -> frozenset[str]:
    """Those that the questions compare."""
    return frozenset(call_of(question.method, question.target) for question in QUESTIONS)
