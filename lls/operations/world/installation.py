"""A stack with everything that gives access to what it describes: account, cluster, state."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Self, TypeVar

import pulumi

from lls import lookups
from lls.cluster import EksCluster, eks_kubeconfig
from lls.cluster_api import ClusterApi, T
from lls.fitness import JudgedNode
from lls.kubeconfig import server_of
from lls.operations.program.recording import Monitor, Resource, Severity, record
from lls.operations.program.stack_file import Stack, StackError, read_stack, reveal
from lls.operations.report.finding import Finding, Watcher, ok
from lls.operations.world.account import Account, AwsError, Caller
from lls.operations.world.answers import LookUps
from lls.operations.world.identity import Identity, WrongAccountError
from lls.operations.world.ownership import ClusterIdentity, Ownership, read_ownership
from lls.operations.world.provider_keys import HONOURED, read_settings
from lls.operations.world.proxy import Proxy
from lls.operations.world.states import Backend, CliBackend, State
from lls.targets import judge_nodes

U = TypeVar("U")


class Installation:
    """One stack and the ways to look at it. Nothing is asked before it is needed, and all of it only once."""

    def __init__(self, stack: Stack, account: Account | None = None, backend: Backend | None = None) -> None:
        """Read the stack's config. `account` and `backend` default to the real ones.

        Raises pulumi.RunError that lists every problem of the config: of the program's, and of what the AWS provider
        is told about its identity, which the given `account` has already.
        """
        self.stack = stack
        self._token_environment: Callable[[], Mapping[str, str]] = dict[str, str]
        if account:
            self.config, self.account = stack.parsed(), account
        else:
            self.config, settings = _both(stack.parsed, lambda: read_settings(stack))
            identity = Identity(settings)
            self.account, self._token_environment = identity.account(), identity.token_environment
        self._backend = backend or CliBackend()
        self._lock = Lock()
        self._judging = Lock()
        self._apis: dict[str, ClusterApi] = {}

    @classmethod
    def open(cls, name: str) -> Self:
        """The stack of that name, as its file describes it. Raises StackError or pulumi.RunError."""
        return cls(reveal(read_stack(name), ["lls:kubeconfig", *HONOURED]))

    def state(self) -> State:
        """The stack's state. Raises NoSuchStackError where the backend does not know it, NoCliError or StackError."""
        with self._lock:
            return self._state

    def known_state(self) -> State | None:
        """The stack's state; None where it cannot be read."""
        try:
            return self.state()
        except StackError:
            return None

    @cached_property
    def _state(self) -> State:
        return self._backend.state(self.stack.name)

    def told_account(self) -> Finding:
        """Whose account is looked into, once it is clear that it is the stack's. Raises what `confirm_account` does."""
        caller = self.confirm_account()
        return ok("account", f"{caller.account} in {self.config.region}, as {caller.arn}")

    def evidence(self, ownership: Ownership) -> Mapping[str, Any]:
        """What the answers about ownership rest on, for scripts."""
        caller = self.confirm_account()
        return {"account": caller.account, "identity": caller.arn, **ownership.facts()}

    def ownership(self, watcher: Watcher, *, stateless: bool = False) -> Ownership:
        """Who owns what, by the states that the backend has now: list things first."""
        return read_ownership(self._backend, self.stack.name, watcher, stateless=stateless)

    def confirm_account(self) -> Caller:
        """Who AWS takes us for, once it is clear that this is the stack's account: before anything there counts.

        Raises AwsError, and WrongAccountError where the stack's state, if it can be read, is of another account.
        """
        return self._caller

    @cached_property
    def _caller(self) -> Caller:
        caller = self.account.caller
        try:
            accounts = self.state().accounts
        except StackError:
            return caller
        if accounts and caller.account not in accounts:
            raise WrongAccountError(
                f"The AWS credentials are of account {caller.account} ({caller.arn}), and the state of stack "
                f"{self.stack.name} is of account {', '.join(sorted(accounts))}: use credentials of that account "
                "(aws:profile, aws:assumeRoles or the environment), or name the stack of this one."
            )
        return caller

    def account_in(self, region: str) -> Account:
        """The stack's account as it is in a region, which need not be the stack's."""
        return self.account if region == self.config.region else self.account.in_region(region)

    @cached_property
    def cluster(self) -> EksCluster | None:
        """The EKS cluster; None where there is none. Raises AwsError."""
        try:
            found = self.account.call("eks", "describe_cluster", name=self.config.cluster_name)["cluster"]
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        network = found["resourcesVpcConfig"]
        return EksCluster(
            name=found["name"],
            arn=found["arn"],
            region=self.config.region,
            endpoint=found.get("endpoint", ""),
            certificate_authority=found.get("certificateAuthority", {}).get("data", ""),
            vpc_id=network["vpcId"],
            security_group_id=network.get("clusterSecurityGroupId", ""),
        )

    @property
    def kubeconfig(self) -> str:
        """The stack's own kubeconfig, or one built from the cluster. May hold secrets, and those of the moment."""
        own = self.config.kubeconfig.get_secret_value()
        if own or self.cluster is None:
            return own
        environment = self._token_environment()
        role = "" if environment else self.config.token_role
        return eks_kubeconfig(self.cluster, self.config.profile, role_arn=role, environment=environment)

    @cached_property
    def cluster_identity(self) -> ClusterIdentity | None:
        """What states may know the cluster by; None where there is none. Raises AwsError."""
        if not self.kubeconfig:
            return None
        servers = {server_of(self.kubeconfig, self.config.kube_context)}
        if self.cluster:
            servers.add(self.cluster.endpoint.rstrip("/").lower())
        return ClusterIdentity(
            arn=self.cluster.arn if self.cluster else "",
            name=self.config.cluster_name,
            region=self.config.region,
            servers=frozenset(servers - {""}),
        )

    def judged_nodes(self) -> Sequence[JudgedNode]:
        """The nodes that targets are chosen from, as `up` judges them. Raises pulumi.RunError."""
        with self._judging:
            return self._judged_nodes

    def unfit_nodes(self) -> Mapping[str, JudgedNode]:
        """Those of them that cannot be targets, by what the target group would know them by. Raises pulumi.RunError."""
        return {node.target_id(self.config.target_type): node for node in self.judged_nodes() if node.unfit}

    @cached_property
    def _judged_nodes(self) -> Sequence[JudgedNode]:
        def judge() -> Sequence[JudgedNode]:
            vpc_id = lookups.find_vpc(self.config, lookups.find_cluster(self.config))
            return judge_nodes(self.config, vpc_id, self.api)

        return self.ask_as_program(judge)

    @property
    def api(self) -> ClusterApi:
        """The cluster's API."""
        kubeconfig = self.kubeconfig
        return self._apis.setdefault(kubeconfig, ClusterApi(kubeconfig, self.config.kube_context))

    def ask_as_program(self, question: Callable[[], T]) -> T:
        """The answer of one of the program's own look-ups, outside a Pulumi engine. Raises pulumi.RunError."""
        answers: list[T] = []
        record(
            Monitor(_OnlyLookUps(LookUps(self.account, self.config.region))),
            program=lambda: answers.append(question()),
            stack=self.stack.name,
            config=self.stack.config,
            secret_keys=self.stack.secret_keys,
        )
        return answers[0]

    def proxy(self) -> Proxy:
        """The streaming proxy in the cluster. Raises ConnectionError where there is no cluster."""
        if not self.kubeconfig:
            raise ConnectionError(f"there is no EKS cluster {self.config.cluster_name} in {self.config.region}")
        return Proxy(self.api, self.config.namespace, self.config.release_name)


class _OnlyLookUps:
    """A responder that registers nothing."""

    def __init__(self, look_ups: LookUps) -> None:
        self.invoke = look_ups.invoke

    def register(self, goal: Resource) -> Resource:
        return goal

    def log(self, severity: Severity, message: str) -> None:
        pass


def _both(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """What two readers find. Raises pulumi.RunError with the problems of both."""
    try:
        found = first()
    except pulumi.RunError as error:
        try:
            second()
        except pulumi.RunError as other:
            raise pulumi.RunError(f"{error}\n{other}") from None
        raise
    return found, second()
