"""Kept-alive HTTP connections to one place, over which requests are relayed."""

import http.client
import queue
import select
import socket
import string
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import msgspec

from kafka_rest import errors
from kafka_rest.api.front import STATUS_LINES
from kafka_rest.api.response import error_body
from kafka_rest.records import Deadline
from kafka_rest.security.principals import header_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

IDLE_CONNECTIONS = 64
LEAST_SECONDS = 0.05
PEER_HEADER = "X-Kafka-Rest-Peer"
"""The address of the client whose request is relayed."""
SCHEME_HEADER = "X-Kafka-Rest-Scheme"
"""The scheme of that client's request."""
CONTENT_TYPE = "application/vnd.kafka.v1+json"

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
# Whoever passes an answer on says these itself.
_NOT_PASSED_ON = _NOT_RELAYED | {"date", "server"}


class Unreachable(Exception):
    """No connection: the request was not sent."""


class Lost(Exception):
    """The connection broke after the request was sent: what became of it is unknown."""


class _Failure(msgspec.Struct):
    """The member of an error that is told to those who watch."""

    error_code: int = 0


class RelayedAnswer(NamedTuple):
    """An owner's answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def error_code_of(answer: RelayedAnswer) -> int:
    """The error code of an owner's answer, 0 for none."""
    if answer.status < "400":
        return 0
    try:
        return msgspec.json.decode(answer.body, type=_Failure).error_code
    except msgspec.DecodeError:
        # An answer to HEAD has no body.
        return 0


class Link:
    """Relays requests to one place. Thread-safe.

    `dial` makes a connection before a deadline. Raises: Unreachable.
    """

    def __init__(self, dial: Callable[[Deadline], http.client.HTTPConnection]) -> None:
        self._dial = dial
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue(IDLE_CONNECTIONS)

    def send(
        self,
        environ: "WSGIEnvironment",
        body: bytes,
        deadline: Deadline,
        more: dict[str, str] | None = None,
    ) -> RelayedAnswer:
        """Relay one request, with `more` headers, and wait for its answer.

        Raises: Unreachable, Lost.
        """
        connection = self.begin(environ, body, deadline, more)
        answer = self.receive(connection, deadline)
        self.keep(connection)
        return answer

    def begin(
        self,
        environ: "WSGIEnvironment",
        body: bytes,
        deadline: Deadline,
        more: dict[str, str] | None = None,
    ) -> http.client.HTTPConnection:
        """Send a request; the connection on which its answer will come.

        Raises: Unreachable, Lost.
        """
        connection = self._connection(deadline)
        headers = _headers(environ, body) | (more or {})
        try:
            method = environ["REQUEST_METHOD"]
            connection.request(method, ascii_uri(environ), body or None, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _lost(error) from error
        return connection

    def receive(self, connection: http.client.HTTPConnection, deadline: Deadline) -> RelayedAnswer:
        """The answer to what was sent on a connection, which can then be kept. Raises: Lost."""
        try:
            connection.sock.settimeout(max(deadline.left(), LEAST_SECONDS))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _lost(error) from error
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _NOT_PASSED_ON]
        # HEAD and 204 have lengths of their own; all others have the one of what was read.
        length = answer.getheader("Content-Length")
        if length is not None or content:
            headers.append(("Content-Length", length or str(len(content))))
        if answer.will_close:
            connection.close()
        return RelayedAnswer(f"{answer.status} {answer.reason}", headers, content)

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request, unless it has ended."""
        if connection.sock is None:
            return
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                break

    def _connection(self, deadline: Deadline) -> http.client.HTTPConnection:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return self._dial(deadline)
            if _is_fresh(connection.sock):
                connection.sock.settimeout(max(deadline.left(), LEAST_SECONDS))
                return connection
            connection.close()


def refusal(error: errors.RestError, more: Mapping[str, str]) -> RelayedAnswer:
    """The answer that says what went wrong on the way to an owner, with `more` headers."""
    body = error_body(error, debug=False)
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body))}
    told = headers | error.headers | dict(more)
    return RelayedAnswer(STATUS_LINES[error.status], list(told.items()), body)


def ascii_uri(environ: "WSGIEnvironment") -> str:
    """The request's URI; bytes beyond ASCII, which http.client refuses, as escapes."""
    return quote(environ["RAW_URI"], safe=string.printable, encoding="latin-1")


def _is_fresh(sock: socket.socket) -> bool:
    """True while the other side has neither closed nor sent anything: safe to use again."""
    looks = select.poll()
    looks.register(sock, select.POLLIN)
    return not looks.poll(0)


def _lost(error: Exception) -> Lost:
    return Lost(f"{type(error).__name__}: {error}")


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
    headers[SCHEME_HEADER] = str(environ.get("wsgi.url_scheme", "http"))
    # http.client adds its own where there is none, which would change what is negotiated.
    headers.setdefault("Accept-Encoding", "identity")
    return headers
