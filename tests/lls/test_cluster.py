import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lls.cluster import eks_kubeconfig
from lls.files import read_yaml
from tests.support.recorded import CLUSTER


def test_the_kubeconfig_gets_its_token_from_the_aws_cli_and_holds_no_secret() -> None:
    kubeconfig = json.loads(eks_kubeconfig(CLUSTER, "prod"))
    command = kubeconfig["users"][0]["user"]["exec"]
    assert command["command"] == "aws"
    assert command["args"][:6] == ["--region", "us-west-2", "eks", "get-token", "--cluster-name", "demo"]
    assert command["env"] == [{"name": "AWS_PROFILE", "value": "prod"}]
    assert kubeconfig["clusters"][0]["cluster"]["server"] == CLUSTER.endpoint


@pytest.mark.parametrize(("profile", "env"), [("", "null"), ("prod", '[{"name": "AWS_PROFILE", "value": "prod"}]')])
def test_the_kubeconfig_of_existing_states_stays_as_it_is_to_the_byte(profile: str, env: str) -> None:
    assert eks_kubeconfig(CLUSTER, profile) == (
        '{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "demo", "cluster": '
        '{"server": "https://demo.example", "certificate-authority-data": "Y2E="}}], "users": [{"name": "demo", '
        '"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": '
        '["--region", "us-west-2", "eks", "get-token", "--cluster-name", "demo", "--output", "json"], '
        f'"env": {env}, "interactiveMode": "Never"}}}}}}], "contexts": [{{"name": "demo", "context": '
        '{"cluster": "demo", "user": "demo"}}], "current-context": "demo"}'
    )


def test_the_token_is_of_a_role_and_of_what_the_environment_is_given() -> None:
    given = eks_kubeconfig(CLUSTER, "prod", role_arn="arn:r", environment={"AWS_ACCESS_KEY_ID": "AKIA1"})
    command = json.loads(given)["users"][0]["user"]["exec"]
    assert command["args"][-2:] == ["--role-arn", "arn:r"]
    assert command["env"] == [
        {"name": "AWS_PROFILE", "value": "prod"},
        {"name": "AWS_ACCESS_KEY_ID", "value": "AKIA1"},
    ]


@pytest.mark.skipif(not shutil.which("aws"), reason="needs the AWS CLI")
@pytest.mark.parametrize(
    ("given", "signer"),
    [
        ({}, "AKIAENVIRONMENT"),
        ({"AWS_ACCESS_KEY_ID": "ASIASESSION", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "t"}, "ASIASESSION"),
    ],
    ids=["environment", "given"],
)
def test_the_real_command_prefers_keys_to_the_profile(
    given: dict[str, str], signer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = x\n")
    environment = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in {"AWS_CONFIG_FILE": str(tmp_path / "config"), **environment}.items():
        monkeypatch.setenv(name, value)
    command = json.loads(eks_kubeconfig(CLUSTER, "prod", environment=given))["users"][0]["user"]["exec"]
    told = {each["name"]: each["value"] for each in command["env"]}
    done = subprocess.run(  # noqa: S603
        [command["command"], *command["args"]], env={**os.environ, **told}, capture_output=True, check=True
    )
    token = json.loads(done.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
    assert f"X-Amz-Credential={signer}%2F" in base64.urlsafe_b64decode(token + "==").decode()


def test_a_kubeconfig_is_read_as_kubectl_reads_it_whatever_is_in_it() -> None:
    assert read_yaml("insecure-skip-tls-verify: no") == {"insecure-skip-tls-verify": False}
    for text in ("a: 2026-02-30", "a: [", "a: \0"):
        with pytest.raises(yaml.YAMLError):
            read_yaml(text)
