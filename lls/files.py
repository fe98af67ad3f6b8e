"""Files that may hold secrets, and YAML."""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, eight times as fast, where PyYAML was built with it."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read (mode 0600), whatever was there before. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, path)


def read_yaml(text: str | bytes) -> Any:
    """What YAML text says by the rules of YAML 1.1, as kubectl and Helm read it. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, Loader=LOADER)  # noqa: S506
    except ValueError as error:  # such as a 30 February, which PyYAML takes for a date
        raise yaml.YAMLError(str(error)) from None
