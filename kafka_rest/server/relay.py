"""Connections to the other workers' private sockets: kept alive, and bounded in time."""

import http.client
import os
import queue
import select
import socket
import string
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from kafka_rest.records import Deadline
from kafka_rest.security.principals import header_of
from kafka_rest.server.handover import Departures

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RECONNECT_SECONDS = 3.0
"""How long a worker that is being replaced is waited for."""
PAUSE_SECONDS = 0.05
IDLE_CONNECTIONS = 64
PEER_HEADER = "X-Kafka-Rest-Peer"

# Of one hop only (RFC 9110), or set anew for the relayed request.
_NOT_RELAYED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Unreachable(Exception):
    """No connection: the request was not sent."""


class Lost(Exception):
    """The connection broke after the request was sent: what became of it is unknown."""


class RelayedAnswer(NamedTuple):
    """An owner's answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("owner", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    @property
    def fresh(self) -> bool:
        """True while the other side has neither closed nor sent anything: safe to use again."""
        return self.sock is not None and not select.select([self.sock], [], [], 0)[0]


def socket_path(run_dir: str, slot: int) -> str:
    """The path of a slot's private socket."""
    return os.path.join(run_dir, f"slot-{slot}.sock")


class Owners:
    """Sends requests, or their connections, to the workers that own them.

    Thread-safe; one pool of connections for each slot.
    """

    def __init__(self, run_dir: str, slots: int) -> None:
        self._run_dir, self._departures = run_dir, Departures(run_dir)
        self._idle: list[queue.LifoQueue[_UnixConnection]] = [
            queue.LifoQueue(IDLE_CONNECTIONS) for _ in range(slots)
        ]

    def send(
        self, slot: int, environ: "WSGIEnvironment", body: bytes, deadline: Deadline
    ) -> RelayedAnswer:
        """Relay one request and wait for its answer. Raises: Unreachable, Lost."""
        connection = self._connection(slot, deadline)
        try:
            connection.request(
                environ["REQUEST_METHOD"],
                _ascii_uri(environ),
                body or None,
                _headers(environ, body),
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Lost(f"{type(error).__name__}: {error}") from error
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _NOT_RELAYED]
        # HEAD and 204 have lengths of their own; all others have the one of what was read.
        length = answer.getheader("Content-Length")
        if length is not None or content:
            headers.append(("Content-Length", length or str(len(content))))
        self._put_back(slot, connection, answer)
        return RelayedAnswer(f"{answer.status} {answer.reason}", headers, content)

    def hand_over(self, slot: int, head: bytes, connection: socket.socket) -> bool:
        """Give a connection to its owner. False where that does not take it; see `handover`."""
        return self._departures.send(slot, head, connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._departures.close()
        for idle in self._idle:
            while True:
                try:
                    idle.get_nowait().close()
                except queue.Empty:
                    break

    def _connection(self, slot: int, deadline: Deadline) -> _UnixConnection:
        while True:
            try:
                connection = self._idle[slot].get_nowait()
            except queue.Empty:
                return self._connect(slot, deadline)
            if connection.fresh and connection.sock is not None:
                connection.sock.settimeout(max(deadline.left(), PAUSE_SECONDS))
                return connection
            connection.close()

    def _connect(self, slot: int, deadline: Deadline) -> _UnixConnection:
        bound = deadline.sooner(RECONNECT_SECONDS)
        while True:
            connection = _UnixConnection(
                socket_path(self._run_dir, slot), max(deadline.left(), PAUSE_SECONDS)
            )
            try:
                connection.connect()
                return connection
            except OSError as error:
                connection.close()
                if bound.expired:
                    raise Unreachable(str(error)) from error
            time.sleep(PAUSE_SECONDS)

    def _put_back(
        self, slot: int, connection: _UnixConnection, answer: http.client.HTTPResponse
    ) -> None:
        if answer.will_close:
            connection.close()
            return
        try:
            self._idle[slot].put_nowait(connection)
        except queue.Full:
            connection.close()


def _ascii_uri(environ: "WSGIEnvironment") -> str:
    """The request's URI; bytes beyond ASCII, which http.client refuses, as escapes."""
    return quote(environ["RAW_URI"], safe=string.printable, encoding="latin-1")


def _headers(environ: "WSGIEnvironment", body: bytes) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").title(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and name[5:].replace("_", "-").lower() not in _NOT_RELAYED
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    if body or environ["REQUEST_METHOD"] in ("POST", "PUT"):
        headers["Content-Length"] = str(len(body))
    headers |= header_of(environ)
    headers[PEER_HEADER] = str(environ.get("REMOTE_ADDR", ""))
    # http.client adds its own where there is none, which would change what is negotiated.
    headers.setdefault("Accept-Encoding", "identity")
    return headers
