import base64
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lls import kubeconfig
from lls.cluster import eks_kubeconfig
from lls.cluster_api import ClusterApi
from lls.kubeconfig import CredentialError, find_access
from tests.support.recorded import CLUSTER
from tests.support.silent import put_on_path

V1BETA1 = "client.authentication.k8s.io/v1beta1"


def kubeconfig_of(user: dict[str, Any]) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "other", "user": {"token": "others"}}, {"name": "x", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
    )


def plugin(script: str, **more: Any) -> str:
    """A kubeconfig whose token comes from a script."""
    return kubeconfig_of({"exec": {"apiVersion": V1BETA1, "command": "sh", "args": ["-c", script], **more}})


def printing(status: dict[str, str], api_version: str = V1BETA1) -> str:
    credential = {"kind": "ExecCredential", "apiVersion": api_version, "status": status}
    return f"echo '{json.dumps(credential)}'"


def user_of(access: kubeconfig.ClusterAccess) -> dict[str, Any]:
    [user] = [user["user"] for user in access.kubeconfig["users"] if user["name"] == "x"]
    return user


AWS_FAILURES = {
    "expired": (
        "echo >&2; echo 'Token has expired and refresh failed: run aws sso login' >&2; exit 255",
        "failed: Token has expired and refresh failed: run aws sso login: mend that (log in again, or update it), "
        "then run this again.",
    ),
    "two lines": (
        "echo 'Error when retrieving token from sso: Token has expired' >&2; echo 'and refresh failed' >&2; exit 255",
        "failed: Error when retrieving token from sso: Token has expired and refresh failed: mend that",
    ),
    "too old to know it": (
        "printf 'usage: aws [options]\\n\\n  aws help\\n\\naws: error: Invalid choice: get-token\\n' >&2; exit 2",
        "failed: aws: error: Invalid choice: get-token: mend that (log in again, or update it)",
    ),
    "a traceback": (
        "printf 'Traceback (most recent call last):\\n  raise OSError()\\nOSError: no disk\\n' >&2; exit 1",
        "failed: OSError: no disk: mend that",
    ),
    "without a word": ("exit 3", "failed: exit code 3: mend that"),
    "too old for the version": (
        printing({"token": "t0ken"}, "client.authentication.k8s.io/v1alpha1"),
        "speaks client.authentication.k8s.io/v1alpha1, and the kubeconfig asks for "
        "client.authentication.k8s.io/v1beta1: update it.",
    ),
    "no credential": ("echo t0ken", "printed no credential: run it by hand, and update it."),
    "neither token nor certificate": (
        printing({"expirationTimestamp": "2026-01-01T00:00:00Z"}),
        "printed a credential without token or certificate: update it.",
    ),
}


@pytest.mark.parametrize(("script", "told"), AWS_FAILURES.values(), ids=list(AWS_FAILURES))
def test_the_aws_cli_that_gives_no_token_is_told_in_its_own_words_with_the_remedy(
    script: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    put_on_path(monkeypatch, tmp_path / "bin", "aws", script)
    with pytest.raises(CredentialError) as caught:
        ClusterApi(eks_kubeconfig(CLUSTER, "prod")).nodes({})
    assert str(caught.value).startswith(f"`aws eks get-token`, which fetches the cluster's token, {told}")
    assert "t0ken" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_command_is_named_with_what_to_install() -> None:
    missing = {"exec": {"apiVersion": V1BETA1, "command": "no-such-command"}}
    with pytest.raises(CredentialError, match=r"`no-such-command`, .* is not on the PATH: install it"):
        find_access(kubeconfig_of(missing))


def test_a_command_that_never_ends_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfig, "TOKEN", 0.2)
    held = tmp_path / "held"
    os.mkfifo(held)
    holders = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(CredentialError, match=r"`sh`, .* gave no answer within 0\.2 seconds: run it by hand"):
        find_access(plugin(f"sleep 60 > {held} & wait"))
    os.set_blocking(holders, True)
    assert os.read(holders, 1) == b""  # nobody holds it any more
    os.close(holders)


def test_the_command_has_no_terminal_to_ask_at() -> None:
    asking = "read answer || { echo 'Error: no MFA code' >&2; exit 1; }"
    with pytest.raises(CredentialError, match="failed: Error: no MFA code"):
        find_access(plugin(asking))


def test_its_words_hold_no_secret_that_it_was_given() -> None:
    script = 'echo "Error: $AWS_SECRET_ACCESS_KEY and $1 and $PROFILE are wrong" >&2; exit 1'
    env = [{"name": "AWS_SECRET_ACCESS_KEY", "value": "s3cr3t"}, {"name": "PROFILE", "value": "prod"}]
    given = {"apiVersion": V1BETA1, "command": "sh", "args": ["-c", script, "--token", "p4ss"], "env": env}
    with pytest.raises(CredentialError) as caught:
        find_access(kubeconfig_of({"exec": given}))
    assert "Error: [secret] and [secret] and prod are wrong" in str(caught.value)


def test_the_command_is_told_what_the_kubeconfig_asks_for() -> None:
    script = "case $KUBERNETES_EXEC_INFO in *v1beta1*server*127.0.0.1*) " + printing({"token": "asked"}) + ";; esac"
    access = find_access(plugin(script, provideClusterInfo=True))
    assert user_of(access) == {"token": "asked"}


def test_a_certificate_serves_as_well_as_a_token() -> None:
    access = find_access(plugin(printing({"clientCertificateData": "c", "clientKeyData": "k"})))
    encoded = {key: base64.b64decode(value).decode() for key, value in user_of(access).items()}
    assert encoded == {"client-certificate-data": "c", "client-key-data": "k"}


@pytest.mark.parametrize("own", [{"token": "t"}, {"tokenFile": "t"}, {"auth-provider": {"name": "gcp"}}, {}])
def test_a_user_with_a_credential_of_its_own_needs_no_command(own: dict[str, Any]) -> None:
    user = {"exec": {"apiVersion": V1BETA1, "command": "no-such-command"}, **own} if own else {"username": "u"}
    assert find_access(kubeconfig_of(user)).kubeconfig == json.loads(kubeconfig_of(user))


@pytest.mark.parametrize(
    ("end", "is_over"), [("2001-01-01T00:00:00Z", True), ("2999-01-01T00:00:00Z", False), ("soon", False)]
)
def test_a_token_is_fetched_anew_once_it_is_over(end: str, is_over: bool) -> None:
    assert find_access(plugin(printing({"token": "t", "expirationTimestamp": end}))).is_over is is_over


def test_all_who_ask_a_cluster_run_the_command_once(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    api = ClusterApi(plugin(f"echo >> {asked}; echo 'Error: expired' >&2; exit 1"))
    together = threading.Barrier(4)

    def ask(_: int) -> str:
        together.wait()
        with pytest.raises(CredentialError) as caught:
            api.nodes({})
        return str(caught.value)

    with ThreadPoolExecutor(4) as pool:
        [told] = set(pool.map(ask, range(4)))
    assert "Error: expired" in told
    assert asked.read_text() == "\n"
