"""How the proxy's release, pods and logs are (guide step 6)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from lls.operations.report.finding import Finding, note, ok, problem, unknown
from lls.operations.world.proxy import CLUSTER_FAILURES, Proxy

LOG_LINES: Final = 50
"""Lines of a pod's log that are read, as in the guide."""

SHOWN_LINES: Final = 5
"""Lines of them that are shown."""

WORKLOADS: Final = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
"""Kinds of what creates pods. Why one may not, only its events tell."""

POD_ENI: Final = "vpc.amazonaws.com/pod-eni"
"""The annotation of a pod with security groups of its own (Amazon VPC CNI, "security groups for pods")."""

POD_INTERFACE: Final = "pod-interface"
"""The check that tells of such a pod."""

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
    elif release.status != "deployed":
        remedy = f"{release.way_back}, then {up}" if release.way_back else up
        found.append(problem("release", f"release {release.name} is {release.status}", remedy))
    else:
        found.append(ok("release", f"{release.name} is deployed: {release.chart} {release.version}"))
    pods: list[Any] = proxy.pods()
    living = [pod for pod in pods if is_living(pod)]
    ended = [_ended(pod) for pod in pods if not is_living(pod)]
    is_short, is_deployed = len(living) < replicas, release is not None and release.status == "deployed"
    events: Sequence[Any] = ()
    if is_short or not is_deployed or not all(map(is_ready, living)):
        try:
            events = proxy.events()
        except CLUSTER_FAILURES as error:
            found.append(unknown("events", f"what refuses or stops pods may be told by events: {error}"))
    found += [_judge(pod, events, namespace) for pod in living]
    found += [
        note(
            POD_INTERFACE,
            f"{pod.metadata.name} has a network interface and security groups of its own, not looked into",
        )
        for pod in living
        if POD_ENI in (pod.metadata.annotations or {})
    ]
    refused = refusals(events)
    if refused:
        admit = f"let {namespace} take the pod (its quota, limit range, Pod Security level or admission policy)"
        look = f"{admit}, then {up}"
    if is_short:
        seen = f"{len(living)} of {replicas} pods" if living else "no pod"
        told = f": {'; '.join([*refused, *ended])}" if refused or ended else ""
        return [*found, problem("pod-not-running", f"{seen} runs in {namespace}{told}", look)]
    if refused and not is_deployed:
        found.append(problem("pod-not-running", f"a further pod does not run: {'; '.join(refused)}", look))
    return [*found, *(note("pods", f"{seen}; the release has its {len(living)} without it") for seen in ended)]


def refusals(events: Iterable[Any]) -> list[str]:
    """Why the namespace's workloads may not create pods, such as for a quota: each one's last words, if it failed.

    `events` are all of the namespace, oldest first.
    """
    about = [(event.involved_object, event) for event in events]
    last = {(object_.kind, object_.name): event for object_, event in about if object_.kind in WORKLOADS}
    return [event.message for event in last.values() if event.type == "Warning"]


def check_logs(proxy: Proxy) -> list[Finding]:
    """The last lines of the log of each living pod's containers, without stack traces, but for those that are done.

    A log that cannot be had is unknown, and hides no other. Raises what asking for the pods raises.
    """
    found: list[Finding] = []
    missing: dict[str, list[str]] = {}
    pods: list[Any] = proxy.pods()
    for pod in filter(is_living, pods):
        for container in _statuses(pod):
            state, restarted = container.state, bool(container.restart_count and not container.ready)
            if not restarted and not state.running and (container.ready or not state.terminated):
                continue
            shown = f"{pod.metadata.name} {container.name}"
            before = restarted and not state.terminated
            try:
                log = proxy.logs(pod.metadata.name, container.name, LOG_LINES, previous=before)
            except CLUSTER_FAILURES as error:
                missing.setdefault(str(error), []).append(shown)
                continue
            lines = [line for line in log.splitlines() if line.strip() and not TRACE.match(line)]
            last = "\n".join(lines[-SHOWN_LINES:]) or "(empty)"
            found.append(ok("logs", f"{shown}, last lines{' before its restart' if before else ''}:\n{last}"))
    return [*found, *(unknown("logs", f"{', '.join(names)}: {why}") for why, names in missing.items())]


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
    lasting, statuses = _lasting(pod), _statuses(pod)
    names = {container.name for container in lasting}
    ready = sum(bool(container.ready) for container in statuses if container.name in names)
    restarts = sum(container.restart_count for container in statuses)
    seen = f"{name} {ready}/{len(lasting)} {status.phase} on {pod.spec.node_name or 'no node'}"
    if restarts:
        seen += f", {restarts} restarts"
    if is_ready(pod):
        probes = [probe for container in lasting for probe in (container.liveness_probe, container.readiness_probe)]
        gets = [probe.http_get for probe in probes if probe and probe.http_get]
        passing = ", ".join(sorted({f"{get.path} on {get.port}" for get in gets}))
        return ok("pods", seen + (f", probes pass ({passing})" if passing else ", without HTTP probes"))
    why = [told for container in statuses if (told := _trouble(container))]
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


def _lasting(pod: Any) -> list[Any]:
    """The containers that are to go on running: the regular ones, and init containers that are restarted for ever."""
    init: Sequence[Any] = pod.spec.init_containers or ()
    return [*(container for container in init if container.restart_policy == "Always"), *pod.spec.containers]


def _statuses(pod: Any) -> list[Any]:
    """The status of each container that was begun, init containers first, as they are run."""
    return [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]


def _trouble(container: Any) -> str:
    """Why a container does not run; empty where it does, has done its part, or only waits for the others."""
    state, last = container.state, container.last_state and container.last_state.terminated
    if state.waiting and state.waiting.reason != "PodInitializing":
        seen = f"{container.name}: {state.waiting.reason} {state.waiting.message or ''}"
    elif state.terminated and not container.ready:
        seen, last = f"{container.name}: has ended", state.terminated
    elif state.running and not container.ready:
        seen = f"{container.name}: runs, and is not ready"
    else:
        return ""
    return seen + (f" (exit code {last.exit_code}, {last.reason})" if last else "")
