"""A laned produce request stage by stage, in process: the real functions, warm, one after the
other, with a real client registry; and the whole beside them.

Where a function calls the next stage, that one is replaced, for its own time to be seen.
"""

import copy
import operator
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from confluent_kafka import Message, Producer

from kafka_rest import settings as s
from kafka_rest.api.envelopes import ProduceBody
from kafka_rest.api.request import text_within
from kafka_rest.api.response import Later
from kafka_rest.core.produce import ProduceResult
from kafka_rest.kafka.config import producer_config
from kafka_rest.kafka.producers import ANY_PARTITION, DeliveryBatch, SharedProducer
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import Deadline, DeliveryReport, ProduceRecord
from tests.laned import Caught, LanedConnection, produce_body
from tests.performance.cases import PARTITIONS, SCHEMAS, VALUES
from tests.stack import Stack

SIZES = (1, 100, 1000)
FORMATS = ("json", "avro", "binary")
PATIENCE_SECONDS = 30.0
PAUSE, LONGEST_PAUSE = 0.02, 0.2
"""How long reports are waited for before they are polled for, at first and at the longest."""
WARM_RECORDS = 200
"""So many records in a row make librdkafka's part of a small request a warm one."""
POLLER = "producer-poller"
PRODUCE, POLL = "produce() of librdkafka", "poll of librdkafka, messages"
LANE_STAGES = (
    "epoll",
    "read, split the head, look it up",
    "decode the body",
    "look the schema up, encode",
    "metadata",
    "hand over: batch, callbacks",
    PRODUCE,
)
POLLER_STAGES = (
    POLL,
    "collect the reports",
    "render",
    "head, write, wait again",
)
# Of C and quick, with any arguments: what stands in for librdkafka's calls.
ANYTHING: Callable[..., Any] = "".format


class Whole(NamedTuple):
    """CPU of a request that runs through at once, in us, by thread."""

    lane: float
    poller: float
    librdkafka: float


class Found(NamedTuple):
    """Of one format and size: each stage in us, and the whole."""

    stages: dict[str, float]
    whole: Whole


class _Stubbed:
    """A producer of librdkafka's that does nothing."""

    produce = staticmethod(ANYTHING)

    def poll(self, seconds: float) -> int:
        time.sleep(seconds)
        return 0

    def flush(self, _seconds: float) -> int:
        return 0


class Bench:
    """A laned connection with real clients, and producers that are polled by hand or do nothing."""

    def __init__(self, stack: Stack, format_name: str) -> None:
        # A topic that has to be looked up again would be left to a thread that may wait.
        told = {**stack.settings, "metadata.max.age.ms": "3600000"}
        settings = s.load(overrides=[f"{key}={value}" for key, value in told.items()])
        self.clients, self.format_name = ClientRegistry(settings), format_name
        topic = stack.create_topic(PARTITIONS, name="profile")
        self.connection = LanedConnection(self.clients, topic, format_name)
        more = {"value_schema": SCHEMAS[format_name]} if format_name in SCHEMAS else {}
        answer = self.connection.ordinary(produce_body(VALUES[format_name], 1, **more))
        self._schema = {"value_schema_id": answer["value_schema_id"]} if more else {}
        poller = next(thread for thread in threading.enumerate() if thread.name == POLLER)
        assert poller.ident is not None
        self._poller_clock = time.pthread_getcpuclockid(poller.ident)
        self._idle = SharedProducer({}, lambda _config: _Stubbed())  # type: ignore[arg-type,return-value]
        self._raw, self._pause = Producer(producer_config(settings)), PAUSE
        self._records: list[ProduceRecord] = []

    def close(self) -> None:
        """Close all clients, then the connection that they answer."""
        for client in (self._idle, self.clients):
            client.close(Deadline(PATIENCE_SECONDS))
        self._raw.flush(PATIENCE_SECONDS)
        self.connection.close()

    def measure(self, records: int, seconds: float) -> Found:
        """Stages and whole of requests of so many records, each for so many seconds."""
        body = produce_body(VALUES[self.format_name], records, **self._schema)
        self.connection.ordinary(body)
        return Found(self._stages(body, records, seconds), self._whole(body, seconds))

    def _whole(self, body: bytes, seconds: float) -> Whole:
        """Requests one after the other through the lane, the producer and back: means."""
        connection, raw = self.connection, self.connection.request(body)
        lane = requests = 0
        before, end = self._clocks(), time.monotonic() + seconds
        while time.monotonic() < end or not requests:
            connection.client.sendall(raw)
            begun = time.thread_time_ns()
            connection.wait()
            connection.take()
            lane += time.thread_time_ns() - begun
            connection.answer()
            requests += 1
        mine, polled, process = (now - old for now, old in zip(self._clocks(), before, strict=True))
        spent = (lane, polled, process - mine - polled)
        return Whole(*(ns / requests / 1000 for ns in spent))

    def _clocks(self) -> tuple[int, int, int]:
        """CPU of this thread, of the poller, and of all threads."""
        return (
            time.thread_time_ns(),
            time.clock_gettime_ns(self._poller_clock),
            time.process_time_ns(),
        )

    def _stages(self, body: bytes, records: int, seconds: float) -> dict[str, float]:
        """All stages in turns: medians."""
        found: dict[str, list[float]] = {name: [] for name in (*LANE_STAGES, *POLLER_STAGES)}
        messages, end = self._messages(records), time.monotonic() + seconds
        with self.connection.served_by(Caught):
            while time.monotonic() < end:
                for name, ns in self._pass(body, messages):
                    found[name].append(ns)
        end = time.monotonic() + seconds
        while time.monotonic() < end or not found[POLL]:
            assert time.monotonic() < end + PATIENCE_SECONDS, "Kafka does not answer in time"
            for name, ns in self._librdkafka():
                found[name].append(ns)
        return {name: statistics.median(times) / 1000 for name, times in found.items()}

    def _messages(self, records: int) -> list[Message]:
        """Messages that have been delivered."""
        found: list[Message] = []
        for _ in range(records):
            self._raw.produce(self.connection.topic, b"1", on_delivery=lambda _, m: found.append(m))
        self._raw.flush(PATIENCE_SECONDS)
        return found

    def _pass(self, body: bytes, messages: list[Message]) -> Iterator[tuple[str, float]]:
        """One request without librdkafka: from the socket to the hand-over, and back."""
        connection, clients, topic = self.connection, self.clients, self.connection.topic
        connection.client.sendall(connection.request(body))
        yield "epoll", timed(connection.wait)
        yield "read, split the head, look it up", timed(connection.take)
        # What the head came to, when it was new.
        environ, served = connection.known.environ, self._served
        handed: list[Any] = []
        producing = copy.copy(served._again.__self__)
        made: list[ProduceBody] = []
        yield (
            "decode the body",
            timed(lambda: made.append(producing._read(text_within(body, len(body))))),
        )
        producing._clients, producing._read = self._replaced(handed), lambda _text: made[0]
        answers_to_come: list[Later] = []
        yield (
            "look the schema up, encode",
            timed(lambda: answers_to_come.append(producing.again(body, environ))),
        )
        target, self._records, deadline, _done = handed[0]
        yield "metadata", timed(lambda: clients.metadata.ensure_topic(topic, deadline))
        send = partial(self._idle.send, target, self._records, deadline, ANYTHING)
        yield "hand over: batch, callbacks", timed(send)
        reports: list[list[DeliveryReport]] = []
        batch = DeliveryBatch(len(messages), reports.append)
        callbacks = [partial(batch.on_delivery, index, None) for index in range(len(messages))]
        yield (
            "collect the reports",
            timed(lambda: deque(map(operator.call, callbacks, messages), 0)),
        )
        answers: list[Any] = []
        later, result = answers_to_come[0], ProduceResult(reports[0], None, None)
        yield (
            "render",
            timed(lambda: answers.append(served.rendered(later, result, connection.seat))),
        )
        caught: Any = connection.seat.parked
        yield "head, write, wait again", timed(lambda: caught.send(*answers[0]))
        connection.answer()

    @property
    def _served(self) -> Any:
        """What the view has left for further requests of the head."""
        return self.connection.known.again.__self__  # type: ignore[attr-defined]

    def _replaced(self, handed: list[Any]) -> Any:
        """The clients without what an encoded request goes on to; `handed` gets that."""
        names = (
            *("settings", "limits", "schemas", "subject_strategies"),
            *("has_registry", "produced"),
        )
        return SimpleNamespace(
            **{name: getattr(self.clients, name) for name in names},
            metadata=SimpleNamespace(ensure_topic=lambda *_: PARTITIONS),
            producer=SimpleNamespace(send=lambda *arguments: handed.append(arguments)),
        )

    def _librdkafka(self) -> Iterator[tuple[str, float]]:
        """Its part of some requests in a row: so many that it is warm."""
        requests = max(1, WARM_RECORDS // len(self._records))
        yield PRODUCE, timed(lambda: self._produce(requests)) / requests
        time.sleep(self._pause)
        ns = timed(lambda: self._raw.poll(0))
        if not len(self._raw):
            yield POLL, ns / requests
            return
        # They were not all there: that says nothing.
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._raw.flush(PATIENCE_SECONDS)

    def _produce(self, requests: int) -> None:
        produce, topic = self._raw.produce, self.connection.topic
        for key, value, _partition, _headers, _timestamp in self._records * requests:
            # A callback of C; the hand-over has the cost of ours.
            produce(topic, value, key, ANY_PARTITION, operator.is_)


def timed(work: Callable[[], object]) -> float:
    """Nanoseconds that it took."""
    begun = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begun


def measured(stack: Stack, format_name: str, seconds: float) -> dict[int, Found]:
    """All sizes of one format."""
    bench = Bench(stack, format_name)
    try:
        return {records: bench.measure(records, seconds) for records in SIZES}
    finally:
        bench.close()


def rows(found: Mapping[int, Found]) -> list[list[str]]:
    """The table of one format: a row for each stage, sums and wholes below their thread's."""
    table = []
    for thread, names in (("lane", LANE_STAGES), ("poller", POLLER_STAGES)):
        table += [
            _row(name, thread, {n: f.stages[name] for n, f in found.items()}) for name in names
        ]
        sums = {n: sum(f.stages[name] for name in names) for n, f in found.items()}
        table.append(_row("*sum of these*", thread, sums))
        whole = {n: getattr(f.whole, thread) for n, f in found.items()}
        table.append(_row("**the whole, run through**", thread, whole))
    rest = {n: f.whole.librdkafka for n, f in found.items()}
    return [*table, _row("**librdkafka's threads meanwhile**", "rdk", rest)]


def _row(name: str, thread: str, times: Mapping[int, float]) -> list[str]:
    cells = []
    for records, us in times.items():
        cells.append(f"{us:,.1f}")
        if records > 1:
            cells.append(f"{us / records:.2f}")
    return [name, thread, *cells]


def head() -> list[str]:
    """The head of such a table."""
    columns = []
    for records in SIZES:
        columns.append("1 record, us" if records == 1 else f"{records:,} records, us")
        if records > 1:
            columns.append("us/record")
    return ["stage", "thread", *columns]
