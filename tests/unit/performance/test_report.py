import math
from typing import Any

import pytest

from tests.performance import report

OURS = {"runs": [{"requests_per_second": 30.0, "p50_ms": 1.0}, {"requests_per_second": 10.0}]}
THEIRS = {"runs": [{"requests_per_second": 10.0, "p50_ms": 4.0}]}
REFUSED = {"refused": "422 no such type"}


def document(**cases: Any) -> dict[str, Any]:
    servers = list(dict.fromkeys(name for found in cases.values() for name in found))
    return {
        "machine": "2 cores",
        "options": {"rounds": 2, "seconds": 1.5, "warm_up": 1.0},
        "servers": servers,
        "results": {"other": cases, "read": {}},
    }


def test_spread_is_min_median_max() -> None:
    assert report.spread([3, 1, 1000]) == "1 / 3 / 1,000"
    assert report.spread([0.125], 2) == "0.12"
    assert report.spread([math.nan]) == "-"


def test_one_server_needs_no_column_of_servers() -> None:
    text = report.render(document(get={"ours": OURS}))
    assert "| get | 10 / 20 / 30 |  | 1.00 |  |  |" in text
    assert "server" not in text
    assert "Two" not in text
    assert "2 runs of 1.5 s for each case" in text


def test_a_refusal_is_shown_as_one_and_never_as_a_figure() -> None:
    text = report.render(document(get={"ours": OURS, "theirs": REFUSED}))
    assert "| get | theirs | refused: 422 no such type |  |  |  |  |" in text
    assert "| get | refused: 422 no such type |  |  |  |  |" in text


def test_failures_are_summed_over_the_runs() -> None:
    runs = {"runs": [{"failed": 1.0}, {"failed": 2.0}]}
    assert report.render(document(get={"ours": runs})).rstrip().endswith("| 3 |")


def test_ratios_are_ours_by_theirs() -> None:
    table = report.ratio_table({"other": {"get": {"a": OURS, "b": THEIRS}}}, "a", "b")
    assert "| get | 2.00 |  | 0.25 |  |  |" in table


def test_what_only_one_has_run_has_no_ratio() -> None:
    assert report.ratio_table({"other": {"get": {"a": OURS}}}, "a", "b") == ""
    assert report.ratio(OURS, {"runs": [{"p50_ms": 0.0}]}, ["p50_ms"]) is None
    assert report.ratio(OURS, REFUSED, ["p50_ms"]) is None


def test_a_small_ratio_keeps_its_digits() -> None:
    slow = {"runs": [{"requests_per_second": 0.31}]}
    table = report.ratio_table({"other": {"get": {"a": slow, "b": THEIRS}}}, "a", "b")
    assert "| get | 0.031 |" in table


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    page = f"before\n{report.FIGURES.begin}\nold\n{report.FIGURES.end}\nafter\n"
    once = report.between_markers(page, "new\n")
    assert once == f"before\n{report.FIGURES.begin}\n\nnew\n\n{report.FIGURES.end}\nafter\n"
    assert report.between_markers(once, "new") == once


def test_several_tools_write_into_one_page() -> None:
    other = report.marks("more", "other")
    page = "\n".join((*report.FIGURES, *other))
    both = report.between_markers(report.between_markers(page, "a"), "b", other)
    assert both == report.between_markers(report.between_markers(page, "b", other), "a")
    assert "a\n\n<!-- end of figures -->" in both
    assert "b\n\n<!-- end of more -->" in both


@pytest.mark.parametrize("page", ["", report.FIGURES.begin, report.FIGURES.end])
def test_a_page_without_markers_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        report.between_markers(page, "new")
