"""The API of a cluster, with limits in time."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from kubernetes import client as api  # its classes load when they are used: CoreV1Api takes a quarter of a second
from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]

from lls.files import read_yaml

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, V1Node

T = TypeVar("T")

REQUEST_TIMEOUT: Final = (5, 30)
"""Seconds to connect to the Kubernetes API, and to wait for its answer."""

TIMEOUT: Final = 60
"""Seconds for the token and all tries of the request together."""


class ClusterError(ConnectionError):
    """What the Kubernetes API answered instead of success. `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        """Carry the answer's status and reason."""
        super().__init__(f"the API answered {status} {reason}")
        self.status = status


class ClusterApi:
    """The API of a cluster, with limits in time. Its client is made at the first question."""

    def __init__(self, kubeconfig: str, context: str = "") -> None:
        """Use a context of that kubeconfig, by default the current one."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[["ApiClient"], T]) -> T:
        """The answer to a question, which should pass REQUEST_TIMEOUT to the client's methods.

        Raises TimeoutError without an answer in time, ClusterError for an answer other than success, and
        what the Kubernetes client raises where it cannot ask: ConfigException or urllib3's HTTPError.
        """
        answer: Future[T] = Future()

        def ask() -> None:
            try:
                answer.set_result(question(self._connected()))
            except Exception as error:
                answer.set_exception(error)

        # A thread, because the client waits without limit for the command that fetches the token.
        threading.Thread(target=ask, daemon=True).start()
        try:
            return answer.result(TIMEOUT)
        except api.ApiException as error:
            status, reason = cast(tuple[int, str], (error.status, error.reason))  # pyright: ignore[reportUnknownMemberType]
            raise ClusterError(status, reason) from error
        except TimeoutError:
            raise TimeoutError(f"no answer within {TIMEOUT} seconds") from None

    def nodes(self, selector: Mapping[str, str]) -> "list[V1Node]":
        """The nodes that carry the selector's labels. Raises what `ask` raises."""
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return self.ask(
            lambda client: (
                api.CoreV1Api(client).list_node(label_selector=labels, _request_timeout=REQUEST_TIMEOUT).items
            )
        )

    def serves(self, api_version: str) -> bool:
        """Whether the cluster knows an API, such as one of a CRD. Raises what `ask` raises."""
        group, _, version = api_version.partition("/")
        try:
            self.ask(
                lambda client: api.CustomObjectsApi(client).get_api_resources(
                    group, version, _request_timeout=REQUEST_TIMEOUT
                )
            )
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _connected(self) -> "ApiClient":
        with self._lock:
            if self._client is None:
                self._client = new_client_from_config_dict(
                    cast(Mapping[str, Any], read_yaml(self._kubeconfig)),
                    context=self._context or None,
                    persist_config=False,
                )
            return self._client
