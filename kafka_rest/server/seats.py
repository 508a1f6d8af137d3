"""A connection as the lane sees it, and the leave to keep a request on it or to give it away."""

import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kafka_rest.api.parking import Again, Parked
from kafka_rest.api.request_ids import GIVEN, REQUEST_ID, request_id

CLIENT = "kafka_rest.client"
"""Where the address of the client stands in the environ of a request that was relayed."""

VARYING_NAMES = frozenset(
    {"HTTP_TRACEPARENT", "HTTP_TRACESTATE", GIVEN, "HTTP_X_CORRELATION_ID", REQUEST_ID}
)
"""What is a request's own, not its head's: never remembered."""


Key = tuple[bytes, bool]
"""A head without its length and trace ids, and whether it had a length."""


class Known(NamedTuple):
    """What is remembered of a head."""

    again: Again
    environ: Mapping[str, str]


class Seat:
    """A connection as the lane sees it.

    `data`: the part of a request that has been read; `rest`: the part of an answer that has not
    been sent; `head`: the head of the request that went to the pool, as it came; `apart`: its port
    is one where no head is known; `arrived`: another worker has sent it for this request;
    `broken`: what the client sends cannot be told into requests any more, so that the answer is
    the last;
    `lingers`: its client may still be reading; `told_id`: the id of the request, once anyone knows
    it: its answer has it then.
    """

    __slots__ = (
        "apart",
        "arrived",
        "broken",
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
        "told_id",
    )

    def __init__(self, conn: Any) -> None:
        self.conn, self.sock = conn, conn.sock
        self.fd: int = conn.sock.fileno()
        self.data = self.head = b""
        self.rest: memoryview | None = None
        self.deadline: float | None = None
        self.parked: Parked | None = None
        self.environ: Mapping[str, str] = {}
        self.started, self.told_id = 0.0, ""
        self.last = self.ended = self.registered = self.arrived = False
        self.lingers, self.apart, self.broken = True, False, False

    @property
    def peer(self) -> str:
        """The client's address."""
        # Who relays has said whose request it is.
        if CLIENT in self.environ:
            return self.environ[CLIENT]
        client = self.conn.client
        return str(client[0] if isinstance(client, tuple) else self.environ.get("REMOTE_ADDR", ""))

    def ask(self, environ: Mapping[str, str]) -> None:
        """A request is served whose client may have given it an id."""
        if GIVEN in environ:
            self.told_id = request_id({**environ})

    @property
    def request_id(self) -> str:
        """The id of the request that is being answered."""
        if not self.told_id:
            # The environ may be that of all requests with this head.
            self.told_id = request_id({**self.environ})
        return self.told_id

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
        self.environ = {n: value for n, value in environ.items() if isinstance(value, str)}
        self.parked = parked
        self._seat.ask(environ)
        if again is not None:
            head = {n: value for n, value in self.environ.items() if n not in VARYING_NAMES}
            found = again if self.around is None else self.around(again)
            self._remember(self._key, Known(found, head))

    def hand_over(self, send: Callable[[bytes, socket.socket], bool]) -> bool:
        """Have the connection sent to whom it is for, with the request's head. True if it has gone.

        Not one that was sent here for this request, nor one with more than a head. The caller then
        returns an empty body, as above.
        """
        # Bytes that have been read behind the head would be left here.
        if self._movable and not self._seat.conn.parser.unreader.buf.getvalue():
            self.moved = send(self._raw, self._seat.sock)
        return self.moved
