"""docs/exit-codes.md: every outcome of every command, brought about."""

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations import cli
from lls.operations.cli import main
from lls.operations.program.stack_file import PROJECT
from lls.operations.report.finding import Exit
from lls.operations.world.states import State
from rehearsal.kubernetes.workloads import OtherHalf
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from tests.support.operations import install
from tests.support.registries import Registry, a_chart, an_image
from tests.support.worlds import NO_CLI, KnownStates, PatientClockOf, a_rehearsal, reached

DOCUMENT = (PROJECT / "docs" / "exit-codes.md").read_text()
ROWS = [tuple(line.strip("| ").split(" | ")) for line in DOCUMENT.splitlines() if line.count("|") == 4][2:]


@dataclass
class Scene:
    """A world, the backend of its states, and what is broken until the end."""

    rehearsal: Rehearsal
    backend: KnownStates
    until: ExitStack
    patch: pytest.MonkeyPatch

    def by_hand(self, **options: Any) -> None:
        follow(self.rehearsal.aws, "nvcf-dev", "us-west-2a", **options)
        install(self.rehearsal)

    def up(self, stack: str = "dev") -> None:
        self.rehearsal.engine.up()
        self.backend.states[stack] = self.rehearsal.state()

    def streams(self) -> None:
        self.up()
        self.rehearsal.await_health()
        self.patch.setattr("lls.operations.verify.addresses_of", _resolve)

    def without_nvcf(self) -> None:
        self.rehearsal.cluster.namespaces -= self.rehearsal.cluster.nvcf.namespaces
        self.rehearsal.cluster.nvcf = OtherHalf()

    def outage(self) -> None:
        self.until.enter_context(self.rehearsal.kubernetes.outage("refused"))

    def refuse(self, action: str, code: str) -> None:
        self.rehearsal.aws.refuse(action, code)

    def no_credentials(self) -> None:
        self.refuse("*", "ExpiredToken")


def _resolve(name: str) -> list[str]:
    return [NLB_ADDRESS]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    backend = KnownStates({"dev": State()})
    monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: backend)
    monkeypatch.delenv("NGC_API_KEY", raising=False)
    with a_rehearsal({"lls:clusterName": "nvcf-dev"}) as rehearsal, reached(rehearsal), ExitStack() as until:
        monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
        yield Scene(rehearsal, backend, until, monkeypatch)


def nothing(_: Scene) -> None:
    """The world as it is."""


def and_then(*steps: Callable[[Scene], object]) -> Callable[[Scene], None]:
    def bring_about(scene: Scene) -> None:
        for step in steps:
            step(scene)

    return bring_about


def another_node(scene: Scene) -> None:
    scene.up()
    del scene.rehearsal.cluster.nodes["gpu-2"]


def protected(scene: Scene) -> None:
    scene.by_hand()
    elbv2: Any = scene.rehearsal.aws.client("elbv2")
    [balancer] = elbv2.describe_load_balancers()["LoadBalancers"]
    on = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"], Attributes=on)


def unread(scene: Scene) -> None:
    scene.by_hand()
    scene.backend.failure = NO_CLI


def interrupted(scene: Scene) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    scene.by_hand()
    scene.patch.setattr("lls.operations.sweep._delete", interrupt)


def mirrored(scene: Scene) -> list[str]:
    source, destination = (scene.until.enter_context(Registry()) for _ in range(2))
    source.put("nvcf/streaming-proxy", "2.0.1", an_image())
    source.put("nvcf/gdn-streaming", "2.0.1", a_chart())
    return ["--source", f"{source.host}/nvcf", "--destination", f"{destination.host}/demo"]


def dry(_: Scene) -> list[str]:
    return ["--line", "26.07", "--destination", "own.example/demo", "--dry-run"]


def without_turn(_: Scene) -> list[str]:
    return ["--line", "0.5", "--with", "turn", "--destination", "own.example/demo"]


def bad_config(scene: Scene) -> None:
    read = cli.Installation.open

    def changed(name: str) -> Any:
        installation = read(name)
        return cli.Installation(installation.stack.with_config({"lls:udpPort": "none"}))

    scene.patch.setattr(cli.Installation, "open", changed)


OUTCOMES: dict[tuple[str, str], tuple[Callable[[Scene], Any], list[str]]] = {
    ("any", "there is no such option, or no such stack"): (nothing, ["verify", "--nosuch"]),
    ("any", "the config has a problem"): (bad_config, ["verify"]),
    ("any", "AWS accepts no credentials"): (Scene.no_credentials, ["preflight"]),
    ("any", "Ctrl-C"): (interrupted, ["sweep", "--yes"]),
    ("preflight", "nothing stops `up`"): (nothing, ["preflight"]),
    ("preflight", "something would stop it"): (Scene.by_hand, ["preflight"]),
    ("preflight", "a check could not be made"): (
        lambda scene: scene.refuse("iam:SimulatePrincipalPolicy", "AccessDenied"),
        ["preflight"],
    ),
    ("verify", "it streams"): (Scene.streams, ["verify"]),
    ("verify", "something is missing or in the way"): (nothing, ["verify"]),
    ("verify", "it streams, and NVCF's own half is in another cluster"): (
        and_then(Scene.streams, Scene.without_nvcf),
        ["verify"],
    ),
    ("verify", "the cluster could not be asked"): (and_then(Scene.streams, Scene.outage), ["verify"]),
    ("drift", "the targets are as they should be"): (Scene.up, ["drift"]),
    ("drift", "`up` would change them"): (another_node, ["drift"]),
    ("drift", "the cluster could not be asked"): (and_then(Scene.up, Scene.outage), ["drift"]),
    ("adopt", "there is nothing to adopt"): (nothing, ["adopt"]),
    ("adopt", "the import file is written"): (Scene.by_hand, ["adopt"]),
    ("adopt", "`up` would replace something"): (lambda scene: scene.by_hand(static=True), ["adopt"]),
    ("adopt", "another stack owns something"): (lambda scene: scene.up("prod"), ["adopt"]),
    ("adopt", "whose something is cannot be told"): (unread, ["adopt"]),
    ("sweep", "there is nothing to sweep, or stacks own all of it"): (Scene.up, ["sweep", "--yes"]),
    ("sweep", "dry run, and there is something to delete"): (Scene.by_hand, ["sweep"]),
    ("sweep", "`--yes`, and all is deleted"): (Scene.by_hand, ["sweep", "--yes"]),
    ("sweep", "something else uses what would go, so nothing is deleted"): (protected, ["sweep", "--yes"]),
    ("sweep", "something stays that no stack is known to own"): (
        lambda scene: scene.by_hand(static=True),
        ["sweep", "--yes"],
    ),
    ("sweep", "whose something is cannot be told"): (unread, ["sweep", "--yes"]),
    ("sweep", "the cluster could not be asked"): (and_then(Scene.by_hand, Scene.outage), ["sweep", "--yes"]),
    ("sweep", "AWS refused a deletion half-way; `done` and `left` tell"): (
        and_then(Scene.by_hand, lambda scene: scene.refuse("*:DeleteListener", "InternalFailure")),
        ["sweep", "--yes"],
    ),
    ("check-clean", "nothing is left"): (nothing, ["check-clean"]),
    ("check-clean", "something is left"): (Scene.up, ["check-clean"]),
    ("check-clean", "the stack's state could not be read"): (
        lambda scene: scene.backend.unreadable.add("dev"),
        ["check-clean"],
    ),
    ("mirror", "chart and image are copied, or were there"): (mirrored, ["mirror"]),
    ("mirror", "`--dry-run`, whatever would be copied"): (dry, ["mirror"]),
    ("mirror", "the source wants a key that is not set"): (nothing, ["mirror"]),
    ("mirror", "the line has no image of that kind"): (without_turn, ["mirror"]),
    ("graph", "it is drawn"): (nothing, ["graph"]),
}


def test_every_outcome_of_the_document_is_brought_about() -> None:
    assert [row[:2] for row in ROWS] == list(OUTCOMES)


@pytest.mark.parametrize(("command", "outcome", "code"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_an_outcome_ends_with_its_code(
    scene: Scene, capsys: pytest.CaptureFixture[str], command: str, outcome: str, code: str
) -> None:
    bring_about, arguments = OUTCOMES[command, outcome]
    options: list[str] = bring_about(scene) or []
    capsys.readouterr()
    assert main([*arguments, *options, "--stack", "dev", "--json"]) == int(code)
    shown = capsys.readouterr().out
    if "--nosuch" not in arguments:
        assert json.loads(shown)["exit"] == int(code)


def test_the_codes_have_their_meanings_in_the_document() -> None:
    meanings = [line for line in DOCUMENT.splitlines() if line.count("|") == 3 and line[2].isdigit()]
    assert [int(line.strip("| ").partition(" |")[0]) for line in meanings] == [int(each) for each in Exit]
    assert Path(PROJECT / "README.md").read_text().count("docs/exit-codes.md")
