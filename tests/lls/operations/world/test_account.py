import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from lls.operations.world.account import Account, AwsError
from tests.support.silent import silent_server


def making(client: Any) -> Callable[..., Any]:
    """What makes that client, whatever service and region it is for."""

    def make(service: str, region_name: str = "") -> Any:
        client.region = region_name
        return client

    return make


def account(failure: Exception) -> Account:
    """An account whose every call fails so."""

    def fail(**_: Any) -> Any:
        raise failure

    meta = SimpleNamespace(
        service_model=SimpleNamespace(signing_name="ec2"), method_to_api_mapping={"describe_vpcs": "DescribeVpcs"}
    )

    def can_paginate(operation: str) -> bool:
        return False

    client = SimpleNamespace(meta=meta, describe_vpcs=fail, can_paginate=can_paginate)
    return Account(making(client))


def refusal(code: str, message: str = "because") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeVpcs")


def once(rehearsal: Account) -> object:
    return rehearsal.call("ec2", "describe_vpcs")


def page_by_page(rehearsal: Account) -> object:
    return list(rehearsal.every("ec2", "describe_vpcs", "Vpcs"))


CAUSES: dict[str, tuple[Exception, str]] = {
    "denied": (
        refusal("UnauthorizedOperation", "You are not authorized.\n  Ask."),
        "AWS denied ec2:DescribeVpcs: You are not authorized. Ask. Allow it to this identity.",
    ),
    "expired": (
        refusal("ExpiredToken"),
        "The AWS credentials have expired (at ec2:DescribeVpcs): because. Log in again, then run this again.",
    ),
    "throttled": (
        refusal("RequestLimitExceeded"),
        "AWS throttled ec2:DescribeVpcs, 4 times: because. Run this again later.",
    ),
    "invalid": (
        refusal("AuthFailure"),
        "AWS does not accept the credentials (at ec2:DescribeVpcs): because. Check `aws sts get-caller-identity`.",
    ),
    "held": (
        refusal("AuthFailure", "You do not have permission to access the specified resource."),
        "ec2:DescribeVpcs failed with AuthFailure: You do not have permission to access the specified resource: "
        "something of AWS's own, such as the network interface of a load balancer or a NAT gateway, still holds it. "
        "Run this again later.",
    ),
    "missing": (
        NoCredentialsError(),
        "AWS does not accept the credentials (at ec2:DescribeVpcs): Unable to locate credentials. "
        "Check `aws sts get-caller-identity`.",
    ),
    "unreachable": (
        EndpointConnectionError(endpoint_url="https://x"),
        'ec2:DescribeVpcs failed with EndpointConnectionError: Could not connect to the endpoint URL: "https://x".',
    ),
    "other": (refusal("InvalidVpcID.NotFound"), "ec2:DescribeVpcs failed with InvalidVpcID.NotFound: because."),
}


@pytest.mark.parametrize(("failure", "sentence"), CAUSES.values(), ids=list(CAUSES))
@pytest.mark.parametrize("ask", [once, page_by_page])
def test_each_failure_is_one_sentence_with_the_action(
    failure: Exception, sentence: str, ask: Callable[[Account], object]
) -> None:
    with pytest.raises(AwsError) as caught:
        ask(account(failure))
    assert str(caught.value) == sentence


def test_a_denial_can_be_told_from_other_failures() -> None:
    with pytest.raises(AwsError) as caught:
        account(refusal("AccessDenied")).call("ec2", "describe_vpcs")
    assert caught.value.denied
    assert caught.value.action == "ec2:DescribeVpcs"


def test_an_unknown_profile_names_the_key() -> None:
    def client(service: str) -> Any:
        raise ProfileNotFound(profile="prod")

    with pytest.raises(AwsError, match=r"The config profile \(prod\) could not be found. Set aws:profile"):
        Account(client).call("ec2", "describe_vpcs")


def test_an_endpoint_that_never_answers_is_one_sentence_and_not_asked_again() -> None:
    quickly = Config(read_timeout=0.1, retries={"total_max_attempts": 1}, signature_version=UNSIGNED)  # pyright: ignore[reportArgumentType]
    asked: list[str] = []

    def client(service: str) -> Any:
        asked.append(service)
        session: Any = boto3.Session()
        return session.client(service, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-west-2", config=quickly)

    with silent_server() as port:
        silent = Account(client)
        with pytest.raises(AwsError, match=r"AWS gave no answer to ec2:DescribeVpcs: Read timeout .* Check the way"):
            silent.call("ec2", "describe_vpcs")
    with pytest.raises(AwsError, match="AWS gave no answer to ec2:DescribeVpcs"):
        silent.call("ec2", "describe_subnets")
    assert asked == ["ec2"]


def test_credentials_that_never_come_are_waited_for_no_longer_than_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lls.operations.world.account.QUESTION", 0.1)
    never = threading.Event()

    def client(_: str) -> Any:
        never.wait()

    with pytest.raises(AwsError, match=r"no answer to ec2:describe_vpcs: AWS credentials .* within 0\.1 seconds"):
        Account(client).call("ec2", "describe_vpcs")
    never.set()


def test_every_page_is_read() -> None:
    pages = [{"Vpcs": [1, 2]}, {"Vpcs": [3]}, {}]
    client = SimpleNamespace(
        meta=SimpleNamespace(
            service_model=SimpleNamespace(signing_name="ec2"), method_to_api_mapping={"describe_vpcs": "DescribeVpcs"}
        ),
        can_paginate=lambda _: True,  # pyright: ignore[reportUnknownLambdaType]
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages),  # pyright: ignore[reportUnknownLambdaType]
    )
    assert list(Account(making(client)).every("ec2", "describe_vpcs", "Vpcs")) == [1, 2, 3]


def test_another_regions_calls_are_the_same_identitys_and_its_check_comes_first() -> None:
    made: list[tuple[str, str]] = []
    checked: list[str] = []

    def make(service: str, region_name: str = "") -> Any:
        made.append((service, region_name))
        methods = {"get_caller_identity": "GetCallerIdentity", "describe_images": "DescribeImages"}
        return SimpleNamespace(
            meta=SimpleNamespace(service_model=SimpleNamespace(signing_name="x"), method_to_api_mapping=methods),
            get_caller_identity=dict.fromkeys(("Account", "Arn"), "1").copy,
            describe_images=dict[str, Any],
        )

    Account(make, lambda caller: checked.append(caller.account)).in_region("eu-west-1").call("ecr", "describe_images")
    assert made == [("sts", "eu-west-1"), ("ecr", "eu-west-1")]
    assert checked == ["1"]
