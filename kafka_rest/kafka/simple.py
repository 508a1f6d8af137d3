"""The simple consumer: stateless reads of one partition from an offset, through a small pool of
clients.

No group, no commit, no memory between two reads.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.failures import BROKER_TROUBLE, rest_error
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG, sizes_of
from kafka_rest.kafka.positions import bounds
from kafka_rest.records import Deadline, TopicPartition

log = logging.getLogger(__name__)

POLL_SLICE_SECONDS = 0.1
DRAIN_COUNT = 1000
CLOSE_SECONDS = 1.0
# librdkafka wants a group id to make a consumer; with manual assignment and no commits it never
# joins.
GROUP = "rest-simpleconsumer"


class SimpleConsumers:
    """A pool of clients for stateless reads; owns them.

    `size` 0 is no limit, `wait_seconds` 0 no timeout.
    """

    def __init__(
        self,
        config: dict[str, Any],
        size: int,
        wait_seconds: float,
        make: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        self._config = {
            **config,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "logger": LIBRDKAFKA_LOG,
        }
        self._make, self._wait = make, wait_seconds
        self._room = threading.BoundedSemaphore(size) if size else None
        self._idle: LifoQueue[Consumer] = LifoQueue()
        self._closed = False

    def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        count: int,
        max_bytes: int,
        deadline: Deadline,
    ) -> list[Message]:
        """Read up to `count` records from `offset`, fewer at the log's end, `max_bytes` or the
        deadline.

        Raises: SimpleConsumersBusy; 50002 for an offset outside the log, 50002/50003 from Kafka.
        """
        about = f"topic {topic}, partition {partition}, offset {offset}"
        with self._borrowed(deadline) as consumer:
            low, high = bounds(consumer, TopicPartition(topic, partition), deadline, about)
            if not low <= offset <= high:
                raise because(
                    errors.KafkaFailure,
                    f"Fetch response contains an error code: 1 (offset {offset} is outside the "
                    f"log of "
                    f"topic {topic}, partition {partition}, which holds {low} to {high}).",
                )
            if offset == high:
                return []
            consumer.assign([KafkaTopicPartition(topic, partition, offset)])
            try:
                return _collect(consumer, count, max_bytes, deadline, about)
            finally:
                consumer.unassign()

    def close(self, deadline: Deadline) -> None:
        """Close the idle clients, side by side; one that is out is closed by its reader.

        Waits a second for them at most: one may hang, and the groups are still to be left.
        """
        self._closed = True
        closers = []
        with suppress(Empty):
            while True:
                close = self._idle.get_nowait().close
                closers.append(threading.Thread(target=close, name="simple-close", daemon=True))
        for closer in closers:
            closer.start()
        end = deadline.sooner(CLOSE_SECONDS)
        for closer in closers:
            closer.join(end.left())
        if hanging := sum(closer.is_alive() for closer in closers):
            log.warning("simple consumers did not close in time count=%d", hanging)

    @contextmanager
    def _borrowed(self, deadline: Deadline) -> Iterator[Consumer]:
        if self._room is not None:
            # 0 is "wait for ever" in the reference; the request's own deadline still holds.
            bound = deadline.sooner(self._wait) if self._wait else deadline
            if not self._room.acquire(timeout=bound.left()):
                raise errors.SimpleConsumersBusy
        try:
            try:
                consumer = self._idle.get_nowait()
            except Empty:
                consumer = self._make(dict(self._config))
            try:
                yield consumer
            finally:
                if self._closed:
                    consumer.close()
                else:
                    self._idle.put(consumer)
        finally:
            if self._room is not None:
                self._room.release()


class _Collection:
    """The records of one read while it goes on; `end` once there is no more to wait for."""

    def __init__(self, count: int, max_bytes: int) -> None:
        self.records: list[Message] = []
        self.trouble: KafkaError | None = None
        self.end = False
        self._count, self._max_bytes, self._used = count, max_bytes, 0

    @property
    def missing(self) -> int:
        """How many records are still wanted."""
        return self._count - len(self.records)

    def add(self, message: Message, about: str) -> None:
        """Take a message. Raises: for an error that waiting will not cure."""
        error = message.error()
        if error is not None:
            self._add_error(error, about)
            return
        self._used += sum(sizes_of([message]))
        if self.records and self._used >= self._max_bytes:
            self.end = True
            return
        self.records.append(message)
        self.end = not self.missing

    def _add_error(self, error: KafkaError, about: str) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self.end = True
        elif error.code() in BROKER_TROUBLE:
            self.trouble = error
        else:
            raise rest_error(error, about)


def _collect(
    consumer: Consumer, count: int, max_bytes: int, deadline: Deadline, about: str
) -> list[Message]:
    found = _Collection(count, max_bytes)
    while not (found.end or deadline.expired):
        first = consumer.poll(min(deadline.left(), POLL_SLICE_SECONDS))
        if first is None:
            continue
        found.add(first, about)
        for message in (
            consumer.consume(min(found.missing, DRAIN_COUNT), 0) if not found.end else ()
        ):
            if not found.end:
                found.add(message, about)
    if found.trouble is not None and not (found.records or found.end):
        raise rest_error(found.trouble, about)
    return found.records
