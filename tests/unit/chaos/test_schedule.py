import itertools

from tests.chaos.events import KINDS
from tests.chaos.schedule import PAUSE, drawn, one_of_each


def test_seed_makes_the_schedule() -> None:
    assert drawn(7, 120.0) == drawn(7, 120.0)
    assert drawn(7, 120.0) != drawn(8, 120.0)
    assert one_of_each(7) == one_of_each(7)
    assert one_of_each(7) != one_of_each(8)


def test_schedule_is_in_order_and_within_its_time() -> None:
    times = [fault.at for fault in drawn(7, 120.0)]
    assert times == sorted(times)
    assert 0.0 < times[0] < times[-1] < 120.0
    assert all(now - before <= PAUSE[1] for before, now in itertools.pairwise(times))


def test_every_kind_comes_in_each_round() -> None:
    kinds = [fault.kind for fault in drawn(7, 240.0)]
    assert len(kinds) >= 2 * len(KINDS)
    assert set(kinds[: len(KINDS)]) == set(kinds[len(KINDS) : 2 * len(KINDS)]) == set(KINDS)


def test_short_schedule_has_each_kind_once_within_a_minute() -> None:
    schedule = one_of_each(3)
    assert sorted(fault.kind for fault in schedule) == sorted(KINDS)
    assert schedule[-1].at < 30.0


def test_long_schedule_comes_to_every_worker() -> None:
    faults = drawn(7, 600.0)
    assert {(f.proxy, f.worker) for f in faults} == {(0, 0), (0, 1), (1, 0), (1, 1)}
