"""What moto and boto3 find out anew for every call, from the disk and from their classes, found out once; and XML."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, cast
from unittest.mock import patch
from xml.sax.saxutils import escape, quoteattr

import boto3
from moto import backends
from moto.backends import list_of_moto_modules
from moto.core import responses
from moto.core.constants import MISSING
from moto.core.model import Shape
from moto.core.serialize import (
    AttributePickerContext,
    BaseXMLSerializer,
    EC2Serializer,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.core.utils import get_value, method_names_from_class
from moto.eks import utils as eks_utils


@contextmanager
def findings_kept() -> Generator[None]:
    """Let moto keep what it finds out, inside of this."""
    with ExitStack() as until:
        for owner, name, kept in (
            (eks_utils, "Session", session),
            (backends, "list_of_moto_modules", _moto_modules),
            (responses, "method_names_from_class", _method_names),
            (ResponseSerializer, "get_value", _value),
            (BaseXMLSerializer, "_serialize_body", _body),
            (EC2Serializer, "_serialize_body", _body),
        ):
            until.enter_context(patch.object(owner, name, kept))
        yield


@cache
def session() -> Any:
    """Boto3's session. It holds no credentials of ours, and reads the services' descriptions only once."""
    return boto3.Session()


@cache
def _moto_modules() -> tuple[str, ...]:
    return tuple(list_of_moto_modules())


def _method_names(owner: type) -> list[str]:
    return _method_names_of(owner, sum(len(vars(class_)) for class_ in owner.__mro__))


@cache
def _method_names_of(owner: type, size: int) -> list[str]:
    """The names, as long as the class has as many attributes: strictness adds some."""
    return method_names_from_class(owner)


def _value(serializer: ResponseSerializer, of: object, key: str, shape: Shape) -> Any:
    """What an answer has under a key, as XFormedAttributePicker finds it."""
    found: Any = None
    for name in _names(type(of), key, shape):
        if (value := get_value(of, name)) is not MISSING:
            found = value
            break
    transformers = serializer._value_picker.response_transformers  # pyright: ignore[reportPrivateUsage]
    for end in _about(key, tuple(transformers)):
        if ".".join([*serializer.path, key]).endswith(end):
            return transformers[end](found)
    return found


@cache
def _about(key: str, ends: tuple[str, ...]) -> tuple[str, ...]:
    """The ends of paths that a path to a key may have."""
    return tuple(end for end in ends if key.endswith(end.rpartition(".")[2]))


@cache
def _names(owner: type, key: str, shape: Shape) -> tuple[str, ...]:
    """Under which names moto looks for a key of that shape at objects of a class."""
    context = AttributePickerContext(_ObjectOf(owner), key, shape)
    return tuple(dict.fromkeys(XFormedAttributePicker().get_possible_keys(context)))


class _ObjectOf:
    """What moto asks of an object to tell its names: its class, and the aliases that this has."""

    def __init__(self, owner: type) -> None:
        self._owner = owner
        self.Meta: Any = getattr(owner, "Meta", None)

    __class__: Any = property(lambda self: self._owner)


def _body(_: BaseXMLSerializer, body: dict[str, Any]) -> str:
    """An answer as XML; moto's way through xmltodict and a SAX generator takes four times as long."""
    return "".join(_element(name, content) for name, content in body.items())


def _element(name: str, content: Any) -> str:
    """An element, or one for each part of a list. A key @NAME is an attribute."""
    if isinstance(content, list):
        return "".join([_element(name, part) for part in cast(list[Any], content)])
    if not isinstance(content, dict):
        return f"<{name}>{'' if content is None else escape(str(content))}</{name}>"
    attributes, inner = "", ""
    for key, part in cast(dict[str, Any], content).items():
        if key[0] == "@":
            attributes += f" {key[1:]}={quoteattr(str(part))}"
        else:
            inner += _element(key, part)
    return f"<{name}{attributes}>{inner}</{name}>"
