"""What others have in the account: things of every kind, which lack what ours have, and go at any moment."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from lls.operations.drift import drift
from lls.operations.report.finding import Unwatched
from lls.operations.verify import Verification
from lls.operations.world.account import Account, AwsError
from lls.operations.world.inventory import TAGS_AT_ONCE, Inventory
from lls.waiting import AWS_TRIES
from rehearsal.rehearse import Rehearsal
from tests.support.operations import adoption, cleaned, planned, preflight_of
from tests.support.worlds import PatientClockOf, a_rehearsal


def verified(rehearsal: Rehearsal) -> object:
    return Verification(rehearsal.installation(), rehearsal.engine.outputs, lambda name: [name]).run(Unwatched())


def preflighted(rehearsal: Rehearsal) -> object:
    """All findings but those that count what there is."""
    counting = ("quotas", "subnet")
    return [finding for finding in preflight_of(rehearsal) if finding.check not in counting]


def adopted(rehearsal: Rehearsal) -> object:
    """What is matched, and what is nobody's and unmanaged, in no order."""
    found = adoption(rehearsal)
    return {match.thing.id for match in found.matches}, set(map(str, found.unmanaged))


COMMANDS: Mapping[str, Callable[[Rehearsal], object]] = {
    "verify": verified,
    "preflight": preflighted,
    "drift": lambda rehearsal: drift(rehearsal.installation()),
    "sweep": planned,
    "check-clean": cleaned,
    "adopt": adopted,
}


def a_lambdas_target_group(rehearsal: Rehearsal, name: str = "function") -> None:
    rehearsal.aws.client("elbv2").create_target_group(Name=name, TargetType="lambda")


def a_firewalls_load_balancer(rehearsal: Rehearsal, name: str = "firewall") -> None:
    rehearsal.aws.client("elbv2").create_load_balancer(
        Name=name, Type="gateway", Subnets=[rehearsal.aws.subnets["a"][0]]
    )


STRANGERS = (a_lambdas_target_group, a_firewalls_load_balancer)


def test_what_aws_leaves_out_of_answers_about_others_things_changes_no_commands_findings() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        before = {name: command(rehearsal) for name, command in COMMANDS.items()}
        for make in STRANGERS:
            make(rehearsal)
            assert {name: command(rehearsal) for name, command in COMMANDS.items()} == before, make.__name__


def test_a_wait_asks_for_the_stacks_own_load_balancer_and_target_group_alone_and_for_no_tags() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.aws.calls.clear()
        verification = Verification(rehearsal.installation(), rehearsal.engine.outputs)
        assert verification.wait(3600, PatientClockOf(rehearsal), Unwatched())
        drift(rehearsal.installation())
        assert "elasticloadbalancing:DescribeTags" not in rehearsal.aws.calls


def test_a_look_that_aws_throttles_is_none_yet_and_ends_no_wait() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        verification = Verification(rehearsal.installation(), rehearsal.engine.outputs)
        with rehearsal.aws.refuse("elasticloadbalancing:Describe*", "Throttling", times=3 * AWS_TRIES) as fault:
            assert verification.wait(3600, PatientClockOf(rehearsal), Unwatched())
        assert fault.seen == 3 * AWS_TRIES
        rehearsal.aws.refuse("elasticloadbalancing:Describe*", "Throttling")
        assert not verification.wait(60, PatientClockOf(rehearsal), Unwatched())


def test_any_other_refusal_ends_a_wait() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.aws.denied.add("elasticloadbalancing:DescribeTargetHealth")
        verification = Verification(rehearsal.installation(), rehearsal.engine.outputs)
        with pytest.raises(AwsError, match="AWS denied elasticloadbalancing:DescribeTargetHealth"):
            verification.wait(60, PatientClockOf(rehearsal), Unwatched())


def test_without_outputs_or_with_those_of_an_earlier_stack_the_names_find_what_there_is() -> None:
    with a_rehearsal() as rehearsal:
        inventory = Inventory(rehearsal.installation().account)
        assert inventory.find_balancer("rp-public-demo") is None
        assert inventory.find_target_group("demo-rp-tg") is None
        a_lambdas_target_group(rehearsal, "demo-rp-tg")
        a_firewalls_load_balancer(rehearsal, "rp-public-demo")
        assert inventory.find_balancer("rp-public-demo") is None
        assert inventory.find_target_group("demo-rp-tg") is None
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        inventory = Inventory(rehearsal.installation().account)
        for arn, find, name in (
            (rehearsal.engine.outputs["nlbArn"], inventory.find_balancer, "rp-public-demo"),
            (rehearsal.engine.outputs["targetGroupArn"], inventory.find_target_group, "demo-rp-tg"),
        ):
            found = [find(name), find(name, f"{arn[:-1]}x"), find("another", arn)]
            assert [thing.id if thing else None for thing in found] == [arn, arn, arn]


@pytest.fixture
def others_go(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rehearsal], None]:
    """Lets somebody delete others' load balancers and target groups as soon as they have been listed."""
    every = Account.every

    def enable(rehearsal: Rehearsal) -> None:
        elbv2 = rehearsal.aws.client("elbv2")

        def racing(self: Account, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
            found = list(every(self, service, operation, key, **arguments))
            for description in found:
                if description.get("LoadBalancerName") == "firewall":
                    elbv2.delete_load_balancer(LoadBalancerArn=description["LoadBalancerArn"])
                if description.get("TargetGroupName") == "function":
                    elbv2.delete_target_group(TargetGroupArn=description["TargetGroupArn"])
            yield from found

        monkeypatch.setattr(Account, "every", racing)

    return enable


@pytest.mark.parametrize("command", COMMANDS)
def test_others_things_that_go_while_they_are_looked_at_are_gone_to_every_command(
    command: str, others_go: Callable[[Rehearsal], None]
) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.await_health()
        before = COMMANDS[command](rehearsal)
        others_go(rehearsal)
        for make in STRANGERS:
            make(rehearsal)
        assert COMMANDS[command](rehearsal) == before


def test_what_goes_before_its_tags_are_read_is_left_out_and_all_others_keep_theirs(
    others_go: Callable[[Rehearsal], None],
) -> None:
    with a_rehearsal() as rehearsal:
        elbv2: Any = rehearsal.aws.client("elbv2")
        names = [f"others-{number:02}" for number in range(TAGS_AT_ONCE + 5)]
        for name in names:
            elbv2.create_target_group(Name=name, TargetType="lambda", Tags=[{"Key": "of", "Value": name}])
        a_lambdas_target_group(rehearsal)
        others_go(rehearsal)
        found = Inventory(rehearsal.installation().account).target_groups()
    assert {group.name: group.tags for group in found} == {name: {"of": name} for name in names}
