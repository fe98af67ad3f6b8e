"""docs/verify-roles.yaml against the calls that `verify` makes of the emulated cluster: all of them, and no more."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from lls.operations.program.stack_file import PROJECT
from lls.operations.report.finding import Level, Unwatched
from lls.operations.verify import Verification
from rehearsal.kubernetes.api import PATH, PROXIED
from rehearsal.world import Nvcf
from tests.support import breakage
from tests.support.worlds import a_rehearsal

ROLES: list[Any] = list(yaml.safe_load_all((PROJECT / "docs" / "verify-roles.yaml").read_text()))


@dataclass(frozen=True)
class Access:
    """What a call asks for."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Rule:
    """One verb of one resource that a role allows, in all namespaces where `namespace` is empty."""

    namespace: str
    group: str
    resource: str
    verb: str
    names: tuple[str, ...]

    def allows(self, access: Access) -> bool:
        """Whether it lets a call through."""
        return (
            self.namespace in ("", access.namespace)
            and (self.group, self.resource, self.verb) == (access.group, access.resource, access.verb)
            and (not self.names or access.name in self.names)
        )


RULES = [
    Rule(role["metadata"].get("namespace", ""), group, resource, verb, tuple(rule.get("resourceNames", ())))
    for role in ROLES
    if role["kind"] in ("ClusterRole", "Role")
    for rule in role["rules"]
    for group in rule["apiGroups"]
    for resource in rule["resources"]
    for verb in rule["verbs"]
]


def access_of(method: str, target: str) -> Access:
    path = unquote(urlsplit(target).path)
    proxied = PROXIED.fullmatch(path)
    match = PATH.fullmatch(proxied[1] if proxied else path)
    assert match is not None, target
    assert method == "GET", f"verify changes nothing: {method} {target}"
    name = match["name"] or ""
    namespace = name if match["resource"] == "namespaces" else match["namespace"] or ""
    resource = "/".join(filter(None, (match["resource"], match["part"])))
    return Access("get" if name else "list", (match["version"] or "").rpartition("/")[0], resource, namespace, name)


@pytest.fixture(scope="module")
def accesses() -> frozenset[Access]:
    """What `verify` asks of a cluster, healthy or not, as far as it all may be read."""
    with a_rehearsal(nvcf=Nvcf()) as rehearsal:
        rehearsal.engine.up()
        rehearsal.kubernetes.calls.clear()
        verification = Verification(rehearsal.installation(), rehearsal.engine.outputs, lambda _: ["203.0.113.1"])
        assert not [found for found in verification.run(Unwatched()) if "403" in found.seen]
        breakage.crash(rehearsal.cluster, breakage.a_proxy(rehearsal.cluster))
        rehearsal.cluster.nvcf.cron_jobs.clear()
        assert any(found.level is Level.PROBLEM for found in verification.run(Unwatched()))
        return frozenset(access_of(*call) for call in rehearsal.kubernetes.calls)


def test_the_roles_allow_every_call_of_verify(accesses: frozenset[Access]) -> None:
    assert {access for access in accesses if not any(rule.allows(access) for rule in RULES)} == set()


def test_the_roles_allow_nothing_that_verify_does_not_ask_for(accesses: frozenset[Access]) -> None:
    assert [rule for rule in RULES if not any(rule.allows(access) for access in accesses)] == []


def test_each_role_is_bound_to_the_one_group() -> None:
    def place(role: Any) -> tuple[str, str]:
        return role["metadata"].get("namespace", ""), role["metadata"]["name"]

    roles = {place(role) for role in ROLES if not role["kind"].endswith("Binding")}
    bindings = [role for role in ROLES if role["kind"].endswith("Binding")]
    assert {place(binding) for binding in bindings} == roles
    for binding in bindings:
        assert binding["roleRef"]["kind"] == binding["kind"].removesuffix("Binding")
        assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "lls-verify"}]
