"""A Kafka, a schema registry and a proxy for the tests: started on free ports, stopped by pid."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from kafka_rest.devstack.children import EmbeddedBroker, EmbeddedRegistry

READY_SECONDS = 20.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Stack:
    """Where Kafka and the schema registry are; `broker` is there in the embedded lane only."""

    bootstrap: str
    registry: str
    broker: EmbeddedBroker | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What a proxy needs to be told for this stack."""
        common = {"bootstrap.servers": self.bootstrap, "schema.registry.url": self.registry}
        if self.broker is None:
            return common
        # The mock cluster's classic groups wait a session time-out at every change of members, and
        # its fetches are not woken by new records.
        return common | {
            "consumer.group.protocol": "consumer",
            "consumer.fetch.wait.max.ms": "10",
        }

    def create_topic(
        self, partitions: int = 1, configs: Mapping[str, str] | None = None, name: str = "t"
    ) -> str:
        """A fresh topic."""
        topic = f"{name}-{uuid.uuid4().hex[:10]}"
        if self.broker is not None:
            self.broker.create_topic(topic, partitions)
        else:
            admin = AdminClient({"bootstrap.servers": self.bootstrap})
            new = NewTopic(topic, partitions, 1, config=dict(configs or {}))
            for future in admin.create_topics([new], operation_timeout=20).values():
                future.result(20)
            # A topic is there for all once the broker lists it with leaders.
            wait_for(lambda: _has_leaders(admin, topic))
        return topic

    def produce(self, topic: str, records: list[tuple[int, bytes | None, bytes | None]]) -> None:
        """Write (partition, key, value) records past the proxy."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})
        failed: list[Any] = []
        for partition, key, value in records:
            producer.produce(
                topic,
                value,
                key,
                partition,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        assert producer.flush(20) == 0
        assert not failed, failed


def _has_leaders(admin: AdminClient, topic: str) -> bool:
    found = admin.list_topics(topic, timeout=5).topics[topic]
    return bool(found.partitions) and all(p.leader >= 0 for p in found.partitions.values())


# The recordings were made with this schema as the registry's first: one of them shows its id in
# base64.
FIRST_SCHEMA = {
    "type": "record",
    "name": "User",
    "fields": [{"name": "name", "type": "string"}],
}


def register_first_schema(registry: str) -> None:
    """Make FIRST_SCHEMA the first one of a fresh registry."""
    request = urllib.request.Request(
        f"{registry}/subjects/first-value/versions",
        json.dumps({"schema": json.dumps(FIRST_SCHEMA)}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    urllib.request.urlopen(request, timeout=20).close()


@contextmanager
def embedded_stack() -> Iterator[Stack]:
    """The embedded broker and schema registry, each a child process."""
    with EmbeddedBroker() as broker, EmbeddedRegistry() as registry:
        yield Stack(broker.bootstrap, registry.url, broker)


@contextmanager
def real_stack(bootstrap: str, registry: str) -> Iterator[Stack]:
    """A Kafka that runs already; the schema registry is embedded where no real one is named."""
    if registry:
        yield Stack(bootstrap, registry)
    else:
        with EmbeddedRegistry() as embedded:
            yield Stack(bootstrap, embedded.url)


@contextmanager
def started(command: list[str], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process that says what it does on its standard output; ended whatever the test does."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_SECONDS)


def said_until(process: "subprocess.Popen[str]", mark: str) -> str:
    """What a process says up to the line with a mark; fails if it ends before."""
    assert process.stdout is not None
    said = ""
    while mark not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


# Below the ephemeral ports, from which the kernel takes one for every outgoing connection: a port
# from among those may be gone before it is bound.
PORTS = range(20_000, 32_000)


def free_port(count: int = 1) -> int:
    """The first of `count` adjacent ports that were free a moment ago."""
    for _ in range(100):
        first = random.randrange(PORTS.start, PORTS.stop - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} adjacent free ports in {PORTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def is_listening(port: int) -> bool:
    """True where something takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Any, seconds: float = 20.0, what: str = "") -> Any:
    """Ask until the condition holds, and return what it gave; fail loudly at the deadline."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, what or f"not in {seconds} s: {condition}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None where there is none."""
        return json.loads(self.body) if self.body else None

    @property
    def type(self) -> str | None:
        """The Content-Type."""
        return self.headers.get("content-type")


@dataclass
class Proxy:
    """A proxy process on a free port."""

    stack: Stack
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    threads: int = 16
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "Proxy":
        self._folder = tempfile.TemporaryDirectory(prefix="kafka-rest-test-")
        self.log_path = Path(self._folder.name, "log")
        options = {
            "listeners": f"http://127.0.0.1:{self.port}",
            "server.workers": str(self.workers),
            "server.threads": str(self.threads),
            "server.run.dir": self._folder.name,
            **self.stack.settings,
            **self.settings,
        }
        path = Path(self._folder.name, "kafka-rest.properties")
        path.write_text("".join(f"{key}={value}\n" for key, value in options.items()))
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kafka_rest.server.cli", "start", str(path)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for(self._answers, READY_SECONDS, f"no answer: {self.log()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        self.terminate()
        self._folder.cleanup()

    def terminate(self) -> int:
        """TERM the server and wait for its end; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What the server has printed."""
        return self.log_path.read_text(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Reply:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        if path.startswith("http"):
            parts = urlsplit(path)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)
        finally:
            connection.close()

    def get(self, path: str, accept: str | None = None) -> Reply:
        """GET a path."""
        return self.request("GET", path, headers={"Accept": accept} if accept else None)

    def produce(
        self,
        topic: str,
        records: list[Any],
        fmt: str = "binary",
        timeout: float = 60.0,
        **more: Any,
    ) -> Reply:
        """Produce records to a topic in a v1 format."""
        return self.request(
            "POST",
            f"/topics/{topic}",
            {"records": records, **more},
            {"Content-Type": f"application/vnd.kafka.{fmt}.v1+json"},
            timeout,
        )

    def create_consumer(self, group: str | None = None, **options: Any) -> str:
        """Create a consumer instance that reads from the start; its path."""
        group = group or f"g{uuid.uuid4().hex[:10]}"
        body = {
            "auto.offset.reset": "smallest",
            **{k.replace("_", "."): v for k, v in options.items()},
        }
        made = self.request(
            "POST",
            f"/consumers/{group}",
            body,
            {"Content-Type": "application/vnd.kafka.v1+json"},
        )
        assert made.status == 200, made
        return urlsplit(made.json["base_uri"]).path

    def v2(
        self, method: str, path: str, body: Any = None, fmt: str = "", timeout: float = 60.0
    ) -> Reply:
        """A v2 request; the format is that of the body for a POST, of the answer for a GET."""
        plain = "application/vnd.kafka.v2+json"
        embedded = f"application/vnd.kafka.{fmt}.v2+json" if fmt else plain
        headers = {"Accept": embedded if method == "GET" else plain}
        if body is not None:
            headers["Content-Type"] = embedded if method == "POST" else plain
        return self.request(method, path, body, headers, timeout)

    def create_v2(self, group: str | None = None, **options: Any) -> str:
        """Create a v2 consumer that reads from the start; its path."""
        given = {"auto.offset.reset": "earliest", "auto.commit.enable": False}
        given |= {name.replace("_", "."): value for name, value in options.items()}
        made = self.v2("POST", f"/consumers/{group or f'g{uuid.uuid4().hex[:10]}'}", given)
        assert made.status == 200, made
        return urlsplit(made.json["base_uri"]).path

    def read_all(self, consumer: str, count: int, fmt: str, query: str = "") -> list[Any]:
        """Read until so many records have come."""
        found: list[Any] = []

        def enough() -> bool:
            reply = self.v2("GET", f"{consumer}/records{query}", fmt=fmt)
            assert reply.status == 200, reply
            found.extend(reply.json)
            return len(found) >= count

        wait_for(enough, 30, f"{count} records")
        return found

    def worker_pids(self) -> list[int]:
        """The worker processes."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the server ended: {self.log()}"
        try:
            return self.request("GET", "/", timeout=2).status == 200
        except OSError:
            return False
