"""The stack's config, read and checked as a whole: all problems at once, each with key, value and remedy."""

import difflib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import pulumi
from pulumi.runtime import get_config_env, is_config_secret
from pulumi.runtime.config import CONFIG
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lls.config.model import Config
from lls.config.values import in_words, unfit_helm_values
from lls.go_yaml import read_go_yaml

NAMESPACE: Final = "lls"
"""Namespace of the keys that Pulumi.yaml declares: the project's name."""

SCHEMA: Final = Path(__file__).parents[2] / "Pulumi.yaml"
"""The file that declares every key of the namespace."""

SECRET_KEYS: Final = ("helmValues", "kubeconfig")
"""Keys that may hold secrets: they stay secrets on their way into the state."""

OTHER_KEYS: Final = ("aws:region", "aws:profile")
"""Keys of the AWS provider that the program reads too."""

IDENTITY_KEYS: Final = (
    "aws:accessKey",
    "aws:secretKey",
    "aws:token",
    "aws:assumeRoles",
    "aws:assumeRoleWithWebIdentity",
    "aws:sharedConfigFiles",
    "aws:sharedCredentialsFiles",
)
"""Those that tell it who it is, besides its profile and the environment."""


def load() -> Config:
    """The stack's config.

    Raises pulumi.RunError that lists every problem with key, value and remedy.
    """
    exposed = [key for key in schema() if _is_secret(key) and key not in SECRET_KEYS]
    values: dict[str, Any] = {key: _value(key, declared) for key, declared in schema().items() if key not in exposed}
    values |= {key: _of_provider(key) for key in OTHER_KEYS}
    values["aws:"] = {key: value for key in IDENTITY_KEYS if (value := _of_provider(key))}
    names = {key.partition(":")[2] for key in _keys() if key.startswith(f"{NAMESPACE}:")}
    problems = [
        f"  {NAMESPACE}:{key} = [secret]: AWS and the state would hold it in clear; set it without --secret"
        for key in exposed
    ]
    problems += [_line("helmValues", *unfit) for unfit in unfit_helm_values(values["helmValues"])]
    given = {key: value for key, value in values.items() if value is not None}
    try:
        config = Config.model_validate(dict.fromkeys(names - schema().keys()) | given)
        if not problems:
            hidden = {"helm_values": _secret_leaves(config.helm_values)} if _is_secret("helmValues") else {}
            return config.model_copy(update=hidden)
    except ValidationError as error:
        problems += [_problem(details) for details in error.errors() if details["loc"][0] not in exposed]
    raise pulumi.RunError("The stack's config needs a change:\n" + "\n".join(problems))


@cache
def schema() -> Mapping[str, Mapping[str, Any]]:
    """The keys that Pulumi.yaml declares, each with type, description and default."""
    return cast(Mapping[str, Mapping[str, Any]], read_go_yaml(SCHEMA.read_text())["config"])


def _is_secret(key: str) -> bool:
    return is_config_secret(f"{NAMESPACE}:{key}")


def _keys() -> set[str]:
    """Every key set for this stack, whether an engine or a test set it."""
    return {*CONFIG.get(), *get_config_env()}


def _of_provider(key: str) -> str | None:
    """The value of a key of the AWS provider."""
    return pulumi.Config("aws").get(key.partition(":")[2])


def _value(key: str, declared: Mapping[str, Any]) -> Any:
    """The value of a declared key, else its default; None where there is neither."""
    text = pulumi.Config(NAMESPACE).get(key)
    if text is None:
        return declared.get("default")
    if declared["type"] not in ("array", "object"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if value is None else value


def _secret_leaves(value: Any) -> Any:
    """The same structure with every leaf a secret, so that no part of it reaches the state in clear.

    A null stays one: it tells nothing, and Helm is to see it.
    """
    if isinstance(value, dict):
        return {key: _secret_leaves(part) for key, part in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_secret_leaves(part) for part in cast(list[Any], value)]
    return value if value is None else pulumi.Output.secret(value)


def _problem(error: ErrorDetails) -> str:
    """One line: key, value and remedy."""
    name, *path = error["loc"]
    key = str(name) if ":" in str(name) else f"{NAMESPACE}:{name}"
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(name), schema(), n=1)
        hint = f"did you mean {NAMESPACE}:{close[0]}?" if close else "Pulumi.yaml lists the keys."
        return f"  {key}: no such key; {hint} Remove it: pulumi config rm {key}"
    if error["type"] == "missing":
        about = schema()[str(name)]["description"] if str(name) in schema() else "The AWS region."
        return f"  {key} is not set. {about} Set it: pulumi config set {key} VALUE"
    return _line(str(name), path, error["input"], _remedy(key, path, error))


def _line(name: str, path: Sequence[str | int], value: Any, remedy: str) -> str:
    key = name if ":" in name else f"{NAMESPACE}:{name}"
    secret = is_config_secret(key) or key == f"{NAMESPACE}:kubeconfig"
    shown = "[secret]" if secret else json.dumps(value)
    where = "".join(f"[{part}]" for part in path if part != "[key]")
    return f"  {key}{where} = {shown}: {remedy}"


def _remedy(key: str, path: Sequence[str | int], error: ErrorDetails) -> str:
    remedy = in_words(error)
    declared = schema().get(key.partition(":")[2], {}).get("type")
    if declared in ("array", "object") and not path and error["type"] != "value_error":
        remedy += f": pulumi config set --path '{key}{'[0]' if declared == 'array' else '.NAME'}' VALUE"
    return remedy
