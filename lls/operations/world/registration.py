"""Which targets a stack registers: those of its state, and those that an `up` would register now."""

import pulumi

from lls.operations.world.installation import Installation
from lls.operations.world.inventory import TARGET
from lls.operations.world.states import State
from lls.targets import find_ids


def eligible_targets(installation: Installation) -> frozenset[str]:
    """The targets that an `up` would register now; empty where it would be refused for want of any.

    Raises AwsError, what asking the cluster raises, and pulumi.RunError where the look-up fails.
    """
    try:
        found = installation.ask_as_program(lambda: find_ids(installation.config, installation.api))
    except pulumi.RunError as error:
        if "can be a target" in str(error):
            return frozenset()
        raise
    return frozenset(found)


def registered_by(state: State) -> frozenset[str]:
    """The targets that a stack's state has registered."""
    return frozenset(str(resource.inputs.get("targetId")) for resource in state.resources if resource.type == TARGET)
