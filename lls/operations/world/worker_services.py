"""Whether the workers of NVCF's streaming functions can reach what their ZONE_DNS names, and whether its add-on is on.

A stack can be healthy while nothing streams: this is the half that it does not make. Where it is in another cluster, or
may not be read, it is unknown, and no problem.
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from kubernetes.client import ApiClient, ApiException, BatchV1Api, CoreV1Api, DiscoveryV1Api
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from lls.cluster_api import REQUEST_TIMEOUT, ClusterApi, ClusterError
from lls.operations.report.finding import Finding, note, ok, out_of_sight, problem, unknown
from lls.operations.world import nvcf
from lls.operations.world.zone_dns import Agent, ServiceAddress, find_agent
from lls.waiting import CONNECT

ZONE_DNS: Final = "zone-dns"
"""The check of what the workers' ZONE_DNS names."""

ADDON: Final = "lls-add-on"
"""The check of the control plane's LLS add-on."""

SERVICE_ANSWER: Final = 5
"""Seconds to wait for a service's answer through the API server, twice."""

ASK: Final = "ask it from a pod of the cluster"
"""What tells more of what no API of this cluster tells."""

ROLES: Final = "let the identity read it: docs/verify-roles.yaml"
"""What helps where the API answered 403."""


def check_zone_dns(api: ClusterApi) -> list[Finding]:
    """Which ZONE_DNS holds, and whether the service that it names is there, has ready endpoints, and answers.

    Raises what `ClusterApi.ask` raises.
    """
    try:
        agent, unread = find_agent(api), None
    except ClusterError as error:
        agent, unread = None, error
    if agent and nvcf.ZONE_DNS_OVERRIDE in agent.hidden:
        seen = f"{nvcf.ZONE_DNS_OVERRIDE} of the cluster agent comes from a secret, a config map or a field"
        return [unknown(ZONE_DNS, f"{seen}: which service the workers are given is not told", _override("URL"))]
    found = _overrides(agent) if agent else []
    url = agent.zone_dns if agent else nvcf.ZONE_DNS
    if unread:
        place = f"{nvcf.AGENT_NAMESPACE}/{nvcf.AGENT}"
        found.append(_unread(ZONE_DNS, f"whether the cluster agent ({place}) overrides ZONE_DNS", unread))
    address = ServiceAddress.parse(url)
    if address is None:
        seen = f"ZONE_DNS is {url}, which names no service of this cluster"
        return [*found, out_of_sight(ZONE_DNS, f"{seen}: what is there was not looked into", ASK)]
    service = _find_service(api, address)
    if service is not None:
        return [*found, *_judge(api, address, service, url)]
    absent = f"there is no {address}"
    if agent:
        return [*found, _missing(f"{absent}, and ZONE_DNS of the workers is {url}")]
    if unread:
        return [*found, _unread(ZONE_DNS, f"{absent}, which matters unless an override stands", unread)]
    seen = f"the cluster has no cluster agent ({nvcf.AGENT_NAMESPACE}/{nvcf.AGENT}), and {absent}"
    return [out_of_sight(ZONE_DNS, f"{seen}: NVCF's workers are elsewhere, and what they reach was not looked into")]


def check_addon(api: ClusterApi) -> list[Finding]:
    """Whether the control plane's LLS add-on is on. Raises what `ClusterApi.ask` raises."""
    try:
        job: Any = api.ask(
            lambda client: BatchV1Api(client).read_namespaced_cron_job(
                nvcf.ADDON, nvcf.ADDON_NAMESPACE, _request_timeout=REQUEST_TIMEOUT
            )
        )
    except ClusterError as error:
        if error.status == 404:
            return [_without_addon(api)]
        return [_unread(ADDON, "whether the control plane's LLS add-on is on", error)]
    shown = f"CronJob {nvcf.ADDON} in {nvcf.ADDON_NAMESPACE}"
    if job.spec.suspend:
        return [note(ADDON, f"the control plane's LLS add-on is on, and its {shown} is suspended: secrets grow old")]
    return [ok(ADDON, f"the control plane's LLS add-on is on: {shown}")]


def _without_addon(api: ClusterApi) -> Finding:
    try:
        api.ask(lambda client: CoreV1Api(client).read_namespace(nvcf.ADDON_NAMESPACE, _request_timeout=REQUEST_TIMEOUT))
    except ClusterError as error:
        if error.status == 404:
            seen = f"the cluster has no namespace {nvcf.ADDON_NAMESPACE}: NVCF's control plane is elsewhere"
            return out_of_sight(ADDON, f"{seen}, and whether its LLS add-on is on was not looked into")
        return _unread(ADDON, "whether the control plane is here, whose LLS add-on is not", error)
    seen = f"the control plane's LLS add-on is off: {nvcf.ADDON_NAMESPACE} has no CronJob {nvcf.ADDON}"
    return note(ADDON, f"{seen}. NVIDIA calls it optional: it keeps TURN's secrets", f"set {nvcf.ADDON_VALUE}: true")


def _unread(check: str, what: str, error: ClusterError, else_: str = "") -> Finding:
    """What the API did not tell; roles help only where it refused to."""
    return unknown(check, f"{what}: {error}", ROLES if error.status == HTTPStatus.FORBIDDEN else else_)


def _override(url: str) -> str:
    return f"set {nvcf.AGENT_VALUE}.{nvcf.ZONE_DNS_OVERRIDE} of the nvca-operator's chart to {url}"


def _overrides(agent: Agent) -> list[Finding]:
    found: list[Finding] = []
    if agent.zone_dns != nvcf.ZONE_DNS:
        seen = f"an override stands: {nvcf.ZONE_DNS_OVERRIDE} of the cluster agent makes ZONE_DNS {agent.zone_dns}"
        found.append(note(ZONE_DNS, f"{seen}, not {nvcf.ZONE_DNS}"))
    if agent.interface != nvcf.INTERFACE:
        seen = f"an override stands: {nvcf.INTERFACE_OVERRIDE} of the cluster agent makes STREAMING_INTERFACE"
        found.append(note(ZONE_DNS, f"{seen} {agent.interface}, not {nvcf.INTERFACE}"))
    return found


def _missing(seen: str) -> Finding:
    """What keeps workers from the proxy. What clients see of it is not documented; what else they see, is."""
    return problem(
        ZONE_DNS,
        f"{seen}: no worker reaches the proxy. NVIDIA's troubleshooting knows blocked UDP NodePorts alone as a cause: "
        f"{nvcf.BLOCKED_MEDIA}",
        f"make the service, or {_override('the URL of the one that there is')}",
    )


def _find_service(api: ClusterApi, address: ServiceAddress) -> Any | None:
    try:
        return api.ask(
            lambda client: CoreV1Api(client).read_namespaced_service(
                address.name, address.namespace, _request_timeout=REQUEST_TIMEOUT
            )
        )
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


def _judge(api: ClusterApi, address: ServiceAddress, service: Any, url: str) -> list[Finding]:
    """How a service that is there does."""
    if service.spec.type == "ExternalName":
        seen = f"{address} is an alias of {service.spec.external_name}: what is there was not looked into"
        return [out_of_sight(ZONE_DNS, seen, ASK)]
    ports = [port.port for port in service.spec.ports or () if (port.protocol or "TCP") == "TCP"]
    if address.port not in ports:
        has = ", ".join(map(str, ports)) or "none"
        return [_missing(f"{address} has no TCP port {address.port} (there is: {has}), and ZONE_DNS is {url}")]
    try:
        ready = _ready_endpoints(api, address)
    except ClusterError as error:
        return [_unread(ZONE_DNS, f"{address} is there; whether it has ready endpoints", error)]
    if not ready:
        look = f"kubectl -n {address.namespace} describe endpointslices -l {OF_SERVICE}={address.name}"
        seen = f"{address} has no ready endpoint, so no worker reaches the proxy at {url}"
        return [problem(ZONE_DNS, seen, f"{look}, and see what its pods wait for")]
    return [_judge_answer(api, address, f"{address} has {len(ready)} ready endpoints", url)]


OF_SERVICE: Final = "kubernetes.io/service-name"
"""The label by which Kubernetes ties an EndpointSlice to its service."""


def _ready_endpoints(api: ClusterApi, address: ServiceAddress) -> list[Any]:
    """Endpoints that take traffic: those that are not told to be unready."""
    slices: Sequence[Any] = api.ask(
        lambda client: (
            DiscoveryV1Api(client)
            .list_namespaced_endpoint_slice(
                address.namespace,
                label_selector=f"{OF_SERVICE}={address.name}",
                _request_timeout=REQUEST_TIMEOUT,
            )
            .items
        )
    )
    return [
        endpoint
        for one in slices
        for endpoint in one.endpoints or ()
        if endpoint.conditions is None or endpoint.conditions.ready is not False
    ]


def _judge_answer(api: ClusterApi, address: ServiceAddress, seen: str, url: str) -> Finding:
    """Whether a service answers the API server, which may be kept from what workers reach, as by security groups."""
    by_hand = f"ask from inside: kubectl run ask --rm -i --restart=Never --image=curlimages/curl -- -sv -m 5 {url}"
    try:
        refusal = _ask_service(api, address)
    except ClusterError as error:
        return _unread(ZONE_DNS, f"{seen}; whether it answers", error, by_hand)
    if refusal is None:
        return ok(ZONE_DNS, f"{url}: {seen} and answers")
    if "connection refused" in refusal:
        return problem(ZONE_DNS, f"{seen}, and does not answer: {refusal}", by_hand)
    return out_of_sight(ZONE_DNS, f"{seen}; the API server got no answer from it, workers may: {refusal}", by_hand)


def _ask_service(api: ClusterApi, address: ServiceAddress) -> str | None:
    """Why a service gave the API server no answer; None where it did, whatever it said. Raises what `ask` raises.

    What the API server says by itself is a Status. Its own silence and the service's look alike, so that a service
    that is silent is none of the API's failures.
    """

    def ask(client: ApiClient) -> str | None:
        try:
            CoreV1Api(client).connect_get_namespaced_service_proxy_with_path(
                f"{address.scheme}:{address.name}:{address.port}",
                address.namespace,
                "",
                _request_timeout=(CONNECT, SERVICE_ANSWER),
            )
        except ApiException as error:
            status = _status(error)
            if status.get("reason") not in ("ServiceUnavailable", None):
                raise
            return status.get("message")
        except MaxRetryError as error:
            if not isinstance(error.reason, ReadTimeoutError):
                raise
            return f"nothing within {SERVICE_ANSWER} seconds"
        return None

    return api.ask(ask)


def _status(error: ApiException) -> dict[str, Any]:
    """The Status that an API server answered; empty where the answer is a service's own."""
    try:
        body: Any = json.loads(str(error.body))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    except ValueError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
