"""The shared producer: one answer per request, in order, whatever happens to the records."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_rest.core.pending import Pending
from kafka_rest.kafka.failures import failed_report
from kafka_rest.kafka.producers import STATISTICS_KEPT, DeliveryBatch, SharedProducer, Target
from kafka_rest.metrics import Cells
from kafka_rest.metrics.table import RECORD_ERRORS
from kafka_rest.records import Deadline, DeliveryReport, ProduceRecord, WouldBlock
from tests.unit.fakes import FakeMessage, FakeProducer

TARGET = Target("t", None, 3)
IN_FLIGHT = "max.in.flight.requests.per.connection"


class Bench:
    """A shared producer on fake clients, the first of which is `client`."""

    def __init__(self, **config: Any) -> None:
        self.made: list[FakeProducer] = []

        def make(found: dict[str, Any]) -> Any:
            self.made.append(FakeProducer(found))
            return self.made[-1]

        self.cells = Cells()
        self.producer = SharedProducer(config, make, cells=self.cells)
        self.client = self.made[0]

    def send(
        self, records: list[ProduceRecord], target: Target = TARGET, seconds: float = 5.0
    ) -> list[DeliveryReport]:
        pending: Pending[list[DeliveryReport]] = Pending(Deadline(seconds))
        pending.source = self.producer.send(target, records, pending.deadline, pending.set)
        return pending.wait()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.producer.close(Deadline(1))


class Waiter(Pending[list[DeliveryReport]]):
    """A request's wait, of which one can tell whether it is held."""

    __slots__ = ("__weakref__",)


def values(count: int) -> list[ProduceRecord]:
    return [ProduceRecord(None, b"%d" % n) for n in range(count)]


def test_reports_come_in_the_order_of_the_records(bench: Bench) -> None:
    reports = bench.send(values(50))
    assert [r.offset for r in reports] == list(range(50))
    assert all(r.error_code is None for r in reports)


@pytest.mark.parametrize("asked_before", [False, True])
def test_answered_batch_is_free_without_the_collector(bench: Bench, asked_before: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        waiter = Waiter(Deadline(5))
        held = weakref.ref(waiter)
        got: list[object] = []
        bench.client.reports = False
        waiter.source = batch = bench.producer.send(TARGET, values(2), waiter.deadline, waiter.set)
        # What waits for an answer usually knows what it waits for.
        wait = lambda reports, of=waiter: got.append((of, reports))  # noqa: E731
        if asked_before:
            waiter.then(wait)
        batch.expire()
        if not asked_before:
            waiter.then(wait)
        assert len(got) == 1
        bench.client.pending.clear()
        del waiter, batch, wait
        got.clear()
        assert held() is None
    finally:
        gc.enable()


def test_path_partition_holds_for_all_and_own_partition_for_one(bench: Bench) -> None:
    bench.send([ProduceRecord(None, b"a", 1), ProduceRecord(None, b"b")])
    bench.send(values(1), Target("t", 2, 3))
    assert [p[3] for p in bench.client.produced] == [1, -1, 2]


def test_record_for_a_missing_partition_fails_alone(bench: Bench) -> None:
    reports = bench.send([ProduceRecord(None, b"a", 0), ProduceRecord(None, b"b", 3)])
    assert reports[0].error_code is None
    assert reports[1].error_code == 40402
    assert len(bench.client.produced) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [(KafkaError.MSG_SIZE_TOO_LARGE, 50002), (KafkaError._MSG_TIMED_OUT, 50003)],
)
def test_local_refusal_is_a_report(bench: Bench, code: int, expected: int) -> None:
    bench.client.refuses[1] = KafkaException(KafkaError(code))
    reports = bench.send(values(3))
    assert [r.error_code for r in reports] == [None, expected, None]
    assert reports[1].error


def test_full_queue_is_a_retriable_error_at_the_deadline(bench: Bench) -> None:
    bench.client.reports = False
    bench.client.room = 1
    reports = bench.send(values(2), seconds=0.05)
    assert [r.error_code for r in reports] == [50003, 50003]
    bench.client.reports = True


def test_queue_that_empties_in_time_loses_nothing(bench: Bench) -> None:
    bench.client.room = 2
    reports = bench.send(values(20))
    assert [r.error_code for r in reports] == [None] * 20


def test_record_without_a_report_says_that_its_fate_is_open(bench: Bench) -> None:
    bench.client.reports = False
    reports = bench.send(values(1), seconds=0.05)
    assert reports[0].error_code == 50003
    assert "may or may not" in str(reports[0].error)
    bench.client.reports = True


def test_empty_batch_does_not_wait(bench: Bench) -> None:
    done: list[list[DeliveryReport]] = []
    batch = bench.producer.send(TARGET, [], Deadline(5), done.append)
    batch.expire()
    assert done == [[]]


def test_completion_is_told_once_however_many_bring_it_about() -> None:
    done: list[list[DeliveryReport]] = []
    batch = DeliveryBatch(1, done.append)
    batch.on_delivery(0, None, FakeMessage(offset=7))  # type: ignore[arg-type]
    batch.expire()
    batch.expire()
    assert done == [[DeliveryReport(0, 7)]]


def test_late_local_failure_completes_a_batch_whose_reports_are_all_in() -> None:
    done: list[list[DeliveryReport]] = []
    batch = DeliveryBatch(2, done.append)
    batch.on_delivery(0, None, FakeMessage(offset=7))  # type: ignore[arg-type]
    assert not done
    batch.fail(1, DeliveryReport(None, None, 50003, "full"))
    assert [r.error_code for r in done[0]] == [None, 50003]


def test_callback_that_raises_does_not_end_the_poller(bench: Bench) -> None:
    raised = threading.Event()

    def broken(_reports: list[DeliveryReport]) -> None:
        raised.set()
        raise RuntimeError("broken")

    bench.producer.send(TARGET, values(1), Deadline(5), broken)
    assert raised.wait(5)
    assert bench.send(values(1))[0].error_code is None


def test_vague_time_out_names_the_trouble_behind_it(bench: Bench) -> None:
    bench.client.config["error_cb"](KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    bench.client.refuses[0] = KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
    assert "wrong password" in str(bench.send(values(1))[0].error)


def test_that_all_brokers_are_down_does_not_hide_why(bench: Bench) -> None:
    told = bench.client.config["error_cb"]
    down = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
    told(down)
    assert bench.producer.trouble is down
    refused = KafkaError(KafkaError._TRANSPORT, "Connection refused")
    told(refused)
    told(down)
    assert bench.producer.trouble is refused


def test_producer_that_has_failed_for_good_stays_so(bench: Bench) -> None:
    told = bench.client.config["error_cb"]
    fenced = KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "fenced", fatal=True)
    told(fenced)
    told(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    assert bench.producer.trouble is fenced


def test_producer_never_creates_topics(bench: Bench) -> None:
    assert bench.client.config["allow.auto.create.topics"] is False


def test_caller_that_may_not_block_leaves_what_finds_no_room_to_the_poller(bench: Bench) -> None:
    bench.client.reports, bench.client.room = False, 2
    pending: Pending[list[DeliveryReport]] = Pending(Deadline(5))
    never_blocks = Deadline(5, may_block=False)
    pending.source = bench.producer.send(TARGET, values(20), never_blocks, pending.set)
    assert len(bench.client.produced) == 2
    with pytest.raises(WouldBlock):
        bench.producer.send(TARGET, values(1), never_blocks, list)
    bench.client.reports = True
    assert [r.offset for r in pending.wait()] == list(range(20))
    # It is open to others again.
    assert bench.send(values(1))[0].error_code is None
    pending = Pending(Deadline(5))
    bench.producer.send(TARGET, values(1), never_blocks, pending.set)
    assert pending.wait()[0].error_code is None


def test_what_finds_no_room_in_time_is_reported_by_the_poller_too(bench: Bench) -> None:
    bench.client.reports, bench.client.room = False, 1
    pending: Pending[list[DeliveryReport]] = Pending(Deadline(5))
    bench.producer.send(TARGET, values(3), Deadline(0.05, may_block=False), pending.set)
    time.sleep(0.3)
    bench.client.reports = True
    assert [r.error_code for r in pending.wait()] == [None, 50003, 50003]


def failures(bench: Bench) -> dict[str, float]:
    return {
        found.labels[0]: found.numbers[0]
        for found in bench.cells.series()
        if found.metric is RECORD_ERRORS and found.numbers[0]
    }


def test_every_failure_of_a_record_has_its_row_before_it_happens(bench: Bench) -> None:
    codes = [code for name, code in vars(KafkaError).items() if name.isupper()]
    refused = KafkaError(KafkaError._AUTHENTICATION)
    reports = [
        failed_report(KafkaError(code), cause) for code in codes for cause in (None, refused)
    ]
    assert len(codes) > 100
    rows = {found.labels for found in bench.cells.series() if found.metric is RECORD_ERRORS}
    assert rows == {(str(report.error_code),) for report in reports}


def test_failed_records_are_counted_by_code(bench: Bench) -> None:
    bench.send(values(3))
    assert failures(bench) == {}
    bench.client.refuses[3] = KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
    elsewhere = ProduceRecord(None, b"x", 99)
    bench.send([*values(2), elsewhere, elsewhere])
    assert failures(bench) == {"50003": 1, "40402": 2}


def test_record_of_unknown_fate_is_counted_once_however_late_its_report_is(bench: Bench) -> None:
    bench.client.reports = False
    done: list[list[DeliveryReport]] = []
    batch = bench.producer.send(TARGET, values(2), Deadline(5), done.append)
    batch.expire()
    batch.on_delivery(0, KafkaError(KafkaError._MSG_TIMED_OUT), FakeMessage())
    batch.on_delivery(1, KafkaError(KafkaError._MSG_TIMED_OUT), FakeMessage())
    assert [report.error_code for report in done[0]] == [50003, 50003]
    assert failures(bench) == {"50003": 2}
    bench.client.reports = True


def test_statistics_wait_for_whoever_looks_and_the_oldest_go(bench: Bench) -> None:
    for number in range(STATISTICS_KEPT + 2):
        bench.client.config["stats_cb"](str(number))
    assert list(bench.producer.statistics) == ["2", "3", "4", "5"]


def put_off(bench: Bench, count: int) -> Pending[list[DeliveryReport]]:
    """Send for a caller that may not block."""
    pending: Pending[list[DeliveryReport]] = Pending(Deadline(5, may_block=False))
    bench.producer.send(TARGET, values(count), pending.deadline, pending.set)
    return pending


def test_what_is_put_off_leaves_when_it_is_told_to(bench: Bench) -> None:
    hand_over = bench.producer.put_off()
    first, second = put_off(bench, 1), put_off(bench, 2)
    assert not bench.client.produced
    # A caller that may block hands over itself.
    assert len(bench.send(values(1))) == 1
    hand_over()
    assert [len(first.wait()), len(second.wait())] == [1, 2]
    hand_over()
    assert len(bench.client.produced) == 4


def test_what_cannot_be_handed_over_ends_its_own_request_only(bench: Bench) -> None:
    hand_over = bench.producer.put_off()
    bench.client.refuses[0] = ValueError("of ours")
    bad, good = put_off(bench, 1), put_off(bench, 1)
    hand_over()
    assert [report.error_code for pending in (bad, good) for report in pending.wait()] == [
        50003,
        None,
    ]


def test_what_is_put_off_leaves_before_the_producer_closes() -> None:
    bench = Bench()
    bench.producer.put_off()
    put_off(bench, 1)
    bench.producer.close(Deadline(1))
    assert len(bench.client.produced) == 1


def sent_by(bench: Bench) -> int:
    """Which client a record goes to."""
    before = [len(client.produced) for client in bench.made]
    bench.send(values(1))
    return next(n for n, client in enumerate(bench.made) if len(client.produced) > before[n])


def test_near_brokers_get_fewer_requests_at_a_time(bench: Bench) -> None:
    bench.client.reports = False
    under_way = put_off(bench, 1)
    clients = []
    for milliseconds in (0.3, 0.3, 0.8, 0.3, 5, 0.3, 5, 5, 0.8, 0.3, 0.3):
        bench.producer.adapt(milliseconds / 1000)
        bench.client.reports = bench.producer._producer is bench.client
        clients.append(sent_by(bench))
    # Told twice, and in between it stays as it is.
    assert clients == [0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1]
    assert [client.config.get(IN_FLIGHT) for client in bench.made] == [None, 5]
    # What was under way is answered by the client that has it.
    bench.client.reports = True
    assert [report.error_code for report in under_way.wait()] == [None]


@pytest.mark.parametrize("name", [IN_FLIGHT, "max.in.flight"])
def test_settings_say_how_many_requests_are_under_way(name: str) -> None:
    bench = Bench(**{name: 1_000_000})
    for _ in range(3):
        bench.producer.adapt(0.0001)
    assert len(bench.made) == 1
    bench.producer.close(Deadline(1))
