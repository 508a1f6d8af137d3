"""Clients that are slow, and clients that leave, with numbered records as well."""

import http.client
import io
import json
import random
import socket
import struct
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from tests.chaos.book import Book
from tests.chaos.producers import PRODUCE_SECONDS, note_results, produce_body
from tests.stack import Reply

PIECES = 20
PIECE_PAUSE_SECONDS = 0.1
SLOW_SECONDS = 2 * PIECES * PIECE_PAUSE_SECONDS
PATIENCE_SECONDS = 30.0
RECORDS = 5


class Slow:
    """Sends a request a little at a time, and reads the answer so."""

    pause = 0.05

    def __init__(self, url: str, book: Book, topic: str) -> None:
        self._url, self._book, self._topic = url, book, topic

    def step(self) -> None:
        """One request, which is to be answered like any other."""
        numbers = self._book.sent(RECORDS)
        data = request(self._topic, produce_body(numbers))
        reply = self._book.ask(
            "produce slowly",
            SLOW_SECONDS + PRODUCE_SECONDS + 1,
            lambda timeout: self._send(data, timeout),
        )
        note_results(self._book, numbers, reply)

    def _send(self, data: bytes, timeout: float) -> Reply:
        with closing(begun(self._url, timeout)) as connection:
            size = len(data) // PIECES + 1
            for start in range(0, len(data), size):
                connection.sendall(data[start : start + size])
                time.sleep(PIECE_PAUSE_SECONDS)
            answer = b""
            while piece := connection.recv(64):
                answer += piece
            return parsed(answer)


class Leaving:
    """Goes away: in a head, in a body, or before the answer; by a reset or in order."""

    pause = 0.02

    def __init__(self, url: str, book: Book, topic: str) -> None:
        self._url, self._book, self._topic = url, book, topic

    def step(self) -> None:
        """One request of which nobody will hear the answer: its records may be stored, or not."""
        data = request(self._topic, produce_body(self._book.sent(RECORDS)))
        length = random.choice([20, len(data) - 10, len(data)])
        with suppress(OSError), closing(begun(self._url)) as connection:
            connection.sendall(data[:length])
            time.sleep(random.choice([0.0, 0.01]))
            if random.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def request(topic: str, body: object) -> bytes:
    """A produce request as bytes; the connection ends with it."""
    content = json.dumps(body).encode()
    head = (
        f"POST /topics/{topic} HTTP/1.1\r\nHost: chaos\r\nConnection: close\r\n"
        f"Content-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: {len(content)}\r\n"
    )
    return f"{head}\r\n".encode() + content


def begun(url: str, timeout: float = PATIENCE_SECONDS) -> socket.socket:
    """A connection."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 80), timeout)


class _Received:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def parsed(answer: bytes) -> Reply:
    """An answer that has come whole. Raises: http.client.HTTPException for none, or half a one."""
    response = http.client.HTTPResponse(_Received(answer))  # type: ignore[arg-type]
    response.begin()
    return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
