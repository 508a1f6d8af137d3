"""The simple consumers: a bounded pool, stateless reads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import KafkaError

from kafka_rest import errors
from kafka_rest.kafka.simple import SimpleConsumers
from kafka_rest.records import Deadline
from tests.stack import wait_for
from tests.unit.fakes import FakeMessage

UNLIMITED = 1 << 40


class FakeSimple:
    """A consumer over a log of ten records, which ends with an end-of-partition event."""

    made: int = 0

    def __init__(self, gate: threading.Event) -> None:
        self.gate, self.queue = gate, []  # type: ignore[var-annotated]
        self.assigned: Any = None
        self.closing, self.closed = threading.Event(), threading.Event()
        self.closing.set()

    def get_watermark_offsets(self, _where: Any, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        assert self.gate.wait(5)
        return 2, 10

    def assign(self, where: list[Any]) -> None:
        assert self.assigned is None, "a client that was not given back clean"
        self.assigned = where[0]
        self.queue = [
            FakeMessage("t", 0, n, None, b"x" * 10) for n in range(where[0].offset, 10) if n != 5
        ]
        self.queue.append(FakeMessage(error=KafkaError(KafkaError._PARTITION_EOF)))

    def unassign(self) -> None:
        self.assigned = None

    def poll(self, timeout: float) -> Any:
        return self.queue.pop(0) if self.queue else None

    def consume(self, count: int, timeout: float) -> list[Any]:
        found, self.queue = self.queue[:count], self.queue[count:]
        return found

    def close(self) -> None:
        self.closing.wait(5)
        self.closed.set()


class Bench:
    def __init__(self, size: int, wait_seconds: float) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.clients: list[FakeSimple] = []
        self.pool = SimpleConsumers({}, size, wait_seconds, self._make)

    def _make(self, config: dict[str, Any]) -> Any:
        assert config["enable.auto.commit"] is False
        self.clients.append(FakeSimple(self.gate))
        return self.clients[-1]

    def read(self, offset: int = 2, count: int = 1, max_bytes: int = UNLIMITED) -> list[int]:
        found = self.pool.read("t", 0, offset, count, max_bytes, Deadline(3))
        return [record.offset() for record in found]

    def reads_at_once(self, count: int, clients: int) -> list[list[int]]:
        """What reads side by side find, which go on when there are so many clients."""
        self.gate.clear()
        with ThreadPoolExecutor(count) as threads:
            reads = [threads.submit(self.read) for _ in range(count)]
            wait_for(lambda: len(self.clients) == clients, what=f"{clients} clients")
            self.gate.set()
            return [read.result() for read in reads]


def test_reads_from_the_offset_up_to_the_count() -> None:
    bench = Bench(3, 1)
    assert bench.read() == [2]
    assert bench.read(3, 2) == [3, 4]
    # Offsets that compaction took away are no records.
    assert bench.read(4, 3) == [4, 6, 7]


def test_reads_what_there_is_at_the_end() -> None:
    bench = Bench(3, 1)
    assert bench.read(8, 100) == [8, 9]
    assert bench.read(10, 5) == []


@pytest.mark.parametrize("offset", [-1, 1, 11])
def test_offset_outside_the_log_says_what_it_holds(offset: int) -> None:
    with pytest.raises(errors.KafkaFailure, match="2 to 10"):
        Bench(3, 1).read(offset)


def test_bytes_are_bounded_but_one_record_is_returned() -> None:
    bench = Bench(3, 1)
    assert bench.read(2, 8, max_bytes=5) == [2]
    assert bench.read(2, 8, max_bytes=25) == [2, 3]


def test_one_after_the_other_share_a_client() -> None:
    bench = Bench(3, 1)
    for _ in range(5):
        bench.read()
    assert len(bench.clients) == 1


def test_ten_at_a_time_make_no_more_than_the_size() -> None:
    bench = Bench(3, 5)
    assert bench.reads_at_once(10, clients=3) == [[2]] * 10
    assert len(bench.clients) == 3


def test_no_limit_makes_one_for_each() -> None:
    bench = Bench(0, 1)
    assert bench.reads_at_once(10, clients=10) == [[2]] * 10


def test_no_client_in_time_is_503_50301() -> None:
    bench = Bench(1, 0.001)
    bench.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(bench.read)
        while not bench.clients:
            pass
        with pytest.raises(errors.SimpleConsumersBusy) as busy:
            bench.read()
        assert (busy.value.status, busy.value.error_code) == (503, 50301)
        bench.gate.set()
        assert first.result() == [2]


def test_close_closes_the_idle_ones() -> None:
    bench = Bench(1, 1)
    bench.read()
    bench.pool.close(Deadline(1))
    assert bench.clients[0].closed.is_set()
    assert bench.read() == [2]


def test_close_that_hangs_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(2, 1)
    assert bench.reads_at_once(2, clients=2) == [[2]] * 2
    for hanging in bench.clients:
        hanging.closing.clear()
    start = time.monotonic()
    bench.pool.close(Deadline(0.1))
    assert time.monotonic() - start < 3
    assert "simple consumers did not close in time count=2" in caplog.text
    for hanging in bench.clients:
        hanging.closing.set()
        assert hanging.closed.wait(5)
