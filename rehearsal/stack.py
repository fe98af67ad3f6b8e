"""A stack as its files describe it, and the world that suits it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from rehearsal.cluster import kubeconfig_for
from rehearsal.world import Node, World

PROJECT: Final = Path(__file__).parents[1]
"""The folder of Pulumi.yaml and of the program."""

HIDDEN: Final = "secret-of-the-rehearsal"
"""Stands for values that only the Pulumi CLI can decrypt."""


class StackError(Exception):
    """A stack that cannot be rehearsed, and what to do about it."""


@dataclass(frozen=True)
class Stack:
    """A stack's name and its config: full keys to values, as a Pulumi engine passes them."""

    name: str
    config: Mapping[str, str]
    secret_keys: frozenset[str] = frozenset()

    def get(self, key: str) -> str:
        """The value of a key of this project; empty where it is not set."""
        return self.config.get(f"lls:{key}", "")

    def load(self, key: str, default: Any) -> Any:
        """The value of a list or an object."""
        return json.loads(self.get(key) or json.dumps(default))

    @property
    def zone(self) -> str:
        """What follows the region in the stack's zone."""
        return self.get("availabilityZone").removeprefix(self.config.get("aws:region", "")) or "a"

    @property
    def node_selector(self) -> Mapping[str, str]:
        """Labels of the stack's nodes."""
        schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
        return self.load("nodeSelector", schema["nodeSelector"]["default"])

    def in_cluster(self, endpoint: str) -> "Stack":
        """The same stack, with a kubeconfig of the cluster at that endpoint where it brings its own."""
        if not self.get("kubeconfig"):
            return self
        kubeconfig = kubeconfig_for(endpoint, self.get("kubeContext") or "rehearsal")
        return Stack(self.name, {**self.config, "lls:kubeconfig": kubeconfig}, self.secret_keys)


def read_stack(name: str, folder: Path = PROJECT) -> Stack:
    """Read Pulumi.NAME.yaml, with stand-ins of the right form for what only the Pulumi CLI can decrypt.

    Raises StackError where there is none, or where it is not YAML.
    """
    path = folder / f"Pulumi.{name}.yaml"
    if not path.is_file():
        known = sorted(each.name.split(".")[1] for each in folder.glob("Pulumi.*.yaml"))
        raise StackError(f"--stack {name}: there is no {path.name}. Known stacks: {', '.join(known) or 'none'}.")
    try:
        content = cast(dict[str, Any], yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as error:
        raise StackError(f"{path.name} is not YAML: {error}") from None
    values: dict[str, Any] = content.get("config") or {}
    shown = {key: _shown(value) for key, value in values.items()}
    secret_keys = frozenset(key for key, value in values.items() if shown[key] != value)
    stack = Stack(name, {key: _text(value) for key, value in shown.items()}, secret_keys)
    if stack.get("helmValues") == HIDDEN:
        stack = Stack(name, {**stack.config, "lls:helmValues": "{}"}, secret_keys)
    return stack.in_cluster("") if stack.get("kubeconfig") == HIDDEN else stack


def world_for(stack: Stack, text: str) -> World:
    """The world of that text, with the things that the stack's config names in it."""
    world = World.parse(
        text,
        zone=stack.zone,
        chart={
            quirk: value
            for quirk, key in (
                ("chartStreamingNodePort", "streamingNodePort"),
                ("chartHealthNodePort", "healthNodePort"),
                ("chartHealthPath", "healthPath"),
            )
            if (value := stack.get(key))
        },
        region=stack.config.get("aws:region"),
        cluster=stack.get("clusterName"),
        vpc_id=stack.get("vpcId"),
        node_security_group_id=stack.get("nodeSecurityGroupId"),
        eip_allocation_id=stack.get("eipAllocationId"),
    )
    changes: dict[str, Any] = {}
    if subnet_id := stack.get("publicSubnetId"):
        named = next((each for each in world.subnets if each.public and each.zone == stack.zone), None)
        changes["subnets"] = tuple(
            each.model_copy(update={"id": subnet_id}) if each is named else each for each in world.subnets
        )
    if stack.get("registration") == "static":
        kind = "instance_id" if stack.get("targetType") == "instance" else "ip"
        listed = [
            Node.model_validate({"name": f"target-{target}", "zone": stack.zone, kind: target})
            for target in stack.load("targets", [])
        ]
        changes["nodes"] = (*world.nodes, *listed)
    return world.model_copy(update=changes)


def _shown(value: Any) -> Any:
    """The value with a stand-in for each encrypted part."""
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        if mapping.keys() == {"secure"}:
            return HIDDEN
        return {key: _shown(part) for key, part in mapping.items()}
    return [_shown(part) for part in cast(list[Any], value)] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
