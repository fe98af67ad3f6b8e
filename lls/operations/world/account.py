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
from lls.waiting import AWS_ANSWER, AWS_TRIES, CONNECT, QUESTION, SilentError, within

CLIENT_CONFIG: Final = ClientConfig(
    connect_timeout=CONNECT,
    read_timeout=AWS_ANSWER,
    retries={"mode": "standard", "total_max_attempts": AWS_TRIES},
)
"""What every client of AWS is told: how long to wait, and how often to try."""

DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
INVALID: Final = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}
)
THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}
)
SILENT: Final = frozenset({"ConnectTimeoutError", "ReadTimeoutError", SilentError.__name__})
GONE: Final = ("NotFound", "NotFoundException", "NoSuchHostedZone")
"""How the codes end by which AWS says that a thing is not there, or not any more."""

HELD: Final = "permission to access the specified resource"
"""What EC2 says with AuthFailure where it means no credentials, but an address that something of AWS's own holds."""


IAM_NAMES: Final = {"monitoring": "cloudwatch"}
"""What IAM calls a service that signs its calls by another name."""


class AwsError(Exception):
    """A call that AWS refused, in one sentence. `code` is AWS's own, `action` as IAM names it.

    `is_held` tells that something of AWS's own, such as a load balancer, holds what the call is about.
    """

    def __init__(self, action: str, code: str, cause: str) -> None:
        """Say what was called, how AWS names the refusal, and why."""
        self.action = action
        self.code = code
        self.is_held = code == "AuthFailure" and HELD in cause
        super().__init__(_sentence(self, " ".join(cause.split()).rstrip(".")))

    @property
    def denied(self) -> bool:
        """Whether a permission is missing, rather than anything wrong."""
        return self.code in DENIED

    @property
    def is_throttled(self) -> bool:
        """Whether too much was asked for the moment."""
        return self.code in THROTTLED

    @property
    def is_gone(self) -> bool:
        """Whether something that was asked for is not there."""
        return self.code.endswith(GONE)


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
    """The AWS account and region of a stack. Safe for threads. A service that was silent is not asked again."""

    def __init__(self, client: Callable[..., Any], check: Callable[[Caller], None] | None = None) -> None:
        """`client` makes the boto3 client of a service, in another region where it gets a `region_name`.

        `check` is asked about the caller before anything else is.
        """
        self._make = client
        self._check = check
        self._clients: dict[str, Any] = {}
        self._silent: dict[str, AwsError] = {}
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
        return self._ask(service, operation, lambda client: getattr(client, operation)(**arguments))

    def every(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Everything under a key of a call's answer, over all its pages. Raises AwsError."""
        pages: Iterator[Any] | None = None

        def next_page(client: Any) -> Any:
            nonlocal pages
            if pages is None and client.can_paginate(operation):
                pages = iter(client.get_paginator(operation).paginate(**arguments))
            elif pages is None:
                pages = iter([getattr(client, operation)(**arguments)])
            return next(pages, None)

        while (page := self._ask(service, operation, next_page)) is not None:
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

    def _ask(self, service: str, operation: str, ask: Callable[[Any], Any]) -> Any:
        action = f"{service}:{operation}"
        if silent := self._silent.get(service):
            raise silent
        try:
            client = self._clients.get(service) or within(
                QUESTION, f"AWS credentials for {action}", lambda: self.client(service)
            )
            signing_name = client.meta.service_model.signing_name
            action = f"{IAM_NAMES.get(signing_name, signing_name)}:{client.meta.method_to_api_mapping[operation]}"
            return within(QUESTION, f"AWS, {action},", lambda: ask(client))
        except (ClientError, BotoCoreError, ResponseParserError, SilentError) as error:
            told = refused(action, error)
            if told.code in SILENT:
                self._silent[service] = told
            raise told from error


def _sentence(error: AwsError, cause: str) -> str:
    action, code = error.action, error.code
    if error.is_held:
        return (
            f"{action} failed with {code}: {cause}: something of AWS's own, such as the network interface of a load "
            "balancer or a NAT gateway, still holds it. Run this again later."
        )
    if code in DENIED:
        return f"AWS denied {action}: {cause}. Allow it to this identity."
    if code in EXPIRED:
        return f"The AWS credentials have expired (at {action}): {cause}. Log in again, then run this again."
    if code in INVALID or code in (NoCredentialsError.__name__, PartialCredentialsError.__name__):
        return f"AWS does not accept the credentials (at {action}): {cause}. Check `aws sts get-caller-identity`."
    if code == ProfileNotFound.__name__:
        return f"{cause}. Set aws:profile to a profile of ~/.aws/config."
    if code in THROTTLED:
        return f"AWS throttled {action}, {AWS_TRIES} times: {cause}. Run this again later."
    if code in SILENT:
        return f"AWS gave no answer to {action}: {cause}. Check the way from here to it: proxy, firewall, VPC endpoint."
    return f"{action} failed with {code}: {cause}."
