"""The HTTP API of an emulated cluster, as the Kubernetes API answers."""

import base64
import json
import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from rehearsal.kubernetes.chart import KubernetesError
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.objects import SHOWN, Json, service_behind
from rehearsal.kubernetes.scheduler import Container, Pod
from rehearsal.kubernetes.selectors import SelectorError, parse_fields, parse_labels
from rehearsal.serving import serving

TOKEN: Final = "token-of-the-rehearsal"  # noqa: S105

HOLDER: Final = "|"
"""What stands in a token between TOKEN and the access key and the role of who fetched it."""

EKS_TOKEN: Final = "Bearer k8s-aws-v1."  # noqa: S105
"""How the tokens of the real `aws eks get-token` begin. They are taken on trust."""

PROXY_PATIENCE: Final = 30
"""Seconds in which the API server gives up a service that nobody connects it to."""

ELBV2: Final = "elbv2.k8s.aws"

Outage = Literal["refused", "silent", "unauthorized"]
"""How an API is out of reach: no connection, no answer, or nobody is known to it."""


@dataclass(frozen=True)
class ResourceType:
    """A resource of the API. `fields` are those that a fieldSelector may name, besides metadata's.

    `short` is what kubectl knows it by too.
    """

    name: str
    version: str = "v1"
    namespaced: bool = True
    fields: tuple[str, ...] = ()
    short: str = ""

    @property
    def group(self) -> str:
        """Its API group; empty for the core one."""
        return self.version.rpartition("/")[0]


RESOURCE_TYPES: Final[Mapping[str, ResourceType]] = {
    "nodes": ResourceType("Node", namespaced=False, fields=("spec.unschedulable",), short="no"),
    "namespaces": ResourceType("Namespace", namespaced=False, fields=("status.phase",), short="ns"),
    "pods": ResourceType("Pod", fields=("spec.nodeName", "status.phase", "status.podIP"), short="po"),
    "services": ResourceType("Service", fields=("spec.type", "spec.clusterIP"), short="svc"),
    "endpoints": ResourceType("Endpoints", short="ep"),
    "endpointslices": ResourceType("EndpointSlice", "discovery.k8s.io/v1"),
    "secrets": ResourceType("Secret", fields=("type",)),
    "configmaps": ResourceType("ConfigMap", short="cm"),
    "events": ResourceType(
        "Event", fields=("involvedObject.kind", "involvedObject.name", "reason", "type"), short="ev"
    ),
    "persistentvolumeclaims": ResourceType("PersistentVolumeClaim", short="pvc"),
    "networkpolicies": ResourceType("NetworkPolicy", "networking.k8s.io/v1", short="netpol"),
    "deployments": ResourceType("Deployment", "apps/v1", short="deploy"),
    "cronjobs": ResourceType("CronJob", "batch/v1", short="cj"),
    "targetgroupbindings": ResourceType("TargetGroupBinding", f"{ELBV2}/v1beta1"),
}
"""The resources that are served."""

PARTS: Final = (
    ("pods", "log"),
    ("pods", "status"),
    ("nodes", "status"),
    ("namespaces", "status"),
    ("services", "status"),
    ("services", "proxy"),
)
"""Subresources."""

PATH: Final = re.compile(
    r"/(?:api/v1|apis/(?P<version>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?"
)

PROXIED: Final = re.compile(r"(/api/v1/namespaces/[^/]+/services/[^/]+/proxy)(/.*)?")
"""What the API server passes on to a service: the subresource, and the path that the service is asked for."""


class StatusError(Exception):
    """What the API answers instead of success."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        """Carry HTTP's status, and Kubernetes' reason, which may be empty, message, and what they are about."""
        super().__init__(message)
        self.code = code
        self.status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({} if details is None else {"details": details}),
            "code": code,
        }


SHOWN_AS_DELETED: Final = ("namespaces", "pods", "services")
"""Resources whose deletion answers with the object; that of any other one, with a Status."""

NOT_ALLOWED: Final = StatusError(
    405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
)


UNKNOWN_RESOURCE: Final = StatusError(404, "NotFound", "the server could not find the requested resource", {})


@dataclass(frozen=True)
class Request:
    """A request for a resource. `namespace` and `name` are empty for all of them."""

    method: str
    resource: str
    namespace: str
    name: str
    part: str
    query: Mapping[str, str]
    body: Json

    @property
    def kind(self) -> ResourceType:
        """What the resource holds."""
        return RESOURCE_TYPES[self.resource]

    @property
    def verb(self) -> str:
        """The verb that a role must allow."""
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch"}
        if self.method in verbs:
            return verbs[self.method]
        of_one = {"GET": "get", "DELETE": "delete"}
        return of_one[self.method] if self.name else {"GET": "list", "DELETE": "deletecollection"}[self.method]

    @property
    def title(self) -> str:
        """The resource with its group, as in error messages."""
        return ".".join(filter(None, (self.resource, self.kind.group)))

    def about(self, name: str = "") -> Json:
        """What a refusal is about: the resource, and the object's name."""
        told = {"name": name or self.name, "group": self.kind.group, "kind": self.resource}
        return {key: value for key, value in told.items() if value}


class KubernetesApi:
    """Serves a cluster on a free port of 127.0.0.1. A context manager: inside it, it listens."""

    def __init__(self, cluster: Cluster) -> None:
        """Serve that cluster. The next `busy` requests are told to come again; `lets_anyone_in` asks for no token.

        `calls` are the requests so far, each as its method and its target.
        """
        self._cluster = cluster
        self._port = 0
        self._outage: Outage | None = None
        self.busy = 0
        self.lets_anyone_in = False
        self.calls: list[tuple[str, str]] = []
        self._over = threading.Event()
        self._stop: Callable[[], None] = lambda: None
        self.endpoint = ""

    def __enter__(self) -> Self:
        """Listen."""
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._over.set()
        self._stop()

    @contextmanager
    def outage(self, kind: Outage) -> Generator[None]:
        """Be out of reach for a while."""
        self._outage, self._over = kind, threading.Event()
        if kind == "refused":
            self._stop()
        try:
            yield
        finally:
            self._outage = None
            self._over.set()
            if kind == "refused":
                self._start()

    def answer(self, method: str, target: str, token: str, body: Json) -> Json | str | None:
        """The answer to a request; None for none at all. Raises StatusError."""
        self.calls.append((method, target))
        over = self._over
        if self._outage == "silent":
            over.wait()
            return None
        if self.busy:
            self.busy -= 1
            raise StatusError(429, "TooManyRequests", "the server has received too many requests")
        if self._outage == "unauthorized" or not self._knows(token):
            raise StatusError(401, "Unauthorized", "Unauthorized")
        url = urlsplit(target)
        if url.path in ("/livez", "/readyz", "/healthz"):
            return "ok"
        fixed = self._fixed().get((method, url.path.rstrip("/")))
        if fixed is not None:
            return fixed
        if (method, url.path) == ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
            return self._review(body)
        if method == "POST" and url.path in ("/helm/uninstall", "/helm/rollback"):
            return self._helm(url.path, body)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        proxied = PROXIED.fullmatch(path)
        request = self._request(method, proxied[1] if proxied else path, query, body)
        return self._proxied(request) if request and proxied else self._resource(request)

    def _knows(self, token: str) -> bool:
        if HOLDER in token:
            return self._cluster.admits(*token.split(HOLDER)[1:])
        return token.startswith((f"Bearer {TOKEN}", EKS_TOKEN)) or (not token and self.lets_anyone_in)

    # --- The server

    def _start(self) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._port = server.server_port
        self.endpoint = f"http://127.0.0.1:{self._port}"
        running = ExitStack()
        running.enter_context(serving(server))
        self._stop = running.close

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                code = 201 if self.command == "POST" else 200
                try:
                    body = _read(sent)
                    token = self.headers.get("Authorization", "")
                    content = api.answer(self.command, self.path, token, body)
                except StatusError as error:
                    code, content = error.code, error.status
                if content is None:
                    self.close_connection = True
                    return
                text = isinstance(content, str)
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(404 if content == NOT_FOUND else code if data else 204)
                self.send_header("Content-Type", "text/plain" if text else "application/json")
                self.send_header("Content-Length", str(len(data)))
                if code == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    # --- What is served

    def _fixed(self) -> Mapping[tuple[str, str], Json]:
        """Answers that do not depend on what is in the cluster."""
        fixed: dict[tuple[str, str], Json] = {
            ("GET", "/version"): {
                "major": "1",
                "minor": "34",
                "gitVersion": "v1.34.1-eks-113cf36",
                "gitCommit": "113cf36",
                "gitTreeState": "clean",
                "buildDate": "2026-01-01T00:00:00Z",
                "goVersion": "go1.24.6",
                "compiler": "gc",
                "platform": "linux/amd64",
                "emulationMajor": "1",
                "emulationMinor": "34",
                "minCompatibilityMajor": "1",
                "minCompatibilityMinor": "33",
            },
            ("GET", "/api"): {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        }
        fixed["GET", "/api/v1"] = _resources("v1")
        groups: list[Json] = []
        for version in self._versions():
            group, _, number = version.partition("/")
            served = {"groupVersion": version, "version": number}
            groups.append({"name": group, "versions": [served], "preferredVersion": served})
            fixed["GET", f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **groups[-1]}
            fixed["GET", f"/apis/{version}"] = _resources(version)
        fixed["GET", "/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        return fixed

    def _versions(self) -> list[str]:
        """The versions of the API groups that are served, besides the core one."""
        versions = {"authorization.k8s.io/v1", *(kind.version for kind in RESOURCE_TYPES.values() if kind.group)}
        if not self._cluster.world.quirks.load_balancer_controller:
            versions = {version for version in versions if not version.startswith(ELBV2)}
        return sorted(versions)

    def _request(self, method: str, path: str, query: Mapping[str, str], body: Json) -> Request | None:
        match = PATH.fullmatch(path)
        if path.startswith("/apis/") and (match is None or match["version"] not in self._versions()):
            return None
        kind = RESOURCE_TYPES.get(match["resource"]) if match else None
        if match is None or kind is None or kind.version != (match["version"] or "v1"):
            if path.startswith("/api"):
                raise UNKNOWN_RESOURCE
            return None
        if match["part"] and (match["resource"], match["part"]) not in PARTS:
            raise UNKNOWN_RESOURCE
        return Request(
            method,
            match["resource"],
            match["namespace"] or "",
            match["name"] or "",
            match["part"] or "",
            query,
            body,
        )

    def _resource(self, request: Request | None) -> Json | str:
        if request is None:
            return NOT_FOUND
        self._check(request)
        if request.method == "POST" and request.resource == "targetgroupbindings":
            return self._bind(request)
        if request.verb not in ("get", "list", "delete"):
            raise NOT_ALLOWED
        found = [
            object_
            for object_ in self._objects(request)
            if request.namespace in ("", object_["metadata"].get("namespace"))
        ]
        about = {"apiVersion": request.kind.version}
        if not request.name:
            items, metadata = _page(_selected(found, request), request.query)
            return {"kind": f"{request.kind.name}List", **about, "metadata": metadata, "items": items}
        item = next((object_ for object_ in found if object_["metadata"]["name"] == request.name), None)
        if item is None:
            raise StatusError(404, "NotFound", f'{request.title} "{request.name}" not found', request.about())
        if request.part == "log":
            return self._log(request)
        if request.method == "DELETE":
            self._delete(request)
            if request.resource not in SHOWN_AS_DELETED:
                details = request.about() | {"uid": item["metadata"]["uid"]}
                return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
            left = self._objects(request)
            item = next((object_ for object_ in left if object_["metadata"]["uid"] == item["metadata"]["uid"]), item)
        return {"kind": request.kind.name, **about, **item}

    def _check(self, request: Request) -> None:
        """Refuse what the user may not do."""
        resource = f"{request.resource}/{request.part}" if request.part else request.resource
        if (request.verb, resource) in self._cluster.denied:
            raise _forbidden(self._cluster.user, request.verb, resource, request)

    def _review(self, body: Json) -> Json:
        asked = body.get("spec", {}).get("resourceAttributes")
        if asked is None:
            why = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
            cause = {"reason": "FieldValueInvalid", "message": why, "field": "spec.resourceAttributes"}
            details = {"group": "authorization.k8s.io", "causes": [cause]}
            message = f'.authorization.k8s.io "" is invalid: spec.resourceAttributes: {why}'
            raise StatusError(422, "Invalid", message, details)
        resource = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
        allowed = (asked.get("verb"), resource) not in self._cluster.denied
        return {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
            "status": {"allowed": allowed},
        }

    def _objects(self, request: Request) -> list[Json]:
        """Everything of the request's resource, in all namespaces."""
        with self._cluster.settled():
            found = SHOWN[request.resource](self._cluster)
        return sorted(found, key=lambda object_: str(object_["metadata"].get("name")))

    def _log(self, request: Request) -> str:
        """The log of a pod's container, or of the one before its last restart."""
        pod = self._cluster.pods[request.namespace, request.name]
        container = _container_of(pod, request.query.get("container", ""))
        named = f'container "{container.name}" in pod "{pod.name}"'
        node = self._cluster.nodes.get(pod.node)
        if not pod.node:
            return ""
        if node and not node.ready:
            where = f"{node.ip}:10250"
            path = f"containerLogs/{pod.namespace}/{pod.name}/{container.name}"
            message = f'Get "https://{where}/{path}": dial tcp {where}: i/o timeout'
            raise StatusError(500, "", message)
        if not pod.is_initialized and container.kind == "regular":
            raise StatusError(400, "BadRequest", f"{named} is waiting to start: PodInitializing")
        if pod.state in ("starting", "unpullable") and container.name == pod.container:
            why = "trying and failing to pull image" if pod.state == "unpullable" else "ContainerCreating"
            raise StatusError(400, "BadRequest", f"{named} is waiting to start: {why}")
        if pod.state == "evicted":
            raise StatusError(400, "BadRequest", f"{named} is not available")
        if request.query.get("previous") == "true" and not container.restarts:
            raise StatusError(400, "BadRequest", f"previous terminated {named} not found")
        lines = container.log.splitlines(keepends=True)
        wanted = request.query.get("tailLines")
        return "".join(lines if wanted is None else lines[max(0, len(lines) - int(wanted)) :])

    def _proxied(self, request: Request) -> str | None:
        """What a service answers, or the API server where it gets nothing: of who is silent, after half a minute."""
        self._check(request)
        _, name, port = _place_of(request.name)
        with self._cluster.settled():
            found = service_behind(self._cluster, request.namespace, name)
        if found is None:
            raise StatusError(404, "NotFound", f'services "{name}" not found', {"name": name, "kind": "services"})
        if port not in map(str, found.ports):
            raise StatusError(503, "ServiceUnavailable", f'no service port {port} found for service "{name}"')
        if not found.addresses:
            raise StatusError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')
        if found.answering == "answers":
            return "ok"
        where = f"dial tcp {found.addresses[0]}:{port}"
        if found.answering == "is silent":
            if self._over.wait(PROXY_PATIENCE):
                return None
            raise StatusError(503, "ServiceUnavailable", f"error trying to reach service: {where}: i/o timeout")
        message = f"error trying to reach service: {where}: connect: connection refused"
        raise StatusError(503, "ServiceUnavailable", message)

    def _bind(self, request: Request) -> Json:
        cluster, told = self._cluster, request.body["metadata"]
        name = told.get("name", "")
        if told.get("namespace", request.namespace) != request.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise StatusError(400, "BadRequest", message)
        if request.namespace not in cluster.namespaces:
            about = {"name": request.namespace, "kind": "namespaces"}
            raise StatusError(404, "NotFound", f'namespaces "{request.namespace}" not found', about)
        if cluster.terminating(request.namespace):
            raise _being_terminated(request, name)
        if not name:
            raise _nameless(request)
        if (request.namespace, name) in cluster.bindings:
            raise StatusError(409, "AlreadyExists", f'{request.title} "{name}" already exists', request.about(name))
        cluster.bindings[request.namespace, name] = request.body | {"metadata": told | {"namespace": request.namespace}}
        return next(item for item in self._objects(request) if item["metadata"]["name"] == name)

    def _delete(self, request: Request) -> None:
        """Delete an object. To delete a namespace that is being deleted changes nothing, and is no mistake."""
        if not self._cluster.remove(request.resource, request.namespace, request.name):
            raise NOT_ALLOWED

    def _helm(self, path: str, body: Json) -> Json:
        """What the `helm` command of the rehearsal has done here, since a release is one thing in the model."""
        name, namespace = body["name"], body["namespace"]
        for resource in ("services", "secrets"):
            if ("delete", resource) in self._cluster.denied:
                request = Request("DELETE", resource, namespace, name, "", {}, {})
                raise _forbidden(self._cluster.user, "delete", resource, request)
        try:
            if path == "/helm/rollback":
                self._cluster.rollback(name, namespace, body["revision"])
            else:
                self._cluster.uninstall(name, namespace)
        except KubernetesError as error:
            raise StatusError(404, "NotFound", str(error)) from None
        return {}


def _container_of(pod: Pod, name: str) -> Container:
    """A pod's container by its name, which may be left out only where it is its one regular container."""
    own = Container(name=pod.container, restarts=pod.restarts, log=pod.log)
    containers = [own, *pod.added]
    regular = [container for container in containers if container.kind == "regular"]
    if not name and len(regular) > 1:
        names = " ".join(container.name for container in containers)
        message = f"a container name must be specified for pod {pod.name}, choose one of: [{names}]"
        raise StatusError(400, "BadRequest", message)
    found = next((container for container in containers if container.name == (name or own.name)), None)
    if found is None:
        raise StatusError(400, "BadRequest", f"container {name} is not valid for pod {pod.name}")
    return found


def _place_of(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of a service as a request for its proxy names it: [SCHEME:]NAME[:PORT]."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", name, ""
    scheme, service, port = parts if len(parts) == 3 else ("", *parts)
    return scheme, service, port


def kubeconfig_for(endpoint: str, context: str) -> str:
    """A kubeconfig with a token, for stacks that bring their own."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rehearsal", "cluster": {"server": endpoint}}],
            "users": [{"name": "rehearsal", "user": {"token": TOKEN}}],
            "contexts": [{"name": context, "context": {"cluster": "rehearsal", "user": "rehearsal"}}],
            "current-context": context,
        }
    )


def _read(sent: bytes) -> Json:
    """The object that a request sends. Clients of Go's library also know a binary form, which is not spoken here."""
    try:
        return json.loads(sent or b"{}")
    except ValueError:
        message = "the body of the request was in an unknown format - accepted media types include: application/json"
        raise StatusError(415, "UnsupportedMediaType", message, {}) from None


NOT_FOUND: Final = "404 page not found\n"


def _resources(version: str) -> Json:
    verbs = ["create", "delete", "get", "list"]
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if "/" in version else {}),
        "groupVersion": version,
        "resources": [
            {
                "name": name,
                "singularName": kind.name.lower(),
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": verbs,
                **({"shortNames": [kind.short]} if kind.short else {}),
            }
            for name, kind in RESOURCE_TYPES.items()
            if kind.version == version
        ],
    }


def _being_terminated(request: Request, name: str) -> StatusError:
    """Why nothing can be made any more in a namespace that is being deleted."""
    namespace = request.namespace
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    details = request.about(name) | {"causes": [cause]}
    return StatusError(403, "Forbidden", f'{request.title} "{name}" is forbidden: {why}', details)


def _nameless(request: Request) -> StatusError:
    """Why an object without a name is refused."""
    kind, why = request.kind, "Required value: name or generateName is required"
    cause = {"reason": "FieldValueRequired", "message": why, "field": "metadata.name"}
    details = {"group": kind.group, "kind": kind.name, "causes": [cause]}
    return StatusError(422, "Invalid", f'{kind.name}.{kind.group} "" is invalid: metadata.name: {why}', details)


def _forbidden(user: str, verb: str, resource: str, request: Request) -> StatusError:
    subject = f'{request.title} "{request.name}"' if request.name else request.title
    within = request.namespace or (request.name if request.resource == "namespaces" else "")
    where = f'in the namespace "{within}"' if within else "at the cluster scope"
    return StatusError(
        403,
        "Forbidden",
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource}" '
        f'in API group "{request.kind.group}" {where}',
        request.about(),
    )


def _selected(objects: Iterable[Json], request: Request) -> list[Json]:
    """The objects that the request's selectors choose."""
    try:
        labels = parse_labels(request.query.get("labelSelector", ""))
        fields = parse_fields(request.query.get("fieldSelector", ""))
    except SelectorError as error:
        raise StatusError(400, "BadRequest", str(error)) from None
    known = (*request.kind.fields, "metadata.name", *(("metadata.namespace",) if request.kind.namespaced else ()))
    for path, _ in fields:
        if path not in known:
            raise StatusError(400, "BadRequest", f"field label not supported: {path}")

    def label(object_: Json, key: str) -> str | None:
        labels: Mapping[str, str] = object_["metadata"].get("labels") or {}
        return labels.get(key)

    return [
        object_
        for object_ in objects
        if all(holds(label(object_, key)) for key, holds in labels)
        and all(holds(_field(object_, path)) for path, holds in fields)
    ]


def _field(object_: Json, path: str) -> str:
    """A field as selectors know it: text, and empty, or false, where the object lacks it."""
    value: Any = object_
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return str(bool(value)).lower() if path == "spec.unschedulable" else str(value)  # pyright: ignore[reportUnknownArgumentType]


def _page(objects: Sequence[Json], query: Mapping[str, str]) -> tuple[Sequence[Json], Json]:
    """The part of a list that is asked for, and the list's metadata. A token to go on tells how many were shown."""
    metadata: Json = {"resourceVersion": "1"}
    try:
        limit = int(query.get("limit") or 0)
    except ValueError:
        raise StatusError(400, "BadRequest", f'strconv.ParseInt: parsing "{query["limit"]}": invalid syntax') from None
    try:
        start = int(base64.b64decode(query.get("continue") or "MA==", validate=True))
    except ValueError as error:
        raise StatusError(400, "BadRequest", f"invalid continue token: continue key is not valid: {error}") from None
    end = start + limit if limit else len(objects)
    if end < len(objects):
        metadata["continue"] = base64.b64encode(str(end).encode()).decode()
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(objects) - end
    return objects[start:end], metadata
