import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lls.auth_file import IDENTITY_TOKEN, AuthFileError, Credentials, read_auth_file
from tests.support.configs import config_problems, loaded
from tests.support.helpers import install_helper
from tests.support.recorded import CONFIG

AUTH = base64.b64encode(b"robot:hunter2:x").decode()
HOST = "registry.example:5000"


def written(content: Any) -> str:
    Path("auth.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return "auth.json"


@pytest.mark.parametrize("server", [HOST, f"https://{HOST}", f"https://{HOST}/v2/"])
@pytest.mark.parametrize("entry", [{"auth": AUTH}, {"username": "robot", "password": "hunter2:x"}])
def test_a_login_is_found_by_its_host(server: str, entry: Any) -> None:
    file = read_auth_file(written({"auths": {server: entry}}))
    assert file.login(HOST) == Credentials("robot", "hunter2:x")
    assert file.login("other.example") is None


@pytest.mark.parametrize("content", [{}, {"auths": {}}, {"auths": {HOST: {}}}, {"auths": {HOST: {"auth": ""}}}])
def test_a_file_may_hold_no_login(content: Any) -> None:
    assert read_auth_file(written(content)).login(HOST) is None


MALFORMED: list[tuple[Any, str]] = [
    ("", "it is no JSON"),
    ("auths:", "it is no JSON"),
    ("[" * 100_000, "it is no JSON"),
    ("null", "it is no JSON object"),
    ([], "it is no JSON object"),
    ({"auths": None}, "auths is no JSON object: write"),
    ({"auths": []}, "auths is no JSON object"),
    ({"auths": {HOST: "hunter2"}}, f"auths[{HOST}] is no JSON object"),
    ({"auths": {HOST: {"auth": "hunter2!"}}}, f"auths[{HOST}].auth is no base64 of USER:PASSWORD"),
    ({"auths": {HOST: {"auth": "aHVudGVyMg=="}}}, f"auths[{HOST}].auth is no base64 of USER:PASSWORD"),
    ({"auths": {HOST: {"auth": 5}}}, f"auths[{HOST}] holds something else than texts"),
    ({"credsStore": 5}, "credsStore and credHelpers must name helpers by texts"),
    ({"credHelpers": ["ecr"]}, "credHelpers is no JSON object"),
    ({"credHelpers": {HOST: None}}, "credsStore and credHelpers must name helpers by texts"),
]


@pytest.mark.parametrize(("content", "told"), MALFORMED, ids=[told for _, told in MALFORMED])
def test_a_malformed_file_is_one_problem_of_the_config(content: Any, told: str) -> None:
    [problem] = config_problems({**CONFIG, "lls:registryConfig": written(content)})
    assert problem.startswith(f'  lls:registryConfig = "auth.json": the docker-style auth file cannot be used: {told}')
    assert problem.endswith("write it anew by `docker login` or `helm registry login`")
    assert "hunter2" not in problem


def test_bytes_that_are_no_text_are_a_problem_too() -> None:
    Path("auth.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AuthFileError, match="it is no JSON"):
        read_auth_file("auth.json")


# --- Credential helpers

ANSWER = '[ "$1" = get ] && read server; echo "{\\"Username\\": \\"robot\\", \\"Secret\\": \\"of $server\\"}"'


@pytest.mark.parametrize("content", [{"credsStore": "vault"}, {"credHelpers": {HOST: "vault"}, "credsStore": "none"}])
def test_a_helper_is_asked_for_the_host_in_place_of_the_file(content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install_helper("vault", ANSWER, monkeypatch)
    file = read_auth_file(written({"auths": {HOST: {"auth": AUTH}}, **content}))
    assert file.login(HOST) == Credentials("robot", f"of {HOST}")


def test_a_helper_of_one_host_is_not_asked_for_another() -> None:
    file = read_auth_file(written({"auths": {HOST: {"auth": AUTH}}, "credHelpers": {"other.example": "nosuch"}}))
    assert file.login(HOST) == Credentials("robot", "hunter2:x")


def test_what_a_helper_does_not_know_has_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    install_helper("vault", "echo 'credentials not found in native keychain'; exit 1", monkeypatch)
    assert read_auth_file(written({"credsStore": "vault"})).login(HOST) is None


def test_an_identity_token_is_told_from_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    install_helper("vault", f"""echo '{{"Username": "{IDENTITY_TOKEN}", "Secret": "t"}}'""", monkeypatch)
    assert read_auth_file(written({"credsStore": "vault"})).login(HOST) == Credentials(IDENTITY_TOKEN, "t")
    file = read_auth_file(written({"auths": {HOST: {"auth": AUTH, "identitytoken": "t"}}}))
    assert file.login(HOST) == Credentials(IDENTITY_TOKEN, "t")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "echo 'error getting credentials:\n the vault is locked.'; exit 1",
            f"to {HOST}: error getting credentials: the",
        ),
        ("echo broken >&2; exit 1", f"docker-credential-vault gave no login to {HOST}: broken: log in anew"),
        ("exit 3", f"gave no login to {HOST}: exit code 3"),
        ("""echo '{"Secret": "hunter2"}'; exit 1""", f"gave no login to {HOST}: exit code 1"),
        ("echo hunter2", f"answered without Username and Secret for {HOST}"),
        ("""echo '["hunter2"]'""", f"answered without Username and Secret for {HOST}"),
        ("""echo '{"Username": "robot"}'""", f"answered without Username and Secret for {HOST}"),
    ],
)
def test_a_failing_helper_is_quoted_in_one_sentence_without_a_secret(
    script: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_helper("vault", script, monkeypatch)
    with pytest.raises(AuthFileError) as caught:
        read_auth_file(written({"credsStore": "vault"})).login(HOST)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "hunter2" not in str(caught.value)


def test_a_missing_helper_is_named_with_the_file_that_names_it() -> None:
    with pytest.raises(AuthFileError, match=r"auth\.json has docker-credential-nosuch ask .*: install it"):
        read_auth_file(written({"credsStore": "nosuch"})).login(HOST)


def test_loading_the_config_asks_no_helper() -> None:
    assert loaded({**CONFIG, "lls:registryConfig": written({"credsStore": "nosuch"})}).registry_config == "auth.json"
