"""One consumer instance: what a read returns, keeps, counts and commits."""

import gc
import threading
import weakref
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_rest import errors
from kafka_rest.kafka.description import ReadLimits, Target
from kafka_rest.kafka.membership import IDLE_CARRY_COUNT
from kafka_rest.kafka.trouble import TROUBLE_SECONDS
from kafka_rest.records import Deadline, TopicPartition
from tests.unit.fakes import FakeMessage
from tests.unit.kafka.bench import Decode, InstanceBench

UNLIMITED = 1 << 40


class Bench(InstanceBench):
    """An instance that its group gives partitions of t."""

    def subscribed(self, *partitions: int) -> "Bench":
        """Subscribed to t and given these partitions."""
        self.instance.subscribe_once(("t",), self.deadline())
        self.consumer.assign_now(*(partitions or (0,)))
        return self

    def add(self, *records: tuple[int, int, bytes]) -> None:
        """Queue (partition, offset, value) records."""
        for partition, offset, value in records:
            self.consumer.queue.append(FakeMessage("t", partition, offset, None, value))

    def read(
        self,
        max_bytes: int = UNLIMITED,
        decode: Decode = lambda _partition, offset, _value: offset,
    ) -> list[Any]:
        return self.taken(ReadLimits(max_bytes, 1.0, self.deadline(10.0)), decode)


@pytest.fixture
def bench() -> Bench:
    return Bench().subscribed()


def test_read_returns_all_that_is_there(bench: Bench) -> None:
    bench.add((0, 0, b"a"), (0, 1, b"b"), (0, 2, b"c"))
    assert bench.read() == [0, 1, 2]


def test_read_keeps_what_does_not_fit(bench: Bench) -> None:
    bench.add(*((0, n, b"x" * 511) for n in range(4)))
    assert bench.read(max_bytes=1024) == [0, 1]
    assert bench.read(max_bytes=512) == [2]
    assert bench.read(max_bytes=512) == [3]


def test_read_returns_a_record_that_is_larger_than_the_limit(bench: Bench) -> None:
    bench.add((0, 0, b"x" * 5000), (0, 1, b"y"))
    assert bench.read(max_bytes=10) == [0]
    assert bench.read(max_bytes=10) == [1]


def test_every_record_arrives_once_and_in_order_whatever_the_limit(bench: Bench) -> None:
    bench.add(*((0, n, b"x" * 5000) for n in range(100)))
    got: list[int] = []
    while len(got) < 100:
        got += bench.read(max_bytes=10_000)
    assert got == list(range(100))


def test_what_is_at_hand_is_not_lost_when_more_cannot_be_had(bench: Bench) -> None:
    bench.add((0, 0, b"a"), (0, 1, b"b"))
    consume, found = bench.consumer.consume, list[FakeMessage]()

    def failing(count: int, timeout: float) -> list[FakeMessage]:
        if len(found) == 2:
            found.clear()
            raise SystemError
        found[:] = consume(count, timeout)
        return found[:]

    bench.consumer.consume = failing  # type: ignore[method-assign]
    assert bench.read() == [0, 1]
    bench.add((0, 2, b"c"))
    assert bench.read() == [2]


def test_read_answers_as_soon_as_there_is_data(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    start = bench.clock.now
    bench.read()
    assert bench.clock.now == start


def test_empty_read_ends_at_its_deadline(bench: Bench) -> None:
    start = bench.clock.now
    assert bench.read() == []
    assert bench.clock.now - start == pytest.approx(1.0)


def test_time_to_join_does_not_count_as_reading_time() -> None:
    bench = Bench()
    bench.instance.subscribe_once(("t",), bench.deadline())
    start = bench.clock.now

    def joining() -> None:
        bench.clock.advance(0.1)
        if bench.clock.now - start < 3:
            bench.consumer.queue.append(joining)
        else:
            bench.consumer.assign_now(0)
            bench.add((0, 0, b"late"))

    bench.consumer.queue.append(joining)
    assert bench.read() == [0]


def test_read_gives_up_when_the_group_never_assigns() -> None:
    bench = Bench()
    bench.instance.subscribe_once(("t",), bench.deadline())
    start = bench.clock.now
    assert bench.read() == []
    assert bench.clock.now - start == pytest.approx(10.0)


def test_undecodable_record_ends_the_read_before_it_and_stays(bench: Bench) -> None:
    bench.add((0, 0, b"good"), (0, 1, b"bad"), (0, 2, b"good"))

    def decode(_partition: int, offset: int, value: bytes | None) -> int:
        if value == b"bad":
            raise errors.KafkaFailure("undecodable")
        return offset

    assert bench.read(decode=decode) == [0]
    for _ in range(2):
        with pytest.raises(errors.KafkaFailure):
            bench.read(decode=decode)
    assert bench.read() == [1, 2]


def test_commit_covers_exactly_what_was_returned(bench: Bench) -> None:
    bench.add(*((0, n, b"x" * 100) for n in range(5)))
    assert bench.read(max_bytes=250) == [0, 1]
    assert bench.instance.commit(bench.deadline()) == {TopicPartition("t", 0): 2}
    assert [(p.partition, p.offset) for p in bench.consumer.commits[0]] == [(0, 2)]


def test_failed_read_is_not_committed(bench: Bench) -> None:
    bench.add((0, 0, b"bad"))

    def decode(_partition: int, offset: int, _value: bytes | None) -> int:
        raise errors.KafkaFailure("undecodable")

    with pytest.raises(errors.KafkaFailure):
        bench.read(decode=decode)
    assert bench.instance.commit(bench.deadline()) == {}
    assert bench.consumer.commits == []


def test_commit_of_nothing_asks_nobody(bench: Bench) -> None:
    assert bench.instance.commit(bench.deadline()) == {}
    assert bench.consumer.commits == []


def test_commit_without_an_answer_ends_at_its_deadline(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    bench.read()
    bench.consumer.answers_commits = False
    start = bench.clock.now
    with pytest.raises(errors.KafkaRetriable):
        bench.instance.commit(bench.deadline(5))
    assert bench.clock.now - start == pytest.approx(5.0, abs=0.2)


def test_refused_commit_is_told_and_wedges_nothing(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    bench.read()
    bench.consumer.commit_error = KafkaError(KafkaError.ILLEGAL_GENERATION)
    with pytest.raises(errors.KafkaFailure):
        bench.instance.commit(bench.deadline())
    bench.consumer.commit_error = None
    bench.add((0, 1, b"b"))
    assert bench.read() == [1]
    assert bench.instance.commit(bench.deadline()) == {TopicPartition("t", 0): 2}


def test_records_that_arrive_during_a_commit_are_kept(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    bench.read()
    bench.add((0, 1, b"b"), (0, 2, b"c"))
    bench.instance.commit(bench.deadline())
    assert bench.read() == [1, 2]


def test_revoked_partition_is_neither_returned_nor_committed() -> None:
    bench = Bench().subscribed(0, 1)
    bench.add((0, 0, b"a"), (1, 0, b"b"))
    assert sorted(bench.read()) == [0, 0]
    bench.add((0, 1, b"x" * 600), (1, 1, b"x" * 600))
    assert bench.read(max_bytes=700) == [1]
    bench.consumer.revoke_now(1)
    bench.instance.tick()
    assert bench.read() == []
    assert bench.instance.commit(bench.deadline()) == {TopicPartition("t", 0): 2}


def test_partition_lost_within_a_read_is_not_committed(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    bench.consumer.revoke_now(0)
    assert bench.read() == [0]
    assert bench.instance.commit(bench.deadline()) == {}


def test_auto_commit_stores_what_was_returned_and_no_more() -> None:
    bench = Bench(auto_commit=True).subscribed()
    bench.add((0, 0, b"x" * 100), (0, 1, b"x" * 100))
    assert bench.read(max_bytes=120) == [0]
    assert [(p.partition, p.offset) for p in bench.consumer.stored] == [(0, 1)]


def test_idle_instance_serves_its_group(bench: Bench) -> None:
    bench.instance.tick()
    bench.consumer.revoke_now(0)
    bench.instance.tick()
    assert bench.consumer.assigned == []


def test_idle_instance_stops_fetching_and_still_serves_its_group(bench: Bench) -> None:
    count = IDLE_CARRY_COUNT * 3
    bench.add(*((0, n, b"v") for n in range(count)))
    for _ in range(count):
        bench.instance.tick()
    assert bench.consumer.paused
    assert bench.read() == list(range(count))
    assert not bench.consumer.paused


def test_partition_that_stays_through_a_rebalance_goes_on_after_a_pause(bench: Bench) -> None:
    bench.consumer.assign_now(2)
    bench.add(*((0, n, b"v") for n in range(IDLE_CARRY_COUNT // 2)))
    bench.add(*((2, n, b"v") for n in range(IDLE_CARRY_COUNT * 2)))
    for _ in range(IDLE_CARRY_COUNT * 3):
        bench.instance.tick()
    assert bench.consumer.paused
    # One goes with most of what is carried, another comes: by an incremental protocol the first
    # partition is still paused.
    bench.consumer.revoke_now(2)
    bench.consumer.assign_now(1)
    for _ in range(3):
        bench.instance.tick()
    bench.read()
    assert not bench.consumer.paused


def pause(bench: Bench) -> None:
    """Leave so many records unread that the instance stops fetching."""
    bench.add(*((0, n, b"v") for n in range(IDLE_CARRY_COUNT)))
    for _ in range(IDLE_CARRY_COUNT + 1):
        bench.instance.tick()
    assert bench.consumer.paused


def test_partitions_by_hand_go_on_when_they_are_moved_after_a_pause() -> None:
    bench, place = Bench(), TopicPartition("t", 0)
    bench.instance.assign({place}, bench.deadline())
    pause(bench)
    bench.instance.seek(place, Target(offset=0), bench.deadline())
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]
    pause(bench)
    bench.instance.assign({place, TopicPartition("t", 1)}, bench.deadline())
    bench.add((0, 200, b"v"))
    assert bench.read()[-1] == 200


def test_instance_that_has_left_its_group_commits_as_no_member_of_it(bench: Bench) -> None:
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]
    member, place = bench.consumer, TopicPartition("t", 0)
    bench.instance.unsubscribe(bench.deadline())
    bench.instance.assign({place}, bench.deadline())
    assert bench.consumer is not member
    assert member.closed.wait(5)
    assert bench.reads.attached == [bench.instance]
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]
    assert bench.instance.commit(bench.deadline()) == {place: 1}
    assert not member.commits
    # No member is one for long: it is not made again.
    bench.instance.assign({place, TopicPartition("t", 1)}, bench.deadline())
    assert len(bench.made) == 2


def test_instance_whose_client_cannot_be_made_keeps_the_one_that_it_has(bench: Bench) -> None:
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]
    bench.instance.unsubscribe(bench.deadline())
    attached = list(bench.reads.attached)
    bench.refuses = KafkaException(KafkaError(KafkaError._FAIL))
    for _ in range(2):
        with pytest.raises(errors.RestError):
            bench.instance.assign({TopicPartition("t", 0)}, bench.deadline())
        assert bench.reads.attached == attached
    bench.refuses = None
    bench.instance.assign({TopicPartition("t", 0)}, bench.deadline())
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]


@pytest.mark.parametrize("topic", ["a\0b", "a b", "x" * 600, "\U0001f600" * 130])
def test_topic_that_cannot_be_reaches_no_client(topic: str) -> None:
    bench = Bench()
    place = TopicPartition(topic, 0)
    with pytest.raises(errors.IllegalTopic, match="Invalid topics"):
        bench.instance.assign({TopicPartition("t", 0), place}, bench.deadline())
    assert not bench.consumer.assigned
    assert bench.instance.subscription.mode == "none"
    assert bench.instance.committed([place], bench.deadline()) == {}


def test_seek_by_hand_undoes_no_other_seek() -> None:
    bench, places = Bench(), [TopicPartition("t", 0), TopicPartition("t", 1)]
    bench.instance.assign(set(places), bench.deadline())
    bench.add(*((0, n, b"v") for n in range(9)))
    assert bench.read() == list(range(9))
    for place in places:
        bench.instance.seek(place, Target(offset=4), bench.deadline())
    assert {p.partition: p.offset for p in bench.consumer.assigned} == {0: 4, 1: 4}


def test_partition_that_is_taken_away_in_a_pause_is_not_silent_when_it_comes_back(
    bench: Bench,
) -> None:
    pause(bench)
    bench.consumer.revoke_now(0)
    bench.consumer.assign_now(1)
    for _ in range(2):
        bench.instance.tick()
    # The pause ends here, for what is assigned now.
    bench.read()
    bench.consumer.assign_now(0)
    bench.add((0, 0, b"v"))
    assert bench.read() == [0]


def test_second_subscription_is_refused(bench: Bench) -> None:
    with pytest.raises(errors.AlreadySubscribed):
        bench.instance.subscribe_once(("other",), bench.deadline())
    bench.instance.subscribe_once(("t",), bench.deadline())


@pytest.mark.parametrize(
    "code",
    [KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MAX_POLL_EXCEEDED],
)
def test_errors_that_mean_no_data_yet_are_not_failures(bench: Bench, code: int) -> None:
    bench.consumer.queue.append(FakeMessage(error=KafkaError(code)))
    bench.add((0, 0, b"a"))
    assert bench.read() == [0]


def test_refused_topic_is_told(bench: Bench) -> None:
    bench.consumer.queue.append(
        FakeMessage(error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    )
    with pytest.raises(errors.TopicForbidden):
        bench.read()


def test_error_between_records_loses_none_of_them(bench: Bench) -> None:
    bench.add((0, 0, b"a"), (0, 1, b"b"))
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    bench.consumer.queue.append(FakeMessage(error=refused))
    bench.add((0, 2, b"c"))
    assert bench.read() == [0, 1, 2]
    with pytest.raises(errors.TopicForbidden):
        bench.read()
    bench.consumer.fetched = (0, 3)
    assert bench.read() == []


def test_denied_topic_is_told_to_every_read_until_a_fetch_works(bench: Bench) -> None:
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    bench.consumer.queue.append(FakeMessage(topic="t", error=denied))
    bench.consumer.fetched = (-1, -1)
    for _ in range(3):
        with pytest.raises(errors.TopicForbidden, match="topic t"):
            bench.read()
    bench.add((0, 0, b"a"))
    assert bench.read() == [0], "what may be read beside it comes"
    bench.consumer.fetched = (0, 1)
    assert bench.read() == []


def test_denied_group_is_told_soon_and_until_it_is_joined() -> None:
    bench = Bench()
    bench.instance.subscribe_once(("t",), bench.deadline())
    denied = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    bench.consumer.queue.append(FakeMessage(topic=None, error=denied))
    for _ in range(2):
        start = bench.clock.now
        with pytest.raises(errors.TopicForbidden):
            bench.read()
        assert bench.clock.now - start <= 1, "no longer than the read itself may wait"
    bench.consumer.assign_now(0)
    assert bench.read() == []


def test_wrong_credentials_are_told_soon_and_as_such() -> None:
    bench = Bench()
    bench.instance.subscribe_once(("t",), bench.deadline())
    wrong = KafkaError(KafkaError._AUTHENTICATION, "wrong password")
    bench.consumer.queue.append(FakeMessage(topic=None, error=wrong))
    start = bench.clock.now
    with pytest.raises(errors.AuthenticationFailed, match="wrong password"):
        bench.read()
    assert bench.clock.now - start <= 1


def test_lost_brokers_are_told_only_when_nothing_came(bench: Bench) -> None:
    trouble = FakeMessage(error=KafkaError(KafkaError._ALL_BROKERS_DOWN))
    bench.consumer.queue.append(trouble)
    bench.add((0, 0, b"a"))
    assert bench.read() == [0]
    bench.consumer.queue.append(trouble)
    with pytest.raises(errors.KafkaRetriable):
        bench.read()


def lose_brokers(bench: Bench) -> None:
    """A read is told that they are away."""
    bench.consumer.queue.append(FakeMessage(error=KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    for _ in range(2):
        with pytest.raises(errors.KafkaRetriable):
            bench.read()


def test_trouble_of_a_reader_that_has_read_all_does_not_last_for_ever(bench: Bench) -> None:
    lose_brokers(bench)
    bench.clock.advance(TROUBLE_SECONDS)
    assert bench.read() == []


def test_trouble_is_over_when_partitions_are_assigned(bench: Bench) -> None:
    lose_brokers(bench)
    bench.consumer.assign_now(0)
    assert bench.read() == []


def test_trouble_is_over_when_a_commit_is_done(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    assert bench.read() == [0]
    lose_brokers(bench)
    bench.instance.commit(bench.deadline())
    assert bench.read() == []


def test_draining_ends_a_read_with_what_it_has(bench: Bench) -> None:
    bench.draining.set()
    start = bench.clock.now
    assert bench.read() == []
    assert bench.clock.now == start


def test_closed_instance_is_not_found(bench: Bench) -> None:
    assert bench.instance.close(Deadline(5))
    assert bench.consumer.closed.wait(5)
    with pytest.raises(errors.InstanceNotFound):
        bench.instance.commit(Deadline(0))


def test_closed_instances_are_free_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        held: list[weakref.ref[Any]] = []
        for _ in range(10):
            bench = Bench().subscribed()
            bench.add((0, 0, b"a"), (0, 1, b"b"))
            bench.read(max_bytes=1)
            bench.instance.commit(bench.deadline())
            assert bench.instance.close(Deadline(5))
            held += weakref.ref(bench.instance), weakref.ref(bench.consumer)
        del bench
        assert [one() for one in held] == [None] * 20
    finally:
        gc.enable()


def test_close_is_tried_again_where_no_thread_could_be_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(2):
            assert not bench.instance.close(bench.deadline(0.1))
    assert not bench.instance.left
    assert bench.instance.stop(bench.deadline())
    assert bench.instance.wait_left(Deadline(5))
    assert bench.consumer.closed.is_set()


def test_close_that_hangs_is_bounded(bench: Bench) -> None:
    bench.add((0, 0, b"a"))
    assert bench.read() == [0]
    bench.consumer.close_gate.clear()
    assert not bench.instance.close(Deadline(0.05))
    bench.consumer.close_gate.set()
    assert bench.consumer.closed.wait(5)


def test_close_does_not_wait_for_a_join(bench: Bench) -> None:
    bench.consumer.close_gate.clear()
    assert bench.instance.close(Deadline(60))
    assert not bench.instance.left
    assert not bench.instance.wait_left(Deadline(0.05))
    bench.consumer.close_gate.set()
    assert bench.instance.wait_left(Deadline(5))
    assert bench.consumer.closed.is_set()


def test_close_waits_for_the_reader_and_ends_it() -> None:
    bench = Bench().subscribed()
    reading, finish = threading.Event(), threading.Event()

    def decode(_partition: int, offset: int, _value: bytes | None) -> int:
        reading.set()
        finish.wait(5)
        return offset

    bench.add((0, 0, b"a"))
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(bench.read(decode=decode)))
    reader.start()
    assert reading.wait(5)
    closer = threading.Thread(target=bench.instance.close, args=(Deadline(5),))
    closer.start()
    assert not bench.consumer.closed.is_set()
    finish.set()
    reader.join(5)
    closer.join(5)
    assert got == [[0]]
    assert bench.consumer.closed.is_set()


def test_call_to_a_busy_instance_ends_at_its_deadline() -> None:
    bench = Bench().subscribed()
    reading, finish = threading.Event(), threading.Event()

    def decode(_partition: int, offset: int, _value: bytes | None) -> int:
        reading.set()
        finish.wait(5)
        return offset

    bench.add((0, 0, b"a"))
    reader = threading.Thread(target=bench.read, kwargs={"decode": decode})
    reader.start()
    assert reading.wait(5)
    with pytest.raises(errors.KafkaRetriable):
        bench.instance.commit(Deadline(0.01))
    finish.set()
    reader.join(5)
