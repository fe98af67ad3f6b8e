"""Runs of the real engine that are killed, and what docs/runbook.md says then: converged, and nothing left.

A moment is told by what the engine is doing, not by a clock. A run is killed at the first of the moments that are left,
gone on with as the runbook says, and killed again at the next.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.killing import Done, Heard, Helm, Moment, Operator, Victims, killer, problems
from tests.support.operations import streams
from tests.support.real import a_real_rehearsal
from tests.support.recorded import as_config

pytestmark = pytest.mark.usefixtures("pulumi")

HELM = "Helm installs"
UP: Mapping[str, Moment] = {
    "the security group is made, its egress not yet revoked": Done("ec2:CreateSecurityGroup"),
    "a rule is made": Done("ec2:AuthorizeSecurityGroupIngress"),
    "an Elastic IP is allocated": Done("ec2:AllocateAddress"),
    "the target group is made, its attributes not yet": Done("elasticloadbalancing:CreateTargetGroup"),
    "the load balancer is being provisioned": Done("elasticloadbalancing:CreateLoadBalancer"),
    "the listener is made": Done("elasticloadbalancing:CreateListener"),
    "the namespace is made": Heard("after", "create", "proxy-namespace"),
    HELM: Helm("pending-install"),
    "a target is registered": Done("elasticloadbalancing:RegisterTargets"),
    "a rule is about to be made": Heard("before", "create", "node-ports-media"),
}
DESTROY: Mapping[str, Moment] = {
    "a target is deregistered": Done("elasticloadbalancing:DeregisterTargets"),
    "the listener is deleted": Done("elasticloadbalancing:DeleteListener"),
    "Helm uninstalls": Helm("uninstalling"),
    "the load balancer is deleted, its interfaces not yet": Done("elasticloadbalancing:DeleteLoadBalancer"),
    "a rule is revoked": Done("ec2:RevokeSecurityGroupIngress"),
    "a rule is about to be revoked": Heard("before", "delete", "streaming-egress"),
    "the Elastic IP is released": Done("ec2:ReleaseAddress"),
    "the target group is deleted": Done("elasticloadbalancing:DeleteTargetGroup"),
    "the namespace is deleted": Heard("after", "delete", "proxy-namespace"),
    "the security group is deleted": Done("ec2:DeleteSecurityGroup"),
}
GONE: Mapping[str, Moment] = {
    "the listener is deleted": DESTROY["the listener is deleted"],
    "the Helm release is uninstalled": Heard("after", "delete", "proxy-release"),
}
VICTIMS: tuple[Victims, ...] = ("the CLI alone", "every process")
ADDRESS = as_config(staticIp=True)
NO_QUESTIONS = "--yes --skip-preview --stack test"


@pytest.mark.parametrize("victims", VICTIMS)
def test_an_up_and_a_destroy_that_are_killed_at_ten_moments_each_are_gone_on_with_by_the_runbook(
    victims: Victims, tmp_path: Path
) -> None:
    with a_real_rehearsal(ADDRESS, tmp_path) as rehearsal, killer(rehearsal, victims) as kill:
        operator = Operator(rehearsal)
        up, left = "up", dict(UP)
        while left:
            moment = kill.killed(up, left)
            del left[moment]
            operator.unlock()
            operator.adopt()
            if moment == HELM and (way_back := operator.way_back()):
                operator.run(way_back)
                up = "up --refresh"
        operator.run(f"pulumi {up} {NO_QUESTIONS}")
        operator.run(f"pulumi up {NO_QUESTIONS} --expect-no-changes")
        assert (up == "up --refresh") == (victims == "every process")
        assert streams(rehearsal)
        left = dict(DESTROY)
        while left:
            del left[kill.killed("destroy --refresh", left)]
            operator.cancel()
        operator.run(f"pulumi destroy --refresh {NO_QUESTIONS}")
        assert rehearsal.leftovers() == []
        assert problems(operator.lls("check-clean")) == []


@pytest.mark.parametrize("moment", GONE)
def test_a_destroy_that_was_killed_stops_at_what_is_gone_until_it_refreshes(moment: str, tmp_path: Path) -> None:
    with a_real_rehearsal({}, tmp_path) as rehearsal, killer(rehearsal, "every process") as kill:
        operator = Operator(rehearsal)
        operator.run(f"pulumi up {NO_QUESTIONS}")
        kill.killed("destroy", {moment: GONE[moment]})
        operator.cancel()
        told = operator.run(f"pulumi destroy {NO_QUESTIONS}", codes=range(1, 256))
        assert re.search("ListenerNotFound|release: not found", told)
        operator.run(f"pulumi destroy --refresh {NO_QUESTIONS}")
        assert rehearsal.leftovers() == []


def test_an_address_that_a_killed_up_left_is_named_by_check_clean_and_released_by_sweep(tmp_path: Path) -> None:
    moment = "an Elastic IP is allocated"
    with a_real_rehearsal(ADDRESS, tmp_path) as rehearsal, killer(rehearsal, "every process") as kill:
        operator = Operator(rehearsal)
        kill.killed("up", {moment: UP[moment]})
        operator.unlock()
        operator.run(f"pulumi up {NO_QUESTIONS}")
        operator.run(f"pulumi destroy {NO_QUESTIONS}")
        [left] = problems(operator.lls("check-clean"))
        assert "Elastic IP" in left
        operator.lls("sweep --yes", codes=(0,))
        assert problems(operator.lls("check-clean")) == []
        assert rehearsal.leftovers() == []
