from collections.abc import Mapping
from typing import Any

import pytest

from lls.operations.account import AwsError
from lls.operations.check_clean import check_clean
from lls.operations.finding import Finding, Level, Unwatched
from lls.operations.installation import Installation
from lls.operations.inventory import KINDS, Inventory
from lls.operations.stack import NoCliError, State
from lls.operations.sweep import Sweep, carry_out, carry_out_cluster, plan, plan_cluster
from rehearsal import guide
from rehearsal.guide import follow
from rehearsal.rehearse import Rehearsal
from tests.world import PatientClock, PatientClockOf, a_rehearsal


def install(it: Rehearsal) -> None:
    """Step 4.1 by hand."""
    guide.install(it.cluster, "rp-public-demo.elb.example")


def planned(it: Rehearsal, states: Mapping[str, State] | None = None) -> Sweep:
    return plan(Inventory(it.installation().account), "demo", states or {})


def swept(it: Rehearsal) -> Sweep:
    """Sweep without any state, the cluster included."""
    installation = it.installation()
    in_cluster = plan_cluster(installation.proxy(), "gdn-streaming", {})
    assert carry_out_cluster(in_cluster, installation, PatientClockOf(it), Unwatched()) is None
    sweep = planned(it)
    carry_out(sweep, installation.account, PatientClockOf(it), Unwatched())
    return sweep


def problems(findings: list[Finding]) -> list[str]:
    return [each.seen for each in findings if each.level is Level.PROBLEM]


@pytest.mark.parametrize("health_rule", [False, True], ids=["without the health rule", "with the health rule"])
def test_what_the_guide_made_is_cleaned_up_without_any_state(health_rule: bool) -> None:
    with a_rehearsal() as it:
        follow(it.aws, "demo", "us-west-2a", health_rule=health_rule)
        install(it)
        assert swept(it).left == []
        assert it.leftovers() == []
        assert problems(check_clean(it.installation())) == []


def test_the_order_is_the_clean_ups() -> None:
    with a_rehearsal() as it:
        follow(it.aws, "demo", "us-west-2a")
        kinds = [each.kind for each in planned(it).delete]
    once = list(dict.fromkeys(kinds))
    assert once == ["target", "ingress rule", "listener", "load balancer", "target group", "security group"]
    assert set(once) <= set(KINDS.values())


def test_a_plan_deletes_nothing() -> None:
    with a_rehearsal() as it:
        follow(it.aws, "demo", "us-west-2a")
        before = it.leftovers()
        planned(it)
        assert it.leftovers() == before


def test_the_guides_address_lacks_a_tag_and_is_left_with_the_command_that_releases_it() -> None:
    with a_rehearsal() as it:
        made = follow(it.aws, "demo", "us-west-2a", static=True)
        sweep = swept(it)
        assert [each.thing.id for each in sweep.unresolved] == [made.allocation]
        assert sweep.unresolved[0].remedy == f"aws ec2 release-address --allocation-id {made.allocation}"
        assert it.leftovers() == [f"address {made.allocation}"]
        assert any("not lls:managed-by" in each for each in problems(check_clean(it.installation())))


def test_a_lost_state_leaves_nothing_after_a_sweep() -> None:
    with a_rehearsal({"lls:staticIp": "true"}) as it:
        it.engine.up()
        it.engine.state.clear()
        assert len(problems(check_clean(it.installation()))) > 5
        swept(it)
        assert it.leftovers() == []


def test_what_a_live_stack_owns_is_kept_with_all_that_belongs_to_it() -> None:
    with a_rehearsal() as it:
        it.engine.up()
        sweep = planned(it, {"test": it.state()})
        assert sweep.delete == []
        assert sweep.unresolved == []
        assert {each.why for each in sweep.kept} == {"stack test owns it"}
        in_cluster = plan_cluster(it.installation().proxy(), "gdn-streaming", {"test": it.state()})
        assert (in_cluster.release, in_cluster.namespace) == (None, None)


def test_another_clusters_things_are_not_even_listed() -> None:
    with a_rehearsal() as it:
        ec2: Any = it.aws.client("ec2")
        for name, tags in {
            "other": {"lls:cluster": "demo-2", "lls:managed-by": "customer"},
            "half": {"lls:cluster": "demo"},
        }.items():
            specification: Any = {
                "ResourceType": "security-group",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
            ec2.create_security_group(
                GroupName=name, Description=name, VpcId=it.aws.vpc_id, TagSpecifications=[specification]
            )
        assert planned(it).delete == []


def test_a_protected_load_balancer_stays_with_what_it_uses() -> None:
    with a_rehearsal({"lls:deletionProtection": "true"}) as it:
        it.engine.up()
        sweep = planned(it)
        assert "load balancer" not in {each.kind for each in sweep.delete}
        kept = {each.thing.kind: each for each in sweep.unresolved}
        assert "deletion_protection.enabled,Value=false" in kept["load balancer"].remedy
        assert {"security group", "target group"} <= kept.keys()
        carry_out(sweep, it.installation().account, PatientClockOf(it), Unwatched())


class InterruptedClock(PatientClock):
    """Someone presses Ctrl-C while it waits."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_sweep_knows_what_it_did_and_goes_on_when_run_again() -> None:
    with a_rehearsal(latencies={"nlb_interfaces_linger": 300_000}) as it:
        follow(it.aws, "demo", "us-west-2a")
        sweep = planned(it)
        with pytest.raises(KeyboardInterrupt):
            carry_out(sweep, it.installation().account, InterruptedClock(), Unwatched())
        assert [each.kind for each in sweep.done][-1] == "listener"
        assert [each.kind for each in sweep.left] == ["load balancer", "target group", "security group"]
        it.clock.skip(300_000)
        carry_out(planned(it), it.installation().account, PatientClockOf(it), Unwatched())
        assert it.leftovers() == []


def test_something_that_never_lets_go_is_an_error_in_the_end() -> None:
    with a_rehearsal() as it:
        made = follow(it.aws, "demo", "us-west-2a")
        ec2: Any = it.aws.client("ec2")
        subnet = it.aws.subnets["a"][0]
        ec2.run_instances(
            ImageId=ec2.describe_images()["Images"][0]["ImageId"],
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            SecurityGroupIds=[made.security_group],
        )
        with pytest.raises(AwsError, match="ec2:DeleteSecurityGroup failed with DependencyViolation"):
            carry_out(planned(it), it.installation().account, PatientClockOf(it), Unwatched())


def test_a_namespace_that_holds_something_else_is_kept() -> None:
    with a_rehearsal(quirks={"taken_node_ports": (31000,)}) as it:
        stack = it.installation().stack.with_config({"lls:namespace": "other"})
        it_in_other = Installation(stack, it.installation().account, lambda: {})
        found = plan_cluster(it_in_other.proxy(), "gdn-streaming", {})
        assert found.namespace is None
        assert "service other-31000" in found.kept[0]


def test_a_release_of_another_chart_is_kept() -> None:
    with a_rehearsal() as it:
        install(it)
        found = plan_cluster(it.installation().proxy(), "my-chart", {})
        assert (found.release, found.namespace) == (None, None)
        assert "its chart is gdn-streaming, not my-chart" in found.kept[0]


def test_a_clean_account_is_clean_and_each_look_is_told() -> None:
    with a_rehearsal() as it:
        found = check_clean(it.installation())
    assert {each.check: each.level for each in found} == dict.fromkeys(
        ("aws", "kubernetes", "state", "terraform"), Level.OK
    )


def test_the_role_of_the_terraform_module_is_reported() -> None:
    with a_rehearsal() as it:
        it.aws.client("iam").create_role(RoleName="demo-gvo-operator", AssumeRolePolicyDocument="{}")
        [found] = [each for each in check_clean(it.installation()) if each.check == "terraform"]
    assert "demo-gvo-operator" in found.seen
    assert "lls_enabled = false" in found.remedy


def test_a_name_that_merely_holds_the_clusters_is_not_a_rest() -> None:
    with a_rehearsal() as it:
        it.aws.client("elbv2").create_target_group(Name="demo-other", Protocol="TCP", Port=80, VpcId=it.aws.vpc_id)
        assert problems(check_clean(it.installation())) == []


def test_without_the_cli_the_state_is_unknown_and_the_rest_is_told() -> None:
    def states() -> Mapping[str, State]:
        raise NoCliError("The Pulumi CLI is needed.")

    with a_rehearsal() as it:
        installation = Installation(it.installation().stack, it.installation().account, states)
        found = {each.check: each.level for each in check_clean(installation)}
    assert (found["state"], found["aws"]) == (Level.UNKNOWN, Level.OK)
