"""The table of refusals: the emulated AWS answers as it says, it leaves nothing, and it takes back what is accepted."""

import ast
import inspect
from collections.abc import Generator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from moto.ec2 import exceptions as ec2_exceptions
from moto.elbv2 import exceptions as elbv2_exceptions

from e2e.refusals import NOT_TRIED, REFUSALS, Grounds
from e2e.replay import grounds_of, try_one
from lls.operations.report.finding import Level
from lls.operations.world.account import Account
from rehearsal.aws import strict, strict_ec2, strict_elbv2, strict_quotas, strict_route53
from rehearsal.aws.strict_ec2 import StrictEc2
from rehearsal.aws.strict_elbv2 import StrictElbv2
from rehearsal.aws.strict_route53 import StrictRoute53
from rehearsal.rehearse import Rehearsal
from tests.support.recorded import as_config
from tests.support.worlds import a_rehearsal, reached_by_network, session

WHOLE = as_config(staticIp=True, dnsName="stream.example.com")


@pytest.fixture
def deployed() -> Generator[tuple[Rehearsal, Grounds]]:
    """A stack with an Elastic IP and a DNS record. AWS is reached as a real one would be, checked by botocore."""
    with a_rehearsal(WHOLE) as rehearsal, reached_by_network(rehearsal):
        rehearsal.engine.up()
        account = Account(session(region_name="us-west-2").client)
        with grounds_of(account, rehearsal.installation().config, rehearsal.state()) as grounds:
            yield rehearsal, grounds


def test_the_emulated_aws_refuses_as_the_table_says_and_nothing_changes(deployed: tuple[Rehearsal, Grounds]) -> None:
    rehearsal, grounds = deployed
    before = rehearsal.leftovers()
    found = {
        refusal.name: [(finding.level, finding.seen) for finding in try_one(refusal, grounds)] for refusal in REFUSALS
    }
    assert found == {refusal.name: [(Level.OK, f"{refusal.name}: {refusal.code}")] for refusal in REFUSALS}
    assert rehearsal.leftovers() == before


def test_what_a_stack_lacks_is_not_tried_and_said(deployed: tuple[Rehearsal, Grounds]) -> None:
    lacking = replace(deployed[1], address="", second_subnet_id="", record={})
    noted = [try_one(refusal, lacking) for refusal in REFUSALS if refusal.needs]
    assert [found.level for [found] in noted] == [Level.NOTE] * 9


def codes_of(module: ModuleType) -> set[str]:
    """The codes with which a module of the emulation refuses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Call(
                ast.Name("ELBClientError" | "EC2ClientError" | "Route53ClientError" | "refuse"),
                [ast.Constant(str(code)), *_],
            ):
                found.add(code)
            case ast.Call(ast.Name(name)) | ast.Raise(ast.Name(name)) if name.endswith("Error"):
                known: Any = getattr(elbv2_exceptions, name, None) or getattr(ec2_exceptions, name, None)
                if known and name not in ("ELBClientError", "EC2ClientError"):
                    found.add(CODES[name])
            case _:
                pass
    return found


CODES = {
    "DependencyViolationError": "DependencyViolation",
    "InvalidSubnetIdError": "SubnetNotFound",
    "SubnetNotFoundError": "SubnetNotFound",
}
"""Codes of moto's own exceptions that the emulation raises."""


def test_every_code_of_the_emulation_is_tried_or_has_its_reason() -> None:
    codes = set[str]().union(*map(codes_of, (strict, strict_ec2, strict_elbv2, strict_quotas, strict_route53)))
    tried = {refusal.code for refusal in REFUSALS}
    assert len(codes) > 20
    assert codes - tried == NOT_TRIED.keys()


def test_every_refusal_has_a_name_of_its_own_and_says_why_it_is_harmless() -> None:
    assert len({refusal.name for refusal in REFUSALS}) == len(REFUSALS)
    assert all(refusal.harmless and refusal.operation.undo.text for refusal in REFUSALS)


# --- What AWS accepts against expectation


def lax(*_: object) -> None:
    """Refuses nothing that moto does not."""


@pytest.fixture
def careless() -> Generator[tuple[Rehearsal, Grounds]]:
    """The same in an AWS that is as lax as moto."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StrictEc2, "enforce", lax)
        patch.setattr(StrictElbv2, "enforce", lax)
        patch.setattr(StrictRoute53, "enforce", lax)
        with a_rehearsal(WHOLE) as rehearsal:
            rehearsal.engine.up()
            account = Account(rehearsal.aws.client)
            with grounds_of(account, rehearsal.installation().config, rehearsal.state()) as grounds:
                yield rehearsal, grounds


@pytest.mark.filterwarnings("ignore:Exception.* does not match an error shape:UserWarning")  # moto's, where it is lax
def test_what_aws_accepts_is_told_and_nothing_is_left_that_the_stack_did_not_make(
    careless: tuple[Rehearsal, Grounds],
) -> None:
    rehearsal, grounds = careless
    before = set(rehearsal.leftovers())
    accepted: list[str] = []
    for refusal in REFUSALS:
        found = try_one(refusal, grounds)
        if found[0].level is Level.PROBLEM:
            accepted.append(refusal.operation.name)
        assert not [finding.seen for finding in found[1:]]
        assert set(rehearsal.leftovers()) <= before, refusal.name
    assert {"create_load_balancer", "create_security_group", "create_tags", "delete_load_balancer"} <= {*accepted}
