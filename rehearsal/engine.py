"""A small Pulumi engine: runs a program against Pulumi's mock monitor and makes what it registers.

It keeps state between runs, so that a second run finds nothing to do, a change is an update or a
replacement, and a destroy follows the recorded graph. Everything that the graph leaves independent runs
in parallel.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, cast

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from pulumi import RunError
from pulumi.runtime import run_in_stack, set_all_config
from pulumi.runtime.mocks import MockMonitor, Mocks, MockSettings
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.settings import configure

Properties = dict[str, Any]
Operation = Literal["create", "update", "replace", "delete", "same"]

STACK_TYPE: Final = "pulumi:pulumi:Stack"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key that marks a special value, such as a secret, in a property."""

WORKERS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A registered resource. `dependencies` are all URNs that it was given, directly or by a property."""

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
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The URNs that must outlive this resource: dependencies, parent and provider."""
        return self.dependencies | {self.parent, self.provider}


@dataclass(frozen=True)
class Step:
    """What was done to one resource, and when, in seconds of the emulated world."""

    operation: Operation
    resource: Resource
    started: float
    finished: float
    error: str | None = None


class Provider(Protocol):
    """What makes real the resources of an emulated world."""

    def replaces(self, type_: str) -> Collection[str]:
        """Inputs of that type whose change replaces the resource."""
        ...

    def check(self, type_: str, inputs: Properties) -> None:
        """Refuse inputs, on every run, before anything is compared."""
        ...

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id and outputs."""
        ...

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place; its outputs."""
        ...

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Delete the resource."""
        ...

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        ...

    def now(self) -> float:
        """Seconds in the emulated world."""
        ...


class Listener:
    """Hears of everything that an engine does, as it does it. This one ignores it."""

    def started(self, operation: Operation, resource: Resource) -> None:
        """An operation began."""

    def finished(self, step: Step) -> None:
        """An operation ended."""

    def logged(self, severity: Literal["info", "warning", "error"], message: str) -> None:
        """The program said something."""


class StepsFailedError(Exception):
    """Some resources could not be made or deleted. The state holds what there is; a further run goes on from there."""


@dataclass(kw_only=True)
class Engine:
    """Runs one program as one stack. `config` maps full keys to values as a Pulumi engine passes them.

    `state` holds what exists, by URN; `replaced` what has a successor and is still to be deleted.
    """

    program: Callable[[], None]
    project: str
    stack: str
    config: Mapping[str, str]
    secret_keys: Collection[str] = ()
    provider: Provider
    listener: Listener = field(default_factory=Listener)
    stack_references: Mapping[str, Properties] = field(default_factory=dict[str, Properties])
    state: dict[str, Resource] = field(default_factory=dict[str, Resource])
    replaced: list[Resource] = field(default_factory=list[Resource])
    outputs: Properties = field(default_factory=dict[str, Any])

    def up(self) -> list[Step]:
        """Run the program and make what it registers; then delete what it no longer does.

        Raises pulumi.RunError for a mistake that the program found, and StepsFailedError.
        """
        monitor = self._run(preview=False)
        steps = [*monitor.steps]
        orphans = [resource for urn, resource in self.state.items() if urn not in monitor.registered]
        steps += self._delete([*self.replaced, *orphans])
        self.outputs = monitor.outputs
        return steps

    def preview(self) -> list[Step]:
        """Run the program and say what `up` would do. Nothing is made."""
        monitor = self._run(preview=True)
        gone = [resource for urn, resource in self.state.items() if urn not in monitor.registered]
        return [*monitor.steps, *(Step("delete", resource, 0, 0) for resource in gone)]

    def destroy(self) -> list[Step]:
        """Delete everything, in the order that the recorded graph dictates.

        Raises StepsFailedError when something is left.
        """
        steps = self._delete([*self.replaced, *self.state.values()])
        self.outputs = {}
        return steps

    def _run(self, *, preview: bool) -> "Monitor":
        monitor = Monitor(self, preview=preview)

        def run() -> None:
            # The SDK keeps settings, config and root resource in context variables: each run has its own.
            configure(
                MockSettings(
                    monitor=monitor,
                    monitor_features=monitor.features,
                    engine=monitor,
                    project=self.project,
                    stack=self.stack,
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
            set_all_config(dict(self.config), list(self.secret_keys))
            with asyncio.Runner() as runner:
                loop = runner.get_loop()
                loop.set_default_executor(ThreadPoolExecutor(WORKERS))
                asyncio.set_event_loop(loop)

                async def program() -> None:
                    self.program()

                runner.run(run_in_stack(program))

        try:
            contextvars.Context().run(run)
        except RunError:
            if errors := _errors(monitor.steps):
                raise StepsFailedError(errors) from None
            raise
        return monitor

    def _delete(self, resources: Iterable[Resource]) -> list[Step]:
        """Delete resources, each as soon as nothing that needs it is left; a failure holds back what it needs."""
        waiting = list(resources)
        running: dict[Future[Step], Resource] = {}
        steps: list[Step] = []
        failed: list[Resource] = []
        with ThreadPoolExecutor(WORKERS) as pool:
            while waiting or running:
                held = frozenset[str]().union(*(each.needs for each in (*waiting, *running.values(), *failed)))
                for resource in [each for each in waiting if each.urn not in held]:
                    waiting.remove(resource)
                    running[pool.submit(self._delete_one, resource)] = resource
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    resource = running.pop(future)
                    step = future.result()
                    steps.append(step)
                    if step.error:
                        failed.append(resource)
                    elif resource in self.replaced:
                        self.replaced.remove(resource)
                    elif self.state.get(resource.urn) is resource:
                        del self.state[resource.urn]
        if failed:
            kept = ", ".join(each.name for each in (*failed, *waiting))
            raise StepsFailedError(f"{_errors(steps)} (kept: {kept})")
        return steps

    def _delete_one(self, resource: Resource) -> Step:
        return self._perform("delete", resource, lambda: self._forget(resource))

    def _forget(self, resource: Resource) -> Resource:
        if resource.custom:
            self.provider.delete(resource.type, resource.id, resource.inputs)
        return resource

    def _perform(self, operation: Operation, resource: Resource, action: Callable[[], Resource]) -> Step:
        """Do and time one thing, and tell the listener; its failure is part of the answer."""
        self.listener.started(operation, resource)
        started = self.provider.now()
        error: str | None = None
        try:
            resource = action()
        except Exception as caught:
            error = str(caught) or repr(caught)
        step = Step(operation, resource, started, self.provider.now(), error)
        self.listener.finished(step)
        return step


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


class NoMocks(Mocks):
    """The monitor answers by itself, so these are never asked."""

    def call(self, args: object) -> tuple[dict[Any, Any], None]:
        """Never called."""
        raise NotImplementedError

    def new_resource(self, args: object) -> tuple[None, dict[Any, Any]]:
        """Never called."""
        raise NotImplementedError


class Monitor(MockMonitor):
    """Pulumi's mock monitor, for one run: what a program registers is compared with the state and made so."""

    def __init__(self, engine: Engine, *, preview: bool) -> None:
        """Serve one run of that engine's program."""
        super().__init__(NoMocks())
        self.engine = engine
        self.preview = preview
        self.steps: list[Step] = []
        self.registered: set[str] = set()
        self.outputs: Properties = {}

    @property
    def features(self) -> set[int]:
        """What this monitor offers to the SDK."""
        info: Any = self.GetDeploymentInfo(Empty())  # pyright: ignore[reportUnknownMemberType]
        return set(info.supportedFeatures)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        """Create, update, replace or keep one resource."""
        urn = self.make_urn(request.parent, request.type, request.name)
        self.registered.add(urn)
        goal = _goal(urn, request)
        if not request.custom:
            if not self.preview:
                self.engine.state[urn] = goal
            return resource_pb2.RegisterResourceResponse(urn=urn)
        made = self._converge(self.engine.state.get(urn), goal)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=made.id, object=_struct(made.outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """Keep the stack's outputs."""
        if f"::{STACK_TYPE}::" in request.urn:
            self.outputs = _plain(request.outputs)[0]
        return Empty()

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """Answer a stack reference."""
        urn = self.make_urn(request.parent, request.type, request.name)
        outputs: Properties = {
            "name": request.id,
            "outputs": self.engine.stack_references[request.id],
            "secretOutputNames": [],
        }
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct(outputs))

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Answer a look-up."""
        arguments, _ = _plain(request.args)
        try:
            answer = self.engine.provider.invoke(request.tok, arguments)
        except Exception as error:
            message = f"invocation of {request.tok} returned an error: {error}"
            raise MonitorError(grpc.StatusCode.UNKNOWN, message) from error
        fields: dict[str, Any] = {"return": _struct(answer)}
        return resource_pb2.ResourceInvokeResponse(**fields)

    def Log(self, request: Any) -> None:  # noqa: N802
        """Pass on what the program says."""
        if request.severity == engine_pb2.INFO:
            self.engine.listener.logged("info", request.message)
        elif request.severity == engine_pb2.WARNING:
            self.engine.listener.logged("warning", request.message)
        elif request.severity == engine_pb2.ERROR:
            self.engine.listener.logged("error", request.message)

    def _converge(self, old: Resource | None, goal: Resource) -> Resource:
        provider = self.engine.provider
        if old is None:
            return self._do("create", goal, lambda: _made(goal, *provider.create(goal.type, goal.inputs)))
        ignored = {key: old.inputs[key] for key in goal.ignore_changes if key in old.inputs}
        goal = replace(goal, inputs=goal.inputs | ignored)
        changed = {key for key in old.inputs | goal.inputs if old.inputs.get(key) != goal.inputs.get(key)}
        if not changed:
            return self._do("same", goal, lambda: _made(goal, old.id, old.outputs))
        if not changed & set(provider.replaces(goal.type)):
            return self._do(
                "update",
                goal,
                lambda: _made(goal, old.id, old.outputs | provider.update(goal.type, old.id, old.inputs, goal.inputs)),
            )

        def successor() -> Resource:
            if goal.delete_before_replace:
                self.steps += self.engine._delete(self._replaced_with(old))  # pyright: ignore[reportPrivateUsage]
            else:
                self.engine.replaced.append(old)
            return _made(goal, *provider.create(goal.type, goal.inputs))

        return self._do("replace", goal, successor)

    def _replaced_with(self, old: Resource) -> list[Resource]:
        """A resource and those that its replacement replaces: they hold it in an input that cannot change."""
        doomed = {old.urn: old}
        grew = True
        while grew:
            more = {
                urn: resource
                for urn, resource in list(self.engine.state.items())
                if urn not in doomed
                and any(
                    resource.property_dependencies.get(key, frozenset()) & doomed.keys()
                    for key in self.engine.provider.replaces(resource.type)
                )
            }
            doomed |= more
            grew = bool(more)
        return list(doomed.values())

    def _do(self, operation: Operation, goal: Resource, action: Callable[[], Resource]) -> Resource:
        def checked() -> Resource:
            self.engine.provider.check(goal.type, goal.inputs)
            return self._planned(operation, goal) if self.preview else action()

        step = self.engine._perform(operation, goal, checked)  # pyright: ignore[reportPrivateUsage]
        self.steps.append(step)
        if step.error:
            raise MonitorError(grpc.StatusCode.UNAVAILABLE, step.error)
        if not self.preview:
            self.engine.state[goal.urn] = step.resource
        return step.resource

    def _planned(self, operation: Operation, goal: Resource) -> Resource:
        """What a preview knows of a resource: an id and outputs only if they will stay."""
        old = self.engine.state.get(goal.urn)
        if old is None or operation not in ("same", "update"):
            return replace(goal, outputs=goal.inputs)
        return replace(goal, id=old.id, outputs=old.outputs | goal.inputs)


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
        delete_before_replace=request.deleteBeforeReplace,
        ignore_changes=tuple(request.ignoreChanges),
    )


def _errors(steps: Iterable[Step]) -> str:
    return "; ".join(f"{step.resource.name}: {step.error}" for step in steps if step.error)


def _made(goal: Resource, id_: str, outputs: Properties) -> Resource:
    return replace(goal, id=id_, outputs=outputs | goal.inputs)


def _plain(message: Message) -> tuple[Properties, frozenset[str]]:
    """A protobuf struct as plain values, and the names of the properties that hold a secret."""
    secrets: set[str] = set()

    def plain(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            mapping = cast(dict[str, Any], value)
            if SIGNATURE in mapping:
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
