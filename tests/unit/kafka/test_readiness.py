"""Readiness: when Kafka is asked, what is remembered, and the reasons that are given."""

from confluent_kafka import KafkaError

from kafka_rest.errors import KafkaRetriable
from kafka_rest.kafka.readiness import FRESH_TURNS, Readiness
from kafka_rest.records import Deadline

EVERY = 5.0


class Bench:
    """A cluster and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.fails: Exception | None = None
        self.trouble: KafkaError | None = None
        servers = ("one:9092", "two:9092")
        self.readiness = Readiness(self.ask, lambda: self.trouble, servers, EVERY, lambda: self.now)

    def ask(self, deadline: Deadline) -> list[int]:
        assert 0 < deadline.left() <= 5
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return [1, 2, 3]

    def later(self, seconds: float) -> list[str]:
        self.now += seconds
        self.readiness.refresh()
        return self.readiness.reasons()


def test_cluster_that_answers_is_ready() -> None:
    bench = Bench()
    assert bench.later(0) == []
    assert (bench.readiness.brokers, bench.readiness.age) == (3, 0)


def test_before_the_first_answer_the_servers_are_named() -> None:
    bench = Bench()
    (reason,) = bench.readiness.reasons()
    assert reason == "Kafka at one:9092, two:9092 has not answered, 0 s since the start"
    assert (bench.readiness.brokers, bench.readiness.age) == (None, None)
    bench.fails = KafkaRetriable("refused")
    bench.trouble = KafkaError(KafkaError._TRANSPORT, "one:9092: Connection refused")
    first, second = bench.later(2)
    assert first.endswith(f"2 s since the start: {bench.fails.text}")
    assert second == "The producer's last error: one:9092: Connection refused"


def test_kafka_is_asked_once_a_turn() -> None:
    bench = Bench()
    for _ in range(10):
        bench.later(1)
    assert bench.asked == 2


def test_one_answer_that_fails_to_come_is_no_reason_yet() -> None:
    bench = Bench()
    bench.later(0)
    bench.fails = RuntimeError("odd")
    for _ in range(FRESH_TURNS):
        assert bench.later(EVERY) == []
    (reason,) = bench.later(EVERY)
    assert reason.endswith("20 s since it last did: RuntimeError: odd")
    bench.fails = None
    assert bench.later(EVERY) == []


def test_lost_broker_is_no_reason_while_others_answer() -> None:
    bench = Bench()
    bench.trouble = KafkaError(KafkaError._TRANSPORT, "two:9092: Connection refused")
    assert bench.later(0) == []


def test_what_does_not_heal_is_a_reason_although_kafka_answers() -> None:
    for trouble in (
        KafkaError(KafkaError._AUTHENTICATION, "wrong password"),
        KafkaError(KafkaError._SSL, "no such certificate"),
        KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "fenced", fatal=True),
    ):
        bench = Bench()
        bench.trouble = trouble
        assert bench.later(0) == [f"The producer's last error: {trouble.str()}"]
