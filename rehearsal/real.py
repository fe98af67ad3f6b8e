"""A rehearsal on the real Pulumi engine: its CLI, and the emulated providers as its plugins."""

from pathlib import Path
from typing import IO, Self

from lls.operations.program.recording import Properties
from lls.operations.program.stack_file import PROJECT, Stack, find_cli
from rehearsal.engine.engine import Provider
from rehearsal.engine.real_engine import RealEngine
from rehearsal.plugins.host import plugins_in
from rehearsal.plugins.servicer import Call, Hear, Operation, When, nobody
from rehearsal.rehearse import Rehearsal, StackEngine
from rehearsal.stack_world import in_cluster, write_stack_file
from rehearsal.world import World


class RealRehearsal(Rehearsal):
    """One stack in one emulated world, on the real engine. `calls` are those that its plugins were asked for.

    `hear` is told when one begins and when it has been done; a plugin does nothing before it returns.
    """

    def __init__(
        self,
        stack: Stack,
        world: World,
        *,
        factor: float,
        project: Path = PROJECT,
        output: IO[str] | int | None = None,
    ) -> None:
        """Prepare to run `factor` times faster than AWS. `output` takes what the Pulumi CLI prints.

        The stack's file is in the folder `project`. Raises NoCliError where there is no Pulumi CLI.
        """
        super().__init__(stack, world, factor=factor)
        self.calls: list[Call] = []
        self.hear: Hear = nobody
        self._cli = find_cli("to rehearse on the real engine")
        self._project = project
        self._output = output

    def __enter__(self) -> Self:
        """Begin the world, and the stack in a backend that ends with it. Raises StackError."""
        super().__enter__()
        try:
            self._begin()
        except BaseException:
            self._exit.close()
            raise
        return self

    def _begin(self) -> None:
        follow = self.clock.follow
        self._exit.enter_context(
            plugins_in(self.commands, self._configured, self.calls, hear=self._heard, follow=follow)
        )
        folder = Path.cwd()
        stack = in_cluster(self._stack, self.kubernetes.endpoint)
        secrets = write_stack_file(stack, folder, self._project)
        self.real_engine = RealEngine(self._cli, stack.name, folder, self.clock, self.calls, output=self._output)
        self.real_engine.begin(secrets)

    def _heard(self, when: When, operation: Operation, urn: str) -> None:
        self.hear(when, operation, urn)

    def _configured(self, package: str, settings: Properties, folder: Path) -> Provider:
        """The provider of that package with settings of the program's. Raises ConnectionError for another world's."""
        if package == "kubernetes":
            return self.provider.kubernetes.configure(settings, folder)
        if (region := settings.get("region")) != self.world.region:
            raise ConnectionError(f"aws:region is {region}: the emulated world is in {self.world.region}")
        return self.provider.aws

    @property
    def stack_engine(self) -> StackEngine:
        """What the stack is rehearsed on: the real engine."""
        return self.real_engine
