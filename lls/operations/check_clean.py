"""`check-clean`: the guide's final verification, by tags and by stack state rather than by parts of names."""

from collections.abc import Callable, Iterable

from lls.config import Config
from lls.operations.report.finding import Finding, Level, Outcome, note, ok, problem, unknown
from lls.operations.report.screen import Screen
from lls.operations.world.account import Account, AwsError
from lls.operations.world.cluster_survey import ClusterSurvey, look_into_cluster
from lls.operations.world.installation import Installation
from lls.operations.world.inventory import Inventory
from lls.operations.world.ownership import Kind, Owner, Ownership
from lls.operations.world.survey import Survey


def run(installation: Installation, screen: Screen) -> Outcome:
    """Tell what is left, and what the answer rests on."""
    account = installation.told_account()
    screen.began("looking for what is left")
    found, ownership = check_clean(installation, lambda: installation.ownership(screen))
    screen.ended("looking for what is left")
    mattered = any(finding.level is Level.UNKNOWN for finding in found)
    evidence = {"evidence": installation.evidence(ownership)}
    return Outcome([account, *ownership.findings(mattered=mattered), *found], evidence)


def check_clean(installation: Installation, read_ownership: Callable[[], Ownership]) -> tuple[list[Finding], Ownership]:
    """What is left of a stack: in AWS, in the cluster, in its state, and of NVIDIA's Terraform module.

    What another stack owns is not left. Raises AwsError where AWS cannot be asked at all.
    """
    stack, config = installation.stack.name, installation.config
    survey = Survey(Inventory(installation.account), config)
    in_cluster = look_into_cluster(installation)
    ownership = read_ownership()
    left = [(str(thing), survey.owner_of(thing, ownership)) for thing in survey.things]
    left_in_cluster = [
        (in_cluster.name_of(type_), owner) for type_, owner in in_cluster.owners(installation, ownership).items()
    ]
    found = [
        *(_judge("aws", left, stack) or [ok("aws", f"nothing carries {_tags(config)}")]),
        *(problem("aws", f"{lookalike.thing}: {lookalike.why}", lookalike.remedy) for lookalike in survey.lookalikes),
        *survey.unseen(ownership),
        *(_judge("kubernetes", left_in_cluster, stack) or [_empty(installation, in_cluster)]),
        *_in_state(ownership, stack),
        *_of_terraform(config, installation.account),
    ]
    return found, ownership


def _judge(check: str, left: Iterable[tuple[str, Owner]], stack: str) -> list[Finding]:
    """What is left, by owner, with what helps against each."""
    found: list[Finding] = []
    for thing, owner in left:
        match owner.kind:
            case Kind.OURS:
                found.append(problem(check, f"{thing} is left", f"pulumi destroy --stack {stack}"))
            case Kind.NOBODYS:
                found.append(problem(check, f"{thing} is left, and no stack's", f"python -m lls sweep --stack {stack}"))
            case Kind.ANOTHERS:
                found.append(ok(check, f"{thing} is stack {owner.stack}'s"))
            case Kind.UNKNOWN:
                found.append(unknown(check, f"{thing} is left: {owner.clause}"))
    return found


def _empty(installation: Installation, seen: ClusterSurvey) -> Finding:
    if seen.unknown:
        return unknown("kubernetes", seen.unknown)
    if not installation.kubeconfig:
        return note("kubernetes", "the cluster is gone, and what was in it")
    return ok("kubernetes", f"no release {seen.release_name}, no namespace {seen.namespace}")


def _tags(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.names.marks.items())


def _in_state(ownership: Ownership, stack: str) -> list[Finding]:
    if ownership.own is None:
        return [unknown("state", f"whether stack {stack} holds anything cannot be told: {ownership.gaps[0].why}")]
    resources = [resource for resource in ownership.own.resources if resource.type != "pulumi:pulumi:Stack"]
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
