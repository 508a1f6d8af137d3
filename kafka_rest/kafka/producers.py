"""The shared producer of a worker: one librdkafka client, one poller thread, one batch per request.

Request threads hand records over and never poll or flush; delivery reports come back on the poller
thread, which completes the batch of the request they belong to. It also hands over what found no
room in librdkafka's queue, for callers that cannot wait.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from kafka_rest import errors
from kafka_rest.kafka.affinity import free_threads
from kafka_rest.kafka.failures import (
    FATE_OPEN,
    REPORTED,
    error_of,
    failed_report,
    partition_count,
    refused_report,
)
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG
from kafka_rest.kafka.trouble import BrokerTrouble
from kafka_rest.metrics import Cells
from kafka_rest.metrics.table import RECORD_ERRORS
from kafka_rest.pulse import Pulse
from kafka_rest.records import Deadline, DeliveryReport, ProduceRecord, WouldBlock

log = logging.getLogger(__name__)

# Producer.poll() with 0.2 s or more does not return early when a report arrives (librdkafka binding
# since 2.13), which would add up to that time to every answer.
POLL_SECONDS = 0.1
QUEUE_WAIT_SECONDS = 0.01
ANY_PARTITION = -1
NEAR_SECONDS, FAR_SECONDS = 0.0005, 0.003
"""A typical round trip below the first is that to a near broker, above the second not any more. It
has replication in it, and the requests that wait at the broker; so the two are far apart.
"""
NEAR_IN_FLIGHT = 5
"""How many requests may be under way to a broker that is near: what waits for a place there does so
for less time than its own request takes, and leaves with what has come meanwhile. With brokers that
are farther away, and with many partitions, the wait would cost more than it brings
(docs/performance.md).
"""
_IN_FLIGHT = ("max.in.flight.requests.per.connection", "max.in.flight")
STATISTICS_KEPT = 4
"""How many of librdkafka's statistics wait to be looked at; the oldest go."""

_NO_MORE: dict[str, Any] = {}
_ALL = object()
"""What stands for the end of the records to be handed over."""

Done = Callable[[list[DeliveryReport]], None]


class Target(NamedTuple):
    """Where records go: `partition` holds for all; None: each one's own, or as Kafka chooses."""

    topic: str
    partition: int | None
    partition_count: int


# As DeliveryReport(...) does it, at half the cost, once a record.
_made = tuple.__new__
_UNKNOWN = refused_report(
    errors.KafkaRetriable, f"No delivery report before the deadline. {FATE_OPEN}"
)


class DeliveryBatch:
    """The delivery reports of one request; the one owner of "is it complete".

    `done` is called exactly once, by whoever completes the batch: the poller thread with the last
    report, the sender when the last record fails locally, or whoever expires it.
    """

    __slots__ = ("_count", "_done", "_failed", "_once", "_producer", "_reports", "_size")

    def __init__(self, size: int, done: Done, producer: "SharedProducer | None" = None) -> None:
        self._size = size
        self._reports: list[DeliveryReport | None] = [None] * size
        self._done = done
        self._producer, self._failed = producer, False
        # Reports come from several threads; this is one C call, so each number is seen once.
        self._count = count(1).__next__
        self._once = threading.Lock()

    def on_delivery(self, index: int, error: KafkaError | None, message: Message) -> None:
        """Take the report of one record; runs on whichever thread serves librdkafka."""
        if error is None:
            place = (message.partition(), message.offset(), None, None)
            self._reports[index] = _made(DeliveryReport, place)
        else:
            self._failed = True
            self._reports[index] = failed_report(error, self._trouble)
        if self._count() == self._size:
            self._finish()

    @property
    def _trouble(self) -> KafkaError | None:
        return None if self._producer is None else self._producer.trouble

    def fail(self, index: int, report: DeliveryReport) -> None:
        """Take a record that was never handed over; runs on the thread that tried to."""
        self._failed = True
        self._reports[index] = report
        if self._count() == self._size:
            self._finish()

    def expire(self) -> None:
        """Answer now; a record without a report is reported as of unknown fate."""
        self._failed = True
        self._finish(in_time=False)

    def _finish(self, in_time: bool = True) -> None:
        if not self._once.acquire(blocking=False):
            return
        done = self._done
        # Whoever waits for the reports usually holds the batch.
        del self._done
        reports = cast(list[DeliveryReport], self._reports)
        if not in_time:
            reports = [report or _UNKNOWN for report in reports]
        if self._failed and self._producer is not None:
            self._producer.count_failures(reports)
        done(reports)


_Begun = tuple[DeliveryBatch, Iterator[None]]
"""A request's batch, and what hands its records over."""


class SharedProducer:
    """A worker's producer. Made after the fork, closed by the client registry.

    It has a second client of librdkafka's once the brokers have been found to be near (`adapt`).
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        make: Callable[[dict[str, Any]], Producer] = Producer,
        trouble: BrokerTrouble | None = None,
        cells: Cells | None = None,
    ) -> None:
        self._troubles = trouble or BrokerTrouble("producer")
        self._cells = cells or Cells()
        self._cells.start(RECORD_ERRORS, (kind.error_code for kind in REPORTED))
        self.statistics: deque[str] = deque(maxlen=STATISTICS_KEPT)
        # A long-lived client that keeps asking would bring a deleted topic back: topics are created
        # by `ClusterMetadata.ensure_topic` alone.
        self._make, self._config = (
            make,
            {
                **config,
                "allow.auto.create.topics": False,
                "error_cb": self._troubles.take,
                # On the poller thread, which does no more than to leave them for others.
                "stats_cb": self.statistics.append,
                "logger": LIBRDKAFKA_LOG,
            },
        )
        # One for brokers however far away, and one for near ones.
        self._clients: list[Producer] = [make({**self._config})]
        self._producer = self._clients[0]
        self._round_trip = FAR_SECONDS
        self._closing = threading.Event()
        self._waiting: deque[_Begun] = deque()
        self._put_off: deque[_Begun] | None = None
        self._poller = threading.Thread(target=self._poll, name="producer-poller", daemon=True)
        self.pulse = Pulse(self._poller)
        self._poller.start()

    def send(
        self, target: Target, records: Sequence[ProduceRecord], deadline: Deadline, done: Done
    ) -> DeliveryBatch:
        """Hand the records over and return; `done` gets their reports in the order given.

        Blocks only while librdkafka's queue is full, until the deadline at the longest; a record
        that found no room is reported as retriable. One for a partition that the topic lacks is not
        sent. Raises: WouldBlock where the caller may not block and others wait for room already.
        """
        if self._waiting and not deadline.may_block:
            raise WouldBlock
        batch = DeliveryBatch(len(records), done, self)
        steps = self._hand_over(batch, target, records, deadline)
        if deadline.may_block:
            for _ in steps:
                self._closing.wait(QUEUE_WAIT_SECONDS)
        elif self._put_off is not None:
            self._put_off.append((batch, steps))
        elif self._goes_on(batch, steps):
            self._waiting.append((batch, steps))
        return batch

    def put_off(self) -> Callable[[], None]:
        """From now on keep what callers that may not block send, until the returned is called.

        librdkafka's thread takes the first record that comes and sends it; what comes together is
        to leave together. Whoever calls this calls the returned soon after each `send`, from any
        thread; it does not block, and does not raise.
        """
        self._put_off = deque()
        return self._hand_over_put_off

    def _hand_over_put_off(self) -> None:
        put_off = self._put_off
        while put_off:
            try:
                batch, steps = put_off.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            if self._goes_on(batch, steps):
                self._waiting.append((batch, steps))

    @staticmethod
    def _goes_on(batch: DeliveryBatch, steps: Iterator[None]) -> bool:
        """Hand over what finds room now. True where that was not all: for the poller to go on."""
        try:
            return next(steps, _ALL) is not _ALL
        except Exception:
            # Its request is the only one that this concerns.
            log.exception("records not handed over")
            batch.expire()
            return False

    def _hand_over(
        self,
        batch: DeliveryBatch,
        target: Target,
        records: Sequence[ProduceRecord],
        deadline: Deadline,
    ) -> Iterator[None]:
        """Hand records over; stops wherever librdkafka's queue has no room, to be gone on with."""
        produce, deliver = self._producer.produce, batch.on_delivery
        topic, of_all, partitions = target
        if of_all is None:
            of_all = ANY_PARTITION
        for index, (key, value, own, headers, timestamp) in enumerate(records):
            partition = of_all if own is None else own
            if partition >= partitions:
                batch.fail(index, _no_such_partition(target))
                continue
            more = _NO_MORE
            if headers is not None or timestamp is not None:
                # 0 is "now" for librdkafka.
                more = {"headers": headers, "timestamp": timestamp or 0}
            while True:
                try:
                    produce(topic, value, key, partition, partial(deliver, index), **more)
                    break
                except BufferError:
                    if deadline.expired or self._closing.is_set():
                        full = KafkaError(KafkaError._QUEUE_FULL)
                        batch.fail(index, failed_report(full, self.trouble))
                        break
                    yield
                except KafkaException as failure:
                    batch.fail(index, failed_report(error_of(failure), self.trouble))
                    break

    def adapt(self, round_trip: float) -> None:
        """Have as many requests under way as suit brokers that are so far away: the typical round
        trip to the farthest of them, in seconds. Believes it when it is told twice.

        Does nothing where the settings say how many. Records that are under way stay where they
        are. For one thread at a time; blocks for some milliseconds when it makes the client.
        """
        if not self._config.keys().isdisjoint(_IN_FLIGHT):
            return
        least, most = sorted((self._round_trip, round_trip))
        self._round_trip = round_trip
        if most < NEAR_SECONDS:
            if len(self._clients) == 1:
                with free_threads():
                    near = self._make({**self._config, _IN_FLIGHT[0]: NEAR_IN_FLIGHT})
                self._clients.append(near)
            self._produce_by(self._clients[1], round_trip)
        elif least > FAR_SECONDS:
            self._produce_by(self._clients[0], round_trip)

    def _produce_by(self, client: Producer, round_trip: float) -> None:
        if client is not self._producer:
            log.info(
                "brokers answer within %.1f ms, requests under way to each: %s",
                round_trip * 1000,
                "any number" if client is self._clients[0] else f"at most {NEAR_IN_FLIGHT}",
            )
            self._producer = client

    @property
    def queued(self) -> int:
        """Records and reports in librdkafka's queues."""
        return sum(map(len, self._clients))

    def count_failures(self, reports: list[DeliveryReport]) -> None:
        """Count those of a request's reports that are failures."""
        codes = Counter(report.error_code for report in reports if report.error_code is not None)
        for code, times in codes.items():
            self._cells.count(RECORD_ERRORS, str(code), by=times)

    @property
    def trouble(self) -> KafkaError | None:
        """What has ended the producer, else the last broker trouble , if it is fresh."""
        return self._troubles.last

    @property
    def refusal(self) -> KafkaError | None:
        """Why Kafka and the producer do not accept each other, while they do not."""
        return self._troubles.refusal

    def close(self, deadline: Deadline) -> None:
        """Deliver what is queued, for as long as the deadline allows, then stop the poller."""
        self._hand_over_put_off()
        while self._waiting and not deadline.expired:
            time.sleep(QUEUE_WAIT_SECONDS)
        left = sum(client.flush(deadline.left()) for client in self._clients)
        if left:
            log.warning("producer closed with undelivered records count=%d", left)
        self._closing.set()
        self._poller.join(max(deadline.left(), 2 * POLL_SECONDS))

    def _poll(self) -> None:
        while not self._closing.is_set():
            self.pulse.beat()
            try:
                seconds = QUEUE_WAIT_SECONDS if self._waiting else POLL_SECONDS
                for client in self._clients:
                    if client is not self._producer and len(client):
                        client.poll(0)
                        seconds = QUEUE_WAIT_SECONDS
                self._producer.poll(seconds)
                if self._waiting and not self._goes_on(*self._waiting[0]):
                    self._waiting.popleft()
            except Exception:
                # A callback that raises must not end the thread on which every request waits.
                log.exception("delivery callback failed")


def _no_such_partition(target: Target) -> DeliveryReport:
    return refused_report(
        errors.PartitionNotFound, partition_count(target.topic, target.partition_count)
    )
