import json
import os
from pathlib import Path
from typing import Any

import pytest

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
        "aws:defaultTags": '{"tags": {"a": "[encrypted]"}}',
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


@pytest.mark.parametrize("text", ["- a\n", "config: [a]\n"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text(text)
    with pytest.raises(StackError, match="has no mapping `config`"):
        read_stack("x", tmp_path)
