"""A stack as its file describes it, and the Pulumi CLI that knows the rest."""

import asyncio
import contextvars
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import yaml
from pulumi.runtime import set_all_config

from lls.config import NAMESPACE, SCHEMA, Config, load, schema
from lls.go_yaml import number_text, read_go_yaml
from lls.waiting import QUESTION, SilentError, run_command

PROJECT: Final = SCHEMA.parent
"""The folder of Pulumi.yaml and of the program."""

HIDDEN: Final = "[encrypted]"
"""Stands for a value that only the Pulumi CLI can decrypt."""


class StackError(Exception):
    """A stack that cannot be read, and what to do about it. `code` is the Pulumi CLI's exit code, else 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        """Say what cannot be read, why, and what to do."""
        super().__init__(message)
        self.code = code


class SilentCliError(StackError):
    """The Pulumi CLI gave no answer in time."""


class NoCliError(StackError):
    """The Pulumi CLI is needed and missing."""


@dataclass(frozen=True)
class Stack:
    """A stack's name and its config: full keys to values, as a Pulumi engine passes them."""

    name: str
    config: Mapping[str, str]
    secret_keys: frozenset[str] = frozenset()

    def get(self, key: str) -> str:
        """The value of a key of this project; empty where it is not set."""
        return self.config.get(f"{NAMESPACE}:{key}", "")

    def load(self, key: str, default: Any) -> Any:
        """The value of a list or an object."""
        return json.loads(self.get(key) or json.dumps(default))

    def with_config(self, changes: Mapping[str, str]) -> "Stack":
        """The same stack with some values changed."""
        return replace(self, config={**self.config, **changes})

    def parsed(self) -> Config:
        """The config as the program reads it.

        Raises pulumi.RunError that lists every problem.
        """

        async def read() -> Config:
            set_all_config(dict(self.config), list(self.secret_keys))
            return load()

        return contextvars.Context().run(asyncio.run, read())


def read_stack(name: str, folder: Path = PROJECT) -> Stack:
    """Read Pulumi.NAME.yaml, with stand-ins of the right form for what only the Pulumi CLI can decrypt.

    `name` may be qualified, as in ORGANIZATION/lls/prod. Raises StackError where there is no such file, or
    where it is not YAML.
    """
    path = folder / f"Pulumi.{name.rpartition('/')[2]}.yaml"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))
        raise StackError(f"--stack {name}: there is no {path.name}. Known stacks: {', '.join(known) or 'none'}.")
    own = {full_key(path, key): value for key, value in config_of(path).items()}
    values = {**_of_every_stack(folder), **own}
    shown = {key: _shown(value) for key, value in values.items()}
    for key, value in shown.items():
        _check_type(path, key, value)
    secret_keys = frozenset(key for key, value in values.items() if shown[key] != value)
    stack = Stack(name, {key: _text(path, key, value) for key, value in shown.items()}, secret_keys)
    return stack.with_config({"lls:helmValues": "{}"}) if stack.get("helmValues") == HIDDEN else stack


def config_of(path: Path) -> Mapping[str, Any]:
    """The mapping `config` of a file of Pulumi's. Raises StackError where the engine could not read it either."""
    try:
        content: Any = read_go_yaml(path.read_bytes())
    except OSError as error:
        raise StackError(f"{path.name} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise StackError(f"{path.name} is not YAML: {error}.") from None
    config: Any = cast(dict[str, Any], content).get("config") if isinstance(content, dict) else content
    if not isinstance(config, dict | None):
        raise StackError(f"{path.name} has no mapping `config`: see Pulumi.dev.yaml.")
    return cast(Mapping[str, Any], config or {})


def _check_type(path: Path, key: str, value: Any) -> None:
    """Raise StackError where the engine would refuse a value for its type in Pulumi.yaml, before any text of it."""
    namespace, _, short = key.partition(":")
    declared = schema().get(short, {}).get("type") if namespace == NAMESPACE else None
    if value != HIDDEN and declared == "array" and not isinstance(value, list):
        raise StackError(f"{path.name}: {key} must be a list, such as [a, b].")
    if value != HIDDEN and declared == "object" and not isinstance(value, dict):
        raise StackError(f"{path.name}: {key} must be a mapping, such as {{a: b}}.")
    if declared not in (None, "array", "object") and isinstance(value, (dict, list)):
        raise StackError(f"{path.name}: {key} must be one value, which a list or a mapping is not.")


def full_key(path: Path, key: str) -> str:
    """A key with its namespace, which is the project's where it has none."""
    match key.split(":"):
        case [short]:
            return f"{NAMESPACE}:{short}"
        case [namespace, short] | [namespace, "config", short]:
            return f"{namespace}:{short}"
        case _:
            raise StackError(f"{path.name}: {key} is no key: use NAMESPACE:KEY.")


def _of_every_stack(folder: Path) -> dict[str, Any]:
    """What Pulumi.yaml sets for every stack, such as a key of the AWS provider: as its `value`, or in place of it."""
    path = folder / SCHEMA.name
    declared: Mapping[str, Any] = config_of(path) if path.is_file() else {}
    full: dict[str, dict[str, Any]] = {
        key: cast(dict[str, Any], key_schema) if isinstance(key_schema, dict) else {"value": key_schema}
        for key, key_schema in declared.items()
        if ":" in key
    }
    return {key: key_schema["value"] for key, key_schema in full.items() if "value" in key_schema}


def reveal(stack: Stack, keys: Iterable[str]) -> Stack:
    """The same stack with the values of those keys decrypted, where they are encrypted or have parts that are.

    Raises NoCliError or StackError.
    """
    hidden = [key for key in keys if key in stack.secret_keys and HIDDEN in stack.config[key]]
    return stack.with_config({key: pulumi_cli("config", "get", key, "--stack", stack.name) for key in hidden})


def find_cli(purpose: str) -> str:
    """The path of the Pulumi CLI: of the one on the PATH, else of the project's own. Raises NoCliError."""
    own = PROJECT / ".pulumi-cli" / "bin" / "pulumi"
    if command := shutil.which("pulumi") or (str(own) if own.is_file() else None):
        return command
    raise NoCliError(
        f"The Pulumi CLI is needed {purpose}, and is not on the PATH. Install it: https://www.pulumi.com/docs/install/"
    )


def pulumi_cli(*arguments: str) -> str:
    """What the Pulumi CLI prints.

    Raises NoCliError where there is none, SilentCliError, and StackError with its message where it fails.
    """
    command = find_cli("to read the stack's state and secrets")
    shown = f"pulumi {' '.join(arguments)}"
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = run_command(
            [command, "--non-interactive", *arguments],
            QUESTION,
            f"`{shown}`",
            environment=environment,
            folder=PROJECT,
        )
    except SilentError as error:
        raise SilentCliError(f"{error}. Check `pulumi whoami`, and the way from here to the backend.") from None
    if done.returncode:
        cause = " ".join(done.stderr.replace("error: ", "").split()) or f"exit code {done.returncode}"
        raise StackError(f"`{shown}` failed: {cause}", done.returncode)
    return done.stdout.strip("\n")


def is_encrypted(value: Any) -> bool:
    """Whether a value of a stack's file is one that only the Pulumi CLI can decrypt."""
    mapping = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    return mapping.keys() == {"secure"} and isinstance(mapping["secure"], str)


def _shown(value: Any) -> Any:
    """The value with a stand-in for each encrypted part."""
    if is_encrypted(value):
        return HIDDEN
    if isinstance(value, dict):
        return {key: _shown(part) for key, part in cast(dict[str, Any], value).items()}
    return [_shown(part) for part in cast(list[Any], value)] if isinstance(value, list) else value


def _text(path: Path, key: str, value: Any) -> str:
    """The value as the engine passes it to a program: a text as it is, else JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return number_text(value)
    try:
        return json.dumps(_parts(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise StackError(f"{path.name}: {key} holds a number that is none, or is infinite: put it in quotes.") from None


def _parts(value: Any) -> Any:
    """The value as the engine keeps it in a list or a mapping: a whole number beyond 64 bits with sign is a float."""
    if isinstance(value, dict):
        return {key: _parts(part) for key, part in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_parts(part) for part in cast(list[Any], value)]
    return int(number_text(float(value))) if isinstance(value, int) and value >= 2**63 else value
