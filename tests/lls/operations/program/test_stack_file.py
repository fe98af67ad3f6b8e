import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from lls.operations.program.stack_file import NoCliError, Stack, StackError, read_stack, reveal
from lls.operations.world.states import CliBackend, ListedStack, NoSuchStackError, Operation, State

EXPORT: dict[str, Any] = {
    "deployment": {
        "resources": [
            {"urn": "urn:x::lls-dev", "type": "pulumi:pulumi:Stack", "outputs": {"udpPort": 5004}},
            {
                "urn": "urn:x::streaming-eip",
                "type": "aws:ec2/eip:Eip",
                "id": "eip-1",
                "provider": "urn:x::default::04da6b54-80e4-46f7-96ec-b56ff0331ba9",
            },
            {"urn": "urn:x::old", "type": "aws:ec2/eip:Eip", "id": "e", "delete": True},
        ],
        "pending_operations": [{"type": "creating", "resource": {"urn": "urn:x::streaming-nlb", "type": "nlb"}}],
    }
}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of answers: what a `pulumi` on the PATH prints for arguments, or fails with."""
    answers = tmp_path / "answers"
    answers.mkdir()
    command = tmp_path / "bin" / "pulumi"
    command.parent.mkdir()
    command.write_text(
        '#!/bin/sh\nshift\nname=$(echo "$*" | tr " /" "__")\n'
        f'[ -f "{answers}/$name" ] && exec cat "{answers}/$name"\n'
        "echo \"error: no stack named '$4' found\" >&2; exit 6\n"
    )
    command.chmod(0o700)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    return answers


@pytest.fixture
def no_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lls.operations.program.stack_file.PROJECT", tmp_path)


def test_the_state_is_what_the_cli_exports(cli: Path) -> None:
    (cli / "stack_export_--stack_dev").write_text(json.dumps(EXPORT))
    state = CliBackend().state("dev")
    assert state.outputs == {"udpPort": 5004}
    assert [resource.name for resource in state.resources] == ["lls-dev", "streaming-eip"]
    assert state.resources[1].provider == "urn:x::default"
    assert state.pending == (Operation("creating", "nlb", "streaming-nlb"),)


def test_what_a_successor_has_replaced_is_owned_until_it_is_deleted(cli: Path) -> None:
    (cli / "stack_export_--stack_dev").write_text(json.dumps(EXPORT))
    state = CliBackend().state("dev")
    assert [each.id for each in state.condemned] == ["e"]
    assert state.ids == {"eip-1", "e"}


def test_a_stack_that_the_backend_does_not_know_is_no_empty_one(cli: Path) -> None:
    (cli / "whoami_--json").write_text('{"user": "me", "url": "postgres://me:secret@db.example/states?a=b"}')
    with pytest.raises(NoSuchStackError, match=r"postgres://db.example/states as me does not know stack new"):
        CliBackend().state("new")


def test_a_stack_that_was_made_and_never_updated_has_an_empty_state(cli: Path) -> None:
    (cli / "stack_export_--stack_new").write_text('{"version": 3, "deployment": {"manifest": {}}}')
    assert CliBackend().state("new") == State()


def test_the_stacks_of_all_projects_are_listed(cli: Path) -> None:
    (cli / "stack_ls_--all_--json").write_text(
        '[{"name": "dev", "updateInProgress": true}, {"name": "organization/x/dev"}]'
    )
    assert CliBackend().stacks() == [ListedStack("dev", True), ListedStack("organization/x/dev")]


def test_a_cli_that_prints_something_else_is_named(cli: Path) -> None:
    (cli / "stack_ls_--all_--json").write_text("NAME")
    with pytest.raises(StackError, match=r"`pulumi stack ls --all --json` printed no JSON"):
        CliBackend().stacks()


def test_a_failing_cli_is_quoted_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "pulumi"
    command.write_text("#!/bin/sh\necho 'error: not\n logged in' >&2; exit 1\n")
    command.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StackError, match=r"`pulumi stack export --stack dev` failed: not logged in"):
        CliBackend().state("dev")


@pytest.mark.usefixtures("no_cli")
def test_a_missing_cli_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(NoCliError, match=r"The Pulumi CLI is needed .* https://www.pulumi.com/docs/install/"):
        CliBackend().state("dev")


def test_an_encrypted_kubeconfig_is_decrypted_by_the_cli(cli: Path, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text("config:\n  lls:kubeconfig: {secure: v1:abc}\n")
    (cli / "config_get_lls:kubeconfig_--stack_x").write_text("contexts: []\n")
    stack = reveal(read_stack("x", tmp_path), ["lls:kubeconfig"])
    assert stack.get("kubeconfig") == "contexts: []"
    assert stack.secret_keys == {"lls:kubeconfig"}


def test_of_encrypted_values_those_are_decrypted_that_are_asked_for(cli: Path, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text(
        "config:\n  aws:secretKey: {secure: v1:a}\n  aws:defaultTags: {tags: {a: {secure: v1:b}}}\n"
        "  aws:assumeRoles: [{roleArn: arn:r, externalId: {secure: v1:c}}]\n"
    )
    (cli / "config_get_aws:secretKey_--stack_x").write_text("s3cret\n")
    (cli / "config_get_aws:assumeRoles_--stack_x").write_text('[{"roleArn":"arn:r","externalId":"x-1"}]\n')
    stack = reveal(read_stack("x", tmp_path), ["lls:kubeconfig", "aws:secretKey", "aws:assumeRoles"])
    assert stack.config == {
        "aws:secretKey": "s3cret",
        "aws:defaultTags": '{"tags":{"a":"[encrypted]"}}',
        "aws:assumeRoles": '[{"roleArn":"arn:r","externalId":"x-1"}]',
    }
    assert stack.secret_keys == stack.config.keys()


@pytest.mark.usefixtures("no_cli")
def test_a_stack_without_encrypted_values_needs_no_cli(tmp_path: Path) -> None:
    stack = Stack("x", {"aws:region": "us-west-2"})
    assert reveal(stack, ["lls:kubeconfig", "aws:region"]) == stack


def test_a_qualified_name_is_the_file_of_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {aws:region: us-west-2}\n")
    assert read_stack("org/lls/prod", tmp_path).config == {"aws:region": "us-west-2"}


def test_what_the_project_sets_for_every_stack_is_a_stacks_too_unless_it_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "config:\n  udpPort: {type: integer, default: 5004}\n"
        "  aws:region: {value: us-east-1}\n  aws:allowedAccountIds: {value: ['123456789012']}\n"
    )
    (tmp_path / "Pulumi.x.yaml").write_text("config: {aws:region: us-west-2}\n")
    told = {"aws:region": "us-west-2", "aws:allowedAccountIds": '["123456789012"]'}
    assert read_stack("x", tmp_path).config == told


# --- As the engine reads it

ENGINE: list[dict[str, str | None]] = json.loads(Path(__file__).with_name("engine_values.json").read_text())
"""What Pulumi's engine 3.260.0 makes of YAML as a key's value, in a list, in a mapping, or as a whole file.

Obtained from the real engine: each is what a program found of the key `p:k` in PULUMI_CONFIG, and null where the engine
refused the file.
"""

PLACES = {
    "top": "config:\n  p:k: {}\n",
    "list": "config:\n  p:k:\n    - {}\n",
    "mapping": "config:\n  p:k:\n    m: {}\n",
    "file": "{}",
}


def same(text: str) -> Any:
    """A value to compare by: JSON is the same in any order and spelling of its parts, anything else to the letter."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return cast(Any, value) if isinstance(value, dict | list) else text


def read(folder: Path, content: str) -> Mapping[str, str]:
    (folder / "Pulumi.x.yaml").write_text(content)
    return read_stack("x", folder).config


@pytest.mark.parametrize("row", ENGINE, ids=lambda row: f"{row['yaml']!r:.40}")
def test_a_stack_file_gives_what_the_engine_gives_and_is_refused_where_it_refuses(
    tmp_path: Path, row: Mapping[str, str | None]
) -> None:
    for place, expected in row.items():
        if place == "yaml":
            continue
        content = PLACES[place].replace("{}", row["yaml"] or "")
        if expected is None:
            with pytest.raises(StackError) as caught:
                read(tmp_path, content)
            assert re.fullmatch(r"Pulumi\.x\.yaml[^\n]+\.", str(caught.value)), place
        else:
            assert same(read(tmp_path, content)["p:k"]) == same(expected), place


@pytest.mark.parametrize(
    ("content", "given"),
    [
        ("", {}),
        ("config:\n", {}),
        ("config: {k: 1, lls:config:m: 2, other:k: 3}\n", {"lls:k": "1", "lls:m": "2", "other:k": "3"}),
        ("\ufeffencryptionsalt: v1\nconfig: {k: on}\n", {"lls:k": "on"}),
        ("--- \nconfig: {k: 1}\n---\nconfig: {k: 2}\n", {"lls:k": "1"}),
    ],
)
def test_a_key_without_a_namespace_is_the_projects_and_the_first_document_counts(
    tmp_path: Path, content: str, given: Mapping[str, str]
) -> None:
    assert read(tmp_path, content) == given


@pytest.mark.parametrize("content", ["config: x\n", "config: {a:b:c: 1}\n", "x\n", "config: {k: 1}\nconfig: {k: 2}\n"])
def test_a_file_that_is_no_stacks_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(StackError, match=r"\APulumi\.x\.yaml[^\n]+\.\Z"):
        read(tmp_path, content)


def test_without_libyaml_it_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = read(tmp_path, "config: {lls:k: [on, 1.0, 2026-01-02, '5', !!str 5, ~], m: {<<: {a: 1}}}\n")
    monkeypatch.setattr("lls.go_yaml.LOADER", yaml.SafeLoader)
    assert read(tmp_path, "config: {lls:k: [on, 1.0, 2026-01-02, '5', !!str 5, ~], m: {<<: {a: 1}}}\n") == given
    with pytest.raises(StackError, match=r"Pulumi\.x\.yaml is not YAML: line 1: "):
        read(tmp_path, "config: {")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("lls:clusterName: [demo]", "lls:clusterName must be one value"),
        ("udpPort: {port: 5}", "lls:udpPort must be one value"),
        ("allowedCidrs: 10.0.0.0/8", "lls:allowedCidrs must be a list"),
        ("targets:", "lls:targets must be a list"),
        ('lls:tags: \'{"a": "b"}\'', "lls:tags must be a mapping"),
    ],
)
def test_a_value_that_the_engine_refuses_for_its_declared_type_is_refused(
    tmp_path: Path, config: str, told: str
) -> None:
    with pytest.raises(StackError, match=rf"Pulumi\.x\.yaml: {told}"):
        read(tmp_path, f"config:\n  {config}\n")


def test_only_a_text_is_a_secret(tmp_path: Path) -> None:
    content = "config: {lls:k: {secure: v1:a}, lls:m: {secure: 5}, lls:n: {secure: v1:b, more: x}}\n"
    (tmp_path / "Pulumi.x.yaml").write_text(content)
    assert read_stack("x", tmp_path).secret_keys == {"lls:k"}


def test_what_the_project_sets_for_every_stack_may_stand_in_the_keys_place(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: lls\nconfig: {aws:region: us-east-1, aws:allowedAccountIds: ['123456789012'], udpPort: 5004}\n"
    )
    given = read(tmp_path, "config: {}\n")
    assert given == {"aws:region": "us-east-1", "aws:allowedAccountIds": '["123456789012"]'}


@pytest.mark.parametrize("content", [b"config: \xff\n", b"\x00", b"config: " + b"[" * 100_000])
def test_bytes_that_are_no_yaml_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Pulumi.x.yaml").write_bytes(content)
    with pytest.raises(StackError, match=r"\APulumi\.x\.yaml is not YAML: [^\n]+\.\Z"):
        read_stack("x", tmp_path)


@pytest.mark.parametrize("text", ["- a\n", "config: [a]\n"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text(text)
    with pytest.raises(StackError, match="has no mapping `config`"):
        read_stack("x", tmp_path)
