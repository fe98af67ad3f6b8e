"""Which targets a stack registers: those of its state, and those that an `up` would register now."""

from lls.operations.world.installation import Installation
from lls.operations.world.inventory import TARGET
from lls.operations.world.states import State


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
