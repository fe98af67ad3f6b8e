"""The cluster's certificate is checked as kubectl checks it, whatever Python's version."""

import base64
import json
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.exceptions import MaxRetryError

from lls.cluster_api import ClusterApi

AUTHORITY = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
NAMES = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
NO_NODES = json.dumps({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": []}).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(NO_NODES)))
        self.end_headers()
        self.wfile.write(NO_NODES)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def certificate(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    """One without key identifiers, as the authorities of older EKS clusters sign them."""
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(AUTHORITY, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


@contextmanager
def cluster(folder: Path) -> Generator[tuple[str, bytes]]:
    """The address of an API without nodes, and its authority."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate(authority_key, AUTHORITY, authority_key, x509.BasicConstraints(ca=True, path_length=None))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "leaf.pem").write_bytes(private + certificate(key, x509.Name([]), authority_key, NAMES))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def api(server: str, authority: bytes | None) -> ClusterApi:
    """The client of a kubeconfig with that authority, or of one that has certificates not checked."""
    data = {"server": server, "insecure-skip-tls-verify": authority is None}
    if authority is not None:
        data["certificate-authority-data"] = base64.b64encode(authority).decode()
    kubeconfig = {
        "clusters": [{"name": "a", "cluster": data}],
        "users": [{"name": "a", "user": {"token": "x"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    return ClusterApi(json.dumps(kubeconfig))


@pytest.fixture
def _strict_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13, as far as urllib3 asks."""
    monkeypatch.setattr("urllib3.util.ssl_.sys", SimpleNamespace(version_info=(3, 13, 0, "final", 0)))


@pytest.mark.usefixtures("_strict_python")
def test_the_authority_of_an_older_cluster_is_accepted(tmp_path: Path) -> None:
    with cluster(tmp_path) as (server, authority):
        assert api(server, authority).nodes({}) == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_kubeconfig_may_have_certificates_not_checked(tmp_path: Path) -> None:
    with cluster(tmp_path) as (server, _):
        assert api(server, None).nodes({}) == []


@pytest.mark.usefixtures("_strict_python")
def test_another_authority_is_not(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    impostor = certificate(other, AUTHORITY, other, x509.BasicConstraints(ca=True, path_length=None))
    with cluster(tmp_path) as (server, _), pytest.raises(MaxRetryError, match="CERTIFICATE_VERIFY_FAILED"):
        api(server, impostor).nodes({})
