"""Calls that the emulated AWS refuses or leaves hanging because a test says so."""

import json
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from lls.operations.world.account import IAM_NAMES

Protocol = Literal["ec2", "query", "json"]

PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "ec2": "ec2",
    "elasticloadbalancing": "query",
    "sts": "query",
    "iam": "query",
    "autoscaling": "query",
    "route53": "query",
    "sns": "query",
}
"""How services answer; the others speak JSON."""

CODES: Final[Mapping[str, Mapping[Protocol, str]]] = {
    "AccessDenied": {"ec2": "UnauthorizedOperation", "json": "AccessDeniedException"},
    "ExpiredToken": {"ec2": "RequestExpired", "json": "ExpiredTokenException"},
    "Throttling": {"ec2": "RequestLimitExceeded", "json": "ThrottlingException"},
    "InternalFailure": {"ec2": "InternalError", "json": "InternalServerException"},
    "InvalidClientTokenId": {"ec2": "AuthFailure", "json": "UnrecognizedClientException"},
}
"""What a general code is called by those services that have another name for it."""

MESSAGES: Final[Mapping[str, str]] = {
    "AccessDenied": "User: {user} is not authorized to perform: {action} on resource: * "
    "because no identity-based policy allows the {action} action",
    "ExpiredToken": "The security token included in the request is expired",
    "Throttling": "Rate exceeded",
    "InternalFailure": "The request processing has failed because of an unknown error, exception or failure.",
    "InvalidClientTokenId": "The security token included in the request is invalid.",
}
"""AWS's messages for the general codes."""

STATUSES: Final = {"AccessDenied": 403, "ExpiredToken": 403, "InternalFailure": 500, "InvalidClientTokenId": 403}
"""HTTP's status of the general codes; 400 for every other."""

REST: Final = {
    ("GET", "/clusters"): "ListClusters",
    ("GET", "/clusters/*"): "DescribeCluster",
    ("GET", "/clusters/*/node-groups"): "ListNodegroups",
    ("GET", "/clusters/*/node-groups/*"): "DescribeNodegroup",
    ("GET", "/2013-04-01/hostedzone"): "ListHostedZones",
    ("GET", "/2013-04-01/hostedzone/*"): "GetHostedZone",
    ("GET", "/2013-04-01/hostedzone/*/rrset"): "ListResourceRecordSets",
    ("POST", "/2013-04-01/hostedzone/*/rrset/"): "ChangeResourceRecordSets",
    ("GET", "/2013-04-01/change/*"): "GetChange",
    ("GET", "/2013-04-01/tags/hostedzone/*"): "ListTagsForResource",
}
"""IAM's names of the calls of EKS and Route 53."""


def action_of(environ: Mapping[str, Any], body: bytes) -> str:
    """The name of a call, such as elasticloadbalancing:CreateLoadBalancer or eks:GET /clusters/demo."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    signed = scope.group(1) if scope else "sts"  # which alone has a call that goes unsigned
    service = IAM_NAMES.get(signed, signed)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return f"{service}:{target.rpartition('.')[2]}"
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return f"{service}:{action[0]}"
    return f"{service}:{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def iam_action(action: str) -> str:
    """The name by which IAM knows a call."""
    service, _, call = action.partition(":")
    method, _, path = call.partition(" ")
    found = [name for (verb, shape), name in REST.items() if verb == method and _same_shape(path, shape)]
    return f"{service}:{found[0]}" if found else action


def _same_shape(path: str, shape: str) -> bool:
    return path.count("/") == shape.count("/") and fnmatchcase(path, shape)


@dataclass
class Fault:
    """One refusal or hang, until it is lifted or spent. A context manager that lifts it in the end.

    `seen` counts the calls that it met. Without a `code` calls hang until it is lifted. With `after` the call
    does its work, and only the answer is lost.
    """

    action: str
    code: str = ""
    after: bool = False
    message: str | None = None
    times: int | None = None
    seen: int = 0
    _lifted: threading.Event = field(default_factory=threading.Event)

    def lift(self) -> None:
        """Take it away."""
        self._lifted.set()

    def wait(self) -> None:
        """Wait until it is lifted."""
        self._lifted.wait()

    def meets(self, *names: str) -> bool:
        """Whether it is about a call of one of these names."""
        spent = self._lifted.is_set() or (self.times is not None and self.seen >= self.times)
        return not spent and any(fnmatchcase(name, self.action) for name in names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()


@dataclass(frozen=True)
class Response:
    """An answer over HTTP."""

    status: int
    content_type: str
    body: bytes


class Faults:
    """The faults of an emulated AWS. `denied` are actions as IAM names them, or patterns of such."""

    def __init__(self) -> None:
        """Have none yet."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.denied: set[str] = set()

    @property
    def hang(self) -> bool:
        """Whether calls may be left without an answer."""
        return any(not fault.code for fault in self._faults)

    def add(self, fault: Fault) -> Fault:
        """Have a fault from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def lift_all(self) -> None:
        """Take all faults away."""
        for fault in self._faults:
            fault.lift()

    def meet(self, action: str, user: str, *, after: bool = False) -> Response | None:
        """What a call gets instead of its answer, before or `after` its work; None where nothing is wrong. May hang.

        `user` is the ARN of who calls.
        """
        names = (action, iam_action(action))
        if _any_matches(names[1], self.denied):
            return refusal(names[1], "AccessDenied", user=user)
        with self._lock:
            fault = next((fault for fault in self._faults if fault.after == after and fault.meets(*names)), None)
            if fault is None:
                return None
            fault.seen += 1
        if fault.code:
            return refusal(names[1], fault.code, fault.message, user=user)
        fault.wait()
        return None

    def allows(self, action: str) -> bool:
        """Whether an action, as IAM names it, is not denied."""
        return not _any_matches(action, self.denied)


def _any_matches(action: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns)


def refusal(action: str, code: str, message: str | None = None, *, user: str = "") -> Response:
    """How the action's service refuses a call with a general code, or with one of its own."""
    protocol: Protocol = PROTOCOLS.get(action.partition(":")[0], "json")
    text = message or MESSAGES.get(code, f"The call was refused with {code}").format(user=user, action=action)
    status = STATUSES.get(code, 400)
    named = CODES.get(code, {}).get(protocol, code)
    if protocol == "json":
        body = json.dumps({"__type": named, "code": named, "message": text})
        return Response(status, "application/x-amz-json-1.1", body.encode())
    error = f"<Error><Code>{escape(named)}</Code><Message>{escape(text)}</Message></Error>"
    if protocol == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>rehearsal</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{error}<RequestId>rehearsal</RequestId></ErrorResponse>"
    return Response(status, "text/xml", body.encode())
