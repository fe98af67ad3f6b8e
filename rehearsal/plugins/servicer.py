"""Pulumi's provider protocol, over the providers that the rehearsal's own engine uses."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
from google.protobuf.any_pb2 import Any as Detail
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, status_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from lls.operations.program.recording import Properties
from lls.operations.program.replacement import changed_keys, deletes_first, replacing
from rehearsal.engine.engine import Provider, UnfinishedError
from rehearsal.plugins.values import Values, is_known, plain, received, sent, typed

INTERNAL: Final = frozenset({"version", "pluginDownloadURL", "__internal"})
"""What the engine keeps among a provider's settings for itself."""


Operation = Literal["create", "update", "delete"]

When = Literal["before", "after"]

Hear = Callable[[When, Operation, str], None]
"""Hears that a plugin is asked to do something to a URN, before it does anything, and after, before it answers."""


def nobody(*_: object) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class Call:
    """A call that changed something or tried to, and when, in seconds of the emulated world."""

    operation: Operation
    urn: str
    started: float
    finished: float
    error: str | None = None


class Servicer(ResourceProviderServicer):
    """One plugin, from its configuration to its end.

    Calls that change something are in `calls` once they are over; `hear` is told when they begin and end.
    """

    def __init__(
        self,
        package: str,
        version: str,
        configure: Callable[[Properties], Provider],
        calls: list[Call],
        hear: Hear = nobody,
    ) -> None:
        """Serve the resources of a package by the provider that `configure` makes of its settings."""
        self._package = package
        self._version = version
        self._configure = configure
        self._calls = calls
        self._hear = hear
        self._provider: Provider | None = None
        self._refusal = "it is not configured"

    # --- The plugin itself

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Its version: that of the Python package that the program uses."""
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No more than its name: nothing here needs types."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self._package, "version": self._version}))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Accept any settings; what is wrong with them is told when a resource needs them, as the real ones do."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Whether other settings mean another cluster, and so other resources."""
        return self._diff(f"pulumi:providers:{self._package}", request)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the settings."""
        settings = {key: value for key, value in plain(received(request.args)).items() if key not in INTERNAL}
        try:
            self._provider = self._configure(settings)
        except Exception as error:
            self._refusal = str(error) or repr(error)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing can be stopped: what a call began, AWS ends."""
        return Empty()

    # --- Resources

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse inputs that are all known."""
        with _failing(context):
            inputs = plain(received(request.news))
            if is_known(inputs):
                self._ready.check(request.type, inputs)
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What has changed, and whether that replaces the resource."""
        return self._diff(request.type, request)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make a resource; in a preview tell its inputs."""
        inputs = received(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=sent(inputs))
        with _failing(context, inputs), self._journal("create", request.urn):
            id_, outputs = self._ready.create(request.type, plain(inputs))
        return provider_pb2.CreateResponse(id=id_, properties=sent(inputs | typed(outputs)))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change a resource in place."""
        old, new = received(request.old_inputs), received(request.news)
        kept = {key: value for key, value in received(request.olds).items() if key not in old}
        if request.preview:
            return provider_pb2.UpdateResponse(properties=sent(kept | new))
        with _failing(context, kept | new), self._journal("update", request.urn):
            outputs = self._ready.update(request.type, request.id, plain(old), plain(new))
        return provider_pb2.UpdateResponse(properties=sent(kept | new | typed(outputs)))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Delete a resource."""
        with _failing(context), self._journal("delete", request.urn):
            self._ready.delete(request.type, request.id, plain(received(request.old_inputs)))
        return Empty()

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A resource as it is in the world; no id where it is not there."""
        inputs, state = received(request.inputs), received(request.properties)
        with _failing(context):
            found = self._ready.read(request.type, request.id, plain(inputs))
        if found is None:
            return provider_pb2.ReadResponse()
        actual = _as_secret(typed(found[0]), inputs)
        kept = {key: value for key, value in state.items() if key not in inputs}
        return provider_pb2.ReadResponse(
            id=request.id, inputs=sent(actual), properties=sent(kept | actual | typed(found[1]))
        )

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer a look-up."""
        with _failing(context):
            answer = self._ready.invoke(request.tok, plain(received(request.args)))
        fields: dict[str, Any] = {"return": sent(typed(answer))}
        return provider_pb2.InvokeResponse(**fields)

    @property
    def _ready(self) -> Provider:
        if self._provider is None:
            raise ConnectionError(self._refusal)
        return self._provider

    def _diff(self, type_: str, request: Any) -> Any:
        old, new = plain(received(request.old_inputs)), plain(received(request.news))
        own = INTERNAL if type_.startswith("pulumi:providers:") else frozenset[str]()
        changed = sorted(changed_keys(old, new) - own)
        replaces = replacing(type_, old, new)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and deletes_first(type_, new),
        )

    @contextmanager
    def _journal(self, operation: Operation, urn: str) -> Generator[None]:
        """Tell of a call, unless its plugin is killed meanwhile."""
        self._hear("before", operation, urn)
        started = self._ready.now()
        error: str | None = None
        try:
            yield
        except Exception as caught:
            error = str(caught) or repr(caught)
            raise
        finally:
            finished = self._ready.now()
            self._hear("after", operation, urn)
            self._calls.append(Call(operation, urn, started, finished, error))


@contextmanager
def _failing(context: Any, inputs: Values | None = None) -> Generator[None]:
    """Tell the engine of a failure in a sentence; of one after the creation, with what there is by now."""
    try:
        yield
    except UnfinishedError as error:
        details = provider_pb2.ErrorResourceInitFailed(
            id=error.id, properties=sent((inputs or {}) | typed(error.outputs)), reasons=[str(error)]
        )
        packed = Detail()
        packed.Pack(details)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error) or repr(error))


def _as_secret(values: Values, known: Values) -> Values:
    """The values, secret where those that are known are."""
    return {
        key: value.with_secret(True) if key in known and known[key].contains_secret() else value
        for key, value in values.items()
    }
