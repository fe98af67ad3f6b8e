import pytest
from urllib3.exceptions import HTTPError

from lls import cluster_api
from lls.cluster_api import ClusterApi
from lls.waiting import SilentError
from rehearsal.kubernetes.api import kubeconfig_for
from tests.support.silent import silent_server


def test_listing_nodes_of_a_cluster_that_does_not_listen_fails() -> None:
    with pytest.raises(HTTPError, match="refused"):
        ClusterApi(kubeconfig_for("http://127.0.0.1:1", "x")).nodes({})


def test_an_api_that_never_answers_is_named_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_api, "REQUEST_TIMEOUT", (1, 0.1))
    with silent_server() as port:
        api = ClusterApi(kubeconfig_for(f"http://127.0.0.1:{port}", "x"))
        with pytest.raises(SilentError, match=f"the Kubernetes API at http://127.0.0.1:{port} gave no answer"):
            api.nodes({})
    with pytest.raises(SilentError, match="gave no answer"):
        api.serves("elbv2.k8s.aws/v1beta1")


def test_whatever_takes_the_time_a_question_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_api, "QUESTION", cluster_api.TOKEN + 0.1)
    with silent_server() as port, pytest.raises(SilentError, match=r"gave no answer within 0\.1 seconds"):
        ClusterApi(kubeconfig_for(f"http://127.0.0.1:{port}", "x")).nodes({})
