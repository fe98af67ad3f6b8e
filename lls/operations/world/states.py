"""What the stacks of a Pulumi backend own, as the Pulumi CLI tells it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from lls.config import NAMESPACE
from lls.operations.program.stack_file import SilentCliError, StackError, pulumi_cli

ARN: Final = re.compile(r"arn:[^:]+:[^:]*:[^:]*:(?P<account>\d{12}):")
"""The beginning of an ARN that tells an account."""

NO_SUCH_STACK: Final = 6
"""The Pulumi CLI's exit code where the backend does not know a stack."""


class NoSuchStackError(StackError):
    """The backend does not know the stack, which proves nothing: the stack may be another backend's."""


@dataclass(frozen=True, kw_only=True)
class StateResource:
    """A resource in a stack's state. `id` is empty for components; `provider` is the URN of its provider."""

    urn: str
    type: str
    id: str
    parent: str = ""
    provider: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True)
class Operation:
    """An operation that never reported back, such as `creating` a resource: it may still be under way."""

    kind: str
    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a stack's state holds: its resources, its outputs, and the operations that never reported back.

    `condemned` are resources that have a successor and are still to be deleted.
    """

    resources: tuple[StateResource, ...] = ()
    condemned: tuple[StateResource, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pending: tuple[Operation, ...] = ()

    @property
    def owned(self) -> tuple[StateResource, ...]:
        """Everything that exists because of this stack, as far as its state knows."""
        return tuple(resource for resource in (*self.resources, *self.condemned) if resource.id)

    @property
    def ids(self) -> frozenset[str]:
        """Ids of everything that it owns."""
        return frozenset(resource.id for resource in self.owned)

    @property
    def types(self) -> frozenset[str]:
        """The types of everything that it owns."""
        return frozenset(resource.type for resource in self.owned)

    @property
    def accounts(self) -> frozenset[str]:
        """The AWS accounts that it lives in, as the ARNs of what it owns tell."""
        arns = [
            arn
            for resource in self.owned
            if resource.type.startswith("aws:")
            for arn in (resource.id, resource.outputs.get("arn"))
        ]
        found = [ARN.match(arn) for arn in arns if isinstance(arn, str)]
        return frozenset(match["account"] for match in found if match)


class StackName(NamedTuple):
    """A stack as the Pulumi CLI names it: STACK, ORGANIZATION/STACK or ORGANIZATION/PROJECT/STACK."""

    organization: str
    project: str
    stack: str

    @classmethod
    def of(cls, name: str) -> "StackName":
        """Its parts. A name without a project means this one; without an organization, the user's or the only one."""
        *owners, stack = name.split("/")
        organization = "" if not owners or owners[0] == "organization" else owners[0]
        return cls(organization, owners[1] if len(owners) == 2 else NAMESPACE, stack)

    def may_be(self, other: "StackName") -> bool:
        """Whether both may name one stack."""
        same = not self.organization or not other.organization or self.organization == other.organization
        return same and self[1:] == other[1:]

    def __str__(self) -> str:
        return "/".join(filter(None, self))


@dataclass(frozen=True)
class ListedStack:
    """A stack as the backend lists it: its name, qualified where it is another project's, and whether it is updated."""

    name: str
    is_updating: bool = False


class Backend(Protocol):
    """Where the states of stacks are."""

    def describe(self) -> str:
        """Its address, and who is logged in. Raises NoCliError or StackError."""
        ...

    def stacks(self) -> Sequence[ListedStack]:
        """All stacks of all projects that the user has access to. Raises NoCliError or StackError."""
        ...

    def state(self, stack: str) -> State:
        """The state of one. Raises NoSuchStackError, NoCliError or StackError."""
        ...


class CliBackend:
    """The backend that the Pulumi CLI is logged in to. Once it was silent, it is not asked again."""

    def __init__(self) -> None:
        """Nothing is asked before it is needed."""
        self._silent: SilentCliError | None = None

    def describe(self) -> str:
        """Its address without any password in it, and who is logged in. Raises NoCliError or StackError."""
        found = self._json("whoami", "--json")
        url = urlsplit(str(found["url"]))
        return f"{url._replace(netloc=url.netloc.rpartition('@')[2], query='').geturl()} as {found['user']}"

    def stacks(self) -> Sequence[ListedStack]:
        """All stacks of all projects that the user has access to. Raises NoCliError or StackError."""
        listed: Iterable[Any] = self._json("stack", "ls", "--all", "--json")
        return [ListedStack(entry["name"], bool(entry.get("updateInProgress"))) for entry in listed]

    def state(self, stack: str) -> State:
        """The state of one. Raises NoSuchStackError, NoCliError or StackError."""
        try:
            exported = self._json("stack", "export", "--stack", stack)
        except StackError as error:
            if error.code == NO_SUCH_STACK or "no stack named" in str(error):
                raise NoSuchStackError(f"{self.describe()} does not know stack {stack}.") from error
            raise
        return parse_state(exported)

    def _json(self, *arguments: str) -> Any:
        if self._silent:
            raise self._silent
        try:
            return json.loads(pulumi_cli(*arguments))
        except SilentCliError as error:
            self._silent = error
            raise
        except ValueError:
            raise StackError(f"`pulumi {' '.join(arguments)}` printed no JSON. Update the Pulumi CLI.") from None


def parse_state(exported: Any) -> State:
    """The state in what `pulumi stack export` prints."""
    deployment: Any = exported.get("deployment") or {}
    listed: list[Any] = deployment.get("resources") or []
    pending: list[Any] = deployment.get("pending_operations") or []
    stacks = [entry.get("outputs", {}) for entry in listed if entry["type"] == "pulumi:pulumi:Stack"]
    return State(
        resources=tuple(_resource(entry) for entry in listed if not entry.get("delete")),
        condemned=tuple(_resource(entry) for entry in listed if entry.get("delete")),
        outputs=stacks[0] if stacks else {},
        pending=tuple(
            Operation(
                operation["type"], operation["resource"]["type"], operation["resource"]["urn"].rpartition("::")[2]
            )
            for operation in pending
        ),
    )


def _resource(described: Any) -> StateResource:
    return StateResource(
        urn=described["urn"],
        type=described["type"],
        id=described.get("id", ""),
        parent=described.get("parent", ""),
        provider=described.get("provider", "").rpartition("::")[0],
        inputs=described.get("inputs", {}),
        outputs=described.get("outputs", {}),
    )
