"""Where a real engine finds the plugins: small commands in a folder of its PATH, each for one package.

A real engine starts a command for each provider that a program configures, and reads from it the port of a gRPC
server. The servers are in the process of the rehearsal, where the emulated world is: a command asks for one, tells its
port, and lives as long as the engine that started it. With the world gone there is nothing that it could work against.
A plugin whose engine ends, killed perhaps, ends what it has begun. One that is killed itself does nothing any more.
"""

import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from lls.operations.program.recording import WORKERS, Properties
from rehearsal.engine.engine import Provider
from rehearsal.plugins.servicer import Call, Hear, Servicer, nobody

PACKAGES: Final = ("aws", "kubernetes")

Configure = Callable[[str, Properties, Path], Provider]
"""Makes the provider of a package from its settings and from the folder in which its command was started."""

Follow = Callable[[threading.Event], object]
"""Lets the calling thread be one of a plugin, which that event tells to be killed."""

GOODBYE: Final = b"the engine has ended"
"""What a command says that sees its engine end. One that is killed says nothing."""

COMMAND: Final = '''#!{python} -I
"""The emulated {package} provider of a rehearsal. It works against an emulated world on 127.0.0.1, and nothing else."""

import os
import socket
import sys

try:
    world = socket.create_connection(("127.0.0.1", {port}))
except OSError:
    sys.exit("the emulated world of this {package} provider is gone: begin another rehearsal")
world.sendall(("{package}\\n" + os.getcwd() + "\\n").encode())
print(world.makefile().readline().strip(), flush=True)
try:
    sys.stdin.read()
except KeyboardInterrupt:
    pass  # so an engine asks its plugins to end
try:
    world.sendall({goodbye!r})
except OSError:
    pass  # the world went first
'''


@contextmanager
def plugins_in(
    folder: Path, configure: Configure, calls: list[Call], *, hear: Hear = nobody, follow: Follow = nobody
) -> Generator[None]:
    """Put the plugins' commands into a folder; while in the context they serve the providers that `configure` makes.

    `calls` takes those that are over, `hear` is told when one begins and ends. `follow` is called in each thread.
    """
    connections: list[socket.socket] = []

    class Handler(socketserver.StreamRequestHandler):
        """Serves one plugin as long as its command is connected."""

        def handle(self) -> None:
            connections.append(self.connection)
            package, started_in = (self.rfile.readline().decode().strip() for _ in range(2))
            if package not in PACKAGES:
                return  # its command was killed before it said anything
            servicer = Servicer(
                package,
                version(f"pulumi-{package}"),
                lambda settings: configure(package, settings, Path(started_in)),
                calls,
                hear,
            )
            killed = threading.Event()
            server = grpc.server(ThreadPoolExecutor(WORKERS, initializer=follow, initargs=(killed,)))
            add_ResourceProviderServicer_to_server(servicer, server)
            self.wfile.write(f"{server.add_insecure_port('127.0.0.1:0')}\n".encode())
            server.start()
            if self.rfile.read() != GOODBYE:
                killed.set()
            server.stop(None).wait()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        for package in PACKAGES:
            path = folder / f"pulumi-resource-{package}"
            path.write_text(
                COMMAND.format(python=sys.executable, package=package, port=server.server_address[1], goodbye=GOODBYE)
            )
            path.chmod(0o700)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            for connection in connections:
                with suppress(OSError):  # it has ended
                    connection.shutdown(socket.SHUT_RDWR)
