"""A connection in the lane, without the lane's thread: requests are served step by step by the
caller, through the real application, so that what one of them takes can be counted or timed.
"""

import io
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from kafka_rest.api.parking import LANE, Again, Send
from kafka_rest.api.watching import Asked, Watcher
from kafka_rest.app import create_app
from kafka_rest.core.pending import Pending
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import Deadline
from kafka_rest.server.framing import Parser
from kafka_rest.server.lane import Lane, split
from kafka_rest.server.seats import Known, Seat, Ticket

ANSWER_SECONDS = 10.0
HEAD = (
    "POST /topics/{topic} HTTP/1.1\r\nHost: 127.0.0.1:8082\r\n"
    "Content-Type: application/vnd.kafka.{format_name}.v2+json\r\nContent-Length: {length}\r\n\r\n"
)


class Caught:
    """An answer under way that is never there; keeps what would send it."""

    deadline = Deadline(3600)
    abandon = None

    def __init__(self, body: bytes, _environ: Mapping[str, str]) -> None:
        self.body = body

    def then(self, send: Send, _asked: Asked) -> None:
        self.send = send

    def expire(self) -> None:
        """Nothing: the deadline is far away."""


class LanedConnection:
    """One client's connection, and the lane that has it; for one thread at a time."""

    def __init__(
        self,
        clients: ClientRegistry,
        topic: str,
        format_name: str = "json",
        answered: Watcher | None = None,
    ) -> None:
        self.clients, self.topic, self.format_name = clients, topic, format_name
        self._app = create_app(clients.settings, clients)
        worker = SimpleNamespace(
            cfg=SimpleNamespace(keepalive=3600), alive=True, max_keepalived=100, answered=answered
        )
        self.lane = Lane(worker)
        self.client, server = socket.socketpair()
        for end in (self.client, server):
            # The largest request and its answer fit, so that one thread can play both sides.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            end.settimeout(ANSWER_SECONDS)
        conn = SimpleNamespace(sock=server, client=("127.0.0.1", 1))
        conn.parser = Parser(SimpleNamespace(), server, conn.client)
        conn.seat = self.seat = Seat(conn)
        self.lane.watch(self.seat)

    def request(self, body: bytes) -> bytes:
        """Head and body as they come from a client."""
        names = {"topic": self.topic, "format_name": self.format_name}
        return HEAD.format(length=len(body), **names).encode() + body

    def ordinary(self, body: bytes) -> Any:
        """Serve a request the ordinary way, as one of a new head, and wait; the answer's JSON.

        The lane knows the head afterwards.
        """
        raw = self.request(body)[: -len(body)]
        ticket = Ticket(self.seat, raw, split(raw)[0], False, self.lane.remember)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "RAW_URI": f"/topics/{self.topic}",
            "QUERY_STRING": "",
            "CONTENT_TYPE": f"application/vnd.kafka.{self.format_name}.v2+json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            LANE: ticket,
        }
        answers: Pending[Any] = Pending(Deadline(ANSWER_SECONDS))
        self._app.wsgi_app(environ, lambda *_answer: None)
        assert ticket.parked is not None, "the request was refused"
        self.known = self.lane._heads[split(raw)[0]]
        ticket.parked.then(lambda *answer: answers.set(answer), self.seat)
        status, _headers, text, _error_code = answers.wait()
        assert status == "200 OK", text
        return json.loads(text)

    def wait(self) -> None:
        """Wait until the connection is armed and something has come, as the lane's thread does."""
        assert self.lane._epoll.poll(ANSWER_SECONDS), "nothing came"

    def take(self) -> None:
        """Have the lane serve what the client has sent, as its thread does when it wakes up."""
        while True:
            assert self.lane.take(self.seat), "the lane left it to the pool"
            if not self.seat.data:
                return

    @contextmanager
    def served_by(self, again: Again) -> Iterator[None]:
        """Have requests of the head that the lane knows served by another function meanwhile."""
        head, kept = split(self.request(b""))[0], self.known
        self.lane.remember(head, Known(again, kept.environ))
        try:
            yield
        finally:
            self.lane.remember(head, kept)

    def answer(self) -> bytes:
        """Read the answer as the client; its body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.client.recv(1 << 20)
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), data
        length = int(head.rpartition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self.client.recv(1 << 20)
        return body

    def close(self) -> None:
        """End the connection and the lane; nothing must be under way any more."""
        self.lane.forget(self.seat)
        self.client.close()
        self.seat.sock.close()
        # Its thread has never run: it starts, finds that it is to end, and ends.
        self.lane.start()
        self.lane.close()


def produce_body(value: Any, records: int, **more: Any) -> bytes:
    """A produce body of equal records."""
    body = {"records": [{"value": value}] * records, **more}
    return json.dumps(body, separators=(",", ":")).encode()
