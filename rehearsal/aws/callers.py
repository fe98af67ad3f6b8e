"""Whom the emulated AWS takes a caller for, which roles one may assume, and what IAM says that one may do."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

from moto.core.responses import ActionResult, BaseResponse
from moto.iam.exceptions import InvalidInput, NotFoundException
from moto.iam.models import IAMBackend, iam_backends
from moto.iam.responses import IamResponse
from moto.sts.models import AssumedRole, STSBackend
from moto.sts.responses import TokenResponse
from werkzeug.exceptions import HTTPException

from rehearsal.aws.faults import Response, refusal
from rehearsal.aws.strict import Proceed, Rule, enforce

KEY: Final = "rehearsal"
"""Access key and secret key of the emulated account."""

ROLE: Final = "rehearsal"
"""The role whose session has that key."""

WEB_IDENTITY: Final = "accounts.example"
"""An identity provider that roles may trust."""

WEB_TOKEN: Final = "token-of-accounts-example"  # noqa: S105
"""The one token that it has issued."""

UNSIGNED: Final = "sts:AssumeRoleWithWebIdentity"
"""The one call that needs no access key."""

LONGEST_CHAINED: Final = 3600
"""Seconds that a session lasts at most whose role was assumed by a role."""


@dataclass(frozen=True)
class EmulatedCaller:
    """Somebody who calls: an ARN in an account, and the session token that goes with the access key, if any."""

    account: str
    arn: str
    token: str = ""

    @property
    def role(self) -> str:
        """The ARN of the role whose session it is, without the path that a session does not tell."""
        return re.sub(r":sts:(.*):assumed-role/([^/]+)/.*", r":iam:\1:role/\2", self.arn)


class RefusedError(HTTPException):
    """A call that STS refuses, with AWS's code."""

    def __init__(self, code: str, message: str) -> None:
        """Answer with the code and the message."""
        answer = refusal("sts:AssumeRole", code, message)
        super().__init__(answer.body.decode())
        self.code = answer.status


class Identities:
    """The callers of one emulated AWS, by their access keys.

    `allows` tells what they may do. `asked` keeps what each call for a role's session asked for, and `secrets` the
    secrets that they were given; `session_seconds` is how long sessions last, where that is not what was asked for.
    """

    def __init__(self, account: str, partition: str, allows: Callable[[str], bool]) -> None:
        """Know the base role's session."""
        self._account = account
        self._partition = partition
        self._allows = allows
        self.base = EmulatedCaller(account, f"arn:{partition}:sts::{account}:assumed-role/{ROLE}/session")
        self._callers: dict[str, EmulatedCaller] = {KEY: self.base}
        self._ended: set[str] = set()
        self.asked: list[Mapping[str, Any]] = []
        self.secrets: set[str] = set()
        self.session_seconds: int | None = None

    def add_role(self, name: str, *, account: str = "", external_id: str = "", trusts: str = "") -> str:
        """Make a role, by default in the base role's account, and tell its ARN. Its name may have a path before it.

        It trusts a principal, by default the base role's account, or WEB_IDENTITY; where an `external_id` is
        given, only with that.
        """
        trust = {
            "Principal": {"AWS": trusts or _root(self._account, self._partition)},
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}} if external_id else {},
        }
        path, _, name = f"/{name}".rpartition("/")
        made = self._iam(account or self._account).create_role(
            role_name=name,
            assume_role_policy_document=json.dumps({"Statement": [trust]}),
            path=f"{path}/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration=None,
        )
        return made.arn

    def add_key(self, key: str, token: str = "") -> None:
        """Let the base role's session have another access key, with a session token."""
        self._callers[key] = replace(self.base, token=token)

    def end_sessions(self) -> None:
        """Let the sessions of all roles that were assumed so far be over."""
        self._ended |= self._callers.keys() - {KEY}

    def refuse(self, action: str, environ: Mapping[str, Any]) -> Response | None:
        """What a call gets whose caller is nobody; None where somebody calls."""
        key = _key(environ.get("HTTP_AUTHORIZATION", ""))
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
        caller = self._callers.get(key)
        if key in self._ended:
            return refusal(action, "ExpiredToken")
        if caller and (caller.token in ("", token)):
            return None
        return None if action == UNSIGNED and not key else refusal(action, "InvalidClientTokenId")

    def caller(self, environ: Mapping[str, Any]) -> EmulatedCaller:
        """Who calls. A call without an access key is taken for one of the base role's account."""
        return self._callers.get(_key(environ.get("HTTP_AUTHORIZATION", "")), self.base)

    def holder(self, key: str, role_arn: str = "") -> EmulatedCaller | None:
        """Whom a token of `aws eks get-token` stands for that was made with an access key, and with a role."""
        caller = None if key in self._ended else self._callers.get(key)
        if not (caller and role_arn):
            return caller
        if not self._trusts(role_arn, _principals(caller, self._partition)):
            return None
        account, role = _account_of(role_arn), role_arn.rpartition("/")[2]
        return EmulatedCaller(account, f"arn:{self._partition}:sts::{account}:assumed-role/{role}/EKSGetTokenAuth")

    def enforce(self, until: ExitStack) -> None:
        """Answer so until that stack is closed."""

        def access_key(response: BaseResponse) -> str:
            return _key(response.headers.get("Authorization", ""))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

        def account(response: BaseResponse) -> str:
            return self._callers.get(access_key(response), self.base).account

        def caller(_: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
            found = self._callers[access_key_id]
            return f"AROA:{found.arn.rpartition('/')[2]}", found.arn, found.account

        def simulate(response: IamResponse) -> ActionResult:
            return self._simulate(response)

        until.enter_context(patch.object(BaseResponse, "get_access_key", access_key))
        until.enter_context(patch.object(BaseResponse, "get_current_account", account))
        until.enter_context(patch.object(STSBackend, "get_caller_identity", caller))
        # Moto has no such operation; it finds it by its name.
        until.enter_context(patch.object(IamResponse, "simulate_principal_policy", simulate, create=True))
        rules = [
            Rule(TokenResponse, "assume_role", self._assume_role),
            Rule(TokenResponse, "assume_role_with_web_identity", self._assume_role_with_web_identity),
            Rule(STSBackend, "assume_role", self._issue),
        ]
        enforce(rules, until)

    def _assume_role(self, proceed: Proceed, response: TokenResponse) -> ActionResult:
        caller = self._callers[response.get_access_key()]
        asked = response.params
        role, seconds = asked["RoleArn"], int(asked.get("DurationSeconds", LONGEST_CHAINED))
        if not self._trusts(role, _principals(caller, self._partition), asked.get("ExternalId", "")):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
            raise RefusedError("AccessDenied", message)
        _check(asked["RoleSessionName"], seconds)
        if seconds > LONGEST_CHAINED:
            message = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
            raise RefusedError("ValidationError", message)
        self.asked.append(asked)
        return proceed()

    def _assume_role_with_web_identity(self, proceed: Proceed, response: TokenResponse) -> ActionResult:
        asked = response.params
        if asked["WebIdentityToken"] != WEB_TOKEN:
            raise RefusedError("InvalidIdentityToken", "The web identity token that was passed could not be validated")
        if not self._trusts(asked["RoleArn"], {WEB_IDENTITY}):
            raise RefusedError("AccessDenied", f"Not authorized to perform {UNSIGNED}")
        _check(asked["RoleSessionName"], int(asked.get("DurationSeconds", LONGEST_CHAINED)))
        self.asked.append(asked)
        return proceed()

    def _issue(self, proceed: Proceed, _: STSBackend, *, duration: int, **arguments: Any) -> AssumedRole:
        """A session, and a key by which its caller is known from now on."""
        session: AssumedRole = proceed(duration=self.session_seconds or duration, **arguments)
        self._callers[session.access_key_id] = EmulatedCaller(session.account_id, session.arn, session.session_token)
        self.secrets |= {session.secret_access_key, session.session_token}
        return session

    def _trusts(self, role_arn: str, principals: Collection[str], external_id: str = "") -> bool:
        """Whether there is such a role, and whether it lets one of these assume it."""
        roles = [role for role in self._iam(_account_of(role_arn)).get_roles() if role.arn == role_arn]
        policies: list[Any] = [json.loads(role.assume_role_policy_document) for role in roles]
        return any(
            statement["Principal"]["AWS"] in principals
            and statement["Condition"].get("StringEquals", {}).get("sts:ExternalId", external_id) == external_id
            for policy in policies
            for statement in policy.get("Statement", ())
        )

    def _iam(self, account: str) -> IAMBackend:
        return iam_backends[account][self._partition]

    def _simulate(self, response: IamResponse) -> ActionResult:
        source: str = response._get_param("PolicySourceArn")  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
        actions: list[str] = response._get_param("ActionNames", [])  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
        kind, _, path = source.rpartition(":")[2].partition("/")
        if ":iam::" not in source or kind not in ("role", "user", "group"):
            raise InvalidInput(f"Invalid Entity Arn: {source} does not clearly define entity type and name.")
        names = {role.name for role in response.backend.get_roles()}
        if kind == "role" and path.rpartition("/")[2] not in names:
            raise NotFoundException(f"The role with name {path.rpartition('/')[2]} cannot be found.")
        results: list[dict[str, Any]] = [
            {
                "EvalActionName": action,
                "EvalResourceName": "*",
                "EvalDecision": "allowed" if self._allows(action) else "implicitDeny",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in actions
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _key(authorization: str) -> str:
    """The access key that signed a call; empty where none did."""
    found = re.search(r"Credential=([^/]+)/", authorization)
    return found.group(1) if found else ""


def _root(account: str, partition: str) -> str:
    return f"arn:{partition}:iam::{account}:root"


def _principals(caller: EmulatedCaller, partition: str) -> set[str]:
    """As whom a trust policy may name a caller."""
    return {_root(caller.account, partition), caller.role, caller.arn}


def _account_of(role_arn: str) -> str:
    found = re.fullmatch(r"arn:[^:]+:iam::(\d{12}):role/.+", role_arn)
    if found is None:
        raise RefusedError("ValidationError", f"{role_arn} is invalid")
    return found.group(1)


def _check(name: str, seconds: int) -> None:
    """Refuse a session that AWS refuses."""
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", name):
        raise RefusedError("ValidationError", f"Value '{name}' at 'roleSessionName' failed to satisfy constraint")
    if not 900 <= seconds <= 43200:
        message = f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint"
        raise RefusedError("ValidationError", message)
