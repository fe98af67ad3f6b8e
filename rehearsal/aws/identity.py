"""Who the emulated AWS takes its caller for, and what IAM says that it may do."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.iam.exceptions import InvalidInput, NotFoundException
from moto.iam.responses import IamResponse
from moto.sts.models import STSBackend

ROLE = "rehearsal"


@dataclass(frozen=True)
class Identity:
    """The caller in one account: a session of a role. `allows` tells what the role may do."""

    account: str
    partition: str
    allows: Callable[[str], bool]

    @property
    def arn(self) -> str:
        """The ARN of the session."""
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{ROLE}/session"

    def enforce(self, until: ExitStack) -> None:
        """Answer so until that stack is closed."""

        def caller(_: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
            return "AROAREHEARSAL:session", self.arn, self.account

        def simulate(response: IamResponse) -> ActionResult:
            return self._simulate(response)

        until.enter_context(patch.object(STSBackend, "get_caller_identity", caller))
        # Moto has no such operation; it finds it by its name.
        until.enter_context(patch.object(IamResponse, "simulate_principal_policy", simulate, create=True))

    def _simulate(self, response: IamResponse) -> ActionResult:
        source: str = response._get_param("PolicySourceArn")  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
        actions: list[str] = response._get_param("ActionNames", [])  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
        kind, _, path = source.rpartition(":")[2].partition("/")
        if ":iam::" not in source or kind not in ("role", "user", "group"):
            raise InvalidInput(f"Invalid Entity Arn: {source} does not clearly define entity type and name.")
        names = {each.name for each in response.backend.get_roles()}
        if kind == "role" and path.rpartition("/")[2] not in names:
            raise NotFoundException(f"The role with name {path.rpartition('/')[2]} cannot be found.")
        results: list[dict[str, Any]] = [
            {
                "EvalActionName": action,
                "EvalResourceName": "*",
                "EvalDecision": "allowed" if self.allows(action) else "implicitDeny",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in actions
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})
