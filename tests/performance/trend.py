"""Does a series of measurements grow? Slopes by least squares, said in plain words."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

LEAST_SHARE = 0.005
"""A growth below this share of the level, for each minute, is none."""
DOUBT = 2.0
"""So many standard errors make a slope more than noise."""


class Trend(NamedTuple):
    """Growth for each minute, its standard error, and the level that it starts from."""

    slope: float
    error: float
    level: float

    @property
    def grows(self) -> bool:
        """More than noise, and enough to matter."""
        return self.slope > max(DOUBT * self.error, LEAST_SHARE * self.level)


def trend(minutes: Sequence[float], values: Sequence[float]) -> Trend:
    """The straight line through the values. Raises: ValueError for fewer than three."""
    if len(values) < 3:
        raise ValueError("a trend needs three values")
    slope, base = statistics.linear_regression(minutes, values)
    square_error = sum(
        (value - base - slope * minute) ** 2 for minute, value in zip(minutes, values, strict=True)
    )
    middle = statistics.fmean(minutes)
    width = sum((minute - middle) ** 2 for minute in minutes)
    error = math.sqrt(square_error / (len(values) - 2) / width)
    return Trend(slope, error, base + slope * minutes[0])


def settled(minutes: Sequence[float]) -> int:
    """Where the part begins that is judged: a third is given to caches and pools that fill."""
    return min(len(minutes) // 3, max(len(minutes) - 3, 0))


def in_words(name: str, minutes: Sequence[float], values: Sequence[float], unit: str) -> str:
    """One sentence on a series, judged after its first third."""
    first = settled(minutes)
    if len(values) - first < 3:
        return f"{name}: too short a run to judge, {values[-1]:,.0f}{unit} at its end."
    found = trend(minutes[first:], values[first:])
    verdict = "GROWS" if found.grows else "does not grow"
    return (
        f"{name} {verdict}: {found.slope:+,.2f}{unit} a minute "
        f"(error {found.error:,.2f}) after minute {minutes[first]:.1f}, from {found.level:,.0f} "
        f"to {values[-1]:,.0f}{unit}."
    )
