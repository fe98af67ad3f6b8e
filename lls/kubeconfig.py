"""What a kubeconfig says of one context: the address of the API, and the credential that its user's command prints."""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import yaml

from lls.files import read_yaml
from lls.waiting import TOKEN, SilentError, run_command

SECRET: Final = re.compile(r"(?i)secret|token|password|key")
"""In the name of a variable or an option whose value is none of a message's business."""

OWN_CREDENTIALS: Final = ("auth-provider", "token", "tokenFile")
"""What a user has instead of a command."""

WORDS: Final = 300
"""Characters of a command's own words that are told."""


class CredentialError(ConnectionError):
    """Why there is no credential for the cluster, in the words of the command that fetches it, and what to do."""


@dataclass(frozen=True)
class ClusterAccess:
    """A kubeconfig as a client can use it by itself, and until when."""

    kubeconfig: Mapping[str, Any] = field(repr=False)
    expires: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it holds no longer."""
        return self.expires is not None and datetime.now(UTC) >= self.expires


def find_access(kubeconfig: str, context: str = "") -> ClusterAccess:
    """The kubeconfig with the credential in the place of the command that prints it, if its user has one.

    Raises CredentialError.
    """
    parsed: Any = read_yaml(kubeconfig)
    if not isinstance(parsed, dict):
        return ClusterAccess({})
    content = cast(dict[str, Any], parsed)
    used = _context(content, context)
    user = _named(content.get("users"), used.get("user"), "user")
    plugin: Any = user.get("exec")
    if not isinstance(plugin, dict) or any(key in user for key in OWN_CREDENTIALS):
        return ClusterAccess(content)
    cluster = _named(content.get("clusters"), used.get("cluster"), "cluster")
    status = _fetch(cast(dict[str, Any], plugin), cluster)
    credential = {key: value for key, value in user.items() if key != "exec"} | _credential(status)
    others = [other for other in content["users"] if other.get("name") != used.get("user")]
    users = [*others, {"name": used.get("user"), "user": credential}]
    return ClusterAccess({**content, "users": users}, _end(status))


def server_of(kubeconfig: Any, context: Any = "") -> str:
    """The address of the API in a kubeconfig's context, by default the current one; empty where it has none.

    Both may be anything, as a state has them: a kubeconfig is text or, in older states, a mapping.
    """
    try:
        parsed = read_yaml(kubeconfig) if isinstance(kubeconfig, str) else kubeconfig
    except yaml.YAMLError:
        return ""
    if not isinstance(parsed, dict):
        return ""
    content = cast(dict[str, Any], parsed)
    used = _context(content, context).get("cluster")
    server = _named(content.get("clusters"), used, "cluster").get("server")
    return server.rstrip("/").lower() if isinstance(server, str) else ""


def _context(kubeconfig: Mapping[str, Any], name: Any) -> Mapping[str, Any]:
    wanted = name if isinstance(name, str) and name else kubeconfig.get("current-context")
    return _named(kubeconfig.get("contexts"), wanted, "context")


def _named(entries: Any, name: Any, key: str) -> Mapping[str, Any]:
    """The entry of that name in one of a kubeconfig's lists."""
    for entry in cast(list[Any], entries) if isinstance(entries, list) else []:
        if isinstance(entry, dict) and (named := cast(dict[str, Any], entry)).get("name") == name:
            found = named.get(key)
            return cast(dict[str, Any], found) if isinstance(found, dict) else {}
    return {}


def _fetch(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the ExecCredential that a command prints.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """
    name = str(plugin.get("command") or "")
    arguments = [str(argument) for argument in plugin.get("args") or ()]
    variables = {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or ()}
    shown = f"`{_shown(name, arguments)}`, which fetches the cluster's token,"
    version = plugin.get("apiVersion")
    spec = {"interactive": False, **({"cluster": cluster} if plugin.get("provideClusterInfo") else {})}
    asked = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec})
    environment = {**os.environ, **variables, "KUBERNETES_EXEC_INFO": asked}
    try:
        done = run_command([name, *arguments], TOKEN, f"`{_shown(name, arguments)}`", environment=environment)
    except SilentError:
        remedy = "run it by hand to see what it waits for"
        raise CredentialError(f"{shown} gave no answer within {TOKEN:g} seconds: {remedy}.") from None
    except FileNotFoundError:
        raise CredentialError(f"{shown} is not on the PATH: install it, or set lls:kubeconfig.") from None
    except OSError as error:
        raise CredentialError(f"{shown} cannot be run: {error.strerror}: install it anew.") from None
    if done.returncode:
        words = _words(done.stderr, _secrets(arguments, variables)) or f"exit code {done.returncode}"
        raise CredentialError(f"{shown} failed: {words}: mend that (log in again, or update it), then run this again.")
    try:
        answer: Any = json.loads(done.stdout)
        told, status = answer["apiVersion"], answer["status"]
        has_credential = bool(_credential(status))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CredentialError(f"{shown} printed no credential: run it by hand, and update it.") from None
    if told != version:
        raise CredentialError(f"{shown} speaks {told}, and the kubeconfig asks for {version}: update it.")
    if not has_credential:
        raise CredentialError(f"{shown} printed a credential without token or certificate: update it.")
    return status


def _end(status: Mapping[str, Any]) -> datetime | None:
    with suppress(ValueError):
        end = datetime.fromisoformat(str(status.get("expirationTimestamp")))
        return end if end.tzinfo else end.replace(tzinfo=UTC)
    return None


def _shown(command: str, arguments: list[str]) -> str:
    """The command as a message names it: its arguments may be anybody's secrets."""
    name = Path(command).name
    return f"{name} eks get-token" if {"eks", "get-token"} <= set(arguments) else name


def _credential(status: Mapping[str, Any]) -> dict[str, str]:
    """What a kubeconfig's user has in the place of the command: a token or a certificate."""
    if token := status.get("token"):
        return {"token": token}
    names = {"client-certificate-data": "clientCertificateData", "client-key-data": "clientKeyData"}
    if not all(status.get(told) for told in names.values()):
        return {}
    return {key: base64.b64encode(status[told].encode()).decode() for key, told in names.items()}


def _secrets(arguments: list[str], variables: Mapping[str, str]) -> Iterator[str]:
    yield from (value for name, value in variables.items() if SECRET.search(name))
    for option, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = option.partition("=")
        if name.startswith("-") and SECRET.search(name):
            yield value or following


def _words(complaint: str, secrets: Iterator[str]) -> str:
    """The end of what a command complains, from its error on, in one line and without secrets."""
    for secret in filter(None, secrets):
        complaint = complaint.replace(secret, "[secret]")
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    if any(line.startswith("Traceback ") for line in lines):
        lines = lines[-1:]
    errors = [number for number, line in enumerate(lines) if "error" in line.lower()]
    told = " ".join(lines[errors[0] :] if errors else lines[-3:])
    return (told if len(told) <= WORDS else f"{told[:WORDS]}...").rstrip(".:")
