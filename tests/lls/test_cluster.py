import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from kubernetes.client import V1Node

from lls.cluster import eks_kubeconfig
from lls.files import read_yaml
from lls.guide import TargetType
from lls.targets import REMOVAL_TAINTS, Chosen, choose_targets
from tests.support.nodes import node
from tests.support.recorded import CLUSTER


def chosen(*nodes: V1Node, target_type: TargetType = "ip") -> Chosen:
    return choose_targets(nodes, zone="us-west-2a", target_type=target_type)


def test_targets_are_sorted_and_do_not_depend_on_the_apis_order() -> None:
    nodes = [node("a", "10.0.0.9"), node("b", "10.0.0.10"), node("c", "10.0.0.2")]
    assert chosen(*nodes) == chosen(*reversed(nodes))
    assert chosen(*nodes).ids == ("10.0.0.10", "10.0.0.2", "10.0.0.9")


def test_instance_targets_are_the_ids_of_the_nodes_instances() -> None:
    found = chosen(node("a", provider_id="aws:///us-west-2a/i-0a1b2c3d4e5f60718"), target_type="instance")
    assert found.ids == ("i-0a1b2c3d4e5f60718",)


def test_nodes_of_other_zones_are_skipped_and_named() -> None:
    assert chosen(node("a", zone="us-west-2b")).skipped == {"a": "in zone us-west-2b"}


@pytest.mark.parametrize("taint", sorted(REMOVAL_TAINTS))
def test_nodes_that_are_being_removed_are_skipped(taint: str) -> None:
    assert chosen(node("a", taints=[taint])).skipped == {"a": f"being removed (taint {taint})"}


def test_nodes_that_are_being_deleted_are_skipped() -> None:
    assert chosen(node("a", deleted="2026-01-01T00:00:00Z")).skipped == {"a": "being deleted"}


def test_nodes_excluded_from_load_balancers_are_skipped_whatever_the_labels_value() -> None:
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    assert chosen(node("a", labels={label: ""})).skipped == {"a": f"carrying the label {label}"}


def test_cordoned_nodes_stay_because_their_proxy_still_serves() -> None:
    assert chosen(node("a", cordoned=True, taints=["node.kubernetes.io/unschedulable"])).ids == ("10.0.0.1",)


@pytest.mark.parametrize("ip", [None, "fd00::1"])
def test_nodes_without_an_ipv4_address_are_skipped_as_ip_targets(ip: str | None) -> None:
    assert chosen(node("a", ip)).skipped == {"a": "without an IPv4 InternalIP"}


def test_nodes_without_an_instance_are_skipped_as_instance_targets() -> None:
    fargate = node("a", provider_id="aws:///us-west-2a/0123/fargate-ip-10-0-0-1")
    assert chosen(fargate, target_type="instance").skipped == {"a": "without an EC2 instance"}


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
