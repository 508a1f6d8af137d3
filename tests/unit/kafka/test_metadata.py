"""Cluster metadata: existence, the short cache, and creation by the broker alone."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_rest import errors
from kafka_rest.kafka.metadata import REFUSED_SECONDS, ClusterMetadata, legal_topic
from kafka_rest.kafka.trouble import BrokerTrouble
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock


class FakeAdmin:
    """A cluster of topics; asking with auto-creation on makes a topic after some asking."""

    def __init__(self, config: dict[str, Any], cluster: "Cluster") -> None:
        self.config, self.cluster = config, cluster
        self.told: list[KafkaError] = []
        self.timeouts: list[float] = []

    def poll(self, timeout: float) -> None:
        assert timeout == 0
        while self.told:
            self.config["error_cb"](self.told.pop(0))

    def describe_cluster(self, request_timeout: float) -> Any:
        assert request_timeout > 0
        future: Future[Any] = Future()
        future.set_result(SimpleNamespace(nodes=[SimpleNamespace(id=n) for n in (2, 10, 1)]))
        return future

    def list_topics(self, topic: str | None, timeout: float) -> Any:
        assert timeout > 0, "a call without a time-out can block for ever"
        self.timeouts.append(timeout)
        if self.cluster.slow and self.cluster.asked > 2:
            self.cluster.clock.advance(timeout)
        return self.cluster.answer(topic, self.config["allow.auto.create.topics"])


class Cluster:
    """What the fake admin clients see."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.partitions = {"t": 3}
        self.denied: set[str] = set()
        self.asked = 0
        self.down = False
        self.creates_after: int | None = None
        self.slow = False

    def answer(self, topic: str | None, creates: bool) -> Any:
        self.asked += 1
        if self.slow and creates and self.asked > 3:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if self.down:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        if creates and self.creates_after is not None and topic not in self.partitions:
            self.creates_after -= 1
            if self.creates_after < 0:
                self.partitions[str(topic)] = 1
        names = list(self.partitions) if topic is None else [topic]
        return SimpleNamespace(topics={name: self._topic(name) for name in names})

    def _topic(self, name: str) -> Any:
        count = self.partitions.get(name, 0)
        error = None if count else KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
        if name in self.denied:
            error, count = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), 0
        partitions = {
            n: SimpleNamespace(id=n, leader=1, replicas=[1, 2], isrs=[1]) for n in range(count)
        }
        return SimpleNamespace(error=error, partitions=partitions)


class Bench:
    """Metadata of a fake cluster; seconds are short where a test waits for them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = Cluster(self.clock)
        self.admins: list[FakeAdmin] = []
        self.metadata = ClusterMetadata({}, 0.2, 2.0, self.make, self.clock)

    def make(self, config: dict[str, Any]) -> Any:
        self.admins.append(FakeAdmin(config, self.cluster))
        return self.admins[-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_brokers_are_sorted_as_numbers(bench: Bench) -> None:
    assert bench.metadata.brokers(Deadline(1)) == [1, 2, 10]


def test_partition_shows_leader_and_replicas(bench: Bench) -> None:
    found = bench.metadata.partition("t", 2, Deadline(1))
    assert found.partition == 2
    assert [(r.broker, r.leader, r.in_sync) for r in found.replicas] == [
        (1, True, True),
        (2, False, False),
    ]


@pytest.mark.parametrize("partition", [3, -1])
def test_missing_partition_is_told_apart_from_a_missing_topic(bench: Bench, partition: int) -> None:
    with pytest.raises(errors.PartitionNotFound):
        bench.metadata.partition("t", partition, Deadline(1))
    with pytest.raises(errors.TopicNotFound):
        bench.metadata.partition("none", partition, Deadline(1))


def test_known_topic_is_not_asked_for_again_at_once(bench: Bench) -> None:
    for _ in range(10):
        assert bench.metadata.require("t", Deadline(1)) == 3
    assert bench.cluster.asked == 1


def test_deleted_topic_is_noticed_after_the_age(bench: Bench) -> None:
    bench.metadata.require("t", Deadline(1))
    del bench.cluster.partitions["t"]
    bench.clock.advance(2.1)
    with pytest.raises(errors.TopicNotFound):
        bench.metadata.require("t", Deadline(1))


def test_known_topic_stays_known_while_kafka_is_away(bench: Bench) -> None:
    bench.metadata.require("t", Deadline(1))
    bench.cluster.down = True
    bench.clock.advance(100)
    assert bench.metadata.require("t", Deadline(1)) == 3
    with pytest.raises(errors.KafkaRetriable):
        bench.metadata.require("other", Deadline(1))


def test_wrong_credentials_are_told_as_such_and_soon_until_kafka_answers(bench: Bench) -> None:
    wrong = KafkaError(KafkaError._AUTHENTICATION, "wrong password")
    trouble = BrokerTrouble("test", lasting=True)
    metadata = ClusterMetadata({}, 9.0, 2.0, bench.make, bench.clock, trouble)
    bench.cluster.down = True
    bench.admins[-1].told.append(wrong)
    with pytest.raises(errors.AuthenticationFailed, match="wrong password"):
        metadata.topics(Deadline(20))
    assert trouble.refusal is wrong
    with pytest.raises(errors.AuthenticationFailed):
        metadata.topics(Deadline(20))
    asked = [admin.timeouts for admin in bench.admins][-1]
    assert asked[0] > 8
    assert asked[1] <= REFUSED_SECONDS
    bench.cluster.down = False
    metadata.topics(Deadline(20))
    assert trouble.refusal is None


def test_trouble_is_over_when_brokers_are_told(bench: Bench) -> None:
    missing = "Failed to acquire SASL OAUTHBEARER token: invalid_client"
    trouble = BrokerTrouble("test", bench.clock, lasting=True)
    metadata = ClusterMetadata({}, 0.2, 2.0, bench.make, bench.clock, trouble)
    trouble.take(KafkaError(KafkaError._AUTHENTICATION, missing))
    bench.clock.advance(3600)
    assert trouble.last is not None
    metadata.brokers(Deadline(1))
    assert trouble.last is None


def test_asking_creates_nothing(bench: Bench) -> None:
    bench.cluster.creates_after = 0
    with pytest.raises(errors.TopicNotFound):
        bench.metadata.require("fresh", Deadline(1))
    assert "fresh" not in bench.cluster.partitions


def test_missing_topic_is_created_where_the_broker_does_so(bench: Bench) -> None:
    bench.cluster.creates_after = 2
    assert bench.metadata.ensure_topic("fresh", Deadline(5)) == 1


def test_topic_that_is_not_created_is_told_within_the_time_out(bench: Bench) -> None:
    with pytest.raises(errors.TopicNotFound, match="did not create"):
        bench.metadata.ensure_topic("fresh", Deadline(5))


def test_last_look_up_that_runs_out_of_time_hides_no_answer(bench: Bench) -> None:
    bench.cluster.slow = True
    with pytest.raises(errors.TopicNotFound, match="did not create"):
        bench.metadata.ensure_topic("fresh", Deadline(5, bench.clock))


def test_broker_that_goes_while_a_topic_is_made_is_no_missing_topic(bench: Bench) -> None:
    bench.cluster.slow, bench.cluster.asked = True, 3
    with pytest.raises(errors.KafkaRetriable):
        bench.metadata.ensure_topic("fresh", Deadline(5, bench.clock))


@pytest.mark.parametrize("name", ["a b", "ü", "x" * 250, ".", "..", "a\0b", "a/b"])
def test_impossible_name_is_refused_without_asking(bench: Bench, name: str) -> None:
    assert not legal_topic(name)
    for ask in (bench.metadata.ensure_topic, bench.metadata.require, bench.metadata.partitions):
        with pytest.raises(errors.TopicNotFound):
            ask(name, Deadline(1))
    assert bench.cluster.asked == 0
