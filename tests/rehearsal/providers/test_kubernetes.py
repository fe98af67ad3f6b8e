"""The emulated Kubernetes provider: its configured instances."""

import base64
import json
from pathlib import Path

import pytest

from lls.operations.world.ownership import RELEASE
from rehearsal.kubernetes.api import kubeconfig_for
from tests.support.worlds import a_rehearsal

HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
CHART = {"chart": f"oci://{HOST}/demo/gdn-streaming"}


def test_each_instance_reads_its_own_auth_file_from_its_own_folder(tmp_path: Path) -> None:
    login = {"auths": {HOST: {"auth": base64.b64encode(b"AWS:password").decode()}}}
    (tmp_path / "with").mkdir()
    (tmp_path / "with" / "registry.json").write_text(json.dumps(login))
    (tmp_path / "without").mkdir()
    with a_rehearsal() as rehearsal:
        endpoint, provider = rehearsal.kubernetes.endpoint, rehearsal.provider.kubernetes
        inputs = {
            "kubeconfig": kubeconfig_for(endpoint, "x"),
            "helmReleaseSettings": json.dumps({"registryConfigPath": "registry.json"}),
        }
        with_login = provider.configure(inputs, tmp_path / "with")
        without = provider.configure(inputs, tmp_path / "without")
        with_login.check(RELEASE, CHART)
        with pytest.raises(PermissionError, match="basic credential not found"):
            without.check(RELEASE, CHART)
        with_login.create("kubernetes:core/v1:Namespace", {"metadata": {"name": "shared"}})
        assert without.read("kubernetes:core/v1:Namespace", "shared", {})


def test_an_instance_of_another_cluster_cannot_be_configured(tmp_path: Path) -> None:
    with a_rehearsal() as rehearsal:
        inputs = {"kubeconfig": kubeconfig_for("https://elsewhere.example", "x")}
        with pytest.raises(ConnectionError, match="unable to connect to the Kubernetes API at https://elsewhere"):
            rehearsal.provider.kubernetes.configure(inputs, tmp_path)
