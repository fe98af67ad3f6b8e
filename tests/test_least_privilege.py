"""docs/iam-policy.json against the calls that are really made, and against the ARNs of what is really there."""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial

import pytest

from e2e.refusals import REFUSALS
from e2e.replay import grounds_of, try_one
from lls.operations.cli import main
from lls.operations.mirror import ecr_login, ensure_repositories
from lls.operations.program.stack_file import PROJECT, Stack, read_stack
from lls.operations.world.account import Account
from lls.operations.world.permissions import needed, statements
from lls.operations.world.states import State
from rehearsal.aws.faults import iam_action
from rehearsal.rehearse import Rehearsal
from rehearsal.world import PrefixList
from tests.support.configs import loaded
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import STACK, KnownStates, a_rehearsal, reached

PARTS = ("Deploy", "Operate", "CleanUp")
FREE = {"sts:GetCallerIdentity"}
"""What AWS answers to everybody."""
DOCUMENT = (PROJECT / "docs" / "iam-policy.md").read_text()

LISTS = (PrefixList(id="pl-0abc"),)
MANY_RULES = {"L-0EA8095F": 100}

NAMED = as_config(dnsName="stream.example.com")
TOPIC = "arn:aws:sns:us-west-2:123456789012:pager"
ALARMS = as_config(alarmTopicArn=TOPIC, dashboard=True)

KINDS: Mapping[str, tuple[Mapping[str, str], list[Mapping[str, str]]]] = {
    "nodes": (
        {},
        [
            as_config(tags={"a": "b"}, udpPort=6000, healthPath="/x", deletionProtection=True),
            as_config(tags={}, allowedCidrs=["198.51.100.0/24"], deletionProtection=False),
            as_config(allowedCidrs=["pl-0abc", *(f"203.0.{third}.0/24" for third in range(51))]),
        ],
    ),
    "static address": (as_config(staticIp=True), [as_config(tags={"a": "b"})]),
    "own name": (NAMED, []),
    "given address": (as_config(eipAllocationId="eipalloc-0a1b2c3d"), []),
    "autoscaling": (
        STRATEGIES["autoscaling"],
        [as_config(nodeGroups=["gpu", "other"], allowOtherZones=True), as_config(nodeGroups=["gpu"])],
    ),
    "binding": (STRATEGIES["binding"], []),
    "alarms": (ALARMS, [as_config(tags={"a": "b"}), as_config(tags={})]),
}


def allowed(part: str) -> set[str]:
    return {action for statement in statements(part) for action in statement["Action"]}


def extra(part: str) -> set[str]:
    """Actions that the document says are never seen."""
    return set(re.findall(rf"^\| {part} \| `([^`]+)` \| .+ \|$", DOCUMENT, re.MULTILINE))


def read_named(name: str) -> Stack:
    """A stack as its file describes it, with a name of its own."""
    return read_stack(name).with_config(NAMED)


@contextmanager
def calls_of(rehearsal: Rehearsal, seen: set[str]) -> Generator[None]:
    rehearsal.aws.calls.clear()
    yield
    seen |= {iam_action(call) for call in rehearsal.aws.calls}


def seen() -> Mapping[str, set[str]]:
    """Every action that is used, by part."""
    found: dict[str, set[str]] = {part: set() for part in PARTS}
    for config, changes in KINDS.values():
        with a_rehearsal(config, quirks={**QUIRKS, "quotas": MANY_RULES}, prefix_lists=LISTS) as rehearsal:
            with calls_of(rehearsal, found["Deploy"]):
                rehearsal.engine.up()
                for change in changes:
                    rehearsal.reconfigure(change)
                    rehearsal.engine.up()
                if config == {}:
                    del rehearsal.cluster.nodes["gpu-1"]
                    rehearsal.engine.up()
            with calls_of(rehearsal, found["CleanUp"]):
                rehearsal.engine.destroy()
    for command, part in (
        ("preflight", "Operate"),
        ("verify", "Operate"),
        ("drift", "Operate"),
        ("adopt", "Operate"),
        ("check-clean", "CleanUp"),
        ("sweep", "CleanUp"),
    ):
        with (
            a_rehearsal(NAMED | ALARMS | as_config(clusterName="nvcf-dev", staticIp=True)) as rehearsal,
            reached(rehearsal),
            pytest.MonkeyPatch.context() as patch,
        ):
            rehearsal.engine.up()
            state = rehearsal.state() if part == "Operate" and command != "adopt" else State()
            patch.setattr("lls.operations.world.installation.read_stack", read_named)
            patch.setattr("lls.operations.world.installation.CliBackend", partial(KnownStates, {"dev": state}))
            with calls_of(rehearsal, found[part]):
                main([command, "--stack", "dev", *(["--yes"] if command == "sweep" else [])])
    with a_rehearsal() as rehearsal, calls_of(rehearsal, found["Operate"]):
        ecr = Account(rehearsal.aws.client).client("ecr")
        ensure_repositories(ecr, ["demo/new"], cluster="demo", extra={})
        ecr_login(ecr)
    return found


def test_every_call_is_allowed_and_every_action_that_is_never_seen_has_its_reason() -> None:
    for part, calls in seen().items():
        assert calls - allowed(part) == set(), part
        assert allowed(part) - calls - FREE == extra(part), part


def test_the_proof_on_a_real_account_needs_what_the_parts_allow_and_no_more() -> None:
    found: set[str] = set()
    with a_rehearsal(as_config(staticIp=True, dnsName="stream.example.com")) as rehearsal:
        rehearsal.engine.up()
        here = rehearsal.installation()
        with calls_of(rehearsal, found), grounds_of(here.account, here.config, rehearsal.state()) as grounds:
            for refusal in REFUSALS:
                try_one(refusal, grounds)
    assert "elasticloadbalancing:RegisterTargets" in found
    assert found - allowed("") == set()
    prefix = "arn:aws:elasticloadbalancing:us-west-2:123456789012"
    kinds = {"CreateLoadBalancer": "loadbalancer/net", "CreateTargetGroup": "targetgroup"}
    for refusal in REFUSALS:
        operation = refusal.operation.name.title().replace("_", "")
        if kind := kinds.get(operation):
            arn = f"{prefix}:{kind}/{refusal.arguments(grounds)['Name']}/0"
            assert covers(f"elasticloadbalancing:{operation}", arn), refusal.name


def test_the_parts_fit_aws_limits_for_a_managed_and_all_of_them_for_an_inline_policy() -> None:
    def size(part: str) -> int:
        return len(json.dumps({"Version": "2012-10-17", "Statement": statements(part)}, separators=(",", ":")))

    assert max(size(part) for part in PARTS) <= 6144
    assert size("") <= 10240
    assert {statement["Sid"] for statement in statements("")} == {
        statement["Sid"] for part in PARTS for statement in statements(part)
    }


# --- Scopes


def scopes(action: str) -> list[str]:
    found: list[str] = []
    for statement in statements(""):
        listed: str | list[str] = statement["Resource"]
        if action in statement["Action"]:
            found += [listed] if isinstance(listed, str) else listed
    return found


def covers(action: str, arn: str) -> bool:
    return any(fnmatchcase(arn, scope) for scope in scopes(action))


WRITES: Mapping[str, str] = {
    "elasticloadbalancing:CreateLoadBalancer": "nlbArn",
    "elasticloadbalancing:CreateListener": "nlbArn",
    "elasticloadbalancing:ModifyLoadBalancerAttributes": "nlbArn",
    "elasticloadbalancing:DeleteLoadBalancer": "nlbArn",
    "elasticloadbalancing:CreateTargetGroup": "targetGroupArn",
    "elasticloadbalancing:RegisterTargets": "targetGroupArn",
    "elasticloadbalancing:DeregisterTargets": "targetGroupArn",
    "elasticloadbalancing:DeleteTargetGroup": "targetGroupArn",
}


@pytest.mark.parametrize(
    ("cluster", "instance"),
    [
        ("demo", ""),
        ("nvcf-streaming-production-west", ""),
        ("team_a", ""),
        ("sg-1", ""),
        ("demo", "b"),
        ("nvcf-streaming-production-west", "westzone"),
    ],
)
@pytest.mark.parametrize("config", [{}, STRATEGIES["autoscaling"]], ids=["nodes", "autoscaling"])
def test_the_scopes_take_in_what_the_stack_makes_whatever_the_cluster_is_called(
    cluster: str, instance: str, config: Mapping[str, str]
) -> None:
    with a_rehearsal({**config, "lls:clusterName": cluster, "lls:instance": instance}, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        for action, output in WRITES.items():
            assert covers(action, rehearsal.engine.outputs[output]), action
        [listener] = [
            resource.id for resource in rehearsal.engine.state.values() if resource.name == "streaming-listener"
        ]
        assert covers("elasticloadbalancing:ModifyListener", listener)
        assert covers("elasticloadbalancing:DeleteListener", listener)


@pytest.mark.parametrize("action", WRITES)
def test_the_scopes_leave_out_other_load_balancers(action: str) -> None:
    prefix = "arn:aws:elasticloadbalancing:us-west-2:123456789012"
    for resource in ("loadbalancer/net/shop/1", "loadbalancer/app/rp-public-x/1", "targetgroup/shop/1"):
        assert not covers(action, f"{prefix}:{resource}")


@pytest.mark.parametrize("cluster", ["demo", "team_a"])
def test_the_scopes_take_in_alarms_and_dashboard_of_any_cluster_and_leave_out_others(cluster: str) -> None:
    config = loaded({**STACK, **ALARMS, "lls:clusterName": cluster, "lls:instance": "b"})
    prefix = "arn:aws:cloudwatch:us-west-2:123456789012"
    for action in ("PutMetricAlarm", "DeleteAlarms"):
        assert all(covers(f"cloudwatch:{action}", f"{prefix}:alarm:{name}") for name in config.alarm_names)
        assert not covers(f"cloudwatch:{action}", f"{prefix}:alarm:shop")
    for action in ("PutDashboard", "DeleteDashboards"):
        name = config.names.dashboard("us-west-2")
        assert covers(f"cloudwatch:{action}", f"arn:aws:cloudwatch::123456789012:dashboard/{name}")
        assert not covers(f"cloudwatch:{action}", "arn:aws:cloudwatch::123456789012:dashboard/shop")


def test_preflight_simulates_what_alarms_need_only_where_there_are_any() -> None:
    def asked(config: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        grants = needed(loaded({**STACK, **config}), partition="aws", account="123456789012")
        return {action: grant.resources for grant in grants for action in grant.actions}

    assert not [action for action in asked({}) if action.startswith("cloudwatch:")]
    found = asked(ALARMS)
    assert (
        "arn:aws:cloudwatch:us-west-2:123456789012:alarm:demo-lls-no-healthy-host" in found["cloudwatch:DeleteAlarms"]
    )
    assert "arn:aws:cloudwatch::123456789012:dashboard/demo-lls-us-west-2" in found["cloudwatch:PutDashboard"]


def test_what_is_deleted_must_carry_our_tag() -> None:
    for statement in statements("CleanUp"):
        if {"ec2:DeleteSecurityGroup", "ec2:ReleaseAddress"} & set(statement["Action"]):
            assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/lls:managed-by": "customer"}}


def test_preflight_simulates_each_action_on_the_stacks_own_names() -> None:
    grants = list(needed(loaded(STACK), partition="aws", account="123456789012"))
    asked = {action: grant for grant in grants for action in grant.actions}
    create = asked["elasticloadbalancing:CreateLoadBalancer"]
    assert "arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/net/rp-public-demo/0" in create.resources
    assert all(covers("elasticloadbalancing:CreateLoadBalancer", resource) for resource in create.resources)
    assert asked["ec2:DeleteSecurityGroup"].context[0]["ContextKeyName"] == "aws:ResourceTag/lls:managed-by"
    pull = asked["ecr:BatchGetImage"].resources
    assert f"arn:aws:ecr:us-west-2:123456789012:repository/{STACK['lls:clusterName']}/gdn-streaming" in pull
    assert not {
        "ec2:AllocateAddress",
        "autoscaling:AttachLoadBalancerTargetGroups",
        "ec2:DescribeManagedPrefixLists",
        "servicequotas:GetServiceQuota",
        "iam:CreateServiceLinkedRole",
    } & set(asked)


@pytest.mark.parametrize(
    ("chart", "needs"),
    [
        ("oci://999999999999.dkr.ecr.eu-west-1.amazonaws.com/x/gdn-streaming", True),
        ("oci://ghcr.io/x/gdn-streaming", False),
    ],
)
def test_preflight_simulates_the_charts_pull_where_the_chart_is(chart: str, needs: bool) -> None:
    config = loaded({**STACK, "lls:chart": chart})
    grants = list(needed(config, partition="aws", account="123456789012"))
    asked = {action: grant for grant in grants for action in grant.actions}
    assert ("ecr:GetAuthorizationToken" in asked) is needs
    if needs:
        assert set(asked["ecr:BatchGetImage"].resources) == {
            "arn:aws:ecr:eu-west-1:999999999999:repository/x/gdn-streaming"
        }
