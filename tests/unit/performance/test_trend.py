import pytest

from tests.performance.trend import in_words, settled, trend

MINUTES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    found = trend(MINUTES, [100 + 5 * minute for minute in MINUTES])
    assert found.slope == pytest.approx(5)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.level == pytest.approx(105)
    assert found.grows


@pytest.mark.parametrize(
    "values",
    [
        [100, 100, 100, 100, 100, 100],
        [100, 104, 99, 103, 98, 104],
        [106, 105, 104, 103, 102, 101],
        [100, 100.1, 100.2, 100.3, 100.4, 100.5],
    ],
    ids=["level", "noise", "falling", "too little to matter"],
)
def test_what_is_no_growth(values: list[float]) -> None:
    assert not trend(MINUTES, values).grows


def test_two_values_are_no_trend() -> None:
    with pytest.raises(ValueError, match="three"):
        trend([1, 2], [1, 2])


@pytest.mark.parametrize(("count", "first"), [(1, 0), (3, 0), (4, 1), (10, 3), (12, 4)])
def test_a_third_is_left_out_and_three_are_kept(count: int, first: int) -> None:
    assert settled([0.0] * count) == first


def test_growth_at_the_start_alone_is_none() -> None:
    said = in_words("Memory", MINUTES, [50, 90, 100, 100, 100, 100], " MiB")
    assert said.startswith("Memory does not grow: +0.00 MiB a minute")
    assert "after minute 3.0, from 100 to 100 MiB" in said


def test_growth_is_said_loudly() -> None:
    assert in_words("Memory", MINUTES, [50, 60, 70, 80, 90, 100], "").startswith("Memory GROWS")


def test_a_short_run_is_not_judged() -> None:
    assert "too short" in in_words("Memory", [1.0, 2.0], [50, 60], " MiB")
