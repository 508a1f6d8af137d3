"""What an instance reads and from where: subscriptions, assignments, seeks, committed offsets."""

import pytest
from confluent_kafka import OFFSET_STORED

from kafka_rest import errors
from kafka_rest.kafka.description import ReadLimits, Target
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.records import CommittedOffset, TopicPartition
from tests.unit.fakes import FakeMessage
from tests.unit.kafka.bench import InstanceBench

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
UNLIMITED = 1 << 40


class Bench(InstanceBench):
    """An instance that reads by hand or by group."""

    def add(self, partition: int, *offsets: int) -> None:
        for offset in offsets:
            self.consumer.queue.append(FakeMessage("t", partition, offset, None, b"x" * 100))

    def read(self, max_bytes: int = UNLIMITED, min_bytes: int = 0) -> list[tuple[int, int]]:
        limits = ReadLimits(max_bytes, 1.0, self.deadline(10.0), min_bytes)
        return self.taken(limits, lambda partition, offset, _value: (partition, offset))

    def assign(self, *places: TopicPartition) -> None:
        self.instance.assign(set(places), self.deadline())

    def seek(self, place: TopicPartition, target: Target) -> None:
        self.instance.seek(place, target, self.deadline())

    def enter(self, mode: str) -> None:
        """Read by this mode."""
        instance, end = self.instance, self.deadline()
        {
            "none": lambda: instance.unsubscribe(end),
            "topics": lambda: instance.subscribe(("t",), end),
            "pattern": lambda: instance.subscribe_pattern(TopicPattern("t.*"), ["t", "u"], end),
            "manual": lambda: instance.assign({T0}, end),
        }[mode]()


@pytest.fixture
def bench() -> Bench:
    return Bench()


MODES = ("topics", "pattern", "manual")


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_modes_exclude_each_other(bench: Bench, first: str, second: str) -> None:
    bench.enter(first)
    if first == second:
        bench.enter(second)
    else:
        with pytest.raises(errors.IllegalState):
            bench.enter(second)
    assert bench.instance.subscription.mode == first
    bench.enter("none")
    assert bench.instance.subscription.mode == "none"
    bench.enter(second)
    assert bench.instance.subscription.mode == second


@pytest.mark.parametrize("mode", MODES)
def test_empty_list_ends_any_mode(mode: str) -> None:
    for end in ("topics", "partitions"):
        bench = Bench()
        bench.enter(mode)
        if end == "topics":
            bench.instance.subscribe((), bench.deadline())
        else:
            bench.assign()
        assert bench.instance.subscription.mode == "none"
        assert bench.instance.owned == []


def test_reading_nothing_is_a_conflict_not_a_wait(bench: Bench) -> None:
    start = bench.clock.now
    with pytest.raises(errors.IllegalState):
        bench.read()
    assert bench.clock.now == start


def test_assignment_is_replaced_and_keeps_what_it_shares(bench: Bench) -> None:
    bench.assign(T0, T1)
    bench.add(0, 0, 1)
    bench.add(1, 0, 1)
    assert bench.read(max_bytes=150) == [(0, 0)]
    bench.assign(T1)
    assert bench.instance.owned == [T1]
    assert bench.read() == [(1, 0), (1, 1)]
    assert bench.instance.commit(bench.deadline()) == {T1: 2}


def test_seek_drops_carried_records_of_its_partition_alone(bench: Bench) -> None:
    bench.assign(T0, T1)
    bench.add(0, 0, 1, 2)
    bench.add(1, 0)
    assert bench.read(max_bytes=150) == [(0, 0)]
    bench.seek(T0, Target(offset=2))
    bench.add(0, 2)
    assert bench.read() == [(1, 0), (0, 2)]


@pytest.mark.parametrize(
    ("target", "offset"),
    [
        (Target(offset=4), 4),
        (Target(beginning=True), 3),
        (Target(), 9),
        (Target(time_ms=1), 5),
    ],
)
def test_seek_goes_where_it_is_told_and_is_committed(
    bench: Bench, target: Target, offset: int
) -> None:
    bench.instance.subscribe(("t",), bench.deadline())
    bench.consumer.assign_now(0)
    bench.instance.tick()
    bench.consumer.seek_refusals = 2
    bench.seek(T0, target)
    assert bench.consumer.sought == [("t", 0, offset)]
    assert bench.instance.commit(bench.deadline()) == {T0: offset}


@pytest.mark.parametrize("cooperative", [False, True])
def test_partitions_by_hand_start_where_they_are_told(bench: Bench, cooperative: bool) -> None:
    """Whole assignments or changes: librdkafka wants what the group had that it was in."""
    bench.consumer.cooperative = cooperative

    def starts() -> dict[int, int]:
        return {p.partition: p.offset for p in bench.consumer.assigned}

    bench.assign(T0, T1)
    assert starts() == {0: OFFSET_STORED, 1: OFFSET_STORED}
    bench.seek(T0, Target(offset=4))
    assert starts() == {0: 4, 1: OFFSET_STORED}
    bench.assign(T0)
    assert starts() == {0: 4}
    bench.add(0, 4, 5)
    assert bench.read() == [(0, 4), (0, 5)]
    bench.assign(T0, T1)
    assert starts() == {0: 6, 1: OFFSET_STORED}
    bench.enter("none")
    assert starts() == {}


def test_time_after_the_last_record_is_the_end(bench: Bench) -> None:
    bench.assign(T0)
    bench.consumer.found_by_time = -1
    bench.seek(T0, Target(time_ms=1 << 50))
    assert bench.instance.commit(bench.deadline()) == {T0: 9}


def test_seek_of_a_partition_that_is_not_there_is_a_conflict(bench: Bench) -> None:
    with pytest.raises(errors.IllegalState, match="t-0"):
        bench.seek(T0, Target(offset=0))
    bench.assign(T0)
    with pytest.raises(errors.IllegalState, match="t-1"):
        bench.seek(T1, Target())


def test_seek_that_gets_no_answer_ends_at_its_deadline(bench: Bench) -> None:
    bench.assign(T0)
    bench.consumer.bounds = None
    with pytest.raises(errors.KafkaRetriable):
        bench.seek(T0, Target())
    bench.add(0, 0)
    assert bench.read() == [(0, 0)]


def test_committed_offsets_and_commits_of_any_partition(bench: Bench) -> None:
    instance = bench.instance
    assert instance.committed([T0], bench.deadline()) == {T0: CommittedOffset(7)}
    bench.consumer.stored_offset = -1001
    assert instance.committed([T0], bench.deadline()) == {}
    assert instance.committed([], bench.deadline()) == {}
    instance.commit_offsets({T1: CommittedOffset(3, "note")}, bench.deadline())
    (stored,) = bench.consumer.commits[0]
    assert (stored.partition, stored.offset, stored.metadata) == (1, 3, "note")


def test_commit_that_is_not_waited_for_returns_at_once(bench: Bench) -> None:
    bench.assign(T0)
    bench.add(0, 0)
    bench.read()
    bench.consumer.answers_commits = False
    start = bench.clock.now
    assert bench.instance.commit(bench.deadline(), wait=False) == {T0: 1}
    assert bench.clock.now == start
    assert len(bench.consumer.commits) == 1


def test_read_waits_for_more_than_the_least_bytes(bench: Bench) -> None:
    bench.assign(T0)
    bench.add(0, 0)

    def later() -> None:
        bench.clock.advance(0.3)
        bench.add(0, 1)

    bench.consumer.queue.append(later)
    start = bench.clock.now
    assert bench.read(min_bytes=100) == [(0, 0), (0, 1)]
    assert bench.clock.now - start == pytest.approx(0.3)
    bench.add(0, 2)
    start = bench.clock.now
    assert bench.read(min_bytes=100) == [(0, 2)]
    assert bench.clock.now - start == pytest.approx(1.0)


def test_match_that_comes_late_subscribes_to_nothing(bench: Bench) -> None:
    instance, place = bench.instance, TopicPartition("u", 0)

    def change(_topic: str) -> bool:
        if instance.subscription.pattern is not None:
            instance.unsubscribe(bench.deadline())
            instance.assign({place}, bench.deadline())
        return True

    instance.subscribe_pattern(TopicPattern("t.*", change), [], bench.deadline())
    instance.match(["t1"])
    assert instance.subscription.mode == "manual"
    assert instance.owned == [place]


def test_pattern_follows_the_topics(bench: Bench) -> None:
    instance = bench.instance
    instance.subscribe_pattern(TopicPattern("t.*"), ["u"], bench.deadline())
    assert instance.subscription.topics == ()
    assert bench.read() == []
    instance.match(["t1", "u"])
    assert instance.subscription.topics == ("t1",)
    assert bench.consumer.topics == ["t1"]
    instance.match(["t1", "t2"])
    assert bench.consumer.topics == ["t1", "t2"]
    instance.match([])
    assert instance.subscription.topics == ()
    assert instance.subscription.mode == "pattern"


def test_name_that_no_topic_can_have_is_told_once(bench: Bench) -> None:
    bench.instance.subscribe(("a b", "t"), bench.deadline())
    assert bench.consumer.topics == ["t"]
    assert bench.instance.subscription.topics == ("a b", "t")
    with pytest.raises(errors.IllegalTopic, match="a b"):
        bench.read()
    bench.consumer.assign_now(0)
    bench.add(0, 0)
    assert bench.read() == [(0, 0)]


@pytest.mark.parametrize("end", ["close", "unsubscribe"])
def test_what_the_group_has_decided_is_served_before_it_is_left(bench: Bench, end: str) -> None:
    """librdkafka never ends a close that meets an assignment."""
    bench.instance.subscribe(("t",), bench.deadline())
    bench.add(0, 0, 1)
    bench.consumer.assign_now(0, 1)
    if end == "close":
        assert bench.instance.close(bench.deadline())
        assert bench.consumer.closed.wait(5)
    else:
        bench.enter("none")
        assert bench.instance.owned == []
        bench.assign(T1)
        assert bench.instance.owned == [T1]
    assert not bench.consumer.queue
    assert bench.consumer.topics == []


def test_group_that_is_joining_is_left_when_it_has_joined(bench: Bench) -> None:
    bench.instance.subscribe(("t",), bench.deadline())
    bench.consumer.joins_on = True
    bench.consumer.queue.append(lambda: setattr(bench.consumer, "joins_on", False))
    bench.consumer.assign_now(0, 1)
    bench.enter("none")
    bench.assign(T1)
    assert bench.instance.owned == [T1]
    assert not bench.consumer.queue


def test_group_that_joins_beyond_the_deadline_is_not_left(bench: Bench) -> None:
    bench.instance.subscribe(("t",), bench.deadline())
    bench.consumer.joins_on = True
    with pytest.raises(errors.RestError, match="still joining") as refused:
        bench.enter("none")
    assert refused.value.error_code == 50003
    bench.consumer.joins_on = False
    bench.enter("none")
    bench.assign(T1)
    assert bench.instance.owned == [T1]


def test_read_of_no_topic_does_not_wait_for_a_group_that_is_not_left_yet(bench: Bench) -> None:
    bench.instance.subscribe(("t",), bench.deadline())
    bench.consumer.joins_on = True
    bench.instance.subscribe(("no topic",), bench.deadline())
    with pytest.raises(errors.IllegalTopic):
        bench.read()
    began = bench.clock()
    assert bench.read() == []
    assert bench.clock() - began < 2
