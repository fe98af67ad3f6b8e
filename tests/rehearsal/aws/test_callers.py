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

from rehearsal.aws.callers import KEY, WEB_IDENTITY, WEB_TOKEN
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import a_rehearsal

OTHER = "210987654321"
BASE = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"


@pytest.fixture(scope="module")
def rehearsal() -> Generator[Rehearsal]:
    with a_rehearsal() as rehearsal:
        yield rehearsal


def client(rehearsal: Rehearsal, service: str, keys: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A client with the keys that an answer of STS holds."""
    given = keys or {"AccessKeyId": KEY, "SecretAccessKey": KEY}
    return boto3.client(  # pyright: ignore[reportUnknownMemberType, reportCallIssue, reportUnknownVariableType]
        service,  # pyright: ignore[reportArgumentType]
        region_name="us-west-2",
        endpoint_url=rehearsal.aws.endpoint,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given.get("SessionToken"),
        **options,
    )


def assume(rehearsal: Rehearsal, role: str, keys: Mapping[str, str] | None = None, **asked: Any) -> Mapping[str, str]:
    return client(rehearsal, "sts", keys).assume_role(**{"RoleArn": role, "RoleSessionName": "me", **asked})[
        "Credentials"
    ]


def arn(rehearsal: Rehearsal, keys: Mapping[str, str] | None = None) -> str:
    return client(rehearsal, "sts", keys).get_caller_identity()["Arn"]


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response.get("Error", {}).get("Code", "")


def test_the_base_key_is_the_base_role(rehearsal: Rehearsal) -> None:
    assert arn(rehearsal) == BASE


def test_an_assumed_role_has_its_own_arn_and_sees_its_own_account(rehearsal: Rehearsal) -> None:
    keys = assume(rehearsal, rehearsal.aws.identities.add_role("far", account=OTHER))
    identity = client(rehearsal, "sts", keys).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (OTHER, f"arn:aws:sts::{OTHER}:assumed-role/far/me")
    assert client(rehearsal, "ec2", keys).describe_instances()["Reservations"] == []
    assert code_of(lambda: client(rehearsal, "eks", keys).describe_cluster(name="demo")) == "ResourceNotFoundException"
    assert client(rehearsal, "ec2").describe_instances()["Reservations"]


def test_roles_are_assumed_one_from_the_other(rehearsal: Rehearsal) -> None:
    first = rehearsal.aws.identities.add_role("first", account=OTHER)
    second = rehearsal.aws.identities.add_role("second", trusts=first)
    assert code_of(lambda: assume(rehearsal, second)) == "AccessDenied"
    assert (
        arn(rehearsal, assume(rehearsal, second, assume(rehearsal, first)))
        == "arn:aws:sts::123456789012:assumed-role/second/me"
    )


@pytest.mark.parametrize("asked", [{}, {"ExternalId": "wrong"}])
def test_a_wrong_external_id_is_denied_as_a_role_that_is_not_there(rehearsal: Rehearsal, asked: dict[str, Any]) -> None:
    role = rehearsal.aws.identities.add_role(f"guarded{len(asked)}", external_id="right")
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole on resource: " + role):
        assume(rehearsal, role, **asked)
    assert code_of(lambda: assume(rehearsal, "arn:aws:iam::123456789012:role/nosuch")) == "AccessDenied"
    assert assume(rehearsal, role, ExternalId="right")


def test_what_sts_does_not_take_is_refused(rehearsal: Rehearsal) -> None:
    role = rehearsal.aws.identities.add_role("short")
    for asked in ({"DurationSeconds": 3601}, {"DurationSeconds": 43201}, {"RoleSessionName": "a b"}):
        assert code_of(partial(assume, rehearsal, role, **asked)) == "ValidationError"
    assert code_of(lambda: assume(rehearsal, "arn:aws:iam::12:role/this-is-no-account")) == "ValidationError"


def test_a_web_identity_needs_no_key_but_its_own_token(rehearsal: Rehearsal) -> None:
    role = rehearsal.aws.identities.add_role("web", trusts=WEB_IDENTITY)
    unsigned = client(rehearsal, "sts", config=Config(signature_version=UNSIGNED))  # pyright: ignore[reportArgumentType]
    asked = {"RoleArn": role, "RoleSessionName": "me", "WebIdentityToken": WEB_TOKEN}
    keys = unsigned.assume_role_with_web_identity(**asked)["Credentials"]
    assert arn(rehearsal, keys) == "arn:aws:sts::123456789012:assumed-role/web/me"
    wrong = asked | {"WebIdentityToken": "forged"}
    assert code_of(lambda: unsigned.assume_role_with_web_identity(**wrong)) == "InvalidIdentityToken"
    other = asked | {"RoleArn": rehearsal.aws.identities.add_role("no-web")}
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
def test_an_unknown_key_is_nobody(rehearsal: Rehearsal, service: str, operation: str, code: str) -> None:
    assert code_of(getattr(client(rehearsal, service, UNKNOWN), operation)) == code


def test_a_key_without_its_session_token_is_nobody(rehearsal: Rehearsal) -> None:
    keys = assume(rehearsal, rehearsal.aws.identities.add_role("tokens"))
    assert code_of(lambda: arn(rehearsal, {**keys, "SessionToken": "other"})) == "InvalidClientTokenId"


def test_sessions_end(rehearsal: Rehearsal) -> None:
    role = rehearsal.aws.identities.add_role("ending")
    keys = assume(rehearsal, role)
    rehearsal.aws.identities.end_sessions()
    assert code_of(lambda: arn(rehearsal, keys)) == "ExpiredToken"
    assert arn(rehearsal, assume(rehearsal, role))
    assert arn(rehearsal) == BASE


def test_a_refusal_names_who_called(rehearsal: Rehearsal) -> None:
    keys = assume(rehearsal, rehearsal.aws.identities.add_role("reader"))
    with (
        rehearsal.aws.refuse("ec2:DescribeVpcs", "AccessDenied"),
        pytest.raises(ClientError, match="assumed-role/reader/me"),
    ):
        client(rehearsal, "ec2", keys).describe_vpcs()


def test_the_cluster_lets_in_whose_role_has_an_access_entry(rehearsal: Rehearsal) -> None:
    identities, cluster = rehearsal.aws.identities, rehearsal.cluster
    role = identities.add_role("gpu")
    keys = assume(rehearsal, role)
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


def test_the_aws_command_signs_by_the_environments_key_and_for_the_role(rehearsal: Rehearsal) -> None:
    words = ["aws", "--region", "us-west-2", "eks", "get-token", "--cluster-name", "demo", "--output", "json"]

    def token(*more: str, **environment: str) -> str:
        env = {"PATH": f"{rehearsal.commands}:/usr/bin:/bin", **environment}
        return subprocess.run([*words, *more], env=env, capture_output=True, text=True, check=True).stdout  # noqa: S603

    assert f'|{KEY}|"' in token()
    assert '|AKIA1|"' in token(AWS_ACCESS_KEY_ID="AKIA1")
    assert f'|{KEY}|arn:r"' in token("--role-arn", "arn:r", "--x")
