"""A connection as the lane sees it, and the leave to keep a request on it or to give it away."""

import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kafka_rest.api.parking import Again, Parked

# Fields that no view looks at.
VARYING_NAMES = frozenset(
    {"HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_X_REQUEST_ID", "HTTP_X_CORRELATION_ID"}
)


Key = tuple[bytes, bool]
"""A head without its length and trace ids, and whether it had a length."""


class Known(NamedTuple):
    """What is remembered of a head."""

    again: Again
    environ: Mapping[str, str]


class Seat:
    """A connection as the lane sees it.

    `data`: the part of a request that has been read; `rest`: the part of an answer that has not
    been sent; `head`: the head of the request that went to the pool, as it came; `arrived`: another
    worker has sent it for this request; `lingers`: its client may still be reading.
    """

    __slots__ = (
        "arrived",
        "conn",
        "data",
        "deadline",
        "ended",
        "environ",
        "fd",
        "head",
        "last",
        "lingers",
        "parked",
        "registered",
        "rest",
        "sock",
        "started",
    )

    def __init__(self, conn: Any) -> None:
        self.conn, self.sock = conn, conn.sock
        self.fd: int = conn.sock.fileno()
        self.data = self.head = b""
        self.rest: memoryview | None = None
        self.deadline: float | None = None
        self.parked: Parked | None = None
        self.environ: Mapping[str, str] = {}
        self.started = 0.0
        self.last = self.ended = self.registered = self.arrived = False
        self.lingers = True

    @property
    def peer(self) -> str:
        """The client's address."""
        client = self.conn.client
        # A worker that relays has said whose request it is.
        return str(client[0] if isinstance(client, tuple) else self.environ.get("REMOTE_ADDR", ""))

    @property
    def idle(self) -> bool:
        """True where neither a request nor an answer is half on its way."""
        return not self.data and self.rest is None


class Ticket:
    """A request that the lane can keep; the `Keeper` in its environ.

    `around` makes of what serves further requests with its head what serves them only where they
    may be, and otherwise raises, which sends them the ordinary way.
    """

    __slots__ = (
        "_key",
        "_movable",
        "_raw",
        "_remember",
        "_seat",
        "around",
        "environ",
        "moved",
        "parked",
    )

    def __init__(
        self,
        seat: Seat,
        raw: bytes,
        key: Key,
        movable: bool,
        remember: Callable[[Key, Known], None],
    ) -> None:
        self._seat, self._raw, self._key = seat, raw, key
        self._movable, self._remember = movable, remember
        self.parked: Parked | None = None
        self.moved = False
        self.around: Callable[[Again], Again] | None = None
        self.environ: Mapping[str, str] = {}

    def keep(self, parked: Parked, again: Again | None, environ: Mapping[str, Any]) -> None:
        """Take the answer under way, and remember the head if it can be served again."""
        self.environ = {
            name: value
            for name, value in environ.items()
            if isinstance(value, str) and name not in VARYING_NAMES
        }
        self.parked = parked
        if again is not None:
            found = again if self.around is None else self.around(again)
            self._remember(self._key, Known(found, self.environ))

    def hand_over(self, send: Callable[[bytes, socket.socket], bool]) -> bool:
        """Have the connection sent to whom it is for, with the request's head. True if it has gone.

        Not one that was sent here for this request, nor one with more than a head. The caller then
        returns an empty body, as above.
        """
        # Bytes that have been read behind the head would be left here.
        if self._movable and not self._seat.conn.parser.unreader.buf.getvalue():
            self.moved = send(self._raw, self._seat.sock)
        return self.moved
