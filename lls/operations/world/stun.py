"""One STUN binding request over UDP, as a browser sends it first (RFC 8489)."""

import socket
import time
from dataclasses import dataclass
from typing import Final

from aioice import stun

from lls.waiting import NAME, within

TRIES: Final = 5
"""Requests that are sent: UDP may lose any."""

WAIT: Final = 1.0
"""Seconds until the next one."""


@dataclass(frozen=True)
class Answer:
    """What came back: from where, how we look from there, and after how many seconds."""

    source: str
    seen_as: str
    seconds: float


def probe(host: str, port: int) -> Answer | None:
    """Ask; None without an answer in TRIES times WAIT seconds.

    Raises OSError where the host cannot be found or reached.
    """
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    found = within(NAME, f"the address of {host}", lambda: socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.settimeout(WAIT)
        connection.connect(address)
        for _ in range(TRIES):
            started = time.monotonic()
            connection.send(bytes(request))
            try:
                answer = stun.parse_message(connection.recv(2048))
            except (TimeoutError, ValueError):
                continue
            if answer.transaction_id == request.transaction_id:
                peer = connection.getpeername()
                seen = answer.attributes.get("XOR-MAPPED-ADDRESS", ("?", 0))
                return Answer(f"{peer[0]}:{peer[1]}", f"{seen[0]}:{seen[1]}", time.monotonic() - started)
    return None
