"""`verify`: whether the stack streams (guide steps 2.9 and 6), and why it does not."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

import pulumi

from lls.fitness import JudgedNode
from lls.hosted_zone import find_hosted_zone
from lls.operations.program.stack_file import StackError
from lls.operations.report.clock import Clock
from lls.operations.report.finding import (
    Cause,
    Check,
    Finding,
    Level,
    Outcome,
    Watcher,
    note,
    ok,
    problem,
    run_checks,
)
from lls.operations.report.screen import Screen
from lls.operations.world import stun
from lls.operations.world.account import AwsError
from lls.operations.world.endpoint_name import Resolve, addresses_of, judge_name, record_to_make, way_to_zone
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory, Thing
from lls.operations.world.network import Network
from lls.operations.world.network_policies import check_network_policies
from lls.operations.world.node_ports import NodePorts
from lls.operations.world.obstacles import Obstacles, Path
from lls.operations.world.pods import POD_INTERFACE, check_logs, check_pods
from lls.operations.world.proxy import CLUSTER_FAILURES
from lls.operations.world.registration import judge_attachments, registered_by
from lls.operations.world.remedies import Remedies
from lls.operations.world.states import State
from lls.operations.world.stun import Answer
from lls.operations.world.worker_services import ADDON, ZONE_DNS, check_addon, check_zone_dns

POLL: Final = 10.0
"""Seconds between two looks at the targets while waiting."""

APART: Final = ("dns", ZONE_DNS, ADDON)
"""Checks of what no target's health depends on."""

NOT_JUDGED: Final = ("network-policies", POD_INTERFACE)
"""Checks whose notes tell of what may stop packets, and is not looked into further."""

PASSING: Final[Mapping[str, tuple[str, str]]] = {
    "Elb.InitialHealthChecking": ("its first health checks are under way", "wait: --wait 5m"),
    "Elb.RegistrationInProgress": ("it is being registered", "wait: --wait 5m"),
    "Elb.InternalError": ("AWS has an internal error", "wait, and see the AWS Health Dashboard"),
}
"""Reasons of AWS's that pass by themselves, in words, and what to do."""


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
        resolve: Resolve | None = None,
    ) -> None:
        """Look at that stack; without `outputs` it is found by its names. `resolve` defaults to the system's."""
        self._installation = installation
        self._config = installation.config
        self._account = installation.account
        self._proxy = installation.proxy
        self._unfit_nodes = installation.unfit_nodes
        self._outputs = outputs
        self._resolve = resolve or addresses_of
        self._inventory = Inventory(installation.account)

    def run(self, watcher: Watcher) -> list[Finding]:
        """Everything that was found, each problem with its cause and remedy."""
        path, found = self.find_path()
        remedies = self._remedies(path)
        checks: dict[str, Check] = {
            "pods": lambda: check_pods(self._proxy(), replicas=self._replicas, up=remedies.up),
            "logs": lambda: check_logs(self._proxy()),
            "network-policies": lambda: check_network_policies(self._proxy()),
            ZONE_DNS: lambda: check_zone_dns(self._proxy().api),
            ADDON: lambda: check_addon(self._proxy().api),
        }
        if path:
            checks |= {
                "path": lambda: [*self._obstacles(path).check(), *self._judge_health_check(path)],
                "nodes": lambda: self._check_nodes(path),
                "node ports": lambda: self._check_node_ports(path),
                "dns": lambda: self._check_dns(path),
            }
            if self._config.registration == "autoscaling":
                checks["attachments"] = lambda: judge_attachments(self._installation, path.group, self._state)
        checked = run_checks(checks, watcher, (AwsError, pulumi.RunError, *CLUSTER_FAILURES))
        return [*found, *(self._judge_targets(path, [*found, *checked]) if path else []), *checked]

    def wait(self, seconds: float, clock: Clock, watcher: Watcher) -> bool:
        """Wait until the load balancer routes and every target is healthy that can be; whether that came in time."""
        deadline = clock.now() + seconds
        last = ""
        while True:
            is_late = clock.now() + POLL > deadline
            path, waived = None, frozenset[str]()
            try:
                path, _ = self.find_path()
                waived = self._waived(path) if path else waived
                status = _status(path, waived)
            except AwsError as error:
                if not error.is_throttled:
                    raise
                status = "AWS throttles the questions"
            if status != last:
                watcher.say(status)
                last = status
            if path and path.is_routing and path.targets and all(target.name in waived for target in path.unhealthy):
                return True
            if is_late:
                return False
            clock.sleep(POLL)

    def find_path(self) -> tuple[Path | None, list[Finding]]:
        """The load balancer with its listener and targets, and what is wrong with those."""
        config = self._config
        name = config.names.nlb
        balancer = self._inventory.find_balancer(name, self._outputs.get("nlbArn", ""))
        if balancer is None:
            return None, [problem("nlb", f"there is no load balancer {name}", self._remedies(None).up)]
        listeners = self._inventory.listeners(balancer.id, tagged=False)
        listener = next((listener for listener in listeners if listener.inputs["port"] == config.udp_port), None)
        group_name = config.target_group_name
        group = self._inventory.find_target_group(group_name, self._outputs.get("targetGroupArn", ""))
        if group is None:
            seen = f"there is no target group {group_name}"
            return None, [self._judge_balancer(balancer, ()), problem("target-group", seen, self._remedies(None).up)]
        path = Path(balancer, listener, group, tuple(self._inventory.targets(group.id)))
        return path, [
            self._judge_balancer(balancer, path.unhealthy),
            self._judge_listener(path, listeners),
        ]

    def _judge_balancer(self, balancer: Thing, unhealthy: Iterable[Thing]) -> Finding:
        if balancer.state == "active":
            return ok("nlb", f"{balancer.name} is active: {balancer.outputs['dnsName']}")
        if balancer.state == "active_impaired":
            network = Network(self._account, balancer.outputs["vpcId"])
            free = ", ".join(
                f"{subnet_id} has {network.subnet(subnet_id)['AvailableIpAddressCount']}"
                for subnet_id in (mapping["subnetId"] for mapping in balancer.inputs["subnetMappings"])
            )
            return problem(
                "nlb",
                f"{balancer.name} is active_impaired: it routes, and lacks resources to scale",
                f"see that its subnet has free addresses ({free}), wait, and see the AWS Health Dashboard",
            )
        if balancer.state == "provisioning":
            seen, remedy = f"{balancer.name} is still being provisioned", "wait: --wait 5m"
        else:
            seen = f"{balancer.name} is {balancer.state}"
            delete = f"aws elbv2 delete-load-balancer --region {self._config.region} --load-balancer-arn {balancer.id}"
            remedy = f"{delete}, then {self._remedies(None).up}"
        return _cause("nlb", seen, remedy, unhealthy)

    def _judge_listener(self, path: Path, listeners: Iterable[Thing]) -> Finding:
        port, listener, group, up = self._config.udp_port, path.listener, path.group, self._remedies(path).up
        if listener is None:
            others = (
                ", ".join(f"{listener.inputs['protocol']} {listener.inputs['port']}" for listener in listeners)
                or "none"
            )
            return _cause("listener", f"no listener on UDP {port} (there is: {others})", up, path.unhealthy)
        forwards = [action["targetGroupArn"] for action in listener.inputs["defaultActions"]]
        if listener.inputs["protocol"] not in ("UDP", "TCP_UDP") or group.id not in forwards:
            seen = f"the listener on {listener.inputs['protocol']} {port} does not forward UDP to {group.name}"
            return _cause("listener", seen, up, path.unhealthy)
        return ok("listener", f"UDP {port} forwards to {group.name}")

    def _remedies(self, path: Path | None) -> Remedies:
        return Remedies(
            self._installation,
            self._state,
            path.balancer.id if path else "",
            {target.name: target for target in path.targets} if path else {},
        )

    @cached_property
    def _state(self) -> State | None:
        return self._installation.known_state()

    @property
    def _replicas(self) -> int:
        """How many pods the release should have."""
        told = self._config.helm_values.get("replicaCount")
        return told if isinstance(told, int) else self._config.replicas

    def _obstacles(self, path: Path) -> Obstacles:
        return Obstacles(self._account, self._config, path, self._remedies(path))

    def _node_ports(self, path: Path) -> NodePorts:
        return NodePorts(self._proxy(), self._remedies(path), media=path.media, health=path.health)

    # --- Targets

    def _judge_targets(self, path: Path, found: Iterable[Finding]) -> list[Finding]:
        """Each target's health, and which of the findings explain it."""
        causes = [finding for finding in found if isinstance(finding, Cause)]
        unjudged = [
            finding
            for finding in found
            if (finding.level is Level.UNKNOWN and finding.check not in APART) or finding.check in NOT_JUDGED
        ]
        judged = [self._judge_target(path, target, causes, unjudged) for target in path.targets]
        judged += self._missing(path)
        if path.unhealthy and len(path.unhealthy) == len(path.targets):
            fails_open = "with no healthy target a UDP group fails open: packets that get through prove nothing"
            judged.append(note("targets", fails_open))
        return judged

    def _judge_target(self, path: Path, target: Thing, causes: Iterable[Cause], unjudged: Sequence[Finding]) -> Finding:
        shown = f"{target.name}:{target.inputs['port']} is {target.state}"
        if target.state == "healthy":
            return ok("targets", shown)
        own = [cause for cause in causes if target.name in cause.targets]
        checks = {
            level: ", ".join(dict.fromkeys(cause.check for cause in own if cause.level is level)) for level in Level
        }
        if checks[Level.NOTE]:
            return note("targets", f"{shown}, by design: see {checks[Level.NOTE]} below")
        if checks[Level.PROBLEM]:
            return problem("targets", shown, f"see {checks[Level.PROBLEM]}, above or below")
        if passing := PASSING.get(target.state.rpartition(" ")[2]):
            return problem("targets", f"{shown}: {passing[0]}", passing[1])
        return self._unexplained(path, target, shown, unjudged)

    def _unexplained(self, path: Path, target: Thing, shown: str, unjudged: Sequence[Finding]) -> Finding:
        """A target whose health nothing explains: what was ruled out, and what was not."""
        failed = {finding.check for finding in unjudged}
        health = f"{path.health.protocol.upper()} {path.health.number}"
        ruled_out = [
            "the load balancer and its listener",
            *(
                ["the node's instance and zone, security groups, network ACLs, the health check's settings"]
                if not failed & {"path", "security-groups"}
                else []
            ),
            *(
                [f"the service on {health} and its pods, and whether the node is ready"]
                if "node ports" not in failed
                else []
            ),
        ]
        missing = [f"{finding.check} ({finding.seen})" for finding in unjudged]
        host = "ADDRESS" if target.name.startswith("i-") else target.name
        return problem(
            "targets",
            f"{shown}; no cause found. Ruled out: {'; '.join(ruled_out)}."
            + (f" Could not be judged: {'; '.join(missing)}." if missing else ""),
            f"ask the node from inside the VPC, as AWS does (curl -i http://{host}:{path.health.number}"
            f"{path.group.inputs['healthCheck'].get('path') or '/'}), and look at its kube-proxy and its own firewall",
        )

    def _missing(self, path: Path) -> list[Finding]:
        """Targets that this stack has registered and that are registered no more."""
        registration, up = self._config.registration, self._remedies(path).up
        state = self._state
        known = registered_by(state) if state else frozenset[str](self._outputs.get("targets") or ())
        missing = sorted(known - {target.name for target in path.targets})
        if not path.targets:
            seen = f"nothing is registered in {path.group.name}"
            if registration == "autoscaling":
                up = f"let its Auto Scaling groups have instances; if none is attached: {up}"
            if registration == "binding":
                up = f"kubectl -n {self._config.namespace} describe targetgroupbinding {self._config.service_name}"
            return [problem("targets", seen + (f", and {', '.join(missing)} should be" if missing else ""), up)]
        return [
            problem("targets", f"{target} should be registered and is not: this stack has registered it", up)
            for target in missing
        ]

    def _waived(self, path: Path) -> frozenset[str]:
        """The unhealthy targets that need not be waited for, once others are healthy: none that might become so."""
        names = [target.name for target in path.unhealthy]
        if not names or len(names) == len(path.targets):
            return frozenset()
        waived: frozenset[str] = frozenset()
        with suppress(*CLUSTER_FAILURES):  # what cannot be told may become healthy
            waived |= self._node_ports(path).silent_by_design(names)
        with suppress(AwsError):
            waived |= self._obstacles(path).hopeless(path.unhealthy)
        return waived

    def _check_node_ports(self, path: Path) -> list[Finding]:
        """Whether the chart's services have the NodePorts that the target group sends to, and who answers there."""
        return self._node_ports(path).check(
            unhealthy=[target.name for target in path.unhealthy],
            healthy=[target.name for target in path.targets if target.state == "healthy"],
        )

    def _judge_health_check(self, path: Path) -> list[Finding]:
        """Whether the target group checks what the config says."""
        config, now = self._config, path.group.inputs["healthCheck"]
        wanted = {"port": str(config.health_node_port), "path": config.health_path, "protocol": "HTTP"}
        wrong = {key: now[key] for key, value in wanted.items() if str(now[key]) != value}
        if not wrong:
            return []
        seen = ", ".join(f"{key} {value} instead of {wanted[key]}" for key, value in wrong.items())
        seen = f"the target group's health check has {seen}"
        return [_cause("health-check", seen, self._remedies(path).up, path.unhealthy)]

    def _check_nodes(self, path: Path) -> list[Finding]:
        """Unhealthy targets whose nodes are on their way out, or excluded. What EC2 says of them is told on the way."""
        unfit = self._unfit_nodes() if path.unhealthy else dict[str, JudgedNode]()
        remedies = self._remedies(path)
        return [
            _cause("node-unfit", f"{name}: node {node.name} is {node.unfit}", remedies.removal(name), [target])
            for target in path.unhealthy
            if (node := unfit.get(name := target.name)) and node.runs_here
        ]

    def _check_dns(self, path: Path) -> list[Finding]:
        """Whether the name that clients call leads here: the load balancer's, or one of the user's own."""
        balancer: str = path.balancer.outputs["dnsName"]
        name = self._config.dns_name or balancer
        return [judge_name(name, balancer, self._resolve, lambda: self._way_to_name(name, balancer))]

    def _way_to_name(self, name: str, balancer: str) -> str:
        """What makes a name lead to the load balancer, by who makes its record."""
        config = self._config
        try:
            zone = self._installation.ask_as_program(lambda: find_hosted_zone(config))
        except pulumi.RunError as error:
            return f"see that its record leads to {balancer} and its zone is delegated; which that is: {error}"
        return f"{self._remedies(None).up}; {way_to_zone(zone)}" if zone else record_to_make(name, balancer)


def _cause(check: str, seen: str, remedy: str, unhealthy: Iterable[Thing]) -> Cause:
    """A problem that explains why these targets are unhealthy."""
    targets = frozenset(target.name for target in unhealthy)
    return Cause(check=check, level=Level.PROBLEM, seen=seen, remedy=remedy, targets=targets)


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
    host, port = installation.config.dns_name or path.balancer.outputs["dnsName"], installation.config.udp_port
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


def _status(path: Path | None, waived: Collection[str]) -> str:
    if path is None:
        return "no load balancer yet"
    healthy = len(path.targets) - len(path.unhealthy)
    waiting = ", ".join(sorted({target.state for target in path.unhealthy if target.name not in waived}))
    return (
        f"load balancer {path.balancer.state}, {healthy} of {len(path.targets)} targets healthy"
        + (f" ({waiting})" if waiting else "")
        + (f"; {len(waived)} cannot be as things are" if waived else "")
    )
