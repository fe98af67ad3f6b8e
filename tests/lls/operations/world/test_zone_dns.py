import pytest

from lls.operations.world import nvcf
from lls.operations.world.zone_dns import Agent, ServiceAddress

DEFAULT = ServiceAddress("http", "nvcf-backend", "nvcf-sbs", 8000)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (nvcf.ZONE_DNS, DEFAULT),
        ("http://nvcf-sbs:8000", DEFAULT),
        ("http://nvcf-sbs.nvcf-backend.svc:8000/v1", DEFAULT),
        ("http://nvcf-sbs.nvcf-backend.svc.prod.example.:8000", DEFAULT),
        ("https://proxy.gdn-streaming.svc", ServiceAddress("https", "gdn-streaming", "proxy", 443)),
        ("http://proxy.gdn-streaming.svc", ServiceAddress("http", "gdn-streaming", "proxy", 80)),
    ],
)
def test_a_url_of_a_service_of_the_cluster_is_told_by_its_host(url: str, address: ServiceAddress) -> None:
    assert ServiceAddress.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://sbs.example.com:8000",
            "http://sbs.example:8000",
            "http://10.0.0.1:8000",
            "http://x.svc.example:8000",
        ),
        *("nvcf-sbs:8000", "http://nvcf-sbs:http", "http://", "tcp://nvcf-sbs:8000", ""),
    ],
)
def test_a_url_that_leads_elsewhere_or_is_none_names_no_service(url: str) -> None:
    assert ServiceAddress.parse(url) is None


@pytest.mark.parametrize("environment", [{}, {nvcf.ZONE_DNS_OVERRIDE: "", nvcf.INTERFACE_OVERRIDE: ""}])
def test_an_override_that_is_empty_is_none(environment: dict[str, str]) -> None:
    assert Agent(environment).zone_dns == nvcf.ZONE_DNS
    assert Agent(environment).interface == nvcf.INTERFACE
