"""Waiting reads: who is tried again, when, and by which threads."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, version

from kafka_rest import errors
from kafka_rest.kafka.waiting import WaitingReads
from kafka_rest.kafka.wakeups import KNOWN_VERSIONS, Wakeups
from tests.unit.kafka.test_wakeups import consumer_of, emptied

LONG = 3600.0


class FakeInstance:
    """Notes its attempts, and the thread of each."""

    def __init__(self, needs_schemas: bool = False) -> None:
        self.needs_schemas, self.waited_for = needs_schemas, True
        self.attempts: queue.Queue[str] = queue.Queue()
        self.gate = threading.Event()
        self.gate.set()

    def attempt(self) -> None:
        self.attempts.put(threading.current_thread().name)
        self.gate.wait(5)


class HeardWakeups(Wakeups):
    """Notes what has been told."""

    def __init__(self, known: bool) -> None:
        super().__init__(known)
        self.heard: list[int] = []

    def told(self) -> list[int]:
        found = super().told()
        self.heard += found
        return found


class Bench:
    """Waiting reads whose consumers are told of by the test."""

    def __init__(self, most: int = 3, known: bool = True) -> None:
        self.draining = threading.Event()
        self.wakeups = HeardWakeups(known)
        self.reads = WaitingReads(most, self.draining, self.wakeups)
        self.ends: list[Callable[[], None]] = []

    def attach(self, instance: FakeInstance, client: Any) -> None:
        self.ends.append(self.reads.attach(instance, client, "rdkafka"))

    def close(self) -> None:
        for end in self.ends:
            end()
        self.reads.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[Consumer]:
    made = consumer_of()
    yield made
    made.close()


def test_instance_is_tried_when_its_time_comes(bench: Bench) -> None:
    late, soon = FakeInstance(), FakeInstance()
    bench.reads.arm(late, LONG)
    bench.reads.arm(soon, 0.01)
    assert soon.attempts.get(timeout=5)
    assert late.attempts.empty()


def test_sooner_moment_counts(bench: Bench) -> None:
    instance = FakeInstance()
    bench.reads.arm(instance, LONG)
    bench.reads.arm(instance, 0.01)
    bench.reads.arm(instance, LONG)
    assert instance.attempts.get(timeout=5)


def test_draining_tries_all_at_once(bench: Bench) -> None:
    instances = [FakeInstance() for _ in range(5)]
    for instance in instances:
        bench.reads.arm(instance, LONG)
    bench.draining.set()
    bench.reads.drain()
    assert all(instance.attempts.get(timeout=5) for instance in instances)
    late = FakeInstance()
    bench.reads.arm(late, LONG)
    assert late.attempts.get(timeout=5)


def test_what_librdkafka_tells_of_is_tried_if_it_is_waited_for(
    bench: Bench, client: Consumer
) -> None:
    instance = FakeInstance()
    instance.waited_for = False
    bench.attach(instance, client)
    emptied(client)
    while not bench.wakeups.heard:
        time.sleep(0.01)
    assert instance.attempts.empty()
    instance.waited_for = True
    emptied(client)
    assert instance.attempts.get(timeout=5)


def test_schemas_that_are_slow_to_come_hold_up_no_other_format(bench: Bench) -> None:
    slow = [FakeInstance(needs_schemas=True) for _ in range(20)]
    for instance in slow:
        instance.gate.clear()
        bench.reads.wake(instance)
    plain = FakeInstance()
    bench.reads.wake(plain)
    assert plain.attempts.get(timeout=5).startswith("plain-read")
    for instance in slow:
        instance.gate.set()
        assert instance.attempts.get(timeout=5).startswith("schema-read")


def test_attempt_that_fails_is_not_the_last(bench: Bench) -> None:
    class Broken(FakeInstance):
        def attempt(self) -> None:
            super().attempt()
            raise RuntimeError("broken")

    broken = Broken()
    for _ in range(10):
        bench.reads.wake(broken)
        assert broken.attempts.get(timeout=5)


def test_unheard_instances_are_tried_at_a_pace(client: Consumer) -> None:
    bench = Bench(known=False)
    instance = FakeInstance()
    bench.attach(instance, client)
    bench.reads.arm(instance, LONG)
    for _ in range(3):
        assert instance.attempts.get(timeout=5)
    bench.close()


def test_one_read_too_many_is_refused_with_a_hint(bench: Bench) -> None:
    for _ in range(3):
        bench.reads.enter()
    with pytest.raises(errors.TooManyRequests, match=r"consumer\.long\.polls\.max") as refused:
        bench.reads.enter()
    assert refused.value.headers == {"Retry-After": "1"}
    bench.reads.leave()
    bench.reads.enter()
    assert len(bench.reads) == 3


def test_library_is_one_of_those_known() -> None:
    """Whoever moves to another version looks whether the client is still where it was."""
    assert str(version()) in KNOWN_VERSIONS
