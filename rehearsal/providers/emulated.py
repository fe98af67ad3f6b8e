"""All providers of a world, as our own engine asks them: by the package of a type."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lls.operations.program.recording import Properties
from rehearsal.aws.server import Aws
from rehearsal.engine.engine import Provider
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.providers.aws import AwsProvider
from rehearsal.providers.kubernetes import KubernetesProvider
from rehearsal.providers.lifecycle import Lifecycle, LifecycleProvider
from rehearsal.providers.registry import Registry
from rehearsal.world import WorldClock

PROVIDER: Final = "pulumi:providers:kubernetes"
PAUSE: Final = "pulumi-python:dynamic:Resource"


class EmulatedProvider:
    """The AWS and Kubernetes providers of a world, and what a real engine does without a plugin of theirs.

    `kubernetes` is the instance that the stack's provider resource configured last.
    """

    def __init__(self, clock: WorldClock, aws: Aws, cluster: Cluster, cluster_endpoint: str) -> None:
        """Serve the resources of the cluster's world."""
        self.registry = Registry(clock)
        self.aws = AwsProvider(clock, aws, cluster.world, self.registry)
        self.kubernetes = KubernetesProvider(clock, aws, cluster, cluster_endpoint, self.registry)
        self._engine = EnginesOwn(clock)

    def _of(self, type_: str) -> Provider:
        by_package: Mapping[str, Provider] = {"aws": self.aws, "kubernetes": self.kubernetes}
        return by_package.get(type_.partition(":")[0], self._engine)

    def now(self) -> float:
        """Seconds in the emulated world."""
        return self._engine.now()

    def check(self, type_: str, inputs: Properties) -> None:
        """Refuse inputs, on every run. A provider's relative paths are read from the folder that the engine runs in."""
        if type_ == PROVIDER:
            self.kubernetes = self.kubernetes.configure(inputs, Path.cwd())
        else:
            self._of(type_).check(type_, inputs)

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id, and what the provider adds to its inputs."""
        return self._of(type_).create(type_, inputs)

    def update(self, type_: str, id_: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place; the outputs that may have changed."""
        return self._of(type_).update(type_, id_, old, new)

    def delete(self, type_: str, id_: str, inputs: Properties) -> None:
        """Delete the resource."""
        self._of(type_).delete(type_, id_, inputs)

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as it is: its inputs and outputs; None where it is gone."""
        return self._of(type_).read(type_, id_, inputs)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up."""
        return self._of(token).invoke(token, arguments)


class EnginesOwn(LifecycleProvider):
    """What is nowhere but in the state: the Kubernetes provider as a resource, and the pause of a destroy."""

    def __init__(self, clock: WorldClock) -> None:
        """Pause by that clock."""
        super().__init__(
            clock,
            {
                PROVIDER: Lifecycle(lambda _: (str(uuid.uuid4()), {}), _keep, _forget, _as_it_was),
                PAUSE: Lifecycle(lambda _: ("draining", {}), _new_inputs, self._pause, _as_it_was),
            },
        )

    def _pause(self, _: str, inputs: Properties) -> None:
        self._clock.sleep(float(inputs["seconds"]))


def _keep(*_: object) -> Properties:
    return {}


def _forget(*_: object) -> None:
    pass


def _new_inputs(_: str, __: Properties, new: Properties) -> Properties:
    return {key: value for key, value in new.items() if key != "__provider"}


def _as_it_was(_: str, inputs: Properties) -> tuple[Properties, Properties]:
    return inputs, {}
