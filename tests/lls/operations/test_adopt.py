import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import follow
from lls.operations.adopt import import_file, write
from lls.operations.world.states import State
from rehearsal.engine.engine import Resource
from tests.support import breakage
from tests.support.operations import adoption, install, take_over
from tests.support.recorded import as_config
from tests.support.worlds import a_rehearsal


def names(resources: list[Resource]) -> set[str]:
    return {resource.name for resource in resources}


def test_everything_that_the_guide_made_is_found_and_only_what_it_forgot_is_missing() -> None:
    with a_rehearsal() as rehearsal:
        made = follow(rehearsal.aws, "demo", "us-west-2a", health_rule=False)
        install(rehearsal)
        found = adoption(rehearsal)
    ids = {match.resource.name: match.thing.id for match in found.matches}
    assert ids["streaming-sg"] == made.security_group
    assert ids["streaming-nlb"] == made.nlb
    assert ids["streaming-tg"] == made.target_group
    assert ids["streaming-listener"] == made.listener
    assert ids["proxy-namespace"] == "gdn-streaming"
    assert ids["proxy-release"] == "gdn-streaming/gdn-streaming"
    assert {"streaming-ingress-0.0.0.0/0", "streaming-egress", "node-ports-media"} <= ids.keys()
    assert ids["targets-10.0.16.4"] == f"{made.target_group},10.0.16.4,30504"
    assert names(found.missing) == {
        "node-ports-health",
        "node-ports-internal-udp-6004",
        "node-ports-internal-udp-3478",
        "node-ports-internal-tcp-8000",
    }
    assert found.interrupting == []
    assert {str(stranger) for stranger in found.unmanaged} == {"target 10.0.16.6", "target 10.0.48.4"}


def test_a_namespace_that_is_being_deleted_is_not_taken_over_nor_is_the_release_in_it() -> None:
    with a_rehearsal(latencies={"namespace_delete": 1e9}) as rehearsal:
        install(rehearsal)
        breakage.hang_deletion(rehearsal.cluster, "gdn-streaming", breakage.FINALIZER)
        found = adoption(rehearsal)
    assert found.matches == []
    assert {refusal.match.resource.name for refusal in found.refused} == {"proxy-namespace", "proxy-release"}
    for refusal in found.refused:
        assert "it is being deleted" in refusal.why
        assert "elbv2.k8s.aws/resources in 1 resource instances" in refusal.why
        assert refusal.remedy == (
            "wait until it is gone; if it stays, let the controller run that takes the finalizers off what remains"
        )


def test_the_up_after_it_replaces_nothing_and_adds_only_what_is_missing() -> None:
    with a_rehearsal({"lls:staticIp": "true"}) as rehearsal:
        made = follow(rehearsal.aws, "demo", "us-west-2a", static=True)
        install(rehearsal)
        found = adoption(rehearsal)
        take_over(rehearsal, found)
        done = {step.resource.name: step.operation for step in rehearsal.engine.up()}
        created = {name for name, operation in done.items() if operation == "create"}
        assert created == names(found.missing)
        assert "replace" not in done.values()
        assert rehearsal.engine.outputs["nlbArn"] == made.nlb
        assert {health.state for health in rehearsal.await_health()} == {"healthy", "unused"}
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}


def test_what_differs_is_said_before_anything_happens() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        found = adoption(rehearsal)
        listener = next(match for match in found.matches if match.resource.name == "streaming-listener")
        assert rehearsal.engine.state == {}
    [difference] = listener.differences
    assert difference.key == "tags"
    assert '"lls:cluster": null' in str(difference)
    assert '"lls:cluster": "demo"' in str(difference)


def test_an_address_that_the_config_does_not_ask_for_would_interrupt_and_is_refused() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a", static=True)
        found = adoption(rehearsal)
    [match] = found.interrupting
    assert match.resource.name == "streaming-nlb"
    assert [difference.key for difference in match.differences if difference.replaces] == ["subnetMappings"]


def test_another_health_check_is_changed_in_place() -> None:
    with a_rehearsal({"lls:healthPath": "/healthz"}) as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        found = adoption(rehearsal)
    match = next(match for match in found.matches if match.resource.name == "streaming-tg")
    assert [difference.key for difference in match.differences] == ["healthCheck"]
    assert found.interrupting == []


def test_a_rule_between_nodes_that_somebody_else_made_is_not_taken_over() -> None:
    with a_rehearsal() as rehearsal:
        group = rehearsal.aws.node_security_group_ids[0]
        permission: Any = {
            "IpProtocol": "udp",
            "FromPort": 6004,
            "ToPort": 6004,
            "UserIdGroupPairs": [{"GroupId": group}],
        }
        rehearsal.aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        found = adoption(rehearsal)
    [refused] = found.refused
    assert refused.match.resource.name == "node-ports-internal-udp-6004"
    assert refused.remedy == "pulumi config set lls:nodeInternalRules false"


def test_a_killed_up_leaves_what_the_state_lacks_and_just_that_is_imported() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        lost = next(urn for urn, resource in rehearsal.engine.state.items() if resource.name == "streaming-nlb")
        nlb = rehearsal.engine.state.pop(lost)
        state = rehearsal.state()
        found = adoption(rehearsal, state)
        content = import_file(found, state)
        assert [match.resource.name for match in found.matches] == ["streaming-nlb"]
        assert found.missing == []
        assert found.unmanaged == []
        assert [(resource["name"], resource["id"], resource["parent"]) for resource in content["resources"]] == [
            ("streaming-nlb", nlb.id, "streaming")
        ]
        assert content["nameTable"] == {"streaming": nlb.parent}
        take_over(rehearsal, found)
        assert {step.operation for step in rehearsal.engine.up()} == {"same"}


def test_nothing_exists_nothing_is_adopted() -> None:
    with a_rehearsal() as rehearsal:
        found = adoption(rehearsal)
    assert found.matches == []
    assert "streaming-nlb" in names(found.missing)


def test_the_file_puts_children_below_components_and_kubernetes_below_its_provider() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        install(rehearsal)
        content = import_file(adoption(rehearsal), State())
    by_name = {resource["name"]: resource for resource in content["resources"]}
    assert by_name["streaming"] == {"type": "lls:index:StreamingNlb", "name": "streaming", "component": True}
    assert by_name["streaming-nlb"]["parent"] == "streaming"
    assert by_name["proxy-release"]["parent"] == "proxy"
    assert by_name["proxy-release"]["provider"] == "cluster"
    assert by_name["cluster"]["type"] == "pulumi:providers:kubernetes"
    assert all(resource["version"] for resource in content["resources"] if not resource.get("component"))
    order = list(by_name)
    assert all(order.index(name["parent"]) < order.index(name["name"]) for name in by_name.values() if "parent" in name)


def test_a_secret_kubeconfig_stays_a_secret_and_the_file_is_the_users_alone(tmp_path: Path) -> None:
    kubeconfig = json.dumps({"contexts": [{"name": "mine"}]})
    with a_rehearsal(as_config(kubeconfig=kubeconfig, kubeContext="mine")) as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        content = import_file(adoption(rehearsal), State())
    [provider] = [resource for resource in content["resources"] if resource["name"] == "cluster"]
    assert set(provider["inputs"]["kubeconfig"]) == {"4dabf18193072939515e22adb298388d", "plaintext"}
    path = tmp_path / "deep" / "import.json"
    write(path, content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == content


def test_a_cluster_that_cannot_be_asked_is_an_error_and_not_an_absence() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.cluster.denied.add(("list", "secrets"))
        with pytest.raises(ConnectionError, match="403"):
            adoption(rehearsal)


def test_an_installation_of_another_name_is_nobodys() -> None:
    with a_rehearsal() as rehearsal:
        follow(rehearsal.aws, "demo", "us-west-2a")
        found = adoption(rehearsal, namespace="elsewhere")
    assert "proxy-release" in names(found.missing)
