from pathlib import Path
from typing import Any

import pytest

from tests.performance.in_flight import (
    LIMITS,
    MARKS,
    ROUND_TRIPS_MS,
    SETTING,
    InFlight,
    cases,
    cell,
    parse_options,
    render,
    settings,
)
from tests.performance.report import between_markers

PAGE = Path(__file__).parents[3] / "docs/performance.md"


def run(rate: float, failed: float = 0.0) -> dict[str, float]:
    return {
        "requests_per_second": rate,
        "cpu_us_per_request": 99.6,
        "p50_ms": 1.0,
        "p99_ms": 12.34,
        "failed": failed,
    }


def test_every_case_has_a_name_of_its_own() -> None:
    listed = [*cases(ROUND_TRIPS_MS), *cases([None])]
    assert len({case.name for case in listed}) == len(listed) == 24
    assert {case.place for case in cases([None])} == {"A real Kafka on this machine"}
    assert InFlight(3, 30, True, 16).name == (
        "Embedded broker, round trip 3 ms: 30 partitions, keys x 16"
    )


def test_only_what_adapts_is_told_no_limit() -> None:
    told = [settings(limit).get(SETTING) for limit in LIMITS]
    assert told == ["2", "5", "20", "1000000", None]


def test_cell_has_medians_and_says_what_failed() -> None:
    runs = [run(1_000), run(3_000), run(2_000)]
    assert cell({"runs": runs}) == "2,000, 100, 1.0 / 12.3"
    assert cell({"runs": [run(1_000, 7)]}) == "1,000, 100, 1.0 / 12.3, 7 failed"
    assert cell({"refused": "503"}) == "refused: 503"


def test_report_has_a_column_for_each_limit() -> None:
    found: dict[str, Any] = {limit: {"runs": [run(n)]} for n, limit in enumerate(LIMITS, 1)}
    text = render(
        {
            "machine": "2 cores",
            "options": {"rounds": 1, "seconds": 2.0},
            "results": {"here": {"3 partitions": found}},
        }
    )
    assert "### here\n\n| records | 2 | 5 | 20 | unlimited | adapted |\n" in text
    cells = (f"{n}, 100, 1.0 / 12.3" for n in range(1, 6))
    assert f"| 3 partitions | {' | '.join(cells)} |" in text


def test_page_has_the_place_for_it() -> None:
    assert "new" in between_markers(PAGE.read_text(), "new", MARKS)


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--seconds", "0.5"]])
def test_a_command_line_that_means_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(words)
    assert ended.value.code == 2
