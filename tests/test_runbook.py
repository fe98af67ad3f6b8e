"""The paths of docs/runbook.md, each of them gone."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lls.kubeconfig import CredentialError, find_access
from lls.operations.program.stack_file import PROJECT
from lls.operations.report.finding import Level, Unwatched
from lls.operations.sweep import carry_out
from lls.operations.verify import Verification
from lls.operations.world.states import State
from rehearsal.engine.engine import Refreshed, StepsFailedError
from rehearsal.rehearse import NLB_ADDRESS, Rehearsal
from tests.support import breakage
from tests.support.faults import CREATIONS, NODES, destroyed_but
from tests.support.operations import adoption, cleaned, kinds, planned, preflight_of, problems, streams, take_over
from tests.support.recorded import as_config
from tests.support.silent import put_on_path
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import KnownStates, MutableRehearsal, PatientClockOf, a_rehearsal

RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()


def test_every_path_of_the_runbook_is_tried_by_a_test_that_exists() -> None:
    tests = {
        name for path in Path(__file__).parent.rglob("test_*.py") for name in re.findall(r"def (\w+)", path.read_text())
    }
    sections = RUNBOOK.split("\n## ")[1:]
    tried = [set(re.findall(r"`(test_\w+)`", section)) for section in sections]
    assert all(tried)
    assert set[str]().union(*tried) <= tests


def fails(rehearsal: Rehearsal) -> str:
    """What an `up` says that fails."""
    with pytest.raises(StepsFailedError) as caught:
        rehearsal.engine.up()
    return str(caught.value)


def adopt(rehearsal: Rehearsal) -> None:
    found = adoption(rehearsal, rehearsal.state())
    assert found.interrupting == []
    assert found.refused == []
    take_over(rehearsal, found)


def test_a_lost_answer_is_got_over_by_adopt() -> None:
    with a_rehearsal(NODES) as rehearsal:
        for action in set(CREATIONS) - {"ec2:AllocateAddress"}:
            with rehearsal.aws.lose(action, times=1):
                fails(rehearsal)
            if any(call in action for call in ("Describe", "Modify", "RegisterTargets", "CreateListener")):
                rehearsal.engine.up()
            else:
                assert re.search("Duplicate|already exists", fails(rehearsal)), action
                adopt(rehearsal)
                rehearsal.engine.up()
            assert streams(rehearsal), action
            assert {step.operation for step in rehearsal.engine.up()} == {"same"}
            rehearsal.engine.destroy()
            assert rehearsal.leftovers() == [], action


def test_an_address_whose_allocation_was_never_told_is_released_by_sweep() -> None:
    with a_rehearsal(NODES) as rehearsal:
        for is_deployed in (False, True):
            with rehearsal.aws.lose("ec2:AllocateAddress", times=1):
                fails(rehearsal)
            rehearsal.engine.up()
            if not is_deployed:
                rehearsal.engine.destroy()
                [problem] = problems(cleaned(rehearsal, KnownStates({"test": rehearsal.state()})))
                assert "Elastic IP" in problem
            sweep = planned(rehearsal, KnownStates({"test": rehearsal.state()}))
            assert kinds(sweep) == ["Elastic IP"]
            carry_out(sweep, rehearsal.installation(), PatientClockOf(rehearsal), Unwatched())
        assert streams(rehearsal)


def test_a_lost_state_is_adopted_while_everything_goes_on_streaming() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        rehearsal.engine.state.clear()
        adopt(rehearsal)
        rehearsal.aws.calls.clear()
        assert {step.operation for step in rehearsal.engine.up()} <= {"same", "update"}
        assert not [call for call in rehearsal.aws.calls if re.search("Create|Delete|Deregister|Revoke", call)]
        assert streams(rehearsal)
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_a_release_that_was_not_ready_in_time_goes_on_with_the_next_up() -> None:
    with a_rehearsal() as rehearsal:
        for node in list(rehearsal.cluster.nodes.values()):
            rehearsal.cluster.nodes[node.name] = node.model_copy(update={"cpu": "1"})
        assert "context deadline exceeded" in fails(rehearsal)
        installation = rehearsal.installation()
        outputs = {"nlbArn": "", **rehearsal.engine.outputs}
        found = Verification(installation, outputs, resolve=lambda _: [NLB_ADDRESS]).run(Unwatched())
        assert any("Insufficient cpu" in finding.seen for finding in found)
        for node in list(rehearsal.cluster.nodes.values()):
            rehearsal.cluster.nodes[node.name] = node.model_copy(update={"cpu": "48"})
        rehearsal.engine.up()
        assert streams(rehearsal)


def test_a_node_port_that_is_free_again_needs_no_more_than_another_up() -> None:
    with a_rehearsal(quirks={"taken_node_ports": (30504,)}) as rehearsal:
        assert "provided port is already allocated" in fails(rehearsal)
        [foreign] = [service for service in rehearsal.cluster.services.values() if service.namespace != "gdn-streaming"]
        rehearsal.cluster.remove("services", foreign.namespace, foreign.name)
        rehearsal.engine.up()
        assert streams(rehearsal)


def test_a_release_left_pending_is_uninstalled_by_hand_and_made_again() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        release = next(urn for urn, resource in rehearsal.engine.state.items() if resource.name == "proxy-release")
        del rehearsal.engine.state[release]
        breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", "pending-install")
        assert "another operation (install/upgrade/rollback) is in progress" in fails(rehearsal)
        rehearsal.cluster.uninstall("gdn-streaming", "gdn-streaming")
        rehearsal.engine.up()
        assert streams(rehearsal)


def preflight_and_verify(rehearsal: MutableRehearsal) -> dict[str, str]:
    """What preflight and verify tell to do about the release."""
    found = {"preflight": preflight_of(rehearsal)}
    found["verify"] = Verification(rehearsal.installation(), {}, resolve=lambda _: [NLB_ADDRESS]).run(Unwatched())
    return {
        command: finding.remedy
        for command, findings in found.items()
        for finding in findings
        if (finding.check, finding.level) == ("release", Level.PROBLEM)
    }


def left_at_install(rehearsal: MutableRehearsal) -> None:
    """A run was killed while Helm installed: the state has no release, and none was ever deployed."""
    del rehearsal.engine.state[next(urn for urn in rehearsal.engine.state if urn.endswith("proxy-release"))]


def left_at_first_upgrade(rehearsal: MutableRehearsal) -> None:
    """The install failed, and a run was killed while Helm upgraded that."""
    breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", "failed")
    upgrade(rehearsal, "2.0.2")


def left_at_upgrade(rehearsal: MutableRehearsal) -> None:
    """A run was killed while Helm upgraded what an upgrade had failed to."""
    upgrade(rehearsal, "2.0.2")
    breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", "failed")
    upgrade(rehearsal, "2.0.3")


def upgrade(rehearsal: MutableRehearsal, tag: str) -> None:
    rehearsal.reconfigure({"lls:imageTag": tag})
    rehearsal.engine.up()


@pytest.mark.parametrize(
    ("left", "status", "words"),
    [
        (left_at_install, "pending-install", "uninstall gdn-streaming"),
        (left_at_first_upgrade, "pending-upgrade", "uninstall gdn-streaming"),
        (left_at_upgrade, "pending-upgrade", "rollback gdn-streaming 1"),
        (left_at_upgrade, "pending-rollback", "rollback gdn-streaming 1"),
        (left_at_upgrade, "uninstalling", "uninstall gdn-streaming"),
    ],
)
def test_a_release_that_was_left_half_way_is_told_before_up_with_the_command_that_helps(
    left: Callable[[MutableRehearsal], None], status: Any, words: str
) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        left(rehearsal)
        breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", status)
        told = preflight_and_verify(rehearsal)
        rehearsal.reconfigure({"lls:imageTag": "2.0.4"})
        assert re.search("another operation|no deployed releases", fails(rehearsal))
        for remedy in told.values():
            assert f"helm -n gdn-streaming {words}, then pulumi up --refresh --stack test" in remedy
        assert told.keys() == {"preflight", "verify"}
        subprocess.run(["helm", "-n", "gdn-streaming", *words.split()], check=True, timeout=30)  # noqa: S603, S607
        rehearsal.engine.refresh()
        rehearsal.engine.up()
        assert streams(rehearsal)
        assert preflight_and_verify(rehearsal) == {}


def test_a_pending_release_of_another_stack_is_left_to_that_one() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        breakage.change_release(rehearsal.cluster, "gdn-streaming", "gdn-streaming", "pending-upgrade")
        backend = KnownStates({"test": State(), "other": rehearsal.state()})
        found = [finding for finding in preflight_of(rehearsal, backend) if finding.check == "release"]
    assert {finding.level for finding in found} <= {Level.OK}


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_registry_that_refuses_is_told_before_anything_is_made_and_costs_no_more_than_another_up(status: int) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.provider.registry.status = status
        with pytest.raises(StepsFailedError, match=f"failed to pull oci://.*{status}"):
            rehearsal.engine.preview()
        assert rehearsal.aws.leftovers() == ()
        assert f"{status}" in fails(rehearsal)
        rehearsal.provider.registry.status = 200
        rehearsal.engine.up()
        assert streams(rehearsal)


def test_a_release_that_somebody_uninstalled_is_refreshed_out_of_the_state_and_the_rest_destroyed() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        rehearsal.cluster.uninstall("gdn-streaming", "gdn-streaming")
        with pytest.raises(StepsFailedError, match=r"proxy-release: uninstall: .*: release: not found"):
            rehearsal.engine.destroy()
        [release] = [resource for resource in rehearsal.engine.state.values() if resource.name == "proxy-release"]
        assert not [resource for resource in rehearsal.engine.state.values() if release.urn in resource.needs]
        assert [resource.name for resource in rehearsal.engine.refresh().gone] == ["proxy-release"]
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_a_release_that_somebody_uninstalled_is_installed_anew_by_refresh_and_up() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        rehearsal.cluster.uninstall("gdn-streaming", "gdn-streaming")
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}
        assert not streams(rehearsal)
        rehearsal.engine.refresh()
        assert [step.resource.name for step in rehearsal.engine.up() if step.operation != "same"] == ["proxy-release"]
        assert streams(rehearsal)


@pytest.mark.parametrize("stack", [*STRATEGIES.values(), NODES], ids=[*STRATEGIES, "static address"])
def test_a_refresh_forgets_what_is_gone_and_nothing_else(stack: Mapping[str, str]) -> None:
    with a_rehearsal(stack, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        state = dict(rehearsal.engine.state)
        assert rehearsal.engine.refresh() == Refreshed()
        rehearsal.engine.destroy()
        rehearsal.engine.state.update(state)
        kept = {urn for urn, resource in state.items() if not resource.custom or "pulumi:providers" in urn}
        assert {resource.urn for resource in rehearsal.engine.refresh().gone} == state.keys() - kept


# --- A fresh checkout


def fresh(rehearsal: MutableRehearsal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to where nobody ever ran `up`: with the state alone."""
    folder.mkdir()
    monkeypatch.chdir(folder)

    def program() -> None:
        raise AssertionError("a destroy runs no program")

    rehearsal.engine.program = program
    rehearsal.engine.config = {}


def test_a_fresh_checkout_refreshes_and_destroys_by_the_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_rehearsal(NODES | as_config(drainSeconds=60)) as rehearsal:
        rehearsal.engine.up()
        assert Path(".lls/test/registry.json").is_file()
        fresh(rehearsal, tmp_path / "fresh", monkeypatch)
        assert rehearsal.engine.refresh() == Refreshed()
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []
        assert not Path(".lls").exists()


def test_a_fresh_checkout_needs_the_aws_cli_and_the_profile_that_the_state_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_rehearsal({"aws:profile": "prod"}) as rehearsal:
        rehearsal.engine.up()
        [provider] = [resource for resource in rehearsal.engine.state.values() if resource.name == "cluster"]
    kubeconfig = provider.inputs["kubeconfig"]
    credential = {"apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "t"}}
    script = f"[ $AWS_PROFILE = prod ] && echo '{json.dumps(credential)}'"
    put_on_path(monkeypatch, tmp_path / "bin", "aws", script)
    assert find_access(kubeconfig).kubeconfig["users"] == [{"name": "demo", "user": {"token": "t"}}]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CredentialError, match=r"`aws eks get-token`, .* is not on the PATH: install it"):
        find_access(kubeconfig)


def test_a_fresh_checkout_drains_with_the_projects_python(tmp_path: Path) -> None:
    with a_rehearsal(NODES | as_config(drainSeconds=60)) as rehearsal:
        rehearsal.engine.up()
        [pause] = [resource for resource in rehearsal.engine.state.values() if resource.name == "targets-draining"]
    ask = (
        "import base64, sys, dill; "
        "dill.loads(base64.b64decode(sys.stdin.read())).delete('draining', {'seconds': 0}); print('drained')"
    )

    def drain(folder: Path) -> subprocess.CompletedProcess[str]:
        """As Pulumi does: with the project's interpreter, in the project's folder."""
        command = [sys.executable, "-c", ask]
        return subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            input=pause.inputs["__provider"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert drain(PROJECT).stdout == "drained\n"
    assert "No module named 'lls'" in drain(tmp_path).stderr


def test_a_group_that_somebody_else_uses_stops_destroy_until_it_is_free() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        ec2: Any = rehearsal.aws.client("ec2")
        group = rehearsal.engine.outputs["securityGroupId"]
        subnet = rehearsal.aws.subnets["a"][0]
        interface = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]
        failed, kept = destroyed_but(rehearsal)
        assert {rehearsal.engine.state[urn].name for urn in failed} == {"streaming-sg"}
        assert {rehearsal.engine.state[urn].name for urn in kept if rehearsal.engine.state[urn].custom} <= {
            "streaming-sg",
            "cluster",
        }
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


def test_what_lived_in_a_cluster_that_is_gone_is_forgotten_and_the_rest_destroyed() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        for urn in [urn for urn, resource in rehearsal.engine.state.items() if resource.type.startswith("kubernetes:")]:
            del rehearsal.engine.state[urn]
        rehearsal.engine.destroy()
        assert rehearsal.aws.leftovers() == ()
        assert rehearsal.engine.state == {}
