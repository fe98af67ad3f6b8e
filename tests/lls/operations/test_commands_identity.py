"""Every command acts as the AWS provider does, whatever the stack's file tells it about its identity."""

import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations import cli
from lls.operations.cli import main
from lls.operations.program.stack_file import Stack
from lls.operations.report.finding import Exit
from lls.operations.world.installation import Installation
from lls.operations.world.registry import Artifact, Login, Mirrored, MirrorError
from lls.operations.world.states import State
from rehearsal.aws.callers import KEY, WEB_IDENTITY, WEB_TOKEN
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import KnownStates, PatientClockOf, a_rehearsal, reached_by_network

BASE = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"
OTHER = "210987654321"

Run = Callable[..., int]
"""Runs a command on a stack whose file tells the AWS provider these things."""


@pytest.fixture
def rehearsal() -> Generator[Rehearsal]:
    with a_rehearsal() as rehearsal, reached_by_network(rehearsal):
        yield rehearsal


@pytest.fixture
def env(rehearsal: Rehearsal) -> Generator[pytest.MonkeyPatch]:
    """Changes the environment, within the world's."""
    with pytest.MonkeyPatch.context() as env:
        yield env


@pytest.fixture
def run(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(command: str, *arguments: str, state: State | None = None, **aws: Any) -> int:
        told = {f"aws:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in aws.items()}

        def read(name: str) -> Stack:
            return Stack(name, {**rehearsal.engine.config, **told})

        monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
        monkeypatch.setattr("lls.operations.world.installation.read_stack", read)
        backend = KnownStates({"test": state or State()})
        monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: backend)
        rehearsal.aws.calls.clear()
        rehearsal.aws.callers.clear()
        rehearsal.cluster.guests.clear()
        return main([command, *arguments, "--stack", "test"])

    return run


COMMANDS = {
    "preflight": (),
    "verify": (),
    "drift": (),
    "adopt": (),
    "check-clean": (),
    "sweep": ("--yes",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_acts_as_the_assumed_role_in_aws_and_in_the_cluster(
    command: str, rehearsal: Rehearsal, run: Run
) -> None:
    follow(rehearsal.aws, "demo", "us-west-2a")
    role = rehearsal.aws.identities.add_role("deploy")
    rehearsal.cluster.roles.add(role)
    assert run(command, *COMMANDS[command], assumeRoles=[{"roleArn": role, "sessionName": "ci"}]) in (0, 2)
    deploy = "arn:aws:sts::123456789012:assumed-role/deploy/ci"
    assert rehearsal.aws.callers.keys() == {BASE, deploy}
    assert rehearsal.aws.callers[BASE] == {"sts:AssumeRole"}
    own = "arn:aws:sts::123456789012:assumed-role/deploy/EKSGetTokenAuth"
    assert rehearsal.cluster.guests <= {deploy, own}
    assert rehearsal.cluster.guests


def test_mirror_makes_repositories_as_the_assumed_role(rehearsal: Rehearsal, run: Run, env: pytest.MonkeyPatch) -> None:
    def copy(*_: object, **__: object) -> None:
        raise MirrorError("not here")

    env.setenv("NGC_API_KEY", "nvapi-1")
    env.setattr("lls.operations.mirror.mirror", copy)
    role = rehearsal.aws.identities.add_role("deploy", account=OTHER)
    assert run("mirror", assumeRoles=[{"roleArn": role, "sessionName": "ci"}]) == Exit.FAILED
    assert "ecr:CreateRepository" in rehearsal.aws.callers[f"arn:aws:sts::{OTHER}:assumed-role/deploy/ci"]
    assert rehearsal.aws.callers[BASE] == {"sts:AssumeRole"}


def test_mirror_logs_in_and_makes_repositories_in_the_region_of_each_address(
    rehearsal: Rehearsal, run: Run, env: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    def copy(artifact: Artifact, *, logins: Mapping[str, Login], **_: object) -> Mirrored:
        copied.append(artifact.destination)
        assert artifact.destination.partition("/")[0] in logins
        return Mirrored(artifact=artifact, digest="sha256:0")

    env.setenv("NGC_API_KEY", "nvapi-1")
    env.setattr("lls.operations.mirror.mirror", copy)
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x/streaming-proxy"
    rehearsal.engine.config = {**rehearsal.engine.config, "lls:imageRepository": image}
    assert run("mirror") == Exit.FINE
    assert copied[1] == image
    made: Any = rehearsal.aws.client("ecr", region_name="eu-west-1").describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in made] == ["x/streaming-proxy"]


def test_mirror_leaves_to_ecr_what_ecr_fetches_itself(run: Run, env: pytest.MonkeyPatch) -> None:
    def copy(*_: object, **__: object) -> Mirrored:
        raise AssertionError("nothing is to be copied")

    def upstream(*_: object) -> str:
        return "nvcr.io"

    env.setattr("lls.operations.mirror.upstream_of", upstream)
    env.setattr("lls.operations.mirror.mirror", copy)
    assert run("mirror") == Exit.FINE


@pytest.mark.parametrize("command", ["sweep", "check-clean"])
def test_a_role_of_another_account_does_not_touch_this_one(command: str, rehearsal: Rehearsal, run: Run) -> None:
    follow(rehearsal.aws, "demo", "us-west-2a")
    before = rehearsal.aws.leftovers()
    role = rehearsal.aws.identities.add_role("deploy", account=OTHER)
    assert run(command, *COMMANDS[command], assumeRoles=[{"roleArn": role}]) == Exit.FINE
    assert rehearsal.aws.leftovers() == before
    assert rehearsal.aws.callers[BASE] == {"sts:AssumeRole"}


def test_roles_are_assumed_in_their_order(rehearsal: Rehearsal, run: Run) -> None:
    first = rehearsal.aws.identities.add_role("hub", account=OTHER, external_id="x-1")
    second = rehearsal.aws.identities.add_role("deploy", trusts=first)
    rehearsal.cluster.roles.add(second)
    roles = [{"roleArn": first, "externalId": "x-1", "sessionName": "ci"}, {"roleArn": second, "sessionName": "ci"}]
    assert run("check-clean", assumeRoles=roles) == Exit.FINE
    assert rehearsal.aws.callers == {
        BASE: {"sts:AssumeRole"},
        f"arn:aws:sts::{OTHER}:assumed-role/hub/ci": {"sts:AssumeRole"},
        "arn:aws:sts::123456789012:assumed-role/deploy/ci": rehearsal.aws.callers[f"{BASE[:-17]}deploy/ci"],
    }


@pytest.mark.parametrize("kind", ["webIdentityToken", "webIdentityTokenFile"])
def test_a_web_identity_is_who_asks_and_who_assumes_the_roles(
    kind: str, rehearsal: Rehearsal, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(WEB_TOKEN)
    value = WEB_TOKEN if kind == "webIdentityToken" else str(tmp_path / "token")
    web = rehearsal.aws.identities.add_role("pipeline", trusts=WEB_IDENTITY)
    role = rehearsal.aws.identities.add_role("deploy", trusts=web)
    rehearsal.cluster.roles |= {web, role}
    told = {"roleArn": web, "sessionName": "ci", kind: value}
    assert run("check-clean", assumeRoleWithWebIdentity=told) == Exit.FINE
    assert rehearsal.aws.callers.keys() == {BASE, f"{BASE[:-17]}pipeline/ci"}  # who sends no key is counted as the base
    assert rehearsal.aws.callers[BASE] == {"sts:AssumeRoleWithWebIdentity"}
    roles = [{"roleArn": role, "sessionName": "ci"}]
    assert run("check-clean", assumeRoleWithWebIdentity=told, assumeRoles=roles) == Exit.FINE
    assert rehearsal.aws.callers[f"{BASE[:-17]}pipeline/ci"] == {"sts:AssumeRole"}
    assert f"{BASE[:-17]}deploy/ci" in rehearsal.aws.callers


def test_access_keys_of_the_stack_come_before_the_environments(
    rehearsal: Rehearsal, run: Run, env: pytest.MonkeyPatch
) -> None:
    env.setenv("AWS_ACCESS_KEY_ID", "AKIANOSUCH")
    assert run("check-clean", accessKey=KEY, secretKey=KEY) == Exit.FINE
    assert rehearsal.aws.callers.keys() == {BASE}
    assert rehearsal.cluster.guests == {BASE}
    assert run("check-clean") == Exit.FAILED


@pytest.mark.parametrize(
    ("key", "ids"),
    [("allowedAccountIds", [OTHER]), ("forbiddenAccountIds", ["123456789012"])],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_account_that_the_stack_does_not_allow_is_asked_nothing_more(
    command: str, key: str, ids: list[str], rehearsal: Rehearsal, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(rehearsal.aws, "demo", "us-west-2a")
    before = rehearsal.leftovers()
    assert run(command, *COMMANDS[command], **{key: ids}) in (Exit.FAILED, Exit.FOUND)
    assert rehearsal.leftovers() == before
    assert rehearsal.aws.callers == {BASE: {"sts:GetCallerIdentity"}}
    assert f"aws:{key} = {ids[0]}: the AWS credentials are of account 123456789012" in "".join(capsys.readouterr())


@pytest.mark.parametrize("told", [{"allowedAccountIds": ["123456789012"]}, {"forbiddenAccountIds": [OTHER]}])
def test_an_account_that_the_stack_allows_is_no_problem(told: Mapping[str, Any], run: Run) -> None:
    assert run("check-clean", **told) == Exit.FINE


def test_all_that_cannot_be_honoured_is_told_at_once_and_nothing_is_asked(
    rehearsal: Rehearsal, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"httpProxy": "http://me:secret@proxy", "accessKey": "AKIA1", "assumeRole": {"roleArn": "arn:x"}}
    rehearsal.engine.config = {**rehearsal.engine.config, "lls:udpPort": "0"}
    assert run("sweep", "--yes", **told) == Exit.FAILED
    assert rehearsal.aws.calls == []
    shown = capsys.readouterr().err
    for key in ("aws:httpProxy", "aws:accessKey", "aws:assumeRole:", "lls:udpPort"):
        assert key in shown
    assert "me:secret" not in shown
    assert "AKIA1" not in shown


def test_the_clusters_tokens_outlive_a_session(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal.aws.identities, "session_seconds", 50)
    role = rehearsal.aws.identities.add_role("deploy")
    rehearsal.cluster.roles.add(role)
    told = {"aws:assumeRoles": json.dumps([{"roleArn": role}])}
    installation = Installation(Stack("test", {**rehearsal.engine.config, **told}))
    assert installation.proxy().find_namespace() is None
    rehearsal.aws.identities.end_sessions()
    assert installation.proxy().find_namespace() is None


def test_a_plain_stack_asks_one_cluster_api_and_gives_it_the_programs_kubeconfig(rehearsal: Rehearsal) -> None:
    installation = Installation(Stack("test", rehearsal.engine.config))
    assert installation.api is installation.api
    rehearsal.engine.up()
    [provider] = [resource for resource in rehearsal.engine.state.values() if resource.name == "cluster"]
    assert installation.kubeconfig == provider.inputs["kubeconfig"]


@pytest.mark.parametrize("account", ["123456789012", OTHER])
def test_a_rehearsal_has_the_role_that_its_stacks_tokens_are_of(account: str) -> None:
    arn = f"arn:aws:iam::{account}:role/team/deploy"
    with a_rehearsal({"aws:assumeRoles": json.dumps([{"roleArn": arn}])}) as rehearsal:
        rehearsal.engine.up()
        rehearsal.installation().proxy().find_namespace()
        assert rehearsal.cluster.guests == {f"arn:aws:sts::{account}:assumed-role/deploy/EKSGetTokenAuth"}


def test_a_rehearsal_of_a_stack_whose_tokens_cannot_follow_is_as_any_other() -> None:
    told = [{"roleArn": "arn:aws:iam::123456789012:role/deploy", "externalId": "[encrypted]"}]
    with a_rehearsal({"aws:assumeRoles": json.dumps(told)}) as rehearsal:
        rehearsal.engine.up()
        assert rehearsal.cluster.guests == {BASE}
