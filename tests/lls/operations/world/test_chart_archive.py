import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lls.oci import EcrRegistry
from lls.operations.world.account import Account, AwsError
from lls.operations.world.chart_archive import (
    ARCHIVE_TYPE,
    MAX_ARCHIVE,
    MAX_FILE,
    MAX_UNPACKED,
    Chart,
    ChartError,
    from_ecr,
    from_registry,
    layer_of,
    read_archive,
    read_local,
)
from rehearsal.aws.layers import Layers
from rehearsal.kubernetes.chart_files import archive, chart_files
from rehearsal.world import Quirks
from tests.support.registries import Registry, a_chart
from tests.support.worlds import a_rehearsal

FILES = chart_files(Quirks(), "2.0.1")
ECR = EcrRegistry("123456789012.dkr.ecr.us-west-2.amazonaws.com", "123456789012", "us-west-2")


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def link(name: str, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, to
    return member


HEAD = (tarfile.TarInfo("c/Chart.yaml"), b"name: c\nversion: 1.0.0\n")


def unpacked(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_folder_and_archive_and_registry_give_the_same_chart(tmp_path: Path) -> None:
    of_bytes = read_archive(archive(FILES))
    assert (of_bytes.name, of_bytes.version, of_bytes.has_subcharts) == ("gdn-streaming", "2.0.1", False)
    assert of_bytes.values["streamingNodePort"] == 30504
    assert set(of_bytes.templates) == {"templates/_helpers.tpl", "templates/service.yaml", "templates/deployment.yaml"}
    packed = tmp_path / "chart.tgz"
    packed.write_bytes(archive(FILES))
    assert read_local(packed) == read_local(unpacked(tmp_path / "chart", FILES)) == of_bytes
    with Registry() as registry:
        registry.put("demo/gdn-streaming", "2.0.1", a_chart())
        assert from_registry(f"{registry.host}/demo/gdn-streaming", "2.0.1", {}) == of_bytes


def test_ecr_gives_the_same_chart_with_two_questions() -> None:
    with a_rehearsal() as rehearsal:
        found = from_ecr(Account(rehearsal.aws.client), ECR, "demo/gdn-streaming", "2.0.1")
        assert [call for call in rehearsal.aws.calls if call.startswith("ecr:")] == [
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        ]
    assert found == read_archive(archive(FILES))


def test_a_tag_that_ecr_lacks_is_told_and_so_is_a_repository() -> None:
    with a_rehearsal() as rehearsal:
        account = Account(rehearsal.aws.client)
        with pytest.raises(ChartError, match="ImageNotFound"):
            from_ecr(account, ECR, "demo/gdn-streaming", "9.9.9")
        with pytest.raises(AwsError, match="RepositoryNotFoundException"):
            from_ecr(account, ECR, "demo/nothing", "2.0.1")
        with pytest.raises(AwsError, match="LayersNotFoundException"):
            account.call(
                "ecr", "get_download_url_for_layer", repositoryName="demo/gdn-streaming", layerDigest="sha256:0"
            )


def test_the_address_of_a_layer_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(layers: Layers, path: str, start_response: Callable[..., object]) -> list[bytes]:
        start_response("403 Forbidden", [("Content-Length", "0")])
        return [b""]

    monkeypatch.setattr(Layers, "serve", forget)
    with (
        a_rehearsal() as rehearsal,
        pytest.raises(ChartError, match=r"^its layer could not be fetched: HTTPError$"),
    ):
        from_ecr(Account(rehearsal.aws.client), ECR, "demo/gdn-streaming", "2.0.1")


def test_bytes_of_another_digest_are_no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lls.operations.world.chart_archive._download", lambda _: b"other")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with a_rehearsal() as rehearsal, pytest.raises(ChartError, match=r"should be sha256:.* and is sha256:"):
        from_ecr(Account(rehearsal.aws.client), ECR, "demo/gdn-streaming", "2.0.1")


def test_links_ways_out_and_other_files_are_not_read() -> None:
    found = read_archive(
        tarred(
            HEAD,
            (tarfile.TarInfo("c/templates/../../outside.yaml"), b"a: b"),
            (tarfile.TarInfo("/templates/absolute.txt"), b"a: b"),
            (tarfile.TarInfo("c/README.md"), b"\xff"),
            (link("c/templates/link.yaml", "/etc/hostname"), b""),
            (link("c/values.yaml", "/etc/hostname"), b""),
            (tarfile.TarInfo("c/charts/sub/Chart.yaml"), b"name: sub"),
        )
    )
    assert found == Chart(name="c", version="1.0.0", values={}, templates={}, has_subcharts=True)


def test_a_folders_link_to_outside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("kind: Secret")
    folder = unpacked(tmp_path / "chart", FILES)
    (folder / "templates" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    assert read_local(folder).templates == read_archive(archive(FILES)).templates


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip", "no gzip archive"),
        (gzip.compress(b"no tar" * 200, mtime=0), "no tar archive"),
        (gzip.compress(bytes(MAX_UNPACKED + 1), mtime=0), f"unpacks to more than {MAX_UNPACKED}"),
        (tarred(HEAD, (tarfile.TarInfo("c/templates/a.yaml"), bytes(MAX_FILE + 1))), f"more than {MAX_FILE} bytes"),
        (tarred((tarfile.TarInfo("c/values.yaml"), b"a: 1")), "Chart.yaml has no name"),
        (tarred((tarfile.TarInfo("c/Chart.yaml"), b"a: [")), "Chart.yaml is no YAML"),
        (tarred(HEAD, (tarfile.TarInfo("c/values.yaml"), b"- 1")), "values.yaml is no mapping"),
        (tarred(HEAD, (tarfile.TarInfo("c/templates/a.yaml"), b"\xff")), "a.yaml is no UTF-8"),
    ],
)
def test_what_is_no_chart_or_too_large_is_told_in_a_sentence(content: bytes, why: str) -> None:
    with pytest.raises(ChartError, match=why):
        read_archive(content)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ("nothing", "none of an OCI artifact"),
        (json.dumps({"layers": []}), "no layer that is a Helm chart"),
        (
            json.dumps({"layers": [{"mediaType": ARCHIVE_TYPE, "digest": "d", "size": MAX_ARCHIVE + 1}]}),
            f"more than {MAX_ARCHIVE} bytes",
        ),
    ],
)
def test_a_manifest_without_a_chart_of_some_size_is_told(manifest: str, why: str) -> None:
    with pytest.raises(ChartError, match=why):
        layer_of(manifest)


def test_a_missing_local_chart_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=r"nowhere\.tgz: No such file"):
        read_local(tmp_path / "nowhere.tgz")
