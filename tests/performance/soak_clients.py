"""The clients of a soak: producers, consumers, and those that do everything wrong. Each keeps its
pace, so that the load is bounded and the same in every minute.
"""

import base64
import itertools
import json
import random
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.performance.client import Client, Refused, produce_type
from tests.performance.soak_book import Book, Ledger, avro_sequence, json_sequence
from tests.stack import Reply, Stack

FORMATS = ("json", "binary", "avro")
PARTITIONS = 3
RECORDS_MAX = 20
READS = 4
IDLE_CONSUMERS = 6
PATIENCE_SECONDS = 30.0
REQUEST_MAX_BYTES = 1_000_000
OK, CLIENT_ERROR = range(200, 300), range(400, 500)
FILLING = "x" * 60
SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Soak",
        "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
    }
)

Step = Callable[[], None]


class Producer:
    """Produces numbered records to a topic of its own and notes which were acknowledged."""

    pause = 0.1

    def __init__(self, client: Client, book: Book, stack: Stack, version: str, name: str) -> None:
        self._client, self._book, self._version, self._format = client, book, version, name
        self.topic = stack.create_topic(PARTITIONS, name=f"soak-{version}-{name}")
        self._ledger = Ledger(avro_sequence if name == "avro" else json_sequence)
        book.ledgers[self.topic] = self._ledger

    def step(self) -> None:
        """One request."""
        size = random.randint(1, RECORDS_MAX)
        numbers = [self._ledger.next_number() for _ in range(size)]
        body: dict[str, Any] = {"records": [{"value": self._value(n)} for n in numbers]}
        if self._format == "avro":
            body["value_schema"] = SCHEMA
        reply = self._book.note(
            f"produce {self._version} {self._format}",
            OK,
            lambda: self._client.produce(self._version, self._format, self.topic, body),
        )
        if reply is not None:
            self._acknowledge(numbers, reply)

    def _acknowledge(self, numbers: list[int], reply: Reply) -> None:
        offsets = reply.json["offsets"]
        if len(offsets) != len(numbers):
            self._book.fault(f"{len(numbers)} records, {len(offsets)} results")
        for number, offset in zip(numbers, offsets, strict=False):
            if offset.get("error_code"):
                self._book.fault(f"{self.topic}: {offset}")
            else:
                self._ledger.acknowledged.add(number)

    def _value(self, number: int) -> Any:
        value = {"number": number, "text": FILLING}
        if self._format == "binary":
            return base64.b64encode(json.dumps(value).encode()).decode()
        return value


class ConsumerLives:
    """Consumers that are created, read, commit and are deleted, one after the other."""

    pause = 1.0

    def __init__(self, client: Client, book: Book, version: str, name: str, topic: str) -> None:
        self._client, self._book, self._version = client, book, version
        self._format, self._topic = name, topic

    def step(self) -> None:
        """One life, in a group of its own."""
        reset = "smallest" if self._version == "v1" else "earliest"
        options = {"format": self._format, "auto.offset.reset": reset}
        made = self._call("create", "POST", f"/consumers/soak-{uuid.uuid4().hex[:12]}", options)
        if made is None:
            return
        consumer = urlsplit(made.json["base_uri"]).path
        reads = f"{consumer}/topics/{self._topic}?max_bytes=50000"
        if self._version == "v2":
            self._call("subscribe", "POST", f"{consumer}/subscription", {"topics": [self._topic]})
            reads = f"{consumer}/records?max_bytes=50000&timeout=1000"
        for _ in range(READS):
            self._call("read", "GET", reads)
        self._call("commit", "POST", f"{consumer}/offsets")
        self._call("delete", "DELETE", consumer)

    def _call(self, what: str, method: str, path: str, body: Any = None) -> Reply | None:
        plain = f"application/vnd.kafka.{self._version}+json"
        embedded = f"application/vnd.kafka.{self._format}.{self._version}+json"
        headers = {"Accept": embedded if what == "read" else plain}
        if method == "POST":
            headers["Content-Type"] = plain
        return self._book.note(
            f"{what} {self._version}", OK, lambda: self._client.request(method, path, body, headers)
        )


class IdleConsumers:
    """Consumers that are there and read so rarely that they only just stay."""

    pause = 20.0

    def __init__(self, client: Client, book: Book, topic: str) -> None:
        self._client, self._book, self._topic = client, book, topic
        self._made: list[str] = []
        self._turn = itertools.count()

    def step(self) -> None:
        """Make them; later read with one of them."""
        try:
            while len(self._made) < IDLE_CONSUMERS:
                self._made.append(self._client.reader("json", self._topic, 0))
        except Refused as refused:
            self._book.fault(f"create idle: {refused}")
            return
        path = f"{self._made[next(self._turn) % len(self._made)]}/records?timeout=10&max_bytes=5000"
        accept = {"Accept": "application/vnd.kafka.json.v2+json"}
        self._book.note("read idle", OK, lambda: self._client.request("GET", path, headers=accept))

    def end(self) -> None:
        """Delete them."""
        for consumer in self._made:
            self._book.note(
                "delete idle", OK, lambda path=consumer: self._client.v2("DELETE", path)
            )
        self._made.clear()


class Lookups:
    """Metadata and the root."""

    pause = 0.5

    def __init__(self, client: Client, book: Book, topic: str) -> None:
        self._client, self._book = client, book
        paths = ("/", "/topics", "/brokers", f"/topics/{topic}", f"/topics/{topic}/partitions")
        self._paths = itertools.cycle(paths)

    def step(self) -> None:
        """One GET."""
        path = next(self._paths)
        self._book.note("look up", OK, lambda: self._client.request("GET", path))


class Mistakes:
    """Requests that are wrong, each in another way; every one is to be answered with a 4xx."""

    pause = 0.1

    def __init__(self, client: Client, book: Book, topic: str) -> None:
        self._client, self._book = client, book
        json_v2, plain = (
            produce_type("v2", "json"),
            {"Content-Type": "application/vnd.kafka.v2+json"},
        )
        to_topic = f"/topics/{topic}"
        self._requests: Iterator[tuple[str, str, Any, Mapping[str, str]]] = itertools.cycle(
            [
                ("POST", to_topic, b'{"records": [{"value": ', json_v2),
                ("POST", to_topic, b"\xff\xfe\x00", json_v2),
                ("POST", to_topic, {"records": 5}, json_v2),
                ("POST", to_topic, {"records": [{"value": 1, "partition": "x"}]}, json_v2),
                (
                    "POST",
                    to_topic,
                    {"records": [{"value": "no base64!"}]},
                    produce_type("v2", "binary"),
                ),
                ("POST", to_topic, {"records": [{"value": 1}]}, {"Content-Type": "text/plain"}),
                (
                    "POST",
                    to_topic,
                    {"records": [{"value": {}}], "value_schema": "{"},
                    produce_type("v1", "avro"),
                ),
                ("GET", "/no/such/path", None, {}),
                ("GET", "/topics/no-such-topic", None, {}),
                ("DELETE", to_topic, None, {}),
                ("POST", "/consumers/soak", {"format": 7}, plain),
                ("GET", "/consumers/soak/instances/none/records", None, {}),
                ("DELETE", "/consumers/soak/instances/none", None, plain),
            ]
        )

    def step(self) -> None:
        """One wrong request."""
        method, path, body, headers = next(self._requests)
        self._book.note(
            "mistake", CLIENT_ERROR, lambda: self._client.request(method, path, body, headers)
        )


class Rude:
    """Clients that announce too much, and clients that leave in the middle of a body."""

    pause = 0.2

    def __init__(self, client: Client, book: Book, topic: str) -> None:
        parts = urlsplit(client.url)
        self._address, self._book = (str(parts.hostname), parts.port or 80), book
        self._topic = topic
        self._ways = itertools.cycle([self._too_large, self._leave, self._leave_abruptly])

    def step(self) -> None:
        """One such client."""
        next(self._ways)()

    def _too_large(self) -> None:
        self._book.note("too large", range(413, 414), self._announce)

    def _announce(self) -> Reply:
        with closing(self._begun(REQUEST_MAX_BYTES + 1)) as connection:
            status = connection.recv(65_536).split(b" ", 2)
            return Reply(int(status[1]) if len(status) > 2 else 0, {}, b" ".join(status))

    def _leave(self) -> None:
        with suppress(OSError):
            self._begun(1000).close()

    def _leave_abruptly(self) -> None:
        with suppress(OSError), closing(self._begun(1000)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _begun(self, length: int) -> socket.socket:
        """A connection that has sent the head of a request and the start of its body."""
        connection = socket.create_connection(self._address, timeout=PATIENCE_SECONDS)
        head = f"POST /topics/{self._topic} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n"
        kind = "Content-Type: application/vnd.kafka.json.v2+json\r\n\r\n"
        connection.sendall(f'{head}{kind}{{"records": [{{"val'.encode())
        return connection


@contextmanager
def at_work(client: Client, book: Book, stack: Stack) -> Iterator[None]:
    """All clients at work, each on a thread and with topics of this time; they end their step
    before this returns.
    """
    producers = {
        (version, name): Producer(client, book, stack, version, name)
        for version in ("v1", "v2")
        for name in FORMATS
    }
    lives = [
        ConsumerLives(client, book, version, name, producers[version, name].topic)
        for version, name in (("v1", "json"), ("v2", "json"), ("v2", "binary"), ("v2", "avro"))
    ]
    topic = producers["v2", "json"].topic
    idle = IdleConsumers(client, book, topic)
    others = [kind(client, book, topic) for kind in (Lookups, Mistakes, Rude)]
    ending = threading.Event()

    def work(step: Step, pause: float) -> None:
        while True:
            try:
                step()
            except Exception as error:
                # A client that ended unseen would make the load smaller and the verdict better.
                book.fault(f"{step}: {error!r}")
            if ending.wait(pause):
                client.close()
                return

    threads = [
        threading.Thread(target=work, args=(one.step, one.pause), daemon=True)
        for one in (*producers.values(), *lives, idle, *others)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(4 * PATIENCE_SECONDS)
        idle.end()
        client.close()
