"""What the cluster holds: brokers, topics, partitions, topic overrides; with a short cache for
producers.

Asking never creates a topic, except `ensure_topic`, which lets the broker create it if it does so.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    OffsetSpec,
    PartitionMetadata,
    ResourceType,
    TopicMetadata,
)

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.config import without_debug
from kafka_rest.kafka.failures import error_of, partition_count, rest_error
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG
from kafka_rest.kafka.trouble import BrokerTrouble
from kafka_rest.records import Clock, Deadline, TopicPartition

# It has no types.
_SPEC: Any = OffsetSpec
_ENDS: tuple[Any, ...] = (_SPEC.earliest(), _SPEC.latest())
CREATION_POLL_SECONDS = 0.05
REFRESH_SECONDS = 1.0
# While Kafka refuses the proxy, nobody waits longer than for another attempt.
REFUSED_SECONDS = 1.5
CACHED_TOPICS = 10_000
LONGEST_NAME = 249
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class Replica(NamedTuple):
    """One copy of a partition."""

    broker: int
    leader: bool
    in_sync: bool


class Partition(NamedTuple):
    """One partition; `leader` is -1 while it has none."""

    partition: int
    leader: int
    replicas: tuple[Replica, ...]


def legal_topic(name: str) -> bool:
    """True for names that Kafka can hold: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`."""
    return (
        0 < len(name) <= LONGEST_NAME and name not in (".", "..") and set(name) <= _NAME_CHARACTERS
    )


class ClusterMetadata:
    """Looks things up in the cluster; every call is bounded by its deadline and `timeout_seconds`.

    All methods raise `TopicNotFound`, `TopicForbidden`, or 50002/50003 when Kafka does not answer,
    `AuthenticationFailed` when it refuses the proxy (or the proxy it). An answer ends `trouble`.
    """

    def __init__(
        self,
        config: dict[str, Any],
        timeout_seconds: float,
        max_age_seconds: float,
        make: Callable[[dict[str, Any]], AdminClient] = AdminClient,
        clock: Clock = time.monotonic,
        trouble: BrokerTrouble | None = None,
    ) -> None:
        self._make, self._config = make, config
        self._trouble = trouble or BrokerTrouble("admin", lasting=True)
        heard = {"error_cb": self._trouble.take, "logger": LIBRDKAFKA_LOG}
        self._admin = make({**config, "allow.auto.create.topics": False, **heard})
        self._creator: AdminClient | None = None
        self._creator_lock = threading.Lock()
        self._timeout, self._max_age, self._clock = timeout_seconds, max_age_seconds, clock
        self._counts: dict[str, tuple[int, float]] = {}

    def serve(self) -> None:
        """Take what the client has to say of its connections; to be called once a second."""
        self._admin.poll(0)

    def brokers(self, deadline: Deadline) -> list[int]:
        """Ids of the live brokers, ascending."""
        try:
            # Not by the topics' metadata, which is large where there are many.
            future = self._admin.describe_cluster(request_timeout=self._bound(deadline))
            nodes = future.result(self._bound(deadline) + 1).nodes
        except KafkaException as failure:
            raise self._error(failure, "brokers of the cluster") from failure
        self._trouble.over()
        return sorted(node.id for node in nodes)

    def topics(self, deadline: Deadline) -> list[str]:
        """Names of all topics, sorted by code unit, internal ones included."""
        return sorted(self._list(deadline, None, self._admin).topics)

    def partitions(self, topic: str, deadline: Deadline) -> list[Partition]:
        """The partitions of a topic, ascending. Raises: TopicNotFound."""
        found = self._topic(topic, deadline)
        if not found.partitions:
            raise errors.UnknownTopic
        return [_partition(found.partitions[number]) for number in sorted(found.partitions)]

    def partition(self, topic: str, partition: int, deadline: Deadline) -> Partition:
        """One partition. Raises: TopicNotFound, PartitionNotFound."""
        for found in self.partitions(topic, deadline):
            if found.partition == partition:
                return found
        raise errors.PartitionNotFound

    def overrides(self, topic: str, deadline: Deadline) -> dict[str, str]:
        """The topic's own settings, those that differ from the broker's by an override.

        {} for none.
        """
        source: Any = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        entries = self._describe(topic, deadline)
        return {e.name: e.value for e in entries if e.source == source and e.value is not None}

    def configs(self, topic: str, deadline: Deadline) -> dict[str, str | None]:
        """All settings of a topic as they are in effect, sorted; None for secret ones."""
        entries = sorted(self._describe(topic, deadline), key=lambda e: str(e.name))
        return {e.name: None if e.is_sensitive else e.value for e in entries}

    def offsets(self, topic: str, partition: int, deadline: Deadline) -> tuple[int, int]:
        """The first offset of a partition, and the one that its next record gets.

        Raises: TopicNotFound, PartitionNotFound.
        """
        self.partition(topic, partition, deadline)
        place = KafkaTopicPartition(topic, partition)
        asked = [
            self._admin.list_offsets({place: spec}, request_timeout=self._bound(deadline))[place]
            for spec in _ENDS
        ]
        try:
            first, end = (found.result(self._bound(deadline) + 1).offset for found in asked)
        except KafkaException as failure:
            about = TopicPartition(topic, partition).about
            raise self._error(failure, about) from failure
        return first, end

    def require(self, topic: str, deadline: Deadline) -> int:
        """The number of partitions of an existing topic, at most `max_age_seconds` old.

        A topic seen before stays known while Kafka does not answer. Raises: TopicNotFound,
        WouldBlock.
        """
        known = self._counts.get(topic)
        if known and self._clock() - known[1] < self._max_age:
            return known[0]
        deadline.require_blocking()
        if known:
            # The others go on with the old count while this thread asks, and it does not ask for
            # long.
            self._remember(topic, known[0])
            deadline = deadline.sooner(REFRESH_SECONDS)
        try:
            count = len(self._topic(topic, deadline).partitions)
        except (errors.TopicNotFound, errors.TopicForbidden):
            self._counts.pop(topic, None)
            raise
        except errors.RestError:
            if known:
                return known[0]
            raise
        return self._remember(topic, count)

    def require_partition(self, place: TopicPartition, deadline: Deadline) -> None:
        """Make sure that a partition exists. Raises: TopicNotFound, PartitionNotFound."""
        count = self.require(place.topic, deadline)
        if place.partition >= count:
            raise because(errors.PartitionNotFound, partition_count(place.topic, count))

    def ensure_topic(self, topic: str, deadline: Deadline) -> int:
        """The number of partitions; a missing topic is created if the broker does so when asked for
        it.

        A broker creates a topic after it has answered that there is none, so this asks again until
        the look-up's time is up. Raises: TopicNotFound.
        """
        try:
            return self.require(topic, deadline)
        except errors.TopicNotFound:
            if not legal_topic(topic):
                raise because(errors.TopicNotFound, "No topic can have this name.") from None
        bound, asked = deadline.sooner(self._timeout), False
        while True:
            try:
                found = self._ask(self._creating(), topic, bound)
            except errors.KafkaRetriable:
                # The last one has hardly any time; what the one before it found stands.
                if not (asked and bound.expired):
                    raise
                raise because(errors.TopicNotFound, "The broker did not create it.") from None
            asked = True
            if found.error is None and found.partitions:
                return self._remember(topic, len(found.partitions))
            self._refuse(found.error, topic)
            if bound.expired:
                raise because(errors.TopicNotFound, "The broker did not create it.")
            time.sleep(min(CREATION_POLL_SECONDS, bound.left()))

    def forget(self, topic: str) -> None:
        """Ask Kafka again at the next look-up."""
        self._counts.pop(topic, None)

    def _describe(self, topic: str, deadline: Deadline) -> list[ConfigEntry]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            future = self._admin.describe_configs([resource], request_timeout=self._bound(deadline))
            entries = future[resource].result(timeout=self._bound(deadline) + 1)
        except KafkaException as failure:
            error = error_of(failure)
            # The embedded broker cannot describe configs, and has none either.
            if error.code() == KafkaError._UNSUPPORTED_FEATURE:
                return []
            raise self._error(failure, f"topic {topic}") from failure
        return list(entries.values())

    def _remember(self, topic: str, count: int) -> int:
        if len(self._counts) >= CACHED_TOPICS:
            self._counts.clear()
        self._counts[topic] = (count, self._clock())
        return count

    def _topic(self, topic: str, deadline: Deadline) -> TopicMetadata:
        if not legal_topic(topic):
            raise errors.IllegalTopic
        found = self._ask(self._admin, topic, deadline)
        if found.error is not None and found.error.code() == KafkaError.LEADER_NOT_AVAILABLE:
            return found
        if found.error is not None:
            raise rest_error(found.error, f"topic {topic}")
        return found

    @staticmethod
    def _refuse(error: KafkaError | None, topic: str) -> None:
        """Raise for what asking again will not cure."""
        passing = (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError.LEADER_NOT_AVAILABLE,
        )
        if error is not None and error.code() not in passing:
            raise rest_error(error, f"topic {topic}")

    def _ask(self, client: AdminClient, topic: str, deadline: Deadline) -> TopicMetadata:
        found: TopicMetadata | None = self._list(deadline, topic, client).topics.get(topic)
        if found is None:
            raise errors.UnknownTopic
        return found

    def _list(self, deadline: Deadline, topic: str | None, client: AdminClient) -> Any:
        try:
            found = client.list_topics(topic, timeout=self._bound(deadline))
        except KafkaException as failure:
            about = f"metadata of topic {topic}" if topic else "metadata of the cluster"
            raise self._error(failure, about) from failure
        self._trouble.over()
        return found

    def _error(self, failure: KafkaException, about: str) -> errors.RestError:
        self.serve()
        return rest_error(error_of(failure), about, self._trouble.last)

    def _bound(self, deadline: Deadline) -> float:
        refused = self._trouble.refusal is not None
        longest = min(self._timeout, REFUSED_SECONDS) if refused else self._timeout
        # librdkafka takes 0 for "at once": leave it a moment to find out that nothing is cached.
        return max(0.01, deadline.sooner(longest).left())

    def _creating(self) -> AdminClient:
        with self._creator_lock:
            if self._creator is None:
                # Nobody polls it for a log.
                quiet = {"allow.auto.create.topics": True, "log_level": 0}
                self._creator = self._make(without_debug(self._config) | quiet)
            return self._creator


def _partition(found: PartitionMetadata) -> Partition:
    in_sync = set(found.isrs)
    replicas = tuple(
        Replica(broker, broker == found.leader, broker in in_sync) for broker in found.replicas
    )
    return Partition(found.id, found.leader, replicas)
