"""What one failing call costs: the program's look-ups, `up`, `destroy` and each command."""

import re
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any

import pulumi
import pytest

from bench.guide_commands import follow
from lls.operations.cli import main
from lls.operations.report.finding import Exit, Unwatched
from lls.operations.sweep import carry_out
from lls.operations.world.account import AwsError
from lls.operations.world.states import State
from rehearsal.aws.faults import iam_action
from rehearsal.engine.engine import StepsFailedError, waves
from rehearsal.rehearse import Rehearsal
from tests.support.faults import CREATIONS, NODES, destroyed_but
from tests.support.operations import planned
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import KnownStates, PatientClockOf, a_rehearsal, reached

GROUPS = {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["gpu"], eipAllocationId="eipalloc-0a1b2c3d")}

LOOK_UPS: Mapping[str, str] = {
    "sts:GetCallerIdentity": "AWS account",
    "eks:DescribeCluster": "EKS cluster",
    "ec2:DescribeSubnets": "lls:publicSubnetId",
    "ec2:DescribeRouteTables": "lls:publicSubnetId",
    "ec2:DescribeInternetGateways": "lls:publicSubnetId",
    "ec2:DescribeSecurityGroups": "lls:nodeSecurityGroupId",
    "ec2:DescribeInstances": "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroupRules": "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeAddresses": "lls:eipAllocationId",
    "eks:DescribeNodegroup": "lls:nodeGroups",
    "autoscaling:DescribeAutoScalingGroups": "lls:nodeGroups",
    "ecr:GetAuthorizationToken": "lls:registryConfig",
}
"""Every call of the program's look-ups, and what its failure names."""


DELETIONS: Collection[str] = (
    "ec2:DeleteSecurityGroup",
    "ec2:ReleaseAddress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DeregisterTargets",
)

FAILURES = {
    "throttled": "Throttling",
    "failing": "InternalFailure",
    "denied": "AccessDenied",
    "logged out": "ExpiredToken",
}


def calls(rehearsal: Rehearsal) -> set[str]:
    return {iam_action(call) for call in rehearsal.aws.calls}


def things(rehearsal: Rehearsal) -> list[str]:
    """What there is that was not; the stack itself is nothing."""
    resources = [resource.name for resource in rehearsal.engine.state.values() if resource.custom]
    return [*rehearsal.aws.leftovers(), *rehearsal.cluster.leftovers(), *resources]


# --- The program's look-ups


@pytest.fixture
def looking() -> Generator[Rehearsal]:
    with a_rehearsal(GROUPS, quirks=QUIRKS) as rehearsal:
        yield rehearsal


def test_these_are_the_calls_of_the_look_ups(looking: Rehearsal) -> None:
    looking.aws.calls.clear()
    looking.engine.preview()
    assert calls(looking) == set(LOOK_UPS)


@pytest.mark.parametrize("code", FAILURES.values(), ids=FAILURES)
def test_each_look_up_that_keeps_failing_is_one_sentence_and_nothing_is_made(looking: Rehearsal, code: str) -> None:
    for action, named in LOOK_UPS.items():
        with looking.aws.refuse(action, code), pytest.raises(pulumi.RunError) as caught:
            looking.engine.up()
        told = str(caught.value)
        assert action in told
        assert named in told
        assert "\n" not in told
    assert things(looking) == []


def test_each_look_up_that_fails_once_or_whose_answer_is_lost_is_asked_again(looking: Rehearsal) -> None:
    aws = looking.aws
    for action in LOOK_UPS:
        for fault in (aws.refuse(action, "Throttling", times=1), aws.lose(action, times=1)):
            looking.engine.preview()
            assert fault.seen == 1, action


# --- up and destroy


def test_these_are_the_calls_of_up_and_destroy() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        assert calls(rehearsal) - set(LOOK_UPS) == {*CREATIONS, "ec2:RevokeSecurityGroupEgress"}
        rehearsal.aws.calls.clear()
        rehearsal.engine.destroy()
        assert calls(rehearsal) == {*DELETIONS, "ec2:DescribeNetworkInterfaces"}


def test_each_creation_that_fails_costs_no_more_than_another_up() -> None:
    with a_rehearsal(NODES) as rehearsal:
        for action in CREATIONS:
            with rehearsal.aws.refuse(action, "InternalFailure", times=1), pytest.raises(StepsFailedError) as caught:
                rehearsal.engine.up()
            assert action.partition(":")[2] in str(caught.value)
            rehearsal.engine.up()
            assert {health.state for health in rehearsal.await_health()} == {"healthy"}, action
            rehearsal.engine.destroy()
            assert rehearsal.leftovers() == [], action


def test_each_deletion_that_fails_keeps_what_it_needs_begins_nothing_more_and_the_next_destroy_finishes() -> None:
    with a_rehearsal(NODES) as rehearsal:
        for action in DELETIONS:
            rehearsal.engine.up()
            order = [{resource.urn for resource in wave} for wave in waves(rehearsal.engine.state.values())]
            with rehearsal.aws.refuse(action, "InternalFailure", times=1):
                failed, kept = destroyed_but(rehearsal)
            assert len(failed) == 1
            assert kept >= needed(rehearsal, failed), action
            begun = next(number for number, wave in enumerate(order, 1) if failed <= wave)
            assert kept == failed.union(*order[begun:]), action
            rehearsal.engine.destroy()
            assert rehearsal.leftovers() == [], action


def needed(rehearsal: Rehearsal, urns: set[str]) -> set[str]:
    """These and everything that they need, directly or not."""
    more = {need for urn in urns for need in rehearsal.engine.state[urn].needs if need} - urns
    return needed(rehearsal, urns | more) if more else urns


# --- A cluster that does not answer


@pytest.mark.parametrize(
    ("kind", "cause"), [("refused", "Connection refused"), ("unauthorized", "the API answered 401 Unauthorized")]
)
def test_a_cluster_that_does_not_answer_is_one_sentence_and_nothing_is_made(kind: Any, cause: str) -> None:
    with a_rehearsal() as rehearsal:
        with rehearsal.kubernetes.outage(kind), pytest.raises(pulumi.RunError) as caught:
            rehearsal.engine.up()
        assert re.fullmatch(
            f"Looking up nodes in .*{cause}.* set lls:kubeconfig and lls:kubeContext, or .*", str(caught.value)
        )
        assert things(rehearsal) == []


def test_a_cluster_that_may_not_be_asked_for_nodes_is_one_sentence() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.cluster.denied.add(("list", "nodes"))
        with pytest.raises(pulumi.RunError, match=r"the API answered 403 Forbidden. .* may list nodes"):
            rehearsal.engine.up()
        assert things(rehearsal) == []


def test_a_busy_cluster_is_asked_again() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.kubernetes.busy = 2
        rehearsal.engine.preview()


# --- Commands


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[State], None]:
    """Sets what the Pulumi CLI tells of the stack."""

    def tell(state: State) -> None:
        monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: KnownStates({"dev": state}))

    return tell


@pytest.mark.parametrize("command", ["verify", "drift", "check-clean", "adopt", "sweep"])
def test_a_command_names_each_call_that_it_may_not_make(
    command: str, told: Callable[[State], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with a_rehearsal({"lls:clusterName": "nvcf-dev"}) as rehearsal, reached(rehearsal):
        rehearsal.engine.up()
        told(rehearsal.state() if command in ("verify", "drift") else State())
        rehearsal.aws.calls.clear()
        main([command, "--stack", "dev"])
        capsys.readouterr()
        for action in calls(rehearsal):
            rehearsal.aws.denied.add(action)
            assert main([command, "--stack", "dev"]) in set(Exit)
            rehearsal.aws.denied.remove(action)
            assert f"AWS denied {action}: " in " ".join("".join(capsys.readouterr()).split()), action


SWEPT: Collection[str] = (
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:DeleteSecurityGroup",
)


def test_a_sweep_that_fails_at_any_deletion_tells_what_it_did_and_the_next_one_finishes() -> None:
    with a_rehearsal() as rehearsal:
        for action in SWEPT:
            follow(rehearsal.aws, "demo", "us-west-2a")
            sweep = planned(rehearsal)
            with rehearsal.aws.refuse(action, "InternalFailure"), pytest.raises(AwsError, match=action):
                carry_out(sweep, rehearsal.installation(), PatientClockOf(rehearsal), Unwatched())
            assert [*sweep.done, *sweep.left] == sweep.delete
            carry_out(planned(rehearsal), rehearsal.installation(), PatientClockOf(rehearsal), Unwatched())
            assert rehearsal.leftovers() == []
