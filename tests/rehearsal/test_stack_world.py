"""A stack's file as it lives in the emulated world, for a real engine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lls.go_yaml import read_go_yaml
from lls.operations.program.stack_file import HIDDEN
from rehearsal.stack_world import in_cluster, stack_to_rehearse, write_stack_file

ENDPOINT = "http://127.0.0.1:1"
PLAIN = """# why it is as it is
config:
  aws:region: us-west-2   # here
  lls:clusterName: 'demo'
  lls:allowedCidrs: [198.51.100.0/24]
  lls:availabilityZone: us-west-2a
"""


def written(tmp_path: Path, text: str, name: str = "test") -> tuple[bytes, Mapping[str, str]]:
    """The file that a real engine gets, and what it is to encrypt."""
    project, folder = tmp_path / "project", tmp_path / "folder"
    for made in (project, folder):
        made.mkdir(exist_ok=True)
    (project / f"Pulumi.{name}.yaml").write_text(text)
    stack = in_cluster(stack_to_rehearse(name, project), ENDPOINT)
    secrets = write_stack_file(stack, folder, project)
    return (folder / f"Pulumi.{name}.yaml").read_bytes(), secrets


def config_of(content: bytes) -> Mapping[str, Any]:
    return read_go_yaml(content)["config"]


@pytest.mark.parametrize("text", [PLAIN, "config: {}\n", "config:\n", ""])
def test_a_file_with_nothing_to_hide_is_the_users_own_byte_for_byte(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text) == (text.encode(), {})


def test_the_users_file_stays_where_the_folder_only_links_to_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "Pulumi.test.yaml"
    link.symlink_to(tmp_path / "project" / "Pulumi.test.yaml")
    text = f"{PLAIN}encryptionsalt: v1:abc\n"
    content, _ = written(tmp_path, text)
    assert not link.is_symlink()
    assert (tmp_path / "project" / "Pulumi.test.yaml").read_text() == text
    assert content != text.encode()


@pytest.mark.parametrize(
    "key", ["secretsprovider: awskms://alias/x", "encryptionsalt: v1:abc=:v1:def", "encryptedkey: a"]
)
def test_neither_key_nor_passphrase_of_the_owners_gets_in(tmp_path: Path, key: str) -> None:
    content, secrets = written(tmp_path, f"{PLAIN}{key}\n")
    assert read_go_yaml(content) == {"config": read_go_yaml(PLAIN.encode())["config"]}
    assert secrets == {}


def test_a_secret_has_a_stand_in_that_is_to_be_encrypted(tmp_path: Path) -> None:
    content, secrets = written(tmp_path, f"{PLAIN}  lls:imageTag:\n    secure: v1:hidden\n")
    assert "lls:imageTag" not in config_of(content)
    assert secrets == {"lls:imageTag": HIDDEN}
    assert b"v1:hidden" not in content


def test_a_part_of_a_value_that_is_secret_has_a_stand_in_and_the_rest_stays(tmp_path: Path) -> None:
    helm_values = "  lls:helmValues:\n    env:\n      plain: a\n      token:\n        secure: v1:hidden\n"
    content, secrets = written(tmp_path, f"{PLAIN}{helm_values}")
    assert config_of(content)["lls:helmValues"] == {"env": {"plain": "a", "token": HIDDEN}}
    assert config_of(content)["lls:allowedCidrs"] == ["198.51.100.0/24"]
    assert secrets == {}
    assert b"v1:hidden" not in content


def test_a_whole_mapping_that_is_secret_becomes_one_of_its_type(tmp_path: Path) -> None:
    content, secrets = written(tmp_path, f"{PLAIN}  lls:helmValues:\n    secure: v1:hidden\n")
    assert config_of(content)["lls:helmValues"] == {}
    assert secrets == {}


def test_a_kubeconfig_leads_to_the_worlds_cluster_and_an_encrypted_one_is_encrypted_again(tmp_path: Path) -> None:
    plain, secrets = written(tmp_path, f"{PLAIN}  lls:kubeconfig: '{json.dumps({'clusters': []})}'\n")
    assert ENDPOINT in config_of(plain)["lls:kubeconfig"]
    assert secrets == {}
    content, secrets = written(tmp_path, f"{PLAIN}  lls:kubeconfig:\n    secure: v1:hidden\n")
    assert "lls:kubeconfig" not in config_of(content)
    assert ENDPOINT in secrets["lls:kubeconfig"]


def test_a_key_without_its_namespace_gets_it_once_the_file_is_written_anew(tmp_path: Path) -> None:
    text = PLAIN.replace("lls:clusterName", "clusterName")
    assert written(tmp_path, text)[0] == text.encode()
    content, _ = written(tmp_path, f"{text}encryptionsalt: v1:abc\n")
    assert config_of(content)["lls:clusterName"] == "demo"


def test_a_stack_with_an_organization_has_the_file_of_its_short_name(tmp_path: Path) -> None:
    for folder in ("project", "folder"):
        (tmp_path / folder).mkdir()
    (tmp_path / "project" / "Pulumi.prod.yaml").write_text(PLAIN)
    stack = stack_to_rehearse("acme/lls/prod", tmp_path / "project")
    write_stack_file(stack, tmp_path / "folder", tmp_path / "project")
    assert (tmp_path / "folder" / "Pulumi.prod.yaml").read_text() == PLAIN
