"""NVIDIA's lines of the streaming components: which versions belong together, where they are, and who says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

NGC_HOST: Final = "nvcr.io"
"""NVIDIA's registry."""

LineName = Literal["0.5", "26.07"]
"""What a line is called: the version of the documentation whose manifest lists it."""


class Extra(StrEnum):
    """An image beside the proxy's that this stack does not deploy: NVCF's worker of streaming functions, or a relay."""

    WORKER = "worker"
    TURN = "turn"


EXTRA_IMAGES: Final[Mapping[Extra, str]] = {Extra.WORKER: "nvcf_worker_niclls", Extra.TURN: "turn"}
"""Their names in NVIDIA's registry."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Versions that NVIDIA released together. `path` is HOST/ORG/TEAM; `extras` are tags.

    `source` is the public page that states path and versions, so these are confirmed; `assumed` is what it does not
    say and the program relies on.
    """

    name: LineName
    path: str
    chart_version: str
    image_tag: str
    extras: Mapping[Extra, str]
    source: str
    assumed: str

    def __str__(self) -> str:
        return f"line {self.name} (chart {self.chart_version}, image {self.image_tag})"

    def holds(self, chart_version: str, image_tag: str) -> bool:
        """Whether a chart and an image of those versions are this line's."""
        return (self.chart_version, self.image_tag) == (chart_version, image_tag)


GUIDE: Final = Line(
    name="0.5",
    path=f"{NGC_HOST}/0833294136851237/nvcf-ncp-staging",
    chart_version="2.0.1",
    image_tag="2.0.1",
    extras={Extra.WORKER: "2.105.7"},
    source="https://docs.nvidia.com/nvcf/v0.5/manifest",
    assumed="name and port of the chart's service; the guide states NodePorts, health path and the names of values",
)
"""The line of the installation guide."""

NEWEST: Final = Line(
    name="26.07",
    path=f"{NGC_HOST}/0833294136851237/selfhosted-ga",
    chart_version="3.0.0",
    image_tag="3.0.2",
    extras={Extra.WORKER: "2.109.4", Extra.TURN: "3.0.2"},
    source="https://docs.omniverse.nvidia.com/ov/ovs/latest/manifest.html",
    assumed="NodePorts, health path, names of values, name and port of the chart's service: all as in line 0.5",
)
"""The line of Omniverse Streaming on NVCF 26.07."""

LINES: Final[Mapping[LineName, Line]] = {line.name: line for line in (GUIDE, NEWEST)}
"""All that are known, oldest first."""


def line_of(chart_version: str, image_tag: str) -> Line | None:
    """The line that a chart and an image of those versions are of; None where they are of none, or not of the same."""
    return next((line for line in LINES.values() if line.holds(chart_version, image_tag)), None)
