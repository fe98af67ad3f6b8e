"""Whether a name leads to a load balancer, by what a resolver says of both."""

import socket
from collections.abc import Mapping, Sequence

import pytest

from lls.hosted_zone import HostedZone
from lls.operations.report.finding import Finding, Level
from lls.operations.world.endpoint_name import judge_name, record_to_make, way_to_zone
from lls.waiting import SilentError

NLB, NAME = "demo.elb.example", "stream.example.com"
ABSENT = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
LATER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
SILENT = SilentError("the address of stream.example.com gave no answer within 20 seconds")


def judged(answers: Mapping[str, Sequence[str] | OSError], name: str = NAME) -> Finding:
    def resolve(asked: str) -> Sequence[str]:
        answer = answers[asked]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return judge_name(name, NLB, resolve, lambda: "the way")


@pytest.mark.parametrize(
    ("balancer", "name", "level", "seen"),
    [
        (["192.0.2.1"], ["192.0.2.1"], Level.OK, "stream.example.com is 192.0.2.1, as demo.elb.example is"),
        (["192.0.2.1", "192.0.2.2"], ["192.0.2.2"], Level.OK, "stream.example.com is 192.0.2.2"),
        (["192.0.2.1"], ["192.0.2.1", "192.0.2.9"], Level.PROBLEM, "192.0.2.9, and demo.elb.example is 192.0.2.1"),
        (["192.0.2.1"], ["2001:db8::1", "192.0.2.1"], Level.PROBLEM, "stream.example.com is 2001:db8::1, 192.0.2.1"),
        (["192.0.2.1"], ABSENT, Level.PROBLEM, "stream.example.com has no address"),
        (["192.0.2.1"], LATER, Level.UNKNOWN, "stream.example.com does not resolve here"),
        (["192.0.2.1"], SILENT, Level.UNKNOWN, "gave no answer"),
        (ABSENT, ["192.0.2.1"], Level.UNKNOWN, "demo.elb.example does not resolve here"),
    ],
)
def test_a_name_leads_there_where_all_its_addresses_are_the_load_balancers_and_silence_is_no_answer(
    balancer: Sequence[str] | OSError, name: Sequence[str] | OSError, level: Level, seen: str
) -> None:
    found = judged({NLB: balancer, NAME: name})
    assert (found.level, found.check) == (level, "dns")
    assert seen in found.seen
    assert (found.remedy == "the way") is (level is Level.PROBLEM)


def test_the_load_balancers_own_name_is_compared_with_nothing() -> None:
    assert judged({NLB: ["192.0.2.1"]}, NLB).seen == "demo.elb.example is 192.0.2.1"


def test_the_remedies_name_the_record_to_make_and_the_name_servers_to_delegate_to() -> None:
    assert record_to_make(NAME, NLB).startswith("make the record stream.example.com CNAME demo.elb.example")
    told = way_to_zone(HostedZone("Z1", "example.com", ("ns-1.example", "ns-2.example")))
    assert "let the domain above name ns-1.example, ns-2.example as the name servers of example.com" in told
