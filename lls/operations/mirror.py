"""`mirror` for a stack: which artifacts, with which logins, into which repositories."""

from collections.abc import Mapping

from lls import guide
from lls.artifacts import find_artifacts
from lls.oci import OCI_SCHEME, ecr_registry
from lls.operations.report.finding import Finding, Outcome, ok
from lls.operations.report.screen import Screen
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
    logins_of,
    mirror,
    ngc_login,
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
    todo = artifacts(config, chart=chart, image=image, source=source)
    screen.began("logging in, and looking for the repositories")
    logins = _logins(installation, todo, environ)
    created = _create_repositories(installation, todo)
    screen.ended("logging in, and looking for the repositories")
    found = [ok("repository", f"created {name}: immutable tags, scan on push") for name in created]
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
    """Create those that are missing in the stack's own account and region, once the account is confirmed."""
    registries = {artifact: ecr_registry(OCI_SCHEME + artifact.destination) for artifact in todo}
    if not any(registries.values()):
        return []
    own = installation.confirm_account().account
    config = installation.config
    names = [
        artifact.repository
        for artifact, registry in registries.items()
        if registry and (registry.account, registry.region) == (own, config.region)
    ]
    ecr = installation.account.client("ecr")
    return ensure_repositories(ecr, names, cluster=config.cluster_name, extra=config.tags)


def _logins(installation: Installation, todo: tuple[Artifact, ...], environ: Mapping[str, str]) -> Mapping[str, Login]:
    """The login for each host: NVIDIA's by its key, ECR's by AWS, others' from the stack's auth file."""
    logins: dict[str, Login] = {}
    given = logins_of(installation.config.registry_config)
    for artifact in todo:
        for reference in (artifact.source, artifact.destination):
            host = reference.partition("/")[0]
            if host in logins:
                continue
            if login := given.get(host):
                logins[host] = login
            elif ecr_registry(OCI_SCHEME + reference):
                logins[host] = ecr_login(installation.account.client("ecr"))
            elif host == NGC_HOST or (host.partition(":")[0] in PLAIN_HTTP and environ.get(NGC_KEY)):
                logins[host] = ngc_login(environ)
    return logins
