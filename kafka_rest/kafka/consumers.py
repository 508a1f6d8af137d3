"""One consumer instance: subscribe, read, commit, tick and close, under one mutex.

What describes an instance is a plain value (`InstanceDescription`), apart from the client that
serves
it. Not for finding instances or expiring them: that is `kafka.instances`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.failures import (
    BROKER_TROUBLE,
    NO_DATA_YET,
    error_of,
    rest_error,
)
from kafka_rest.kafka.messages import record_of
from kafka_rest.records import Clock, ConsumedRecord, Deadline, TopicPartition

log = logging.getLogger(__name__)

T = TypeVar("T")

# consume(n, t) does not return before 200 ms even when a record arrives earlier, poll(t) does if t
# is
# shorter; a slice this long also bounds how late a reader notices that it is to stop.
POLL_SLICE_SECONDS = 0.1
DRAIN_COUNT = 1000
CLOSE_SECONDS = 5.0
IDLE_CARRY_COUNT = 100


@dataclass(frozen=True, slots=True)
class InstanceDescription:
    """What a client asked for: enough to make the instance again elsewhere, with its committed
    offsets.
    """

    group: str
    name: str
    embedded_format: str
    auto_offset_reset: str
    auto_commit: bool


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one read.

    `max_bytes` counts keys and values; at least one record is returned whatever its size. The read
    waits for its first record until `wait_seconds` after the group has given the instance its
    partitions, or until `join` if it never does.
    """

    max_bytes: int
    wait_seconds: float
    join: Deadline


class ConsumerInstance:
    """A consumer instance. Each public method takes the mutex; `lock_by` bounds the wait for it."""

    def __init__(
        self,
        description: InstanceDescription,
        config: dict[str, Any],
        draining: threading.Event,
        make: Callable[[dict[str, Any]], Consumer] = Consumer,
        clock: Clock = time.monotonic,
    ) -> None:
        self.description = description
        self.last_used = clock()
        self._clock, self._draining = clock, draining
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._carried: deque[ConsumedRecord] = deque()
        self._handed_out: dict[TopicPartition, int] = {}
        self._topics: tuple[str, ...] = ()
        self._assigned = False
        self._owned: set[TopicPartition] = set()
        self._paused = False
        self._trouble: KafkaError | None = None
        self._committed: tuple[KafkaError | None, dict[TopicPartition, int]] | None = None
        self._consumer = make(
            {
                **config,
                "group.id": description.group,
                "auto.offset.reset": description.auto_offset_reset,
                "enable.auto.commit": description.auto_commit,
                "error_cb": self._on_error,
                "on_commit": self._on_commit,
            }
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics subscribed to, () before the first subscription."""
        return self._topics

    @property
    def busy(self) -> bool:
        """True while a call holds the instance."""
        return self._mutex.locked()

    def subscribe_once(self, topics: tuple[str, ...], lock_by: Deadline) -> None:
        """Start joining the group for these topics; does not wait for the assignment.

        Raises: AlreadySubscribed where the instance has other topics (v1: one topic for life).
        """
        with self._held(lock_by):
            if self._topics == topics:
                return
            if self._topics:
                raise errors.AlreadySubscribed
            self._consumer.subscribe(
                list(topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
            self._topics = topics

    def read(
        self, limits: ReadLimits, decode: Callable[[ConsumedRecord], T], lock_by: Deadline
    ) -> list[T]:
        """Read records, decode them and count them as handed out; what does not fit is kept.

        Answers as soon as there is data, empty at the deadline. Where `decode` raises, the records
        before that one are returned; if there are none its error passes through and the position
        stays.
        """
        with self._held(lock_by):
            self._resume()
            records = self._gather(limits)
            decoded: list[T] = []
            for record in records:
                try:
                    decoded.append(decode(record))
                except Exception:
                    self._carried.extendleft(reversed(records[len(decoded) :]))
                    if not decoded:
                        raise
                    break
            self._hand_out(records[: len(decoded)])
            return decoded

    def commit(self, deadline: Deadline) -> dict[TopicPartition, int]:
        """Commit what has been handed out and still belongs to this instance; returns next offsets.

        Waits for the broker's word until the deadline. Raises: 50002/50003 when it does not come.
        """
        with self._held(deadline):
            wanted = dict(self._handed_out)
            if not wanted:
                return {}
            offsets = [KafkaTopicPartition(t, p, offset) for (t, p), offset in wanted.items()]
            self._committed = None
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
                self._await_commit(wanted, deadline)
            except KafkaException as failure:
                raise rest_error(error_of(failure), self._about, self._trouble) from failure
            return wanted

    def tick(self) -> None:
        """Serve librdkafka while no client does, so that an idle instance never blocks its
        group.
        """
        if self._mutex.acquire(blocking=False):
            try:
                if not self._stopping.is_set():
                    self._serve(0)
            finally:
                self._mutex.release()

    def close(self, deadline: Deadline) -> bool:
        """Leave the group and free the client; a reader is told to end first. False if it hangs.

        Only the holder of the mutex may close: closing under another thread's poll hangs that
        thread.
        """
        self._stopping.set()
        if not self._mutex.acquire(timeout=deadline.left()):
            return False
        # The mutex is never released: a late caller finds the instance stopping, not a dead client.
        closer = threading.Thread(target=self._close, name="consumer-close", daemon=True)
        closer.start()
        closer.join(max(deadline.left(), 0.1))
        return not closer.is_alive()

    # -- under the mutex ---------------------------------------------------------------------------

    @contextmanager
    def _held(self, lock_by: Deadline) -> Iterator[None]:
        """Hold the instance for one call, which counts as use when it ends."""
        if not self._mutex.acquire(timeout=lock_by.left()):
            if self._stopping.is_set():
                raise because(errors.InstanceNotFound, "It is being deleted.")
            raise because(errors.KafkaRetriable, f"another call still holds {self._about}.")
        try:
            if self._stopping.is_set():
                raise because(errors.InstanceNotFound, "It is being deleted.")
            yield
        finally:
            self.last_used = self._clock()
            self._mutex.release()

    @property
    def _about(self) -> str:
        return f"consumer {self.description.name} of group {self.description.group}"

    def _gather(self, limits: ReadLimits) -> list[ConsumedRecord]:
        first = self._carried.popleft() if self._carried else self._wait_for_first(limits)
        if first is None:
            return []
        records, used = [first], first.size_bytes
        while used < limits.max_bytes:
            if not self._carried and not self._drain():
                break
            # "Reaches the limit" ends a read too, as in the reference.
            if used + self._carried[0].size_bytes >= limits.max_bytes:
                break
            record = self._carried.popleft()
            records.append(record)
            used += record.size_bytes
        return records

    def _wait_for_first(self, limits: ReadLimits) -> ConsumedRecord | None:
        """The first record, or None at the deadline. Raises: what Kafka reports for good."""
        end = Deadline(limits.wait_seconds, self._clock) if self._assigned else None
        while not (self._stopping.is_set() or self._draining.is_set()):
            if end is None and self._assigned:
                # The time to join does not count: a first read would else come back empty.
                end = Deadline(limits.wait_seconds, self._clock)
            left = (end or limits.join).left()
            record = self._take(self._consumer.poll(min(left, POLL_SLICE_SECONDS)))
            if record is not None:
                return record
            if (end or limits.join).expired:
                break
        if self._trouble is not None and not self._stopping.is_set():
            raise rest_error(self._trouble, self._about)
        return None

    def _drain(self) -> bool:
        """Carry what is there at once; False when there is nothing."""
        for message in self._consumer.consume(DRAIN_COUNT, 0):
            record = self._take(message)
            if record is not None:
                self._carried.append(record)
        return bool(self._carried)

    def _take(self, message: Message | None) -> ConsumedRecord | None:
        """The record in a message; errors arrive as messages too. Raises: those that stay."""
        if message is None:
            return None
        error = message.error()
        if error is None:
            self._trouble = None
            return record_of(message)
        if error.code() in BROKER_TROUBLE:
            self._trouble = error
        elif error.code() not in NO_DATA_YET:
            raise rest_error(error, self._about)
        return None

    def _hand_out(self, records: list[ConsumedRecord]) -> None:
        """Count the records as returned to the client: these, and only these, can be committed."""
        fresh: dict[TopicPartition, int] = {}
        for record in records:
            fresh[TopicPartition(record.topic, record.partition)] = record.next_offset
        # A rebalance inside this read may have taken a partition whose records are already decoded.
        fresh = {where: offset for where, offset in fresh.items() if where in self._owned}
        self._handed_out.update(fresh)
        if self.description.auto_commit and fresh:
            try:
                self._consumer.store_offsets(
                    offsets=[KafkaTopicPartition(t, p, offset) for (t, p), offset in fresh.items()]
                )
            except KafkaException as failure:
                # The partition has just been taken away; its next owner reads from the last commit.
                log.info("offsets not stored %s reason=%s", self._about, error_of(failure).str())

    def _await_commit(self, wanted: dict[TopicPartition, int], deadline: Deadline) -> None:
        while not deadline.expired:
            self._serve(min(deadline.left(), POLL_SLICE_SECONDS))
            if self._committed is not None and self._committed[1] == wanted:
                error = self._committed[0]
                if error is not None and error.code() != KafkaError._NO_OFFSET:
                    raise KafkaException(error)
                return
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "No answer to the commit in time"))

    def _serve(self, timeout: float) -> None:
        """Poll for events; a record that comes instead is carried, and a flood of them paused.

        Records lie in the same queue as the group's events and would hide them.
        """
        record = self._take(self._consumer.poll(timeout))
        if record is None:
            return
        self._carried.append(record)
        if len(self._carried) >= IDLE_CARRY_COUNT and not self._paused:
            self._paused = True
            self._consumer.pause(self._consumer.assignment())

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._consumer.resume(self._consumer.assignment())

    def _close(self) -> None:
        self._carried.clear()
        try:
            self._consumer.close()
        except (KafkaException, RuntimeError) as failure:
            log.warning("consumer did not close cleanly %s reason=%s", self._about, failure)

    # -- librdkafka's callbacks, on the thread that polls
    # ----------------------------------------------

    def _on_assign(self, _consumer: Consumer, partitions: list[KafkaTopicPartition]) -> None:
        # Incremental or not, what is new comes here and what is gone went through `_on_revoke`.
        self._owned.update(TopicPartition(p.topic, p.partition) for p in partitions)
        self._assigned = True
        self._paused = False
        log.info("partitions assigned %s count=%d", self._about, len(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[KafkaTopicPartition]) -> None:
        gone = {TopicPartition(p.topic, p.partition) for p in partitions}
        self._carried = deque(
            r for r in self._carried if TopicPartition(r.topic, r.partition) not in gone
        )
        self._owned -= gone
        # Committing for a partition that another member owns would rewind it.
        for topic_partition in gone:
            self._handed_out.pop(topic_partition, None)
        log.info("partitions revoked %s count=%d", self._about, len(partitions))

    def _on_commit(
        self, error: KafkaError | None, partitions: list[KafkaTopicPartition] | None
    ) -> None:
        partitions = partitions or []
        refused = error or next((p.error for p in partitions if p.error is not None), None)
        self._committed = (
            refused,
            {TopicPartition(p.topic, p.partition): p.offset for p in partitions},
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in BROKER_TROUBLE:
            self._trouble = error
        log.warning("consumer error %s code=%s text=%s", self._about, error.name(), error.str())
