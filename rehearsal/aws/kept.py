"""Short ways for what takes moto and boto3 long at every call; most is found out once, and then kept."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache
from typing import Any, cast
from unittest.mock import patch
from xml.sax.saxutils import escape, quoteattr

import boto3
from botocore.utils import parse_timestamp
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
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
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
            (TaggedEC2Resource, "get_tags", _tags),
        ):
            until.enter_context(patch.object(owner, name, kept))
        yield


@cache
def session() -> Any:
    """Boto3's session. It holds no credentials of ours, and reads the services' descriptions only once."""
    made = boto3.Session()
    parsers: Any = made._session.get_component("response_parser_factory")  # pyright: ignore[reportPrivateUsage]
    parsers.set_parser_defaults(timestamp_parser=_time)
    return made


def _time(told: Any) -> datetime:
    """A time of an answer; botocore's way tries every format that there is."""
    if isinstance(told, str) and told.endswith("Z"):
        return datetime.fromisoformat(told)
    return parse_timestamp(told)


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
    read, names = _way(type(of), key, shape)
    for name in names:
        if (value := read(of, name, MISSING)) is not MISSING:
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
def _way(owner: type, key: str, shape: Shape) -> tuple[Callable[[Any, str, object], Any], tuple[str, ...]]:
    """How moto looks for a key of that shape at objects of a class, and under which names. A dot leads to a part."""
    context = AttributePickerContext(_ObjectOf(owner), key, shape)
    names = tuple(dict.fromkeys(XFormedAttributePicker().get_possible_keys(context)))
    if any("." in name for name in names):
        return get_value, names
    if owner is dict:
        return cast(Any, dict.get), names
    return get_value if hasattr(owner, "__getitem__") else getattr, names


class _ObjectOf:
    """What moto asks of an object to tell its names: its class, and the aliases that this has."""

    def __init__(self, owner: type) -> None:
        self._owner = owner
        self.Meta: Any = getattr(owner, "Meta", None)

    __class__: Any = property(lambda self: self._owner)


def _tags(resource: Any) -> list[dict[str, str]]:
    """The tags of a resource; moto looks for them among all that there are."""
    id_: str = resource.id
    tags: dict[str, str] = resource.ec2_backend.tags.get(id_, {}) if id_ else {}
    type_ = EC2_PREFIX_TO_RESOURCE.get(get_prefix(id_), "") if tags else ""
    return [{"resource_id": id_, "key": key, "value": tags[key], "resource_type": type_} for key in tags]


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
