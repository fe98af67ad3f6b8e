"""The proof on a real account, rehearsed on the emulated one: what it does, and what it does when something fails."""

import json
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import follow
from e2e import cli
from e2e.cli import main
from e2e.refusals import Grounds, Refusal
from lls.operations.program.stack_file import Stack, read_stack
from lls.operations.report.finding import Exit, Finding
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import BALANCER
from lls.operations.world.states import Operation, State
from rehearsal.aws import strict_ec2
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from tests.support.breakage import a_proxy, crash
from tests.support.operations import install
from tests.support.pulumi import EngineCli
from tests.support.steps import ALL
from tests.support.worlds import NO_CLI, KnownStates, PatientClockOf, a_rehearsal, reached, reached_by_network

CAPTURED = pytest.CaptureFixture[str]


class Scene:
    """A world with the dev stack, which nobody has made yet, and a user who types what is in `answers`."""

    def __init__(self, rehearsal: Rehearsal, until: ExitStack, patch: pytest.MonkeyPatch, captured: CAPTURED) -> None:
        self.rehearsal = rehearsal
        self.backend = KnownStates({"dev": State()})
        self.pulumi = EngineCli(rehearsal, self.backend)
        self.until = until
        self.patch = patch
        self.answers: list[str] = []
        self.questions: list[str] = []
        self._captured = captured

    def run(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """The exit code, the JSON, and what was said."""
        code = main(["--stack", "dev", "--json", *options])
        captured = self._captured.readouterr()
        return code, json.loads(captured.out), captured.err

    def ask(self, question: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else ""


def resolve(_: str) -> list[str]:
    return [NLB_ADDRESS]


@contextmanager
def a_scene(
    patch: pytest.MonkeyPatch, captured: CAPTURED, reach: Callable[[Rehearsal], AbstractContextManager[None]]
) -> Generator[Scene]:
    config = {"lls:clusterName": "nvcf-dev", "lls:staticIp": "true"}
    with a_rehearsal(config) as rehearsal, reach(rehearsal), ExitStack() as until:
        rehearsal.engine.stack = "dev"
        scene = Scene(rehearsal, until, patch, captured)
        patch.setattr("lls.operations.world.installation.CliBackend", lambda: scene.backend)
        patch.setattr("lls.operations.verify.addresses_of", resolve)
        patch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
        patch.setattr(cli, "run_pulumi", scene.pulumi)
        patch.setattr(cli, "_ask", scene.ask)
        yield scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, capsys: CAPTURED) -> Generator[Scene]:
    with a_scene(monkeypatch, capsys, reached) as scene:
        yield scene


@pytest.fixture
def scene_by_environment(monkeypatch: pytest.MonkeyPatch, capsys: CAPTURED) -> Generator[Scene]:
    """One in which nothing but environment variables tells where AWS is."""
    with a_scene(monkeypatch, capsys, reached_by_network) as scene:
        yield scene


def steps(told: dict[str, Any]) -> dict[str, bool]:
    """Whether each step held, in order."""
    return {step["step"]: step["held"] for step in told["steps"]}


def seen(told: dict[str, Any], step: str) -> str:
    [found] = [entry["seen"] for entry in told["steps"] if entry["step"] == step]
    return found


def interrupt(*_: object) -> Any:
    raise KeyboardInterrupt


def test_a_run_makes_a_stack_proves_it_and_leaves_nothing(scene_by_environment: Scene, tmp_path: Path) -> None:
    scene = scene_by_environment
    scene.answers = ["dev"]
    code, told, said = scene.run("--report", str(tmp_path / "report.json"))
    assert steps(told) == dict.fromkeys(ALL, True), told
    assert code == told["exit"] == Exit.FINE
    assert scene.rehearsal.leftovers() == []
    assert scene.pulumi.ran == [
        "up --yes",
        "preview --expect-no-changes",
        "refresh --preview-only --expect-no-changes",
        "destroy --yes",
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == told
    assert told["evidence"]["account"] == "123456789012"
    assert (told["region"], told["cluster"]) == ("us-west-2", "nvcf-dev")
    assert len(scene.questions) == 1
    for part in (
        "  streaming-nlb (LoadBalancer)",
        "together 0.0335 USD an hour",
        "https://aws.amazon.com/vpc/pricing/",
    ):
        assert part in said


def test_without_json_the_result_is_a_table(scene: Scene, capsys: CAPTURED) -> None:
    assert main(["--stack", "dev", "--yes"]) == Exit.FINE
    shown = capsys.readouterr().out
    assert "account in us-west-2" not in shown.splitlines()[-1]
    table = shown.splitlines()[-len(ALL) - 1 :]
    assert [row.partition("  ")[0] for row in table] == ["step", *ALL]
    assert table[0].split() == ["step", "expected", "seconds", "seen"]
    assert all(row.endswith("as expected") for row in table[1:])


# --- It begins only where nothing of the stack exists


def nothing_is_known_of_the_stack(scene: Scene) -> None:
    del scene.backend.states["dev"]


def a_protected_stack(scene: Scene) -> None:
    read = Installation.open

    def protected(name: str) -> Installation:
        return Installation(read(name).stack.with_config({"lls:deletionProtection": "true"}))

    scene.patch.setattr(Installation, "open", protected)


def the_stack_stands(scene: Scene) -> None:
    scene.pulumi("up", "--yes", "--stack", "dev")


def the_stack_is_anothers(scene: Scene) -> None:
    scene.pulumi("up", "--yes", "--stack", "prod")


def a_hand_made_installation(scene: Scene) -> None:
    follow(scene.rehearsal.aws, "nvcf-dev", "us-west-2a")
    install(scene.rehearsal)


def an_up_that_never_reported_back(scene: Scene) -> None:
    scene.backend.states["dev"] = State(pending=(Operation("creating", BALANCER, "streaming-nlb"),))


def no_cli(scene: Scene) -> None:
    scene.backend.failure = NO_CLI


def a_state_that_cannot_be_read(scene: Scene) -> None:
    scene.backend.unreadable.add("dev")


def a_cluster_that_does_not_answer(scene: Scene) -> None:
    scene.until.enter_context(scene.rehearsal.kubernetes.outage("refused"))


@pytest.mark.parametrize(
    ("bring_about", "why"),
    [
        (the_stack_stands, "stack dev holds "),
        (the_stack_is_anothers, "exists: it is stack lls/prod's"),
        (a_hand_made_installation, "load balancer rp-public-nvcf-dev exists: it is no stack's"),
        (an_up_that_never_reported_back, "1 pending operations"),
        (nothing_is_known_of_the_stack, "does not know stack dev"),
        (a_state_that_cannot_be_read, "access denied"),
        (no_cli, "The Pulumi CLI is needed"),
        (a_cluster_that_does_not_answer, "the cluster could not be asked"),
        (a_protected_stack, "lls:deletionProtection is true"),
    ],
)
def test_where_anything_of_the_stack_exists_or_may_exist_nothing_is_done(
    scene: Scene, bring_about: Callable[[Scene], None], why: str
) -> None:
    bring_about(scene)
    before = scene.rehearsal.leftovers()
    ran = [*scene.pulumi.ran]
    code, told, said = scene.run("--yes")
    assert (code, told["steps"]) == (Exit.FOUND, [])
    wrong = [finding for finding in told["findings"] if finding["level"] in ("problem", "unknown")]
    assert any(why in finding["seen"] for finding in wrong), wrong
    assert "Nothing was made" in said
    assert scene.rehearsal.leftovers() == before
    assert scene.pulumi.ran == ran


def test_credentials_that_aws_does_not_accept_are_one_sentence(scene: Scene) -> None:
    scene.rehearsal.aws.refuse("*", "ExpiredToken")
    code, told, said = scene.run("--yes")
    assert code == Exit.FAILED
    assert "The AWS credentials have expired" in told["error"]
    assert "Traceback" not in said
    assert scene.pulumi.ran == []


def test_an_account_that_the_stack_forbids_is_one_sentence(scene_by_environment: Scene) -> None:
    scene = scene_by_environment
    read = read_stack("dev").with_config({"aws:forbiddenAccountIds": '["123456789012"]'})

    def forbidding(_: str) -> Stack:
        return read

    scene.patch.setattr("lls.operations.world.installation.read_stack", forbidding)
    code, told, _ = scene.run("--yes")
    assert (code, scene.pulumi.ran) == (Exit.FAILED, [])
    assert "aws:forbiddenAccountIds = 123456789012: the AWS credentials are of account 123456789012" in told["error"]


@pytest.mark.parametrize("answer", ["", "yes"])
def test_without_the_stacks_name_typed_nothing_is_made(scene: Scene, answer: str) -> None:
    scene.answers = [answer]
    code, told, said = scene.run()
    assert (code, told["steps"], scene.pulumi.ran) == (Exit.FAILED, [], [])
    assert "Nothing was made" in said
    assert scene.rehearsal.leftovers() == []


def test_what_preflight_finds_stops_it_before_anything_is_made(scene: Scene) -> None:
    scene.rehearsal.aws.quotas["L-69A177A2"] = 0
    code, told, _ = scene.run("--yes")
    assert (code, steps(told), scene.pulumi.ran) == (Exit.FOUND, {"preflight": False}, [])


# --- Whatever fails, the stack is destroyed, or it is said what stands


def test_an_up_that_fails_half_way_is_destroyed(scene: Scene) -> None:
    scene.rehearsal.aws.refuse("*:CreateListener", "InternalFailure")
    code, told, _ = scene.run("--yes")
    assert code == Exit.FOUND
    assert steps(told) == {"preflight": True, "up": False, "destroy": True, "check-clean": True}
    assert "exit code 255" in seen(told, "up")
    assert scene.rehearsal.leftovers() == []


def break_the_proxy(scene: Scene) -> None:
    crash(scene.rehearsal.cluster, a_proxy(scene.rehearsal.cluster))


def take_a_node(scene: Scene) -> None:
    del scene.rehearsal.cluster.nodes["gpu-2"]


def delete_the_listener(scene: Scene) -> None:
    elbv2: Any = scene.rehearsal.aws.client("elbv2")
    [balancer] = elbv2.describe_load_balancers()["LoadBalancers"]
    [listener] = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    elbv2.delete_listener(ListenerArn=listener["ListenerArn"])


@pytest.mark.parametrize(
    ("command", "fail", "failed"),
    [
        ("up", break_the_proxy, {"verify"}),
        ("up", take_a_node, {"verify", "drift", "up again"}),
        ("preview", delete_the_listener, {"refresh", "refusals", "destroy"}),
    ],
)
def test_what_does_not_hold_is_told_and_the_stack_destroyed(
    scene: Scene, command: str, fail: Callable[[Scene], None], failed: set[str]
) -> None:
    scene.pulumi.after[command] = lambda: fail(scene)
    code, told, _ = scene.run("--yes", "--wait", "200s")
    assert code == Exit.FOUND
    assert {step for step, held in steps(told).items() if not held} == failed, told["steps"]
    assert [step for step in steps(told) if step != "destroy again"] == ALL
    assert scene.rehearsal.leftovers() == []


@pytest.mark.parametrize(("answer", "stands"), [("yes", False), ("no", True)])
def test_without_yes_a_stack_that_failed_is_the_users_to_look_at(scene: Scene, answer: str, stands: bool) -> None:
    scene.pulumi.after["up"] = lambda: break_the_proxy(scene)
    scene.answers = ["dev", answer]
    code, told, _ = scene.run("--wait", "0s")
    assert code == Exit.FOUND
    assert bool(scene.rehearsal.leftovers()) is stands
    assert (steps(told)["destroy"], steps(told)["check-clean"]) == (not stands, not stands)
    if stands:
        assert "left standing, for 0.0335 USD an hour" in seen(told, "destroy")
        [destroy] = [step["findings"] for step in told["steps"] if step["step"] == "destroy"]
        assert "make destroy STACK=dev" in destroy[0]["remedy"]


def test_a_destroy_that_fails_is_told_with_what_is_left(scene: Scene) -> None:
    scene.rehearsal.aws.refuse("*:DeleteListener", "InternalFailure")
    code, told, _ = scene.run("--yes")
    assert code == Exit.FOUND
    assert list(steps(told).values())[-3:] == [False, False, False], "destroy, destroy again, check-clean"
    [clean] = [step["findings"] for step in told["steps"] if step["step"] == "check-clean"]
    left = [finding["seen"] for finding in clean if finding["level"] == "problem"]
    assert "load balancer rp-public-nvcf-dev is left" in left


# --- Ctrl-C


def test_an_interrupted_run_says_how_to_clean_up(scene: Scene) -> None:
    scene.pulumi.after["up"] = interrupt
    code, told, said = scene.run("--yes")
    assert code == told["exit"] == Exit.INTERRUPTED
    assert "make destroy STACK=dev; then python -m lls check-clean --stack dev" in said
    assert "pulumi cancel --stack dev --yes" in said


def test_an_interrupt_before_up_says_that_nothing_was_made(scene: Scene) -> None:
    scene.patch.setattr(cli, "_ask", interrupt)
    code, _, said = scene.run()
    assert code == Exit.INTERRUPTED
    assert "Interrupted. Nothing was made." in said


def test_an_interrupted_replay_leaves_nothing_of_its_own(scene: Scene) -> None:
    def interrupted(refusal: Refusal, grounds: Grounds) -> list[Finding]:
        with refusal.around(grounds):
            return [] if refusal.code != "OperationNotPermitted" else interrupt()

    scene.patch.setattr("e2e.replay.try_one", interrupted)
    assert scene.run("--yes")[0] == Exit.INTERRUPTED
    assert not [left for left in scene.rehearsal.leftovers() if "e2e-" in left]
    scene.rehearsal.engine.destroy()  # the load balancer is not protected any more
    assert scene.rehearsal.leftovers() == []


# --- What AWS answers otherwise than the emulation


def test_what_aws_accepts_against_expectation_is_told_and_taken_back(scene: Scene) -> None:
    scene.patch.setattr(strict_ec2, "TEXT", re.compile(".*"))
    code, told, _ = scene.run("--yes")
    assert code == Exit.FOUND
    assert [step for step, held in steps(told).items() if not held] == ["refusals"]
    [refusals] = [step["findings"] for step in told["steps"] if step["step"] == "refusals"]
    assert [finding["seen"] for finding in refusals if finding["level"] == "problem"] == [
        "a security group's description is ASCII: the emulation answers ec2:create_security_group with "
        "InvalidParameterValue, AWS accepts it; the new security group is deleted",
        "a rule's description is ASCII: the emulation answers ec2:authorize_security_group_ingress with "
        "InvalidParameterValue, AWS accepts it; the new rule is revoked",
    ]
    assert scene.rehearsal.leftovers() == []


def test_a_call_that_is_not_allowed_was_not_tried(scene: Scene) -> None:
    scene.pulumi.after["refresh"] = lambda: scene.rehearsal.aws.denied.add("ec2:CreateTags")
    code, told, _ = scene.run("--yes")
    assert code == Exit.FOUND
    [refusals] = [step["findings"] for step in told["steps"] if step["step"] == "refusals"]
    wrong = [finding for finding in refusals if finding["level"] not in ("ok", "note")]
    assert {finding["level"] for finding in wrong} == {"unknown"}
    assert all("AWS denied ec2:CreateTags" in finding["seen"] for finding in wrong)
