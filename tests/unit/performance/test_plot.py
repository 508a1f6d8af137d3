import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.performance.cases import CONNECTIONS, Produce
from tests.performance.plot import Line, lines_of, spaced, svg, ticks, write_plot

SVG = "{http://www.w3.org/2000/svg}"
LINES = [
    Line("ours", [(1, 2_900, 3_000, 3_100), (16, 9_000, 9_500, 9_900), (64, 9_000, 9_600, 9_700)]),
    Line("a < b", [(1, 1_000, 1_100, 1_200), (64, 9_400, 9_500, 9_600)]),
]


def document(*servers: str) -> dict[str, Any]:
    runs = {"runs": [{"requests_per_second": rate} for rate in (10.0, 30.0, 20.0)]}
    cases = {
        Produce("v2", "json", 1, connections).name: dict.fromkeys(servers, runs)
        for connections in CONNECTIONS
    }
    return {"machine": "2 cores", "servers": list(servers), "results": {"produce": cases}}


def test_ticks_enclose_the_values() -> None:
    assert ticks(1_100, 9_600) == [1_000, 2_000, 5_000, 10_000]
    assert ticks(1_000, 2_000) == [1_000, 2_000]
    assert ticks(7, 7) == [5, 10]
    assert ticks(10, 10) == [10, 20]


def test_labels_keep_their_order_and_a_distance() -> None:
    assert spaced([10, 11, 50], 15) == [10, 25, 50]
    assert spaced([11, 10, 12], 15) == [25, 10, 40]


def test_the_picture_names_every_line_and_every_number_of_connections() -> None:
    root = ElementTree.fromstring(svg(LINES, "2 cores"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"ours 9,600", "a < b 9,500", "1", "16", "64", "10,000", "2 cores"} <= set(texts)
    assert len(list(root.iter(f"{SVG}polyline"))) == len(LINES)


def test_more_is_higher_and_further_right() -> None:
    root = ElementTree.fromstring(svg(LINES, ""))
    line = next(root.iter(f"{SVG}polyline")).attrib["points"].split()
    (left, low), _, (right, high) = (tuple(map(float, point.split(","))) for point in line)
    assert left < right
    assert high < low  # y grows downwards


def test_equal_rates_can_be_drawn() -> None:
    ElementTree.fromstring(svg([Line("one", [(1, 1_000, 1_000, 1_000)])], ""))


def test_lines_are_the_medians_with_their_range() -> None:
    (line,) = lines_of(document("ours"))
    assert line == Line("ours", [(connections, 10, 20, 30) for connections in CONNECTIONS])


@pytest.mark.parametrize(("servers", "written"), [(("ours",), True), ((), False)])
def test_nothing_measured_is_no_picture(
    tmp_path: Path, servers: tuple[str, ...], written: bool
) -> None:
    target = tmp_path / "plot.svg"
    write_plot(document(*servers), target)
    assert target.exists() is written
