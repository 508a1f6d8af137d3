"""The clients of a soak that do everything wrong; each mistake is to be answered as one."""

import itertools
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.performance.client import Client, produce_type
from tests.performance.soak_book import Book
from tests.stack import Reply

PATIENCE_SECONDS = 30.0
REQUEST_MAX_BYTES = 1_000_000
CLIENT_ERROR = range(400, 500)


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
