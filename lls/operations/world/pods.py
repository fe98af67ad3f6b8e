"""How the proxy's release, pods and logs are (guide step 6)."""

import re
from collections.abc import Sequence
from typing import Any, Final

from lls.operations.report.finding import Finding, ok, problem
from lls.operations.world.proxy import Proxy

LOG_LINES: Final = 50
"""Lines of a pod's log that are read, as in the guide."""

SHOWN_LINES: Final = 5
"""Lines of them that are shown."""

TRACE: Final = re.compile(r"\s+at |\s*File \"|Traceback|\s*\.\.\. \d+ more|\s{4,}|goroutine \d+|\s*\^+\s*$|\s+in <")
"""Lines of stack traces, in the languages that services are written in."""


def check_pods(proxy: Proxy, remedy: str) -> list[Finding]:
    """The release and each pod, with the reason of one that does not run. Raises what asking the cluster raises."""
    release = proxy.find_release()
    found: list[Finding] = []
    if release is None:
        found.append(problem("release", f"there is no release {proxy.release_name} in {proxy.namespace}", remedy))
    elif release.status != "deployed":
        seen = f"release {release.name} is {release.status}"
        found.append(problem("release", seen, f"{remedy}; if Helm is stuck: helm rollback {release.name}"))
    else:
        found.append(ok("release", f"{release.name} is deployed: {release.chart} {release.version}"))
    pods: list[Any] = proxy.pods()
    if not pods:
        return [*found, problem("pod-not-running", f"no pod runs in {proxy.namespace}", remedy)]
    events = proxy.events()
    return [*found, *(_judge(pod, events, proxy.namespace) for pod in pods)]


def check_logs(proxy: Proxy) -> list[Finding]:
    """The last lines of each pod's log, without stack traces. Raises what asking the cluster raises."""
    found: list[Finding] = []
    pods: list[Any] = proxy.pods()
    for pod in pods:
        name = pod.metadata.name
        containers: Sequence[Any] = pod.status.container_statuses or ()
        restarted = any(container.restart_count and not container.ready for container in containers)
        if not restarted and not any(container.state.running for container in containers):
            continue
        log = proxy.logs(name, LOG_LINES, previous=restarted)
        lines = [line for line in log.splitlines() if line.strip() and not TRACE.match(line)]
        shown = "\n".join(lines[-SHOWN_LINES:]) or "(empty)"
        found.append(ok("logs", f"{name}, last lines{' before its restart' if restarted else ''}:\n{shown}"))
    return found


def is_ready(pod: Any) -> bool:
    """Whether a pod runs and its readiness probe passes."""
    conditions: Sequence[Any] = pod.status.conditions or ()
    return pod.status.phase == "Running" and any(
        condition.type == "Ready" and condition.status == "True" for condition in conditions
    )


def _judge(pod: Any, events: Sequence[Any], namespace: str) -> Finding:
    name, status = pod.metadata.name, pod.status
    containers: Sequence[Any] = status.container_statuses or ()
    ready = sum(bool(container.ready) for container in containers)
    restarts = sum(container.restart_count for container in containers)
    seen = f"{name} {ready}/{len(pod.spec.containers)} {status.phase} on {pod.spec.node_name or 'no node'}"
    if restarts:
        seen += f", {restarts} restarts"
    if is_ready(pod):
        gets = [probe.http_get for probe in _probes(pod) if probe and probe.http_get]
        probes = ", ".join(sorted({f"{probe.path} on {probe.port}" for probe in gets}))
        return ok("pods", seen + (f", probes pass ({probes})" if probes else ", without HTTP probes"))
    waiting = [container.state.waiting for container in containers if container.state.waiting]
    why = [f"{state.reason} {state.message or ''}" for state in waiting]
    conditions: Sequence[Any] = status.conditions or ()
    why += [
        condition.message or ""
        for condition in conditions
        if condition.type == "PodScheduled" and condition.status != "True"
    ]
    warnings = [event.message for event in events if event.involved_object.name == name and event.type == "Warning"]
    reasons = dict.fromkeys(" ".join(reason.split()) for reason in (*why, *warnings[-2:]))
    return problem(
        "pod-not-running",
        f"{seen}: {'; '.join(filter(None, reasons)) or 'not ready'}",
        f"kubectl -n {namespace} describe pod {name}",
    )


def _probes(pod: Any) -> list[Any]:
    return [
        probe for container in pod.spec.containers for probe in (container.liveness_probe, container.readiness_probe)
    ]
