"""The cases that the load generator cannot run: reads, latencies, requests beside long polls."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.performance.cases import Case, Lab, Runner, Sample, percentiles, produce_body
from tests.performance.client import Client, Refused, record_count
from tests.performance.processes import cpu_seconds
from tests.performance.servers import Kind, Server

READ_RECORDS = 160_000
BATCH = 1_000
CONSUMERS = (1, 10, 50)
LATENCIES = 100
POLLERS = 20
SETTLE_SECONDS = 0.05
IDLE_READS = 20
READ_WAIT_MS = 500
POLL_WAIT_MS = 20_000
ONE = {"records": [{"value": 1}]}


@dataclass(frozen=True, slots=True)
class Read:
    """Consumers that read a partition each, side by side, in answers of up to 1 MB."""

    format_name: str
    consumers: int
    table: str = "read"

    @property
    def name(self) -> str:
        many = "consumer" if self.consumers == 1 else "consumers"
        return f"read {self.format_name}, {self.consumers} {many}"

    def takes(self, server: Server) -> bool:
        return server.kind is Kind.PROXY

    @contextmanager
    def start(self, server: Server, lab: Lab) -> Iterator[Runner]:
        """All servers read one topic, which the first has filled: batches are equal for all."""
        if self.name not in lab.topics:
            lab.topics[self.name] = self._fill(server.client, lab)
        topic = lab.topics[self.name]
        client = server.client
        client.v2("DELETE", client.reader(self.format_name, topic, 0))
        yield lambda: self._run(server, topic)

    def _fill(self, client: Client, lab: Lab) -> str:
        topic = lab.stack.create_topic(self.consumers, name="bench")
        body: dict[str, Any] = {}
        for number in range(READ_RECORDS // BATCH):
            body = body or produce_body(client, "v2", self.format_name, topic, BATCH, partition=0)
            body["records"] = [body["records"][0] | {"partition": number % self.consumers}] * BATCH
            if number:
                filled = client.produce("v2", self.format_name, topic, body)
                if filled.status != 200:
                    raise Refused.by(filled)
        return topic

    def _run(self, server: Server, topic: str) -> Sample:
        client = server.client
        readers = [client.reader(self.format_name, topic, n) for n in range(self.consumers)]
        try:
            before, begun = _cpu(server), time.monotonic()
            with ThreadPoolExecutor(self.consumers) as pool:
                ended = list(pool.map(lambda reader: self._drain(server, reader), readers))
            spent = _cpu(server) - before
        finally:
            for reader in readers:
                client.v2("DELETE", reader)
        count = sum(found for found, _ in ended)
        rate = count / max(max(moment for _, moment in ended) - begun, 1e-6)
        found: Sample = {"records_per_second": rate, "missing": float(READ_RECORDS - count)}
        if server.pid is not None:
            found["cpu_us_per_record"] = spent / max(count, 1) * 1e6
        return found

    def _drain(self, server: Server, reader: str) -> tuple[int, float]:
        """How many records came, and when the last did; a server that loses some is given up."""
        client = server.client
        wanted = READ_RECORDS // BATCH // self.consumers * BATCH
        count, last, empty = 0, time.monotonic(), 0
        while count < wanted and empty < IDLE_READS:
            found = record_count(client.read(reader, self.format_name, READ_WAIT_MS))
            empty = 0 if found else empty + 1
            if found:
                count, last = count + found, time.monotonic()
        client.close()
        return count, last


@dataclass(frozen=True, slots=True)
class Latency:
    """How long single requests take, one after the other."""

    name: str
    measure: Callable[[Client, str, str], list[float]]
    """Milliseconds, from a client, a topic and a consumer of it."""
    pollers: int = 0
    """How many reads wait meanwhile."""
    table: str = "latency"

    def takes(self, server: Server) -> bool:
        return server.kind is Kind.PROXY

    @contextmanager
    def start(self, server: Server, lab: Lab) -> Iterator[Runner]:
        """A consumer at the end of a topic."""
        topic, quiet = lab.stack.create_topic(name="bench"), lab.stack.create_topic(name="bench")
        client = server.client
        produce_body(client, "v2", "json", topic, 1)
        consumer = client.reader("json", topic, 0)
        try:
            read_until(client, consumer)
            with waiting_reads(server, quiet, self.pollers):
                yield lambda: self._run(client, topic, consumer)
        finally:
            client.v2("DELETE", consumer)

    def _run(self, client: Client, topic: str, consumer: str) -> Sample:
        p50, p99 = percentiles(self.measure(client, topic, consumer))
        return {"p50_ms": p50, "p99_ms": p99}


def lone_produces(client: Client, topic: str, _consumer: str) -> list[float]:
    """Produce calls of one record."""
    return [_timed(lambda: produce_one(client, topic)) for _ in range(LATENCIES)]


def creations(client: Client, _topic: str, _consumer: str) -> list[float]:
    """Creations of a consumer."""
    found = []
    for _ in range(LATENCIES // 5):
        begun = time.perf_counter()
        made = client.create_consumer("json")
        found.append((time.perf_counter() - begun) * 1000)
        client.v2("DELETE", made)
    return found


def answered_reads(client: Client, topic: str, consumer: str) -> list[float]:
    """From the answer to a produce call to that of a read, called then, with its record."""
    read_until(client, consumer, empty=True)
    found = []
    for _ in range(LATENCIES):
        produce_one(client, topic)
        acknowledged = time.perf_counter()
        read_until(client, consumer)
        found.append((time.perf_counter() - acknowledged) * 1000)
    return found


def answered_polls(client: Client, topic: str, consumer: str) -> list[float]:
    """The same where the read waits already."""
    read_until(client, consumer, empty=True)
    found = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(LATENCIES):
            poll = pool.submit(lambda: (read_until(client, consumer), time.perf_counter())[1])
            time.sleep(SETTLE_SECONDS)
            produce_one(client, topic)
            acknowledged = time.perf_counter()
            # The read may be answered before the produce call is.
            found.append(max(poll.result() - acknowledged, 0.0) * 1000)
        pool.submit(client.close).result()
    return found


def read_until(client: Client, consumer: str, empty: bool = False) -> None:
    """Read until records come; or, if asked, until none come any more. Raises: Refused."""
    wait_ms = READ_WAIT_MS if empty else POLL_WAIT_MS
    for _ in range(IDLE_READS):
        if bool(record_count(client.read(consumer, "json", wait_ms))) is not empty:
            return
    raise Refused("records came without end" if empty else "the record did not come")


def produce_one(client: Client, topic: str) -> None:
    """Produce a record. Raises: Refused."""
    reply = client.produce("v2", "json", topic, ONE)
    if reply.status != 200:
        raise Refused.by(reply)


@contextmanager
def waiting_reads(server: Server, topic: str, count: int) -> Iterator[None]:
    """So many long polls that wait meanwhile, each asked again when it ends empty."""
    client, ending = server.client, threading.Event()
    readers = [client.reader("json", topic, 0) for _ in range(count)]

    def wait(reader: str) -> None:
        mine = server.client
        while not ending.is_set():
            mine.read(reader, "json", POLL_WAIT_MS)
        mine.close()

    with ThreadPoolExecutor(max(count, 1)) as pool:
        polls = [pool.submit(wait, reader) for reader in readers]
        if polls:
            time.sleep(1)
        try:
            yield
        finally:
            ending.set()
            # A record ends all of them.
            client.produce("v2", "json", topic, ONE)
            for poll in polls:
                poll.result()
            for reader in readers:
                with suppress(OSError):
                    client.v2("DELETE", reader)


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _cpu(server: Server) -> float:
    return cpu_seconds(server.pid) if server.pid is not None else 0.0


def wait_cases() -> list[Case]:
    """Reads, then latencies alone and beside waiting reads."""
    beside = f"beside {POLLERS} long polls"
    return [
        *(Read(name, count) for name in ("json", "avro", "binary") for count in CONSUMERS),
        Latency("read after an acknowledged produce", answered_reads),
        Latency("long poll answered after an acknowledged produce", answered_polls),
        Latency("produce one record, alone", lone_produces),
        Latency(f"produce one record, {beside}", lone_produces, POLLERS),
        Latency("create a consumer, alone", creations),
        Latency(f"create a consumer, {beside}", creations, POLLERS),
    ]
