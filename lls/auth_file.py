"""Docker-style auth files: the login to a registry, from the file itself or from a credential helper that it names."""

import base64
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from lls.waiting import HELPER, SilentError, run_command

IDENTITY_TOKEN: Final = "<token>"  # noqa: S105
"""The user of credentials whose password is an identity token: the registry's token service exchanges it."""

NOT_FOUND: Final = "credentials not found"
"""What a helper says of a registry that it has no credentials for (docker-credential-helpers)."""

REMEDY: Final = "write it anew by `docker login` or `helm registry login`"


class AuthFileError(Exception):
    """Why there is no login, and what to do about it, in one clause without a secret."""


@dataclass(frozen=True)
class Credentials:
    """User and password of one registry."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class AuthFile:
    """What a file says: credentials by host, the helpers of single hosts, and the helper of all others, if any."""

    path: str
    credentials: Mapping[str, Credentials]
    helpers: Mapping[str, str]
    store: str

    def login(self, host: str) -> Credentials | None:
        """The credentials for a registry, None where there are none: a helper's word counts, as it does for Helm.

        Raises AuthFileError for a helper that is missing or fails.
        """
        helper = self.helpers.get(host, self.store)
        return _ask(f"docker-credential-{helper}", host, self.path) if helper else self.credentials.get(host)


def read_auth_file(path: str) -> AuthFile:
    """Read a file, without asking its helpers. Raises AuthFileError for one that is malformed."""
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise AuthFileError(f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise AuthFileError(f"it is no JSON: {REMEDY}") from None
    store = _object(content, "it").get("credsStore") or ""
    helpers = _object(content.get("credHelpers", {}), "credHelpers")
    if not all(isinstance(helper, str) for helper in (store, *helpers.values())):
        raise AuthFileError(f"credsStore and credHelpers must name helpers by texts: {REMEDY}")
    entries = _object(content.get("auths", {}), "auths")
    found = {
        server: login
        for server, entry in entries.items()
        if (login := _credentials(server, _object(entry, f"auths[{server}]")))
    }
    by_host = {re.sub("^https?://", "", server).partition("/")[0]: login for server, login in found.items()}
    return AuthFile(path, by_host | found, helpers, store)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AuthFileError(f"{what} is no JSON object: {REMEDY}")
    return cast(dict[str, Any], value)


def _credentials(server: str, entry: Mapping[str, Any]) -> Credentials | None:
    """Those of one entry: an identity token, else `auth`, else user and password in clear."""
    names = ("identitytoken", "auth", "username", "password")
    texts = {name: entry.get(name) or "" for name in names}
    if not all(isinstance(text, str) for text in texts.values()):
        raise AuthFileError(f"auths[{server}] holds something else than texts: {REMEDY}")
    if texts["identitytoken"]:
        return Credentials(IDENTITY_TOKEN, texts["identitytoken"])
    user, password = texts["username"], texts["password"]
    if texts["auth"]:
        try:
            decoded = base64.b64decode(texts["auth"], validate=True).decode()
        except ValueError:
            decoded = ""
        user, colon, password = decoded.rstrip("\0").partition(":")
        if not colon:
            raise AuthFileError(f"auths[{server}].auth is no base64 of USER:PASSWORD: {REMEDY}")
    return Credentials(user, password) if user else None


def _ask(helper: str, host: str, path: str) -> Credentials | None:
    """What a credential helper knows of a registry, by the protocol of docker-credential-helpers."""
    command = shutil.which(helper)
    if command is None:
        raise AuthFileError(f"{path} has {helper} ask for the login to {host}: install it, or put it on the PATH")
    try:
        done = run_command([command, "get"], HELPER, f"{helper} for the login to {host}", text=host)
        if done.returncode == 0:
            answer = json.loads(done.stdout)
            return Credentials(str(answer["Username"]), str(answer["Secret"]))
    except SilentError as error:
        raise AuthFileError(f"{error}: log in anew") from None
    except OSError as error:
        raise AuthFileError(f"{helper} cannot be run: {error.strerror}: install it anew") from None
    except (ValueError, LookupError, TypeError):
        raise AuthFileError(f"{helper} answered without Username and Secret for {host}: update it") from None
    said = " ".join((done.stdout or done.stderr).split())[:300]
    if NOT_FOUND in said:
        return None
    shown = f"exit code {done.returncode}" if not said or "Secret" in said else said
    raise AuthFileError(f"{helper} gave no login to {host}: {shown.rstrip('.')}: log in anew")
