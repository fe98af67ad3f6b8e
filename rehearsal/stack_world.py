"""The world that suits a stack, and the stack as it lives there."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lls.config import NAMESPACE, schema
from lls.config.dns import NO_ZONE
from lls.config.forms import is_prefix_list
from lls.go_yaml import read_go_yaml
from lls.hosted_zone import lies_in
from lls.operations.program.stack_file import HIDDEN, PROJECT, Stack, config_of, full_key, is_encrypted, read_stack
from rehearsal.kubernetes.api import kubeconfig_for
from rehearsal.world import HostedZone, Node, PrefixList, World

KUBECONFIG: Final = f"{NAMESPACE}:kubeconfig"


def stack_to_rehearse(name: str, folder: Path = PROJECT) -> Stack:
    """A stack with a stand-in for an encrypted kubeconfig. Raises StackError where it cannot be read."""
    stack = read_stack(name, folder)
    return in_cluster(stack, "") if stack.get("kubeconfig") == HIDDEN else stack


def in_cluster(stack: Stack, endpoint: str) -> Stack:
    """The same stack, with a kubeconfig of the cluster at that endpoint where it brings its own."""
    if not stack.get("kubeconfig"):
        return stack
    context = stack.get("kubeContext") or "rehearsal"
    return stack.with_config({KUBECONFIG: kubeconfig_for(endpoint, context)})


def write_stack_file(stack: Stack, folder: Path, project: Path = PROJECT) -> Mapping[str, str]:
    """Write the file of a stack that lives in the world, for a real engine; the answer is what it is to encrypt.

    It is the project's own file, byte for byte, unless that has values which only the stack's owner can decrypt, or
    leads to a cluster: then it has stand-ins for these, and neither key nor passphrase of the owner's.
    """
    name = f"Pulumi.{stack.name.rpartition('/')[2]}.yaml"
    source = project / name
    own = {full_key(source, key): value for key, value in config_of(source).items()}
    config: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for key, value in own.items():
        if is_encrypted(value) and not _is_compound(key):
            secrets[key] = stack.config[key]
        elif key in stack.secret_keys:
            config[key] = json.loads(stack.config[key])
        else:
            config[key] = stack.config[key] if key == KUBECONFIG else value
    is_own = not secrets and config == own and (read_go_yaml(source.read_bytes()) or {}).keys() <= {"config"}
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(source.read_bytes() if is_own else json.dumps({"config": config}).encode())
    return secrets


def _is_compound(key: str) -> bool:
    declared = schema().get(key.removeprefix(f"{NAMESPACE}:"), {})
    return declared.get("type") in ("array", "object")


def node_selector(stack: Stack) -> Mapping[str, str]:
    """Labels of the stack's nodes."""
    return stack.load("nodeSelector", schema()["nodeSelector"]["default"])


def world_for(stack: Stack, text: str) -> World:
    """The world of that text, with the things that the stack's config names in it."""
    zone = stack.get("availabilityZone").removeprefix(stack.config.get("aws:region", "")) or "a"
    world = World.parse(
        text,
        zone=zone,
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
        node_security_group_ids=stack.load("nodeSecurityGroupIds", [])
        or [*filter(None, [stack.get("nodeSecurityGroupId")])],
        eip_allocation_id=stack.get("eipAllocationId"),
        repository_prefix=stack.get("repositoryPrefix") or stack.get("clusterName"),
        chart_version=stack.get("chartVersion") or schema()["chartVersion"]["default"],
        image_tag=stack.get("imageTag") or schema()["imageTag"]["default"],
        alarm_topic=stack.get("alarmTopicArn"),
        token_role=stack.parsed().token_role if stack.config.get("aws:assumeRoles") else None,
    )
    changes: dict[str, Any] = {}
    known = {prefix_list.id for prefix_list in world.prefix_lists}
    named = [source for source in stack.load("allowedCidrs", []) if is_prefix_list(source) and source not in known]
    changes["prefix_lists"] = (*world.prefix_lists, *(PrefixList(id=source) for source in named))
    changes["hosted_zones"] = (*world.hosted_zones, *_zone_of(stack, world))
    if subnet_id := stack.get("publicSubnetId"):
        named = next((subnet for subnet in world.subnets if subnet.public and subnet.zone == zone), None)
        changes["subnets"] = tuple(
            subnet.model_copy(update={"id": subnet_id}) if subnet is named else subnet for subnet in world.subnets
        )
    if stack.get("registration") == "static":
        kind = "instance_id" if stack.get("targetType") == "instance" else "ip"
        listed = [
            Node.model_validate({"name": f"target-{target}", "zone": zone, kind: target})
            for target in stack.load("targets", [])
        ]
        changes["nodes"] = (*world.nodes, *listed)
    return world.model_copy(update=changes)


def _zone_of(stack: Stack, world: World) -> Iterator[HostedZone]:
    """The zone that the stack's name needs, unless the world has one for it."""
    name, zone_id = stack.get("dnsName"), stack.get("hostedZoneId")
    known = (zone for zone in world.hosted_zones if zone.id == zone_id or (not zone_id and lies_in(name, zone.name)))
    if name and zone_id != NO_ZONE and not any(known):
        yield HostedZone(name=name.partition(".")[2], id=zone_id or None)
