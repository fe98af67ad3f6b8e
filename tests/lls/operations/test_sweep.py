from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations.report.finding import Level, Unwatched
from lls.operations.sweep import PATIENCE, Sweep, carry_out, holders
from lls.operations.world.account import AwsError
from lls.operations.world.inventory import ADDRESS, KINDS
from rehearsal.rehearse import Rehearsal
from tests.support import breakage
from tests.support.operations import cleaned, install, kinds, planned, problems, run_instance, swept
from tests.support.worlds import NO_CLI, KnownStates, PatientClock, PatientClockOf, a_rehearsal


@pytest.mark.parametrize("health_rule", [False, True], ids=["without the health rule", "with the health rule"])
def test_what_the_guide_made_is_cleaned_up_without_any_state(health_rule: bool) -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a", health_rule=health_rule)
        install(rehearsal)
        assert swept(rehearsal).left == []
        assert rehearsal.leftovers() == []
        assert problems(cleaned(rehearsal)) == []


def test_the_order_is_the_clean_ups() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        once = kinds(planned(rehearsal))
    assert once == ["target", "ingress rule", "listener", "load balancer", "target group", "security group"]
    assert set(once) <= set(KINDS.values())


def test_a_plan_deletes_nothing() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        before = rehearsal.leftovers()
        planned(rehearsal)
        assert rehearsal.leftovers() == before


def test_the_guides_address_lacks_a_tag_and_is_left_with_the_command_that_releases_it() -> None:
    with a_rehearsal() as rehearsal:
        made = follow(rehearsal.aws, "demo", "us-west-2a", static=True)
        sweep = swept(rehearsal)
        assert [kept.thing for kept in sweep.unresolved] == [f"Elastic IP demo-lls-eip ({made.allocation})"]
        assert sweep.unresolved[0].remedy == f"aws ec2 release-address --allocation-id {made.allocation}"
        assert rehearsal.leftovers() == [f"address {made.allocation}"]
        assert any("it lacks the tag lls:managed-by" in problem for problem in problems(cleaned(rehearsal)))


def test_a_lost_state_leaves_nothing_after_a_sweep() -> None:
    with a_rehearsal({"lls:staticIp": "true"}) as rehearsal:
        rehearsal.engine.up()
        rehearsal.engine.state.clear()
        assert len(problems(cleaned(rehearsal))) > 5
        swept(rehearsal)
        assert rehearsal.leftovers() == []


def test_what_a_live_stack_owns_is_kept_with_all_that_belongs_to_it() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        sweep = planned(rehearsal, KnownStates({"test": rehearsal.state()}))
        assert (sweep.delete, sweep.unresolved) == ([], [])
        assert {each.why for each in sweep.kept} == {"it is this stack's"}
        assert {"release gdn-streaming/gdn-streaming", "namespace gdn-streaming"} <= {each.thing for each in sweep.kept}


def test_another_clusters_things_are_not_even_listed() -> None:
    with a_rehearsal() as rehearsal:
        ec2: Any = rehearsal.aws.client("ec2")
        for name, tags in {
            "other": {"lls:cluster": "demo-2", "lls:managed-by": "customer"},
            "half": {"lls:cluster": "demo"},
        }.items():
            specification: Any = {
                "ResourceType": "security-group",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
            ec2.create_security_group(
                GroupName=name, Description=name, VpcId=rehearsal.aws.vpc_id, TagSpecifications=[specification]
            )
        assert planned(rehearsal).delete == []


def test_a_protected_load_balancer_stops_the_plan_with_the_command_that_helps() -> None:
    with a_rehearsal({"lls:deletionProtection": "true"}) as rehearsal:
        rehearsal.engine.up()
        sweep = planned(rehearsal)
        [protected] = sweep.dependents
        assert "deletion protection is on" in str(protected)
        assert "deletion_protection.enabled,Value=false" in protected.remedy
        rehearsal.aws.client("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=protected.thing.id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
        )
        rehearsal.engine.state.clear()
        swept(rehearsal)
        assert rehearsal.leftovers() == []


@pytest.mark.parametrize("balancers", [1, 2], ids=["alone", "beside another"])
def test_an_endpoint_service_of_the_load_balancer_stops_the_plan_with_the_command_that_helps(balancers: int) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        ec2, elbv2 = rehearsal.aws.client("ec2"), rehearsal.aws.client("elbv2")
        another = elbv2.create_load_balancer(Name="shop", Type="network", Subnets=[rehearsal.aws.subnets["a"][0]])
        nlb, shop = rehearsal.engine.outputs["nlbArn"], another["LoadBalancers"][0].get("LoadBalancerArn", "")
        made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[nlb, shop][:balancers])
        service = made["ServiceConfiguration"].get("ServiceId", "")
        [dependent] = planned(rehearsal).dependents
        assert str(dependent) == f"load balancer rp-public-demo is used by VPC endpoint service {service}"
        assert ("modify" in dependent.remedy, "delete" in dependent.remedy) == (balancers == 2, balancers == 1)
        assert service in dependent.remedy
        ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])
        assert planned(rehearsal).dependents == []


def test_a_load_balancer_that_another_service_comes_to_use_ends_the_sweep_at_once_and_says_who_may_have_it() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        ec2, clock = rehearsal.aws.client("ec2"), PatientClockOf(rehearsal)
        sweep = planned(rehearsal)
        nlb = rehearsal.engine.outputs["nlbArn"]
        made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[nlb])
        service = made["ServiceConfiguration"].get("ServiceId", "")
        with pytest.raises(AwsError, match="DeleteLoadBalancer failed with ResourceInUse") as caught:
            carry_out(sweep, rehearsal.installation(), clock, Unwatched())
        assert clock.now() < PATIENCE
        assert f"VPC endpoint service {service}" in holders(caught.value, sweep, rehearsal.installation())
        ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])
        assert "aws apigateway get-vpc-links" in holders(caught.value, sweep, rehearsal.installation())


class InterruptedClock(PatientClock):
    """Someone presses Ctrl-C while it waits."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_sweep_knows_what_it_did_and_goes_on_when_run_again() -> None:
    with a_rehearsal(latencies={"nlb_interfaces_linger": 300_000}) as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        sweep = planned(rehearsal)
        with pytest.raises(KeyboardInterrupt):
            carry_out(sweep, rehearsal.installation(), InterruptedClock(), Unwatched())
        assert sweep.done[-1] == "listener UDP 5004"
        assert sweep.left == ["load balancer rp-public-demo", "target group demo-rp-tg", sweep.delete[-1]]
        assert planned(rehearsal).dependents == []
        rehearsal.clock.skip(300_000)
        swept(rehearsal)
        assert rehearsal.leftovers() == []


def address_left_behind(rehearsal: Rehearsal) -> Sweep:
    """The plan for the address alone of a stack whose load balancer has just been deleted."""
    rehearsal.engine.up()
    elbv2 = rehearsal.aws.client("elbv2")
    elbv2.delete_load_balancer(LoadBalancerArn=rehearsal.engine.outputs["nlbArn"])
    sweep = planned(rehearsal)
    sweep.in_aws = [thing for thing in sweep.in_aws if thing.type == ADDRESS]
    return sweep


def test_the_address_of_a_load_balancer_that_is_gone_is_waited_for_while_its_interface_lingers() -> None:
    with a_rehearsal({"lls:staticIp": "true"}, latencies={"nlb_interfaces_linger": 1e6}) as rehearsal:
        sweep = address_left_behind(rehearsal)
        assert sweep.dependents == []

        class LettingGo(PatientClockOf):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                rehearsal.clock.skip(1e6)

        carry_out(sweep, rehearsal.installation(), LettingGo(rehearsal), Unwatched())
        assert not any(left.startswith("address") for left in rehearsal.leftovers())


def test_an_address_that_stays_held_is_told_so_and_not_that_the_credentials_are_wrong() -> None:
    with a_rehearsal({"lls:staticIp": "true"}, latencies={"nlb_interfaces_linger": 1e8}) as rehearsal:
        sweep = address_left_behind(rehearsal)
        with pytest.raises(AwsError, match=r"something of AWS's own, .* still holds it") as caught:
            carry_out(sweep, rehearsal.installation(), PatientClock(), Unwatched())
        assert "credentials" not in str(caught.value)


def test_credentials_that_become_invalid_end_a_sweep_at_once() -> None:
    with a_rehearsal({"lls:staticIp": "true"}) as rehearsal:
        rehearsal.engine.up()
        sweep, clock = planned(rehearsal), PatientClockOf(rehearsal)
        rehearsal.aws.refuse("ec2:ReleaseAddress", "InvalidClientTokenId")
        with pytest.raises(AwsError, match="AWS does not accept the credentials"):
            carry_out(sweep, rehearsal.installation(), clock, Unwatched())
        assert clock.now() < PATIENCE


def test_something_that_comes_to_use_a_thing_after_the_plan_is_an_error_in_the_end_that_names_it() -> None:
    with a_rehearsal() as rehearsal:
        made = follow(rehearsal.aws, "demo", "us-west-2a")
        sweep = planned(rehearsal)
        instance = run_instance(rehearsal, made.security_group)
        with pytest.raises(AwsError, match="ec2:DeleteSecurityGroup failed with DependencyViolation") as caught:
            carry_out(sweep, rehearsal.installation(), PatientClockOf(rehearsal), Unwatched())
        assert sweep.left == [sweep.delete[-1]]
        assert f"of instance {instance}" in holders(caught.value, sweep, rehearsal.installation())


def test_a_namespace_that_holds_something_else_is_kept() -> None:
    with a_rehearsal(quirks={"taken_node_ports": (31000,)}) as rehearsal:
        sweep = planned(rehearsal, namespace="other")
        assert sweep.in_cluster.delete == []
        [kept] = sweep.unresolved
        assert kept.thing == "namespace other"
        assert "service other-31000" in kept.why


def test_a_release_of_another_chart_is_kept() -> None:
    with a_rehearsal() as rehearsal:
        install(rehearsal)
        sweep = planned(rehearsal, chart="oci://registry.example/my-chart")
        assert sweep.in_cluster.delete == []
        assert [kept.why for kept in sweep.unresolved] == ["its chart is gdn-streaming, not my-chart"]


def test_a_clean_account_is_clean_and_each_look_is_told() -> None:
    with a_rehearsal() as rehearsal:
        found = cleaned(rehearsal)
    assert {finding.check: finding.level for finding in found} == dict.fromkeys(
        ("aws", "kubernetes", "state", "terraform"), Level.OK
    )


def test_the_role_of_the_terraform_module_is_reported() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.client("iam").create_role(RoleName="demo-gvo-operator", AssumeRolePolicyDocument="{}")
        [found] = [each for each in cleaned(rehearsal) if each.check == "terraform"]
    assert "demo-gvo-operator" in found.seen
    assert "lls_enabled = false" in found.remedy


def test_a_name_that_merely_holds_the_clusters_is_not_a_rest() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.aws.client("elbv2").create_target_group(
            Name="demo-other", Protocol="TCP", Port=80, VpcId=rehearsal.aws.vpc_id
        )
        assert problems(cleaned(rehearsal)) == []


def test_without_the_cli_the_state_is_unknown_and_the_rest_is_told() -> None:
    with a_rehearsal() as rehearsal:
        found = {each.check: each.level for each in cleaned(rehearsal, KnownStates(failure=NO_CLI))}
    assert (found["state"], found["aws"]) == (Level.UNKNOWN, Level.OK)


class FreeingClock(PatientClockOf):
    """Whatever a namespace's deletion waits for ends when somebody waits for that."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self._hung = rehearsal.cluster.hung

    def sleep(self, seconds: float) -> None:
        self._hung.clear()
        super().sleep(seconds)


@pytest.mark.parametrize("when", ["before the plan", "after it"])
@pytest.mark.parametrize("is_installed", [True, False], ids=["with a release", "empty"])
def test_a_namespace_that_somebody_has_deleted_is_waited_for_until_it_is_gone(when: str, is_installed: bool) -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        if is_installed:
            install(rehearsal)
        else:
            rehearsal.cluster.create_namespace("gdn-streaming")
        if when == "before the plan":
            breakage.hang_deletion(rehearsal.cluster, "gdn-streaming")
        sweep = planned(rehearsal)
        breakage.hang_deletion(rehearsal.cluster, "gdn-streaming")
        assert carry_out(sweep, rehearsal.installation(), FreeingClock(rehearsal), Unwatched()) is None
        assert sweep.left == []
        assert rehearsal.leftovers() == []


@pytest.mark.parametrize("conditions", [breakage.UNAVAILABLE_API, breakage.FINALIZER], ids=["API", "finalizer"])
def test_a_namespace_whose_deletion_hangs_keeps_no_sweep_from_aws_and_is_told_with_what_its_conditions_say(
    conditions: dict[str, str],
) -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        rehearsal.cluster.create_namespace("gdn-streaming")
        breakage.hang_deletion(rehearsal.cluster, "gdn-streaming", conditions)
        sweep = planned(rehearsal)
        found = carry_out(sweep, rehearsal.installation(), PatientClockOf(rehearsal), Unwatched())
        assert rehearsal.leftovers() == ["namespace gdn-streaming"]
    assert found
    assert sweep.left == ["namespace gdn-streaming"]
    assert all(f"{condition}: {message}" in found.seen for condition, message in conditions.items())
    assert found.remedy
