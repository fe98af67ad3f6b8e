"""Calls to AWS: with limits in time, with every page, and with failures that are one sentence."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
from botocore.parsers import ResponseParserError

from lls.instances import FILTER_VALUES

TRIES: Final = 5
"""How often a call is tried that is throttled or gets lost."""

CLIENT_CONFIG: Final = ClientConfig(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": TRIES}
)
"""Seconds to connect and to wait for an answer."""

DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
INVALID: Final = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}
)
THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}
)


class AwsError(Exception):
    """A call that AWS refused, in one sentence. `code` is AWS's own, `action` as IAM names it."""

    def __init__(self, action: str, code: str, cause: str) -> None:
        """Say what was called, how AWS names the refusal, and why."""
        super().__init__(_sentence(action, code, " ".join(cause.split()).rstrip(".")))
        self.action = action
        self.code = code

    @property
    def denied(self) -> bool:
        """Whether a permission is missing, rather than anything wrong."""
        return self.code in DENIED


def refused(action: str, error: Exception) -> AwsError:
    """What botocore raised at a call, in one sentence."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        return AwsError(action, details.get("Code", ""), details.get("Message", ""))
    return AwsError(action, type(error).__name__, str(error))


@dataclass(frozen=True)
class Caller:
    """Who AWS takes us for."""

    account: str
    arn: str


class Account:
    """The AWS account and region of a stack. Safe for threads."""

    def __init__(self, client: Callable[..., Any], check: Callable[[Caller], None] | None = None) -> None:
        """`client` makes the boto3 client of a service, in another region where it gets a `region_name`.

        `check` is asked about the caller before anything else is.
        """
        self._make = client
        self._check = check
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @cached_property
    def caller(self) -> Caller:
        """Who AWS takes us for. Asked once. Raises AwsError, and what `check` raises."""
        answer = self.call("sts", "get_caller_identity")
        caller = Caller(answer["Account"], answer["Arn"])
        if self._check:
            self._check(caller)
        return caller

    def in_region(self, region: str) -> "Account":
        """The same identity, where another region answers."""
        return Account(partial(self._make, region_name=region), self._check)

    def client(self, service: str) -> Any:
        """The client of a service, for those who have errors of their own. Raises what `caller` raises."""
        if self._check and service != "sts":
            _ = self.caller
        with self._lock:
            return self._clients.get(service) or self._clients.setdefault(service, self._make(service))

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """The answer to one call, such as `call("ec2", "describe_vpcs")`. Raises AwsError."""
        return self._asking(service, operation, lambda client: getattr(client, operation)(**arguments))

    def every(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Everything under a key of a call's answer, over all its pages. Raises AwsError."""

        def pages(client: Any) -> list[Any]:
            if client.can_paginate(operation):
                return list(client.get_paginator(operation).paginate(**arguments))
            return [getattr(client, operation)(**arguments)]

        for page in self._asking(service, operation, pages):
            yield from page.get(key, ())

    def filtered(self, operation: str, key: str, name: str, values: Iterable[str], **others: str) -> Iterator[Any]:
        """Everything under a key of EC2's answers for the values of a filter, in as few questions as EC2 allows.

        `others` are filters of one value each, with _ for -. Without values nothing is asked. Raises AwsError.
        """
        wanted = sorted(set(values))
        fixed = [{"Name": other.replace("_", "-"), "Values": [value]} for other, value in others.items()]
        room = FILTER_VALUES - len(fixed)
        for start in range(0, len(wanted), room):
            filters = [{"Name": name, "Values": wanted[start : start + room]}, *fixed]
            yield from self.every("ec2", operation, key, Filters=filters)

    def _asking(self, service: str, operation: str, ask: Callable[[Any], Any]) -> Any:
        action = f"{service}:{operation}"
        try:
            client = self.client(service)
            action = f"{client.meta.service_model.signing_name}:{client.meta.method_to_api_mapping[operation]}"
            return ask(client)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise refused(action, error) from error


def _sentence(action: str, code: str, cause: str) -> str:
    if code in DENIED:
        return f"AWS denied {action}: {cause}. Allow it to this identity."
    if code in EXPIRED:
        return f"The AWS credentials have expired (at {action}): {cause}. Log in again, then run this again."
    if code in INVALID or code in (NoCredentialsError.__name__, PartialCredentialsError.__name__):
        return f"AWS does not accept the credentials (at {action}): {cause}. Check `aws sts get-caller-identity`."
    if code == ProfileNotFound.__name__:
        return f"{cause}. Set aws:profile to a profile of ~/.aws/config."
    if code in THROTTLED:
        return f"AWS throttled {action}, {TRIES} times: {cause}. Run this again later."
    return f"{action} failed with {code}: {cause}."
