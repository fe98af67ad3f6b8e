"""Property values as the provider protocol sends them, and as the emulated providers take them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from google.protobuf.struct_pb2 import Struct
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from lls.operations.program.recording import Properties

Values = dict[str, PropertyValue]


def received(struct: Struct) -> Values:
    """The values of a message, with what is secret and what is not known yet."""
    return PropertyValue.unmarshal_map(struct)


def sent(values: Values) -> Struct:
    """The values as a message."""
    return PropertyValue.marshal_map(values)


def plain(values: Mapping[str, PropertyValue]) -> Properties:
    """The bare values, secret or not. UNKNOWN stands for what only an `up` will tell."""
    return {key: _plain(value) for key, value in values.items() if value.value is not None}


def typed(properties: Mapping[str, Any]) -> Values:
    """Bare values as the protocol has them."""
    return {key: _typed(value) for key, value in properties.items() if value is not None}


def is_known(value: object) -> bool:
    """Whether a bare value holds nothing that only an `up` will tell."""
    if isinstance(value, dict):
        return all(map(is_known, cast(dict[str, object], value).values()))
    if isinstance(value, list):
        return all(map(is_known, cast(list[object], value)))
    return value != UNKNOWN


def _plain(value: PropertyValue) -> Any:
    content = value.value
    if isinstance(content, Computed):
        return UNKNOWN
    if isinstance(content, Mapping):
        return plain(content)
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_plain(part) for part in content]
    return int(content) if isinstance(content, float) and content.is_integer() else content


def _typed(value: Any) -> PropertyValue:
    if isinstance(value, Mapping):
        return PropertyValue(typed(cast(Mapping[str, Any], value)))
    if isinstance(value, (list, tuple)):
        return PropertyValue([_typed(part) for part in cast(Sequence[Any], value)])
    return PropertyValue(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)
