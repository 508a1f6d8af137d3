"""The clients of a soak that mean well. Each keeps its pace, so that the load is bounded and the
same in every minute.
"""

import base64
import itertools
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.performance.client import Client, Refused
from tests.performance.soak_book import OK, Book, Ledger, avro_sequence, json_sequence
from tests.performance.soak_rude import Mistakes, Rude
from tests.stack import Reply, Stack

FORMATS = ("json", "binary", "avro")
PARTITIONS = 3
RECORDS_MAX = 20
READS = 4
IDLE_CONSUMERS = 6
PATIENCE_SECONDS = 30.0
FILLING = "x" * 60
SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Soak",
        "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
    }
)


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
        """One life, in a group of its own. It reads what comes from now on: the topics grow, and
        reading them whole would be more work in every minute.
        """
        reset = "largest" if self._version == "v1" else "latest"
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


@contextmanager
def at_work(client: Client, book: Book, stack: Stack) -> Iterator[None]:
    """All clients at work, each on a thread, with topics made for this time; what they have begun
    is ended when this returns.
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
    try:
        with paced((*producers.values(), *lives, idle, *others), client, book.fault):
            yield
    finally:
        idle.end()
        client.close()


@contextmanager
def paced(
    clients: Iterable["Paced"], client: Client, fault: Callable[[str], None]
) -> Iterator[None]:
    """Clients at work, each on a thread; what they have begun is ended when this returns. `fault`
    is told of one that raised.
    """
    ending = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(one, client, fault, ending), daemon=True)
        for one in clients
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(4 * PATIENCE_SECONDS)


class Paced(Protocol):
    """A client that takes one step after the other, with a pause in seconds between them."""

    pause: float

    def step(self) -> None:
        """One request, or a few that belong together."""


def _work(
    one: Paced, client: Client, fault: Callable[[str], None], ending: threading.Event
) -> None:
    while True:
        try:
            one.step()
        except Exception as error:
            # A client that ended unseen would make the load smaller and the verdict better.
            fault(f"{type(one).__name__}: {error!r}")
        if ending.wait(one.pause):
            client.close()
            return
