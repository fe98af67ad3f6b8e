"""`check-clean`: the guide's final verification, by tags and by stack state rather than by parts of names."""

from collections.abc import Callable

from lls.config import Config
from lls.operations.account import Account, AwsError
from lls.operations.finding import Finding, note, ok, problem, unknown
from lls.operations.installation import Installation
from lls.operations.inventory import Inventory
from lls.operations.proxy import CLUSTER_FAILURES
from lls.operations.stack import StackError, State


def check_clean(installation: Installation) -> list[Finding]:
    """What is left of a stack: in AWS, in the cluster, in its state, and of NVIDIA's Terraform module.

    Raises AwsError where AWS cannot be asked at all.
    """
    stack, config, account = installation.stack.name, installation.config, installation.account
    return [
        *_in_aws(config, account, stack),
        *_in_cluster(installation, stack),
        *_in_state(installation.state, stack),
        *_of_terraform(config, account),
    ]


def _in_aws(config: Config, account: Account, stack: str) -> list[Finding]:
    inventory = Inventory(account)
    cluster, names = config.cluster_name, config.names
    remedy = f"pulumi destroy --stack {stack}, or without a state: python -m lls sweep --stack {stack}"
    found = [problem("aws", f"{each} is left", remedy) for each in inventory.of_installation(names)]
    found += [
        problem(
            "aws",
            f"{each} carries lls:cluster={cluster} but not lls:managed-by=customer",
            f"aws ec2 release-address --allocation-id {each.id}",
        )
        for each in inventory.addresses()
        if names.resembles(each.tags) and not names.claims(each.tags)
    ]
    return found or [ok("aws", f"nothing carries lls:cluster={cluster} and lls:managed-by=customer")]


def _in_cluster(installation: Installation, stack: str) -> list[Finding]:
    if not installation.kubeconfig:
        return [note("kubernetes", "the cluster is gone, and what was in it")]
    proxy = installation.proxy()
    try:
        release = proxy.find_release()
        namespace = proxy.find_namespace()
    except CLUSTER_FAILURES as error:
        return [unknown("kubernetes", f"the cluster could not be asked: {error}")]
    remedy = f"pulumi destroy --stack {stack}, or without a state: python -m lls sweep --stack {stack}"
    found: list[Finding] = []
    if release:
        found.append(problem("kubernetes", f"release {release.name} is {release.status}", remedy))
    if namespace:
        found.append(problem("kubernetes", f"namespace {proxy.namespace} is left", remedy))
    return found or [ok("kubernetes", f"no release {proxy.release_name}, no namespace {proxy.namespace}")]


def _in_state(state: Callable[[], State], stack: str) -> list[Finding]:
    try:
        resources = [each for each in state().resources if each.type != "pulumi:pulumi:Stack"]
    except StackError as error:
        return [unknown("state", str(error))]
    if resources:
        return [problem("state", f"stack {stack} holds {len(resources)} resources", f"pulumi destroy --stack {stack}")]
    return [ok("state", f"stack {stack} holds no resources")]


def _of_terraform(config: Config, account: Account) -> list[Finding]:
    role = f"{config.cluster_name}-gvo-operator"
    try:
        account.call("iam", "get_role", RoleName=role)
    except AwsError as error:
        if error.code in ("NoSuchEntity", "NoSuchEntityException"):
            return [ok("terraform", f"no role {role}")]
        return [unknown("terraform", str(error))]
    return [
        note(
            "terraform",
            f"role {role} of NVIDIA's Terraform module exists",
            "if you are done with it: lls_enabled = false in its terraform.tfvars, then terraform apply",
        )
    ]
