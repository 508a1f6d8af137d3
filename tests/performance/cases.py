"""The cases that the load generator runs: produce and plain GETs; and the list of all cases."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition

from tests.performance import bare
from tests.performance.client import Client, Refused, field_of, produce_type
from tests.performance.load import Request, Run, wrk
from tests.performance.servers import WORKERS, Kind, Server
from tests.stack import Reply, Stack

PARTITIONS = 3
PATIENCE_SECONDS = 10.0
CONNECTIONS = (1, 16, 64)
BATCHES = ((100, 8), (1000, 4))
USER = {
    "type": "record",
    "name": "User",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "age", "type": "int"},
        {"name": "mail", "type": ["null", "string"]},
    ],
}
VALUES: dict[str, Any] = {
    "binary": "eyJuYW1lIjoidGVzdFVzZXIiLCJhZ2UiOjQyLCJtYWlsIjoidXNlckBleGFtcGxlLm9yZyJ9",
    "json": {"name": "testUser", "age": 42, "mail": "user@example.org"},
    "avro": {"name": "testUser", "age": 42, "mail": {"string": "user@example.org"}},
}
VALUES |= dict.fromkeys(("jsonschema", "protobuf"), VALUES["json"])
STRING = {"type": "string"}
SCHEMAS = {
    "avro": json.dumps(USER),
    "jsonschema": json.dumps(
        {
            "type": "object",
            "properties": {"name": STRING, "age": {"type": "integer"}, "mail": STRING},
            "required": ["name", "age"],
        }
    ),
    "protobuf": 'syntax = "proto3"; message User { string name = 1; int32 age = 2; '
    "string mail = 3; }",
}

Sample = dict[str, float]
"""What one run found, by the columns of the report."""
Runner = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Lab:
    """Where a case runs, and how long one run is."""

    stack: Stack
    seconds: float
    warm_up: float
    topics: dict[str, str] = field(default_factory=dict)
    """Topics that all servers read, by case."""


class Case(Protocol):
    """One thing that is measured. A run may be repeated; what it makes it takes away."""

    @property
    def name(self) -> str:
        """What the report and `--only` call it."""

    @property
    def table(self) -> str:
        """The table of the report that it belongs to."""

    def takes(self, server: Server) -> bool:
        """Whether it means anything for such a server."""

    def start(self, server: Server, lab: Lab) -> AbstractContextManager[Runner]:
        """Prepare and warm up. Raises: Refused."""


@dataclass(frozen=True, slots=True)
class Produce:
    """The same produce request over and over, on so many connections."""

    version: str
    format_name: str
    records: int
    connections: int
    table: str = "produce"

    @property
    def name(self) -> str:
        many = "record" if self.records == 1 else "records"
        return (
            f"produce {self.version} {self.format_name}, {self.records:,} {many} "
            f"x {self.connections}"
        )

    def takes(self, server: Server) -> bool:
        plain = self.version == "v2" and self.format_name == "json"
        return server.kind is Kind.PROXY or plain

    def start(self, server: Server, lab: Lab) -> AbstractContextManager[Runner]:
        topic = lab.stack.create_topic(PARTITIONS, name="bench")
        if server.kind is Kind.LOOP:
            return nullcontext(lambda: self._loop(topic, lab))
        body = produce_body(server.client, self.version, self.format_name, topic, self.records)
        url = f"{server.url}/topics/{topic}"
        request = Request(url, json.dumps(body), produce_type(self.version, self.format_name))
        wrk(request, self.connections, lab.warm_up)

        def run() -> Sample:
            kept = 0 if server.kind is Kind.ANSWERS else stored(lab.stack, topic)
            done = wrk(request, self.connections, lab.seconds, server.pid)
            if server.kind is Kind.ANSWERS:
                return sample(done, self.records)
            return sample(done, self.records, stored(lab.stack, topic) - kept)

        return nullcontext(run)

    def _loop(self, topic: str, lab: Lab) -> Sample:
        value = json.dumps(VALUES["json"], separators=(",", ":"))
        outcome = bare.run_loops(
            bare.Loop(
                lab.stack.bootstrap,
                topic,
                value,
                self.records,
                self.connections,
                lab.warm_up,
                lab.seconds,
            ),
            WORKERS,
        )
        p50, p99 = percentiles(outcome.latencies_ms)
        return sample(
            Run(outcome.requests, outcome.seconds, p50, p99, 0, outcome.cpu_seconds), self.records
        )


@dataclass(frozen=True, slots=True)
class Get:
    """The same GET over and over."""

    path: str
    connections: int = 16
    table: str = "other"

    @property
    def name(self) -> str:
        return f"GET {self.path} x {self.connections}"

    def takes(self, server: Server) -> bool:
        return server.kind is Kind.PROXY

    def start(self, server: Server, lab: Lab) -> AbstractContextManager[Runner]:
        first = server.client.request("GET", self.path)
        if first.status >= 300:
            raise Refused.by(first)
        request = Request(server.url + self.path)
        wrk(request, self.connections, lab.warm_up)
        return nullcontext(
            lambda: sample(wrk(request, self.connections, lab.seconds, server.pid), 0)
        )


def produce_cases() -> list[Case]:
    """All that the load generator runs."""
    formats = {"v2": tuple(VALUES), "v1": ("binary", "json", "avro")}
    found: list[Case] = []
    for version, names in formats.items():
        found += [Produce(version, "json", 1, connections) for connections in CONNECTIONS]
        found += [
            Produce(version, name, records, connections)
            for records, connections in BATCHES
            for name in names
        ]
    return [*found, Get("/"), Get("/topics")]


def produce_body(
    client: Client, version: str, format_name: str, topic: str, records: int, **more: Any
) -> dict[str, Any]:
    """A body that the server has taken once; a schema stands in it by its id. Raises: Refused.

    `more` is what each record has beside its value.
    """
    body: dict[str, Any] = {"records": [{"value": VALUES[format_name], **more}] * records}
    first = dict(body)
    if format_name in SCHEMAS:
        first["value_schema"] = SCHEMAS[format_name]
    reply = _taken(client, version, format_name, topic, first)
    if format_name in SCHEMAS:
        body["value_schema_id"] = field_of(reply, "value_schema_id", int)
    return body


def _taken(client: Client, version: str, format_name: str, topic: str, body: Any) -> Reply:
    """The answer to a produce request; a server may learn of a new topic a little later."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        reply = client.produce(version, format_name, topic, body)
        if reply.status == 200 and all(map(_is_written, field_of(reply, "offsets", list))):
            return reply
        if reply.status not in (200, 404, 500, 503) or time.monotonic() > end:
            raise Refused.by(reply)
        time.sleep(0.2)


def _is_written(offset: Any) -> bool:
    return type(offset) is dict and not offset.get("error_code")


def stored(stack: Stack, topic: str) -> int:
    """How many records a topic has been given."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "bench-ends"})
    try:
        found = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), 10) for p in found]
        return sum(end for _low, end in ends)
    finally:
        consumer.close()


def sample(run: Run, records: int, written: int | None = None) -> Sample:
    """A run as columns; records are those of one request, 0 where it has none.

    `written` is how many are in the topic: answers without theirs are no throughput. It may be more
    than was answered, since the run ends with requests under way.
    """
    acknowledged = run.taken * records
    lost = 0 if written is None else max(acknowledged - written, 0)
    taken = run.taken - lost / max(records, 1)
    found = {
        "requests_per_second": taken / run.seconds,
        "p50_ms": run.p50_ms,
        "p99_ms": run.p99_ms,
        "failed": float(run.failed + lost),
    }
    if records:
        found["records_per_second"] = taken * records / run.seconds
    if run.cpu_seconds is not None:
        found["cpu_us_per_request"] = run.cpu_seconds / max(run.requests, 1) * 1e6
        if records:
            found["cpu_us_per_record"] = found["cpu_us_per_request"] / records
    return found


def percentiles(values_ms: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    if len(values_ms) < 2:
        return (values_ms[0], values_ms[0]) if values_ms else (float("nan"), float("nan"))
    cuts = statistics.quantiles(values_ms, n=100, method="inclusive")
    return cuts[49], cuts[98]
