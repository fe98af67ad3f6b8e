"""`mirror` for a stack: which artifacts, with which logins, into which repositories."""

from collections.abc import Collection, Mapping
from typing import TypedDict

from lls import guide
from lls.artifacts import find_artifacts
from lls.lines import GUIDE, LINES, NGC_HOST, Extra, Line, LineName, line_of
from lls.oci import OCI_SCHEME, ecr_registry, split
from lls.operations.report.finding import Finding, Outcome, note, ok
from lls.operations.report.screen import Screen
from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.registry import (
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
    missing_repositories,
    ngc_login,
    upstream_of,
)

MIB = 1 << 20


class _Places(TypedDict):
    chart: str
    image: str


def run(
    installation: Installation,
    screen: Screen,
    *,
    source: str | None = None,
    destination: str | None = None,
    line: LineName | None = None,
    extras: Collection[Extra] = (),
    dry_run: bool = False,
    environ: Mapping[str, str],
) -> Outcome:
    """Copy what the stack needs, in the versions of its config or of a line, and other images of the line.

    A dry run asks, and changes nothing. Raises MirrorError, KeyboardInterrupt, and what the look-ups raise.
    """
    config = installation.config
    of_config = line_of(config.chart_version, config.image_tag)
    known = LINES[line] if line else of_config
    wanted = artifacts(
        config,
        source=source or (known or GUIDE).path,
        line=LINES[line] if line else None,
        extras=_tags(known, extras),
        **_places(installation, destination),
    )
    task = "looking for the repositories" if dry_run else "logging in, and looking for the repositories"
    screen.began(task)
    caches = {artifact: upstream for artifact in wanted if (upstream := _upstream(installation, artifact))}
    todo = tuple(artifact for artifact in wanted if artifact not in caches)
    logins: Mapping[str, Login] = {} if dry_run else _logins(installation, todo, environ)
    repositories = _repositories(installation, todo, create=not dry_run)
    screen.ended(task)
    created = "would be created" if dry_run else "created"
    found = [ok("repository", f"{name} {created}: immutable tags, scan on push") for name in repositories]
    found += [
        ok(artifact.name, f"{artifact.destination} is a cache: ECR fetches it from {upstream} at the first pull")
        for artifact, upstream in caches.items()
    ]
    if dry_run:
        found += [ok(artifact.name, f"{_copying(artifact)}: would be copied, unless it is there") for artifact in todo]
    else:
        found += [_copy(artifact, logins, screen) for artifact in todo]
    if not wanted:
        found.append(ok("mirror", "nothing to copy: chart and image are taken from where they are"))
    found += _versions(installation, LINES[line]) if line else ()
    copies = [
        {"name": artifact.name, "source": artifact.source, "destination": artifact.destination, "tag": artifact.tag}
        for artifact in todo
    ]
    return Outcome(found, {"line": known.name if known else None, "dryRun": dry_run, "artifacts": copies})


def _places(installation: Installation, destination: str | None) -> _Places:
    """Where chart and image go."""
    if destination:
        chart, image = f"{OCI_SCHEME}{destination}/{guide.RELEASE_NAME}", f"{destination}/{guide.IMAGE_NAME}"
    else:
        chart, image = installation.ask_as_program(lambda: find_artifacts(installation.config))
    return {"chart": chart, "image": image}


def _tags(line: Line | None, extras: Collection[Extra]) -> Mapping[Extra, str]:
    """The tags of a line's other images. Raises MirrorError where it has none of that kind, or none is known."""
    if extras and line is None:
        raise MirrorError(
            f"--with {next(iter(extras))} wants a line, and lls:chartVersion and lls:imageTag are of none: "
            f"add --line {' or '.join(LINES)}."
        )
    for extra in extras:
        if line and extra not in line.extras:
            having = " or ".join(other.name for other in LINES.values() if extra in other.extras)
            raise MirrorError(f"--with {extra}: line {line.name} has none: add --line {having}, or leave it out.")
    return {extra: line.extras[extra] for extra in extras} if line else {}


def _versions(installation: Installation, line: Line) -> list[Finding]:
    """Whether the config deploys what was copied."""
    config = installation.config
    if line.holds(config.chart_version, config.image_tag):
        return [ok("line", f"{line} is what the config deploys")]
    keys = {"lls:chartVersion": line.chart_version, "lls:imageTag": line.image_tag}
    remedy = "; ".join(
        f"pulumi config set {key} {value} --stack {installation.stack.name}" for key, value in keys.items()
    )
    seen = f"this is {line}, and the config deploys chart {config.chart_version} and image {config.image_tag}"
    return [note("line", seen, f"to deploy it: {remedy}")]


def _copying(artifact: Artifact) -> str:
    return f"{artifact.source}:{artifact.tag} to {artifact.destination}:{artifact.tag}"


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


def _repositories(installation: Installation, todo: tuple[Artifact, ...], *, create: bool) -> list[str]:
    """Those that are missing in the stack's own account, in any region; created, once the account is confirmed."""
    registries = {artifact: ecr_registry(artifact.destination) for artifact in todo}
    if not any(registries.values()):
        return []
    own = installation.confirm_account().account
    config = installation.config
    missing: list[str] = []
    for artifact, registry in registries.items():
        if registry and registry.account == own:
            ecr = installation.account_in(registry.region).client("ecr")
            names = [artifact.repository]
            missing += (
                ensure_repositories(ecr, names, cluster=config.cluster_name, extra=config.tags)
                if create
                else missing_repositories(ecr, names)
            )
    return missing


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
