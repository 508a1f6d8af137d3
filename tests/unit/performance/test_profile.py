from pathlib import Path

import pytest

from tests.performance import stages
from tests.performance.load import Run
from tests.performance.profile import (
    ALL,
    MARKS,
    code_table,
    parse_options,
    summary,
    thread_table,
)
from tests.performance.report import between_markers
from tests.performance.threads import Usage

PAGE = Path(__file__).parents[3] / "docs/performance.md"
RUN = Run(1_000, 2.0, 1.0, 9.0, 0, 0.1)


def test_thread_that_did_next_to_nothing_has_no_row_but_is_in_the_sum() -> None:
    used = {"lane": Usage(2, 9_000_000, 2_000, 500), "idle": Usage(3, 1_000)}
    assert thread_table(used, 1_000).splitlines()[2:] == [
        "| lane | 2 | 9.0 | 100% | 2.00 | 0.50 |",
        "| **together** | 5 | 9.0 | 100% | 2.00 | 0.50 |",
    ]


def test_shares_are_of_the_cpu_of_a_request() -> None:
    assert "500 requests/s" in summary(RUN)
    assert "100.0 us/request" in summary(RUN)
    assert code_table({"kernel": 25.0, "interpreter": 75.0}, RUN).splitlines()[2:] == [
        "| interpreter | 75.0 % | 75.0 |",
        "| kernel | 25.0 % | 25.0 |",
    ]


def test_stages_have_their_sum_and_the_whole_below_them() -> None:
    times = dict.fromkeys((*stages.LANE_STAGES, *stages.POLLER_STAGES), 10.0)
    found = {
        records: stages.Found(times, stages.Whole(100.0, 50.0, 25.0)) for records in stages.SIZES
    }
    rows = {(name, thread): cells for name, thread, *cells in stages.rows(found)}
    assert len(rows) == len(times) + 5
    lane_us = 10.0 * len(stages.LANE_STAGES)
    assert rows["*sum of these*", "lane"] == [
        *(f"{lane_us:.1f}", f"{lane_us:.1f}", f"{lane_us / 100:.2f}"),
        *(f"{lane_us:.1f}", f"{lane_us / 1000:.2f}"),
    ]
    assert rows["**the whole, run through**", "poller"] == ["50.0", "50.0", "0.50", "50.0", "0.05"]
    assert all(len(row) == len(stages.head()) for row in stages.rows(found))


def test_page_has_the_place_for_it() -> None:
    assert "new" in between_markers(PAGE.read_text(), "new", MARKS)


def test_parts_are_chosen_by_name() -> None:
    only = parse_options(["--only", "stages"]).only
    assert [name for name in ALL if only.search(name)] == [
        "stages json",
        "stages avro",
        "stages binary",
    ]


@pytest.mark.parametrize("words", [["--seconds", "0.5"], ["--only", "nothing"]])
def test_a_command_line_that_means_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(words)
    assert ended.value.code == 2
