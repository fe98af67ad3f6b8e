"""The operations in a real cluster, which has what an emulated one has. CONTRIBUTING.md tells how to lend a cluster."""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lls.operations.report.finding import Finding, Unwatched
from lls.operations.verify import Verification
from lls.operations.world.states import State
from rehearsal.kubernetes.api import kubeconfig_for
from rehearsal.kubernetes.cluster_state import Cluster
from rehearsal.kubernetes.scheduler import Container
from rehearsal.rehearse import NLB_ADDRESS
from rehearsal.world import ELSEWHERE
from tests.support import breakage
from tests.support.cluster_comparison import HEALTH, STREAMING
from tests.support.kube_api import Json
from tests.support.operations import adoption, cleaned, planned, preflight_of
from tests.support.real_cluster import RealCluster, lent_cluster
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS
from tests.support.worlds import KnownStates, MutableRehearsal, a_rehearsal, a_world, knowing


@dataclass(frozen=True)
class Installed:
    """A stack that is up in an emulated world, and its cluster's content in a real one. NVCF's half is in neither."""

    rehearsal: MutableRehearsal
    real: RealCluster

    @property
    def kubeconfigs(self) -> tuple[str, str]:
        """The one of the emulated API, and the one of the real one."""
        return kubeconfig_for(self.rehearsal.kubernetes.endpoint, "x"), self.real.api.alone

    def both(self, look: Callable[[str], Any]) -> tuple[Any, Any]:
        """What is seen by either kubeconfig, without what differs from one run to the next."""
        ours, real = map(look, self.kubeconfigs)
        return ours, real


@pytest.fixture
def installed() -> Generator[Installed]:
    with lent_cluster() as real:
        if real.has_own_nodes:
            pytest.skip("the cluster has nodes of its own, which the emulated world cannot have")
        nodes = tuple(node.model_copy(update={"name": f"{real.places.mark}-{node.name}"}) for node in a_world().nodes)
        config = as_config(namespace=real.places.namespace, streamingNodePort=STREAMING, healthNodePort=HEALTH)
        with a_rehearsal(config, quirks=QUIRKS, nodes=nodes, nvcf=ELSEWHERE) as rehearsal:
            rehearsal.engine.up()
            yield Installed(rehearsal, real)


def said(findings: list[Finding]) -> list[tuple[str, str, str, str]]:
    """What is found, but of logs, which only a kubelet has."""
    return [
        (finding.level.name, finding.check, re.sub(r"logs \([^()]*\); ", "", finding.seen), finding.remedy)
        for finding in findings
        if finding.check != "logs"
    ]


def verified(rehearsal: MutableRehearsal, kubeconfig: str) -> list[Finding]:
    known = KnownStates({"test": rehearsal.state()})
    installation = knowing(rehearsal, known, kubeconfig=kubeconfig)
    return Verification(installation, rehearsal.engine.outputs, resolve=lambda _: [NLB_ADDRESS]).run(Unwatched())


def adopted(rehearsal: MutableRehearsal, kubeconfig: str) -> list[tuple[str, str]]:
    found = adoption(rehearsal, State(), kubeconfig=kubeconfig)
    refused = [(refusal.match.resource.name, refusal.why) for refusal in found.refused]
    return sorted([(match.resource.name, match.thing.id) for match in found.matches] + refused)


def add_policy(cluster: Cluster, namespace: str, *, rules: list[Json]) -> None:
    cluster.network_policies[namespace, "policy"] = {"podSelector": {}, "ingress": rules}


def proxy_of(change: Callable[[Cluster, str], None]) -> Callable[[Cluster, str], None]:
    """A way to break a pod of the proxy as a way to break a cluster."""
    return lambda cluster, _: change(cluster, breakage.a_proxy(cluster))


def stop_node(cluster: Cluster, _: str) -> None:
    name = next(name for name in cluster.nodes if name.endswith("gpu-1"))
    breakage.change_node(cluster, name, ready=False)


def give_other_port(cluster: Cluster, _: str) -> None:
    breakage.change_node_port(cluster, HEALTH, HEALTH + 1)


def make_local(cluster: Cluster, namespace: str) -> None:
    for key in [key for key in cluster.services if key[0] == namespace]:
        cluster.services[key] = replace(cluster.services[key], external_traffic_policy="Local")


def interrupt(cluster: Cluster, namespace: str) -> None:
    breakage.change_release(cluster, namespace, "gdn-streaming", "pending-upgrade")


def lose_service(cluster: Cluster, namespace: str) -> None:
    cluster.services = {key: service for key, service in cluster.services.items() if key[0] != namespace}


def leave_alone(_: Cluster, __: str) -> None:
    pass


def add_strangers(cluster: Cluster, namespace: str) -> None:
    cluster.secrets.add((namespace, "mine"))
    cluster.config_maps.add((namespace, "mine"))


BROKEN: Mapping[str, Callable[[Cluster, str], None]] = {
    "nothing": leave_alone,
    "a crashing pod": proxy_of(breakage.crash),
    "a missing image": proxy_of(breakage.fail_image_pull),
    "a failing probe": proxy_of(breakage.fail_probe),
    "a pod without node": proxy_of(breakage.unschedule),
    "an evicted pod": proxy_of(breakage.evict),
    "a pod being deleted": proxy_of(breakage.terminate),
    "a failing init container": proxy_of(
        lambda cluster, pod: breakage.add_container(cluster, pod, Container(name="waits", kind="init", crashing=True))
    ),
    "a closed namespace": lambda cluster, namespace: add_policy(cluster, namespace, rules=[]),
    "an open policy": lambda cluster, namespace: add_policy(cluster, namespace, rules=[{}]),
    "a node that is not ready": stop_node,
    "another NodePort": give_other_port,
    "a local traffic policy": make_local,
    "an interrupted upgrade": interrupt,
    "a lost service": lose_service,
    "things of others": add_strangers,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_operations_find_in_a_real_cluster_what_they_find_in_the_emulated_one(
    installed: Installed, broken: str
) -> None:
    rehearsal, namespace = installed.rehearsal, installed.real.places.namespace
    BROKEN[broken](rehearsal.cluster, namespace)
    installed.real.mirror(rehearsal.cluster)
    known = KnownStates({"test": rehearsal.state()})
    looks: dict[str, Callable[[str], Any]] = {
        "verify": lambda kubeconfig: said(verified(rehearsal, kubeconfig)),
        "preflight": lambda kubeconfig: said(preflight_of(rehearsal, known, kubeconfig=kubeconfig)),
        "check-clean": lambda kubeconfig: said(cleaned(rehearsal, known, kubeconfig=kubeconfig)),
        "sweep": lambda kubeconfig: planned(rehearsal, kubeconfig=kubeconfig).delete,
        "adopt": lambda kubeconfig: adopted(rehearsal, kubeconfig),
    }
    for command, look in looks.items():
        ours, real = installed.both(look)
        assert real == ours, command
