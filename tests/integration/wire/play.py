"""Plays the same bytes to two servers side by side, and tells what each one made of them.

Nothing is judged by the clock: both sides are read until they have said the same and are quiet, or
until a deadline, after which what differs does differ.
"""

import re
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

QUIET_SECONDS = 0.5
"""Both sides have said the same and nothing more for so long: they are waiting for us."""
SILENT_SECONDS = 2.5
"""The same where neither has said anything yet."""
DEADLINE_SECONDS = 12.0
"""How long one side may lag behind the other."""
MARK = b"<|>"
TOO_LARGE = re.compile(rb"(Content-Length: )\d+(\r\n\r\n.{,200}too large \()\d+", re.DOTALL)
"""Tells how much of a line had been read when it was found to be too long."""


class Send(NamedTuple):
    """Send bytes."""

    data: bytes


class Pause(NamedTuple):
    """Let the server read what it has, so that it sees two pieces."""

    seconds: float


class Settle(NamedTuple):
    """Read until both sides wait for us; leave a mark in what they said."""


class Ended(NamedTuple):
    """Read until both sides have closed."""


class HalfClose(NamedTuple):
    """Close our side."""


class Leave(NamedTuple):
    """Go away without reading, with a reset or not."""

    reset: bool


Step = Send | Pause | Settle | Ended | HalfClose | Leave


class Outcome(NamedTuple):
    """What one server said, and the fate of the connection: open, eof, reset, left."""

    data: bytes
    fate: str


class Side:
    """The connection to one of the servers."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.fate, self.heard = b"", "open", time.monotonic()

    def send(self, data: bytes) -> None:
        """Send; a server that has closed says so when it is read from."""
        try:
            self.connection.sendall(data)
        except OSError:
            self.read()

    def half_close(self) -> None:
        """Close our side, unless the server has closed both."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.read()

    def read(self) -> None:
        """Take what is there."""
        self.heard = time.monotonic()
        try:
            more = self.connection.recv(1 << 20)
        except OSError:
            self.fate = "reset"
            return
        self.data += more
        if not more:
            self.fate = "eof"

    def leave(self, reset: bool) -> None:
        """Close without reading."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.fate = "left"

    @property
    def outcome(self) -> Outcome:
        """What has come of it so far."""
        return Outcome(cleaned(self.data), self.fate)


def play(
    ports: tuple[int, int], steps: Sequence[Step], expected: Callable[[Outcome], Outcome]
) -> tuple[Outcome, Outcome]:
    """What each of two servers makes of the steps.

    `expected` makes of the first one's outcome what the second one's should be.
    """
    first, second = Side(ports[0]), Side(ports[1])

    def alike() -> bool:
        return expected(first.outcome) == second.outcome

    for step in (*steps, Settle()):
        if isinstance(step, Pause):
            time.sleep(step.seconds)
        elif isinstance(step, Settle | Ended):
            _read_on(first, second, alike, isinstance(step, Ended))
        for side in (first, second):
            _take(side, step)
    for side in (first, second):
        side.connection.close()
    return first.outcome, second.outcome


def _take(side: Side, step: Step) -> None:
    if side.fate != "open":
        return
    if isinstance(step, Send):
        side.send(step.data)
    elif isinstance(step, HalfClose):
        side.half_close()
    elif isinstance(step, Leave):
        side.leave(step.reset)
    elif isinstance(step, Settle):
        side.data += MARK


def _read_on(first: Side, second: Side, alike: Callable[[], bool], to_the_end: bool) -> None:
    """Read both until they are alike and wait for us, or have closed, or the deadline passes."""
    end = time.monotonic() + DEADLINE_SECONDS
    started = time.monotonic()
    while time.monotonic() < end:
        living = [side for side in (first, second) if side.fate == "open"]
        if not living:
            return
        ready = select.select([side.connection for side in living], [], [], 0.05)[0]
        for side in living:
            if side.connection in ready:
                side.read()
        if ready or to_the_end:
            continue
        quiet = time.monotonic() - max(first.heard, second.heard, started)
        wanted = QUIET_SECONDS if first.data and second.data else SILENT_SECONDS
        if quiet > wanted and alike():
            return


def cleaned(data: bytes) -> bytes:
    """What a server said, without what differs from moment to moment; can be done twice."""
    data = re.sub(rb"Date: [^\r]*\r\n", b"", data)
    data = re.sub(rb"X-Request-ID: [0-9a-f]{32}(?=\r\n)", b"X-Request-ID: I", data)
    return TOO_LARGE.sub(rb"\g<1>0\g<2>0", data)
