"""A timeline as SVG: panels of bars, a row for each step."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

ROW, LABEL, GAP, HEAD, AXIS, TOP = 17, 205, 30, 24, 34, 64
"""Sizes in the SVG's units: a row, its label, the gap between columns, a panel's title and axis, and the legend."""

PLOT_WIDTH: Final = 620
"""For the bars of all columns together: a second is equally wide everywhere."""

TICK: Final = 30
"""Seconds between two lines of the grid."""

COLOURS: Final[Mapping[str, str]] = {
    "look-up": "#8a8f98",
    "security group": "#d9822b",
    "load balancer": "#2f81f7",
    "proxy": "#2da44e",
    "targets": "#bf5fd6",
}

STYLE: Final = """
text { font: 12px sans-serif; fill: #1f2328 } .title { font-weight: bold; font-size: 14px } .small { fill: #59636e }
.grid { stroke: #d1d9e0 } .paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .paper { fill: #0d1117 }
}
"""


class Bar(NamedTuple):
    """A step: its name, its kind, which is a key of COLOURS, and its seconds since the panel's first step began."""

    name: str
    kind: str
    started: float
    finished: float


class Panel(NamedTuple):
    """A title and the bars under it."""

    title: str
    bars: Sequence[Bar]

    @property
    def seconds(self) -> float:
        """When the last step ended."""
        return max(bar.finished for bar in self.bars)


def plot(rows: Sequence[Sequence[Panel]]) -> str:
    """The panels in rows and columns, each column with one scale of time."""
    columns = [max(panel.seconds for panel in column) for column in zip(*rows, strict=True)]
    scale = PLOT_WIDTH / sum(columns)
    width = len(columns) * (LABEL + GAP) + PLOT_WIDTH + GAP
    height = TOP + sum(max(_height(panel) for panel in row) for row in rows)
    svg = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=str(width))
    SubElement(svg, "style").text = STYLE
    SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    x = float(GAP)
    for kind, colour in COLOURS.items():
        _rect(svg, x, 18, 12, colour)
        _text(svg, x + 18, 29, kind)
        x += 48 + 7 * len(kind)
    y = float(TOP)
    for row in rows:
        x = float(GAP)
        for panel, seconds in zip(row, columns, strict=True):
            _draw(svg, panel, x, y, scale, seconds)
            x += LABEL + GAP + seconds * scale
        y += max(_height(panel) for panel in row)
    indent(svg)
    return tostring(svg, encoding="unicode") + "\n"


def _height(panel: Panel) -> int:
    return HEAD + len(panel.bars) * ROW + AXIS


def _draw(svg: Element, panel: Panel, x: float, y: float, scale: float, seconds: float) -> None:
    _text(svg, x, y, f"{panel.title}: {panel.seconds:.0f} s", "title")
    zero, first, last = x + LABEL, y + HEAD - ROW + 6, y + HEAD + len(panel.bars) * ROW - 6
    for tick in range(0, int(seconds) + 1, TICK):
        at = f"{zero + tick * scale:.1f}"
        SubElement(svg, "line", {"class": "grid", "x1": at, "x2": at, "y1": f"{first:.1f}", "y2": f"{last:.1f}"})
        _text(svg, zero + tick * scale, last + 14, f"{tick} s" if tick else "0", "small", "middle")
    for number, bar in enumerate(panel.bars):
        top = y + HEAD + (number - 0.5) * ROW
        _text(svg, zero - 8, top + 7, bar.name, anchor="end")
        drawn = _rect(
            svg, zero + bar.started * scale, top - 3, max((bar.finished - bar.started) * scale, 2), COLOURS[bar.kind]
        )
        SubElement(drawn, "title").text = f"{bar.name}: {bar.started:.1f} to {bar.finished:.1f} s"


def _rect(svg: Element, x: float, y: float, width: float, colour: str) -> Element:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}"}
    return SubElement(svg, "rect", {**place, "height": "12", "rx": "1.5", "fill": colour})


def _text(svg: Element, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    SubElement(svg, "text", place | ({"class": style} if style else {})).text = text
