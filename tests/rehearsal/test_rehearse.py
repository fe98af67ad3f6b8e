import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

import rehearsal.shell
from lls import lookups
from lls.config import Config
from lls.operations.program.stack_file import PROJECT, Stack, StackError, read_stack
from rehearsal.__main__ import main
from rehearsal.display import Silence, as_json
from rehearsal.engine.engine import StepsFailedError
from rehearsal.rehearse import Rehearsal, Report
from rehearsal.stack_world import stack_to_rehearse, world_for
from rehearsal.world import DEFAULT_WORLD
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import a_rehearsal, rehearsed

SHAPES: Mapping[str, Mapping[str, str]] = {
    "dev": {},
    "static address": {"lls:staticIp": "true"},
    "given address": {"lls:eipAllocationId": "eipalloc-0a1b2c3d"},
    "instance targets": {"lls:targetType": "instance"},
    "30-character cluster name": {"lls:clusterName": "nvcf-streaming-production-west"},
    "one of a cluster's several": {"lls:instance": "b"},
    "overridden look-ups": as_config(
        vpcId="vpc-0a1b2c3d", publicSubnetId="subnet-0a1b2c3d", nodeSecurityGroupId="sg-0a1b2c3d"
    ),
    "several groups of nodes": as_config(nodeSecurityGroupIds=["sg-0a1b2c3d", "sg-0c2d3e4f"]),
    "static ip targets": as_config(registration="static", targets=["10.0.16.77", "10.0.16.78"]),
    "static instance targets": as_config(registration="static", targetType="instance", targets=["i-0a1b2c3d4e5f60718"]),
    "own kubeconfig": as_config(kubeconfig=json.dumps({"contexts": [{"name": "mine"}]}), kubeContext="mine"),
    "other NodePorts of the chart": as_config(streamingNodePort=30600, healthNodePort=30900, healthPath="/healthz"),
    "other port and clients": as_config(udpPort=6000, allowedCidrs=["198.51.100.0/24", "pl-0a1b2c3d"]),
    "own name": as_config(dnsName="stream.example.com", registration="static", targets=["10.0.16.77"]),
    "own name and record": as_config(dnsName="stream.example.com", hostedZoneId="none", staticIp=True),
    "China": {"aws:region": "cn-north-1", "lls:availabilityZone": "cn-north-1b"},
}


def broken(report: Report) -> dict[str, str]:
    return {check.name: check.seen for check in report.checks if not check.held}


@pytest.mark.parametrize("config", SHAPES.values(), ids=list(SHAPES))
def test_every_shape_of_stack_holds(config: Mapping[str, str]) -> None:
    report = rehearsed(config)
    assert broken(report) == {}
    assert len(report.checks) == 8
    assert all(target.state == "healthy" for target in report.targets)


def test_nodes_without_a_group_of_their_own_are_reached_through_the_cluster_security_group() -> None:
    report = rehearsed(quirks={"node_groups": 0})
    assert broken(report) == {}
    assert report.outputs["nodeSecurityGroupId"]


def test_the_guides_order_is_kept() -> None:
    with a_rehearsal() as rehearsal:
        steps = {step.resource.name: step for step in rehearsal.engine.up()}
    assert steps["proxy-release"].started > steps["streaming-nlb"].finished
    assert steps["targets-10.0.16.4"].started > steps["proxy-release"].finished


# --- Worlds in which a stack must not pass


def test_a_world_with_two_node_groups_is_refused_before_anything_is_made() -> None:
    with a_rehearsal(quirks={"node_groups": 2}) as rehearsal:
        with pytest.raises(pulumi.RunError, match="lls:nodeSecurityGroupId"):
            rehearsal.engine.up()
        assert rehearsal.aws.leftovers() == ()


def test_a_taken_node_port_fails_the_release_with_kubernetess_own_words() -> None:
    with (
        a_rehearsal(quirks={"taken_node_ports": (30504,)}) as rehearsal,
        pytest.raises(StepsFailedError, match="provided port is already allocated"),
    ):
        rehearsal.engine.up()


def test_what_was_made_before_a_failure_is_in_the_state_and_destroyed_from_there() -> None:
    with a_rehearsal(quirks={"taken_node_ports": (30504,)}) as rehearsal:
        with pytest.raises(Exception, match="already allocated"):
            rehearsal.engine.up()
        assert rehearsal.aws.leftovers()
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_what_a_failed_replacement_left_behind_goes_with_the_next_up() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.reconfigure({"lls:targetType": "instance", **as_config(helmValues={"image": {"tag": 2}})})
        with pytest.raises(StepsFailedError, match=r"image\.tag"):
            rehearsal.engine.up()
        assert len(groups(rehearsal)) == 2
        rehearsal.reconfigure({"lls:helmValues": "{}"})
        rehearsal.engine.up()
        assert len(groups(rehearsal)) == 1
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def groups(rehearsal: Rehearsal) -> list[str]:
    found = rehearsal.aws.client("elbv2").describe_target_groups()["TargetGroups"]
    return [group.get("TargetGroupName", "") for group in found]


def test_a_chart_with_another_health_port_leaves_every_target_unhealthy() -> None:
    report = rehearsed(quirks={"chart_health_node_port": 30999})
    assert "unhealthy Target.FailedHealthChecks" in broken(report)["every target is healthy and reached by media"]


def test_a_protected_nlb_stops_destroy_and_what_it_needs_stays() -> None:
    with a_rehearsal({"lls:deletionProtection": "true"}) as rehearsal:
        rehearsal.engine.up()
        with pytest.raises(StepsFailedError, match="deletion protection is enabled"):
            rehearsal.engine.destroy()
        left = {resource.name for resource in rehearsal.engine.state.values() if resource.custom}
        assert left >= {"streaming-nlb", "streaming-sg", "streaming-tg"}
        assert not left & {"streaming-listener", "proxy-release", "node-ports-media"}
        rehearsal.reconfigure({"lls:deletionProtection": "false"})
        rehearsal.engine.up()
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


# --- The program, broken on purpose


def drop(monkeypatch: pytest.MonkeyPatch, owner: Any, kind: str, suffix: str) -> None:
    """Let the program leave out the resources of a kind whose names end so."""
    original = getattr(owner, kind)

    def make(name: str, *args: Any, **kwargs: Any) -> Any:
        return None if name.endswith(suffix) else original(name, *args, **kwargs)

    monkeypatch.setattr(owner, kind, make)


@pytest.mark.parametrize(
    ("kind", "suffix", "seen"),
    [
        ("SecurityGroupIngressRule", "-health", "unhealthy Target.Timeout"),
        ("SecurityGroupIngressRule", "-media", "do not let in UDP 30504"),
        ("SecurityGroupIngressRule", "0.0.0.0/0", "do not let in UDP 5004"),
        ("SecurityGroupEgressRule", "-egress", "unhealthy Target.Timeout"),
    ],
)
def test_a_missing_rule_fails_the_rehearsal_as_it_fails_in_life(
    monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str, seen: str
) -> None:
    drop(monkeypatch, aws.vpc, kind, suffix)
    assert seen in broken(rehearsed())["every target is healthy and reached by media"]


def test_an_nlb_in_another_zone_fails_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_rehearsal() as rehearsal:
        other = rehearsal.aws.subnets["b"][0]

        def elsewhere(config: Config, vpc_id: str) -> str:
            return other

        monkeypatch.setattr(lookups, "find_public_subnet", elsewhere)
        rehearsal.engine.up()
        assert {target.state for target in rehearsal.await_health()} == {"unused"}


def test_a_port_that_kubernetes_takes_for_a_number_fails_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    from lls import streaming_proxy_release as module

    values = module.chart_values

    def numbers(args: module.StreamingProxyReleaseArgs) -> module.Values:
        return module.merge(values(args), {"env": {"lbPort": args.udp_port}})

    monkeypatch.setattr(module, "chart_values", numbers)
    with pytest.raises(Exception, match=r"env\.lbPort: use a text"):
        rehearsed()


@pytest.mark.parametrize("dropped", ["nodeSelector", "resources", "availabilityZones", "replicaCount", "probes"])
def test_a_null_drops_a_default_of_the_chart(dropped: str) -> None:
    assert broken(rehearsed(as_config(helmValues={dropped: None}))) == {}


def test_a_null_where_the_chart_needs_a_value_fails_the_release() -> None:
    with pytest.raises(Exception, match=r"env\.lbDns: it is not set"):
        rehearsed(as_config(helmValues={"env": {"lbDns": None}}))


# --- Changes, against a strict AWS


def changed(
    changes: Mapping[str, str],
    start: Mapping[str, str] | None = None,
    meanwhile: Callable[[Rehearsal], None] = lambda _: None,
) -> tuple[dict[str, set[str]], list[str]]:
    """What one `up` does about a change, and the AWS calls it takes; everything must be healthy afterwards."""
    with a_rehearsal(start) as rehearsal:
        rehearsal.engine.up()
        rehearsal.reconfigure(changes)
        meanwhile(rehearsal)
        rehearsal.aws.calls.clear()
        done: dict[str, set[str]] = {}
        for step in rehearsal.engine.up():
            done.setdefault(step.operation, set()).add(step.resource.name)
        calls = [call for call in rehearsal.aws.calls if ":Describe" not in call]
        assert {(health.state, health.obstacle) for health in rehearsal.await_health()} == {("healthy", None)}
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []
    return done, calls


def test_the_udp_port_changes_without_replacing_anything() -> None:
    done, _ = changed({"lls:udpPort": "6000"})
    assert done.keys() == {"same", "update"}


@pytest.mark.parametrize("on", [True, False])
def test_a_static_address_is_switched_on_and_off(on: bool) -> None:
    start, end = {"lls:staticIp": json.dumps(not on)}, {"lls:staticIp": json.dumps(on)}
    done, calls = changed(end, start)
    assert done["replace"] == {"streaming-nlb", "streaming-listener"}
    assert ("ec2:AllocateAddress" if on else "ec2:ReleaseAddress") in calls
    assert "elasticloadbalancing:DeregisterTargets" not in calls


def test_another_zone_replaces_the_nlb_and_moves_the_targets() -> None:
    done, _ = changed({"lls:availabilityZone": "us-west-2b"})
    assert done["replace"] == {"streaming-nlb", "streaming-listener"}
    assert len([name for name in done["create"] if name.startswith("targets-")]) == 1
    assert len([name for name in done["delete"] if name.startswith("targets-")]) == 2


def test_another_target_type_moves_the_listener_to_a_new_target_group_before_the_old_one_goes() -> None:
    done, calls = changed({"lls:targetType": "instance"})
    assert done["replace"] == {"streaming-tg"}
    moved = calls.index("elasticloadbalancing:ModifyListener")
    assert calls.index("elasticloadbalancing:CreateTargetGroup") < moved
    assert moved < calls.index("elasticloadbalancing:DeleteTargetGroup")


def test_another_node_port_registers_anew_before_the_old_target_group_goes() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        rehearsal.reconfigure({"lls:streamingNodePort": "30600"})
        rehearsal.aws.calls.clear()
        rehearsal.engine.up()
        calls = rehearsal.aws.calls
        register = calls.index("elasticloadbalancing:RegisterTargets")
        assert register < calls.index("elasticloadbalancing:DeregisterTargets")
        assert register < calls.index("elasticloadbalancing:DeleteTargetGroup")


@pytest.mark.parametrize("change", [{"lls:instance": "b"}, {"lls:serviceName": "second"}])
def test_a_binding_goes_before_its_successor_since_the_controller_refuses_two_and_another_group(
    change: Mapping[str, str],
) -> None:
    with a_rehearsal(STRATEGIES["binding"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        if service := change.get("lls:serviceName"):
            [charts] = rehearsal.cluster.services.values()
            rehearsal.cluster.services[charts.namespace, service] = replace(charts, name=service)
        rehearsal.reconfigure(change)
        steps = [step.operation for step in rehearsal.engine.up() if step.resource.name == "targets-binding"]
        assert steps == ["delete", "replace"]
        assert {health.state for health in rehearsal.await_health()} == {"healthy"}


def test_another_instance_has_its_security_group_before_the_old_one_goes() -> None:
    done, calls = changed({"lls:instance": "b"})
    assert {"streaming-sg", "streaming-tg", "streaming-nlb"} <= done["replace"]
    assert calls.index("ec2:CreateSecurityGroup") < calls.index("ec2:DeleteSecurityGroup")
    assert {"node-ports-media", "node-ports-health"} <= done["update"]


def test_a_node_that_leaves_is_deregistered_and_no_other_is_touched() -> None:
    def leave(rehearsal: Rehearsal) -> None:
        del rehearsal.cluster.nodes["gpu-1"]

    done, calls = changed({}, meanwhile=leave)
    assert len(done["delete"]) == 1
    assert [call for call in calls if "Targets" in call] == ["elasticloadbalancing:DeregisterTargets"]


def test_a_node_that_joins_is_registered_and_no_other_is_touched() -> None:
    def join(rehearsal: Rehearsal) -> None:
        node = rehearsal.cluster.nodes["gpu-3"]
        rehearsal.cluster.nodes["gpu-3"] = node.model_copy(update={"taints": ()})

    done, calls = changed({}, meanwhile=join)
    assert len(done["create"]) == 1
    assert [call for call in calls if "Targets" in call] == ["elasticloadbalancing:RegisterTargets"]


def test_tags_change_in_place_on_everything_that_serves() -> None:
    done, calls = changed(as_config(tags={"team": "b"}), as_config(tags={"team": "a", "old": "x"}))
    assert done.keys() == {"same", "update"}
    assert "elasticloadbalancing:RemoveTags" in calls
    assert "ec2:DeleteTags" in calls


def test_a_new_chart_version_is_an_upgrade_of_the_release_alone() -> None:
    done, calls = changed({"lls:chartVersion": "3.0.0", "lls:imageTag": "3.0.2"})
    assert done["update"] == {"proxy-release"}
    assert set(calls) == {"ecr:GetAuthorizationToken", "sts:GetCallerIdentity", "eks:GET /clusters/demo"}


def test_another_namespace_replaces_the_release_before_its_node_ports_collide() -> None:
    done, _ = changed({"lls:namespace": "streaming"})
    assert done["replace"] == {"proxy-namespace", "proxy-release"}


# --- The tool


def test_a_missing_stack_is_named_with_those_there_are() -> None:
    with pytest.raises(StackError, match="Known stacks: dev"):
        read_stack("nosuch")


def test_encrypted_values_are_stood_in_for_and_stay_secret(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text(
        "config:\n  lls:kubeconfig:\n    secure: v1:abc\n  lls:helmValues:\n    env: {key: {secure: v1:def}}\n"
        "  lls:udpPort: 6000\n  lls:staticIp: true\n"
    )
    stack = read_stack("x", tmp_path)
    assert stack.secret_keys == {"lls:kubeconfig", "lls:helmValues"}
    assert "v1:" not in json.dumps(dict(stack.config))
    assert (stack.get("udpPort"), stack.get("staticIp")) == ("6000", "true")


@pytest.mark.parametrize(
    "config",
    [
        "lls:kubeconfig: {secure: v1:abc}",
        "lls:kubeconfig: {secure: v1:abc}\n  lls:kubeContext: mine",
        "lls:helmValues: {secure: v1:abc}",
        "lls:helmValues: {env: {key: {secure: v1:abc}}}",
    ],
)
def test_a_stack_with_encrypted_values_is_rehearsed_without_decrypting_them(tmp_path: Path, config: str) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text(
        f"config:\n  aws:region: us-west-2\n  lls:clusterName: demo\n  lls:availabilityZone: us-west-2a\n  {config}\n"
    )
    stack = stack_to_rehearse("x", tmp_path)
    stack.parsed()
    with Rehearsal(stack, world_for(stack, DEFAULT_WORLD.read_text()), factor=10_000) as rehearsal:
        assert broken(rehearsal.perform(Silence())) == {}


def test_a_stacks_own_kubeconfig_never_reaches_a_real_cluster() -> None:
    kubeconfig = json.dumps({"contexts": [{"name": "mine"}], "clusters": ["https://real.example"]})
    with a_rehearsal(as_config(kubeconfig=kubeconfig, kubeContext="mine")) as rehearsal:
        assert "real.example" not in json.dumps(dict(rehearsal.engine.config))


def command(*arguments: str) -> int:
    return main(["--factor", "5000", *arguments])


def a_world_file(folder: Path, before: str, after: str) -> str:
    default = DEFAULT_WORLD.read_text()
    assert before in default
    path = folder / "world.yaml"
    path.write_text(default.replace(before, after))
    return str(path)


def test_the_command_runs_and_is_plain_when_piped() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--factor", "5000"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "\x1b" not in result.stdout
    for text in ("streaming-nlb", "streamingEndpoint", "healthy", "5000 times faster", "nothing is left"):
        assert text in result.stdout


def test_the_command_prints_a_report_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held"] is True
    assert {step["operation"] for step in report["up"]} == {"create"}
    assert {step["operation"] for step in report["again"]} == {"same"}
    assert {step["operation"] for step in report["destroy"]} == {"delete"}
    assert report["outputs"]["udpPort"] == 5004


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("planets: 8", "planets"),
        ("", "a world is a mapping"),
        ("- a", "a world is a mapping"),
        ("{", "expected"),
        ("subnets: [{public: true}]", "subnets.0.zone"),
    ],
)
def test_the_command_refuses_a_bad_world_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, seen: str
) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(text)
    assert command("--world", str(world)) == 2
    assert seen in capsys.readouterr().err


def test_the_command_refuses_an_unknown_stack_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--stack", "nosuch") == 2
    assert "there is no Pulumi.nosuch.yaml" in capsys.readouterr().err


def test_a_stack_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text("{")
    with pytest.raises(StackError, match=r"Pulumi\.x\.yaml is not YAML"):
        read_stack("x", tmp_path)


def test_the_command_exits_with_1_when_something_broke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = a_world_file(tmp_path, "nodeGroups: 1", "nodeGroups: 1\n  chartHealthNodePort: 30999")
    assert command("--world", world) == 1
    assert "broken every target is healthy" in capsys.readouterr().out


def test_a_users_mistake_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--world", a_world_file(tmp_path, "nodeGroups: 1", "nodeGroups: 2")) == 1
    error = capsys.readouterr().err
    assert "lls:nodeSecurityGroupId" in error
    assert "Traceback" not in error


def test_a_kept_world_serves_the_aws_cli_until_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearsal.shell, "wait_for_interrupt", interrupted)
    assert command("--keep", "--json") == 0
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in capsys.readouterr().err


def test_an_interrupted_rehearsal_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Rehearsal, "perform", interrupted)
    assert command() == 130
    assert "Interrupted." in capsys.readouterr().err


@pytest.mark.parametrize("speed", ["0", "-1", "fast"])
def test_a_speed_must_be_positive(speed: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--factor", speed])


def test_the_report_says_what_was_broken() -> None:
    report = json.loads(as_json(rehearsed(quirks={"chart_health_node_port": 30999})))
    assert report["held"] is False
    assert [check["name"] for check in report["checks"] if not check["held"]] == [
        "every target is healthy and reached by media",
        "verify finds nothing wrong",
    ]


def test_a_stack_is_what_its_file_says() -> None:
    assert read_stack("dev") == Stack(
        "dev", {"aws:region": "us-west-2", "lls:clusterName": "nvcf-dev", "lls:availabilityZone": "us-west-2a"}
    )
