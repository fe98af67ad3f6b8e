"""Nothing is deleted or taken over on absence of evidence: where ownership is not what it seems."""

import json
import tarfile
from collections.abc import Generator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from bench.guide_commands import Made, follow
from lls.operations import cli
from lls.operations.cli import main
from lls.operations.program.stack_file import StackError
from lls.operations.report.finding import Exit
from lls.operations.world.inventory import BALANCER
from lls.operations.world.ownership import RELEASE, ClusterIdentity, Kind, Owner, Ownership
from lls.operations.world.states import Operation, State, StateResource
from rehearsal.rehearse import Rehearsal
from tests.support.operations import install, planned, run_instance, swept
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import NO_CLI, KnownStates, PatientClockOf, a_rehearsal, reached

CAPTURED = pytest.CaptureFixture[str]


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> Generator[Rehearsal]:
    """A world that the command line reaches as it would reach AWS, for the stack of Pulumi.dev.yaml."""
    with a_rehearsal({"lls:clusterName": "nvcf-dev"}) as rehearsal, reached(rehearsal):
        monkeypatch.setattr(cli, "RealClock", lambda: PatientClockOf(rehearsal))
        yield rehearsal


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> KnownStates:
    """The backend that the Pulumi CLI is logged in to: it knows the dev stack, which is empty."""
    known = KnownStates({"dev": State()})
    monkeypatch.setattr("lls.operations.world.installation.CliBackend", lambda: known)
    return known


def run(capsys: CAPTURED, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*arguments, "--stack", "dev", "--json"])
    return code, json.loads(capsys.readouterr().out)


def levels(found: dict[str, Any], level: str) -> dict[str, str]:
    """Findings of a level: check to what was seen and what to do about it."""
    told: dict[str, str] = {}
    for finding in found["findings"]:
        if finding["level"] == level:
            told[finding["check"]] = f"{told.get(finding['check'], '')}{finding['seen']} -> {finding['remedy']}\n"
    return told


def as_dev(state: State) -> State:
    """The state of the rehearsed stack as the dev stack's own: its name is part of every URN."""

    def renamed(each: StateResource) -> StateResource:
        urns = (each.urn, each.parent, each.provider)
        urn, parent, provider = (one.replace("urn:pulumi:test::", "urn:pulumi:dev::", 1) for one in urns)
        return replace(each, urn=urn, parent=parent, provider=provider)

    return replace(state, resources=tuple(map(renamed, state.resources)))


def by_hand(rehearsal: Rehearsal, **options: Any) -> Made:
    """The guide's commands, all of them."""
    made = follow(rehearsal.aws, "nvcf-dev", "us-west-2a", **options)
    install(rehearsal)
    return made


def untouched(rehearsal: Rehearsal, capsys: CAPTURED) -> tuple[int, dict[str, Any]]:
    """A `sweep --yes` that must delete nothing."""
    before = rehearsal.leftovers()
    code, found = run(capsys, "sweep", "--yes")
    assert rehearsal.leftovers() == before
    assert found["done"] == []
    return code, found


# --- The backend


def test_a_stack_that_the_backend_does_not_know_is_unknown_to_every_command(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    backend.states.clear()
    code, found = untouched(rehearsal, capsys)
    assert (code, found["delete"]) == (Exit.FOUND, [])
    assert {kept["owner"] for kept in found["kept"]} == {"unknown"}
    assert "file:///states as tester does not know stack dev" in levels(found, "unknown")["states"]
    code, found = run(capsys, "adopt")
    assert (code, found["adopt"], found["file"]) == (Exit.FOUND, [], None)
    code, found = run(capsys, "check-clean")
    assert code == Exit.FOUND
    assert "whether stack dev holds anything cannot be told" in levels(found, "unknown")["state"]
    assert "sweep" not in json.dumps(found)
    code, found = run(capsys, "preflight")
    assert code == Exit.FOUND
    assert levels(found, "unknown").keys() == {"states", "leftovers", "namespace", "names", "node ports"}
    assert "nothing deployed yet" not in json.dumps(found)
    assert "adopt" not in json.dumps(found["findings"])


def test_stateless_is_the_deliberate_way_past_what_is_unknown_and_says_so(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    backend.failure = NO_CLI
    untouched(rehearsal, capsys)
    code, found = run(capsys, "adopt", "--stateless")
    assert (code, found["file"]) == (Exit.FINE, ".lls/dev/import.json")
    code, found = run(capsys, "sweep", "--yes", "--stateless")
    assert code == Exit.FINE
    assert "--stateless: what no state that was read owns is deemed to be no stack's" in levels(found, "note")["states"]
    assert found["evidence"]["stateless"]
    assert rehearsal.leftovers() == []


def test_stateless_does_not_reach_what_a_readable_state_owns(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    backend.states |= {"dev": rehearsal.state()}
    backend.unreadable.add("organization/other/dev")
    before = rehearsal.leftovers()
    code, found = run(capsys, "sweep", "--yes", "--stateless")
    assert (code, found["done"]) == (Exit.FINE, [])
    assert rehearsal.leftovers() == before


@pytest.mark.parametrize("stack", ["prod", "organization/other/dev"])
def test_a_state_that_cannot_be_read_may_own_everything_that_no_other_owns(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, stack: str
) -> None:
    by_hand(rehearsal)
    backend.unreadable.add(stack)
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert f"the state of stack {stack} cannot be read" in levels(found, "unknown")["states"]
    assert run(capsys, "adopt")[1]["adopt"] == []


def test_an_answer_says_which_account_which_backend_and_how_many_states_it_rests_on(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    backend.states["organization/other/dev"] = State()
    for command in ("sweep", "adopt", "check-clean"):
        _, found = run(capsys, command)
        assert found["evidence"]["account"] == "123456789012"
        assert found["evidence"]["backend"] == "backend file:///states as tester"
        assert found["evidence"]["states"] == ["lls/dev", "other/dev"]
        assert "file:///states as tester: 2 read" in levels(found, "ok")["states"]
        assert "123456789012 in us-west-2, as arn:" in levels(found, "ok")["account"]


def test_gaps_that_decide_about_nothing_are_worth_a_note(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    backend.states.clear()
    for command in ("sweep", "adopt", "preflight"):
        code, found = run(capsys, command)
        assert (code, levels(found, "unknown")) == (Exit.FINE, {}), command
        assert "does not know stack dev" in levels(found, "note")["states"]


# --- Other projects, and updates in flight


@pytest.mark.parametrize("stack", ["prod", "organization/shop/live", "acme/shop/live"])
def test_what_the_state_of_any_project_owns_is_that_stacks(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, stack: str
) -> None:
    rehearsal.engine.up()
    backend.states[stack] = rehearsal.state()
    code, found = untouched(rehearsal, capsys)
    assert (code, found["delete"]) == (Exit.FINE, [])
    named = {"prod": "lls/prod", "organization/shop/live": "shop/live"}.get(stack, stack)
    assert {(kept["owner"], kept["stack"]) for kept in found["kept"]} == {("another's", named)}
    code, found = run(capsys, "adopt")
    assert (code, found["adopt"], found["file"]) == (Exit.FOUND, [], None)
    assert (
        f"is stack {named}'s -> give this stack names of its own: pulumi config set lls:instance"
        in (levels(found, "problem")["adopt"])
    )


def test_what_is_to_be_deleted_after_a_replacement_is_owned_too(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    backend.states["dev"] = State(condemned=rehearsal.state().resources)
    assert untouched(rehearsal, capsys)[0] == Exit.FINE


@pytest.mark.parametrize("stack", ["dev", "prod", "organization/shop/live"])
def test_while_an_update_is_in_flight_nothing_is_nobodys(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, stack: str
) -> None:
    rehearsal.engine.up()
    made = rehearsal.state()
    pending = tuple(
        Operation("creating", resource.type, resource.name) for resource in made.resources if resource.type == BALANCER
    )
    others = tuple(resource for resource in made.resources if resource.type != BALANCER)
    backend.states[stack] = replace(made, resources=others, pending=pending)
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert "load balancer rp-public-nvcf-dev" in {kept["thing"] for kept in found["kept"]}
    assert "pending operations (creating streaming-nlb)" in levels(found, "unknown")["states"]
    assert run(capsys, "adopt")[1]["adopt"] == []


def test_a_stack_that_its_backend_calls_being_updated_may_be_making_things(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    backend.updating.add("dev")
    _, found = untouched(rehearsal, capsys)
    assert "stack dev is being updated" in levels(found, "unknown")["states"]


def test_pending_operations_on_things_that_are_none_of_ours_are_no_doubt(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    bucket = Operation("creating", "aws:s3/bucket:Bucket", "logs")
    backend.states["organization/shop/live"] = State(pending=(bucket,))
    assert run(capsys, "sweep", "--yes")[0] == Exit.FINE
    assert rehearsal.leftovers() == []


# --- The cluster


def namesakes(**provider: Any) -> State:
    """A state that owns a release and a namespace of the default names, with a provider of these inputs."""
    urn = "urn:pulumi:x::x::pulumi:providers:kubernetes::cluster"
    types = {
        "kubernetes:core/v1:Namespace": "gdn-streaming",
        "kubernetes:helm.sh/v3:Release": "gdn-streaming/gdn-streaming",
    }
    return State(
        resources=(
            StateResource(urn=urn, type="pulumi:providers:kubernetes", id="p", inputs=provider),
            *(
                StateResource(urn=f"urn:pulumi:x::x::{type_}::x", type=type_, id=id_, provider=urn)
                for type_, id_ in types.items()
            ),
        )
    )


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "x", "context": {"cluster": "c"}}],
            "current-context": "x",
        }
    )


ELSEWHERE = "arn:aws:eks:us-west-2:123456789012:cluster/elsewhere"


@pytest.mark.parametrize(
    "state",
    [
        namesakes(clusterIdentifier=ELSEWHERE),
        replace(namesakes(), outputs={"clusterName": "elsewhere", "region": "us-west-2"}),
        replace(namesakes(), outputs={"clusterName": "nvcf-dev", "region": "eu-west-1"}),
    ],
    ids=["its identifier", "its output", "its region"],
)
def test_a_release_of_the_same_name_in_another_cluster_is_no_owner_of_this_ones(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, state: State
) -> None:
    by_hand(rehearsal)
    backend.states["prod"] = state
    code, found = run(capsys, "sweep", "--yes")
    assert (code, found["done"][:2]) == (Exit.FINE, ["release gdn-streaming", "namespace gdn-streaming"])
    assert rehearsal.leftovers() == []


def test_a_release_that_a_state_owns_in_this_cluster_is_that_stacks(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    install(rehearsal)
    arn = ELSEWHERE.replace("elsewhere", "nvcf-dev")
    for provider, outputs in (
        ({"clusterIdentifier": arn}, {}),
        ({"kubeconfig": kubeconfig(rehearsal.kubernetes.endpoint)}, {}),
        ({}, {"clusterName": "nvcf-dev", "region": "us-west-2"}),
    ):
        backend.states["organization/shop/live"] = replace(namesakes(**provider), outputs=outputs)
        code, found = untouched(rehearsal, capsys)
        assert code == Exit.FINE
        assert {kept["stack"] for kept in found["kept"]} == {"shop/live"}
        assert run(capsys, "adopt")[1]["adopt"] == []
        _, found = run(capsys, "preflight")
        assert "is stack shop/live's -> set lls:namespace to another" in levels(found, "problem")["namespace"]
        assert "is held by service gdn-streaming/streaming-proxy" in levels(found, "problem")["node ports"]


@pytest.mark.parametrize("provider", [{}, {"kubeconfig": kubeconfig("https://127.0.0.1:6443")}, {"kubeconfig": "a: ["}])
def test_a_state_that_does_not_tell_its_cluster_leaves_its_namesake_unknown(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, provider: Any
) -> None:
    install(rehearsal)
    backend.states["prod"] = namesakes(**provider)
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert "stack lls/prod has one of that name, in a cluster it does not name" in json.dumps(found["kept"])


@pytest.mark.parametrize(
    "domain",
    [
        "gr7.us-west-2.eks.amazonaws.com",
        "sk1.cn-north-1.eks.amazonaws.com.cn",
        "us-west-2.api.aws",
        "cn-north-1.api.amazonwebservices.com.cn",
    ],
)
def test_each_cluster_has_an_eks_endpoint_of_its_own(domain: str) -> None:
    ours, theirs = (f"https://{letter * 32}.{domain}" for letter in "AB")
    identity = ClusterIdentity(arn="", name="demo", region="us-west-2", servers=frozenset({ours.lower()}))

    def owner(server: str) -> Owner:
        ownership = Ownership("dev", State(), {"lls/prod": namesakes(kubeconfig=kubeconfig(server))}, [], backend="x")
        return ownership.in_cluster(RELEASE, "gdn-streaming/gdn-streaming", identity)

    assert owner(ours) == Owner(Kind.ANOTHERS, "lls/prod")
    assert owner(theirs).kind is Kind.NOBODYS
    assert owner("https://127.0.0.1:6443").kind is Kind.UNKNOWN


def test_a_sweep_that_cannot_ask_the_cluster_needs_attention(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    with rehearsal.kubernetes.outage("refused"):
        assert run(capsys, "sweep")[0] == Exit.FOUND
        code, found = run(capsys, "sweep", "--yes")
    assert code == Exit.FOUND
    assert "the cluster could not be asked" in levels(found, "unknown")["kubernetes"]
    assert rehearsal.cluster.leftovers() == ("namespace gdn-streaming", "release gdn-streaming/gdn-streaming")


def test_a_sweep_that_leaves_the_release_needs_attention(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(rehearsal)
    monkeypatch.setattr("lls.operations.world.proxy.shutil.which", missing)
    code, found = run(capsys, "sweep", "--yes")
    assert code == Exit.FOUND
    assert "release gdn-streaming is left" in levels(found, "problem")["kubernetes"]
    assert found["left"] == ["release gdn-streaming", "namespace gdn-streaming"]


def test_a_namespace_with_somebodys_secret_or_settings_in_it_stays(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    install(rehearsal)
    rehearsal.cluster.secrets.add(("gdn-streaming", "licence"))
    rehearsal.cluster.config_maps.add(("gdn-streaming", "settings"))
    code, found = run(capsys, "sweep", "--yes")
    assert (code, found["done"]) == (Exit.FOUND, ["release gdn-streaming"])
    assert "it still holds config map settings, secret licence" in levels(found, "problem")["kubernetes"]
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    code, found = run(capsys, "adopt")
    assert (code, found["adopt"]) == (Exit.FOUND, [])
    assert "it holds config map settings, secret licence, and no release" in levels(found, "problem")["adopt"]


def missing(name: str) -> None:
    """No command of that name is on the PATH."""


def a_chart(path: Path, name: str, *, packed: bool) -> str:
    """A chart of that name, as a folder or an archive."""
    text = f"name: {name}\nversion: 1.0.0\n".encode()
    if not packed:
        path.mkdir()
        (path / "Chart.yaml").write_bytes(text)
        return str(path)
    with tarfile.open(path, "w:gz") as archive:
        for inside in (f"{name}/charts/other/Chart.yaml", f"{name}/Chart.yaml"):
            info = tarfile.TarInfo(inside)
            content = text if inside.count("/") == 1 else b"name: other\n"
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return str(path)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("name", ["gdn-streaming", "another"])
def test_a_local_chart_is_compared_by_the_name_that_it_has(tmp_path: Path, name: str, packed: bool) -> None:
    chart = a_chart(tmp_path / "chart-2.0.1.tgz", name, packed=packed)
    with a_rehearsal() as rehearsal:
        install(rehearsal)
        sweep = planned(rehearsal, chart=chart)
    if name == "gdn-streaming":
        assert sweep.delete == ["release gdn-streaming", "namespace gdn-streaming"]
    else:
        assert [kept.why for kept in sweep.unresolved] == ["its chart is gdn-streaming, not another"]


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_local_chart_without_a_readable_name_leaves_the_release_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "chart.tgz"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with a_rehearsal() as rehearsal:
        install(rehearsal)
        sweep = planned(rehearsal, chart=str(path))
    assert sweep.delete == []
    assert "cannot be read" in sweep.unresolved[0].why


# --- Tags


def untag(rehearsal: Rehearsal, id_: str, key: str) -> None:
    if id_.startswith("arn:"):
        rehearsal.aws.client("elbv2").remove_tags(ResourceArns=[id_], TagKeys=[key])
    else:
        rehearsal.aws.client("ec2").delete_tags(Resources=[id_], Tags=[{"Key": key}])


@pytest.mark.parametrize("key", ["lls:cluster", "lls:managed-by"])
@pytest.mark.parametrize("what", ["nlb", "target_group", "security_group"])
def test_a_thing_with_one_tag_missing_is_shown_and_nothing_that_it_uses_is_deleted_before_it(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, what: str, key: str
) -> None:
    made = by_hand(rehearsal)
    untag(rehearsal, getattr(made, what), key)
    code, found = untouched(rehearsal, capsys) if what == "nlb" else run(capsys, "sweep")
    assert code == Exit.FOUND
    value = "nvcf-dev" if key == "lls:cluster" else "customer"
    told = levels(found, "problem")
    assert f"it lacks the tag {key}={value}" in told["kept"]
    assert f"Key={key},Value={value}; then run this again" in told["kept"]
    assert f"it lacks the tag {key}={value}" in levels(run(capsys, "check-clean")[1], "problem")["aws"]
    if what == "nlb":
        assert "is used by load balancer rp-public-nvcf-dev, which stays" in told["dependents"]
    elif what == "target_group":
        assert "is used by target group nvcf-dev-rp-tg, which stays" in told["dependents"]


def test_the_printed_command_for_a_missing_tag_helps(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    made = by_hand(rehearsal)
    untag(rehearsal, made.nlb, "lls:managed-by")
    _, found = untouched(rehearsal, capsys)
    [remedy] = {dependent["remedy"] for dependent in found["dependents"]}
    assert (
        f"aws elbv2 add-tags --region us-west-2 --resource-arns {made.nlb} --tags Key=lls:managed-by,Value=customer"
        in remedy
    )
    rehearsal.aws.client("elbv2").add_tags(
        ResourceArns=[made.nlb], Tags=[{"Key": "lls:managed-by", "Value": "customer"}]
    )
    assert run(capsys, "sweep", "--yes")[0] == Exit.FINE
    assert rehearsal.leftovers() == []


def test_what_carries_another_clusters_tags_or_another_instances_is_not_ours_to_show(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    made = by_hand(rehearsal)
    for key, value in (("lls:cluster", "other"), ("lls:instance", "b")):
        rehearsal.aws.client("elbv2").add_tags(ResourceArns=[made.target_group], Tags=[{"Key": key, "Value": value}])
        _, found = run(capsys, "sweep")
        assert "target group nvcf-dev-rp-tg" not in [*found["delete"], *(kept["thing"] for kept in found["kept"])]
        assert "target group nvcf-dev-rp-tg, which stays" in json.dumps(found["dependents"])
        assert untouched(rehearsal, capsys)[0] == Exit.FOUND
        rehearsal.aws.client("elbv2").add_tags(
            ResourceArns=[made.target_group], Tags=[{"Key": "lls:cluster", "Value": "nvcf-dev"}]
        )


# --- A second stack


def test_a_second_stack_of_a_cluster_is_sent_to_names_of_its_own_and_to_nothing_else(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    backend.states["prod"] = rehearsal.state()
    code, found = run(capsys, "preflight")
    told = levels(found, "problem")
    assert code == Exit.FOUND
    assert told.keys() == {"names", "namespace", "node ports", "node group"}
    for name in ("rp-public-nvcf-dev", "nvcf-dev-rp-tg", "nvcf-dev-rp-sg"):
        assert name in told["names"]
    assert "is stack lls/prod's -> give this stack names of its own: pulumi config set lls:instance" in told["names"]
    assert "adopt" not in json.dumps(found["findings"])
    code, found = run(capsys, "check-clean")
    assert (code, levels(found, "problem")) == (Exit.FINE, {})
    assert "is stack lls/prod's" in levels(found, "ok")["aws"]


# --- What else uses it


def a_group(rehearsal: Rehearsal, name: str) -> str:
    return rehearsal.aws.client("ec2").create_security_group(
        GroupName=name, Description=name, VpcId=rehearsal.aws.vpc_id
    )["GroupId"]


@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_a_rule_of_somebody_elses_group_stops_the_plan_before_its_first_call(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED, way: str
) -> None:
    made, other = by_hand(rehearsal), a_group(rehearsal, "shop")
    ec2: Any = rehearsal.aws.client("ec2")
    permission: Any = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "UserIdGroupPairs": [{"GroupId": made.security_group}],
    }
    authorize = ec2.authorize_security_group_ingress if way == "ingress" else ec2.authorize_security_group_egress
    rule = authorize(GroupId=other, IpPermissions=[permission])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    [dependent] = found["dependents"]
    assert dependent["user"] == f"{way} rule {rule} of security group shop ({other})"
    assert (
        f"aws ec2 revoke-security-group-{way} --region us-west-2 --group-id {other} --security-group-rule-ids {rule}"
        in (dependent["remedy"])
    )
    revoke = ec2.revoke_security_group_ingress if way == "ingress" else ec2.revoke_security_group_egress
    revoke(GroupId=other, SecurityGroupRuleIds=[rule])
    ec2.delete_security_group(GroupId=other)
    assert run(capsys, "sweep", "--yes")[0] == Exit.FINE
    assert rehearsal.leftovers() == []


def test_an_instance_that_carries_the_group_stops_the_plan(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    made = by_hand(rehearsal)
    instance = run_instance(rehearsal, made.security_group)
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert f"of instance {instance}" in found["dependents"][0]["user"]


def test_an_address_that_something_else_holds_stops_the_plan(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    ec2: Any = rehearsal.aws.client("ec2")
    tags = [{"Key": "lls:cluster", "Value": "nvcf-dev"}, {"Key": "lls:managed-by", "Value": "customer"}]
    allocation = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
    interface = ec2.create_network_interface(SubnetId=rehearsal.aws.subnets["a"][0], Description="a NAT")[
        "NetworkInterface"
    ]
    ec2.associate_address(AllocationId=allocation["AllocationId"], NetworkInterfaceId=interface["NetworkInterfaceId"])
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert found["dependents"][0]["user"] == f"network interface {interface['NetworkInterfaceId']} of a NAT"


def test_a_load_balancer_that_serves_this_stacks_target_group_is_not_cut_off(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    lost = {"streaming-nlb", "streaming-listener"}
    state = as_dev(rehearsal.state())
    backend.states["dev"] = replace(
        state, resources=tuple(resource for resource in state.resources if resource.name not in lost)
    )
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert "target group nvcf-dev-rp-tg, which stays" in found["dependents"][0]["user"]
    code, found = run(capsys, "adopt")
    assert (code, {match["name"] for match in found["adopt"]}) == (Exit.FINE, lost)


def test_a_load_balancer_with_another_stacks_group_is_that_stacks_though_its_state_has_lost_it(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    rehearsal.engine.up()
    state = rehearsal.state()
    kept = tuple(resource for resource in state.resources if resource.type != BALANCER)
    backend.states["prod"] = replace(state, resources=kept)
    code, found = untouched(rehearsal, capsys)
    assert (code, found["delete"]) == (Exit.FINE, [])
    assert run(capsys, "adopt")[1]["adopt"] == []


def test_auto_scaling_groups_are_detached_before_their_target_group_goes(capsys: CAPTURED) -> None:
    with a_rehearsal(STRATEGIES["autoscaling"], quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        rehearsal.engine.state.clear()
        sweep = swept(rehearsal)
        assert sweep.done[2] == "attachment of Auto Scaling group eks-gpu"
        autoscaling = rehearsal.aws.client("autoscaling")
        assert not any(
            group.get("TargetGroupARNs") for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        )
        assert rehearsal.leftovers() == []


# --- A failure on the way


def test_a_failure_on_the_way_says_what_was_done_and_what_is_left_in_json_too(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    with rehearsal.aws.refuse("elasticloadbalancing:DeleteTargetGroup", "InternalFailure"):
        code, found = run(capsys, "sweep", "--yes")
    assert code == Exit.FAILED
    assert "elasticloadbalancing:DeleteTargetGroup" in found["error"]
    assert found["done"][-1] == "load balancer rp-public-nvcf-dev"
    assert [thing.split(" (")[0] for thing in found["left"]] == [
        "target group nvcf-dev-rp-tg",
        "security group nvcf-dev-rp-sg",
    ]
    assert run(capsys, "sweep", "--yes")[0] == Exit.FINE
    assert rehearsal.leftovers() == []


def test_a_backend_that_fails_half_way_through_is_a_gap(
    rehearsal: Rehearsal, backend: KnownStates, capsys: CAPTURED
) -> None:
    by_hand(rehearsal)
    backend.failure = StackError("`pulumi whoami --json` failed: not logged in")
    code, found = untouched(rehearsal, capsys)
    assert code == Exit.FOUND
    assert "not logged in" in levels(found, "unknown")["states"]
