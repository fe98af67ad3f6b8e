"""Marked secrets are planted wherever the program and the tools meet any, and looked for in all that they write."""

import base64
import json
import logging
import stat
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
import pytest

from bench.guide_commands import follow
from lls.cluster_api import ClusterApi
from lls.config import schema
from lls.files import write_private
from lls.operations import cli
from lls.operations.program.stack_file import Stack
from lls.operations.world.proxy import Proxy
from lls.operations.world.registry import Login
from rehearsal.__main__ import main as rehearse
from rehearsal.engine.engine import StepsFailedError
from rehearsal.kubernetes.api import TOKEN, kubeconfig_for
from rehearsal.rehearse import Rehearsal
from tests.support.configs import config_problems
from tests.support.helpers import install_helper
from tests.support.operations import install
from tests.support.recorded import CONFIG, as_config, recorded
from tests.support.registries import Registry, a_chart, an_image, internet
from tests.support.traces import Traces, traces
from tests.support.worlds import KnownStates, PatientClockOf, a_rehearsal, reached_by_network

SECRETS: Mapping[str, str] = {
    "NGC key": "nvapi-planted-1f0c",
    "AWS secret key": "planted-secret-key-2e9d",
    "AWS session token": "planted-session-token-3b8a",
    "kubeconfig": f"{TOKEN}-planted-4c71",
    "Helm value": "planted-helm-value-5d60",
    "registry password": "planted-registry-password-6e5f",
}

ENVIRONMENT = {
    "NGC_API_KEY": SECRETS["NGC key"],
    "AWS_SECRET_ACCESS_KEY": SECRETS["AWS secret key"],
    "AWS_SESSION_TOKEN": SECRETS["AWS session token"],
}

SECRET = frozenset({"lls:kubeconfig", "lls:helmValues"})


@pytest.fixture
def seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Generator[Traces]:
    with traces(tmp_path, capfd) as seen:
        yield seen


def secrets(seen: Traces) -> Mapping[str, str]:
    """Those that were planted, and the logins to ECR that were written down in the meantime."""
    found = dict(SECRETS)
    for name, text in seen.files(private=True):
        if name == "registry.json":
            for entry in json.loads(text).get("auths", {}).values():
                found["ECR login"] = entry["auth"]
                found["ECR password"] = base64.b64decode(entry["auth"]).decode().partition(":")[2]
    return found


@contextmanager
def planted(monkeypatch: pytest.MonkeyPatch, **config: Any) -> Generator[Rehearsal]:
    """A world, a stack with secrets of its own in it, and a user who has more of them in the environment."""
    values = {"env": {"password": SECRETS["Helm value"]}}
    with (
        a_rehearsal(as_config(clusterName="nvcf-dev", helmValues=values, **config)) as rehearsal,
        reached_by_network(rehearsal),
    ):
        kubeconfig = kubeconfig_for(rehearsal.kubernetes.endpoint, "own").replace(TOKEN, SECRETS["kubeconfig"])
        rehearsal.engine.config = {**rehearsal.engine.config, "lls:kubeconfig": kubeconfig}
        rehearsal.engine.secret_keys = SECRET
        for key, value in ENVIRONMENT.items():
            monkeypatch.setenv(key, value)

        def read(name: str) -> Stack:
            return Stack(name, rehearsal.engine.config, frozenset(rehearsal.engine.secret_keys))

        monkeypatch.setattr(cli, "read_stack", read)
        monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
        monkeypatch.setattr("lls.operations.world.installation.read_stack", read)
        monkeypatch.setattr(
            "lls.operations.world.installation.CliBackend", lambda: KnownStates({"dev": rehearsal.state()})
        )
        yield rehearsal


def change(rehearsal: Rehearsal, **config: Any) -> None:
    rehearsal.engine.config = {**rehearsal.engine.config, **as_config(**config)}


# --- The program


def test_up_changes_and_destroy_show_no_secret(seen: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    with planted(monkeypatch) as rehearsal:
        rehearsal.engine.preview()
        rehearsal.engine.up()
        change(rehearsal, tags={"a": "b"}, replicas=2, stickiness=True)
        rehearsal.engine.up()
        rehearsal.engine.destroy()
    assert {"ECR login", "ECR password"} <= secrets(seen).keys()
    assert seen.leaks(secrets(seen)) == set()


def test_the_program_does_meet_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    with planted(monkeypatch) as rehearsal:
        rehearsal.engine.up()
        resources = {resource.name: resource for resource in rehearsal.engine.state.values()}
        assert SECRETS["kubeconfig"] in resources["cluster"].inputs["kubeconfig"]
        assert SECRETS["Helm value"] in json.dumps(resources["proxy-release"].inputs["values"])


FAULTS: Mapping[str, Callable[[Rehearsal], object]] = {
    "AWS denies": lambda rehearsal: rehearsal.aws.refuse("*", "AccessDenied"),
    "the login has expired": lambda rehearsal: rehearsal.aws.refuse("*", "ExpiredToken"),
    "the load balancer cannot be made": lambda rehearsal: rehearsal.aws.refuse(
        "elasticloadbalancing:CreateLoadBalancer", "InternalFailure"
    ),
    "the registry refuses": lambda rehearsal: setattr(rehearsal.provider.registry, "status", 401),
    "no node has room for the proxy": lambda rehearsal: change(rehearsal, cpu="5000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_of_the_program_shows_one(fault: str, seen: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    with planted(monkeypatch) as rehearsal:
        FAULTS[fault](rehearsal)
        with pytest.raises((pulumi.RunError, StepsFailedError)) as caught:
            rehearsal.engine.up()
        seen.note("error", str(caught.value))
    assert seen.leaks(secrets(seen)) == set()


@pytest.mark.parametrize("outage", ["refused", "unauthorized"])
def test_a_cluster_out_of_reach_is_told_without_its_token(
    outage: Any, seen: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    with planted(monkeypatch) as rehearsal, rehearsal.kubernetes.outage(outage):
        with pytest.raises(pulumi.RunError) as caught:
            rehearsal.engine.up()
        seen.note("error", str(caught.value))
        for command in ("preflight", "verify", "drift", "sweep"):
            cli.main([command, "--stack", "dev"])
    assert seen.leaks(SECRETS) == set()


@pytest.mark.parametrize("key", schema())
def test_no_problem_with_a_secret_key_shows_its_value(key: str) -> None:
    mark = "PLANTED-secret/5"
    [told] = config_problems({**CONFIG, f"lls:{key}": mark}, secret_keys=[f"lls:{key}"])
    assert told.startswith(f"  lls:{key} = [secret]: ")
    assert mark.lower() not in told.lower()


# --- The commands


def of_guide(rehearsal: Rehearsal) -> None:
    follow(rehearsal.aws, "nvcf-dev", "us-west-2a")


def of_program(rehearsal: Rehearsal) -> None:
    rehearsal.engine.up()
    rehearsal.await_health()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("preflight", of_guide),
        ("verify", of_program),
        ("drift", of_program),
        ("adopt", of_guide),
        ("check-clean", of_program),
        ("sweep --yes", of_program),
        ("graph", of_guide),
    ],
)
def test_no_command_shows_a_secret(
    command: str,
    before: Callable[[Rehearsal], None],
    options: list[str],
    seen: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with planted(monkeypatch) as rehearsal:
        before(rehearsal)
        assert cli.main([*command.split(), "--stack", "dev", *options]) in (0, 2)
    assert seen.leaks(secrets(seen)) == set()


OF_IDENTITY: Mapping[str, str] = {
    "stack's access key": "AKIAPLANTED7F10",
    "stack's secret key": "planted-secret-key-8a21",
    "stack's session token": "planted-session-token-9b32",
    "external id": "planted-external-id-0c43",
}


@contextmanager
def planted_identity(
    monkeypatch: pytest.MonkeyPatch, external_id: str = OF_IDENTITY["external id"]
) -> Generator[Rehearsal]:
    """A stack whose file tells the AWS provider its keys and a role, and that brings no kubeconfig."""
    with planted(monkeypatch) as rehearsal:
        identities = rehearsal.aws.identities
        identities.add_key(OF_IDENTITY["stack's access key"], OF_IDENTITY["stack's session token"])
        role = identities.add_role("deploy", external_id=OF_IDENTITY["external id"])
        rehearsal.cluster.roles.add(role)
        told = {
            "aws:accessKey": OF_IDENTITY["stack's access key"],
            "aws:secretKey": OF_IDENTITY["stack's secret key"],
            "aws:token": OF_IDENTITY["stack's session token"],
            "aws:assumeRoles": json.dumps([{"roleArn": role, "externalId": external_id}]),
        }
        rehearsal.engine.config = {
            key: value for key, value in rehearsal.engine.config.items() if key != "lls:kubeconfig"
        } | told
        rehearsal.engine.secret_keys = (SECRET - {"lls:kubeconfig"}) | told.keys()
        yield rehearsal


def of_the_engine(rehearsal: Rehearsal) -> None:
    rehearsal.engine.up()


def with_a_release(rehearsal: Rehearsal) -> None:
    of_guide(rehearsal)
    install(rehearsal)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("preflight", of_guide),
        ("verify", of_the_engine),
        ("drift", of_the_engine),
        ("adopt", of_guide),
        ("check-clean", of_the_engine),
        ("sweep --yes", with_a_release),
    ],
)
def test_no_command_shows_a_secret_of_the_stacks_identity(
    command: str,
    before: Callable[[Rehearsal], None],
    options: list[str],
    seen: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with planted_identity(monkeypatch) as rehearsal:
        before(rehearsal)
        assert cli.main([*command.split(), "--stack", "dev", *options]) in (0, 2)
        given = {
            f"given by AWS {number}": secret for number, secret in enumerate(sorted(rehearsal.aws.identities.secrets))
        }
        assert given
    assert seen.leaks({**OF_IDENTITY, **given}) == set()


def test_no_refusal_shows_a_secret_of_the_stacks_identity(seen: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    with planted_identity(monkeypatch, external_id=SECRETS["NGC key"]) as rehearsal:
        for changes in ({}, {"aws:secretKey": ""}, {"aws:assumeRoles": SECRETS["NGC key"]}):
            rehearsal.engine.config = {**rehearsal.engine.config, **changes}
            assert cli.main(["check-clean", "--stack", "dev"]) == 1
    assert seen.leaks({**OF_IDENTITY, **SECRETS}) == set()


@pytest.mark.parametrize("status", [200, 401, 500])
def test_mirror_shows_neither_login(status: int, seen: Traces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lls.operations.world.registry.PAUSES", (0,))
    password = SECRETS["registry password"]
    with (
        planted(monkeypatch, registryConfig="auth.json"),
        internet(tmp_path, "ngc.example", "own.example") as certificate,
        Registry("ngc.example", login=Login("$oauthtoken", SECRETS["NGC key"], ""), certificate=certificate) as source,
        Registry("own.example", login=Login("robot", password, ""), certificate=certificate, scheme="basic") as own,
    ):
        monkeypatch.setattr("lls.operations.mirror.NGC_HOST", source.host)
        auth = base64.b64encode(f"robot:{password}".encode()).decode()
        write_private(Path("auth.json"), json.dumps({"auths": {own.host: {"auth": auth}}}))
        source.put("nvcf/streaming-proxy", "2.0.1", an_image())
        source.put("nvcf/gdn-streaming", "2.0.1", a_chart())
        if status != 200:
            own.fail(".*", status)
        arguments = ["--source", f"{source.host}/nvcf", "--destination", f"{own.host}/demo"]
        assert cli.main(["mirror", "--stack", "dev", *arguments]) == (0 if status == 200 else 1)
    assert seen.leaks(secrets(seen)) == set()


HELPERS: Mapping[str, str] = {
    "works": """echo '{"Username": "robot", "Secret": "PASSWORD"}'""",
    "fails after its answer": """echo '{"Username": "robot", "Secret": "PASSWORD"}'; exit 1""",
    "answers something else": "echo PASSWORD",
}


@pytest.mark.parametrize("script", HELPERS.values(), ids=list(HELPERS))
def test_no_command_shows_what_a_credential_helper_answers(
    script: str, seen: Traces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    password = SECRETS["registry password"]
    Path("answer").touch(mode=0o600)
    Path("answer").write_text(script.replace("PASSWORD", password))
    install_helper("vault", f'. "{Path("answer").absolute()}"', monkeypatch)
    with (
        internet(tmp_path, "own.example") as certificate,
        Registry("own.example", login=Login("robot", "another", ""), certificate=certificate) as own,
        planted(monkeypatch, registryConfig="auth.json", chart=f"oci://{own.host}/chart") as rehearsal,
    ):
        of_guide(rehearsal)
        Path("auth.json").write_text('{"credsStore": "vault"}')
        assert cli.main(["preflight", "--stack", "dev"]) == 2
    assert seen.leaks(SECRETS) == set()


@pytest.mark.parametrize(
    "content", ["{}}", '{"auths": ["PASSWORD"]}', '{"auths": {"own.example": {"auth": "PASSWORD"}}}']
)
def test_a_malformed_auth_file_is_told_without_what_is_in_it(
    content: str, seen: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    with planted(monkeypatch, registryConfig="auth.json"):
        write_private(Path("auth.json"), content.replace("PASSWORD", SECRETS["registry password"]))
        for command in ("preflight", "mirror", "graph"):
            assert cli.main([command, "--stack", "dev"]) == 1
    assert seen.leaks(SECRETS) == set()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
def test_a_rehearsal_shows_none(options: list[str], seen: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = kubeconfig_for("https://own.example", "own").replace(TOKEN, SECRETS["kubeconfig"])
    values = {"env": {"password": SECRETS["Helm value"]}}
    config = {**CONFIG, **as_config(kubeconfig=kubeconfig, helmValues=values, registration="nodes")}

    def read(name: str) -> Stack:
        return Stack(name, config, SECRET)

    monkeypatch.setattr("rehearsal.command.stack_to_rehearse", read)
    for key, value in ENVIRONMENT.items():
        monkeypatch.setenv(key, value)
    assert rehearse(["--factor", "10000", *options]) == 0
    assert "ECR login" in secrets(seen)
    assert seen.leaks(secrets(seen)) == set()


# --- Files


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_private_file_is_for_its_owner_alone_whatever_was_there(before: int | None) -> None:
    path = Path("folder", "file")
    if before:
        path.parent.mkdir()
        path.write_text("old")
        path.chmod(before)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_kubeconfig_that_helm_reads_is_for_its_owner_alone_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[Path, int, str]] = []

    def run(command: list[str], *_: object) -> subprocess.CompletedProcess[str]:
        path = Path(command[command.index("--kubeconfig") + 1])
        read.append((path, stat.S_IMODE(path.stat().st_mode), path.read_text()))
        return subprocess.CompletedProcess(command, 0, "", "")

    def which(name: str) -> str:
        return name

    monkeypatch.setattr("lls.operations.world.proxy.run_command", run)
    monkeypatch.setattr("lls.operations.world.proxy.shutil.which", which)
    assert Proxy(ClusterApi(""), "gdn-streaming", "gdn-streaming").uninstall(SECRETS["kubeconfig"], "") is None
    [(path, mode, text)] = read
    assert (mode, text) == (0o600, SECRETS["kubeconfig"])
    assert not path.exists()


def test_the_import_file_holds_the_kubeconfig_and_is_private_even_in_an_open_files_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with planted(monkeypatch) as rehearsal:
        of_guide(rehearsal)
        path = Path("import.json")
        path.write_text("old")
        assert cli.main(["adopt", "--stack", "dev", "--file", str(path)]) == 0
        assert SECRETS["kubeconfig"] in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_import_file_that_cannot_be_written_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with planted(monkeypatch) as rehearsal:
        of_guide(rehearsal)
        Path("file").touch()
        assert cli.main(["adopt", "--stack", "dev", "--file", "file/import.json"]) == 1
    assert "--file file/import.json cannot be written: " in capsys.readouterr().err


# --- A leak would be seen


def printed(secret: str) -> None:
    sys.stdout.write(f"key: {secret}\n")


def told(secret: str) -> None:
    sys.stderr.write(base64.b64encode(f"user:{secret}".encode()).decode())


def logged(secret: str) -> None:
    logging.getLogger("lls").warning("cannot log in with %s", secret)


def passed(secret: str) -> None:
    subprocess.run(["true", f"--password={secret}"], check=True)  # noqa: S603, S607


def written(secret: str) -> None:
    Path("notes.txt").write_text(secret)


def written_and_removed(secret: str) -> None:
    written(secret)
    Path("notes.txt").unlink()


def replaced(secret: str) -> None:
    written(secret)
    write_private(Path("notes.txt"), "")


LEAKS: Mapping[Callable[[str], None], str] = {
    printed: "standard output",
    told: "standard error",
    logged: "log",
    passed: "process arguments",
    written: "file",
    written_and_removed: "file",
    replaced: "file",
}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_leak_is_seen(leak: Callable[[str], None], seen: Traces) -> None:
    leak(SECRETS["NGC key"])
    assert seen.leaks(SECRETS) == {("NGC key", LEAKS[leak])}


@pytest.mark.parametrize("is_secret", [True, False])
def test_what_the_engine_gets_in_clear_is_seen_and_what_it_encrypts_is_not(is_secret: bool, seen: Traces) -> None:
    value = SECRETS["Helm value"]

    def program() -> None:
        given = {"deep": [pulumi.Output.secret(value) if is_secret else value]}
        pulumi.CustomResource("lls:index:Thing", "thing", {"given": given})
        pulumi.export("given", given)
        pulumi.log.info("-" if is_secret else value)

    recorded(program=program).engine.up()
    places = {"registered", "outputs", "engine's log"}
    assert seen.leaks(SECRETS) == (set() if is_secret else {("Helm value", place) for place in places})


def test_a_private_file_is_no_leak(seen: Traces) -> None:
    write_private(Path("login.json"), SECRETS["NGC key"])
    Path("login.json").unlink()
    assert seen.leaks(SECRETS) == set()
    assert [name for name, _ in seen.files(private=True)] == ["login.json"]
