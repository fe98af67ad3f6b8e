"""A Kubernetes API by bare requests, be it emulated or real, and what its answers have in common with another's."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import urllib3
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]

from lls.kubeconfig import find_access
from rehearsal.kubernetes.api import RESOURCE_TYPES

Json = dict[str, Any]

NOBODY: Final = "nobody-of-the-comparison"
"""A user whom no role allows anything."""


@dataclass(frozen=True)
class Answer:
    """The status and the body of an answer: an object, or text."""

    status: int
    body: Any

    @property
    def object_(self) -> Json:
        """The body of a success. Raises AssertionError for a refusal, with its message."""
        assert self.status < 300, f"{self.status}: {self.body}"
        return self.body


@dataclass
class KubeApi:
    """An API as the context of a kubeconfig reaches it. A context manager: inside it there are connections."""

    kubeconfig: str
    context: str = ""
    _client: Any = field(init=False, default=None)

    def __enter__(self) -> Self:
        access = find_access(self.kubeconfig, self.context).kubeconfig
        self._client = new_client_from_config_dict(dict(access), context=self.context or None, persist_config=False)
        return self

    def __exit__(self, *_: object) -> None:
        client: ApiClient = self._client
        client.close()

    def ask(self, method: str, target: str, body: Json | None = None, *, as_nobody: bool = False) -> Answer:
        """The answer to a request, by somebody whom no role allows anything where that is asked for."""
        headers = {"Content-Type": "application/json"} | ({"Impersonate-User": NOBODY} if as_nobody else {})
        self._client.update_params_for_auth(headers, [], ["BearerToken"], target, method, body)
        pools: urllib3.PoolManager = self._client.rest_client.pool_manager
        content = None if body is None else json.dumps(body)
        response = pools.request(
            method,
            f"{self._client.configuration.host}{target}",
            body=content,
            headers=headers,
            retries=False,
            timeout=30,
        )
        text = response.data.decode()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return Answer(response.status, json.loads(text) if is_json else text)

    @property
    def alone(self) -> str:
        """The kubeconfig with that context as the current one."""
        return json.dumps(self._config() | ({"current-context": self.context} if self.context else {}))

    def _config(self) -> Json:
        return json.loads(json.dumps(find_access(self.kubeconfig, self.context).kubeconfig))

    def as_stranger(self) -> "KubeApi":
        """The same API, for somebody whose token nobody knows."""
        config = self._config()
        for user in config["users"]:
            user["user"] = {"token": "nosuch"}
        return KubeApi(json.dumps(config), self.context)


def collection(resource: str, namespace: str = "") -> str:
    """The path of a resource's objects, in one namespace where that is given."""
    version = RESOURCE_TYPES[resource].version
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{resource}" if namespace else f"{root}/{resource}"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value within one, by its path; the parts of a list count from 0, and what is empty counts as absent."""
    if isinstance(value, Mapping):
        for key, part in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from leaves(part, f"{path}.{key}" if path else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for number, part in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from leaves(part, f"{path}[{number}]")
    elif value is not None:
        yield path, value


def differences(ours: Any, real: Any) -> dict[str, tuple[Any, Any]]:
    """Where two answers differ: by path, ours and the real one's value, None for what one of them lacks."""
    left, right = dict(leaves(ours)), dict(leaves(real))
    return {
        path: (left.get(path), right.get(path)) for path in sorted({*left, *right}) if left.get(path) != right.get(path)
    }


def kind_of(path: str) -> str:
    """A path as the kind of all that differ only in their place in a list."""
    return re.sub(r"\[\d+\]", "[]", path)
