"""Who the operations are in AWS."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Caller:
    """Who AWS takes the operations for."""

    account: str
    arn: str


class WrongAccountError(pulumi.RunError):
    """The operations act in another account than the stack lives in, and what to do about it."""
