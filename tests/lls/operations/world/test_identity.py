"""What the operations do with each key of the AWS provider."""

import json
import re
from collections.abc import Generator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pulumi
import pytest
from botocore.exceptions import NoCredentialsError

from lls.operations.program.stack_file import PROJECT, Stack
from lls.operations.world.account import CLIENT_CONFIG, Account, AwsError, Caller
from lls.operations.world.identity import Identity, WrongAccountError
from lls.operations.world.provider_keys import HARMLESS, HONOURED, REFUSED, Role, read_settings
from rehearsal.aws.callers import KEY, WEB_IDENTITY, WEB_TOKEN
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import STACK, a_rehearsal, reached_by_network, session

ARN = "arn:aws:iam::123456789012:role/deploy"
BASE = Caller("123456789012", "arn:aws:sts::123456789012:assumed-role/rehearsal/session")
SERVICES = ("sts", "ec2", "eks", "elbv2", "ecr", "iam", "autoscaling", "service-quotas")


def told(secret_keys: frozenset[str] = frozenset(), **aws: Any) -> Stack:
    """A stack whose file tells the AWS provider these things."""
    values = {f"aws:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in aws.items()}
    return Stack("test", {**STACK, **values}, secret_keys)


def identity(**aws: Any) -> Identity:
    return Identity(read_settings(told(**aws)))


def account(**aws: Any) -> Account:
    return identity(**aws).account()


def problems(stack: Stack) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        read_settings(stack)
    head, *lines = str(caught.value).splitlines()
    assert head == "The operations cannot act as the AWS provider is told to (docs/identity.md):"
    return lines


@pytest.fixture(scope="module")
def rehearsal() -> Generator[Rehearsal]:
    with a_rehearsal() as rehearsal:
        yield rehearsal


@pytest.fixture
def world(rehearsal: Rehearsal) -> Generator[Rehearsal]:
    """The world, as the environment's credentials reach it."""
    rehearsal.aws.identities.asked.clear()
    with reached_by_network(rehearsal):
        yield rehearsal


@pytest.fixture
def env(world: Rehearsal) -> Generator[pytest.MonkeyPatch]:
    """Changes the environment, within the world's."""
    with pytest.MonkeyPatch.context() as env:
        yield env


def public(rehearsal: object) -> Mapping[str, object]:
    return {name: value for name, value in vars(rehearsal).items() if not name.startswith("_")}


def provider_keys() -> set[str]:
    source = files("pulumi_aws").joinpath("config/vars.py").read_text()
    return {f"aws:{key}" for key in re.findall(r"__config__\.get\w*\('(\w+)'\)", source)}


def test_every_key_of_the_provider_has_its_one_place() -> None:
    assert {*HONOURED} | HARMLESS | REFUSED.keys() == provider_keys()
    assert len(HONOURED) + len(HARMLESS) + len(REFUSED) == len(provider_keys())


# --- Plain stacks


@pytest.mark.parametrize("aws", [{}, {"profile": "prod"}, {"defaultTags": {"tags": {"a": "b"}}, "maxRetries": 3}])
def test_a_plain_stack_has_boto3s_own_session_and_clients(aws: Mapping[str, Any]) -> None:
    asked: list[Any] = []

    class Session:
        def __init__(self, **options: Any) -> None:
            asked.append(options)

        def client(self, service: str, **options: Any) -> Any:
            asked.append((service, public(options.pop("config")), options))

    with patch("boto3.Session", Session):
        account(**aws).client("ec2")
    assert asked == [
        {"profile_name": aws.get("profile"), "region_name": "us-west-2"},
        ("ec2", public(CLIENT_CONFIG), {}),
    ]


@pytest.mark.parametrize("aws", [{}, {"profile": "prod"}, {"endpoints": [{"sts": "https://x"}]}, {"insecure": True}])
def test_its_token_needs_nothing_more(aws: Mapping[str, Any], env: pytest.MonkeyPatch) -> None:
    env.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert identity(**aws).token_environment() == {}


def test_harmless_keys_are_left_to_the_provider_whatever_they_say() -> None:
    for key in HARMLESS:
        assert read_settings(Stack("test", {**STACK, key: "[encrypted]"}))


# --- Who


def test_the_stacks_keys_come_before_profile_and_environment(
    world: Rehearsal, env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env.setenv("AWS_ACCESS_KEY_ID", "AKIANOSUCH")
    (tmp_path / "config").write_text("[profile prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = x\n")
    env.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    world.aws.identities.add_key("AKIATEMP", "temporary")
    assert account(accessKey="AKIATEMP", secretKey="x", token="temporary", profile="prod").caller == BASE  # noqa: S106
    with pytest.raises(AwsError, match="does not accept the credentials"):
        _ = account(accessKey="AKIATEMP", secretKey="x").caller


@pytest.mark.parametrize("key", ["sharedConfigFiles", "sharedCredentialsFiles"])
@pytest.mark.parametrize("where", ["{folder}/own", "~/own", "$FOLDER/own"])
def test_a_profile_is_looked_for_in_the_stacks_own_files(
    key: str, where: str, world: Rehearsal, env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    head = "profile prod" if key == "sharedConfigFiles" else "prod"
    (tmp_path / "own").write_text(f"[{head}]\naws_access_key_id = {KEY}\naws_secret_access_key = x\n")
    env.setenv("HOME", str(tmp_path))
    env.setenv("FOLDER", str(tmp_path))
    env.setenv("AWS_ACCESS_KEY_ID", "AKIANOSUCH")
    aws: Any = {key: [where.format(folder=tmp_path)], "profile": "prod"}
    assert account(**aws).caller == BASE
    name = "AWS_CONFIG_FILE" if key == "sharedConfigFiles" else "AWS_SHARED_CREDENTIALS_FILE"
    environment = identity(**aws).token_environment()
    assert (environment[name], environment["AWS_ACCESS_KEY_ID"]) == (str(tmp_path / "own"), KEY)


def test_a_relative_path_is_one_below_the_project_where_the_provider_runs() -> None:
    [problem] = problems(told(sharedConfigFiles=["nosuch"]))
    assert problem == '  aws:sharedConfigFiles[0] = "nosuch": there is no such file'
    assert identity(customCaBundle="README.md")
    assert not (Path.cwd() / "README.md").exists()


def test_a_profile_comes_before_keys_of_the_environment_in_the_token_too(
    world: Rehearsal, env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = x\n")
    env.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with patch("boto3.Session", boto3.Session):
        assert identity(profile="prod").token_environment()["AWS_ACCESS_KEY_ID"] == "AKIAPROD"


def test_instance_metadata_is_no_source_where_the_provider_skips_it() -> None:
    def sources(**aws: Any) -> list[str]:
        made: list[Any] = []

        def keep(**options: Any) -> Any:
            made.append(session(**options))
            return made[0]

        with patch("boto3.Session", keep):
            account(**aws).client("sts")
        resolver = made[0]._session.get_component("credential_provider")
        return [provider.METHOD for provider in resolver.providers]

    assert "iam-role" in sources()
    assert "iam-role" in sources(skipMetadataApiCheck=False)
    assert "iam-role" not in sources(skipMetadataApiCheck=True)


FULL: Mapping[str, Any] = {
    "sessionName": "ci-1",
    "externalId": "x-1",
    "duration": "0.5h10m",
    "policy": '{"Statement": []}',
    "policyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    "sourceIdentity": "me",
    "tags": {"team": "sim"},
    "transitiveTagKeys": ["team"],
}


def test_everything_that_a_role_has_is_asked_for(world: Rehearsal) -> None:
    role = world.aws.identities.add_role("full", external_id="x-1")
    caller = account(assumeRoles=[{"roleArn": role, **FULL}]).caller
    assert caller.arn == "arn:aws:sts::123456789012:assumed-role/full/ci-1"
    [asked] = world.aws.identities.asked
    assert asked == {
        "RoleArn": role,
        "RoleSessionName": "ci-1",
        "ExternalId": "x-1",
        "DurationSeconds": 2400,
        "Policy": '{"Statement": []}',
        "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
        "SourceIdentity": "me",
        "Tags": [{"Key": "team", "Value": "sim"}],
        "TransitiveTagKeys": ["team"],
    }


def test_what_a_role_leaves_open_is_left_to_aws(world: Rehearsal) -> None:
    role = world.aws.identities.add_role("bare")
    _ = account(assumeRoles=[{"roleArn": role}]).caller
    assert world.aws.identities.asked == [{"RoleArn": role, "RoleSessionName": "lls"}]


def test_everything_that_a_web_identitys_role_has_is_asked_for(world: Rehearsal) -> None:
    role = world.aws.identities.add_role("web", trusts=WEB_IDENTITY)
    names = ("sessionName", "duration", "policy", "policyArns")
    own = {name: FULL[name] for name in names} | {"roleArn": role, "webIdentityToken": WEB_TOKEN}
    assert account(assumeRoleWithWebIdentity=own).caller.arn.endswith(":assumed-role/web/ci-1")
    [asked] = world.aws.identities.asked
    assert asked == {
        "RoleArn": role,
        "RoleSessionName": "ci-1",
        "WebIdentityToken": WEB_TOKEN,
        "DurationSeconds": 2400,
        "Policy": '{"Statement": []}',
        "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), (".5h", 1800), ("900000ms", 900)]
)
def test_durations_are_gos(text: str, seconds: int, world: Rehearsal) -> None:
    role = Role.model_validate({"roleArn": ARN, "duration": text})
    assert role.request()["DurationSeconds"] == seconds


def test_a_session_is_renewed_before_it_ends(world: Rehearsal, env: pytest.MonkeyPatch) -> None:
    first, second = (world.aws.identities.add_role(f"renewed-{number}") for number in (1, 2))
    env.setattr(world.aws.identities, "session_seconds", 50)
    rehearsal = account(assumeRoles=[{"roleArn": first}, {"roleArn": second}])
    rehearsal.call("ec2", "describe_vpcs")
    world.aws.identities.end_sessions()
    rehearsal.call("ec2", "describe_vpcs")


def test_a_lasting_session_is_asked_for_once(world: Rehearsal) -> None:
    rehearsal = account(assumeRoles=[{"roleArn": world.aws.identities.add_role("lasting")}])
    for _ in range(3):
        rehearsal.call("ec2", "describe_vpcs")
        rehearsal.call("sts", "get_caller_identity")
    assert len(world.aws.identities.asked) == 1


def test_a_renewed_session_is_the_tokens_too(world: Rehearsal, env: pytest.MonkeyPatch) -> None:
    env.setattr(world.aws.identities, "session_seconds", 50)
    rehearsal = identity(assumeRoles=[{"roleArn": world.aws.identities.add_role("token")}])
    assert rehearsal.token_environment()["AWS_ACCESS_KEY_ID"] != rehearsal.token_environment()["AWS_ACCESS_KEY_ID"]


def test_the_token_is_of_the_last_role_and_of_no_older_session(world: Rehearsal) -> None:
    role = world.aws.identities.add_role("last")
    environment = identity(assumeRoles=[{"roleArn": role, "sessionName": "ci"}]).token_environment()
    holder = world.aws.identities.holder(environment["AWS_ACCESS_KEY_ID"])
    assert holder
    assert holder.arn == "arn:aws:sts::123456789012:assumed-role/last/ci"
    assert environment["AWS_SESSION_TOKEN"] == holder.token
    assert environment["AWS_CREDENTIAL_EXPIRATION"] == ""


# --- Who may not


def test_a_role_that_is_not_to_be_had_is_one_sentence_with_the_call(world: Rehearsal) -> None:
    with pytest.raises(AwsError) as caught:
        account(assumeRoles=[{"roleArn": ARN}]).call("ec2", "describe_vpcs")
    assert str(caught.value) == (
        f"AWS denied sts:AssumeRole: User: {BASE.arn} is not authorized to perform: sts:AssumeRole on resource: {ARN}. "
        "Allow it to this identity."
    )
    assert caught.value.denied


def test_a_token_that_nobody_knows_is_one_sentence(world: Rehearsal, tmp_path: Path) -> None:
    forged = tmp_path / "token"
    forged.write_text("forged")
    rehearsal = account(assumeRoleWithWebIdentity={"roleArn": ARN, "webIdentityTokenFile": str(forged)})
    with pytest.raises(AwsError, match="sts:AssumeRoleWithWebIdentity failed with InvalidIdentityToken"):
        _ = rehearsal.caller
    forged.unlink()
    with pytest.raises(AwsError, match="sts:AssumeRoleWithWebIdentity failed with FileNotFoundError"):
        _ = rehearsal.caller


def test_without_credentials_to_assume_a_role_with_the_usual_sentence_says_so(
    world: Rehearsal, env: pytest.MonkeyPatch
) -> None:
    env.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AwsError, match="Check `aws sts get-caller-identity`") as caught:
        _ = account(assumeRoles=[{"roleArn": ARN}]).caller
    assert caught.value.code == NoCredentialsError.__name__


def test_the_account_is_checked_before_anything_else_is_asked(world: Rehearsal) -> None:
    rehearsal = account(allowedAccountIds=["210987654321", "111111111111"])
    world.aws.calls.clear()
    for ask in (lambda: rehearsal.call("ec2", "describe_vpcs"), lambda: rehearsal.client("ecr")):
        with pytest.raises(WrongAccountError) as caught:
            ask()
    assert set(world.aws.calls) == {"sts:GetCallerIdentity"}
    assert str(caught.value) == (
        "aws:allowedAccountIds = 210987654321, 111111111111: the AWS credentials are of account 123456789012 "
        f"({BASE.arn}). Use those of an account that the stack allows, or change aws:allowedAccountIds."
    )


def test_an_allowed_account_is_asked_for_once(world: Rehearsal) -> None:
    rehearsal = account(allowedAccountIds=["123456789012"], forbiddenAccountIds=["210987654321"])
    world.aws.calls.clear()
    rehearsal.call("ec2", "describe_vpcs")
    rehearsal.call("ec2", "describe_vpcs")
    assert world.aws.calls.count("sts:GetCallerIdentity") == 1


# --- Where


def endpoints(**aws: Any) -> Mapping[str, str]:
    rehearsal = account(**aws)
    with patch("boto3.Session", session):
        return {service: rehearsal.client(service).meta.endpoint_url for service in SERVICES}


PLAIN = {
    "sts": "https://sts.us-west-2.amazonaws.com",
    "ec2": "https://ec2.us-west-2.amazonaws.com",
    "eks": "https://eks.us-west-2.amazonaws.com",
    "elbv2": "https://elasticloadbalancing.us-west-2.amazonaws.com",
    "ecr": "https://api.ecr.us-west-2.amazonaws.com",
    "iam": "https://iam.amazonaws.com",
    "autoscaling": "https://autoscaling.us-west-2.amazonaws.com",
    "service-quotas": "https://servicequotas.us-west-2.amazonaws.com",
}


def test_without_a_word_endpoints_are_awss() -> None:
    assert endpoints() == PLAIN


@pytest.mark.parametrize(
    ("name", "service"),
    [
        *((service.replace("-", ""), service) for service in SERVICES),
        ("elasticloadbalancingv2", "elbv2"),
        ("elb", None),
        ("elasticloadbalancing", None),
        ("s3", None),
    ],
)
def test_an_endpoint_is_its_services_own(name: str, service: str | None) -> None:
    changed = {service: "https://own.example"} if service else {}
    assert endpoints(endpoints=[{name: "https://own.example", "lambda": "https://x"}]) == PLAIN | changed
    assert endpoints(endpoints=[{name: ""}]) == PLAIN


def test_sts_has_its_own_region() -> None:
    assert endpoints(stsRegion="eu-west-1") == PLAIN | {"sts": "https://sts.eu-west-1.amazonaws.com"}


def test_fips_and_dual_stack_endpoints_are_used_except_for_services_with_an_endpoint_of_their_own() -> None:
    fips = endpoints(useFipsEndpoint=True, endpoints=[{"ec2": "https://own.example"}])
    assert fips["ec2"] == "https://own.example"
    assert fips["eks"] == "https://fips.eks.us-west-2.amazonaws.com"
    assert endpoints(useDualstackEndpoint=True)["ec2"] == "https://ec2.us-west-2.api.aws"
    assert endpoints(useFipsEndpoint=False, useDualstackEndpoint=False) == PLAIN


def test_a_role_is_assumed_at_the_stacks_own_endpoint(rehearsal: Rehearsal, env: pytest.MonkeyPatch) -> None:
    env.delenv("AWS_ENDPOINT_URL")
    role = rehearsal.aws.identities.add_role("endpoint")
    asked = {
        "assumeRoles": [{"roleArn": role}],
        "endpoints": [{"sts": rehearsal.aws.endpoint}],
        "stsRegion": "eu-west-1",
    }
    assert account(**asked).caller.arn.endswith(":assumed-role/endpoint/lls")


def test_certificates_are_checked_against_the_stacks_own_bundle_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def verify(**aws: Any) -> object:
        client = account(**aws).client("sts")
        return client._endpoint.http_session._verify

    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    with patch("boto3.Session", session):
        assert verify() is True
        assert verify(customCaBundle=str(bundle)) == str(bundle)
        assert verify(insecure=True) is False


# --- What is refused


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_cannot_be_honoured_is_refused_by_name_with_the_remedy_and_without_its_value(key: str) -> None:
    stack = Stack("test", {**STACK, key: "http://me:secret@proxy"})
    remedy = f"unset it, and set {REFUSED[key]} in the environment, which the provider reads too"
    assert problems(stack) == [f"  {key}: {remedy}"]


@pytest.mark.parametrize(
    ("aws", "problem"),
    [
        (
            {"assumeRole": {"roleArn": ARN}},
            "  aws:assumeRole: the AWS provider has no such key (did you mean aws:assumeRoles?). "
            "Remove it: pulumi config rm aws:assumeRole",
        ),
        (
            {"zzz": "1"},
            "  aws:zzz: the AWS provider has no such key. Remove it: pulumi config rm aws:zzz",
        ),
        (
            {"accessKey": "AKIA1"},
            "  aws:accessKey: set aws:accessKey and aws:secretKey, and aws:token with temporary ones, or none",
        ),
        (
            {"token": "t"},
            "  aws:token: set aws:accessKey and aws:secretKey, and aws:token with temporary ones, or none",
        ),
        (
            {
                "accessKey": "AKIA1",
                "secretKey": "x",
                "assumeRoleWithWebIdentity": {"roleArn": ARN, "webIdentityToken": "t"},
            },
            "  aws:assumeRoleWithWebIdentity: the provider ignores it beside aws:accessKey. Remove one of them",
        ),
        (
            {"assumeRoleWithWebIdentity": {"roleArn": ARN}},
            "  aws:assumeRoleWithWebIdentity = [secret]: give it a webIdentityToken or a webIdentityTokenFile",
        ),
        (
            {"assumeRoles": [{"sessionName": "x"}]},
            "  aws:assumeRoles[0].roleArn: set it",
        ),
        (
            {"assumeRoles": [{"roleArn": "deploy"}]},
            '  aws:assumeRoles[0].roleArn = "deploy": use a role\'s ARN, such as arn:aws:iam::123456789012:role/deploy',
        ),
        (
            {"region": "us-gov-west-1", "assumeRoles": [{"roleArn": "deploy"}]},
            '  aws:assumeRoles[0].roleArn = "deploy": use a role\'s ARN, such as '
            "arn:aws-us-gov:iam::123456789012:role/deploy",
        ),
        (
            {"assumeRoles": [{"roleArn": ARN, "duration": "10m"}]},
            '  aws:assumeRoles[0].duration = "10m": use 15m to 12h',
        ),
        (
            {"assumeRoles": [{"roleArn": ARN, "duration": 3600}]},
            "  aws:assumeRoles[0].duration = 3600: use a duration such as 1h or 1h30m",
        ),
        (
            {"assumeRoles": [{"roleArn": ARN, "policy": "no"}]},
            '  aws:assumeRoles[0].policy = "no": use an IAM policy, as JSON',
        ),
        (
            {"assumeRoles": [{"roleArn": ARN, "durationSeconds": "3600"}]},
            '  aws:assumeRoles[0].durationSeconds = "3600": the provider has no such property',
        ),
        (
            {"assumeRoles": [{"roleArn": ARN, "externalId": 7}]},
            '  aws:assumeRoles[0].externalId = [secret]: use a text: put it in quotes, as in "5"',
        ),
        (
            {"assumeRoles": "arn:x"},
            "  aws:assumeRoles = [secret]: give a list or an object, as the provider's documentation shows it",
        ),
        ({"allowedAccountIds": [12]}, '  aws:allowedAccountIds[0] = 12: use a text: put it in quotes, as in "5"'),
        ({"forbiddenAccountIds": ["12"]}, '  aws:forbiddenAccountIds[0] = "12": use 12 digits, in quotes'),
        ({"endpoints": [{"ec2": "own.example"}]}, '  aws:endpoints[0].ec2 = "own.example": use a URL: https://HOST'),
        (
            {"endpoints": [{"sso": "https://x"}]},
            "  aws:endpoints[0]: leave sso out, and set AWS_ENDPOINT_URL_SSO in the environment, "
            "which the provider reads too",
        ),
        (
            {"sharedCredentialsFiles": ["LICENSE", "LICENSE"]},
            '  aws:sharedCredentialsFiles = ["LICENSE", "LICENSE"]: name one file, since boto3 reads one',
        ),
        ({"customCaBundle": "nosuch.pem"}, '  aws:customCaBundle = "nosuch.pem": there is no such file'),
        ({"useFipsEndpoint": "perhaps"}, '  aws:useFipsEndpoint = "perhaps": use true or false'),
    ],
)
def test_each_problem_is_one_line(aws: Mapping[str, Any], problem: str) -> None:
    assert problems(told(**aws)) == [problem]


def test_all_problems_are_told_at_once() -> None:
    found = problems(told(noProxy="x", zzz="1", accessKey="AKIA1", allowedAccountIds=["1"], stsRegion="x"))
    assert [problem.partition(":")[2].partition(":")[0].partition(" ")[0] for problem in found] == [
        "noProxy",
        "zzz",
        "accessKey",
        "allowedAccountIds[0]",
    ]


def test_the_value_of_an_encrypted_key_is_not_told() -> None:
    stack = told(frozenset({"aws:customCaBundle"}), customCaBundle="nosuch.pem")
    assert problems(stack) == ["  aws:customCaBundle = [secret]: there is no such file"]


def test_an_empty_value_is_none() -> None:
    assert identity(accessKey="", httpProxy="", assumeRoles="")


# --- Where it is written down


def listed(heading: str) -> list[str]:
    """What stands in backquotes below a heading: in first cells of its table, or in its text where it has none."""
    page = (PROJECT / "docs" / "identity.md").read_text()
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return [f"aws:{key}" for key in re.findall(r"`([^`]+)`", "".join(cells) or section)]


@pytest.mark.parametrize(
    ("heading", "keys"), [("Honoured", {*HONOURED}), ("Harmless", HARMLESS), ("Refused", REFUSED.keys())]
)
def test_the_page_lists_each_key_in_its_place(heading: str, keys: set[str]) -> None:
    assert sorted(listed(heading)) == sorted(keys)


def test_the_page_tells_the_remedies() -> None:
    page = (PROJECT / "docs" / "identity.md").read_text()
    assert all(f"| `{key.removeprefix('aws:')}` | `{variable}` |" in page for key, variable in REFUSED.items())
