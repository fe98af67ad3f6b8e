"""A pause in a destroy: between the deregistration of the targets and the end of what serves them.

Pulumi keeps a reference to this module's path in the state of every stack that drains: a rename would strand them.
"""

import time
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider, UpdateResult


class DrainingProvider(ResourceProvider):
    """Makes nothing, and takes `seconds` to delete it."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Nothing to do: a pause has no beginning."""
        return CreateResult("draining", props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Another length, for the next destroy."""
        return UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Wait."""
        time.sleep(float(_props["seconds"]))


class Draining(Resource):
    """Lets a destroy wait `seconds` after whatever depends on it is gone, before whatever it depends on goes."""

    def __init__(self, name: str, seconds: int, opts: pulumi.ResourceOptions) -> None:
        """Create the pause."""
        super().__init__(DrainingProvider(), name, {"seconds": seconds}, opts)
