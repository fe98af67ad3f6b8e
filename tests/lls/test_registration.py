from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lls.operations.drift import drift
from lls.operations.preflight import Preflight
from lls.operations.report.finding import Exit, Finding, Level, Unwatched, outcome
from lls.operations.verify import Verification
from lls.targets import TARGETS_PER_ZONE
from rehearsal.rehearse import Rehearsal
from rehearsal.world import Node
from tests.support import breakage
from tests.support.operations import adoption
from tests.support.recorded import as_config, up
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import NO_CLI, KnownStates, a_rehearsal, knowing


def registered(rehearsal: Rehearsal) -> set[str]:
    elbv2: Any = rehearsal.aws.client("elbv2")
    health = elbv2.describe_target_health(TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"])
    return {
        description["Target"]["Id"]
        for description in health["TargetHealthDescriptions"]
        if description["TargetHealth"]["State"] != "draining"
    }


def instances(rehearsal: Rehearsal, *names: str) -> set[str]:
    return {rehearsal.aws.nodes[name][0] for name in names}


# --- Each strategy


@pytest.mark.parametrize("config", STRATEGIES.values(), ids=list(STRATEGIES))
def test_each_strategy_registers_converges_and_leaves_nothing(config: Mapping[str, str]) -> None:
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        assert registered(rehearsal) >= instances(rehearsal, "gpu-1", "gpu-2")
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}
        assert {health.state for health in rehearsal.await_health()} == {"healthy"}
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_autoscaling_attaches_the_groups_of_the_zone_whose_labels_match() -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        attached = [
            resource.inputs for resource in rehearsal.engine.state.values() if resource.type.endswith(":Attachment")
        ]
    assert [inputs["autoscalingGroupName"] for inputs in attached] == ["eks-gpu"]


def test_a_group_that_spans_other_zones_is_refused_with_the_reason_unless_allowed() -> None:
    config = {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["wide"])}
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal:
        with pytest.raises(pulumi.RunError, match=r"wide \(eks-wide\) spans us-west-2a, us-west-2b.*allowOtherZones"):
            rehearsal.engine.up()
        assert rehearsal.aws.leftovers() == ()
        rehearsal.reconfigure(as_config(allowOtherZones=True))
        rehearsal.engine.up()
        assert any(resource.name == "targets-eks-wide" for resource in rehearsal.engine.state.values())


def test_without_a_matching_group_the_error_points_to_binding() -> None:
    config = {**STRATEGIES["autoscaling"], **as_config(nodeSelector={"node-type": "nosuch"})}
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal, pytest.raises(pulumi.RunError, match=r"Karpenter.*binding"):
        rehearsal.engine.up()


def test_a_named_group_that_does_not_exist_names_the_key() -> None:
    config = {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["nosuch"])}
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal, pytest.raises(pulumi.RunError, match="lls:nodeGroups"):
        rehearsal.engine.up()


def test_without_the_controller_a_binding_is_refused_before_anything_is_made() -> None:
    with a_rehearsal(STRATEGIES["binding"]) as rehearsal:
        with pytest.raises(pulumi.RunError, match="install the AWS Load Balancer Controller"):
            rehearsal.engine.up()
        assert rehearsal.aws.leftovers() == ()


def test_the_binding_names_service_zone_and_instances_and_makes_no_rules() -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        [binding] = [resource for resource in rehearsal.engine.state.values() if resource.name == "targets-binding"]
    spec = binding.inputs["spec"]
    assert spec["targetType"] == "instance"
    assert spec["serviceRef"] == {"name": "streaming-proxy", "port": 6004}
    assert spec["nodeSelector"]["matchLabels"] == {
        "node-type": "compute",
        "topology.kubernetes.io/zone": "us-west-2a",
    }
    assert "networking" not in spec


def test_the_binding_goes_before_the_target_group_that_it_would_wait_for() -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        order = [step.resource.name for step in rehearsal.engine.destroy()]
    assert order.index("targets-binding") < order.index("proxy-release")
    assert order.index("targets-binding") < order.index("streaming-tg")


@pytest.mark.parametrize("before", list(STRATEGIES))
@pytest.mark.parametrize("after", list(STRATEGIES))
def test_a_switch_fills_a_group_of_its_own_before_the_old_one_goes(before: str, after: str) -> None:
    if before == after:
        return
    with a_rehearsal(STRATEGIES[before], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        old = rehearsal.engine.outputs["targetGroupArn"]
        steps = rehearsal.engine.up() and []
        rehearsal.reconfigure(STRATEGIES[after])
        steps = rehearsal.engine.up()
        assert rehearsal.engine.outputs["targetGroupArn"] != old
        assert registered(rehearsal) == instances(rehearsal, "gpu-1", "gpu-2") | (
            instances(rehearsal, "gpu-3") if after == "autoscaling" else set()
        )
        order = [(step.operation, step.resource.name) for step in steps]
        removed = [index for index, (operation, _) in enumerate(order) if operation == "delete"]
        made = [index for index, (operation, name) in enumerate(order) if operation == "create" and "targets-" in name]
        assert max(made) < min(removed)
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_from_nodes_to_static_and_back_nothing_that_stays_is_touched() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        before = list(rehearsal.aws.calls)
        rehearsal.reconfigure(as_config(registration="static", targets=["10.0.16.4", "10.0.16.5"]))
        rehearsal.engine.up()
        rehearsal.reconfigure(as_config(registration="nodes"))
        rehearsal.engine.up()
        assert not [call for call in rehearsal.aws.calls[len(before) :] if "egister" in call]


@pytest.mark.parametrize("config", STRATEGIES.values(), ids=list(STRATEGIES))
def test_the_operations_understand_each_strategy(config: Mapping[str, str]) -> None:
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal:
        assert "streaming-nlb" in {resource.name for resource in adoption(rehearsal).missing}
        rehearsal.engine.up()
        rehearsal.await_health()
        assert outcome(Preflight(rehearsal.installation()).run(Unwatched())) == Exit.FINE
        assert outcome(drift(rehearsal.installation())) == Exit.FINE
        assert adoption(rehearsal, rehearsal.state()).matches == []


# --- Draining and stickiness


def test_draining_and_stickiness_are_the_target_groups_attributes() -> None:
    with a_rehearsal(as_config(deregistrationDelay=60, stickiness=True, replicas=2)) as rehearsal:
        rehearsal.engine.up()
        elbv2: Any = rehearsal.aws.client("elbv2")
        arn = rehearsal.engine.outputs["targetGroupArn"]
        found = elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    attributes = {attribute["Key"]: attribute["Value"] for attribute in found}
    assert attributes["deregistration_delay.timeout_seconds"] == "60"
    assert (attributes["stickiness.enabled"], attributes["stickiness.type"]) == ("true", "source_ip")


def test_a_destroy_waits_for_draining_between_the_targets_and_the_release() -> None:
    with a_rehearsal(as_config(drainSeconds=120)) as rehearsal:
        rehearsal.engine.up()
        steps = {step.resource.name: step for step in rehearsal.engine.destroy()}
        assert rehearsal.leftovers() == []
    pause = steps["targets-draining"]
    assert pause.started >= max(step.finished for name, step in steps.items() if name.startswith("targets-10."))
    assert pause.finished - pause.started >= 120
    assert steps["proxy-release"].started >= pause.finished


# --- Scale


def many(count: int) -> tuple[Node, ...]:
    return tuple(Node(name=f"gpu-{number}", zone="a") for number in range(count))


def test_more_targets_than_aws_takes_name_the_quota() -> None:
    addresses = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(TARGETS_PER_ZONE + 1)]
    with pytest.raises(pulumi.RunError, match=r"501 targets in us-west-2a: AWS takes 500 .*L-B211E961"):
        up(as_config(targets=addresses))
    assert len(up(as_config(targets=addresses[:-1])).of("TargetGroupAttachment")) == TARGETS_PER_ZONE


# --- Drift


def seen(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.seen) for finding in findings if finding.level is not Level.OK]


def test_drift_says_what_up_would_do() -> None:
    with a_rehearsal() as rehearsal:
        assert seen(drift(rehearsal.installation()))[0][0] == "target-group"
        rehearsal.engine.up()
        assert seen(drift(rehearsal.installation())) == []
        del rehearsal.cluster.nodes["gpu-1"]
        breakage.change_node(rehearsal.cluster, "gpu-3", taints=())
        assert seen(drift(rehearsal.installation())) == [
            ("missing", "10.0.16.6 is eligible and not registered"),
            ("surplus", "10.0.16.4 is registered and not eligible"),
        ]
        rehearsal.engine.up()
        assert seen(drift(rehearsal.installation())) == []


@pytest.mark.parametrize("target_type", ["ip", "instance"])
def test_a_stopped_instance_fails_no_up_and_drift_does_not_call_it_eligible(target_type: str) -> None:
    with a_rehearsal(as_config(targetType=target_type)) as rehearsal:
        ec2 = rehearsal.aws.client("ec2")
        stopped, address = rehearsal.aws.nodes["gpu-2"]
        ec2.stop_instances(InstanceIds=[stopped])
        rehearsal.engine.up()
        assert len(registered(rehearsal)) == 1
        assert not registered(rehearsal) & {stopped, address}
        assert seen(drift(rehearsal.installation())) == []
        ec2.start_instances(InstanceIds=[stopped])
        [(check, _)] = seen(drift(rehearsal.installation()))
        assert check == "missing"
        rehearsal.engine.up()
        ec2.stop_instances(InstanceIds=[stopped])
        [found] = seen(drift(rehearsal.installation()))
        gone = stopped if target_type == "instance" else address
        assert found == ("surplus", f"{gone} is registered and not eligible: node gpu-2 is stopped in EC2")


def test_a_node_is_registered_by_its_primary_address_wherever_the_cluster_lists_it() -> None:
    nodes = (Node(name="gpu-1", zone="a", ip="10.0.16.77", addresses=("10.0.16.99", "10.0.16.98")),)
    with a_rehearsal(nodes=nodes) as rehearsal:
        rehearsal.engine.up()
        assert registered(rehearsal) == {"10.0.16.77"}


def test_where_no_node_can_be_a_target_drift_says_why() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        for name in ("gpu-1", "gpu-2"):
            rehearsal.aws.client("ec2").stop_instances(InstanceIds=[rehearsal.aws.nodes[name][0]])
        [(check, told)] = seen(drift(rehearsal.installation()))
    assert check == "targets"
    assert "stopped in EC2: gpu-1, gpu-2" in told


def test_a_target_that_somebody_else_registered_is_no_difference_that_up_would_mend() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        target: Any = {"Id": "10.0.48.4", "Port": 30504}
        rehearsal.aws.client("elbv2").register_targets(
            TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=[target]
        )
        [found] = [finding for finding in drift(rehearsal.installation()) if finding.check == "surplus"]
    assert found.level is Level.NOTE


def test_drift_tells_how_to_register_again_what_somebody_deregistered() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.aws.client("elbv2").deregister_targets(
            TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=[{"Id": "10.0.16.5", "Port": 30504}]
        )
        breakage.change_node(rehearsal.cluster, "gpu-3", taints=())
        found = {finding.seen: finding.remedy for finding in drift(rehearsal.installation())}
        assert found == {
            "10.0.16.5 is eligible and not registered": "pulumi up --refresh --stack test",
            "10.0.16.6 is eligible and not registered": "pulumi up --stack test",
        }
        rehearsal.engine.up()
        assert seen(drift(rehearsal.installation())) == [("missing", "10.0.16.5 is eligible and not registered")]
        refresh_targets(rehearsal)
        rehearsal.engine.up()
        assert seen(drift(rehearsal.installation())) == []


def attach(rehearsal: Rehearsal, name: str, *, detached: bool = False) -> None:
    client: Any = rehearsal.aws.client("autoscaling")
    change = client.detach_load_balancer_target_groups if detached else client.attach_load_balancer_target_groups
    change(AutoScalingGroupName=name, TargetGroupARNs=[rehearsal.engine.outputs["targetGroupArn"]])


def attachments_told(rehearsal: Rehearsal) -> list[dict[str, str]]:
    """What `drift` and what `verify` say of attachments: what was seen to the remedy."""
    verification = Verification(rehearsal.installation(), rehearsal.engine.outputs, lambda name: [name])
    return [
        {finding.seen: finding.remedy for finding in found if finding.check == "attachments" and finding.remedy}
        for found in (drift(rehearsal.installation()), verification.run(Unwatched()))
    ]


def test_a_group_that_somebody_detached_is_told_though_targets_are_left() -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        assert attachments_told(rehearsal) == [{}, {}]
        attach(rehearsal, "eks-gpu", detached=True)
        rehearsal.aws.client("elbv2").register_targets(
            TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"],
            Targets=[{"Id": rehearsal.aws.nodes["gpu-1"][0], "Port": 30504}],
        )
        told = {"Auto Scaling group eks-gpu should be attached and is not": "pulumi up --refresh --stack test"}
        assert attachments_told(rehearsal) == [told, told]


def test_a_node_group_whose_auto_scaling_group_is_another_one_now_is_told_with_the_up_that_follows_it() -> None:
    config = {**STRATEGIES["autoscaling"], **as_config(nodeGroups=["gpu"])}
    with a_rehearsal(config, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        rehearsal.reconfigure(as_config(nodeGroups=["wide"], allowOtherZones=True))
        told = {
            "Auto Scaling group eks-wide should be attached and is not": "pulumi up --stack test",
            "Auto Scaling group eks-gpu is attached and should not be": "pulumi up --stack test",
        }
        assert attachments_told(rehearsal) == [told, told]
        rehearsal.engine.up()
        assert attachments_told(rehearsal) == [{}, {}]


def test_a_group_that_somebody_else_attached_is_no_difference_that_up_would_mend() -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        attach(rehearsal, "eks-system")
        [found] = [finding for finding in drift(rehearsal.installation()) if finding.check == "attachments"]
        assert found.level is Level.NOTE
        assert found.remedy.startswith("aws autoscaling detach-load-balancer-target-groups --region us-west-2 ")


def test_groups_that_cannot_be_looked_up_are_unknown_and_not_fine() -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        rehearsal.aws.denied.add("eks:ListNodegroups")
        [found] = [finding for finding in drift(rehearsal.installation()) if finding.check == "attachments"]
        assert found.level is Level.UNKNOWN
        assert "eks:ListNodegroups" in found.seen


def refresh_targets(rehearsal: Rehearsal) -> None:
    """What `pulumi up --refresh` does first: forget the targets that are registered no more."""
    there = registered(rehearsal)
    for urn, resource in list(rehearsal.engine.state.items()):
        if resource.type.endswith(":TargetGroupAttachment") and resource.inputs["targetId"] not in there:
            del rehearsal.engine.state[urn]


def test_a_target_that_may_be_somebody_elses_is_told_with_both_remedies() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        target: Any = {"Id": "10.0.48.4", "Port": 30504}
        rehearsal.aws.client("elbv2").register_targets(
            TargetGroupArn=rehearsal.engine.outputs["targetGroupArn"], Targets=[target]
        )
        [found] = drift(knowing(rehearsal, KnownStates(failure=NO_CLI)))
    assert found.level is Level.PROBLEM
    assert found.remedy.startswith("pulumi up --stack test, if this stack registered it, else: aws elbv2 deregister-")


# --- Churn

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "cordon", "taint", "exclude", "lie", "stop", "start", "return"]),
        st.integers(min_value=0, max_value=4),
    ),
    min_size=1,
    max_size=6,
)
NAMES = ("gpu-1", "gpu-2", "gpu-3", "gpu-4", "system-1")


def change(rehearsal: Rehearsal, kind: str, name: str, original: Mapping[str, Node]) -> None:
    nodes = rehearsal.cluster.nodes
    if kind == "join":
        nodes[name] = original[name].model_copy(update={"labels": None, "taints": ()})
    elif kind == "return":
        nodes[name] = original[name]
    elif name in nodes:
        changed: Mapping[str, Mapping[str, Any]] = {
            "cordon": {"cordoned": True},
            "taint": {"taints": ("ToBeDeletedByClusterAutoscaler",)},
            "exclude": {
                "labels": {"node-type": "compute", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
            },
            "lie": {"labels": {"node-type": "compute", "topology.kubernetes.io/zone": "us-west-2b"}},
        }
        if kind == "leave":
            del nodes[name]
        elif kind in ("stop", "start"):
            ec2 = rehearsal.aws.client("ec2")
            (ec2.stop_instances if kind == "stop" else ec2.start_instances)(InstanceIds=[rehearsal.aws.nodes[name][0]])
        else:
            nodes[name] = nodes[name].model_copy(update=changed[kind])


def eligible(rehearsal: Rehearsal) -> set[str]:
    """Written anew, from the words of the documentation."""
    running: Any = rehearsal.aws.client("ec2").describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["running"]}]
    )
    instances = {
        instance["InstanceId"] for reservation in running["Reservations"] for instance in reservation["Instances"]
    }
    return {
        node.ip or ""
        for node in rehearsal.cluster.nodes.values()
        if node.zone == "a"
        and node.instance_id in instances
        and not node.taints
        and (node.labels is None or node.labels.get("node-type") == "compute")
        and "node.kubernetes.io/exclude-from-external-load-balancers" not in (node.labels or {})
    }


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_after_any_churn_the_registered_are_the_eligible_and_no_survivor_was_ever_deregistered(
    changes: list[tuple[str, int]],
) -> None:
    with a_rehearsal() as rehearsal:
        original = dict(rehearsal.cluster.nodes)
        rehearsal.engine.up()
        for kind, number in changes:
            before = eligible(rehearsal)
            change(rehearsal, kind, NAMES[number], original)
            after = eligible(rehearsal)
            if not after:
                with pytest.raises(pulumi.RunError, match="can be a target"):
                    rehearsal.engine.up()
                return
            steps = rehearsal.engine.up()
            touched = {
                step.resource.inputs["targetId"]
                for step in steps
                if step.resource.type.endswith(":TargetGroupAttachment") and step.operation != "same"
            }
            assert registered(rehearsal) == after
            assert touched == before ^ after
