"""`drift`: whether the registered targets are still the nodes that should be."""

from lls.operations.report.finding import Finding, Outcome, note, ok, problem
from lls.operations.report.screen import Screen
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory, Thing, deregistration
from lls.operations.world.registration import eligible_targets, judge_attachments, registered_by
from lls.operations.world.states import State
from lls.targets import reasons


def run(installation: Installation, screen: Screen) -> Outcome:
    """Compare the stack's targets with its nodes."""
    installation.confirm_account()
    screen.began("comparing targets with nodes")
    found = drift(installation)
    screen.ended("comparing targets with nodes")
    return Outcome(found)


def drift(installation: Installation) -> list[Finding]:
    """What `up` would change about the targets. Changes nothing.

    Raises AwsError, and pulumi.RunError where the nodes cannot be looked at.
    """
    config, stack = installation.config, installation.stack.name
    up, refreshed = f"pulumi up --stack {stack}", f"pulumi up --refresh --stack {stack}"
    inventory = Inventory(installation.account)
    group = inventory.find_target_group(config.target_group_name)
    if group is None:
        return [problem("target-group", f"there is no target group {config.target_group_name}", refreshed)]
    registered = {target.name: target for target in inventory.targets(group.id)}
    if config.registration in ("autoscaling", "binding"):
        seen = f"{config.registration} keeps the targets by itself: {len(registered)} are registered"
        found = (
            judge_attachments(installation, group, installation.known_state())
            if config.registration == "autoscaling"
            else []
        )
        empty = (
            "look at the controller" if config.registration == "binding" else "let the attached groups have instances"
        )
        return [*found, ok("targets", seen) if registered else problem("targets", seen, empty)]
    eligible = eligible_targets(installation)
    judged = installation.judged_nodes() if config.registration == "nodes" else ()
    if not eligible:
        seen = f"no node can be a target now, and an up would be refused: {reasons(judged) or 'there is none'}"
        return [problem("targets", seen, "add nodes")]
    word = "eligible" if config.registration == "nodes" else "listed"
    why = {
        node.target_id(config.target_type): f"not {word}: node {node.name} is {node.unfit}"
        for node in judged
        if node.unfit
    }
    state = installation.known_state()
    known = registered_by(state) if state else eligible
    found = [
        *(
            # The state has it still: somebody deregistered it, which an `up` does not see without a refresh.
            problem("missing", f"{target} is {word} and not registered", refreshed if target in known else up)
            for target in sorted(eligible - registered.keys())
        ),
        *(
            _surplus(registered[target], why.get(target, f"not {word}"), state, up)
            for target in sorted(registered.keys() - eligible)
        ),
    ]
    return found or [ok("targets", f"{len(registered)} are registered, as they should be")]


def _surplus(target: Thing, why: str, state: State | None, up: str) -> Finding:
    """A registered target that should not be: `up` takes away those that it registered itself."""
    seen = f"{target.name} is registered and {why}"
    if state is None:
        return problem("surplus", seen, f"{up}, if this stack registered it, else: {deregistration(target)}")
    if target.name in registered_by(state):
        return problem("surplus", seen, up)
    return note("surplus", f"{seen}, by somebody else: up leaves it alone", deregistration(target))
