"""A small Pulumi engine: runs a program against Pulumi's mock monitor and makes what it registers.

It keeps state between runs, so that a second run finds nothing to do, a change is an update or a
replacement, and a destroy follows the recorded graph. Everything that the graph leaves independent runs
in parallel.
"""

from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeVar

import grpc
from pulumi import RunError
from pulumi.runtime.rpc import UNKNOWN

from lls.operations.program.recording import (
    WORKERS,
    Monitor,
    MonitorError,
    Properties,
    Resource,
    Severity,
    event_loop,
    record,
)
from lls.operations.program.replacement import changed_keys, deletes_first, replacing
from lls.operations.world.states import State, StateResource

T = TypeVar("T")
StepOp = Literal["create", "update", "replace", "delete", "same"]

PROVIDER: Final = "pulumi:providers:"
"""What the type of an explicit provider begins with. A replaced one replaces all that it has made."""


@dataclass(frozen=True)
class Step:
    """What was done to one resource, and when, in seconds of the emulated world."""

    operation: StepOp
    resource: Resource
    started: float
    finished: float
    error: str | None = None


class Provider(Protocol):
    """What makes real the resources of an emulated world."""

    def check(self, type_: str, inputs: Properties) -> None:
        """Refuse inputs, on every run, before anything is compared."""
        ...

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id, and what the provider adds to its inputs."""
        ...

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place; the outputs that may have changed."""
        ...

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Delete the resource."""
        ...

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as it is: the inputs that were given, and all outputs of `create`. None where it is gone.

        Without inputs, as for an import, all that a program would give. Raises where it cannot be told.
        """
        ...

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        ...

    def now(self) -> float:
        """Seconds in the emulated world."""
        ...


class Listener:
    """Hears of everything that an engine does, as it does it. This one ignores it."""

    def started(self, operation: StepOp, resource: Resource) -> None:
        """An operation began."""

    def finished(self, step: Step) -> None:
        """An operation ended."""

    def logged(self, severity: Severity, message: str) -> None:
        """The program said something."""


class Workers(ThreadPoolExecutor):
    """Do at once whatever may be done."""

    def __init__(self, parallel: int = WORKERS) -> None:
        super().__init__(parallel)

    def first(self, running: Collection[Future[T]]) -> Collection[Future[T]]:
        """Those that are done, as soon as one is."""
        return wait(running, return_when=FIRST_COMPLETED).done

    def in_background(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """Do a job that nobody waits for before the workers end."""
        return self.submit(fn, *args)


Schedule = Callable[[Collection[Resource], Callable[[Resource], bool], Workers], None]
"""Has resources deleted: those, by a function that tells whether it could, on those workers."""


def waves(resources: Collection[Resource]) -> list[Collection[Resource]]:
    """Resources in the order in which the real engine deletes them: a wave at a time, each as late as may be.

    The last wave needs nothing that is deleted too. Source: `ScheduleDeletes` in pkg/resource/deploy/step_generator.go
    of pulumi/pulumi 3.260.
    """
    found: list[Collection[Resource]] = []
    left = list(resources)
    while left:
        urns = {resource.urn for resource in left}
        found.append([resource for resource in left if not resource.needs & urns])
        left = [resource for resource in left if resource.needs & urns]
    return found[::-1]


def in_waves(resources: Collection[Resource], delete: Callable[[Resource], bool], workers: Workers) -> None:
    """Delete as the real engine does: a wave begins when the one before has ended, unless something of it failed."""
    for wave in waves(resources):
        running = [workers.submit(delete, resource) for resource in wave]
        went_well = True
        while running:
            for future in workers.first(running):
                running.remove(future)
                went_well &= future.result()
        if not went_well:
            break


def one_by_one(resources: Collection[Resource], delete: Callable[[Resource], bool], workers: Workers) -> None:
    """Delete one after the other, as the real engine does with what must go before a successor is made."""
    all(delete(resource) for wave in waves(resources) for resource in wave)


def as_soon_as_free(resources: Collection[Resource], delete: Callable[[Resource], bool], workers: Workers) -> None:
    """Delete each as soon as nothing needs it any more: the most that the graph allows."""
    waiting = {id(resource): resource for resource in resources}
    holders = Counter(need for resource in resources for need in resource.needs)
    running: dict[Future[bool], Resource] = {}
    went_well = True
    while running or (waiting and went_well):
        for resource in [resource for resource in waiting.values() if went_well and not holders[resource.urn]]:
            del waiting[id(resource)]
            running[workers.submit(delete, resource)] = resource
        for future in workers.first(running):
            holders.subtract(running.pop(future).needs)
            went_well &= future.result()


class UnfinishedError(Exception):
    """A resource was created, and then something about it failed. The engine keeps it, for the next run to update."""

    def __init__(self, id_: str, outputs: Properties, cause: Exception) -> None:
        """Carry what there is by now."""
        super().__init__(str(cause))
        self.id = id_
        self.outputs = outputs


@dataclass(frozen=True)
class Refreshed:
    """What a refresh found: what is `gone`, as it was, and what somebody `changed`, as it is now."""

    gone: tuple[Resource, ...] = ()
    changed: tuple[Resource, ...] = ()


class StepsFailedError(Exception):
    """Some resources could not be made or deleted. The state holds what there is; a further run goes on from there."""


@dataclass(kw_only=True)
class Engine:
    """Runs one program as one stack. `config` maps full keys to values as a Pulumi engine passes them.

    `state` holds what exists, by URN; `replaced` what has a successor and is still to be deleted; `unfinished`
    the URNs of what was created and needs an update to be as it should.
    """

    program: Callable[[], None]
    project: str
    stack: str
    config: Mapping[str, str]
    secret_keys: Collection[str] = ()
    provider: Provider
    listener: Listener = field(default_factory=Listener)
    workers: Callable[[], Workers] = Workers
    loop: Callable[[], AbstractEventLoop] = event_loop
    schedule: Schedule = in_waves
    state: dict[str, Resource] = field(default_factory=dict[str, Resource])
    replaced: list[Resource] = field(default_factory=list[Resource])
    unfinished: set[str] = field(default_factory=set[str])
    outputs: Properties = field(default_factory=dict[str, Any])

    def up(self) -> list[Step]:
        """Run the program and make what it registers; then delete what it no longer does.

        Raises pulumi.RunError for a mistake that the program found, and StepsFailedError.
        """
        run, outputs = self._run(preview=False)
        steps = [*run.steps]
        orphans = [resource for urn, resource in self.state.items() if urn not in run.registered]
        steps += self._delete([*self.replaced, *orphans])
        self.outputs = outputs
        return steps

    def preview(self) -> list[Step]:
        """Run the program and say what `up` would do. Nothing is made."""
        run, _ = self._run(preview=True)
        gone = [resource for urn, resource in self.state.items() if urn not in run.registered]
        return [*run.steps, *(Step("delete", resource, 0, 0) for resource in gone)]

    def destroy(self) -> list[Step]:
        """Delete everything, in the order that the recorded graph dictates.

        Raises StepsFailedError when something is left.
        """
        steps = self._delete([*self.replaced, *self.state.values()])
        self.outputs = {}
        return steps

    def refresh(self) -> Refreshed:
        """Let the state hold what is there, as it is, and nothing else. The program is not run.

        As in Pulumi, what is there counts as finished: the next `up` goes by its inputs. Raises what reading raises,
        and then the state stays as it was.
        """
        found = [
            (resource, self.provider.read(resource.type, resource.id, resource.inputs))
            for resource in (*self.state.values(), *self.replaced)
            if resource.custom
        ]
        gone = [resource for resource, answer in found if answer is None]
        changed: list[Resource] = []
        for resource, answer in found:
            if self.state.get(resource.urn) is not resource:
                continue  # it has a successor, and only goes
            self.unfinished.discard(resource.urn)
            if answer is None:
                del self.state[resource.urn]
                continue
            inputs, outputs = answer
            actual = self.state[resource.urn] = replace(resource, inputs=inputs, outputs=outputs | inputs)
            if changed_keys(resource.inputs, inputs) - set(resource.ignore_changes):
                changed.append(actual)
        self.replaced = [resource for resource in self.replaced if resource not in gone]
        return Refreshed(tuple(gone), tuple(changed))

    def exported(self) -> State:
        """The state, as the Pulumi CLI would export it."""
        resources = tuple(
            StateResource(
                urn=resource.urn,
                type=resource.type,
                id=resource.id,
                parent=resource.parent,
                provider=resource.provider,
                inputs=resource.inputs,
                outputs=resource.outputs,
            )
            for resource in self.state.values()
        )
        return State(resources=resources, outputs=self.outputs)

    def _run(self, *, preview: bool) -> "tuple[Run, Properties]":
        run = Run(self, preview=preview)
        monitor = Monitor(run)
        try:
            record(
                monitor,
                program=self.program,
                stack=self.stack,
                config=self.config,
                secret_keys=self.secret_keys,
                project=self.project,
                preview=preview,
                loop=self.loop,
            )
        except RunError:
            if errors := _errors(run.steps):
                raise StepsFailedError(errors) from None
            raise
        return run, monitor.outputs

    def _delete(self, resources: Iterable[Resource], schedule: Schedule | None = None) -> list[Step]:
        """Delete resources, each after what needs it. Once one fails, what has begun ends, and nothing more begins."""
        kept = {id(resource): resource for resource in resources}
        steps: list[Step] = []

        def delete(resource: Resource) -> bool:
            step = self._delete_one(resource)
            steps.append(step)
            if not step.error:
                del kept[id(resource)]
                if resource in self.replaced:
                    self.replaced.remove(resource)
                elif self.state.get(resource.urn) is resource:
                    del self.state[resource.urn]
            return not step.error

        with self.workers() as pool:
            (schedule or self.schedule)(list(kept.values()), delete, pool)
        if kept:
            raise StepsFailedError(f"{_errors(steps)} (kept: {', '.join(resource.name for resource in kept.values())})")
        return steps

    def _delete_one(self, resource: Resource) -> Step:
        return self._perform("delete", resource, lambda: self._forget(resource))

    def _forget(self, resource: Resource) -> Resource:
        if resource.custom:
            self.provider.delete(resource.type, resource.id, resource.inputs)
        return resource

    def _perform(self, operation: StepOp, resource: Resource, action: Callable[[], Resource]) -> Step:
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


class Run:
    """One run of an engine's program: what it registers is compared with the state and made so."""

    def __init__(self, engine: Engine, *, preview: bool) -> None:
        """Serve one run of that engine's program."""
        self.engine = engine
        self.preview = preview
        self.steps: list[Step] = []
        self.registered: set[str] = set()
        self.replaced_providers: set[str] = set()
        self.deleted_first: set[str] = set()

    def register(self, goal: Resource) -> Resource:
        """Create, update, replace or keep one resource."""
        self.registered.add(goal.urn)
        if goal.custom:
            return self._converge(self.engine.state.get(goal.urn), goal)
        if not self.preview:
            self.engine.state[goal.urn] = goal
        return goal

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        return self.engine.provider.invoke(token, arguments)

    def log(self, severity: Severity, message: str) -> None:
        """Pass on what the program says."""
        self.engine.listener.logged(severity, message)

    def _converge(self, old: Resource | None, goal: Resource) -> Resource:
        provider = self.engine.provider
        if old is None:
            operation = "replace" if goal.urn in self.deleted_first else "create"
            return self._do(operation, goal, lambda: _made(goal, *provider.create(goal.type, goal.inputs)))
        ignored = {key: old.inputs[key] for key in goal.ignore_changes if key in old.inputs}
        goal = replace(goal, inputs=goal.inputs | ignored)
        changed = changed_keys(old.inputs, goal.inputs)
        moved = goal.provider in self.replaced_providers
        if not changed and not moved and goal.urn not in self.engine.unfinished:
            return self._do("same", goal, lambda: _made(goal, old.id, old.outputs))
        if not moved and not _forced(old, goal):
            return self._do(
                "update",
                goal,
                lambda: _made(goal, old.id, old.outputs | provider.update(goal.type, old.id, old.inputs, goal.inputs)),
            )

        if goal.type.startswith(PROVIDER):
            self.replaced_providers.add(goal.urn)

        def successor() -> Resource:
            own = goal.delete_before_replace
            if deletes_first(goal.type, goal.inputs) if own is None else own:
                doomed = self._replaced_with(old)
                self.deleted_first |= {resource.urn for resource in doomed}
                self.steps += self.engine._delete(doomed, one_by_one)  # pyright: ignore[reportPrivateUsage]
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
                if urn not in doomed and _forced(resource, _left_without(doomed, resource))
            }
            doomed |= more
            grew = bool(more)
        return list(doomed.values())

    def _do(self, operation: StepOp, goal: Resource, action: Callable[[], Resource]) -> Resource:
        def checked() -> Resource:
            self.engine.provider.check(goal.type, goal.inputs)
            if self.preview:
                return self._planned(operation, goal)
            try:
                made = action()
            except UnfinishedError as error:
                self.engine.unfinished.add(goal.urn)
                self.engine.state[goal.urn] = _made(goal, error.id, error.outputs)
                raise
            self.engine.unfinished.discard(goal.urn)
            return made

        if any(step.error for step in self.steps):
            raise MonitorError(grpc.StatusCode.UNAVAILABLE, "canceled: another resource failed")
        step = self.engine._perform(operation, goal, checked)  # pyright: ignore[reportPrivateUsage]
        self.steps.append(step)
        if step.error:
            raise MonitorError(grpc.StatusCode.UNAVAILABLE, step.error)
        if not self.preview:
            self.engine.state[goal.urn] = step.resource
        return step.resource

    def _planned(self, operation: StepOp, goal: Resource) -> Resource:
        """What a preview knows of a resource: an id and outputs only if they will stay."""
        old = self.engine.state.get(goal.urn)
        if old is None or operation not in ("same", "update"):
            return replace(goal, outputs=goal.inputs)
        return replace(goal, id=old.id, outputs=old.outputs | goal.inputs)


def _forced(old: Resource, goal: Resource) -> bool:
    """Whether the change from one to the other replaces the resource."""
    return bool(replacing(goal.type, old.inputs, goal.inputs, goal.replace_on_changes))


def _left_without(doomed: Collection[str], resource: Resource) -> Resource:
    """A resource as it is once those are deleted: what it holds of them is unknown, as for Pulumi's engine."""
    held = {key for key, needs in resource.property_dependencies.items() if not needs.isdisjoint(doomed)}
    return replace(resource, inputs=resource.inputs | dict.fromkeys(held, UNKNOWN))


def _errors(steps: Iterable[Step]) -> str:
    return "; ".join(f"{step.resource.name}: {step.error}" for step in steps if step.error)


def _made(goal: Resource, id_: str, outputs: Properties) -> Resource:
    return replace(goal, id=id_, outputs=outputs | goal.inputs)
