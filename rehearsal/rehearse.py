"""The rehearsal itself: up, health, a second up, destroy, and what is left."""

import sys
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, Self

from lls.operations.check_clean import check_clean
from lls.operations.program.recording import Properties, run_project
from lls.operations.program.stack_file import PROJECT, Stack
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.verify import Verification
from lls.operations.world.account import Account
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import RECORD
from lls.operations.world.states import ListedStack, State
from rehearsal.aws.names import SHARED
from rehearsal.aws.server import Aws
from rehearsal.engine.engine import Engine, Listener, Refreshed, Step, StepsFailedError
from rehearsal.kubernetes.api import KubernetesApi
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.shims import commands_on_the_path
from rehearsal.outage import AlarmCourse, break_proxy
from rehearsal.providers.emulated import EmulatedProvider
from rehearsal.providers.registry import TOKEN_LIFE
from rehearsal.stack_world import in_cluster, node_selector
from rehearsal.world import World, WorldClock

HEALTH_PATIENCE: Final = 300.0
"""Seconds of AWS that a target may take to become healthy: twice five checks of 30 s."""

NLB_ADDRESS: Final = f"{SHARED}1"
"""What the name of a world's first load balancer stands for."""


@dataclass(frozen=True)
class Expectation:
    """One thing that had to hold, and what was seen."""

    name: str
    held: bool
    seen: str


@dataclass(frozen=True, kw_only=True)
class TargetHealth:
    """A registered target: its health as AWS tells it, and the first obstacle on the way of media to it."""

    id: str
    state: str
    reason: str
    obstacle: str | None


@dataclass(kw_only=True)
class Report:
    """What a rehearsal showed."""

    stack: str
    factor: float
    preview: list[Step] = field(default_factory=list[Step])
    up: list[Step] = field(default_factory=list[Step])
    outputs: Properties = field(default_factory=dict[str, Any])
    targets: list[TargetHealth] = field(default_factory=list[TargetHealth])
    verify: list[Finding] = field(default_factory=list[Finding])
    again: list[Step] = field(default_factory=list[Step])
    refresh: Refreshed = field(default_factory=Refreshed)
    destroy: list[Step] = field(default_factory=list[Step])
    check_clean: list[Finding] = field(default_factory=list[Finding])
    outage: list[AlarmCourse] = field(default_factory=list[AlarmCourse])
    checks: list[Expectation] = field(default_factory=list[Expectation])

    @property
    def held(self) -> bool:
        """Whether everything that had to hold did."""
        return bool(self.checks) and all(check.held for check in self.checks)


class Audience(Protocol):
    """Who watches a rehearsal."""

    def phase(self, title: str) -> Listener:
        """A phase begins; the answer hears of its steps."""
        ...

    def steps(self, steps: Sequence[Step], factor: float) -> None:
        """A phase did these steps."""
        ...

    def facts(self, facts: Mapping[str, Any]) -> None:
        """A phase showed these facts."""
        ...

    def findings(self, findings: Sequence[Finding]) -> None:
        """One of the operations found this."""
        ...

    def verdict(self, checks: Sequence[Expectation]) -> None:
        """The rehearsal ended."""
        ...


class StackEngine(Protocol):
    """What a stack is rehearsed on. Every one of its runs raises StepsFailedError where something failed."""

    listener: Listener

    def preview(self) -> list[Step]:
        """What `up` would do."""
        ...

    def up(self) -> list[Step]:
        """Make the world as the program wants it. Raises pulumi.RunError where the program says what is wrong."""
        ...

    def refresh(self) -> Refreshed:
        """Make the state as the world is; what was otherwise."""
        ...

    def destroy(self) -> list[Step]:
        """Delete everything."""
        ...

    def exported(self) -> State:
        """The state."""
        ...


class Rehearsal:
    """One stack in one emulated world. A context manager: inside it the world exists."""

    def __init__(
        self,
        stack: Stack,
        world: World,
        *,
        factor: float,
        program: Callable[[], None] | None = None,
        clock: WorldClock | None = None,
    ) -> None:
        """Prepare to run `factor` times faster than AWS, or by a clock of the caller's.

        `program` is the project's own `__main__.py` unless another is given.
        """
        self.world = world
        self.clock = clock or WorldClock(factor)
        self.cluster = Cluster(world, self.clock, node_selector(stack))
        self.kubernetes = KubernetesApi(self.cluster)
        self._stack = stack
        self._program = program or run_project
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Begin the world."""
        self._exit.enter_context(workspace())
        self._exit.enter_context(self.kubernetes)
        self.commands = self._exit.enter_context(commands_on_the_path(self.world.cluster, self.kubernetes.endpoint))
        self.aws = self._exit.enter_context(
            Aws(self.world, self.clock, cluster_endpoint=self.kubernetes.endpoint, answers=self.cluster.answers)
        )
        self.cluster.identify = self.aws.identities.holder
        if role := self.world.token_role:
            account, _, name = role.partition("::")[2].partition(":role/")
            self.cluster.roles.add(self.aws.identities.add_role(name, account=account))
        for node in self.world.nodes:
            instance_id, address = self.aws.nodes[node.name]
            self.cluster.nodes[node.name] = node.model_copy(update={"instance_id": instance_id, "ip": address})
        self.provider = EmulatedProvider(self.clock, self.aws, self.cluster, self.kubernetes.endpoint)
        self.engine = self._engine()
        return self

    def __exit__(self, *_: object) -> None:
        """End the world."""
        self._exit.close()

    def perform(self, audience: Audience, *, outage: bool = False) -> Report:
        """The whole rehearsal; with an `outage`, the proxy breaks once on the way, and the alarms have to tell.

        Raises what `up` raises; a destroy that fails is a check that did not hold.
        """
        report = Report(stack=self._stack.name, factor=self.clock.factor)
        engine = self.stack_engine

        engine.listener = audience.phase("preview")
        report.preview = engine.preview()
        audience.facts(Counter(step.operation for step in report.preview if step.resource.custom))

        engine.listener = audience.phase("up")
        report.up = engine.up()
        report.outputs = dict(engine.exported().outputs)
        audience.steps(report.up, report.factor)
        report.checks.append(_as_planned(report.preview, report.up))

        audience.phase("outputs")
        audience.facts(report.outputs)

        audience.phase("targets, after five health checks of 30 s")
        report.targets = self.await_health()
        audience.facts(
            {target.id: f"{target.state} {target.obstacle or target.reason}".strip() for target in report.targets}
        )
        unfit = [target for target in report.targets if target.state != "healthy" or target.obstacle]
        seen = "; ".join(
            f"{target.id} {target.state} {target.reason} {target.obstacle or ''}".strip() for target in unfit
        )
        report.checks.append(
            Expectation(
                "every target is healthy and reached by media",
                bool(report.targets) and not unfit,
                seen or f"{len(report.targets)} targets",
            )
        )

        audience.phase("verify")
        self._point_own_name(report.outputs)
        verification = Verification(self.installation(), report.outputs, resolve=self.aws.resolve)
        report.verify = verification.run(Unwatched())
        audience.findings(report.verify)
        report.checks.append(_nothing_found("verify finds nothing wrong", report.verify))

        if outage:
            audience.phase("the proxy breaks, and is back")
            report.outage = break_proxy(self.aws, self.cluster)
            audience.facts({course.alarm: str(course) for course in report.outage})
            report.checks += _told(report.outage)

        engine.listener = audience.phase("up again, after the registry login has expired")
        self.clock.skip(TOKEN_LIFE + 1)
        report.again = engine.up()
        audience.steps(report.again, report.factor)
        report.checks.append(_nothing_changed("a second up changes nothing", report.again))

        engine.listener = audience.phase("refresh")
        report.refresh = engine.refresh()
        amiss = ", ".join(resource.name for resource in (*report.refresh.gone, *report.refresh.changed))
        report.checks.append(
            Expectation("a refresh finds everything as the state has it", not amiss, amiss or "nothing else")
        )

        engine.listener = audience.phase("destroy")
        try:
            report.destroy = engine.destroy()
            failure = None
        except StepsFailedError as error:
            failure = str(error)
        report.checks.append(
            Expectation(
                "destroy succeeds without a retry", failure is None, failure or f"{len(report.destroy)} deleted"
            )
        )
        left = self.leftovers()
        report.checks.append(Expectation("nothing is left", not left, ", ".join(left) or "as before"))
        audience.steps(report.destroy, report.factor)

        audience.phase("check-clean")
        installation = self.installation()
        report.check_clean, _ = check_clean(installation, lambda: installation.ownership(Unwatched()))
        audience.findings(report.check_clean)
        report.checks.append(_nothing_found("check-clean finds nothing left", report.check_clean))
        audience.verdict(report.checks)
        return report

    def _point_own_name(self, outputs: Properties) -> None:
        """Be the user who makes the record of a name for which the stack makes none."""
        name = outputs.get("dnsName")
        if name and not any(resource.type == RECORD for resource in self.state().resources):
            self.aws.names[name] = outputs["nlbDnsName"]

    @property
    def stack_engine(self) -> StackEngine:
        """What the stack is rehearsed on: the engine of the rehearsal's own."""
        return self.engine

    def installation(self) -> Installation:
        """The stack as the operations see it: this account, this cluster, and the engine's state."""
        return Installation(
            in_cluster(self._stack.with_config(self.engine.config), self.kubernetes.endpoint),
            Account(self.aws.client),
            EngineBackend(self),
        )

    def state(self) -> State:
        """The stack's state."""
        return self.stack_engine.exported()

    def await_health(self) -> list[TargetHealth]:
        """Health of each registered target, once AWS has made up its mind."""
        arn = self.state().outputs["targetGroupArn"]
        deadline = self.clock.now() + HEALTH_PATIENCE
        while True:
            is_late = self.clock.now() > deadline  # before the look, which may take long itself
            targets = self._health(arn)
            if is_late or all(target.state != "initial" for target in targets):
                return targets
            self.clock.sleep(10)

    def leftovers(self) -> list[str]:
        """What exists and did not before the first up."""
        return [
            *self.aws.leftovers(),
            *self.cluster.leftovers(),
            *(resource.urn for resource in self.state().resources),
        ]

    def _engine(self) -> Engine:
        return Engine(
            program=self._program,
            project="lls",
            stack=self._stack.name,
            config=in_cluster(self._stack, self.kubernetes.endpoint).config,
            secret_keys=self._stack.secret_keys,
            provider=self.provider,
        )

    def _health(self, arn: str) -> list[TargetHealth]:
        described: Any = self.aws.client("elbv2").describe_target_health(TargetGroupArn=arn)
        return [
            TargetHealth(
                id=description["Target"]["Id"],
                state=description["TargetHealth"]["State"],
                reason=description["TargetHealth"].get("Reason", ""),
                obstacle=self.aws.media_obstacle(arn, description["Target"]["Id"]),
            )
            for description in described["TargetHealthDescriptions"]
            if description["TargetHealth"]["State"] != "draining"
        ]


def _as_planned(preview: Sequence[Step], up: Sequence[Step]) -> Expectation:
    planned, done = (
        {(step.operation, step.resource.name) for step in steps if step.resource.custom} for steps in (preview, up)
    )
    amiss = ", ".join(sorted(f"{operation} {name}" for operation, name in planned ^ done))
    return Expectation("up does what the preview told", not amiss, amiss or f"{len(done)} resources")


def _nothing_changed(name: str, steps: Sequence[Step]) -> Expectation:
    changed = [f"{step.operation} {step.resource.name}" for step in steps if step.operation != "same"]
    return Expectation(name, not changed, ", ".join(changed) or f"{len(steps)} unchanged")


def _told(outage: Sequence[AlarmCourse]) -> list[Expectation]:
    """That alarms told of an outage, of it alone, and of its end."""
    raised = [course for course in outage if course.raised_after is not None]
    early = [course.alarm for course in outage if course.false]
    left = [course.alarm for course in raised if course.over_after is None]
    seen = ", ".join(f"{course.alarm} after {course.raised_after} min" for course in raised)
    return [
        Expectation("no alarm was raised before", not early, ", ".join(early) or f"{len(outage)} alarms"),
        Expectation("the broken proxy raised an alarm", bool(raised), seen or "none"),
        Expectation("every alarm was over once the proxy was back", not left, ", ".join(left) or f"{len(raised)} over"),
    ]


def _nothing_found(name: str, findings: Sequence[Finding]) -> Expectation:
    problems = [finding.seen for finding in findings if finding.level is Level.PROBLEM]
    return Expectation(name, not problems, "; ".join(problems) or f"{len(findings)} findings")


@dataclass(frozen=True)
class EngineBackend:
    """The backend of a rehearsal: its engine's state, of its one stack."""

    rehearsal: Rehearsal

    def describe(self) -> str:
        """What it is."""
        return "of the rehearsal"

    def stacks(self) -> Sequence[ListedStack]:
        """The stack that is rehearsed."""
        return [ListedStack(self.rehearsal.engine.stack)]

    def state(self, stack: str) -> State:
        """The engine's state."""
        return self.rehearsal.state()


@contextmanager
def workspace() -> Generator[Path]:
    """A folder that looks like the project's, so that a rehearsal's files never replace real ones."""
    with TemporaryDirectory() as folder, chdir(folder):
        link_project(Path(folder))
        yield Path(folder)


def link_project(folder: Path) -> None:
    """Make a folder look like the project's. Its `.venv` is the environment that the rehearsal itself runs in."""
    for entry in PROJECT.iterdir():
        if entry.name not in (".lls", ".venv"):
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(sys.prefix)
