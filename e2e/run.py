"""One run: a look, a plan with its cost, a question, then from preflight to check-clean, and what was seen of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from e2e.prices import REGION, hourly, lines
from e2e.pulumi_cli import Pulumi
from e2e.refusals import REFUSALS
from e2e.replay import replay
from lls.operations import check_clean, drift, preflight, verify
from lls.operations.cli import FAILURES
from lls.operations.graph import graph
from lls.operations.report.clock import Clock
from lls.operations.report.finding import Exit, Finding, Level, Outcome, attempt, ok, outcome, problem, unknown
from lls.operations.report.screen import Screen, as_facts
from lls.operations.world.cluster_survey import look_into_cluster
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory
from lls.operations.world.survey import Survey

ELSEWHERE: Final = "use a cluster that has none, or an installation of its own beside it: docs/zones.md"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step had to show, what it found, and how many seconds it took."""

    name: str
    expected: str
    findings: Sequence[Finding]
    seconds: float

    @property
    def held(self) -> bool:
        """Whether it was seen."""
        return outcome(self.findings) is Exit.FINE

    @property
    def seen(self) -> str:
        """What was seen, in a line."""
        wrong = [finding.seen for finding in self.findings if finding.level in (Level.PROBLEM, Level.UNKNOWN)]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return wrong[0].partition("\n")[0] + more if wrong else "as expected"

    def as_facts(self) -> dict[str, Any]:
        """The step for JSON."""
        return {
            "step": self.name,
            "expected": self.expected,
            "seen": self.seen,
            "held": self.held,
            "seconds": round(self.seconds, 1),
            "findings": as_facts(self.findings),
        }


Operation = Callable[[Installation, Screen], Outcome]
"""One of the operations on a stack."""


class EndToEnd:
    """One run on a stack. What it makes is the stack, and it makes that only where nothing of the stack exists."""

    def __init__(
        self,
        stack: str,
        screen: Callable[[], Screen],
        cli: Pulumi,
        clock: Clock,
        *,
        ask: Callable[[str], str],
        yes: bool,
        wait: float,
        probe: bool,
    ) -> None:
        """Prepare. `ask` puts a question to the user, `wait` is for how many seconds targets may become healthy.

        A `screen` is opened for each operation, so that the Pulumi CLI and the user have the terminal in between.
        """
        self._stack = stack
        self._screen = screen
        self._cli = cli
        self._clock = clock
        self._ask = ask
        self._yes = yes
        self._wait = wait
        self._probe = probe
        self._steps: list[Step] = []
        self._began = False

    def run(self) -> Outcome:
        """Do it; after a Ctrl-C say what to do. Raises FAILURES where it ends before anything is made."""
        found: list[Finding] = []
        facts: dict[str, Any] = {}
        code = Exit.FINE
        try:
            installation = Installation.open(self._stack)
            with self._screen() as screen:
                screen.began("looking whether anything of the stack exists")
                found, facts = look(installation, screen)
            self._tell(found)
            if outcome(found) is Exit.FOUND:
                self._say("Nothing was made: this makes the stack from nothing, and touches no other.")
            else:
                self._show_plan(installation)
                if self._agreed():
                    self._perform(hourly(installation.config))
                else:
                    self._say("Nothing was made: the stack's name was not typed. --yes goes on without asking.")
                    code = Exit.FAILED
        except KeyboardInterrupt:
            self._say(self._after_interrupt())
            code = Exit.INTERRUPTED
        found += [finding for step in self._steps for finding in step.findings]
        self._summarise()
        return Outcome(found, {**facts, "steps": [step.as_facts() for step in self._steps]}, code)

    def _perform(self, cost: Decimal) -> None:
        """Everything from `preflight` on. Once `up` has begun, the stack is destroyed, or it is said what stands."""
        fit = self._take("preflight", "nothing stops up", lambda: self._watched(preflight.run))
        if any(finding.level is Level.PROBLEM for finding in fit.findings):
            self._say("Nothing was made.")
            return
        self._began = True
        if self._pulumi("up", "the stack is made", "up", "--yes").held:
            self._operation("verify", f"it streams within {self._wait:g} s", self._verify)
            self._operation("drift", "the targets are as they should be", drift.run)
            self._pulumi("up again", "it would change nothing", "preview", "--expect-no-changes")
            self._pulumi("refresh", "AWS has what the state says", "refresh", "--preview-only", "--expect-no-changes")
            self._operation("refusals", f"AWS answers {len(REFUSALS)} calls as the emulation does", _replay)
        if self._may_destroy():
            if not self._pulumi("destroy", "the stack is deleted", "destroy", "--yes").held:
                self._pulumi("destroy again", "so it is, with what is gone forgotten", "destroy", "--yes", "--refresh")
        else:
            left = problem("destroy", f"left standing, for {cost} USD an hour in {REGION}", self._clean_up())
            self._take("destroy", "the stack is deleted", lambda: [left])
        self._operation("check-clean", "nothing is left", check_clean.run)

    # --- Questions

    def _agreed(self) -> bool:
        return self._yes or self._ask(f"Type the stack's name, {self._stack}, to go on: ") == self._stack

    def _may_destroy(self) -> bool:
        """Without --yes, a stack of which something did not hold is the user's to look at."""
        if self._yes or all(step.held for step in self._steps):
            return True
        return self._ask("Not all of it held. Type yes to destroy the stack now; else it stands: ") == "yes"

    # --- Steps

    def _verify(self, installation: Installation, screen: Screen) -> Outcome:
        return verify.run(installation, screen, self._clock, wait=self._wait, probe=self._probe)

    def _watched(self, run: Operation) -> Sequence[Finding]:
        """What an operation finds in the stack as it is now, with what it is doing on the screen."""
        with self._screen() as screen:
            return run(Installation.open(self._stack), screen).findings

    def _operation(self, name: str, expected: str, run: Operation) -> Step:
        """Take a step by an operation; where it fails or breaks, that is what was seen."""
        return self._take(name, expected, lambda: attempt(name, lambda: list(self._watched(run)), FAILURES))

    def _pulumi(self, name: str, expected: str, *arguments: str) -> Step:
        """Take a step by the Pulumi CLI."""
        shown = f"pulumi {' '.join(arguments)} --stack {self._stack}"

        def run() -> list[Finding]:
            code = self._cli(*arguments, "--stack", self._stack)
            if code:
                return [problem(name, f"`{shown}` ended with exit code {code}", "its own words are above")]
            return [ok(name, f"`{shown}`")]

        return self._take(name, expected, lambda: attempt(name, run, FAILURES))

    def _take(self, name: str, expected: str, run: Callable[[], Sequence[Finding]]) -> Step:
        self._say(f"\n{name}: {expected}?")
        began = self._clock.now()
        found = run()
        self._tell(found)
        step = Step(name=name, expected=expected, findings=found, seconds=self._clock.now() - began)
        self._steps.append(step)
        return step

    # --- What is said

    def _say(self, text: str) -> None:
        self._screen().say(text)

    def _tell(self, found: Sequence[Finding]) -> None:
        self._screen().findings(found)

    def _show_plan(self, installation: Installation) -> None:
        config = installation.config
        cost = hourly(config)
        for text in (
            f"\nOf stack {self._stack} will be made, and destroyed again, in {config.region}:",
            *(f"  {node.name} ({node.type})" for node in graph(installation.stack).nodes),
            "  one target stands for all; the nodes and what runs on them beside this are yours, and not counted",
            f"  {len(REFUSALS)} calls that AWS should refuse (e2e/refusals.py), and two target groups for them",
            f"\nIts cost, by AWS's price list for {REGION}; other regions differ:",
            *(f"  {line} ({line.price.source}, {line.price.as_of})" for line in lines(config)),
            f"  together {cost} USD an hour; AWS bills each begun hour, and a run takes less than one, or begins two",
        ):
            self._say(text)

    def _summarise(self) -> None:
        if not self._steps:
            return
        rows = [("step", "expected", "seen", "seconds")]
        rows += [
            (step.name, step.expected, f"{'' if step.held else 'NOT: '}{step.seen}", f"{step.seconds:.0f}")
            for step in self._steps
        ]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        screen = self._screen()
        screen.print()
        for name, expected, seen, seconds in rows:
            screen.print(f"{name.ljust(widths[0])}  {expected.ljust(widths[1])}  {seconds:>7}  {seen}")

    def _after_interrupt(self) -> str:
        if not self._began:
            return "Interrupted. Nothing was made."
        return f"Interrupted. What was made stands, and costs. Clean up: {self._clean_up()}"

    def _clean_up(self) -> str:
        stack = self._stack
        return (
            f"make destroy STACK={stack}; then python -m lls check-clean --stack {stack}. "
            f"Where the stack is locked: pulumi cancel --stack {stack} --yes first"
        )


def _replay(installation: Installation, screen: Screen) -> Outcome:
    return Outcome(replay(installation.account, installation.config, installation.state(), screen))


def look(installation: Installation, screen: Screen) -> tuple[list[Finding], dict[str, Any]]:
    """What a run would be about, and what of it exists already: each such thing is a problem. Changes nothing.

    Raises AwsError, and WrongAccountError.
    """
    config, stack = installation.config, installation.stack.name
    account = installation.told_account()
    survey = Survey(Inventory(installation.account), config)
    in_cluster = look_into_cluster(installation)
    ownership = installation.ownership(screen)
    in_aws = [(str(thing), survey.owner_of(thing, ownership)) for thing in survey.things]
    there = [(in_cluster.name_of(kind), owner) for kind, owner in in_cluster.owners(installation, ownership).items()]
    cluster = installation.cluster
    found = [
        account,
        ok("cluster", cluster.arn if cluster else f"{config.cluster_name} in {config.region}, which is not there"),
        *ownership.findings(mattered=bool(in_aws or there)),
        *(problem("aws", f"{thing} exists: it {owner}", ELSEWHERE) for thing, owner in in_aws),
        *(problem("aws", f"{like.thing} exists: {like.why}", like.remedy) for like in survey.lookalikes),
        *(problem("kubernetes", f"{thing} exists: it {owner}", ELSEWHERE) for thing, owner in there),
        *([unknown("kubernetes", in_cluster.unknown)] if in_cluster.unknown else []),
    ]
    own = ownership.own
    if own is None:
        gap = ownership.gaps[0]
        found.append(unknown("state", f"whether stack {stack} holds anything cannot be told: {gap.why}", gap.remedy))
    elif own.owned or own.pending:
        seen = f"stack {stack} holds {len(own.owned)} resources and {len(own.pending)} pending operations"
        found.append(problem("state", seen, "name a stack that holds none: a copy of its file under another name"))
    if config.deletion_protection:
        seen = "lls:deletionProtection is true, and the stack is to be destroyed"
        found.append(problem("config", seen, f"pulumi config set lls:deletionProtection false --stack {stack}"))
    facts = {"region": config.region, "cluster": config.cluster_name, "usdPerHour": str(hourly(config))}
    return found, {"evidence": installation.evidence(ownership), **facts}
