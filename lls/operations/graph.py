"""`graph`: the stack's resources and the order between them, recorded from the program."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from lls.config import Config
from lls.operations.program.recording import STACK_TYPE, Monitor, Properties, Resource, Severity, record, run_project
from lls.operations.program.stack_file import Stack
from lls.operations.report.finding import Outcome
from lls.operations.report.screen import Screen
from lls.operations.world.inventory import TARGET
from lls.operations.world.partition import partition_of
from lls.public_subnet import ANYWHERE

Order = Literal["create", "destroy"]
Format = Literal["mermaid", "dot"]


@dataclass(frozen=True)
class GraphNode:
    """A resource: its logical name, its type's last part, and the component that it belongs to."""

    name: str
    type: str
    component: str


@dataclass(frozen=True)
class Graph:
    """Resources, and pairs of names: the first must be done before the second."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[str, str], ...]


def run(stack: Stack, screen: Screen, *, format: Format, order: Order, whole: bool) -> Outcome:  # noqa: A002
    """Draw the stack's graph."""
    screen.began("running the program")
    found = graph(stack, order, whole=whole)
    screen.ended("running the program")
    screen.print(mermaid(found) if format == "mermaid" else dot(found))
    nodes = [{"name": node.name, "type": node.type, "component": node.component} for node in found.nodes]
    return Outcome([], {"order": order, "nodes": nodes, "edges": [*map(list, found.edges)]})


def graph(stack: Stack, order: Order = "create", *, whole: bool = False) -> Graph:
    """The graph that the program registers, with stand-ins for everything that it looks up.

    One target stands for all. `whole` keeps the edges that others imply. Raises pulumi.RunError for a
    config with problems.
    """
    config = stack.parsed()
    stand_ins = _StandIns(config)
    # No chart in ECR: with stand-ins there is nothing to log in to, and no login may be overwritten.
    changes = {
        "lls:kubeconfig": "",
        "lls:kubeContext": "",
        "lls:registryConfig": "",
        "lls:chart": "oci://stand-in/chart",
    }
    if config.registration in ("nodes", "binding"):
        target = _INSTANCE if config.target_type == "instance" else _ADDRESS
        changes |= {"lls:registration": "static", "lls:targets": json.dumps([target])}
    monitor = Monitor(stand_ins)
    record(
        monitor,
        program=run_project,
        stack=stack.name,
        config=stack.with_config(changes).config,
        secret_keys=stack.secret_keys - {"lls:kubeconfig"},
    )
    resources = list(monitor.recorded.values())
    if config.registration == "binding":
        resources = [_as_binding(resource) for resource in resources]
    return graph_of(resources, order, whole=whole)


def _as_binding(resource: Resource) -> Resource:
    """The binding in the place of the target that stands for it: only the cluster could tell that it knows bindings."""
    if resource.type != TARGET:
        return resource
    return replace(resource, name="targets-binding", type="kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding")


def graph_of(resources: Iterable[Resource], order: Order = "create", *, whole: bool = False) -> Graph:
    """The graph of recorded resources, components dissolved into what they hold."""
    known = {resource.urn: resource for resource in resources}
    real = {urn: resource for urn, resource in known.items() if resource.custom}
    needs = {
        urn: {need for need in (*resource.dependencies, resource.provider) if need in real}
        for urn, resource in real.items()
    }
    if not whole:
        needs = {urn: direct - _implied(direct, needs) for urn, direct in needs.items()}
    edges = sorted((real[need].name, real[urn].name) for urn, direct in needs.items() for need in direct)
    nodes = tuple(
        GraphNode(
            resource.name,
            resource.type.rpartition(":")[2],
            known[resource.parent].name if _has_component(resource, known) else "",
        )
        for resource in sorted(real.values(), key=lambda resource: (resource.parent, resource.name))
    )
    return Graph(nodes, tuple(edges if order == "create" else [(second, first) for first, second in edges]))


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, a subgraph for each component."""
    ids = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for component, nodes in _by_component(graph).items():
        inner = [f'    {ids[node.name]}["{node.name}<br>{node.type}"]' for node in nodes]
        lines += [f'  subgraph c_{component.replace("-", "_")}["{component}"]', *inner, "  end"] if component else inner
    lines += [f"  {ids[first]} --> {ids[second]}" for first, second in graph.edges]
    return "\n".join(lines)


def dot(graph: Graph) -> str:
    """A Graphviz digraph, a cluster for each component."""
    lines = ["digraph lls {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for component, nodes in _by_component(graph).items():
        inner = [f'    "{node.name}" [label="{node.name}\\n{node.type}"];' for node in nodes]
        head = [f'  subgraph "cluster_{component}" {{', f'    label="{component}";']
        lines += [*head, *inner, "  }"] if component else inner
    lines += [f'  "{first}" -> "{second}";' for first, second in graph.edges]
    return "\n".join([*lines, "}"])


_INSTANCE: Final = "i-0123456789abcdef0"
_ADDRESS: Final = "10.0.0.1"


class _StandIns:
    """A responder whose every look-up finds something, and to whom nothing that is made is known yet."""

    def __init__(self, config: Config) -> None:
        network: Properties = {"vpcId": config.vpc_id or "vpc-1", "clusterSecurityGroupId": "sg-1"}
        subnet = config.public_subnet_id or "subnet-1"
        self._answers: Mapping[str, Properties] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
            "aws:index/getPartition:getPartition": {"dnsSuffix": partition_of(config.region).dns_suffix},
            "aws:eks/getCluster:getCluster": {
                "arn": "arn",
                "endpoint": "https://cluster",
                "certificateAuthorities": [{"data": ""}],
                "vpcConfig": network,
            },
            "aws:ec2/getSubnets:getSubnets": {"ids": [subnet]},
            "aws:ec2/getRouteTables:getRouteTables": {"ids": ["rtb-1"]},
            "aws:ec2/getRouteTable:getRouteTable": {
                "routeTableId": "rtb-1",
                "routes": [{"cidrBlock": ANYWHERE, "gatewayId": "igw-1"}],
            },
            "aws:ec2/getInternetGateway:getInternetGateway": {"internetGatewayId": "igw-1"},
            "aws:ec2/getSecurityGroups:getSecurityGroups": {"ids": [config.node_security_group_id or "sg-2"]},
            "aws:ec2/getInstances:getInstances": {"ids": [_INSTANCE], "privateIps": [_ADDRESS]},
            "aws:vpc/getSecurityGroupRules:getSecurityGroupRules": {"ids": []},
            "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"addressFamily": "IPv4", "maxEntries": 1},
            "aws:ec2/getElasticIp:getElasticIp": {"publicIp": "203.0.113.1"},
            "aws:eks/getNodeGroups:getNodeGroups": {"names": ["nodes"]},
            "aws:eks/getNodeGroup:getNodeGroup": {
                "labels": dict(config.node_selector),
                "resources": [{"autoscalingGroups": [{"name": "nodes"}], "remoteAccessSecurityGroupId": ""}],
            },
            "aws:autoscaling/getGroup:getGroup": {"availabilityZones": [config.availability_zone]},
        }

    def invoke(self, token: str, arguments: Properties) -> Properties:
        return self._answers[token]

    def register(self, goal: Resource) -> Resource:
        return replace(goal, outputs=goal.inputs)

    def log(self, severity: Severity, message: str) -> None:
        pass


def _implied(direct: set[str], needs: Mapping[str, set[str]]) -> set[str]:
    """Those of some needs that the others need already, directly or not."""
    implied: set[str] = set()
    waiting = [further for need in direct for further in needs[need]]
    while waiting:
        need = waiting.pop()
        if need not in implied:
            implied.add(need)
            waiting += needs[need]
    return implied


def _has_component(resource: Resource, known: Mapping[str, Resource]) -> bool:
    return resource.parent in known and known[resource.parent].type != STACK_TYPE


def _by_component(graph: Graph) -> dict[str, list[GraphNode]]:
    components: dict[str, Any] = {}
    for node in graph.nodes:
        components.setdefault(node.component, []).append(node)
    return components
