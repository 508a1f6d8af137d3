"""Measure the proxy on a real Kafka: throughput, CPU, latency, memory, start-up. Prints
tables, asserts nothing.

    make bench [BENCH="--bootstrap HOST:PORT --seconds 3 --rounds 3"]

The load generator, Kafka and the proxy share this machine: compare figures of one run only.
"""

import argparse
import json
import platform
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka_rest.devstack.children import EmbeddedRegistry
from tests.performance.load import (
    Run,
    cpu_seconds,
    require_wrk,
    resident_mb,
    spread,
    table,
    wrk,
)
from tests.stack import Proxy, Stack

ROOT = Path(__file__).parents[2]
WARM_UP_SECONDS = 1.0
LATENCIES = 100
CONSUMERS = 50
FORMATS = ("binary", "json", "avro", "jsonschema", "protobuf")
POLLERS = 20
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
SCHEMAS = {
    "avro": json.dumps(USER),
    "jsonschema": json.dumps(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer"},
                "mail": {"type": "string"},
            },
            "required": ["name", "age"],
        }
    ),
    "protobuf": 'syntax = "proto3"; message User { string name = 1; int32 age = 2; '
    "string mail = 3; }",
}


@contextmanager
def kafka(bootstrap: str) -> Iterator[str]:
    """The Kafka named, or one of our own."""
    if bootstrap:
        yield bootstrap
        return
    script = str(ROOT / "scripts/kafka")
    started = subprocess.run(
        [script, "start", "--name", "bench"], check=True, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started.stdout.strip()
    finally:
        subprocess.run([script, "stop", "--name", "bench"], check=False)


class Bench:
    """The runs against one proxy."""

    def __init__(self, proxy: Proxy, seconds: float, rounds: int) -> None:
        self.proxy, self.seconds, self.rounds = proxy, seconds, rounds
        self.results: dict[str, Any] = {}

    def produce(self, name: str, format_name: str, records: int, connections: int) -> list[str]:
        """One row: a case run `rounds` times after a warm-up."""
        topic = self.proxy.stack.create_topic(partitions=3)
        body: dict[str, Any] = {"records": [{"value": VALUES[format_name]}] * records}
        if format_name in SCHEMAS:
            first = {**body, "value_schema": SCHEMAS[format_name]}
            made = self.proxy.v2("POST", f"/topics/{topic}", first, format_name)
            body["value_schema_id"] = made.json["value_schema_id"]
        runs = self._wrk(f"/topics/{topic}", connections, body, format_name)
        self.results[name] = [vars(run) for run in runs]
        return [
            name,
            spread([run.per_second for run in runs]),
            spread([run.per_second * records for run in runs]),
            spread([run.cpu_us for run in runs]),
            spread([run.cpu_us / records for run in runs], 1),
            spread([run.p50_ms for run in runs], 2),
            spread([run.p99_ms for run in runs], 2),
            str(sum(run.failed for run in runs)),
        ]

    def _wrk(
        self, path: str, connections: int, body: Any = None, format_name: str = "binary"
    ) -> list[Run]:
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": f"application/vnd.kafka.{format_name}.v2+json"} if body else {}
        pid, url = self.proxy.process.pid, self.proxy.url + path
        wrk(pid, url, connections, WARM_UP_SECONDS, text, headers)
        return [wrk(pid, url, connections, self.seconds, text, headers) for _ in range(self.rounds)]

    def get(self, name: str, path: str, connections: int) -> list[str]:
        """One row of a GET."""
        runs = self._wrk(path, connections)
        self.results[name] = [vars(run) for run in runs]
        return [
            name,
            spread([run.per_second for run in runs]),
            spread([run.cpu_us for run in runs]),
            spread([run.p50_ms for run in runs], 2),
            spread([run.p99_ms for run in runs], 2),
        ]

    def read(self, format_name: str, consumers: int, megabytes: int = 16) -> list[str]:
        """Consumers read a partition each in answers of about 1 MB, side by side."""
        topic = self.proxy.stack.create_topic(partitions=consumers)
        body = {"records": [{"value": VALUES[format_name]}] * 1000}
        if format_name in SCHEMAS:
            body["value_schema"] = SCHEMAS[format_name]
        for number in range(megabytes * 10):
            path = f"/topics/{topic}/partitions/{number % consumers}"
            assert self.proxy.v2("POST", path, body, format_name).status == 200
        readers = [self._reader(topic, number, format_name) for number in range(consumers)]
        before, started = cpu_seconds(self.proxy.process.pid), time.monotonic()
        with ThreadPoolExecutor(consumers) as pool:
            ended = list(pool.map(lambda path: self._drain(path, format_name), readers))
        spent = cpu_seconds(self.proxy.process.pid) - before
        count = sum(found for found, _ in ended)
        rate = count / (max(moment for _, moment in ended) - started)
        name = f"read {format_name}, {consumers} consumers"
        self.results[name] = {"records_per_second": rate, "cpu_seconds": spent}
        return [name, f"{count:,}", f"{rate:,.0f}", f"{spent / count * 1e6:.1f}"]

    def _reader(self, topic: str, partition: int, format_name: str) -> str:
        consumer = self.proxy.create_v2(format=format_name)
        body = {"partitions": [{"topic": topic, "partition": partition}]}
        assert self.proxy.v2("POST", f"{consumer}/assignments", body).status == 204
        return f"{consumer}/records?max_bytes=1000000&timeout=500"

    def _drain(self, path: str, format_name: str) -> tuple[int, float]:
        """How many records came, and when the last did."""
        count, last = 0, time.monotonic()
        while True:
            answer = self.proxy.v2("GET", path, fmt=format_name)
            assert answer.status == 200, answer
            found = answer.body.count(b'"offset":')
            if not found:
                return count, last
            count, last = count + found, time.monotonic()

    def beside_polls(self) -> list[list[str]]:
        """A lone produce and the creation of a consumer, alone and beside waiting reads."""
        topic = self.proxy.stack.create_topic()
        rows = [["alone", *self._lone_requests(topic)]]
        waiting = [
            self._reader(topic, 0, "json").replace("timeout=500", "timeout=20000")
            for _ in range(POLLERS)
        ]
        other = self.proxy.stack.create_topic()
        with ThreadPoolExecutor(POLLERS) as pool:
            for path in waiting:
                # The topic's records are read at once, then there is nothing but waiting.
                while self.proxy.v2("GET", path.replace("20000", "300"), fmt="json").json:
                    pass
            polls = [pool.submit(self.proxy.v2, "GET", path, None, "json") for path in waiting]
            time.sleep(1)
            rows.append([f"beside {POLLERS} long polls", *self._lone_requests(other)])
            self.proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}]}, "json")
            assert all(poll.result().status == 200 for poll in polls)
        return rows

    def _lone_requests(self, topic: str) -> list[str]:
        produced, made = [], []
        for _ in range(LATENCIES):
            started = time.perf_counter()
            self.proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}]}, "json")
            produced.append((time.perf_counter() - started) * 1000)
        for _ in range(20):
            started = time.perf_counter()
            consumer = self.proxy.create_v2()
            made.append((time.perf_counter() - started) * 1000)
            self.proxy.v2("DELETE", consumer)
        return [spread(produced, 1), spread(made, 1)]

    def latency(self) -> list[str]:
        """From the answer to a produce call to the answer of the read that brings the record."""
        topic = self.proxy.stack.create_topic()
        path = f"{self.proxy.create_consumer()}/topics/{topic}"
        self.proxy.get(path)
        after, whole = [], []
        for _ in range(LATENCIES):
            started = time.perf_counter()
            assert self.proxy.produce(topic, [{"value": "YQ=="}]).status == 200
            acknowledged = time.perf_counter()
            while not self.proxy.get(path).json:
                pass
            after.append((time.perf_counter() - acknowledged) * 1000)
            whole.append((time.perf_counter() - started) * 1000)
        self.results["read latency ms"] = after
        return ["acknowledged produce to answered read, ms", spread(after, 1), spread(whole, 1)]

    def long_poll(self) -> list[str]:
        """The same for a read that waits already."""
        topic = self.proxy.stack.create_topic()
        path = f"{self.proxy.create_consumer()}/topics/{topic}"
        self.proxy.get(path)
        waits = []
        with ThreadPoolExecutor(1) as pool:
            for _ in range(LATENCIES):
                waiting = pool.submit(lambda: (self.proxy.get(path).json, time.perf_counter()))
                time.sleep(0.05)
                self.proxy.produce(topic, [{"value": "YQ=="}])
                acknowledged = time.perf_counter()
                found, answered = waiting.result()
                if found:
                    waits.append((answered - acknowledged) * 1000)
        self.results["long poll ms"] = waits
        return ["acknowledged produce to answered long poll, ms", spread(waits, 1), ""]


def start_up(stack: Stack) -> list[float]:
    """Seconds from the start of the process to its first answer."""
    found = []
    for _ in range(3):
        started = time.monotonic()
        with Proxy(stack):
            found.append(time.monotonic() - started)
    return found


def main() -> None:
    """Run everything and print the tables; JSON of all runs goes to the file named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="", help="a Kafka that runs already")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each case")
    parser.add_argument("--json", default=".cache/bench.json", help="where all figures go")
    parser.add_argument("--set", action="append", default=[], help="a setting of the proxy")
    options = parser.parse_args()
    require_wrk()
    print(f"{platform.machine()}, {platform.platform()}, Python {platform.python_version()}")
    settings = dict(pair.split("=", 1) for pair in options.set)
    with kafka(options.bootstrap) as bootstrap, EmbeddedRegistry() as registry:
        stack = Stack(bootstrap, registry.url)
        with Proxy(stack, settings, workers=2, threads=64) as proxy:
            bench = Bench(proxy, options.seconds, options.rounds)
            measure(bench)
        ready = start_up(stack)
        bench.results["start-up s"] = ready
        print(f"\nStart-up, s: {spread(ready, 2)}")
    Path(options.json).parent.mkdir(exist_ok=True)
    Path(options.json).write_text(json.dumps(bench.results, indent=1))


def measure(bench: Bench) -> None:
    """All cases, one table each."""
    pid = bench.proxy.process.pid
    fresh = resident_mb(pid)
    head = [
        "case",
        "requests/s",
        "records/s",
        "CPU us/request",
        "CPU us/record",
        "p50 ms",
        "p99 ms",
    ]
    single = [bench.produce(f"1 json record, {c} connections", "json", 1, c) for c in (1, 16, 64)]
    many = [
        bench.produce(f"{n} {name} records, {c} connections", name, n, c)
        for n, c in ((100, 8), (1000, 4))
        for name in FORMATS
    ]
    table("Produce (min / median / max)", [*head, "failed"], [*single, *many])
    gets = [bench.get("GET /", "/", 16), bench.get("GET /topics", "/topics", 16)]
    table("Other requests", ["case", "requests/s", "CPU us/request", "p50 ms", "p99 ms"], gets)
    reads = [bench.read(name, count) for name in FORMATS for count in (1, 10)]
    table("Reads, 1 MB answers", ["case", "records", "records/s", "CPU us/record"], reads)
    latencies = [bench.latency(), bench.long_poll()]
    table("Latency (min / median / max)", ["case", "after the acknowledgement", "whole"], latencies)
    table(
        "Beside long polls, ms (min / median / max)",
        ["", "produce one record", "create a consumer"],
        bench.beside_polls(),
    )
    loaded = resident_mb(pid)
    topic = bench.proxy.stack.create_topic()
    group = f"g{uuid.uuid4().hex[:8]}"
    for number in range(CONSUMERS):
        path = bench.proxy.create_consumer(f"{group}-{number}")
        bench.proxy.get(f"{path}/topics/{topic}")
    memory = [f"{mb:,.0f}" for mb in (fresh, loaded, resident_mb(pid))]
    bench.results["memory MB"] = memory
    table(
        "Resident memory of all processes, MB (shared pages counted for each)",
        ["fresh", "after the above", f"with {CONSUMERS} consumers"],
        [memory],
    )


if __name__ == "__main__":
    main()
