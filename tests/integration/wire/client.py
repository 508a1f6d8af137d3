"""A client that sees answers as bytes: what came, in which pieces, and what came after it."""

import re
import select
import socket
import struct
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

PATIENCE_SECONDS = 20.0
"""The longest wait for any answer: beyond every deadline of a server under test."""


class Answer(NamedTuple):
    """One answer as it came: the heads of interim answers and its own, then the body."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status, that of an interim answer aside."""
        return int(self.head.rsplit(b"HTTP/1.", 1)[1][2:5])

    @property
    def closes(self) -> bool:
        """True where it says that the connection ends with it."""
        return b"\r\nconnection: close\r\n" in self.head.lower()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def places(self) -> list[tuple[int, int]]:
        """The partition and offset of every record that was acknowledged."""
        offsets = self.json["offsets"] if self.status == 200 else []
        return [(o["partition"], o["offset"]) for o in offsets if o["offset"] is not None]

    @property
    def steady(self) -> "Answer":
        """The answer without what differs each time: date, numbers of offsets, minted ids."""
        body, offsets = re.subn(rb'"offset":\d+', b'"offset":N', self.body)
        head = re.sub(rb"Date: [^\r]*\r\n", b"Date: D\r\n", self.head)
        head = re.sub(rb"X-Request-ID: [0-9a-f]{32}\r\n", b"X-Request-ID: I\r\n", head)
        if offsets:
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: N", head)
        return Answer(head, body)


class Client:
    """A connection. What is read and not yet part of an answer stays for the next one."""

    def __init__(self, port: int, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def leave(self, reset: bool) -> None:
        """Close the connection, with a reset if wanted."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    @property
    def readable(self) -> bool:
        """True once something has come that was not read."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer(bodiless=data.startswith(b"HEAD "))

    def answer(self, bodiless: bool = False) -> Answer:
        """The next answer. Raises: EOFError where the connection ends before it is complete."""
        head = self.head()
        while head.rsplit(b"HTTP/1.", 1)[1][2:3] == b"1":
            head += self.head()
        found = Answer(head, b"")
        if bodiless or found.status in (204, 304):
            return found
        length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head.lower())
        assert length, f"an answer whose end is not told: {head!r}"
        return Answer(head, self._take(int(length[1])))

    def head(self) -> bytes:
        """The next head, interim or not, with the empty line that ends it."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head = self._take(self._read.index(b"\r\n\r\n") + 4)
        assert head.startswith(b"HTTP/1."), f"bytes between two answers: {head!r}"
        return head

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        try:
            while True:
                self._more()
        except EOFError:
            return self._read

    def _take(self, count: int) -> bytes:
        while len(self._read) < count:
            self._more()
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def _more(self) -> None:
        more = self.socket.recv(65536)
        if not more:
            raise EOFError(f"the server has closed after {self._read!r}")
        self._read += more
