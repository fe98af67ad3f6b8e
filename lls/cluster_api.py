"""The API of a cluster, with limits in time."""

import ssl
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from kubernetes import client as api  # its classes load when they are used: CoreV1Api takes a quarter of a second
from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.util import Retry
from urllib3.util.ssl_ import create_urllib3_context

from lls.kubeconfig import ClusterAccess, CredentialError, find_access, server_of
from lls.waiting import CLUSTER_ANSWER, CLUSTER_TRIES, CONNECT, QUESTION, TOKEN, SilentError, within

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, V1Node

T = TypeVar("T")

REQUEST_TIMEOUT: Final = (CONNECT, CLUSTER_ANSWER)
"""Seconds to connect to the Kubernetes API, and to wait for its answer, each time it is asked."""

BUSY_TRIES: Final = 4
"""How often an API is asked that answers, but that it is too busy."""


UNKNOWN_IDENTITY: Final = (
    "the cluster does not know who asks: give that identity an access entry (aws eks create-access-entry), or, where "
    "the cluster's authentication mode is CONFIG_MAP, a line in the config map aws-auth"
)
"""What a refused token means that its command gave."""


class ClusterError(ConnectionError):
    """What the Kubernetes API answered instead of success. `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        """Carry the answer's status and reason."""
        unknown = f": {UNKNOWN_IDENTITY}" if status == HTTPStatus.UNAUTHORIZED else ""
        super().__init__(f"the API answered {status} {reason}{unknown}")
        self.status = status


class ClusterApi:
    """The API of a cluster. Its client is made at the first question; once it was silent, it is not asked again."""

    def __init__(self, kubeconfig: str, context: str = "") -> None:
        """Use a context of that kubeconfig, by default the current one."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._access: ClusterAccess | None = None
        self._failure: CredentialError | SilentError | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[["ApiClient"], T]) -> T:
        """The answer to a question, which should pass REQUEST_TIMEOUT to the client's methods.

        Raises CredentialError where there is no credential, SilentError without an answer in time, ClusterError for an
        answer other than success, and what the Kubernetes client raises where it cannot ask: ConfigException or
        urllib3's HTTPError.
        """
        client = self._connected()  # a credential may take TOKEN seconds, be it a command's or a login of the client's
        silent = f"the Kubernetes API at {server_of(self._kubeconfig, self._context)}"
        try:
            return within(QUESTION - TOKEN, silent, lambda: question(client))
        except api.ApiException as error:
            status, reason = cast(tuple[int, str], (error.status, error.reason))  # pyright: ignore[reportUnknownMemberType]
            raise ClusterError(status, reason) from error
        except SilentError as error:
            self._failure = error
            raise
        except HTTPError as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            if isinstance(cause, NewConnectionError) or not isinstance(cause, HTTPTimeoutError):
                raise
            self._failure = SilentError(f"{silent} gave no answer: check that it can be reached from here")
            raise self._failure from None

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
            if self._failure:
                raise self._failure
            if self._client is None or (self._access and self._access.is_over):
                try:
                    access = self._access = find_access(self._kubeconfig, self._context)
                    self._client = within(TOKEN, "the login to the cluster", lambda: self._connect(access))
                except (CredentialError, SilentError) as error:
                    self._failure = error
                    raise
            return self._client

    def _connect(self, access: ClusterAccess) -> "ApiClient":
        settings = api.Configuration()
        settings.retries = Retry(BUSY_TRIES - 1, connect=CLUSTER_TRIES - 1, read=CLUSTER_TRIES - 1)
        client = new_client_from_config_dict(
            access.kubeconfig,
            context=self._context or None,
            persist_config=False,
            client_configuration=settings,
        )
        pools: Any = client.rest_client.pool_manager  # pyright: ignore[reportUnknownMemberType]
        pools.connection_pool_kw["ssl_context"] = _tls(pools.connection_pool_kw["cert_reqs"])
        return client


def _tls(mode: ssl.VerifyMode) -> ssl.SSLContext:
    """Checks chain, host and expiry, as Go does, and not the form of RFC 5280, as Python does from 3.13 on.

    The authorities of older EKS clusters lack what that asks for: kubernetes-client/python#2394.
    """
    context = create_urllib3_context(cert_reqs=mode)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
