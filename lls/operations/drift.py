"""`drift`: whether the registered targets are still the nodes that should be."""

import pulumi

from lls.config import Config
from lls.operations.program.stack_file import StackError
from lls.operations.report.finding import Finding, Outcome, note, ok, problem
from lls.operations.report.screen import Screen
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory
from lls.targets import find_ids


def run(installation: Installation, screen: Screen) -> Outcome:
    """Compare the stack's targets with its nodes."""
    installation.confirm_account()
    screen.began("comparing targets with nodes")
    found = drift(installation)
    screen.ended("comparing targets with nodes")
    return Outcome(found)


def drift(installation: Installation) -> list[Finding]:
    """What `up` would change about the targets. Changes nothing.

    Raises AwsError, and what asking the cluster raises.
    """
    config, stack = installation.config, installation.stack.name
    inventory = Inventory(installation.account)
    group = next((group for group in inventory.target_groups() if group.name == config.target_group_name), None)
    remedy = f"pulumi up --stack {stack}"
    if group is None:
        return [problem("target-group", f"there is no target group {config.target_group_name}", remedy)]
    registered = {target.name for target in inventory.targets(group.id)}
    if config.registration in ("autoscaling", "binding"):
        seen = f"{config.registration} keeps the targets by itself: {len(registered)} are registered"
        return [ok("targets", seen) if registered else problem("targets", seen, "look at the group or the controller")]
    eligible = _eligible(installation, config)
    if not eligible:
        return [problem("targets", "no node can be a target now, and an up would be refused", "add nodes")]
    found = [
        *(
            problem("missing", f"{target} is eligible and not registered", remedy)
            for target in sorted(eligible - registered)
        ),
        *_surplus(installation, registered - eligible, remedy),
    ]
    return found or [ok("targets", f"{len(registered)} are registered, as they should be")]


def _surplus(installation: Installation, targets: set[str], remedy: str) -> list[Finding]:
    """Registered targets that should not be: `up` takes away those that it registered itself."""
    try:
        ours = {resource.inputs.get("targetId") for resource in installation.state().resources}
    except StackError:
        ours = targets
    return [
        problem("surplus", f"{target} is registered and not eligible", remedy)
        if target in ours
        else note("surplus", f"{target} is registered and not eligible, by somebody else: up leaves it alone")
        for target in sorted(targets)
    ]


def _eligible(installation: Installation, config: Config) -> set[str]:
    try:
        return set(installation.ask_as_program(lambda: find_ids(config, installation.kubeconfig)))
    except pulumi.RunError as error:
        if "can be a target" in str(error):
            return set()
        raise
