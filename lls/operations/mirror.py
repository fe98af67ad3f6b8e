"""`mirror` for a stack: which artifacts, with which logins, into which repositories."""

from collections.abc import Mapping

from lls import guide
from lls.artifacts import find_artifacts
from lls.oci import OCI_SCHEME, ecr_registry, split
from lls.operations.report.finding import Finding, Outcome, ok
from lls.operations.report.screen import Screen
from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.registry import (
    NGC_HOST,
    NGC_KEY,
    PLAIN_HTTP,
    Artifact,
    Login,
    MirrorError,
    Progress,
    artifacts,
    ecr_login,
    ensure_repositories,
    login_to,
    logins_of,
    mirror,
    ngc_login,
    upstream_of,
)

MIB = 1 << 20


def run(
    installation: Installation, screen: Screen, *, source: str, destination: str | None, environ: Mapping[str, str]
) -> Outcome:
    """Copy what the stack needs."""
    return Outcome(mirror_stack(installation, source, destination, environ, screen))


def mirror_stack(
    installation: Installation, source: str, destination: str | None, environ: Mapping[str, str], screen: Screen
) -> list[Finding]:
    """Copy what a stack needs, and say of each artifact what was done.

    Raises MirrorError, KeyboardInterrupt, and what the look-ups raise.
    """
    config = installation.config
    if destination:
        chart, image = f"{OCI_SCHEME}{destination}/{guide.RELEASE_NAME}", f"{destination}/{guide.IMAGE_NAME}"
    else:
        chart, image = installation.ask_as_program(lambda: find_artifacts(config))
    wanted = artifacts(config, chart=chart, image=image, source=source)
    screen.began("logging in, and looking for the repositories")
    caches = {artifact: upstream for artifact in wanted if (upstream := _upstream(installation, artifact))}
    todo = tuple(artifact for artifact in wanted if artifact not in caches)
    logins = _logins(installation, todo, environ)
    created = _create_repositories(installation, todo)
    screen.ended("logging in, and looking for the repositories")
    found = [ok("repository", f"created {name}: immutable tags, scan on push") for name in created]
    found += [
        ok(artifact.name, f"{artifact.destination} is a cache: ECR fetches it from {upstream} at the first pull")
        for artifact, upstream in caches.items()
    ]
    found += [_copy(artifact, logins, screen) for artifact in todo]
    return found or [ok("mirror", "nothing to copy: chart and image are taken from where they are")]


def _copy(artifact: Artifact, logins: Mapping[str, Login], screen: Screen) -> Finding:
    def watch(progress: Progress) -> None:
        screen.doing(f"{artifact.name}: {progress.done / MIB:.0f} of {progress.total / MIB:.0f} MiB")

    task = f"{artifact.name}: {artifact.source} to {artifact.destination}"
    screen.began(task)
    try:
        done = mirror(artifact, logins=logins, watch=watch)
    except MirrorError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            screen.say(str(error))
            raise KeyboardInterrupt from error
        raise
    finally:
        screen.ended(task)
    where = f"{artifact.destination}:{artifact.tag} is {done.digest}"
    if done.unchanged:
        return ok(artifact.name, f"{where}, as it was")
    return ok(
        artifact.name,
        f"{where}: {len(done.copied)} blobs copied ({done.copied_bytes} bytes), {len(done.skipped)} were there",
    )


def _create_repositories(installation: Installation, todo: tuple[Artifact, ...]) -> list[str]:
    """Create those that are missing in the stack's own account, in any region, once the account is confirmed."""
    registries = {artifact: ecr_registry(artifact.destination) for artifact in todo}
    if not any(registries.values()):
        return []
    own = installation.confirm_account().account
    config = installation.config
    created: list[str] = []
    for artifact, registry in registries.items():
        if registry and registry.account == own:
            ecr = installation.account_in(registry.region).client("ecr")
            created += ensure_repositories(ecr, [artifact.repository], cluster=config.cluster_name, extra=config.tags)
    return created


def _upstream(installation: Installation, artifact: Artifact) -> str:
    """Where ECR itself fetches a destination from; empty where it does not, or where it may not be asked."""
    registry = ecr_registry(artifact.destination)
    if registry is None:
        return ""
    installation.confirm_account()
    try:
        return upstream_of(installation.account_in(registry.region), registry, artifact.repository)
    except AwsError:
        return ""


def _logins(installation: Installation, todo: tuple[Artifact, ...], environ: Mapping[str, str]) -> Mapping[str, Login]:
    """The login for each host: NVIDIA's by its key, ECR's by AWS, others' from the stack's auth file."""
    logins: dict[str, Login] = {}
    given = logins_of(installation.config.registry_config)
    for artifact in todo:
        for reference in (artifact.source, artifact.destination):
            host, _ = split(reference)
            if host in logins:
                continue
            if login := login_to(host, given):
                logins[host] = login
            elif registry := ecr_registry(reference):
                logins[host] = ecr_login(installation.account_in(registry.region).client("ecr"))
            elif host == NGC_HOST or (host.partition(":")[0] in PLAIN_HTTP and environ.get(NGC_KEY)):
                logins[host] = ngc_login(environ)
    return logins
