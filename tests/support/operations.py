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


def install(rehearsal: Rehearsal) -> None:
    """Step 4.1 by hand."""
    guide_commands.install(rehearsal.cluster, "rp-public-demo.elb.example")


def planned(rehearsal: Rehearsal, backend: KnownStates | None = None, **changes: str) -> Sweep:
    installation = knowing(rehearsal, backend, **changes)
    return plan(installation, ownership_of(installation))[0]


def cleaned(rehearsal: Rehearsal, backend: KnownStates | None = None, **changes: str) -> list[Finding]:
    """What check-clean finds."""
    installation = knowing(rehearsal, backend, **changes)
    return check_clean(installation, ownership_of(installation))[0]


def kinds(sweep: Sweep) -> list[str]:
    """The kinds of what it deletes in AWS, in order, each once."""
    return list(dict.fromkeys(thing.kind for thing in sweep.in_aws))


def problems(findings: list[Finding]) -> list[str]:
    return [finding.seen for finding in findings if finding.level is Level.PROBLEM]


def adoption(
    rehearsal: Rehearsal, state: State | None = None, backend: KnownStates | None = None, **changes: str
) -> Adoption:
    installation = knowing(rehearsal, backend or KnownStates({"test": state or State()}), **changes)
    return find(installation, state or State(), ownership_of(installation))[0]


def take_over(rehearsal: Rehearsal, found: Adoption) -> None:
    """Put into the engine's state what `pulumi import` would: each match as it is, below its parents."""
    for parent in found.parents:
        rehearsal.engine.state[parent.urn] = parent
    for match in found.matches:
        inputs = match.resource.inputs | {difference.key: difference.now for difference in match.differences}
        outputs = inputs | match.thing.outputs
        rehearsal.engine.state[match.resource.urn] = replace(
            match.resource, id=match.thing.id, inputs=inputs, outputs=outputs
        )


def preflight_of(rehearsal: Rehearsal, backend: KnownStates | None = None, **changes: str) -> list[Finding]:
    return Preflight(
        knowing(rehearsal, backend or KnownStates({rehearsal.engine.stack: rehearsal.state()}), **changes)
    ).run(Unwatched())


def about(check: str, findings: list[Finding]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.seen) for finding in findings if finding.check == check]


def problems_by_check(findings: list[Finding]) -> dict[str, str]:
    found: dict[str, str] = {}
    for finding in findings:
        if finding.level is Level.PROBLEM:
            found[finding.check] = f"{found.get(finding.check, '')}{finding.seen} -> {finding.remedy}\n"
    return found


def streams(rehearsal: Rehearsal) -> bool:
    return {(health.state, health.obstacle) for health in rehearsal.await_health()} == {("healthy", None)}


def run_instance(rehearsal: Rehearsal, group: str) -> str:
    """Somebody's instance that carries a group."""
    ec2: Any = rehearsal.aws.client("ec2")
    [instance] = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        SubnetId=rehearsal.aws.subnets["a"][0],
        SecurityGroupIds=[group],
    )["Instances"]
    return instance["InstanceId"]


def reroute(rehearsal: Rehearsal, *destinations: str, endpoint: bool = False) -> str:
    """Let what went to the internet gateway by the default route go there by others, or to an endpoint of a firewall.

    The answer is where it goes.
    """
    ec2: Any = rehearsal.aws.client("ec2")
    [(table, gateway)] = [
        (table["RouteTableId"], route["GatewayId"])
        for table in ec2.describe_route_tables()["RouteTables"]
        for route in table["Routes"]
        if route.get("GatewayId", "").startswith("igw-")
    ]
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    to = {"GatewayId": gateway}
    if endpoint:
        service = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
        made = ec2.create_vpc_endpoint(
            VpcEndpointType="GatewayLoadBalancer", VpcId=rehearsal.aws.vpc_id, ServiceName=service
        )
        to = {"VpcEndpointId": made["VpcEndpoint"]["VpcEndpointId"]}
    for destination in destinations:
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, **to)
    return next(iter(to.values()))


def swept(rehearsal: Rehearsal, backend: KnownStates | None = None) -> Sweep:
    """Sweep without any state, the cluster included."""
    sweep = planned(rehearsal, backend)
    assert carry_out(sweep, rehearsal.installation(), PatientClockOf(rehearsal), Unwatched()) is None
    return sweep
