"""The stack's configuration: read once, checked as a whole, frozen."""

from lls.config.model import Config
from lls.config.reading import IDENTITY_KEYS, NAMESPACE, OTHER_KEYS, SCHEMA, SECRET_KEYS, load, schema

__all__ = ["IDENTITY_KEYS", "NAMESPACE", "OTHER_KEYS", "SCHEMA", "SECRET_KEYS", "Config", "load", "schema"]
