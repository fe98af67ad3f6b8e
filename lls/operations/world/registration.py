"""Which targets a stack registers: those of its state, and those that an `up` would register now."""

import pulumi

from lls.operations.report.finding import Finding, note, ok, problem, unknown
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import ATTACHMENT, TARGET, Inventory, Thing
from lls.operations.world.states import State
from lls.targets import find_autoscaling_groups


def eligible_targets(installation: Installation) -> frozenset[str]:
    """The targets that an `up` would register now; empty where it would be refused for want of any.

    Raises AwsError, and pulumi.RunError where the nodes cannot be looked at.
    """
    config = installation.config
    if config.registration == "static":
        return frozenset(config.targets)
    judged = installation.judged_nodes()
    return frozenset(node.target_id(config.target_type) for node in judged if not node.unfit)


def registered_by(state: State) -> frozenset[str]:
    """The targets that a stack's state has registered."""
    return frozenset(str(resource.inputs.get("targetId")) for resource in state.resources if resource.type == TARGET)


def judge_attachments(installation: Installation, group: Thing, state: State | None) -> list[Finding]:
    """Whether those Auto Scaling groups are attached to a target group that an `up` would attach, and no others.

    Raises AwsError.
    """
    stack, region = installation.stack.name, installation.config.region
    up, refreshed = f"pulumi up --stack {stack}", f"pulumi up --refresh --stack {stack}"
    attached = {thing.name for thing in Inventory(installation.account).attachments([group.id])}
    try:
        wanted = set(installation.ask_as_program(lambda: find_autoscaling_groups(installation.config)))
    except pulumi.RunError as error:
        return [unknown("attachments", f"which Auto Scaling groups an up would attach cannot be told: {error}")]
    known = {
        str(resource.inputs.get("autoscalingGroupName"))
        for resource in (state.resources if state else ())
        if resource.type == ATTACHMENT
    }
    found: list[Finding] = []
    for name in sorted(wanted - attached):
        # Where the state has it still, somebody detached it, which an `up` does not see without a refresh.
        remedy = refreshed if state is None or name in known else up
        found.append(problem("attachments", f"Auto Scaling group {name} should be attached and is not", remedy))
    for name in sorted(attached - wanted):
        seen = f"Auto Scaling group {name} is attached and should not be"
        detach = (
            f"aws autoscaling detach-load-balancer-target-groups --region {region} --auto-scaling-group-name {name} "
            f"--target-group-arns {group.id}"
        )
        if state is None:
            found.append(problem("attachments", seen, f"{up}, if this stack attached it, else: {detach}"))
        elif name in known:
            found.append(problem("attachments", seen, up))
        else:
            found.append(note("attachments", f"{seen}; somebody else did that: up leaves it alone", detach))
    return found or [ok("attachments", f"{', '.join(sorted(attached))}: attached, as they should be")]
