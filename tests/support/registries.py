"""Registries for tests: Debian's real one, and one in this process that checks, counts and fails on demand."""

import base64
import datetime
import hashlib
import io
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal
from unittest.mock import patch
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lls.operations.world.registry import Login
from rehearsal.kubernetes.chart_files import archive, chart_files
from rehearsal.world import Quirks

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
IMAGE_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO: Final = "application/vnd.in-toto+json"
HELM_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

BINARY: Final = shutil.which("docker-registry")

needs_docker_registry: Final = pytest.mark.skipif(BINARY is None, reason="apt-get install docker-registry")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Content:
    """Blobs, and manifests in the order in which they must be written; the last one gets the tag."""

    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    manifests: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    @property
    def top(self) -> bytes:
        return self.manifests[-1][1]

    @property
    def digest(self) -> str:
        return digest_of(self.top)

    @property
    def size(self) -> int:
        return sum(len(blob) for blob in self.blobs.values())

    def blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    def manifest(self, document: Mapping[str, Any], media_type: str, **more: Any) -> dict[str, Any]:
        """Indented unlike any library would, so that only a copy byte for byte has its digest."""
        content = json.dumps({"schemaVersion": 2, **document}, indent=5, ensure_ascii=False).encode()
        self.manifests.append((media_type, content))
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def an_image(seed: str = "") -> Content:
    """An index of two platforms that share a layer, and an attestation of each."""
    image, entries = Content(), list[dict[str, Any]]()
    shared = image.blob(LAYER, f"shared{seed}".encode() * 400_000)
    for architecture in ("amd64", "arm64"):
        config = image.blob(IMAGE_CONFIG, json.dumps({"architecture": architecture, "os": "linux"}).encode())
        own = image.blob(LAYER, f"{architecture}{seed}".encode() * 1000)
        platform = {"architecture": architecture, "os": "linux"}
        document = {"mediaType": MANIFEST, "config": config, "layers": [shared, own]}
        entries.append(image.manifest(document, MANIFEST, platform=platform))
        document = {
            "mediaType": MANIFEST,
            "config": image.blob(IMAGE_CONFIG, b"{}"),
            "layers": [image.blob(IN_TOTO, f'{{"of": "{architecture}"}}'.encode())],
        }
        about = {"vnd.docker.reference.type": "attestation-manifest"}
        unknown = {"architecture": "unknown", "os": "unknown"}
        entries.append(image.manifest(document, MANIFEST, platform=unknown, annotations=about))
    image.manifest({"mediaType": INDEX, "manifests": entries}, INDEX)
    return image


def a_chart() -> Content:
    """A chart as older Helms push it: the manifest doesn't say what it is. Its description isn't ASCII."""
    chart = Content()
    config = chart.blob(HELM_CONFIG, b'{"name": "gdn-streaming"}')
    layer = chart.blob(HELM_CHART, archive(chart_files(Quirks(), "2.0.1")))
    annotations = {"org.opencontainers.image.description": "Streaming für Übertragungen"}
    chart.manifest({"config": config, "layers": [layer], "annotations": annotations}, MANIFEST)
    return chart


# --- Debian's registry


@contextmanager
def docker_registry(folder: Path) -> Generator[str]:
    """Debian's docker-registry with its data in that folder; yields HOST:PORT."""
    assert BINARY, "marked with needs_docker_registry"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "registry.yaml"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    config.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "http": {"addr": host}}))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([BINARY, "serve", str(config)], stdout=log, stderr=log)  # noqa: S603
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
                    break
                except URLError:
                    time.sleep(0.02)
            yield host
        finally:
            process.terminate()
            process.wait()


def fill(host: str, repository: str, tag: str, content: Content) -> None:
    """Push content to a registry that wants no login, with nothing of the code under test."""

    def send(method: str, url: str, body: bytes, media_type: str = "application/octet-stream") -> str:
        request = urllib.request.Request(url, body, {"Content-Type": media_type}, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return response.headers.get("Location", "")

    base = f"http://{host}/v2/{repository}"
    for digest, blob in content.blobs.items():
        upload = send("POST", f"{base}/blobs/uploads/", b"")
        send("PUT", f"{upload}{'&' if '?' in upload else '?'}digest={digest}", blob)
    for media_type, manifest in content.manifests:
        reference = tag if manifest == content.top else digest_of(manifest)
        send("PUT", f"{base}/manifests/{reference}", manifest, media_type)


def pull(host: str, repository: str, path: str) -> bytes:
    """Read a manifest or a blob of such a registry."""
    request = urllib.request.Request(
        f"http://{host}/v2/{repository}/{path}", headers={"Accept": f"{INDEX}, {MANIFEST}"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        return response.read()


# --- The one that fails on demand

Scheme = Literal["bearer", "basic"]


Trouble = int | Literal["cut", "lost", "wrong"]
"""An HTTP status, a connection that is cut half-way, an answer that gets lost, or wrong bytes."""


@dataclass
class RegistryFault:
    """What to do to requests that match, how many `times`."""

    pattern: str
    what: Trouble
    times: float = float("inf")

    def applies(self, request: str) -> bool:
        if self.times > 0 and re.fullmatch(self.pattern, request):
            self.times -= 1
            return True
        return False


class Registry:
    """A registry on 127.0.0.1 that is as picky as it may be. `log` holds each request, as METHOD PATH.

    With a certificate, from `internet`, it speaks HTTPS. With a login it gives out tokens for `token_uses` requests
    each, or takes the login itself (`basic`, as ECR does). Its manifests must not refer to what isn't
    there, and its tags are immutable.
    """

    def __init__(
        self,
        name: str = "127.0.0.1",
        *,
        login: Login | None = None,
        certificate: Path | None = None,
        scheme: Scheme = "bearer",
    ) -> None:
        self.login = login
        self.scheme: Scheme = scheme
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.log: list[str] = []
        self.faults: list[RegistryFault] = []
        self.token_uses = 1000
        self.may: Sequence[str] = ("pull", "push")
        self.challenged = True
        self.on_write: Callable[[str], None] = lambda _: None
        self._tokens: dict[str, tuple[str, int]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"{name}:{self._server.server_port}"

    def put(self, repository: str, tag: str, content: Content) -> None:
        for digest, blob in content.blobs.items():
            self.blobs[repository, digest] = blob
        for media_type, manifest in content.manifests:
            self.manifests[repository, digest_of(manifest)] = (media_type, manifest)
        self.manifests[repository, tag] = content.manifests[-1]

    def fail(self, pattern: str, what: Trouble, times: float = float("inf")) -> None:
        self.faults.append(RegistryFault(pattern, what, times))

    def count(self, pattern: str) -> int:
        return sum(bool(re.fullmatch(pattern, request)) for request in self.log)

    def holds(self, repository: str, tag: str, content: Content) -> bool:
        """Whether all of it is there, byte for byte and with its media types."""
        manifests = {digest_of(manifest): (media_type, manifest) for media_type, manifest in content.manifests}
        manifests[tag] = content.manifests[-1]
        return all(self.blobs.get((repository, key)) == blob for key, blob in content.blobs.items()) and all(
            self.manifests.get((repository, key)) == manifest
            for key, manifest in manifests.items()
            if key != content.digest
        )

    def token(self, scope: str) -> str:
        token = f"token-{len(self._tokens)}"
        repository, _, actions = scope.removeprefix("repository:").partition(":")
        granted = ",".join(action for action in actions.split(",") if action in self.may)
        self._tokens[token] = (f"{repository}:{granted}", self.token_uses)
        return token

    def lets_in(self, authorization: str, repository: str, action: str) -> bool:
        if not self.login:
            return True
        if self.scheme == "basic":
            return authorization == basic(self.login)
        scope, uses = self._tokens.get(authorization.removeprefix("Bearer "), ("", 0))
        self._tokens[authorization.removeprefix("Bearer ")] = (scope, uses - 1)
        name, _, actions = scope.partition(":")
        return uses > 0 and name == repository and action in actions.split(",")

    def __enter__(self) -> "Registry":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, registry: Registry, *args: Any) -> None:
        self.registry = registry
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def handle(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            super().finish()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, **headers: str) -> None:
        """Says what it was sent, as a careless registry might."""
        login = self.registry.login
        said = f"that was {login.password}" if login else "no luck"
        self.answer(status, json.dumps({"errors": [{"code": code, "message": said}]}).encode(), **headers)

    def do(self) -> None:
        registry, url = self.registry, urlsplit(self.path)
        line = f"{self.command} {url.path}"
        registry.log.append(line)
        fault = next((fault.what for fault in registry.faults if fault.applies(line)), None)
        size = int(self.headers.get("Content-Length", 0))
        if fault == "cut" and self.command == "PUT":
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self.rfile.read(size)
        if fault == "lost":
            self.wfile = io.BytesIO()
            self.close_connection = True
        if isinstance(fault, int):
            self.refuse(fault, "FAULT")
        elif url.path == "/token":
            self.give_token(parse_qs(body.decode() if self.command == "POST" else url.query))
        elif parts := re.fullmatch(r"/v2/(.+)/(blobs/uploads|blobs|manifests)/(.*)", url.path):
            repository, kind, reference = parts.groups()
            if not registry.lets_in(self.headers.get("Authorization", ""), repository, self.action):
                self.challenge(repository)
            elif self.command in ("GET", "HEAD"):
                self.read(repository, kind, reference, fault)
            else:
                self.write(repository, kind, reference, body, parse_qs(url.query))
        else:
            self.refuse(404, "NAME_UNKNOWN")

    do_GET = do_HEAD = do_POST = do_PUT = do  # noqa: N815

    @property
    def action(self) -> str:
        return "pull" if self.command in ("GET", "HEAD") else "push"

    def challenge(self, repository: str) -> None:
        scope = f"repository:{repository}:{'pull' if self.action == 'pull' else 'pull,push'}"
        realm = f"https://{self.registry.host}/"
        said = f'Bearer realm="{realm}token",service="fake",scope="{scope}"'
        if self.registry.scheme == "basic":
            said = f'Basic realm="{realm}",service="ecr.amazonaws.com"'
        self.refuse(401, "UNAUTHORIZED", **({"WWW_Authenticate": said} if self.registry.challenged else {}))

    def give_token(self, query: Mapping[str, Sequence[str]]) -> None:
        login = self.registry.login
        known = login and (
            (query["grant_type"], query["refresh_token"]) == (["refresh_token"], [login.password])
            if self.command == "POST"
            else self.headers.get("Authorization") == basic(login)
        )
        if known and query["service"] == ["fake"]:
            name = "access_token" if self.command == "POST" else "token"
            self.answer(200, json.dumps({name: self.registry.token(query["scope"][0])}).encode())
        else:
            self.refuse(401, "UNAUTHORIZED")

    def read(self, repository: str, kind: str, reference: str, fault: object) -> None:
        media_type, content = self.registry.manifests.get((repository, reference), ("", b""))
        if kind == "blobs":
            media_type = "application/octet-stream"
            content = self.registry.blobs.get((repository, reference), b"")
        if not content:
            self.refuse(404, f"{kind[:-1].upper()}_UNKNOWN")
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            sent = content[:-1] + b"?" if fault == "wrong" else content
            self.answer(200, sent, Content_Type=media_type, Docker_Content_Digest=digest_of(content))

    def write(self, repository: str, kind: str, reference: str, body: bytes, query: Mapping[str, list[str]]) -> None:
        registry = self.registry
        if "Content-Length" not in self.headers:
            self.refuse(411, "SIZE_INVALID")
            self.close_connection = True
        elif self.command == "POST":
            self.answer(202, Location=f"/v2/{repository}/blobs/uploads/{len(registry.log)}?state=x")
        elif kind == "blobs/uploads":
            if [digest_of(body)] != query.get("digest"):
                self.refuse(400, "DIGEST_INVALID")
                return
            registry.blobs[repository, digest_of(body)] = body
            self.answer(201)
        else:
            document: Any = json.loads(body)
            needed = [document["config"], *document["layers"]] if "config" in document else []
            missing = [descriptor for descriptor in needed if (repository, descriptor["digest"]) not in registry.blobs]
            missing += [
                manifest
                for manifest in document.get("manifests", ())
                if (repository, manifest["digest"]) not in registry.manifests
            ]
            if missing or (":" in reference and reference != digest_of(body)):
                self.refuse(400, "MANIFEST_INVALID")
                return
            if (repository, reference) in registry.manifests:
                self.refuse(400, "TAG_INVALID")
                return
            for key in (reference, digest_of(body)):
                registry.manifests[repository, key] = (self.headers["Content-Type"], body)
            registry.on_write(reference)
            self.answer(201, Docker_Content_Digest=digest_of(body))


def basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()


@contextmanager
def internet(folder: Path, *names: str) -> Generator[Path]:
    """Those names lead to 127.0.0.1, with a certificate that is good for all of them; yields it, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "certificate.pem"
    file.touch(mode=0o600)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host in names else host, *arguments, **options)

    direct = ",".join(("127.0.0.1", *names))
    environment = {"REQUESTS_CA_BUNDLE": str(file), "NO_PROXY": direct, "no_proxy": direct}
    with patch.object(socket, "getaddrinfo", getaddrinfo), patch.dict("os.environ", environment):
        yield file
