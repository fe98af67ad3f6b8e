"""How the proxy's release, pods and logs are (guide step 6)."""

import re
from collections.abc import Sequence
from typing import Any, Final

from lls.operations.report.finding import Finding, note, ok, problem
from lls.operations.world.proxy import Proxy

LOG_LINES: Final = 50
"""Lines of a pod's log that are read, as in the guide."""

SHOWN_LINES: Final = 5
"""Lines of them that are shown."""

TRACE: Final = re.compile(r"\s+at |\s*File \"|Traceback|\s*\.\.\. \d+ more|\s{4,}|goroutine \d+|\s*\^+\s*$|\s+in <")
"""Lines of stack traces, in the languages that services are written in."""


def check_pods(proxy: Proxy, *, replicas: int, up: str) -> list[Finding]:
    """The release and each of its pods, with the reason of one that does not run.

    `replicas` is how many pods the release should have, `up` the command that mends a release that is gone. Pods that
    have ended are told of, and no problem while the release has its others. Raises what asking the cluster raises.
    """
    namespace, release = proxy.namespace, proxy.find_release()
    found: list[Finding] = []
    look = f"kubectl -n {namespace} get deployments,replicasets,events"
    if release is None:
        found.append(problem("release", f"there is no release {proxy.release_name} in {namespace}", up))
        look = up
    elif release.status.startswith("pending-"):
        way_back = "rollback" if release.revision > 1 else "uninstall"
        unstuck = f"once no run is under way: helm -n {namespace} {way_back} {release.name}, then {up}"
        found.append(problem("release", f"release {release.name} is {release.status}", unstuck))
    elif release.status != "deployed":
        found.append(problem("release", f"release {release.name} is {release.status}", up))
    else:
        found.append(ok("release", f"{release.name} is deployed: {release.chart} {release.version}"))
    pods = proxy.pods()
    living = [pod for pod in pods if is_living(pod)]
    events = proxy.events() if pods else []
    found += [_judge(pod, events, namespace) for pod in living]
    ended = [_ended(pod) for pod in pods if not is_living(pod)]
    if len(living) < replicas:
        seen = f"{len(living)} of {replicas} pods" if living else "no pod"
        told = f": {'; '.join(ended)}" if ended else ""
        return [*found, problem("pod-not-running", f"{seen} runs in {namespace}{told}", look)]
    return [*found, *(note("pods", f"{seen}; the release has its {len(living)} without it") for seen in ended)]


def check_logs(proxy: Proxy) -> list[Finding]:
    """The last lines of each living pod's log, without stack traces. Raises what asking the cluster raises."""
    found: list[Finding] = []
    pods: list[Any] = proxy.pods()
    for pod in filter(is_living, pods):
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


def is_living(pod: Any) -> bool:
    """Whether a pod runs or is to run: it has not ended, as an evicted one has, and is not being deleted."""
    return pod.status.phase not in ("Failed", "Succeeded") and not pod.metadata.deletion_timestamp


def is_ready(pod: Any) -> bool:
    """Whether a pod serves: it lives, and its readiness probe passes."""
    conditions: Sequence[Any] = pod.status.conditions or ()
    return (
        is_living(pod)
        and pod.status.phase == "Running"
        and any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
    )


def _ended(pod: Any) -> str:
    """A pod that has ended or is being deleted, and why."""
    status = pod.status
    if pod.metadata.deletion_timestamp:
        return f"{pod.metadata.name} is terminating"
    return f"{pod.metadata.name} is {status.reason or status.phase}" + (
        f" ({status.message})" if status.message else ""
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
