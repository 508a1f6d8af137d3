"""One consumer instance: subscribe, read, commit, tick and close, under one mutex.

What describes an instance is a plain value (`InstanceDescription`), apart from the client that
serves it. Not for finding instances or expiring them: that is `kafka.instances`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.membership import Membership, Offsets
from kafka_rest.records import Clock, ConsumedRecord, Deadline, TopicPartition

T = TypeVar("T")

LEAST_CLOSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class InstanceDescription:
    """What a client asked for: enough to make the instance again, here or elsewhere."""

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
    """A consumer instance. Each call takes the mutex; `lock_by` bounds the wait for it."""

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
        self._about = f"consumer {description.name} of group {description.group}"
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._topics: tuple[str, ...] = ()
        self._handed_out: Offsets = {}
        own = {
            "group.id": description.group,
            "auto.offset.reset": description.auto_offset_reset,
            "enable.auto.commit": description.auto_commit,
        }
        self._member = Membership({**config, **own}, self._about, self._forget, make)

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
            if self._topics and self._topics != topics:
                raise errors.AlreadySubscribed
            if not self._topics:
                self._member.subscribe(topics)
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
            self._member.resume()
            self._wait_for_first(limits)
            records = self._fitting(limits.max_bytes)
            decoded: list[T] = []
            for record in records:
                try:
                    decoded.append(decode(record))
                except Exception:
                    self._member.put_back(records[len(decoded) :])
                    if not decoded:
                        raise
                    break
            self._hand_out(records[: len(decoded)])
            return decoded

    def commit(self, deadline: Deadline) -> Offsets:
        """Commit what has been handed out and still belongs to this instance; returns next offsets.

        Waits for the broker's word until the deadline. Raises: 50002/50003 when it does not come.
        """
        with self._held(deadline):
            wanted = dict(self._handed_out)
            if wanted:
                self._member.commit(wanted, deadline)
            return wanted

    def tick(self) -> None:
        """Serve librdkafka while no client does: an idle instance must not block its group."""
        if self._mutex.acquire(blocking=False):
            try:
                if not self._stopping.is_set():
                    self._member.serve(0)
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
        closer = threading.Thread(target=self._member.close, name="consumer-close", daemon=True)
        closer.start()
        closer.join(max(deadline.left(), LEAST_CLOSE_SECONDS))
        return not closer.is_alive()

    @contextmanager
    def _held(self, lock_by: Deadline) -> Iterator[None]:
        """Hold the instance for one call, which counts as use when it ends."""
        held = self._mutex.acquire(timeout=lock_by.left())
        try:
            if self._stopping.is_set():
                raise because(errors.InstanceNotFound, "It is being deleted.")
            if not held:
                raise because(errors.KafkaRetriable, f"another call still holds {self._about}.")
            yield
        finally:
            if held:
                self.last_used = self._clock()
                self._mutex.release()

    def _wait_for_first(self, limits: ReadLimits) -> None:
        """Poll until a record is carried or time is up. Raises: what Kafka reports meanwhile."""
        member = self._member
        end = None
        while not (member.carried or self._stopping.is_set() or self._draining.is_set()):
            if end is None and member.assigned:
                # The time to join does not count: a first read would else come back empty.
                end = Deadline(limits.wait_seconds, self._clock)
            bound = end or limits.join
            member.poll(bound.left())
            if (bound.expired or member.failed) and not member.carried:
                member.raise_failure()
                return

    def _fitting(self, max_bytes: int) -> list[ConsumedRecord]:
        """Carried records up to the limit, at least one if there is any."""
        member, used = self._member, 0
        records: list[ConsumedRecord] = []
        while True:
            if not member.carried:
                if records:
                    member.drain()
                if not member.carried:
                    return records
            size = member.carried[0].size_bytes
            # Reaching the limit ends a read as well as passing it does (reference behaviour).
            if records and used + size >= max_bytes:
                return records
            records.append(member.carried.popleft())
            used += size

    def _hand_out(self, records: list[ConsumedRecord]) -> None:
        """Count the records as returned to the client: these, and only these, can be committed."""
        fresh = {TopicPartition(r.topic, r.partition): r.next_offset for r in records}
        # A rebalance inside this read may have taken a partition whose records are already decoded.
        fresh = {place: offset for place, offset in fresh.items() if place in self._member.owned}
        self._handed_out.update(fresh)
        if self.description.auto_commit and fresh:
            self._member.store(fresh)

    def _forget(self, gone: set[TopicPartition]) -> None:
        # Committing for a partition that another member owns would rewind it.
        for place in gone:
            self._handed_out.pop(place, None)
