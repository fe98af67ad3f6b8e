"""The registry that Helm pulls charts from, as far as its login goes."""

import base64
import math
import stat
from pathlib import Path
from typing import Final

from lls.auth_file import AuthFileError, read_auth_file
from rehearsal.world import WorldClock

TOKEN_LIFE: Final = 12 * 3600
"""Seconds that an ECR token is good for, of those that are skipped: none expires since a machine is slow."""


class Registry:
    """ECR as Helm meets it. `status` is what it answers, and may be changed at any time."""

    def __init__(self, clock: WorldClock) -> None:
        """Let tokens age by that clock."""
        self.status = 200
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def issue(self, token: str) -> None:
        """A token was handed out."""
        self._tokens[token] = self._clock.skipped + TOKEN_LIFE

    def pull(self, chart: str, auth_file: Path | None) -> None:
        """Pull a chart with the login of an auth file. Only ECR asks for one.

        Raises ConnectionError where the registry fails, PermissionError where it does not let in.
        """
        host = chart.removeprefix("oci://").partition("/")[0]
        if not chart.startswith("oci://") or ".dkr.ecr." not in host:
            return
        if self.status != 200:
            raise ConnectionError(f"failed to pull {chart}: unexpected status from the registry: {self.status}")
        if auth_file is None or not auth_file.is_file():
            raise PermissionError(f"failed to pull {chart}: basic credential not found")
        try:
            login = read_auth_file(str(auth_file)).login(host)
        except AuthFileError as error:
            raise PermissionError(f"failed to pull {chart}: {error}") from None
        if login is None:
            raise PermissionError(f"failed to pull {chart}: basic credential not found")
        token = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        if self._tokens.get(token, math.inf) < self._clock.skipped:
            raise PermissionError(f"failed to pull {chart}: 403 Your authorization token has expired")
        if token in self._tokens and stat.S_IMODE(auth_file.stat().st_mode) != 0o600:
            raise PermissionError(f"{auth_file} is readable by others")
