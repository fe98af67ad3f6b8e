"""What all objects of the Kubernetes API have in common."""

import uuid
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When everything was made that exists before `up`."""


def metadata(name: str, namespace: str = "", *, at: datetime = BEGINNING, **more: Any) -> Json:
    """The metadata of an object."""
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{namespace}/{name}"))
    of_namespace = {"namespace": namespace} if namespace else {}
    return {"name": name, **of_namespace, "uid": uid, "resourceVersion": "1", "creationTimestamp": moment(at), **more}


def moment(at: datetime) -> str:
    """A time as the API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
