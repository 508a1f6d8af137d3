"""Requests a second over connections, as an SVG that is legible on light and dark pages."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from tests.performance.cases import CONNECTIONS, Produce

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 50, 55
LABEL_PIXELS = 15
COLOURS = ("#2f7ed8", "#e07b00", "#2a9d5c", "#c0448f", "#8a63d2", "#b8860b", "#d64545", "#3aa6a6")
# What shows no styles still draws in the grey of the attributes, legible on either ground.
GREY = "#777"
STYLE = """
text { fill: #222 }
.title { font-size: 15px; font-weight: 600 }
.axis { stroke: #222 } .grid { stroke: #8884 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #ddd } }
"""


class Line(NamedTuple):
    """One line: a name, and (connections, lowest, median, highest requests/s) of each point."""

    name: str
    points: Sequence[tuple[int, float, float, float]]


def lines_of(document: Mapping[str, Any]) -> list[Line]:
    """Single JSON records through v2, of every server that has them."""
    cases = document["results"]["produce"]
    found = []
    for server in document["servers"]:
        points = []
        for connections in CONNECTIONS:
            case = cases.get(Produce("v2", "json", 1, connections).name, {})
            rates = [run["requests_per_second"] for run in case.get(server, {}).get("runs", ())]
            if rates:
                points.append((connections, min(rates), statistics.median(rates), max(rates)))
        if points:
            found.append(Line(server, points))
    return found


def ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... from the last that is not above `low` to the first not below `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    steps = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    below = max(step for step in steps if step <= low)
    above = min(step for step in steps if step >= high and step > below)
    return [step for step in steps if below <= step <= above]


def spaced(wanted: Sequence[float], distance: float) -> list[float]:
    """Positions near the ones wanted, in their order, none closer to the next than the distance."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    found = list(wanted)
    for before, after in itertools.pairwise(order):
        found[after] = max(found[after], found[before] + distance)
    return found


def svg(lines: Sequence[Line], caption: str) -> str:
    """The picture; both axes are logarithmic, a bar at a point reaches from min to max."""
    rates = [value for line in lines for point in line.points for value in point[1:]]
    steps = ticks(max(min(rates), 1.0), max(rates))
    scale = _Scale(steps[0], steps[-1])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="13" fill="{GREY}">',
        f"<title>Requests a second over connections</title><style>{STYLE}</style>",
        _text(LEFT, 22, "Requests/s, one JSON record each, v2 (log scale)", css="title"),
        _text(LEFT, 40, caption),
        *_axes(scale, steps),
    ]
    ends = spaced([scale.y(line.points[-1][2]) for line in lines], LABEL_PIXELS)
    for number, (line, end) in enumerate(zip(lines, ends, strict=True)):
        parts += _drawn(line, scale, COLOURS[number % len(COLOURS)], end)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale(NamedTuple):
    low: float
    high: float

    def x(self, connections: float) -> float:
        share = math.log(connections) / math.log(CONNECTIONS[-1])
        return round(LEFT + 20 + share * (WIDTH - LEFT - RIGHT - 40), 1)

    def y(self, rate: float) -> float:
        share = math.log(max(rate, self.low) / self.low) / math.log(self.high / self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _axes(scale: _Scale, steps: Sequence[float]) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for step in steps:
        y = scale.y(step)
        parts.append(_rule("grid", LEFT, y, right, y))
        parts.append(_text(LEFT - 8, y + 4, f"{step:,.0f}", "end"))
    for connections in CONNECTIONS:
        x = scale.x(connections)
        parts.append(_rule("axis", x, bottom, x, bottom + 5))
        parts.append(_text(x, bottom + 20, str(connections), "middle"))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 12, "connections (log scale)", "middle"))
    parts.append(
        f'<path class="axis" stroke="{GREY}" fill="none" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
    )
    return parts


def _drawn(line: Line, scale: _Scale, colour: str, label_y: float) -> list[str]:
    places = [(scale.x(c), *map(scale.y, rates)) for c, *rates in line.points]
    path = " ".join(f"{x},{middle}" for x, _low, middle, _high in places)
    parts = [f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>']
    for x, low, middle, high in places:
        parts.append(f'<line stroke="{colour}" x1="{x}" y1="{low}" x2="{x}" y2="{high}"/>')
        parts.append(f'<circle fill="{colour}" cx="{x}" cy="{middle}" r="3.5"/>')
    text = f"{line.name} {line.points[-1][2]:,.0f}"
    swatch = f'x="{WIDTH - RIGHT + 4}" y="{label_y - 5}" width="10" height="10"'
    parts.append(f'<rect fill="{colour}" {swatch}/>')
    return [*parts, _text(WIDTH - RIGHT + 18, label_y + 4, text)]


def _rule(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    width = 0.5 if css == "grid" else 1
    place = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    return f'<line class="{css}" stroke="{GREY}" stroke-width="{width}" {place}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "") -> str:
    named = f' class="{css}"' if css else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def write_plot(document: Mapping[str, Any], target: Path) -> None:
    """Write the picture of a run; nothing where it has no case that the picture shows."""
    lines = lines_of(document)
    if lines:
        target.write_text(svg(lines, document["machine"]))
