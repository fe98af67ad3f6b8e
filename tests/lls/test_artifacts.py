import json
import stat
from pathlib import Path

import pytest

from lls.artifacts import write_auth_file
from lls.oci import EcrRegistry, ecr_registry, split, tag_of


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com", "us-west-2"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
    ],
)
def test_the_account_and_region_of_an_ecr_registry_are_those_of_its_host(host: str, region: str) -> None:
    found = EcrRegistry(host, "123456789012", region)
    assert ecr_registry(f"oci://{host}/demo/gdn-streaming") == ecr_registry(f"{host}/demo/streaming-proxy") == found


@pytest.mark.parametrize(
    "chart", ["oci://registry.example/x", "oci://127.0.0.1:5000/x", "oci://public.ecr.aws/x/y", "./chart", "chart.tgz"]
)
def test_other_registries_and_local_charts_need_no_ecr_login(chart: str) -> None:
    assert ecr_registry(chart) is None


def test_a_reference_keeps_its_port_and_its_whole_path() -> None:
    assert split("oci://127.0.0.1:5000/team/x/gdn-streaming") == ("127.0.0.1:5000", "team/x/gdn-streaming")
    assert split("registry.example/y") == ("registry.example", "y")


def test_a_charts_tag_is_its_version_with_an_underscore_for_what_a_tag_cannot_hold() -> None:
    assert (tag_of("2.0.1"), tag_of("2.1.0+build.7")) == ("2.0.1", "2.1.0_build.7")


def test_the_auth_file_is_for_the_owner_alone_and_at_a_relative_path() -> None:
    path = write_auth_file("dev", "registry.example", "dG9rZW4=")
    assert path == ".lls/dev/registry.json"
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    assert json.loads(Path(path).read_text()) == {"auths": {"registry.example": {"auth": "dG9rZW4="}}}


def test_a_fresh_token_replaces_the_old_one_whatever_the_old_files_mode() -> None:
    path = Path(write_auth_file("dev", "registry.example", "b2xk"))
    path.chmod(0o644)
    write_auth_file("dev", "registry.example", "bmV3")
    assert "bmV3" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
