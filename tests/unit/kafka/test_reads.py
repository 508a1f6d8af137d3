"""Reads that wait at an instance: their order, their ends, and what goes on beside them."""

import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError

from kafka_rest import errors
from kafka_rest.kafka.description import ReadLimits, Target
from kafka_rest.records import Deadline, TopicPartition
from tests.unit.fakes import FakeMessage
from tests.unit.kafka.bench import InstanceBench, Reading

T0 = TopicPartition("t", 0)


class Bench(InstanceBench):
    """An instance that reads partition 0 of t by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.instance.assign({T0}, self.deadline())

    def add(self, *offsets: int) -> None:
        """Queue records of 100 bytes."""
        for offset in offsets:
            self.consumer.queue.append(FakeMessage("t", 0, offset, None, b"x" * 100))

    def wait(self, seconds: float = 5.0, max_bytes: int = 1 << 40, min_bytes: int = 0) -> Reading:
        """A read under way."""
        limits = ReadLimits(max_bytes, seconds, self.deadline(seconds), min_bytes)
        return self.begin(limits, lambda _partition, offset, _value: offset)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_read_ends_as_soon_as_something_has_come(bench: Bench) -> None:
    reading = bench.wait()
    bench.instance.attempt()
    assert not reading.ended
    bench.add(0, 1)
    bench.instance.attempt()
    assert reading.result() == [0, 1]
    assert bench.reads.count == 0


def test_reads_are_served_in_their_order(bench: Bench) -> None:
    readings = [bench.wait() for _ in range(3)]
    bench.add(0)
    bench.instance.attempt()
    assert [reading.ended for reading in readings] == [[None], [], []]
    bench.add(1, 2)
    bench.instance.attempt()
    assert readings[1].result() == [1, 2]
    assert not readings[2].ended
    assert bench.reads.count == 1


def test_what_one_leaves_is_for_the_next_at_once(bench: Bench) -> None:
    readings = [bench.wait(max_bytes=150) for _ in range(3)]
    bench.add(0, 1, 2)
    bench.instance.attempt()
    assert [reading.result() for reading in readings] == [[0], [1], [2]]


def test_read_that_is_due_does_not_wait_for_those_before_it(bench: Bench) -> None:
    long, short = bench.wait(5.0), bench.wait(1.0)
    assert bench.reads.armed == pytest.approx(1.0)
    bench.clock.advance(1.0)
    bench.instance.attempt()
    assert short.result() == []
    assert not long.ended
    assert bench.reads.armed == pytest.approx(4.0)


def test_read_that_is_due_takes_less_than_it_wanted(bench: Bench) -> None:
    reading = bench.wait(1.0, min_bytes=1000)
    bench.add(0, 1)
    bench.instance.attempt()
    assert not reading.ended
    bench.clock.advance(1.0)
    bench.instance.attempt()
    assert reading.result() == [0, 1]


def test_other_calls_go_on_beside_a_waiting_read(bench: Bench) -> None:
    reading = bench.wait()
    now = Deadline(0, bench.clock)
    assert bench.instance.commit(now) == {}
    bench.instance.seek(T0, Target(offset=7), now)
    assert bench.instance.committed([T0], now)[T0].offset == 7
    assert not reading.ended
    bench.instance.unsubscribe(now)
    bench.instance.attempt()
    assert not reading.ended
    bench.clock.advance(5.0)
    bench.instance.attempt()
    assert reading.result() == []


def test_call_that_ends_has_waiting_reads_tried_again(bench: Bench) -> None:
    reading = bench.wait()
    assert bench.reads.woken == []
    # The answer to a commit comes through the queue of the records.
    bench.add(0)
    bench.instance.commit_offsets(
        bench.instance.committed([T0], bench.deadline()), bench.deadline()
    )
    assert set(bench.reads.woken) == {bench.instance}
    bench.instance.attempt()
    assert reading.result() == [0]


def test_delete_ends_reads_with_what_there_is(bench: Bench) -> None:
    readings = [bench.wait(min_bytes=1000) for _ in range(2)]
    bench.add(0)
    bench.instance.attempt()
    assert bench.instance.close(Deadline(5))
    assert [reading.result() for reading in readings] == [[0], []]
    assert bench.consumer.closed.wait(5)
    assert bench.reads.attached == []


def test_read_of_a_deleted_instance_is_refused_and_not_counted(bench: Bench) -> None:
    assert bench.instance.close(Deadline(5))
    with pytest.raises(errors.InstanceNotFound):
        bench.wait()
    assert bench.reads.count == 0


def test_draining_ends_all_reads(bench: Bench) -> None:
    readings = [bench.wait() for _ in range(3)]
    bench.draining.set()
    bench.instance.attempt()
    assert [reading.result() for reading in readings] == [[]] * 3


def test_instance_is_busy_while_a_read_waits_and_a_tick_tries_it(bench: Bench) -> None:
    assert not bench.instance.busy
    reading = bench.wait()
    assert bench.instance.busy
    bench.instance.tick()
    assert bench.reads.woken == [bench.instance]
    bench.add(0)
    bench.instance.attempt()
    assert reading.ended
    assert not bench.instance.busy


def test_end_of_a_read_is_use(bench: Bench) -> None:
    bench.wait(5.0)
    bench.clock.advance(5.0)
    bench.instance.attempt()
    assert bench.instance.last_used == bench.clock.now


def test_failure_is_told_to_the_first_read_alone(bench: Bench) -> None:
    readings = [bench.wait() for _ in range(2)]
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    bench.consumer.queue.append(FakeMessage(error=refused))
    bench.instance.attempt()
    with pytest.raises(errors.TopicForbidden):
        readings[0].result()
    assert not readings[1].ended


def test_one_read_too_many_is_refused(bench: Bench) -> None:
    bench.reads.most = 1
    reading = bench.wait()
    with pytest.raises(errors.TooManyRequests):
        bench.wait()
    bench.add(0)
    bench.instance.attempt()
    assert reading.result() == [0]
    assert bench.reads.count == 0


class Held:
    """An instance that a call holds, in a thread, until it is let go."""

    def __init__(self, bench: Bench) -> None:
        self._taking, self._go = threading.Event(), threading.Event()
        limits = ReadLimits(1 << 40, 0.0, bench.deadline(0))
        bench.add(0)
        self._thread = threading.Thread(target=bench.begin, args=(limits, self._decode))
        self._thread.start()
        assert self._taking.wait(5)

    def _decode(self, _partition: int, offset: int, _value: bytes | None) -> Any:
        self._taking.set()
        self._go.wait(5)
        return offset

    def let_go(self) -> None:
        self._go.set()
        self._thread.join(5)


def test_read_beside_a_call_that_does_not_end_is_given_up(bench: Bench) -> None:
    held = Held(bench)
    reading = bench.wait(0.0)
    assert not reading.ended
    assert reading.read is not None
    reading.read.expire()
    with pytest.raises(errors.KafkaRetriable):
        reading.result()
    held.let_go()
    bench.instance.attempt()
    reading.read.expire()
    assert len(reading.ended) == 1


def test_attempt_beside_another_is_made_up_for(bench: Bench) -> None:
    held = Held(bench)
    reading = bench.wait(5.0)
    bench.add(1)
    bench.instance.attempt()
    assert not reading.ended
    held.let_go()
    assert reading.result() == [1]
