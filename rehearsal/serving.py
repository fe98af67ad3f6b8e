"""A server on 127.0.0.1 in a thread of its own, which sleeps until somebody calls."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from socketserver import TCPServer


@contextmanager
def serving(server: TCPServer) -> Generator[None]:
    """Let a server answer, inside of this; it is closed after it.

    `serve_forever` would look many times a second whether it is to end. Here a last call tells it.
    """
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            server.handle_request()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        socket.create_connection(("127.0.0.1", server.server_address[1])).close()
        thread.join()
        server.server_close()
