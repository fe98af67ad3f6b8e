import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from aioice import stun

from lls.operations.report.finding import Level
from lls.operations.verify import judge_probe
from lls.operations.world import stun as prober
from lls.operations.world.stun import Answer, probe


@contextmanager
def answering(reply: Callable[[bytes, tuple[str, int]], bytes | None]) -> Generator[int]:
    """A UDP server on a free port; `reply` makes its answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    data, address = server.recvfrom(2048)
                except TimeoutError:
                    continue
                if answer := reply(data, address):
                    server.sendto(answer, address)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def binding_success(data: bytes, address: tuple[str, int]) -> bytes:
    request = stun.parse_message(data)
    answer = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.transaction_id,
        attributes={"XOR-MAPPED-ADDRESS": address},
    )
    return bytes(answer)


def saying(content: bytes | None) -> Callable[[bytes, tuple[str, int]], bytes | None]:
    def reply(data: bytes, address: tuple[str, int]) -> bytes | None:
        return content

    return reply


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "WAIT", 0.1)


def test_an_answer_tells_how_the_endpoint_sees_us() -> None:
    with answering(binding_success) as port:
        found = probe("127.0.0.1", port)
    assert found is not None
    assert found.source == f"127.0.0.1:{port}"
    assert found.seen_as.startswith("127.0.0.1:")


def test_a_lost_packet_is_sent_again() -> None:
    lost: list[bytes] = []

    def reply(data: bytes, address: tuple[str, int]) -> bytes | None:
        lost.append(data)
        return binding_success(data, address) if len(lost) > 2 else None

    with answering(reply) as port:
        assert probe("127.0.0.1", port)


def test_silence_and_noise_are_no_answer() -> None:
    with answering(saying(None)) as port:
        assert probe("127.0.0.1", port) is None
    with answering(saying(b"hello")) as port:
        assert probe("127.0.0.1", port) is None


def test_the_answer_to_another_request_is_no_answer() -> None:
    other = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
    with answering(saying(bytes(other))) as port:
        assert probe("127.0.0.1", port) is None


def test_the_finding_says_what_was_seen() -> None:
    found = judge_probe("host:5004", Answer("203.0.113.1:5004", "198.51.100.7:40000", 0.012))
    assert (found.level, found.seen) == (
        Level.OK,
        "host:5004 answered in 12 ms from 203.0.113.1:5004, and sees us as 198.51.100.7:40000",
    )
    assert judge_probe("host:5004", None).level is Level.PROBLEM
