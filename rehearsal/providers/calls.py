"""What the AWS provider's types have in common: tags, and what AWS says of what is gone."""

from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from lls.operations.program.recording import Properties
from lls.operations.world.account import refused
from lls.operations.world.inventory import tags_of

T = TypeVar("T")


class ExistsError(Exception):
    """Something of that name is there already, and not made by this stack."""


def unless_gone(ask: Callable[[], T]) -> T | None:
    """What AWS answers; None where it says that what was asked for is not there. Raises ClientError for the rest."""
    try:
        return ask()
    except ClientError as error:
        if refused("", error).is_gone:
            return None
        raise


def tag_list(inputs: Properties) -> list[Any]:
    """A resource's tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(inputs.get("tags", {}).items())]


def own_tags(described: Any) -> dict[str, str]:
    """The tags in an answer of AWS, without those of its own."""
    return {key: value for key, value in tags_of(described).items() if not key.startswith("aws:")}


def lost_tags(old: Properties, new: Properties) -> list[str]:
    """The keys of tags that are to go."""
    return sorted(old.get("tags", {}).keys() - new.get("tags", {}).keys())
