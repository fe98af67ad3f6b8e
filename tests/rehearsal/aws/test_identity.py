"""The emulated AWS tells its callers apart by their access keys, as AWS does."""

import subprocess
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from rehearsal.aws.identity import KEY, WEB_IDENTITY, WEB_TOKEN
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import a_rehearsal

OTHER = "210987654321"
BASE = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"


@pytest.fixture(scope="module")
def it() -> Generator[Rehearsal]:
    with a_rehearsal() as it:
        yield it


def client(it: Rehearsal, service: str, keys: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A client with the keys that an answer of STS holds."""
    given = keys or {"AccessKeyId": KEY, "SecretAccessKey": KEY}
    return boto3.client(  # pyright: ignore[reportUnknownMemberType, reportCallIssue, reportUnknownVariableType]
        service,  # pyright: ignore[reportArgumentType]
        region_name="us-west-2",
        endpoint_url=it.aws.endpoint,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given.get("SessionToken"),
        **options,
    )


def assume(it: Rehearsal, role: str, keys: Mapping[str, str] | None = None, **asked: Any) -> Mapping[str, str]:
    return client(it, "sts", keys).assume_role(**{"RoleArn": role, "RoleSessionName": "me", **asked})["Credentials"]


def arn(it: Rehearsal, keys: Mapping[str, str] | None = None) -> str:
    return client(it, "sts", keys).get_caller_identity()["Arn"]


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response.get("Error", {}).get("Code", "")


def test_the_base_key_is_the_base_role(it: Rehearsal) -> None:
    assert arn(it) == BASE


def test_an_assumed_role_has_its_own_arn_and_sees_its_own_account(it: Rehearsal) -> None:
    keys = assume(it, it.aws.identities.add_role("far", account=OTHER))
    identity = client(it, "sts", keys).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (OTHER, f"arn:aws:sts::{OTHER}:assumed-role/far/me")
    assert client(it, "ec2", keys).describe_instances()["Reservations"] == []
    assert code_of(lambda: client(it, "eks", keys).describe_cluster(name="demo")) == "ResourceNotFoundException"
    assert client(it, "ec2").describe_instances()["Reservations"]


def test_roles_are_assumed_one_from_the_other(it: Rehearsal) -> None:
    first = it.aws.identities.add_role("first", account=OTHER)
    second = it.aws.identities.add_role("second", trusts=first)
    assert code_of(lambda: assume(it, second)) == "AccessDenied"
    assert arn(it, assume(it, second, assume(it, first))) == "arn:aws:sts::123456789012:assumed-role/second/me"


@pytest.mark.parametrize("asked", [{}, {"ExternalId": "wrong"}])
def test_a_wrong_external_id_is_denied_as_a_role_that_is_not_there(it: Rehearsal, asked: dict[str, Any]) -> None:
    role = it.aws.identities.add_role(f"guarded{len(asked)}", external_id="right")
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole on resource: " + role):
        assume(it, role, **asked)
    assert code_of(lambda: assume(it, "arn:aws:iam::123456789012:role/nosuch")) == "AccessDenied"
    assert assume(it, role, ExternalId="right")


def test_what_sts_does_not_take_is_refused(it: Rehearsal) -> None:
    role = it.aws.identities.add_role("short")
    for asked in ({"DurationSeconds": 3601}, {"DurationSeconds": 43201}, {"RoleSessionName": "a b"}):
        assert code_of(partial(assume, it, role, **asked)) == "ValidationError"
    assert code_of(lambda: assume(it, "arn:aws:iam::12:role/this-is-no-account")) == "ValidationError"


def test_a_web_identity_needs_no_key_but_its_own_token(it: Rehearsal) -> None:
    role = it.aws.identities.add_role("web", trusts=WEB_IDENTITY)
    unsigned = client(it, "sts", config=Config(signature_version=UNSIGNED))  # pyright: ignore[reportArgumentType]
    asked = {"RoleArn": role, "RoleSessionName": "me", "WebIdentityToken": WEB_TOKEN}
    keys = unsigned.assume_role_with_web_identity(**asked)["Credentials"]
    assert arn(it, keys) == "arn:aws:sts::123456789012:assumed-role/web/me"
    wrong = asked | {"WebIdentityToken": "forged"}
    assert code_of(lambda: unsigned.assume_role_with_web_identity(**wrong)) == "InvalidIdentityToken"
    other = asked | {"RoleArn": it.aws.identities.add_role("no-web")}
    assert code_of(lambda: unsigned.assume_role_with_web_identity(**other)) == "AccessDenied"


UNKNOWN = {"AccessKeyId": "AKIANOSUCH", "SecretAccessKey": "x"}


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("elbv2", "describe_load_balancers", "InvalidClientTokenId"),
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("eks", "list_clusters", "UnrecognizedClientException"),
        ("ecr", "describe_repositories", "UnrecognizedClientException"),
    ],
)
def test_an_unknown_key_is_nobody(it: Rehearsal, service: str, operation: str, code: str) -> None:
    assert code_of(getattr(client(it, service, UNKNOWN), operation)) == code


def test_a_key_without_its_session_token_is_nobody(it: Rehearsal) -> None:
    keys = assume(it, it.aws.identities.add_role("tokens"))
    assert code_of(lambda: arn(it, {**keys, "SessionToken": "other"})) == "InvalidClientTokenId"


def test_sessions_end(it: Rehearsal) -> None:
    role = it.aws.identities.add_role("ending")
    keys = assume(it, role)
    it.aws.identities.end_sessions()
    assert code_of(lambda: arn(it, keys)) == "ExpiredToken"
    assert arn(it, assume(it, role))
    assert arn(it) == BASE


def test_a_refusal_names_who_called(it: Rehearsal) -> None:
    keys = assume(it, it.aws.identities.add_role("reader"))
    with it.aws.refuse("ec2:DescribeVpcs", "AccessDenied"), pytest.raises(ClientError, match="assumed-role/reader/me"):
        client(it, "ec2", keys).describe_vpcs()


def test_the_cluster_lets_in_whose_role_has_an_access_entry(it: Rehearsal) -> None:
    identities, cluster = it.aws.identities, it.cluster
    role = identities.add_role("gpu")
    keys = assume(it, role)
    assert cluster.admits(KEY, "")
    assert not cluster.admits(keys["AccessKeyId"], "")
    assert not cluster.admits(KEY, role)
    assert not cluster.admits("AKIANOSUCH", "")
    cluster.roles.add(role)
    assert cluster.admits(keys["AccessKeyId"], "")
    assert cluster.admits(KEY, role)
    assert cluster.guests == {BASE, f"{BASE[:-17]}gpu/me", f"{BASE[:-17]}gpu/EKSGetTokenAuth"}
    identities.end_sessions()
    assert not cluster.admits(keys["AccessKeyId"], "")


def test_the_aws_command_signs_by_the_environments_key_and_for_the_role(it: Rehearsal) -> None:
    words = ["aws", "--region", "us-west-2", "eks", "get-token", "--cluster-name", "demo", "--output", "json"]

    def token(*more: str, **environment: str) -> str:
        env = {"PATH": f"{it.commands}:/usr/bin:/bin", **environment}
        return subprocess.run([*words, *more], env=env, capture_output=True, text=True, check=True).stdout  # noqa: S603

    assert f'|{KEY}|"' in token()
    assert '|AKIA1|"' in token(AWS_ACCESS_KEY_ID="AKIA1")
    assert f'|{KEY}|arn:r"' in token("--role-arn", "arn:r", "--x")
