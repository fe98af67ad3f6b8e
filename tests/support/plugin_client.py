"""A plugin as a Pulumi engine uses it: its command, and a client of the server whose port that tells.

Messages are written here by hand, with Pulumi's own marks, and not by the code that reads them.
"""

import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2, status_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a text that is not known yet (sdk/go/common/resource/plugin/rpc.go: UnknownStringValue)."""

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
"""The mark of a value of another kind, and that of a secret (sdk/go/common/resource/sig: Key, Secret)."""

URN: Final = "urn:pulumi:test::lls::{type}::x"


def secret(value: Any) -> dict[str, Any]:
    """A value that is secret."""
    return {SIGNATURE: SECRET, "value": value}


def message(values: Mapping[str, Any]) -> Struct:
    return ParseDict(dict(values), Struct())


def values_of(struct: Struct) -> dict[str, Any]:
    return MessageToDict(struct)


class PluginError(Exception):
    """What a plugin told of a failure, and what is there of the resource nevertheless."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.details())
        self.id, self.properties, self.reasons = "", dict[str, Any](), list[str]()
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                [detail] = status_pb2.Status.FromString(value).details
                left: Any = provider_pb2.ErrorResourceInitFailed()
                assert detail.Unpack(left)
                self.id, self.properties, self.reasons = left.id, values_of(left.properties), list(left.reasons)


class Plugin:
    """A client of one plugin. `process` is its command."""

    def __init__(self, process: "subprocess.Popen[str]", channel: grpc.Channel) -> None:
        self.process = process
        self._stub: Any = ResourceProviderStub(channel)

    def ask(self, method: str, request: Any) -> Any:
        """The plugin's answer. Raises PluginError."""
        try:
            return getattr(self._stub, method)(request, timeout=60)
        except grpc.RpcError as error:
            raise PluginError(error) from None

    def configure(self, **settings: Any) -> Any:
        return self.ask("Configure", provider_pb2.ConfigureRequest(args=message(settings), acceptSecrets=True))

    def check(self, type_: str, news: Mapping[str, Any]) -> Any:
        return self.ask("Check", provider_pb2.CheckRequest(urn=_urn(type_), type=type_, news=message(news)))

    def diff(self, type_: str, old: Mapping[str, Any], new: Mapping[str, Any], method: str = "Diff") -> Any:
        request = provider_pb2.DiffRequest(
            id="x", urn=_urn(type_), type=type_, olds=message(old), old_inputs=message(old), news=message(new)
        )
        return self.ask(method, request)

    def create(self, type_: str, inputs: Mapping[str, Any], *, preview: bool = False) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(
            urn=_urn(type_), type=type_, properties=message(inputs), preview=preview, timeout=0
        )
        made = self.ask("Create", request)
        return made.id, values_of(made.properties)

    def update(
        self,
        type_: str,
        id_: str,
        state: Mapping[str, Any],
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        *,
        preview: bool = False,
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id=id_,
            urn=_urn(type_),
            type=type_,
            olds=message(state),
            old_inputs=message(old),
            news=message(new),
            preview=preview,
        )
        return values_of(self.ask("Update", request).properties)

    def delete(self, type_: str, id_: str, inputs: Mapping[str, Any]) -> None:
        request = provider_pb2.DeleteRequest(
            id=id_, urn=_urn(type_), type=type_, properties=message(inputs), old_inputs=message(inputs)
        )
        self.ask("Delete", request)

    def read(
        self, type_: str, id_: str, inputs: Mapping[str, Any], state: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The id, which is empty where the resource is gone, the inputs and the properties."""
        request = provider_pb2.ReadRequest(
            id=id_, urn=_urn(type_), type=type_, inputs=message(inputs), properties=message(state)
        )
        found = self.ask("Read", request)
        return found.id, values_of(found.inputs), values_of(found.properties)

    def invoke(self, token: str, **arguments: Any) -> dict[str, Any]:
        answer = self.ask("Invoke", provider_pb2.InvokeRequest(tok=token, args=message(arguments)))
        return values_of(getattr(answer, "return"))


@contextmanager
def started(commands: Path, package: str, folder: Path) -> Generator[Plugin]:
    """A plugin whose command was started in a folder, until its engine ends."""
    process = subprocess.Popen(  # noqa: S603 - a command that a test has made
        [commands / f"pulumi-resource-{package}", "127.0.0.1:1"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    with process.stdout, process.stdin:
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            yield Plugin(process, channel)
        process.stdin.close()
        assert process.wait(30) == 0


def _urn(type_: str) -> str:
    return URN.format(type=type_)
