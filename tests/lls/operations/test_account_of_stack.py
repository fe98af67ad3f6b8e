"""The caller's account against the one in the stack's state."""

import pytest

from lls.operations import mirror
from lls.operations.report.screen import Screen
from lls.operations.world.identity import Caller, WrongAccountError
from lls.operations.world.installation import Installation
from lls.operations.world.states import State, StateResource
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import NO_CLI, KnownStates, a_rehearsal, knowing

ROLE = "arn:aws:sts::123456789012:assumed-role/rehearsal/session"


def owning(type_: str, id_: str, arn: object = None) -> State:
    return State(resources=(StateResource(urn="urn:x::it", type=type_, id=id_, outputs={"arn": arn}),))


def seen_with(rehearsal: Rehearsal, state: State) -> Installation:
    return knowing(rehearsal, KnownStates({"test": state}))


@pytest.mark.parametrize(
    ("state", "accounts"),
    [
        (
            owning("aws:lb/listener:Listener", "arn:aws:elasticloadbalancing:us-west-2:210987654321:listener/x"),
            "210987654321",
        ),
        (
            owning("aws:ec2/eip:Eip", "eipalloc-1", "arn:aws-cn:ec2:cn-north-1:210987654321:elastic-ip/x"),
            "210987654321",
        ),
        (owning("aws:s3/bucket:Bucket", "arn:aws:s3:::bucket"), None),
        (owning("aws:ec2/eip:Eip", "eipalloc-1", {"4dabf18193072939515e22adb298388d": "secret"}), None),
        (owning("kubernetes:helm.sh/v3:Release", "arn:aws:ec2:us-west-2:210987654321:vpc/x"), None),
        (State(), None),
    ],
    ids=["id", "output", "no account", "secret", "not of AWS", "empty"],
)
def test_a_state_is_of_the_accounts_of_its_own_arns(state: State, accounts: str | None) -> None:
    assert state.accounts == ({accounts} if accounts else set())


def test_the_account_of_a_live_stack_is_confirmed_with_one_question() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        assert rehearsal.state().accounts == {"123456789012"}
        installation = rehearsal.installation()
        rehearsal.aws.calls.clear()
        assert installation.confirm_account() == Caller("123456789012", ROLE)
        assert installation.confirm_account().account == "123456789012"
        assert rehearsal.aws.calls == ["sts:GetCallerIdentity"]


def test_a_state_of_another_account_is_one_sentence_with_both_and_the_remedy() -> None:
    with a_rehearsal() as rehearsal:
        state = owning("aws:ec2/eip:Eip", "eipalloc-1", "arn:aws:ec2:us-west-2:210987654321:elastic-ip/x")
        with pytest.raises(WrongAccountError) as caught:
            seen_with(rehearsal, state).confirm_account()
    assert str(caught.value) == (
        f"The AWS credentials are of account 123456789012 ({ROLE}), and the state of stack test is of account "
        "210987654321: use credentials of that account (aws:profile, aws:assumeRoles or the environment), or name "
        "the stack of this one."
    )


def test_without_resources_or_without_a_readable_state_there_is_nothing_to_compare() -> None:
    with a_rehearsal() as rehearsal:
        assert seen_with(rehearsal, State()).confirm_account().account == "123456789012"
        installation = knowing(rehearsal, KnownStates(failure=NO_CLI))
        assert installation.confirm_account().account == "123456789012"


def test_mirror_makes_no_repository_in_another_account() -> None:
    with a_rehearsal(quirks={"mirrored": False}) as rehearsal:
        state = owning("aws:ec2/eip:Eip", "eipalloc-1", "arn:aws:ec2:us-west-2:210987654321:elastic-ip/x")
        with pytest.raises(WrongAccountError), Screen(as_json=True) as screen:
            mirror.run(seen_with(rehearsal, state), screen, source="nvcr.io/x", environ={"NGC_API_KEY": "nvapi-1"})
        assert "ecr:CreateRepository" not in rehearsal.aws.calls
