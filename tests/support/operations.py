"""The operations on a rehearsal's stack, each in a call."""

from dataclasses import replace
from typing import Any

from bench import guide_commands
from lls.operations.adopt import Adoption, find
from lls.operations.check_clean import check_clean
from lls.operations.preflight import Preflight
from lls.operations.report.finding import Finding, Level, Unwatched
from lls.operations.sweep import Sweep, carry_out, plan
from lls.operations.world.states import State
from rehearsal.rehearse import Rehearsal
from tests.support.worlds import KnownStates, PatientClockOf, knowing, ownership_of


def install(it: Rehearsal) -> None:
    """Step 4.1 by hand."""
    guide_commands.install(it.cluster, "rp-public-demo.elb.example")


def planned(it: Rehearsal, backend: KnownStates | None = None, **changes: str) -> Sweep:
    installation = knowing(it, backend, **changes)
    return plan(installation, ownership_of(installation))[0]


def cleaned(it: Rehearsal, backend: KnownStates | None = None, **changes: str) -> list[Finding]:
    """What check-clean finds."""
    installation = knowing(it, backend, **changes)
    return check_clean(installation, ownership_of(installation))[0]


def kinds(sweep: Sweep) -> list[str]:
    """The kinds of what it deletes in AWS, in order, each once."""
    return list(dict.fromkeys(each.kind for each in sweep.in_aws))


def problems(findings: list[Finding]) -> list[str]:
    return [each.seen for each in findings if each.level is Level.PROBLEM]


def adoption(it: Rehearsal, state: State | None = None, backend: KnownStates | None = None, **changes: str) -> Adoption:
    installation = knowing(it, backend or KnownStates({"test": state or State()}), **changes)
    return find(installation, state or State(), ownership_of(installation))[0]


def take_over(it: Rehearsal, found: Adoption) -> None:
    """Put into the engine's state what `pulumi import` would: each match as it is, below its parents."""
    for parent in found.parents:
        it.engine.state[parent.urn] = parent
    for match in found.matches:
        inputs = match.resource.inputs | {each.key: each.now for each in match.differences}
        outputs = inputs | match.thing.outputs
        it.engine.state[match.resource.urn] = replace(match.resource, id=match.thing.id, inputs=inputs, outputs=outputs)


def preflight_of(it: Rehearsal, backend: KnownStates | None = None, **changes: str) -> list[Finding]:
    return Preflight(knowing(it, backend or KnownStates({it.engine.stack: it.state()}), **changes)).run(Unwatched())


def problems_by_check(findings: list[Finding]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in findings:
        if each.level is Level.PROBLEM:
            found[each.check] = f"{found.get(each.check, '')}{each.seen} -> {each.remedy}\n"
    return found


def streams(it: Rehearsal) -> bool:
    return {(each.state, each.obstacle) for each in it.await_health()} == {("healthy", None)}


def run_instance(it: Rehearsal, group: str) -> str:
    """Somebody's instance that carries a group."""
    ec2: Any = it.aws.client("ec2")
    [instance] = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        SubnetId=it.aws.subnets["a"][0],
        SecurityGroupIds=[group],
    )["Instances"]
    return instance["InstanceId"]


def swept(it: Rehearsal, backend: KnownStates | None = None) -> Sweep:
    """Sweep without any state, the cluster included."""
    sweep = planned(it, backend)
    assert carry_out(sweep, it.installation(), PatientClockOf(it), Unwatched()) is None
    return sweep
