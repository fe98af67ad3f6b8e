"""Event logs of the real engine, as `.venv/bin/python -m tests.real.test_event_log` has recorded them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

EVENT_LOGS: Final = Path(__file__).with_name("event_logs.json")


def event_logs() -> Mapping[str, Any]:
    """By what was done: the CLI's exit code, and the events."""
    return json.loads(EVENT_LOGS.read_text())
