"""Runs the program against Pulumi's mock monitor and records what it registers: its graph."""

import asyncio
import contextvars
import runpy
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, cast

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import run_in_stack, set_all_config
from pulumi.runtime.mocks import MockMonitor, Mocks, MockSettings
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.rpc import is_rpc_secret
from pulumi.runtime.settings import configure

from lls.operations.program.stack_file import PROJECT

Properties = dict[str, Any]
Severity = Literal["info", "warning", "error"]

STACK_TYPE: Final = "pulumi:pulumi:Stack"
WORKERS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A registered resource. `dependencies` are all URNs that it was given, directly or by a property.

    `delete_before_replace` is None where the resource leaves that to its provider; `replace_on_changes` are paths of
    inputs whose change replaces it besides those that its provider names.
    """

    urn: str
    type: str
    name: str
    custom: bool
    id: str
    inputs: Properties
    outputs: Properties
    secrets: frozenset[str]
    parent: str
    provider: str
    dependencies: frozenset[str]
    property_dependencies: Mapping[str, frozenset[str]]
    delete_before_replace: bool | None = None
    replace_on_changes: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The URNs that must outlive this resource: dependencies, parent and provider."""
        return self.dependencies | {self.parent, self.provider}


class Responder(Protocol):
    """What the program is run against."""

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        ...

    def register(self, goal: Resource) -> Resource:
        """The resource as it is, with its id and outputs as far as they are known."""
        ...

    def log(self, severity: Severity, message: str) -> None:
        """The program said something."""
        ...


class MonitorError(grpc.RpcError):
    """A failure as the real engine tells the SDK of it."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        """Carry a gRPC status and a message."""
        super().__init__(message)
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The gRPC status: UNAVAILABLE ends the run, as after a failed step."""
        return self._status

    def details(self) -> str:
        """The message."""
        return str(self)


def event_loop() -> asyncio.AbstractEventLoop:
    """A loop that does as much at once as an engine is asked to."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(WORKERS))
    return loop


class NoMocks(Mocks):
    """The monitor answers by itself, so these are never asked."""

    def call(self, args: object) -> tuple[dict[Any, Any], None]:
        """Never called."""
        raise NotImplementedError

    def new_resource(self, args: object) -> tuple[None, dict[Any, Any]]:
        """Never called."""
        raise NotImplementedError


class Monitor(MockMonitor):
    """Pulumi's mock monitor, for one run. `recorded` holds what was registered, by URN."""

    def __init__(self, responder: Responder) -> None:
        """Record what that answers."""
        super().__init__(NoMocks())
        self._responder = responder
        self.recorded: dict[str, Resource] = {}
        self.outputs: Properties = {}

    @property
    def features(self) -> set[int]:
        """What this monitor offers to the SDK."""
        info: Any = self.GetDeploymentInfo(Empty())  # pyright: ignore[reportUnknownMemberType]
        return set(info.supportedFeatures)

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """A URN as the engine makes it: the stack is no part of its children's types."""
        return super().make_urn(parent, type_, name).replace(f"::{STACK_TYPE}$", "::")

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        """Record one resource, as the responder has it."""
        goal = _goal(self.make_urn(request.parent, request.type, request.name), request)
        made = self._responder.register(goal)
        self.recorded[made.urn] = made
        return resource_pb2.RegisterResourceResponse(urn=made.urn, id=made.id, object=_struct(made.outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """Keep the stack's outputs."""
        if f"::{STACK_TYPE}::" in request.urn:
            self.outputs = _plain(request.outputs)[0]
        return Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Answer a look-up."""
        arguments, _ = _plain(request.args)
        try:
            answer = self._responder.invoke(request.tok, arguments)
        except Exception as error:
            message = f"invocation of {request.tok} returned an error: {error}"
            raise MonitorError(grpc.StatusCode.UNKNOWN, message) from error
        fields: dict[str, Any] = {"return": _struct(answer)}
        return resource_pb2.ResourceInvokeResponse(**fields)

    def Log(self, request: Any) -> None:  # noqa: N802
        """Pass on what the program says."""
        severities: Mapping[int, Severity] = {
            engine_pb2.INFO: "info",
            engine_pb2.WARNING: "warning",
            engine_pb2.ERROR: "error",
        }
        if severity := severities.get(request.severity):
            self._responder.log(severity, request.message)


def record(
    monitor: Monitor,
    *,
    program: Callable[[], None],
    stack: str,
    config: Mapping[str, str],
    secret_keys: Collection[str] = (),
    project: str = "lls",
    preview: bool = True,
    loop: Callable[[], asyncio.AbstractEventLoop] = event_loop,
) -> None:
    """Run a program to its end against a monitor, which then holds what it registered.

    In a preview, outputs that the monitor leaves out are unknown. The program runs in a new `loop`. Raises what the
    program raises.
    """

    def run() -> None:
        # The SDK keeps settings, config and root resource in context variables: each run has its own.
        configure(
            MockSettings(
                monitor=monitor,
                monitor_features=monitor.features,
                engine=monitor,
                project=project,
                stack=stack.rpartition("/")[2],
                organization="organization",
                root_directory=None,
                dry_run=preview,
                callbacks=None,
                package_refs={},
                base_providers_by_ref={},
                outputs=set[Any](),
                lock=threading.Lock(),
            )
        )
        set_all_config(dict(config), list(secret_keys))
        with asyncio.Runner(loop_factory=loop) as runner:
            asyncio.set_event_loop(runner.get_loop())
            # What fails is raised below; asyncio need not report it a second time.
            runner.get_loop().set_exception_handler(_ignore)

            async def body() -> None:
                program()

            runner.run(run_in_stack(body))

    contextvars.Context().run(run)


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    pass


def run_project() -> None:
    """Run the project's own `__main__.py`."""
    runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__")


def _goal(urn: str, request: Any) -> Resource:
    inputs, secrets = _plain(request.object)
    return Resource(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        id="",
        inputs=inputs,
        outputs={},
        secrets=secrets,
        parent=request.parent,
        provider=request.provider.rpartition("::")[0],
        dependencies=frozenset(request.dependencies),
        property_dependencies={
            key: frozenset(value.urns) for key, value in request.propertyDependencies.items() if value.urns
        },
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        replace_on_changes=tuple(request.replaceOnChanges),
        ignore_changes=tuple(request.ignoreChanges),
    )


def _plain(message: Message) -> tuple[Properties, frozenset[str]]:
    """A protobuf struct as plain values, and the names of the properties that hold a secret."""
    secrets: set[str] = set()

    def plain(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            mapping = cast(dict[str, Any], value)
            if is_rpc_secret(mapping):
                secrets.add(name)
                return plain(mapping.get("value"), name)
            return {key: plain(part, name) for key, part in mapping.items()}
        if isinstance(value, list):
            return [plain(part, name) for part in cast(list[Any], value)]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    found = {key: plain(value, key) for key, value in MessageToDict(message).items()}
    return found, frozenset(secrets)


def _struct(properties: Properties) -> Struct:
    struct = Struct()
    struct.update({key: value for key, value in properties.items() if value is not None})
    return struct
