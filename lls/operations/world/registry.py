"""Guide step 1: copies chart and image from NVIDIA's registry to the stack's own, byte for byte.

Bytes go straight from one registry to the other, one blob at a time: nothing is kept on disk. What the
destination has already is not sent again, and the tag is written last.
"""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from dxf import DXF, DXFBase
from dxf.exceptions import DXFUnauthorizedError
from pydantic import BaseModel, Field, ValidationError
from requests import HTTPError, PreparedRequest, RequestException, Response, Session, Timeout
from requests.exceptions import SSLError

from lls import guide
from lls.auth_file import IDENTITY_TOKEN, AuthFile, AuthFileError, Credentials, read_auth_file
from lls.config import Config
from lls.lines import EXTRA_IMAGES, GUIDE, NGC_HOST, Extra, Line
from lls.naming import Names, Tags
from lls.oci import OCI_SCHEME, EcrRegistry, is_oci, split, tag_of
from lls.operations.world.account import Account
from lls.waiting import CONNECT, QUESTION, REGISTRY_ANSWER, SilentError, within

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

Result = TypeVar("Result")

NGC_KEY: Final = "NGC_API_KEY"
"""The environment variable with the key to it."""

NGC_REMEDY: Final = f"set {NGC_KEY} to an API key with access to the nvcf-onprem organization: https://org.ngc.nvidia.com/setup/api-keys"
ECR_REMEDY: Final = "use AWS credentials that may push to this ECR repository"

PLAIN_HTTP: Final = ("127.0.0.1", "localhost")
"""Hosts that speak HTTP: what is sent to them stays on this machine. All others speak HTTPS."""

DOCKER_HUB: Final = "registry-1.docker.io"
"""The host that speaks for docker.io, whose login auth files keep under index.docker.io."""

HUB_NAMES: Final = ("docker.io", "index.docker.io", DOCKER_HUB)

LOGINS: Final[Mapping[str, str]] = {
    NGC_HOST: f"docker login {NGC_HOST} --username '$oauthtoken', with an NGC API key as the password",
    "public.ecr.aws": "aws ecr-public get-login-password --region us-east-1 | docker login public.ecr.aws --username "
    "AWS --password-stdin",
    "ghcr.io": "docker login ghcr.io, with a GitHub token that has read:packages as the password",
    DOCKER_HUB: "docker login docker.io, with an access token of Docker Hub as the password",
}
"""How to log in to a registry, where there is more to it than user and password."""

MANIFESTS: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""Media types of whatever a tag may be of. To whom does not accept its type, a registry says that it is not there."""

PAUSES: Final = (1, 4, 16)
"""Seconds before each further attempt, after a failure that may pass."""

CHUNK: Final = 1 << 20
"""Bytes that are read at a time."""


class MirrorError(Exception):
    """Why something was not mirrored, and what to do about it, in one sentence."""


class _PassingError(MirrorError):
    """One that another attempt may get past."""


class _MissingError(MirrorError):
    """One that says that something is not there."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What to copy: `source` and `destination` are HOST/PATH. `key` is the config key, or option, that sets the tag."""

    name: str
    key: str
    source: str
    destination: str
    tag: str

    @property
    def repository(self) -> str:
        """The destination's path: the name of its repository."""
        return split(self.destination)[1]


@dataclass(frozen=True)
class Login:
    """User and password of one registry, and what to do when it refuses them."""

    user: str
    password: str = field(repr=False)
    remedy: str = "check user and password"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the copy of an artifact has come, in bytes; `skipped` where the destination had the blob already.

    After a failed attempt a blob starts anew, and `blob_done` and `done` go back.
    """

    artifact: Artifact
    blob: str
    blob_done: int
    blob_total: int
    done: int
    total: int
    skipped: bool


Watch = Callable[[Progress], None]
"""Is told of every step, once per megabyte."""


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What was done about an artifact: digests of the blobs that were sent, and of those that were there already.

    `unchanged` where the destination's tag had the same digest from the start; then no blob was looked at.
    """

    artifact: Artifact
    digest: str
    copied: tuple[str, ...] = ()
    copied_bytes: int = 0
    skipped: tuple[str, ...] = ()
    unchanged: bool = False


def artifacts(
    config: Config,
    *,
    chart: str,
    image: str,
    source: str = GUIDE.path,
    line: Line | None = None,
    extras: Mapping[Extra, str] | None = None,
) -> tuple[Artifact, ...]:
    """What a stack needs in registries of its own, given its chart reference and image repository.

    The versions are the config's, or a line's. `extras` are the tags of other images, which go beside the image.
    A local chart is not among it, nor is what the stack takes from the source itself.
    """
    beside = image.rpartition("/")[0]
    wanted = [
        Artifact(
            name="chart",
            key="--line" if line else "lls:chartVersion",
            source=f"{source}/{guide.RELEASE_NAME}",
            destination=chart.removeprefix(OCI_SCHEME) if is_oci(chart) else "",
            tag=tag_of(line.chart_version if line else config.chart_version),
        ),
        Artifact(
            name="image",
            key="--line" if line else "lls:imageTag",
            source=f"{source}/{guide.IMAGE_NAME}",
            destination=image,
            tag=line.image_tag if line else config.image_tag,
        ),
        *(
            Artifact(
                name=extra,
                key="--line",
                source=f"{source}/{EXTRA_IMAGES[extra]}",
                destination=f"{beside}/{EXTRA_IMAGES[extra]}",
                tag=tag,
            )
            for extra, tag in (extras or {}).items()
        ),
    ]
    return tuple(artifact for artifact in wanted if artifact.destination not in ("", artifact.source))


def ngc_login(environ: Mapping[str, str]) -> Login:
    """The login to NVIDIA's registry.

    Raises MirrorError where there is no key in the environment.
    """
    if key := environ.get(NGC_KEY, "").strip():
        return Login("$oauthtoken", key, NGC_REMEDY)
    raise MirrorError(f"{NGC_KEY} is not set in the environment: {NGC_REMEDY}.")


def ecr_login(ecr: "ECRClient") -> Login:
    """The login to the private ECR registries of the client's region, for 12 hours.

    Raises MirrorError.
    """
    with _asking_ecr("GetAuthorizationToken"):
        token = ecr.get_authorization_token()["authorizationData"][0].get("authorizationToken", "")
    user, _, password = base64.b64decode(token).decode().partition(":")
    return Login(user, password, ECR_REMEDY)


def ensure_repositories(ecr: "ECRClient", names: Iterable[str], *, cluster: str, extra: Tags) -> list[str]:
    """Create those ECR repositories that are missing, with the guide's tags and `extra` ones; return their names.

    Existing ones are left as they are. Raises MirrorError.
    """
    missing = missing_repositories(ecr, names)
    for name in missing:
        with _asking_ecr(f"repository {name}"):
            ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                tags=[{"Key": key, "Value": value} for key, value in Names(cluster).tags(name, extra).items()],
            )
    return missing


def missing_repositories(ecr: "ECRClient", names: Iterable[str]) -> list[str]:
    """Those ECR repositories that do not exist. Raises MirrorError."""
    missing: list[str] = []
    for name in names:
        with _asking_ecr(f"repository {name}"):
            try:
                ecr.describe_repositories(repositoryNames=[name])
            except ecr.exceptions.RepositoryNotFoundException:
                missing.append(name)
    return missing


def upstream_of(account: Account, registry: EcrRegistry, repository: str) -> str:
    """Where ECR fetches what a repository lacks, by a pull-through cache rule; empty where it fetches nothing.

    `account` asks the registry's own region. Raises AwsError.
    """
    rules = account.every(
        "ecr", "describe_pull_through_cache_rules", "pullThroughCacheRules", registryId=registry.account
    )
    upstreams = {rule["ecrRepositoryPrefix"]: rule["upstreamRegistryUrl"] for rule in rules}
    fitting = [prefix for prefix in upstreams if repository.startswith(f"{prefix}/")]
    return upstreams[max(fitting, key=len)] if fitting else upstreams.get("ROOT", "")


def mirror(artifact: Artifact, *, logins: Mapping[str, Login], watch: Watch = lambda _: None) -> Mirrored:
    """Copy an artifact whole: an image of all platforms with what is attached to it, or a chart.

    `logins` are by host; a host without one is asked anonymously. Raises MirrorError, also when interrupted
    amid the copy: its cause is then the KeyboardInterrupt.
    """
    with _Repository(artifact.source, logins) as source, _Repository(artifact.destination, logins) as destination:
        there = _digest_at(destination, artifact)
        top = source.manifest(artifact.tag, f"check that {artifact.key} names a version that is there")
        if there == top.digest:
            return Mirrored(artifact=artifact, digest=top.digest, unchanged=True)
        if there:
            raise MirrorError(
                f"{artifact.destination}:{artifact.tag} is {there}, and {artifact.source}:{artifact.tag} is "
                f"{top.digest}: tags are immutable, so delete the tag there, or set {artifact.key} to another version."
            )
        manifests = _with_children(source, top)
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        total = sum(blob.size for blob in blobs.values())
        copied: list[_Descriptor] = []
        skipped: list[_Descriptor] = []

        def report(blob: _Descriptor, before: int, done: int, *, was_there: bool = False) -> None:
            watch(
                Progress(
                    artifact=artifact,
                    blob=blob.digest,
                    blob_done=done,
                    blob_total=blob.size,
                    done=before + done,
                    total=total,
                    skipped=was_there,
                )
            )

        try:
            for blob in blobs.values():
                before = sum(blob.size for blob in (*copied, *skipped))
                if _patiently(partial(destination.has, f"blobs/{blob.digest}")):
                    skipped.append(blob)
                    report(blob, before, blob.size, was_there=True)
                else:
                    destination.push(_Stream(source, blob, partial(report, blob, before)))
                    copied.append(blob)
            for manifest in manifests:
                destination.put(artifact.tag if manifest is top else manifest.digest, manifest)
        except (MirrorError, KeyboardInterrupt) as error:
            present = (*copied, *skipped)
            what = str(error).rstrip(".") if isinstance(error, MirrorError) else f"{artifact.destination}: interrupted"
            cause = error if isinstance(error, KeyboardInterrupt) else None
            raise MirrorError(
                f"{what}; {len(present)} of {len(blobs)} blobs ({sum(blob.size for blob in present)} of {total} bytes) "
                f"are in {artifact.destination}, without a tag: running it again goes on from there."
            ) from cause
        if (there := _digest_at(destination, artifact)) != top.digest:
            raise MirrorError(
                f"{artifact.destination}:{artifact.tag} is {there or 'missing'} although {top.digest} was written: "
                f"see who else writes there, and run it again."
            )
        return Mirrored(
            artifact=artifact,
            digest=top.digest,
            copied=tuple(blob.digest for blob in copied),
            copied_bytes=sum(blob.size for blob in copied),
            skipped=tuple(blob.digest for blob in skipped),
        )


def exists(repository: str, tag: str, logins: Mapping[str, Login]) -> bool:
    """Whether a repository (HOST/PATH) has a tag. Raises MirrorError where its registry does not tell."""

    def ask() -> bool:
        with _Repository(repository, logins) as there:
            return there.has(f"manifests/{tag}")

    try:
        return within(QUESTION, f"registry {repository.partition('/')[0]}", ask)
    except SilentError as error:
        raise MirrorError(f"{repository}: {error}: try again later.") from None


def blob_of(repository: str, tag: str, logins: Mapping[str, Login], choose: Callable[[bytes], str]) -> bytes:
    """The blob of a tag whose digest `choose` finds in the manifest, with its digest checked.

    Raises MirrorError, and what `choose` raises.
    """

    def ask() -> bytes:
        with _Repository(repository, logins) as there:
            manifest = there.manifest(tag, "check that it is there")
            digest = choose(manifest.content)
            [blob] = {blob for blob in manifest.blobs if blob.digest == digest}
            return _patiently(lambda: b"".join(_Stream(there, blob, lambda _: None)))

    try:
        return within(QUESTION, f"registry {repository.partition('/')[0]}", ask)
    except SilentError as error:
        raise MirrorError(f"{repository}: {error}: try again later.") from None


def login_remedy(host: str) -> str:
    """What lets a registry know us."""
    host = api_host(host)
    return f"{LOGINS.get(host, f'docker login {host}')}; then set lls:registryConfig to the auth file"


def login_to(host: str, logins: Mapping[str, Login]) -> Login | None:
    """The login to a registry, by any of its names; None where there is none. Raises what the lookup raises."""
    names = HUB_NAMES if host in HUB_NAMES else (host,)
    return next((login for name in names if (login := logins.get(name))), None)


def api_host(host: str) -> str:
    """The host that a registry's name stands for."""
    return DOCKER_HUB if host in HUB_NAMES else host


class _Descriptor(BaseModel, frozen=True):
    """A reference to content; `size` is in bytes."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class _Document(BaseModel, frozen=True):
    """What matters in a manifest, or in an index of manifests."""

    media_type: str = Field(default="", alias="mediaType")
    manifests: tuple[_Descriptor, ...] = ()
    config: _Descriptor | None = None
    layers: tuple[_Descriptor, ...] = ()


@dataclass(frozen=True)
class _Manifest:
    """A manifest or an index as it came: its very bytes make its digest."""

    content: bytes = field(repr=False)
    media_type: str
    digest: str
    children: tuple[_Descriptor, ...]
    blobs: tuple[_Descriptor, ...]


class _Repository(DXF):
    """A repository of a registry. Whatever fails is a MirrorError that names both, and no secret."""

    def __init__(self, name: str, logins: Mapping[str, Login]) -> None:
        """Prepare; nothing is sent yet."""
        host, path = split(name)
        plain = host.partition(":")[0] in PLAIN_HTTP
        timeout = cast(Any, (CONNECT, REGISTRY_ANSWER))
        super().__init__(api_host(host), path, auth=self._authenticate, insecure=plain, timeout=timeout)
        self.name = name
        self.login = login_to(host, logins)

    def __enter__(self) -> Self:
        """Open a connection pool."""
        pool = Session()
        pool.auth = _as_it_is  # or else requests looks for a login in ~/.netrc
        self._sessions.insert(0, pool)
        return self

    def manifest(self, reference: str, remedy: str) -> _Manifest:
        """The manifest with that tag or digest; `remedy` is for the case that there is none."""

        def get() -> _Manifest:
            with self.told(f"manifests/{reference}", missing=remedy):
                response = self.get_manifest_and_response(reference)[1]
                content, said = response.content, response.headers.get("Docker-Content-Digest")
                expected = reference if ":" in reference else said
                actual = _digest(content)
                if expected not in (None, actual):
                    raise self.passing(f"manifests/{reference}", f"its bytes have the digest {actual}, not {expected}")
                try:
                    document = _Document.model_validate_json(content)
                except ValidationError:
                    document = _Document()
                blobs = (document.config, *document.layers) if document.config else ()
                if not (blobs or document.manifests):
                    raise MirrorError(
                        f"{self.name}: manifests/{reference} is none that OCI or Docker v2 knows: {remedy}."
                    )
                media_type = document.media_type or response.headers.get("Content-Type", "").partition(";")[0]
                return _Manifest(content, media_type, actual, document.manifests, blobs)

        return _patiently(get)

    def has(self, path: str) -> bool:
        """Whether a blob or manifest is there."""
        with suppress(_MissingError):
            return self.call("head", path, headers={"Accept": MANIFESTS} if path.startswith("manifests/") else {}).ok
        return False

    def push(self, stream: "_Stream") -> None:
        """Upload a blob, with its length known from the start."""

        def send() -> None:
            with self.told(f"blobs/{stream.digest}", missing="create the repository first"):
                self.push_blob(data=cast(Any, stream or b""), digest=stream.digest, check_exists=False)

        _patiently(send)

    def put(self, reference: str, manifest: _Manifest) -> None:
        """Write a manifest, byte for byte, unless it is there: an earlier attempt may have lost but its answer."""

        def send() -> None:
            if not self.has(f"manifests/{reference}"):
                headers = {"Content-Type": manifest.media_type}
                self.call("put", f"manifests/{reference}", data=manifest.content, headers=headers)

        _patiently(send)

    def call(self, method: str, path: str, **options: Any) -> Response:
        """Send one request."""
        with self.told(path, missing="create the repository first"):
            return cast(Response, self._request(method, path, **options))  # pyright: ignore[reportUnknownMemberType]

    @contextmanager
    def told(self, path: str, *, missing: str) -> Generator[None]:
        """Turn what goes wrong inside into a MirrorError. `missing` is the remedy for a 404."""
        status, said = 0, ""
        try:
            yield
            return
        except DXFUnauthorizedError:
            status = HTTPStatus.UNAUTHORIZED
        except HTTPError as error:
            answer = cast(Response, error.response)
            status, said = answer.status_code, self._reason(answer)
        except (KeyError, ValueError):
            raise MirrorError(f"{self.name}: {path}: its answer is no registry's: check the host's name.") from None
        except Timeout:
            raise MirrorError(f"{self.name}: {path}: no answer in time: check the way to it, then try again.") from None
        except SSLError:
            raise self.passing(path, "no secure connection: its certificate is not trusted, or TLS failed") from None
        except RequestException:
            raise self.passing(path, "no connection, or it was cut off") from None
        cause = f"HTTP {status} {said}".rstrip()
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self.passing(path, cause)
        problem = f"{self.name}: {path}: {cause}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            host, _ = split(self.name)
            remedy = self.login.remedy if self.login else f"log in to {host} first: {login_remedy(host)}"
            raise MirrorError(f"{problem}: {remedy}.")
        if status == HTTPStatus.NOT_FOUND:
            raise _MissingError(f"{problem}: {missing}.")
        raise MirrorError(f"{problem}: ask those who run this registry.")

    def passing(self, path: str, cause: str) -> _PassingError:
        """A failure that is worth another attempt. It's only seen after the last one."""
        return _PassingError(f"{self.name}: {path}: {cause}, {len(PAUSES) + 1} times: try again later.")

    def _authenticate(self, _: DXFBase, challenge: Response) -> None:
        if "www-authenticate" in challenge.headers:
            user, password = (self.login.user, self.login.password) if self.login else (None, None)
            scheme, parameters = challenge.headers["www-authenticate"].split(" ", 1)
            if user == IDENTITY_TOKEN and scheme.lower() == "bearer":
                self._exchange(dict(re.findall(r'(\w+)="([^"]*)"', parameters)))
                return
            plain, self._insecure = self._insecure, False  # or else the library refuses to log in on this machine
            try:
                self.authenticate(user, password, response=challenge)
            finally:
                self._insecure = plain

    def _exchange(self, bearer: Mapping[str, str]) -> None:
        """Have an identity token exchanged for an access token, by OAuth 2 as Docker's registries speak it."""
        realm = urlsplit(bearer["realm"])._replace(scheme="https").geturl()  # a secret is sent
        form = {
            "grant_type": "refresh_token",
            "client_id": "lls",
            "service": bearer.get("service", ""),
            "scope": bearer.get("scope", ""),
            "refresh_token": self.login.password if self.login else "",
        }
        answer = self._sessions[0].post(realm, data=form, timeout=(CONNECT, REGISTRY_ANSWER))
        answer.raise_for_status()
        self.token = answer.json()["access_token"]

    def _reason(self, response: Response) -> str:
        """What the registry says of an error, shortened."""
        try:
            [error, *_] = response.json()["errors"]
            said = f"({error['code']}: {error.get('message', '')})"
        except (RequestException, ValueError, LookupError, TypeError, AttributeError):
            said = response.reason or ""
        return (said.replace(self.login.password, "[secret]") if self.login else said)[:300]


class _Stream:
    """A blob of a source, fetched anew whenever it is iterated. Its length makes requests state it."""

    def __init__(self, source: _Repository, blob: _Descriptor, moved: Callable[[int], None]) -> None:
        """`moved` is told how many bytes were handed on."""
        self.digest = blob.digest
        self._source = source
        self._size = blob.size
        self._moved = moved

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Hand on the bytes; the last of them only when they all make the digest."""
        path, done, seen = f"blobs/{self.digest}", 0, hashlib.sha256()
        with (
            self._source.told(path, missing="its manifest names this blob, so ask those who run this registry"),
            self._source.call("get", path, stream=True) as response,
        ):
            for chunk in response.iter_content(CHUNK):
                seen.update(chunk)
                done += len(chunk)
                actual = f"sha256:{seen.hexdigest()}"
                if done > self._size or (done == self._size and actual != self.digest):
                    raise self._source.passing(path, f"wrong bytes: the digest of what came is {actual}")
                yield chunk
                self._moved(done)
            if done < self._size:
                raise self._source.passing(path, f"only {done} of {self._size} bytes came")


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _digest_at(destination: _Repository, artifact: Artifact) -> str:
    """The digest of the tag at the destination; empty where there is none."""
    with suppress(_MissingError):
        return destination.manifest(artifact.tag, "it may not be there yet").digest
    return ""


def _with_children(source: _Repository, top: _Manifest) -> list[_Manifest]:
    """A manifest and all below it, children first and each once."""
    found: dict[str, _Manifest] = {}
    for child in top.children:
        manifest = source.manifest(child.digest, "its index names this manifest, so ask those who run this registry")
        found |= {child.digest: child for child in _with_children(source, manifest)}
    return [*found.values(), top]


def _patiently(operation: Callable[[], Result]) -> Result:
    """The result of an operation that is tried again, a few times, after a failure that may pass."""
    for pause in PAUSES:
        with suppress(_PassingError):
            return operation()
        time.sleep(pause)
    return operation()


@contextmanager
def _asking_ecr(what: str) -> Generator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise MirrorError(f"ECR: {what}: {' '.join(str(error).split()).rstrip('.')}: {ECR_REMEDY}.") from None


class _Logins(Mapping[str, Login]):
    """The logins of an auth file, each found when it is asked for: a helper may be behind it."""

    def __init__(self, file: AuthFile) -> None:
        """Nothing is asked yet."""
        self._file = file
        self._found: dict[str, Credentials | None] = {}

    def __getitem__(self, host: str) -> Login:
        if host not in self._found:
            try:
                self._found[host] = self._file.login(host)
            except AuthFileError as error:
                raise MirrorError(f"lls:registryConfig: {error}.") from None
        if found := self._found[host]:
            return Login(found.user, found.password, f"check the login of {host} in lls:registryConfig")
        raise KeyError(host)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._file.credentials, **self._file.helpers})

    def __len__(self) -> int:
        return len({**self._file.credentials, **self._file.helpers})


def logins_of(path: str) -> Mapping[str, Login]:
    """The logins of a docker-style auth file and of its credential helpers; none without a path.

    Raises MirrorError for a malformed file. So does looking up a host whose helper is missing or fails.
    """
    if not path:
        return {}
    try:
        return _Logins(read_auth_file(path))
    except AuthFileError as error:
        raise MirrorError(f"lls:registryConfig {path}: {error}.") from None
