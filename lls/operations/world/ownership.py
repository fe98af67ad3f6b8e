"""Who owns what exists: this stack, another one, nobody, or it cannot be told. Only nobody's may be taken or deleted.

Things are to be listed before the states are read: then whatever an `up` in flight had made by the time of the list
is in its state, or among its pending operations.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lls.config import NAMESPACE
from lls.kubeconfig import server_of
from lls.operations.program.stack_file import StackError
from lls.operations.report.finding import Finding, Watcher, note, ok, unknown
from lls.operations.world.inventory import KINDS, Thing, known_as
from lls.operations.world.states import Backend, ListedStack, StackName, State, StateResource

READERS: Final = 8
"""How many states are read at once."""

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
KUBERNETES_NAMESPACE: Final = "kubernetes:core/v1:Namespace"

OURS: Final = frozenset({*KINDS, RELEASE, KUBERNETES_NAMESPACE})
"""Types that a stack of ours may be making while its state does not say so yet."""


class Kind(StrEnum):
    """Whose something is."""

    OURS = "ours"
    ANOTHERS = "another's"
    NOBODYS = "nobody's"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Owner:
    """Whose something is. `stack` is another owner's PROJECT/STACK.

    `why` is the reason why it cannot be told, where that is the thing's own, and not that some state was not read.
    """

    kind: Kind
    stack: str = ""
    why: str = ""
    is_mistaken: bool = False
    """Whether the thing itself shows that it is not this installation's, whoever owns it."""

    @property
    def is_owned(self) -> bool:
        """Whether a state owns it, this stack's or another's."""
        return self.kind in (Kind.OURS, Kind.ANOTHERS)

    @property
    def clause(self) -> str:
        """Why the thing is left alone."""
        return self.why if self.is_mistaken else f"it {self}"

    def __str__(self) -> str:
        """A clause with the thing as its subject."""
        return {
            Kind.OURS: "is this stack's",
            Kind.ANOTHERS: f"is stack {self.stack}'s",
            Kind.NOBODYS: "is no stack's",
            Kind.UNKNOWN: "has an owner that cannot be told" + (f": {self.why}" if self.why else ""),
        }[self.kind]


@dataclass(frozen=True, kw_only=True)
class ClusterIdentity:
    """What a state may know a cluster by. `servers` are addresses of its API."""

    arn: str
    name: str
    region: str
    servers: frozenset[str]


@dataclass(frozen=True)
class Gap:
    """A state that could own what no other owns, and was not read or not to be relied on."""

    why: str
    remedy: str


class Ownership:
    """The owners that all readable states name, and what keeps the rest from being nobody's.

    `own` is this stack's state, None where it could not be read. `stateless` takes for nobody's what no readable state
    owns, whatever the gaps.
    """

    def __init__(
        self,
        stack: str,
        own: State | None,
        others: Mapping[str, State],
        gaps: Iterable[Gap],
        *,
        backend: str,
        stateless: bool = False,
    ) -> None:
        """Judge by these states; `others` are keyed by PROJECT/STACK."""
        self.own = own
        self.gaps = tuple(gaps)
        self._stack = stack
        self._others = others
        self._backend = backend
        self._stateless = stateless
        self._owners = {
            id_: Owner(Kind.ANOTHERS, name) for name, state in others.items() for id_ in _ids_in_aws(state)
        } | {id_: Owner(Kind.OURS) for id_ in _ids_in_aws(own or State())}

    def of(self, thing: Thing) -> Owner:
        """Whose a thing in AWS is that the tags call this installation's, or that belongs to such a thing.

        What is used by something of another stack's is that stack's too: its state may have lost it.
        """
        owned, used = self._known(thing.known_as, *thing.holders), self._known(*thing.uses)
        return next(iter([*owned, *_anothers(used)]), self._rest())

    def of_itself(self, thing: Thing) -> Owner:
        """The same for the thing alone: a listener may be nobody's although its load balancer is this stack's."""
        around = self._known(*thing.holders, *thing.uses)
        return next(iter([*self._known(thing.known_as), *_anothers(around)]), self._rest())

    def _known(self, *ids: str) -> list[Owner]:
        """The owners of those that a state owns."""
        return [self._owners[id_] for id_ in ids if id_ in self._owners]

    def in_cluster(self, type_: str, id_: str, cluster: ClusterIdentity | None) -> Owner:
        """Whose a namespace or a release is, by its id in that cluster. A namesake in another cluster is no owner."""
        doubts: list[Owner] = []
        for name, state in ((None, self.own or State()), *self._others.items()):
            for resource in state.owned:
                if (resource.type, resource.id) != (type_, id_):
                    continue
                match _is_in(resource, state, cluster):
                    case True:
                        return Owner(Kind.ANOTHERS, name) if name else Owner(Kind.OURS)
                    case None:
                        whose = f"stack {name} has" if name else "this stack has"
                        doubts.append(
                            Owner(Kind.UNKNOWN, why=f"{whose} one of that name, in a cluster it does not name")
                        )
                    case False:
                        pass
        return doubts[0] if doubts and not self._stateless else self._rest()

    def _rest(self) -> Owner:
        """Whose a thing is that no state owns."""
        if self.gaps and not self._stateless:
            return Owner(Kind.UNKNOWN)
        return Owner(Kind.NOBODYS)

    def findings(self, *, mattered: bool) -> list[Finding]:
        """What the answers rest on, and each gap in it; one that decided about nothing is only worth a note."""
        read = len(self._others) + (self.own is not None)
        found = [ok("states", f"{self._backend}: {read} read, this stack's {'' if self.own else 'not '}among them")]
        for gap in self.gaps:
            if self._stateless:
                seen = f"--stateless: what no state that was read owns is deemed to be no stack's, although {gap.why}"
                found.append(note("states", seen))
            elif mattered:
                seen = f"who owns what no state that was read owns cannot be told: {gap.why}"
                found.append(unknown("states", seen, gap.remedy))
            else:
                found.append(note("states", gap.why, gap.remedy))
        return found

    def facts(self) -> Mapping[str, Any]:
        """The same for scripts."""
        return {
            "backend": self._backend,
            "states": sorted([*self._others, *([str(StackName.of(self._stack))] if self.own is not None else [])]),
            "gaps": [gap.why for gap in self.gaps],
            "stateless": self._stateless,
        }


def read_ownership(backend: Backend, stack: str, watcher: Watcher, *, stateless: bool = False) -> Ownership:
    """Read every state of a backend. What cannot be read is a gap, and never an absence."""
    gaps: list[Gap] = []
    try:
        address = backend.describe()
        listed = backend.stacks()
    except StackError as error:
        return Ownership(
            stack, None, {}, [Gap(_clause(error), _STATELESS)], backend="no Pulumi backend", stateless=stateless
        )
    own = next((candidate for candidate in listed if candidate.name == stack), None) or _only(
        [candidate for candidate in listed if StackName.of(candidate.name).may_be(StackName.of(stack))]
    )
    states: dict[str, State] = {}
    others = [candidate for candidate in listed if candidate is not own]
    with ThreadPoolExecutor(READERS) as pool:
        reading = {
            candidate.name: pool.submit(backend.state, candidate.name)
            for candidate in (*([own] if own else []), *others)
        }
        for number, (name, state) in enumerate(reading.items(), 1):
            task = f"reading states: {number} of {len(reading)} ({name})"
            watcher.began(task)
            try:
                states[name] = state.result()
            except StackError as error:
                gaps.append(Gap(f"the state of stack {name} cannot be read: {_clause(error)}", _STATELESS))
            finally:
                watcher.ended(task)
    if own is None:
        gaps.insert(
            0,
            Gap(
                f"{address} does not know stack {stack}",
                f"if the stack is another backend's: pulumi login there; if it has no state: pulumi stack init {stack}",
            ),
        )
    gaps += [
        gap
        for candidate in listed
        for gap in _unsettled(candidate, states.get(candidate.name), is_own=candidate is own)
    ]
    return Ownership(
        stack,
        states.get(own.name) if own else None,
        {str(StackName.of(name)): state for name, state in states.items() if own is None or name != own.name},
        gaps,
        backend=f"backend {address}",
        stateless=stateless,
    )


_STATELESS: Final = "mend that; or add --stateless if you know that no stack owns what is listed"


def _anothers(owners: list[Owner]) -> list[Owner]:
    return [owner for owner in owners if owner.kind is Kind.ANOTHERS]


def _only(found: list[ListedStack]) -> ListedStack | None:
    return found[0] if len(found) == 1 else None


def _clause(error: StackError) -> str:
    return str(error).rstrip(".")


def _unsettled(listed: ListedStack, state: State | None, *, is_own: bool) -> Iterable[Gap]:
    """What a stack may have made that its state does not own yet."""
    remedy = "wait until its update has ended, then run this again"
    if listed.is_updating:
        yield Gap(f"stack {listed.name} is being updated", remedy)
    ours = StackName.of(listed.name).project == NAMESPACE
    pending = [operation for operation in (state.pending if state else ()) if ours or operation.type in OURS]
    if pending:
        if is_own:
            remedy = (
                f"if no update is under way: pulumi cancel --stack {listed.name} --yes, then "
                f"pulumi stack export --stack {listed.name} | pulumi stack import --stack {listed.name}, "
                "which forgets them, then run this again"
            )
        yield Gap(f"stack {listed.name} has pending operations ({', '.join(map(str, pending))})", remedy)


def _ids_in_aws(state: State) -> Iterable[str]:
    return (
        known_as(resource.type, resource.id, resource.outputs)
        for resource in state.owned
        if not resource.type.startswith("kubernetes:")
    )


def _is_in(resource: StateResource, state: State, cluster: ClusterIdentity | None) -> bool | None:
    """Whether a resource's provider is that cluster's; None where the state does not tell.

    A cluster has one ARN and one EKS endpoint. Other identifiers or addresses prove no difference: they may be tunnels.
    """
    if cluster is None:
        return False
    provider = next((owned for owned in state.owned if owned.urn == resource.provider), None)
    inputs: Mapping[str, Any] = provider.inputs if provider else {}
    identifier = str(inputs.get("clusterIdentifier") or "")
    server = server_of(inputs.get("kubeconfig"), inputs.get("context"))
    if (identifier and identifier == cluster.arn) or server in cluster.servers:
        return True
    if (_ARN.match(identifier) and cluster.arn) or (
        _EKS.fullmatch(server) and any(map(_EKS.fullmatch, cluster.servers))
    ):
        return False
    name, region = state.outputs.get("clusterName"), state.outputs.get("region")
    if isinstance(name, str):
        return (name, region or cluster.region) == (cluster.name, cluster.region)
    return None


_ARN: Final = re.compile(r"arn:[^:]+:eks:")
_EKS: Final = re.compile(
    r"https://[0-9a-f]{32}\.[a-z0-9.-]+\.(eks\.amazonaws\.com(\.cn)?|api\.aws|(api\.)?amazonwebservices\.com\.cn)(:443)?"
)
"""An EKS endpoint (EKS user guide, "Cluster API server endpoint"): each cluster has one of its own."""
