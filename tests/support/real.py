"""Stacks on the real Pulumi engine, in the same worlds as on our own."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from lls.config import schema
from lls.go_yaml import read_go_yaml
from lls.operations.program.stack_file import Stack
from rehearsal.real import RealRehearsal
from rehearsal.stack_world import in_cluster
from tests.support.kinds import KINDS, NODES
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS
from tests.support.worlds import STACK, a_world

IN_TIME: Mapping[str, str] = as_config(drainSeconds=1, deletionProtection=False)
"""A pause on the real engine is a real one, and a protected load balancer stops every destroy."""

REAL_KINDS: Mapping[str, Mapping[str, str]] = {
    kind: {**config, **{key: value for key, value in IN_TIME.items() if key in config}}
    for kind, config in KINDS.items()
}


class ChangingRealRehearsal(RealRehearsal):
    """A rehearsal on the real engine whose stack's config changes."""

    def reconfigure(self, config: Mapping[str, str]) -> None:
        """Give the stack that config for the next run, as the CLI would write it."""
        stack = in_cluster(Stack(self.real_engine.stack, config), self.kubernetes.endpoint)
        write_config(Path(f"Pulumi.{stack.name}.yaml"), stack.config)


def a_real_rehearsal(
    config: Mapping[str, str], project: Path, *, output: IO[str] | int | None = subprocess.DEVNULL, **options: Any
) -> ChangingRealRehearsal:
    """A rehearsal of a plain stack with changes, a thousand times faster than AWS. `project` takes its file."""
    whole = {**STACK, **config}
    write_config(project / "Pulumi.test.yaml", whole)
    world = a_world(whole, quirks=QUIRKS, nodes=NODES)
    return ChangingRealRehearsal(
        Stack("test", whole), world, **{"factor": 1000.0, **options}, project=project, output=output
    )


def write_config(path: Path, config: Mapping[str, str]) -> None:
    """Write a config into a stack's file; what else the Pulumi CLI has written there stays."""
    texts = {f"lls:{key}" for key, declared in schema().items() if declared["type"] == "string"} | {"aws:region"}
    typed = {key: value if key in texts else json.loads(value) for key, value in config.items()}
    before: Mapping[str, Any] = read_go_yaml(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps({**before, "config": typed}))
