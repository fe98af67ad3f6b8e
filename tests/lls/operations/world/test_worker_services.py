import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from lls.cluster_api import ClusterApi
from lls.operations.report.finding import Exit, Finding, Level, outcome
from lls.operations.world import worker_services
from lls.operations.world.worker_services import check_addon, check_zone_dns
from rehearsal.kubernetes.api import KubernetesApi, kubeconfig_for
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.world import ELSEWHERE, Nvcf
from tests.support.worlds import PatientClock, a_world

DEFAULT = "http://nvcf-sbs.nvcf-backend.svc.cluster.local:8000"
SBS = ("nvcf-backend", "nvcf-sbs")


@contextmanager
def a_cluster(half: Nvcf) -> Generator[tuple[Cluster, ClusterApi]]:
    world = a_world(nvcf=half)
    cluster = Cluster(world, PatientClock(), {"node-type": "compute"})
    cluster.nodes |= {node.name: node for node in world.nodes}
    with KubernetesApi(cluster) as served:
        yield cluster, ClusterApi(kubeconfig_for(served.endpoint, "x"))


def looked(
    half: Nvcf,
    *breaking: Callable[[Cluster], object],
    check: Callable[[ClusterApi], list[Finding]] = check_zone_dns,
) -> list[Finding]:
    """What a check finds in a cluster that was broken in these ways."""
    with a_cluster(half) as (cluster, api):
        for change in breaking:
            change(cluster)
        return check(api)


def deny(verb: str, resource: str) -> Callable[[Cluster], object]:
    return lambda cluster: cluster.denied.add((verb, resource))


def change_service(**changes: Any) -> Callable[[Cluster], object]:
    def change(cluster: Cluster) -> None:
        cluster.nvcf.services[SBS] = replace(cluster.nvcf.services[SBS], **changes)

    return change


def with_agent(**environment: str) -> Nvcf:
    return Nvcf(agent_environment=environment)


def test_a_service_that_answers_is_all_there_is_to_say() -> None:
    [found] = looked(Nvcf())
    assert (found.level, found.check) == (Level.OK, "zone-dns")
    assert found.seen == f"{DEFAULT}: service nvcf-sbs in nvcf-backend has 1 ready endpoints and answers"


# --- What is wrong


def test_a_missing_service_is_a_problem_told_with_what_nvidias_troubleshooting_says() -> None:
    [found] = looked(Nvcf(zone_dns_service=False))
    assert found.level is Level.PROBLEM
    assert found.seen.startswith(
        f"there is no service nvcf-sbs in nvcf-backend, and ZONE_DNS of the workers is {DEFAULT}"
    )
    assert "blocked UDP NodePorts" in found.seen
    assert "shows ACTIVE" in found.seen
    assert "NVST_R_GENERIC_ERROR" in found.seen
    assert "agent.overrideEnvironmentVariables.NVCF_SBS_ZONE_DNS" in found.remedy


def test_a_service_without_the_port_is_no_better_than_none() -> None:
    [found] = looked(Nvcf(), change_service(port=8080))
    assert found.level is Level.PROBLEM
    assert "has no TCP port 8000 (there is: 8080)" in found.seen


def test_a_service_without_ready_endpoints_is_a_problem() -> None:
    [found] = looked(Nvcf(zone_dns_endpoints=0))
    assert found.level is Level.PROBLEM
    assert "has no ready endpoint" in found.seen
    assert "kubernetes.io/service-name=nvcf-sbs" in found.remedy


def test_a_service_whose_port_nobody_listens_on_is_a_problem() -> None:
    [found] = looked(Nvcf(zone_dns_answering="refuses"))
    assert found.level is Level.PROBLEM
    assert re.search(r"does not answer: error .*: dial tcp 10\.0\.[\d.]+:8000: connect: connection refused", found.seen)


def test_a_silent_service_is_unknown_since_workers_may_reach_what_the_api_server_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_services, "SERVICE_ANSWER", 0.1)
    with a_cluster(Nvcf(zone_dns_answering="is silent")) as (_, api):
        [found] = check_zone_dns(api)
        [addon] = check_addon(api)
    assert (found.level, outcome([found])) == (Level.UNKNOWN, Exit.FINE)
    assert "the API server got no answer from it, workers may: nothing within" in found.seen
    assert f"curl -- -sv -m 5 {DEFAULT}" in found.remedy
    assert addon.level is Level.OK, "the API itself was not silent, and is asked again"


# --- Overrides


def test_an_override_is_told_and_the_service_behind_it_is_looked_at() -> None:
    url = "http://nvcf-sbs.elsewhere.svc:8000"
    moved, missing = looked(with_agent(NVCF_SBS_ZONE_DNS=url))
    assert moved.level is Level.NOTE
    assert f"NVCF_SBS_ZONE_DNS of the cluster agent makes ZONE_DNS {url}, not {DEFAULT}" in moved.seen
    assert missing.level is Level.PROBLEM
    assert f"there is no service nvcf-sbs in elsewhere, and ZONE_DNS of the workers is {url}" in missing.seen


def test_an_override_of_the_interface_is_told() -> None:
    told, service = looked(with_agent(NVCF_LLS_INTERFACE="eth1"))
    assert (told.level, service.level) == (Level.NOTE, Level.OK)
    assert "STREAMING_INTERFACE eth1, not ALL" in told.seen


def test_of_a_variable_that_is_set_twice_the_last_one_holds() -> None:
    def twice(cluster: Cluster) -> None:
        agent = cluster.nvcf.deployments["nvca-system", "nvca"]
        values = (("NVCF_SBS_ZONE_DNS", "http://x:1"), ("NVCF_SBS_ZONE_DNS", DEFAULT))
        cluster.nvcf.deployments["nvca-system", "nvca"] = replace(agent, environment=values)

    assert [found.level for found in looked(Nvcf(), twice)] == [Level.OK]


def test_an_override_whose_value_is_a_secrets_is_unknown() -> None:
    def hide(cluster: Cluster) -> None:
        agent = cluster.nvcf.deployments["nvca-system", "nvca"]
        cluster.nvcf.deployments["nvca-system", "nvca"] = replace(agent, hidden=("NVCF_SBS_ZONE_DNS",))

    [found] = looked(Nvcf(), hide)
    assert found.level is Level.UNKNOWN
    assert "comes from a secret" in found.seen


# --- Elsewhere


@pytest.mark.parametrize("url", ["http://sbs.example.com:8000", "nvcf-sbs:8000"])
def test_an_override_that_leads_out_of_the_cluster_is_said_and_no_problem(url: str) -> None:
    found = looked(with_agent(NVCF_SBS_ZONE_DNS=url))
    assert f"ZONE_DNS is {url}, which names no service of this cluster: what is there was not looked into" in (
        found[-1].seen
    )
    assert outcome(found) is Exit.FINE


def test_a_service_that_is_an_alias_is_said_and_no_problem() -> None:
    [found] = looked(Nvcf(), change_service(external_name="sbs.example.com"))
    assert (found.level, outcome([found])) == (Level.UNKNOWN, Exit.FINE)
    assert "is an alias of sbs.example.com" in found.seen


def test_a_cluster_with_nothing_of_nvcf_is_said_and_no_problem() -> None:
    found = [*looked(ELSEWHERE), *looked(ELSEWHERE, check=check_addon)]
    assert [finding.level for finding in found] == [Level.UNKNOWN, Level.UNKNOWN]
    assert "NVCF's workers are elsewhere" in found[0].seen
    assert "no namespace vault-system: NVCF's control plane is elsewhere" in found[1].seen
    assert outcome(found) is Exit.FINE


def test_without_a_cluster_agent_the_default_service_is_looked_at_all_the_same() -> None:
    [found] = looked(Nvcf(agent=False, zone_dns_endpoints=0))
    assert found.level is Level.PROBLEM


# --- What may not be read


@pytest.mark.parametrize(
    ("verb", "resource", "told"),
    [
        ("get", "deployments", "whether the cluster agent (nvca-system/nvca) overrides ZONE_DNS"),
        ("list", "endpointslices", "whether it has ready endpoints"),
        ("get", "services/proxy", "whether it answers"),
    ],
)
def test_what_may_not_be_read_is_unknown_and_the_rest_is_looked_at(verb: str, resource: str, told: str) -> None:
    found = looked(Nvcf(), deny(verb, resource))
    [missing] = [finding for finding in found if finding.level is Level.UNKNOWN]
    assert told in missing.seen
    assert "403" in missing.seen
    assert "docs/verify-roles.yaml" in missing.remedy
    assert not any(finding.level is Level.PROBLEM for finding in found)


def test_a_service_that_is_not_there_is_unknown_where_an_override_may_stand() -> None:
    found = looked(Nvcf(zone_dns_service=False), deny("get", "deployments"))
    assert [finding.level for finding in found] == [Level.UNKNOWN, Level.UNKNOWN]
    assert "which matters unless an override stands" in found[1].seen


# --- The add-on


def test_the_add_on_is_on_where_its_job_is() -> None:
    [found] = looked(Nvcf(), check=check_addon)
    assert found.level is Level.OK


def test_an_add_on_that_is_off_is_a_note_since_nvidia_calls_it_optional() -> None:
    [found] = looked(Nvcf(lls_addon=False), check=check_addon)
    assert found.level is Level.NOTE
    assert "the control plane's LLS add-on is off" in found.seen
    assert found.remedy == "set addons.lls.enabled: true"


def test_an_add_on_whose_job_is_suspended_is_told() -> None:
    def suspend(cluster: Cluster) -> None:
        [(place, job)] = cluster.nvcf.cron_jobs.items()
        cluster.nvcf.cron_jobs[place] = replace(job, suspended=True)

    [found] = looked(Nvcf(), suspend, check=check_addon)
    assert (found.level, "suspended" in found.seen) == (Level.NOTE, True)


@pytest.mark.parametrize(
    ("half", "resource"),
    [(Nvcf(), "cronjobs"), (Nvcf(lls_addon=False), "namespaces")],
    ids=["its job", "its namespace"],
)
def test_an_add_on_that_may_not_be_read_is_unknown(half: Nvcf, resource: str) -> None:
    [found] = looked(half, deny("get", resource), check=check_addon)
    assert (found.level, "docs/verify-roles.yaml" in found.remedy) == (Level.UNKNOWN, True)
