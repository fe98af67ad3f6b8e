"""The AWS provider."""

from lls.operations.program.recording import Properties
from lls.operations.world.account import Account
from lls.operations.world.answers import LookUps
from rehearsal.aws.server import Aws
from rehearsal.engine.engine import UnfinishedError
from rehearsal.providers.cloudwatch import CloudWatchTypes
from rehearsal.providers.ec2 import Ec2Types
from rehearsal.providers.elbv2 import Elbv2Types
from rehearsal.providers.lifecycle import LifecycleProvider
from rehearsal.providers.registry import Registry
from rehearsal.providers.route53 import Route53Types
from rehearsal.providers.targets import TargetTypes
from rehearsal.world import World, WorldClock


class AwsProvider(LifecycleProvider):
    """The AWS provider of a world. Every resource has its id among its outputs."""

    def __init__(self, clock: WorldClock, aws: Aws, world: World, registry: Registry) -> None:
        """Work on that AWS; the registry knows the tokens that are looked up."""
        super().__init__(
            clock,
            {
                **Ec2Types(aws, world).lifecycles,
                **Elbv2Types(aws, clock).lifecycles,
                **Route53Types(aws, clock).lifecycles,
                **TargetTypes(aws).lifecycles,
                **CloudWatchTypes(aws).lifecycles,
            },
        )
        self._look_ups = LookUps(Account(aws.patient_client), world.region)
        self._registry = registry

    def create(self, type_: str, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; its id, and what the provider adds to its inputs."""
        try:
            id_, outputs = super().create(type_, inputs)
        except UnfinishedError as error:
            error.outputs["id"] = error.id
            raise
        return id_, {"id": id_, **outputs}

    def read(self, type_: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as AWS has it; see LifecycleProvider. Tags of AWS's own are no business of a program."""
        found = super().read(type_, id_, inputs)
        return found and (found[0], {"id": id_, **found[1]})

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a look-up. Raises AwsError."""
        answer = self._look_ups.invoke(token, arguments)
        if "authorizationToken" in answer:
            self._registry.issue(answer["authorizationToken"])
        return answer
