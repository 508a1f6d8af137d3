"""Stand-ins for confluent-kafka's clients: just what the project calls, driven by the test."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest.errors import TooManyRequests


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakeMessage(Message):
    """A message, or an error that comes as one: the library's own class, made by hand."""

    def __init__(
        self,
        topic: str = "t",
        partition: int = 0,
        offset: int = 0,
        key: bytes | None = None,
        value: bytes | None = b"v",
        error: KafkaError | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            topic=topic,
            partition=partition,
            offset=offset,
            key=key,
            value=value,
            error=error,
            **more,
        )


class FakeConsumer:
    """A consumer with a queue of messages and events (callables), served in order."""

    def __init__(self, config: dict[str, Any], clock: FakeClock) -> None:
        self.config, self._clock = config, clock
        self.queue: deque[FakeMessage | Callable[[], None]] = deque()
        self.assigned: list[KafkaTopicPartition] = []
        self.stored: list[KafkaTopicPartition] = []
        self.commits: list[list[KafkaTopicPartition]] = []
        self.commit_error: KafkaError | None = None
        self.answers_commits = True
        self.topics: list[str] = []
        self.joins_on = False
        self.paused: set[tuple[str, int]] = set()
        self.seek_refusals = 0
        self.cooperative = False
        self.sought: list[tuple[str, int, int]] = []
        self.bounds: tuple[int, int] | None = (3, 9)
        self.fetched: tuple[int, int] | None = None
        self.found_by_time = 5
        self.stored_offset = 7
        self._dropped: deque[Any] = deque()
        self.closed = threading.Event()
        self.close_gate = threading.Event()
        self.close_gate.set()

    def unsubscribe(self) -> None:
        self.topics = []

        def event() -> None:
            gone, self.assigned = self.assigned, []
            self._on_revoke(self, gone)

        # librdkafka serves what the group has decided first, and revokes that too.
        self.queue.append(event)

    def memberid(self) -> str:
        return "me" if self.topics or self.joins_on else ""

    def assign(self, partitions: list[KafkaTopicPartition]) -> None:
        if self.cooperative:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.assigned = partitions

    def incremental_assign(self, partitions: list[KafkaTopicPartition]) -> None:
        self.assigned = [a for a in self.assigned if a not in partitions] + partitions

    def incremental_unassign(self, partitions: list[KafkaTopicPartition]) -> None:
        assert all(p in self.assigned for p in partitions)
        self.assigned = [a for a in self.assigned if a not in partitions]

    def seek(self, target: KafkaTopicPartition) -> None:
        if self.seek_refusals:
            self.seek_refusals -= 1
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.sought.append((target.topic, target.partition, target.offset))

    def get_watermark_offsets(
        self, place: KafkaTopicPartition, timeout: float = 0, cached: bool = False
    ) -> tuple[int, int] | None:
        return self.fetched if cached else self.bounds

    def offsets_for_times(
        self, places: list[KafkaTopicPartition], timeout: float
    ) -> list[KafkaTopicPartition]:
        return [KafkaTopicPartition(p.topic, p.partition, self.found_by_time) for p in places]

    def committed(
        self, places: list[KafkaTopicPartition], timeout: float
    ) -> list[KafkaTopicPartition]:
        return [KafkaTopicPartition(p.topic, p.partition, self.stored_offset) for p in places]

    def subscribe(self, topics: list[str], on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self.topics, self._on_assign, self._on_revoke = topics, on_assign, on_revoke

    def assign_now(self, *partitions: int, topic: str = "t") -> None:
        """Queue an assignment."""
        found = [KafkaTopicPartition(topic, p) for p in partitions]

        def event() -> None:
            self.assigned += found
            self._on_assign(self, found)

        self.queue.append(event)

    def revoke_now(self, *partitions: int, topic: str = "t") -> None:
        """Queue a revocation."""
        found = [KafkaTopicPartition(topic, p) for p in partitions]

        def event() -> None:
            self.assigned = [a for a in self.assigned if a not in found]
            self._on_revoke(self, found)

        self.queue.append(event)

    def poll(self, timeout: float) -> FakeMessage | None:
        assert not self.closed.is_set(), "polled after close"
        # librdkafka drops what is queued for a paused partition and fetches it again on resume.
        while self.queue and self._is_paused(self.queue[0]):
            self._dropped.append(self.queue.popleft())
        if not self.queue:
            self._clock.advance(timeout)
            return None
        found = self.queue.popleft()
        if isinstance(found, FakeMessage):
            return found
        found()
        return None

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        found: list[FakeMessage] = []
        while len(found) < count and (message := self.poll(0)) is not None:
            found.append(message)
        return found

    def assignment(self) -> list[KafkaTopicPartition]:
        return self.assigned

    def pause(self, partitions: list[KafkaTopicPartition]) -> None:
        self.paused |= {(p.topic, p.partition) for p in partitions}

    def resume(self, partitions: list[KafkaTopicPartition]) -> None:
        # Nothing else ends a pause: it outlives every assignment.
        self.paused -= {(p.topic, p.partition) for p in partitions}
        back = [message for message in self._dropped if not self._is_paused(message)]
        self._dropped = deque(message for message in self._dropped if message not in back)
        self.queue.extendleft(reversed(back))

    def _is_paused(self, entry: object) -> bool:
        return isinstance(entry, FakeMessage) and (entry.topic(), entry.partition()) in self.paused

    def store_offsets(self, offsets: list[KafkaTopicPartition]) -> None:
        self.stored += offsets

    def commit(self, offsets: list[KafkaTopicPartition], asynchronous: bool) -> None:
        assert asynchronous, "a synchronous commit has no time-out"
        if self.commit_error is not None and self.commit_error.code() == KafkaError._STATE:
            raise KafkaException(self.commit_error)
        self.commits.append(offsets)
        if self.answers_commits:
            self.queue.append(lambda: self.config["on_commit"](self.commit_error, offsets))

    def close(self) -> None:
        self.close_gate.wait(5)
        self.closed.set()


class FakeReads:
    """Notes who is to be tried again, and when; the test does so."""

    def __init__(self) -> None:
        self.count, self.most = 0, 1000
        self.armed = 0.0
        self.woken: list[Any] = []
        self.attached: list[Any] = []

    def enter(self) -> None:
        if self.count >= self.most:
            raise TooManyRequests
        self.count += 1

    def leave(self) -> None:
        self.count -= 1

    def attach(self, instance: Any, consumer: Any, client_id: str) -> Callable[[], None]:
        self.attached.append(instance)

        def detach() -> None:
            assert not consumer.closed.is_set(), "told of after close"
            self.attached.remove(instance)

        return detach

    def wake(self, instance: Any) -> None:
        self.woken.append(instance)

    def arm(self, instance: Any, seconds: float) -> None:
        self.armed = seconds


class FakeProducer:
    """A producer whose reports the test gives, on its own thread or the poller's."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.produced: list[tuple[str, bytes | None, bytes | None, int]] = []
        self.pending: deque[tuple[Any, FakeMessage]] = deque()
        self.room = 1_000_000
        self.refuses: dict[int, Exception] = {}
        self.reports = True
        self._offset = 0

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, on_delivery: Any
    ) -> None:
        if len(self.produced) in self.refuses:
            raise self.refuses.pop(len(self.produced))
        if len(self.pending) >= self.room:
            raise BufferError("Local: Queue full")
        self.produced.append((topic, value, key, partition))
        message = FakeMessage(topic, max(partition, 0), self._offset)
        self._offset += 1
        self.pending.append((on_delivery, message))

    def poll(self, timeout: float) -> int:
        if not self.reports or not self.pending:
            threading.Event().wait(min(timeout, 0.001))
            return 0
        on_delivery, message = self.pending.popleft()
        on_delivery(None, message)
        return 1

    def flush(self, timeout: float) -> int:
        return 0

    def __len__(self) -> int:
        return len(self.pending)
