"""The constants of NVIDIA's LLS installation guide, each with the step that states it."""

from dataclasses import dataclass
from typing import Final, Literal

UDP_PORT: Final = 5004
"""2.1: the public UDP port."""

STREAMING_NODE_PORT: Final = 30504
"""2.7: the target group's port, a NodePort of the chart."""

HEALTH_NODE_PORT: Final = 30800
"""2.7: the health check's port, a NodePort of the chart."""

HEALTH_PATH: Final = "/v1/health"
"""2.7: the health check's path."""

HEALTH_INTERVAL: Final = 30
"""2.7: seconds between health checks."""

HEALTH_TIMEOUT: Final = 6
"""2.7: seconds until a health check fails."""

HEALTHY_THRESHOLD: Final = 5
"""2.7: checks passed in a row that make a target healthy."""

UNHEALTHY_THRESHOLD: Final = 2
"""2.7: checks failed in a row that make a target unhealthy."""

HEALTH_MATCHER: Final = "200-399"
"""2.7: HTTP codes that pass."""

DEREGISTRATION_DELAY: Final = 300
"""AWS's default, which 2.7 leaves: seconds that a target is draining."""

RELEASE_NAME: Final = "gdn-streaming"
"""4.1: name of the Helm release, of its namespace and of its chart."""

IMAGE_NAME: Final = "streaming-proxy"
"""Step 1: name of the proxy's image."""

TargetType = Literal["ip", "instance"]
"""2.7 uses `ip`, the guide's requirements say `instance`."""

TARGET_TYPE: Final[TargetType] = "ip"
"""2.7: the default target type."""


Registration = Literal["nodes", "static", "autoscaling", "binding"]
"""4.2: who registers targets. The guide does it by hand, for the nodes of one moment, as `nodes` does."""


@dataclass(frozen=True)
class Port:
    """A port with its transport protocol, as in the guide's security group table."""

    protocol: Literal["udp", "tcp"]
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}-{self.number}"


NODE_INTERNAL_PORTS: Final = (Port("udp", 6004), Port("udp", 3478), Port("tcp", 8000))
"""Security group table: what nodes accept from each other (streaming, STUN, API)."""
