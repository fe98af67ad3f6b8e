"""`verify`: whether the stack streams (guide steps 2.9 and 6), and why it does not."""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lls.guide import Port
from lls.operations.program.stack_file import StackError
from lls.operations.report.clock import Clock
from lls.operations.report.finding import Check, Finding, Outcome, Watcher, note, ok, problem, run_checks, unknown
from lls.operations.report.screen import Screen
from lls.operations.world import stun
from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory, Thing, deregistration
from lls.operations.world.network import Instance, Network
from lls.operations.world.pods import check_logs, check_pods, is_ready
from lls.operations.world.proxy import CLUSTER_FAILURES
from lls.operations.world.stun import Answer

POLL: Final = 10.0
"""Seconds between two looks at the targets while waiting."""


@dataclass(frozen=True)
class Path:
    """The load balancer, what it forwards to, and what is registered there."""

    balancer: Thing
    listener: Thing | None
    group: Thing
    targets: tuple[Thing, ...]

    @property
    def unhealthy(self) -> list[Thing]:
        """Targets that are not healthy."""
        return [target for target in self.targets if target.state != "healthy"]


def run(installation: Installation, screen: Screen, clock: Clock, *, wait: float | None, probe: bool) -> Outcome:
    """Look at a stack, perhaps after waiting until it is healthy, and perhaps probe its endpoint."""
    installation.confirm_account()
    outputs, notes = _outputs(installation)
    verification = Verification(installation, outputs)
    if wait is not None:
        screen.began("waiting until all targets are healthy")
        verification.wait(wait, clock, screen)
        screen.ended("waiting until all targets are healthy")
    found = [*notes, *verification.run(screen)]
    return Outcome([*found, _probe(verification, installation, screen)] if probe else found)


class Verification:
    """Looks at one stack. Nothing is changed."""

    def __init__(
        self,
        installation: Installation,
        outputs: Mapping[str, Any],
        resolve: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        """Look at that stack; without `outputs` it is found by its names. `resolve` defaults to the system's."""
        self._config = installation.config
        self._account = installation.account
        self._proxy = installation.proxy
        self._stack = installation.stack.name
        self._outputs = outputs
        self._resolve = resolve or _resolve
        self._inventory = Inventory(installation.account)

    def run(self, watcher: Watcher) -> list[Finding]:
        """Everything that was found, each problem with its cause and remedy."""
        path, found = self.find_path()
        checks: dict[str, Check] = {
            "pods": lambda: check_pods(self._proxy(), self._up),
            "logs": lambda: check_logs(self._proxy()),
        }
        if path:
            checks |= {
                "targets": lambda: self._check_targets(path),
                "path": lambda: self._check_way(path),
                "node ports": lambda: self._check_node_ports(path),
                "dns": lambda: self._check_dns(path),
            }
        return [*found, *run_checks(checks, watcher, (AwsError, *CLUSTER_FAILURES))]

    def wait(self, seconds: float, clock: Clock, watcher: Watcher) -> bool:
        """Wait until the load balancer is active and every target healthy; whether that came to be in time."""
        deadline = clock.now() + seconds
        last = ""
        while True:
            is_late = clock.now() + POLL > deadline
            path, _ = self.find_path()
            status = _status(path)
            if status != last:
                watcher.say(status)
                last = status
            if path and path.balancer.state == "active" and path.targets and not path.unhealthy:
                return True
            if is_late:
                return False
            clock.sleep(POLL)

    def find_path(self) -> tuple[Path | None, list[Finding]]:
        """The load balancer with its listener and targets, and what is wrong with those."""
        config = self._config
        name = config.names.nlb
        balancers = self._inventory.balancers()
        by_arn = [balancer for balancer in balancers if balancer.id == self._outputs.get("nlbArn")]
        balancer = next(iter(by_arn or [balancer for balancer in balancers if balancer.name == name]), None)
        if balancer is None:
            return None, [problem("nlb", f"there is no load balancer {name}", self._up)]
        found = [self._judge_balancer(balancer)]
        listeners = self._inventory.listeners(balancer.id)
        listener = next((listener for listener in listeners if listener.inputs["port"] == config.udp_port), None)
        groups = self._inventory.target_groups()
        group_name = config.target_group_name
        wanted = [group for group in groups if group.id == self._outputs.get("targetGroupArn")]
        group = next(iter(wanted or [group for group in groups if group.name == group_name]), None)
        if group is None:
            return None, [*found, problem("target-group", f"there is no target group {group_name}", self._up)]
        found.append(self._judge_listener(listener, listeners, group))
        return Path(balancer, listener, group, tuple(self._inventory.targets(group.id))), found

    @property
    def _up(self) -> str:
        return f"pulumi up --refresh --stack {self._stack}"

    def _judge_balancer(self, balancer: Thing) -> Finding:
        if balancer.state == "active":
            return ok("nlb", f"{balancer.name} is active: {balancer.outputs['dnsName']}")
        if balancer.state == "provisioning":
            return problem("nlb", f"{balancer.name} is still being provisioned", "wait: --wait 5m")
        return problem("nlb", f"{balancer.name} is {balancer.state}", f"destroy it and run {self._up}")

    def _judge_listener(self, listener: Thing | None, listeners: Iterable[Thing], group: Thing) -> Finding:
        port = self._config.udp_port
        if listener is None:
            others = (
                ", ".join(f"{listener.inputs['protocol']} {listener.inputs['port']}" for listener in listeners)
                or "none"
            )
            return problem("listener", f"no listener on UDP {port} (there is: {others})", self._up)
        forwards = [action["targetGroupArn"] for action in listener.inputs["defaultActions"]]
        if listener.inputs["protocol"] not in ("UDP", "TCP_UDP") or group.id not in forwards:
            seen = f"the listener on {listener.inputs['protocol']} {port} does not forward UDP to {group.name}"
            return problem("listener", seen, self._up)
        return ok("listener", f"UDP {port} forwards to {group.name}")

    # --- Targets

    def _check_targets(self, path: Path) -> list[Finding]:
        if not path.targets:
            return [problem("targets", f"nothing is registered in {path.group.name}", self._up)]
        found = [
            ok("targets", f"{target.name}:{target.inputs['port']} is healthy")
            if target.state == "healthy"
            else problem("targets", f"{target.name}:{target.inputs['port']} is {target.state}", "see the causes below")
            for target in path.targets
        ]
        if path.unhealthy and len(path.unhealthy) == len(path.targets):
            found.append(
                note("targets", "with no healthy target a UDP group fails open: packets that get through prove nothing")
            )
        return found

    def _check_way(self, path: Path) -> list[Finding]:
        """What stands in the way of media and health checks, target by target, healthy or not."""
        network = Network(self._account, path.balancer.outputs["vpcId"])
        instances = network.instances(target.name for target in path.targets)
        causes: dict[tuple[str, str, str], list[str]] = {}
        for target in path.targets:
            for cause in self._obstacles(path, target, instances.get(target.name), network):
                causes.setdefault(cause, []).append(target.name)
        found = [problem(check, f"{', '.join(names)}: {seen}", fix) for (check, seen, fix), names in causes.items()]
        found += self._judge_entrance(path, network)
        found += self._judge_health_check(path)
        return found or [ok("path", "security groups, network ACLs and routes let media and health checks through")]

    def _obstacles(
        self, path: Path, target: Thing, instance: Instance | None, network: Network
    ) -> Iterable[tuple[str, str, str]]:
        """Check, what is in the way, and remedy."""
        if instance is None or instance.state in ("terminated", "shutting-down"):
            yield "node-gone", "its node is gone", self._up
            return
        if instance.state != "running":
            yield "node-gone", f"its instance {instance.id} is {instance.state}", f"start it, or {self._up}"
            return
        subnets = {
            network.subnet(mapping["subnetId"])["AvailabilityZone"]: mapping["subnetId"]
            for mapping in path.balancer.inputs["subnetMappings"]
        }
        if instance.zone not in subnets:
            zones = ", ".join(subnets)
            seen = f"its node is in {instance.zone}, the load balancer only in {zones}"
            yield "wrong-zone", seen, deregistration(target)
            return
        subnet_id = subnets[instance.zone]
        balancer_block = network.subnet(subnet_id)["CidrBlock"]
        ours = path.balancer.inputs["securityGroups"]
        ports = ((Port("udp", target.inputs["port"]), "media", self._client), (self._health(path), "health checks", ""))
        for port, what, client in ports:
            source = client or balancer_block
            shown = f"{port.protocol.upper()} {port.number}"
            if not network.lets_in(instance.group_ids, port, source=source, from_groups=ours):
                groups = ", ".join(instance.group_ids)
                add = (
                    f"aws ec2 authorize-security-group-ingress --region {self._config.region} "
                    f"--group-id {instance.group_ids[0]} --protocol {port.protocol} --port {port.number} "
                    f"--source-group {next(iter(ours), 'GROUP')}"
                )
                seen = f"no rule of the node's groups ({groups}) lets in {shown} ({what}) from the load balancer"
                yield "rule-missing", seen, f"{self._up}, or by hand: {add}"
            if not network.lets_out(ours, port, destination=instance.address, to_groups=instance.group_ids):
                add = (
                    f"aws ec2 authorize-security-group-egress --region {self._config.region} "
                    f"--group-id {next(iter(ours), 'GROUP')} "
                    "--ip-permissions 'IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]'"
                )
                seen = f"the load balancer's groups do not let out {shown} ({what})"
                yield "nlb-egress", seen, f"{self._up}, or by hand: {add}"
            obstacle = network.acl_obstacle(subnet_id, instance.subnet_id, instance.address, port, source)
            if obstacle:
                yield (
                    "network-acl",
                    f"{obstacle} ({what})",
                    "allow it in the network ACL, and the answer on its way back",
                )

    @property
    def _client(self) -> str:
        """An address that may stream."""
        first = next((cidr for cidr in self._config.allowed_cidrs if ":" not in cidr), "0.0.0.0/0")
        return "198.51.100.7" if first == "0.0.0.0/0" else first.partition("/")[0]

    def _health(self, path: Path) -> Port:
        configured = str(path.group.inputs["healthCheck"]["port"])
        return Port("tcp", int(configured) if configured.isdigit() else path.group.inputs["port"])

    def _judge_entrance(self, path: Path, network: Network) -> list[Finding]:
        """Whether clients get to the load balancer at all."""
        found: list[Finding] = []
        port = Port("udp", self._config.udp_port)
        groups = path.balancer.inputs["securityGroups"]
        for cidr in self._config.allowed_cidrs:
            if groups and not network.lets_in(groups, port, source=cidr):
                add = (
                    f"aws ec2 authorize-security-group-ingress --region {self._config.region} --group-id {groups[0]} "
                    f"--protocol udp --port {port.number} --cidr {cidr}"
                )
                seen = f"the load balancer's groups do not let in UDP {port.number} from {cidr}"
                found.append(problem("nlb-ingress", seen, f"{self._up}, or by hand: {add}"))
        found += [
            problem(
                "no-route",
                f"{mapping['subnetId']} has no route to an internet gateway, so no client gets in",
                "add the route 0.0.0.0/0 to an igw-..., or set lls:publicSubnetId to a public subnet",
            )
            for mapping in path.balancer.inputs["subnetMappings"]
            if not network.has_internet(mapping["subnetId"])
        ]
        return found

    def _judge_health_check(self, path: Path) -> list[Finding]:
        """Whether the target group checks what the config says."""
        config, now = self._config, path.group.inputs["healthCheck"]
        wanted = {"port": str(config.health_node_port), "path": config.health_path, "protocol": "HTTP"}
        wrong = {key: now[key] for key, value in wanted.items() if str(now[key]) != value}
        if not wrong:
            return []
        seen = ", ".join(f"{key} {value} instead of {wanted[key]}" for key, value in wrong.items())
        return [problem("health-check", f"the target group's health check has {seen}", self._up)]

    def _check_node_ports(self, path: Path) -> list[Finding]:
        """Whether the chart's service has the NodePorts that the target group sends to, and pods behind it."""
        proxy = self._proxy()
        services: list[Any] = proxy.services()
        pods: list[Any] = proxy.pods()
        ports = {(port.protocol, port.node_port): service for service in services for port in service.spec.ports or ()}
        bound = ", ".join(f"{protocol} {number}" for protocol, number in ports if number) or "none"
        found: list[Finding] = []
        for protocol, number, key in (
            ("UDP", path.group.inputs["port"], "streamingNodePort"),
            ("TCP", self._health(path).number, "healthNodePort"),
        ):
            service = ports.get((protocol, number))
            if service is None:
                found.append(
                    problem(
                        "node-port-unbound",
                        f"no service of {proxy.namespace} has NodePort {protocol} {number} (bound: {bound})",
                        f"set lls:{key} to the chart's, or the chart's by lls:helmValues",
                    )
                )
                continue
            selector: dict[str, str] = service.spec.selector or {}
            behind = [pod for pod in pods if selector.items() <= (pod.metadata.labels or {}).items()]
            ready = [pod for pod in behind if is_ready(pod)]
            if not behind:
                seen = f"service {service.metadata.name} selects no pod ({_labels(selector)})"
                found.append(problem("node-port-unbound", seen, "make the service's selector match the chart's pods"))
            elif ready and service.spec.external_traffic_policy == "Local":
                nodes = sorted({pod.spec.node_name for pod in ready})
                seen = (
                    f"service {service.metadata.name} answers on {', '.join(nodes)} only (externalTrafficPolicy Local)"
                )
                found.append(note("node-port-local", seen, "other targets stay unhealthy by design"))
        return found or [
            ok("node ports", f"UDP {path.group.inputs['port']} and TCP {self._health(path).number} are bound")
        ]

    def _check_dns(self, path: Path) -> list[Finding]:
        name = path.balancer.outputs["dnsName"]
        try:
            return [ok("dns", f"{name} is {', '.join(self._resolve(name))}")]
        except OSError as error:
            return [unknown("dns", f"{name} does not resolve here: {error}", "a new name takes minutes; see --wait")]


def _outputs(installation: Installation) -> tuple[Mapping[str, Any], list[Finding]]:
    """The stack's outputs, or why there are none."""
    try:
        return installation.state().outputs, []
    except StackError as error:
        return {}, [note("outputs", f"{error} The stack is looked for by its names instead, which are as good.")]


def _probe(verification: Verification, installation: Installation, screen: Screen) -> Finding:
    path, _ = verification.find_path()
    if path is None:
        return problem("probe", "there is no endpoint to probe", "see above")
    host, port = path.balancer.outputs["dnsName"], installation.config.udp_port
    screen.began(f"probing {host}:{port}")
    try:
        return judge_probe(f"{host}:{port}", stun.probe(host, port))
    except OSError as error:
        return problem("probe", f"{host}:{port} cannot be reached: {error}", "a new name takes minutes to resolve")
    finally:
        screen.ended(f"probing {host}:{port}")


def judge_probe(endpoint: str, answer: Answer | None) -> Finding:
    """What a STUN probe of the public endpoint showed."""
    if answer is None:
        return problem(
            "probe",
            f"{endpoint} did not answer a STUN binding request over UDP",
            "see the causes above; from here, is outbound UDP allowed?",
        )
    milliseconds = answer.seconds * 1000
    return ok(
        "probe", f"{endpoint} answered in {milliseconds:.0f} ms from {answer.source}, and sees us as {answer.seen_as}"
    )


def _status(path: Path | None) -> str:
    if path is None:
        return "no load balancer yet"
    healthy = len(path.targets) - len(path.unhealthy)
    waiting = ", ".join(sorted({target.state for target in path.unhealthy}))
    return f"load balancer {path.balancer.state}, {healthy} of {len(path.targets)} targets healthy" + (
        f" ({waiting})" if waiting else ""
    )


def _labels(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in selector.items())


def _resolve(name: str) -> Sequence[str]:
    return sorted({str(answer[4][0]) for answer in socket.getaddrinfo(name, None)})
