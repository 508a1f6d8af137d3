"""gunicorn's parser and response, with limits for slow clients and fewer system calls.

Framing rules are gunicorn's own, and one that it lacks: HTTP/1.1 wants a Host. Relies on names of
gunicorn that a test pins.
"""

import socket
import time
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import InvalidHeader, NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

from kafka_rest.api.request_ids import HEADER, mint
from kafka_rest.api.response import encode

STALL_SECONDS = 30
"""How long a client may take over one read or write."""
REQUEST_SECONDS = 300.0
"""How long a client may take to send one request."""
REST_SECONDS = 0.25
"""How long a thread waits for the rest of a body that nobody wants, such as that of a refused
request. A client sends it with the head, or right behind it: more time would only be a hold on
threads for whoever may not even ask.
"""
TOGETHER_BYTES = 1 << 16
"""A first piece of body up to this size leaves in one send with the head."""

ERROR_TYPE = "application/vnd.kafka.v1+json"


class Stalled(NoMoreData, TimeoutError):
    """A client takes too long over its request."""


class HostMissing(InvalidHeader):
    """A request of HTTP/1.1 that does not say for whom it is."""

    def __str__(self) -> str:
        return "A request of HTTP/1.1 needs the header Host."


class Unreader(SocketUnreader):
    """Reads from a client that has a deadline for its request."""

    deadline: float | None = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """More bytes of the request.

        Raises: Stalled.
        """
        if self.deadline is None:
            self.deadline = time.monotonic() + REQUEST_SECONDS
        try:
            if time.monotonic() < self.deadline:
                data: bytes = super().chunk(size_hint)
                return data
        except (BlockingIOError, TimeoutError):
            # SO_RCVTIMEO ran out, or what stands for it over TLS.
            pass
        raise Stalled


class Parser(RequestParser):
    """gunicorn's parser on our unreader."""

    def __init__(self, cfg: Any, source: Any, source_addr: Any) -> None:
        super().__init__(cfg, source, source_addr)
        self.unreader = Unreader(source)

    def __next__(self) -> Any:
        self.unreader.deadline = None
        request = super().__next__()
        # RFC 9112, section 3.2: a server must answer 400.
        if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
            raise HostMissing("Host", request)
        return request

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Make sure that the body is off the socket; one that was read to its end already is.

        With a deadline it blocks for `REST_SECONDS` at most, however the bytes come in. False where
        the connection must end. The answer has been sent by then, or is parked.
        """
        body = self.mesg and self.mesg.body
        if (
            body
            and not body.failed
            and isinstance(body.reader, LengthReader)
            and not body.reader.length
        ):
            return True
        if deadline is not None:
            deadline = min(deadline, time.monotonic() + REST_SECONDS)
            # gunicorn looks at its clock between pieces only, which a client can keep small.
            self.unreader.deadline = deadline
        return bool(super().finish_body(deadline, max_bytes))


class Response(wsgi.Response):
    """Sends the head together with the first piece of the body: one system call instead of two.

    `parked`: the answer comes later and is not sent by this object.
    """

    headers_sent: bool
    parked = False

    def should_close(self) -> bool:
        """Whether the connection ends with this answer; a parked one's end is decided later."""
        return not self.parked and bool(super().should_close())

    def send_headers(self) -> None:
        """Nothing yet: PEP 3333 wants no head before there is a piece of body."""

    def flush(self, data: bytes) -> None:
        """Send a piece, after the head if that has not left."""
        if not self.headers_sent:
            lines = self.default_headers() + [
                f"{name}: {value}\r\n" for name, value in self.headers
            ]
            head = "".join([*lines, "\r\n"]).encode("latin-1")
            self.headers_sent = True
            if len(data) > TOGETHER_BYTES:
                self.sock.sendall(head)
            else:
                data = head + data
        self.sock.sendall(data)

    def _emit_body(self, data: bytes) -> None:
        self.flush(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def sendfile(self, respiter: Any) -> bool:
        """Never: no answer is a file."""
        return False

    def close(self) -> None:
        """End the answer."""
        if self.parked:
            return
        if self.chunked:
            self.flush(b"0\r\n\r\n")
        elif not self.headers_sent:
            self.flush(b"")


def write_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer a request that could not be parsed, in the shape of all other errors."""
    body = encode({"error_code": status, "message": message or f"HTTP {status} {reason}"})
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {ERROR_TYPE}\r\n"
    head += f"{HEADER}: {mint()}\r\nContent-Length: {len(body)}\r\n\r\n"
    util.write_nonblock(sock, head.encode() + body)
