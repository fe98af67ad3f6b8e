"""A Helm chart as its files say: read from an OCI registry, ECR, a folder or a .tgz, within limits.

Nothing is written or run. Of an archive only `Chart.yaml`, `values.yaml` and the files of `templates/` are looked at.
"""

import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import requests
import yaml
from pydantic import BaseModel, Field, ValidationError
from requests import RequestException

from lls.oci import EcrRegistry
from lls.operations.world.account import Account
from lls.operations.world.registry import MANIFESTS, Login, blob_of
from lls.waiting import AWS_ANSWER, CONNECT, QUESTION, SilentError, within

ARCHIVE_TYPE: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
"""Media type of the layer that is a chart's archive (https://helm.sh/docs/topics/registries)."""

MAX_ARCHIVE: Final = 4 << 20
"""Bytes of an archive that are read. Charts of a few templates take some kilobytes."""

MAX_UNPACKED: Final = 16 << 20
"""Bytes that an archive may unpack to."""

MAX_FILE: Final = 1 << 20
"""Bytes of a file that is looked at."""

_WANTED: Final = re.compile(r"Chart\.yaml|values\.yaml|templates/(?:[\w.-]+/)*[\w.-]+\.(?:yaml|yml|tpl)|charts/.*")


class ChartError(Exception):
    """Why a chart could not be read, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart's name and version, its default values, and its templates by their paths.

    `has_subcharts` tells of charts below it, whose files are not read.
    """

    name: str
    version: str
    values: Mapping[str, Any]
    templates: Mapping[str, str]
    has_subcharts: bool = False


def read_local(path: Path) -> Chart:
    """The chart of a folder or a .tgz. Raises ChartError."""
    try:
        if not path.is_dir():
            if path.stat().st_size > MAX_ARCHIVE:
                raise ChartError(f"{path}: it has more than {MAX_ARCHIVE} bytes")
            return read_archive(path.read_bytes())
        files: dict[str, bytes] = {}
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if _WANTED.fullmatch(name) and file.is_file() and file.resolve().is_relative_to(path.resolve()):
                if file.stat().st_size > MAX_FILE:
                    raise ChartError(f"{name} has more than {MAX_FILE} bytes")
                files[name] = b"" if name.startswith("charts/") else file.read_bytes()
    except OSError as error:
        raise ChartError(f"{path}: {error.strerror}") from None
    return _chart(files)


def read_archive(content: bytes) -> Chart:
    """The chart of an archive's bytes. Raises ChartError."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(content, MAX_UNPACKED + 1)
    except zlib.error:
        raise ChartError("it is no gzip archive") from None
    if len(unpacked) > MAX_UNPACKED:
        raise ChartError(f"it unpacks to more than {MAX_UNPACKED} bytes")
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
            return _chart(dict(_files(archive)))
    except tarfile.TarError:
        raise ChartError("it is no tar archive") from None


def from_ecr(account: Account, registry: EcrRegistry, repository: str, tag: str) -> Chart:
    """The chart of a tag in ECR; `account` asks the registry's own region. Raises AwsError and ChartError."""
    place = {"registryId": registry.account, "repositoryName": repository}
    answer = account.call(
        "ecr", "batch_get_image", **place, imageIds=[{"imageTag": tag}], acceptedMediaTypes=MANIFESTS.split(", ")
    )
    if not answer["images"]:
        reasons = ", ".join(failure["failureCode"] for failure in answer["failures"])
        raise ChartError(f"ECR gives no manifest of it: {reasons}")
    digest = layer_of(answer["images"][0]["imageManifest"])
    url = account.call("ecr", "get_download_url_for_layer", **place, layerDigest=digest)["downloadUrl"]
    try:
        content = within(QUESTION, f"the layers of {registry.host}", lambda: _download(url))
    except (RequestException, SilentError) as error:
        # The address itself is a credential, and requests' messages hold it.
        raise ChartError(f"its layer could not be fetched: {type(error).__name__}") from None
    if (actual := f"sha256:{hashlib.sha256(content).hexdigest()}") != digest:
        raise ChartError(f"its layer should be {digest} and is {actual}")
    return read_archive(content)


def from_registry(repository: str, tag: str, logins: Mapping[str, Login]) -> Chart:
    """The chart of a tag in any other registry; `repository` is HOST/PATH. Raises ChartError and MirrorError."""
    return read_archive(blob_of(repository, tag, logins, layer_of))


def layer_of(manifest: str | bytes) -> str:
    """The digest of the layer of a manifest that is a chart's archive. Raises ChartError."""
    try:
        layers = _Manifest.model_validate_json(manifest).layers
    except ValidationError:
        raise ChartError("its manifest is none of an OCI artifact") from None
    found = [layer for layer in layers if layer.media_type == ARCHIVE_TYPE]
    if len(found) != 1:
        raise ChartError("its manifest has no layer that is a Helm chart")
    if found[0].size > MAX_ARCHIVE:
        raise ChartError(f"it has more than {MAX_ARCHIVE} bytes")
    return found[0].digest


class _Layer(BaseModel, frozen=True):
    media_type: str = Field(default="", alias="mediaType")
    digest: str
    size: int


class _Manifest(BaseModel, frozen=True):
    layers: tuple[_Layer, ...] = ()


class _Head(BaseModel, frozen=True):
    """What matters of `Chart.yaml`."""

    name: str
    version: str
    dependencies: tuple[Mapping[str, Any], ...] | None = ()


def _download(url: str) -> bytes:
    content = b""
    with requests.get(url, stream=True, timeout=(CONNECT, AWS_ANSWER)) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 16):
            content += chunk
            if len(content) > MAX_ARCHIVE:
                break  # of other bytes than the digest's, which is told
    return content


def _files(archive: Iterable[tarfile.TarInfo]) -> Iterator[tuple[str, bytes]]:
    """The files of a chart's archive that matter, by their names below its one folder. Links are no files."""
    opened = cast(tarfile.TarFile, archive)
    for member in archive:
        _, _, name = member.name.removeprefix("./").partition("/")
        if not member.isfile() or ".." in name.split("/") or not _WANTED.fullmatch(name):
            continue
        if member.size > MAX_FILE:
            raise ChartError(f"{name} has more than {MAX_FILE} bytes")
        content = opened.extractfile(member)
        yield name, content.read() if content and not name.startswith("charts/") else b""


def _chart(files: Mapping[str, bytes]) -> Chart:
    try:
        head = _Head.model_validate(_yaml(files, "Chart.yaml"))
    except ValidationError:
        raise ChartError("its Chart.yaml has no name or no version") from None
    values: Any = _yaml(files, "values.yaml") or {}
    if not isinstance(values, Mapping):
        raise ChartError("its values.yaml is no mapping")
    return Chart(
        name=head.name,
        version=head.version,
        values=cast(Mapping[str, Any], values),
        templates={name: _text(name, content) for name, content in files.items() if name.startswith("templates/")},
        has_subcharts=bool(head.dependencies) or any(name.startswith("charts/") for name in files),
    )


def _yaml(files: Mapping[str, bytes], name: str) -> Any:
    try:
        return yaml.safe_load(_text(name, files.get(name, b"")))
    except yaml.YAMLError:
        raise ChartError(f"its {name} is no YAML") from None


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ChartError(f"its {name} is no UTF-8") from None
