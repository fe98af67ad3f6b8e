"""TargetGroupBindings, and what the AWS Load Balancer Controller does about them."""

from collections.abc import Mapping
from typing import Any, Final

from lls.operations.program.recording import Properties
from lls.target_registration import BINDING_API
from rehearsal.aws.server import Aws
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.providers.lifecycle import Lifecycle

BINDING: Final = f"kubernetes:{BINDING_API}:TargetGroupBinding"


class Bindings:
    """The lifecycle of a TargetGroupBinding in a cluster that has the controller."""

    def __init__(self, cluster: Cluster, aws: Aws) -> None:
        """Let the controller register in that AWS."""
        self._cluster = cluster
        self._elbv2 = aws.client("elbv2")
        self.lifecycle = Lifecycle(self._bind, self._rebind, self._unbind, self._read)

    def _bind(self, inputs: Properties) -> tuple[str, Properties]:
        binding = self._cluster.bind(inputs)
        self._register(inputs, self._cluster.bound_targets(binding))
        return f"{inputs['metadata']['namespace']}/{inputs['metadata']['name']}", {}

    def _rebind(self, _: str, old: Properties, new: Properties) -> Properties:
        """The controller registers what is to be a target now, and deregisters what was one."""
        before = self._cluster.bound_targets(old)
        now = self._cluster.bound_targets(self._cluster.bind(new))
        self._register(new, [target for target in now if target not in before])
        self._deregister(new, [target for target in before if target not in now])
        return {}

    def _unbind(self, _: str, inputs: Properties) -> None:
        """Its finalizer ends only once it has deregistered; with the target group gone it never does.

        One that is gone is deleted (pulumi/pulumi-kubernetes provider/pkg/await/await.go: Deletion).
        """
        if self._read(f"{inputs['metadata']['namespace']}/{inputs['metadata']['name']}", {}) is None:
            return
        self._deregister(inputs, self._cluster.bound_targets(inputs))
        self._cluster.unbind(inputs)

    def _read(self, id_: str, _inputs: Properties) -> tuple[Properties, Properties] | None:
        namespace, _, name = id_.rpartition("/")
        with self._cluster.settled():
            found: Mapping[str, Any] | None = self._cluster.bindings.get((namespace, name))
        return None if found is None else (dict(found), {})

    def _register(self, binding: Properties, targets: list[Any]) -> None:
        if targets:
            self._elbv2.register_targets(TargetGroupArn=binding["spec"]["targetGroupARN"], Targets=targets)

    def _deregister(self, binding: Properties, targets: list[Any]) -> None:
        if targets:
            self._elbv2.deregister_targets(TargetGroupArn=binding["spec"]["targetGroupARN"], Targets=targets)
