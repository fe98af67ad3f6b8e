"""Whether a chart is what a stack's config takes it for: NodePorts, service, health path, and the names of values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from lls.config import Config
from lls.guide import Port
from lls.operations.report.finding import Finding, note, ok, problem
from lls.operations.world.chart_archive import Chart
from lls.operations.world.chart_templates import UNKNOWN, Made, Service, is_read, made_by, reads
from lls.streaming_proxy_release import StreamingProxyReleaseArgs, chart_values, merge

CHECK: Final = "chart contents"

WHOLE: Final = ("nodeSelector", "resources", "availabilityZones.zones")
"""Values of the program whose inner names are not the chart's but Kubernetes'."""

LATER: Final = "verify compares it with the cluster after up"


@dataclass(frozen=True)
class _Found:
    """A NodePort of a service of the chart; each may be UNKNOWN."""

    protocol: Any
    number: Any


def check_chart(chart: Chart, config: Config, *, image: str) -> list[Finding]:
    """What differs between a chart and what the config says of it; `image` is the image's repository.

    What only Helm can tell is a note: it is compared after the release.
    """
    given = _given(config, image)
    made = made_by(chart.templates, merge(chart.values, given), config.release_name)
    told = [
        *_node_ports(chart, made, config),
        *_value_names(chart, given),
        *(_service_of_binding(chart, made, config) if config.registration == "binding" else ()),
        *_health_path(made, config),
    ]
    return told or [ok(CHECK, f"{chart.name} {chart.version}: NodePorts and names of values are the config's")]


def _given(config: Config, image: str) -> Mapping[str, Any]:
    """The values that the release gets. The NLB's name is not known yet, and no template decides by it."""
    return chart_values(
        StreamingProxyReleaseArgs(
            nlb_dns_name="nlb.invalid",
            udp_port=config.udp_port,
            availability_zone=config.availability_zone,
            node_selector=config.node_selector,
            chart="",
            chart_version="",
            image_repository=image,
            image_tag=config.image_tag,
            replicas=config.replicas,
            cpu=config.cpu,
            memory=config.memory,
            helm_values=config.helm_values,
        )
    )


def _node_ports(chart: Chart, made: Made, config: Config) -> Iterator[Finding]:
    found = [node_port for service in made.services for node_port in _node_ports_of(service)]
    shown = ", ".join(f"{each.protocol} {each.number}" for each in found if UNKNOWN not in (each.protocol, each.number))
    wanted = {
        "streamingNodePort": Port("udp", config.streaming_node_port),
        "healthNodePort": Port("tcp", config.health_node_port),
    }
    for key, port in wanted.items():
        protocol, number = port.protocol.upper(), port.number
        if _Found(protocol, number) in found:
            continue
        what = f"NodePort {protocol} {number}"
        if _is_open(chart, made) or any(
            each.protocol in (protocol, UNKNOWN) and each.number in (number, UNKNOWN) for each in found
        ):
            yield note(CHECK, f"whether {chart.name} {chart.version} opens {what} only Helm can tell", LATER)
        else:
            yield problem(
                CHECK,
                f"{chart.name} {chart.version} does not open {what} (it opens: {shown or 'none that is fixed'})",
                f"set lls:{key} to the chart's, or the chart's by lls:helmValues",
            )


def _is_open(chart: Chart, made: Made) -> bool:
    """Whether there may be services, or ports of some, that cannot be told."""
    return chart.has_subcharts or bool(made.unread) or any(service.ports is None for service in made.services)


def _node_ports_of(service: Service) -> list[_Found]:
    """The NodePorts that a service has for sure, or may have. One that is left out is another one every time."""
    if service.type in (None, "ClusterIP", "ExternalName"):
        return []
    return [_Found(port.protocol or "TCP", _number(port.node_port)) for port in service.ports or () if port.node_port]


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _value_names(chart: Chart, given: Mapping[str, Any]) -> Iterator[Finding]:
    read = reads(chart.templates)
    unread = [name for name in _names(given) if not is_read(name, read)]
    if not unread or chart.has_subcharts:
        return
    leaves = {name.rpartition(".")[2]: name for name in sorted(read) if name}
    for name in unread:
        other = leaves.get(name.rpartition(".")[2])
        remedy = f"give it by lls:helmValues as {other}" if other else "see the chart's values.yaml for its name"
        seen = f"no template of {chart.name} {chart.version} reads the value {name}, so it has no effect"
        yield note(CHECK, seen, remedy)


def _names(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted names of values. A null takes a value away, and is none itself."""
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value and name not in WHOLE:
            yield from _names(cast(Mapping[str, Any], value), f"{name}.")
        elif value is not None:
            yield name


def _service_of_binding(chart: Chart, made: Made, config: Config) -> Iterator[Finding]:
    """The service that a TargetGroupBinding refers to, by name and port."""
    name, port = config.service_name, config.service_port
    of_name = [service for service in made.services if service.name in (name, UNKNOWN)]
    ports = {_number(each.port) for service in of_name for each in service.ports or ()}
    if any(service.name == name for service in of_name) and port in ports:
        return
    what = f"service {name} with port {port}"
    if _is_open(chart, made) or (of_name and (UNKNOWN in ports or port in ports)):
        yield note(CHECK, f"whether {chart.name} {chart.version} makes {what} only Helm can tell", LATER)
        return
    shown = ", ".join(
        f"{service.name} with {', '.join(str(each.port) for each in service.ports or ())}"
        for service in made.services
        if service.name != UNKNOWN
    )
    yield problem(
        CHECK,
        f"{chart.name} {chart.version} makes no {what} (it makes: {shown or 'none whose name can be told'})",
        "set lls:serviceName and lls:servicePort to the chart's",
    )


def _health_path(made: Made, config: Config) -> Iterator[Finding]:
    """What the pods' own probes ask for is a hint: a chart may answer on other paths too."""
    paths = made.probe_paths
    if paths and UNKNOWN not in paths and config.health_path not in paths:
        seen = (
            f"the chart's own probes ask for {', '.join(sorted(paths))}, and the load balancer for {config.health_path}"
        )
        yield note(CHECK, seen, "if targets stay unhealthy, set lls:healthPath to one of them")
