"""The `helm` command of a rehearsal: `uninstall`, `rollback`, `status` and `version` against the emulated cluster.

A script of its own, run as `python helm_command.py ENDPOINT TOKEN ARGUMENTS...`.
"""

import argparse
import base64
import gzip
import json
import sys
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

VERSION: Final = "v3.19.0"


class HelmError(Exception):
    """What Helm ends with."""


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the answer is the exit code."""
    endpoint, token, *rest = arguments
    try:
        _run(endpoint, token, _parse(rest))
    except HelmError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, of which the common ones may stand before the command, too."""
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("-n", "--namespace", default="default")
    common.add_argument("--kubeconfig")
    common.add_argument("--kube-context")
    options, rest = common.parse_known_args(arguments)
    parser = argparse.ArgumentParser(prog="helm")
    commands = parser.add_subparsers(dest="command", required=True)
    uninstall = commands.add_parser("uninstall")
    uninstall.add_argument("name")
    uninstall.add_argument("--wait", action="store_true")
    uninstall.add_argument("--timeout", default="5m0s")
    uninstall.add_argument("--ignore-not-found", action="store_true")
    rollback = commands.add_parser("rollback")
    rollback.add_argument("name")
    rollback.add_argument("revision", type=int, nargs="?", default=0)
    status = commands.add_parser("status")
    status.add_argument("name")
    status.add_argument("-o", "--output", choices=("table", "json"), default="table")
    version = commands.add_parser("version")
    version.add_argument("--short", action="store_true")
    return parser.parse_args(rest, options)


def _run(endpoint: str, token: str, options: argparse.Namespace) -> None:
    if options.command == "version":
        long = f'version.BuildInfo{{Version:"{VERSION}", GitTreeState:"clean", GoVersion:"go1.24.7"}}'
        sys.stdout.write(f"{VERSION if options.short else long}\n")
        return
    if options.kubeconfig and endpoint not in Path(options.kubeconfig).read_text():
        raise HelmError("Kubernetes cluster unreachable: the kubeconfig names another cluster than the rehearsal's")
    name, namespace = options.name, options.namespace
    selector = quote(f"name={name},owner=helm")
    found = _ask(endpoint, token, "GET", f"/api/v1/namespaces/{namespace}/secrets?labelSelector={selector}")
    if options.command == "status":
        _show(found["items"], options)
    elif options.command == "rollback":
        body = {"name": name, "namespace": namespace, "revision": options.revision}
        _ask(endpoint, token, "POST", "/helm/rollback", body)
        sys.stdout.write("Rollback was a success! Happy Helming!\n")
    elif found["items"]:
        _ask(endpoint, token, "POST", "/helm/uninstall", {"name": name, "namespace": namespace})
        sys.stdout.write(f'release "{name}" uninstalled\n')
    elif options.ignore_not_found:
        sys.stdout.write("release: not found\n")
    else:
        raise HelmError(f"uninstall: Release not loaded: {name}: release: not found")


def _show(secrets: Sequence[Any], options: argparse.Namespace) -> None:
    if not secrets:
        raise HelmError("release: not found")
    last = max(secrets, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(last["data"]["release"]))))
    if options.output == "json":
        release.pop("chart")
        sys.stdout.write(json.dumps(release) + "\n")
        return
    info = release["info"]
    sys.stdout.write(
        f"NAME: {release['name']}\nLAST DEPLOYED: {info['last_deployed']}\nNAMESPACE: {release['namespace']}\n"
        f"STATUS: {info['status']}\nREVISION: {release['version']}\n"
    )


def _ask(endpoint: str, token: str, method: str, path: str, body: Any = None) -> Any:
    host = urlsplit(endpoint).netloc
    connection = HTTPConnection(host, timeout=300)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        content = response.read()
    except OSError:
        raise HelmError(
            f'Kubernetes cluster unreachable: Get "{endpoint}/version": dial tcp {host}: connect: connection refused'
        ) from None
    finally:
        connection.close()
    if response.status == 401:
        raise HelmError("Kubernetes cluster unreachable: the server has asked for the client to provide credentials")
    answer = json.loads(content)
    if response.status >= 400:
        raise HelmError(answer["message"])
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
