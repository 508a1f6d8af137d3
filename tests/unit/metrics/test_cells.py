"""What workers count in: shared, merged, kept when a worker ends, and exact under threads."""

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from kafka_rest import app
from kafka_rest.api.endpoints import ENDPOINTS
from kafka_rest.metrics import TABLE, Cells, Kind, Rows, SharedCells
from kafka_rest.metrics import cells as module
from kafka_rest.metrics import table as m
from kafka_rest.metrics.table import BOUNDS


@pytest.fixture
def shared() -> SharedCells:
    return SharedCells(3)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change as often as the interpreter allows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_workers_are_added_up_and_the_largest_of_a_maximum_counts(shared: SharedCells) -> None:
    for number, (count, gauge, slowest) in enumerate([(2, 5, 0.5), (3, 7, 0.25)]):
        cells = shared.region(number)
        cells.count(m.PRODUCED_RECORDS, "json", by=count)
        cells.put(m.CONSUMER_INSTANCES, gauge)
        cells.put(m.ROUND_TRIP_P99, slowest)
        cells.observe(m.RELAY_SECONDS, 0.001 * (number + 1), "answered")
    shared.region(1).count(m.PRODUCED_RECORDS, "avro")
    found = shared.merged()
    assert found[m.PRODUCED_RECORDS] == {("json",): [5], ("avro",): [1]}
    assert found[m.CONSUMER_INSTANCES] == {(): [12]}
    assert found[m.ROUND_TRIP_P99] == {(): [0.5]}
    *counts, total = found[m.RELAY_SECONDS][("answered",)]
    assert counts == [1, 1] + [0] * (len(BOUNDS) - 1)
    assert total == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, 0), (BOUNDS[0], 0), (BOUNDS[0] * 1.001, 1), (BOUNDS[-1], len(BOUNDS) - 1), (1e6, -2)],
)
def test_bucket_takes_what_is_not_above_its_bound(seconds: float, bucket: int) -> None:
    cells = Cells()
    cells.observe(m.RELAY_SECONDS, seconds, "lost")
    row = cells.row(m.RELAY_SECONDS, "lost")
    assert row[bucket] == 1
    assert (sum(row[:-1]), row[-1]) == (1, seconds)


def test_next_worker_of_a_region_goes_on_where_the_killed_one_stood(shared: SharedCells) -> None:
    def work(times: int) -> None:
        cells = shared.region(0)
        cells.count(m.PRODUCED_RECORDS, "json", by=times)
        cells.put(m.WORKERS, 1)

    pid = os.fork()
    if pid == 0:
        work(4)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert shared.merged()[m.PRODUCED_RECORDS] == {("json",): [4]}
    shared.region(0).end_gauges()
    assert shared.merged()[m.WORKERS] == {(): [0]}
    assert shared.merged()[m.PRODUCED_RECORDS] == {("json",): [4]}
    work(3)
    assert shared.merged()[m.PRODUCED_RECORDS] == {("json",): [7]}
    assert shared.merged()[m.WORKERS] == {(): [1]}


def test_ended_gauges_leave_everything_else_as_it_is(shared: SharedCells) -> None:
    cells = shared.region(0)
    for metric in TABLE.values():
        row = cells.row(metric, *("x" for _ in metric.labels))
        row[0] = 3
    cells.end_gauges()
    for metric, series in shared.merged().items():
        assert next(iter(series.values()))[0] == (0 if metric.kind.is_gauge else 3), metric.name
    assert {metric.kind for metric in shared.merged()} == set(Kind)


@pytest.mark.usefixtures("hasty")
def test_threads_lose_no_count() -> None:
    cells, times, threads = Cells(), 20_000, 8
    rows = Rows(cells, m.PRODUCED_RECORDS, m.PRODUCED_BYTES)

    def work() -> None:
        for _ in range(times):
            records, size = rows["json"]
            records[0] += 1
            size[0] += 3
            cells.observe(m.RELAY_SECONDS, 2.0, "answered")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert cells.row(m.PRODUCED_RECORDS, "json")[0] == times * threads
    assert cells.row(m.PRODUCED_BYTES, "json")[0] == 3 * times * threads
    row = cells.row(m.RELAY_SECONDS, "answered")
    assert (sum(row[:-1]), row[-1]) == (times * threads, 2.0 * times * threads)


@pytest.mark.usefixtures("hasty")
def test_rows_that_threads_make_at_once_are_each_made_once(shared: SharedCells) -> None:
    cells = shared.region(0)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for number in range(200):
            cells.count(m.REQUEST_ERRORS, str(number))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = shared.merged()[m.REQUEST_ERRORS]
    assert found == {(str(number),): [8] for number in range(200)}
    assert len(shared.region(0).series()) == 200


def test_full_region_goes_on_without_what_finds_no_room(shared: SharedCells) -> None:
    cells = shared.region(0)
    width = m.REQUEST_SECONDS.width
    for number in range(module.CELLS // width + 5):
        cells.observe(m.REQUEST_SECONDS, 0.1, "api", str(number))
    cells.count(m.HAND_OVERS, "taken")
    cells.count(m.HAND_OVERS, "taken")
    found = shared.merged()
    assert len(found[m.REQUEST_SECONDS]) == module.CELLS // width
    assert all(sum(numbers[:-1]) == 1 for numbers in found[m.REQUEST_SECONDS].values())
    # The neighbour's is untouched.
    assert shared.region(1).series() == []


def test_every_endpoint_finds_room_with_every_status() -> None:
    assert app.VIEWS
    # Each format's name is another one; eleven statuses are more than any endpoint answers.
    endpoints = {
        (endpoint.name, variant.version, variant.embedded_format)
        for endpoint in ENDPOINTS.values()
        for offered, _ in endpoint.views.values()
        for variant in offered
    }
    shared = SharedCells(1)
    cells = shared.region(0)
    for name, version, format_name in endpoints:
        for status in range(200, 211):
            full = f"api.{version}.{name}-{format_name}"
            cells.observe(m.REQUEST_SECONDS, 1.0, full, str(status))
    assert len(endpoints) > 50
    assert len(shared.merged()[m.REQUEST_SECONDS]) == len(endpoints) * 11


def test_half_written_name_is_not_seen_and_is_written_over(shared: SharedCells) -> None:
    cells = shared.region(0)
    cells.count(m.HAND_OVERS, "taken")
    # As a process leaves it that is killed between writing a name and telling of it.
    cells._names[cells._length[0] : cells._length[0] + 11] = b"kafka_rest_"
    again = shared.region(0)
    again.count(m.HAND_OVERS, "refused")
    assert shared.merged()[m.HAND_OVERS] == {("taken",): [1], ("refused",): [1]}


def test_labels_that_do_not_fit_the_metric_are_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Cells().count(m.HAND_OVERS)
