"""Kubernetes' network policies that may keep packets from the proxy's pods. What they let in is not judged."""

from collections.abc import Mapping
from typing import Any

from kubernetes.client import NetworkingV1Api

from lls.cluster_api import REQUEST_TIMEOUT
from lls.operations.report.finding import Finding, note
from lls.operations.world.pods import is_living
from lls.operations.world.proxy import Proxy


def check_network_policies(proxy: Proxy) -> list[Finding]:
    """A note of the policies that restrict what gets in to the proxy's living pods. Raises what asking raises.

    A policy restricts the pods that it selects, unless one of its rules, or of another that selects them, lets in all.
    """
    policies: list[Any] = proxy.api.ask(
        lambda client: (
            NetworkingV1Api(client)
            .list_namespaced_network_policy(proxy.namespace, _request_timeout=REQUEST_TIMEOUT)
            .items
        )
    )
    about_ingress = [policy for policy in policies if "Ingress" in (policy.spec.policy_types or ["Ingress"])]
    if not about_ingress:
        return []
    pods: list[Any] = proxy.pods()
    restricting: set[str] = set()
    for pod in filter(is_living, pods):
        selecting = [
            policy for policy in about_ingress if _selects(policy.spec.pod_selector, pod.metadata.labels or {})
        ]
        if not any(_lets_in_all(rule) for policy in selecting for rule in policy.spec.ingress or ()):
            restricting |= {policy.metadata.name for policy in selecting}
    if not restricting:
        return []
    return [
        note(
            "network-policies",
            f"{', '.join(sorted(restricting))} of {proxy.namespace} restrict what gets in to the proxy's pods. Where "
            "the cluster enforces network policies, health checks and media need a rule for the pods' ports",
            f"kubectl -n {proxy.namespace} describe networkpolicies",
        )
    ]


def _lets_in_all(rule: Any) -> bool:
    """Whether a rule of a policy is for every sender and every port."""
    return not rule._from and not rule.ports  # the client's name for `from`


def _selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector chooses who has these labels; an empty one chooses all."""
    wanted: Mapping[str, str] = (selector and selector.match_labels) or {}
    requirements: list[Any] = (selector and selector.match_expressions) or []
    return wanted.items() <= labels.items() and all(_holds(requirement, labels) for requirement in requirements)


def _holds(requirement: Any, labels: Mapping[str, str]) -> bool:
    match requirement.operator:
        case "Exists":
            return requirement.key in labels
        case "DoesNotExist":
            return requirement.key not in labels
        case "In":
            return labels.get(requirement.key) in requirement.values
        case _:
            return labels.get(requirement.key) not in requirement.values
