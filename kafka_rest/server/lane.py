"""The lane: one thread that waits for the next request of every idle connection, and serves at once
those whose head it knows.

A request whose head is, byte for byte but for its length and its trace ids, one that gunicorn has
parsed before and the application has asked to see again is served here, by its body alone; every
other one goes, with the bytes read so far, to a thread of the pool, gunicorn's parser and the
application. A request whose answer is under way is parked: it holds no thread, and whoever
completes it sends the answer. The lane knows nothing of what it serves.

A connection is always in exactly one of three places: armed in epoll, parked on its answer, or with
a thread of the pool; one-shot events make it so.
"""

import functools
import logging
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.wsgi import HEADER_VALUE_RE, SERVER
from gunicorn.util import http_date

from kafka_rest.api.parking import Headers, Parked
from kafka_rest.api.request_ids import HEADER
from kafka_rest.pulse import Pulse
from kafka_rest.server.framing import REQUEST_SECONDS, STALL_SECONDS
from kafka_rest.server.handover import HEAD_BYTES
from kafka_rest.server.seats import Key, Known, Seat, Ticket

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0
"""How long a stopping worker still listens to an idle connection."""
EXPIRY_SECONDS = 5.0
"""How long after its deadline an expired answer may take; then its connection is closed."""
SWEEP_SECONDS = 0.5
ROUND = 32
"""How many connections are served before what they have put off is done: about a millisecond."""
HEADS = 1024
"""How many heads are remembered, oldest forgotten first."""
SHORT_HEAD_BYTES = 1024
"""How a head up to this size splits is remembered too."""
BODY_BYTES = 1 << 18
"""A larger body is for the pool."""
READ_BYTES = 1 << 16
HELD_BYTES = 1 << 13
"""So much of an unfinished head is held here; with more, the parser has something to say."""
READY = select.EPOLLIN | select.EPOLLOUT
ARMED = select.EPOLLIN | select.EPOLLONESHOT
WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT
NOTHING = select.EPOLLONESHOT
GONE = select.EPOLLRDHUP | select.EPOLLONESHOT

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: ?(\d{1,9})(?=\r\n)", re.IGNORECASE)
# Those of VARYING_NAMES; gunicorn takes any value of this form alike.
_NAMES = rb"\r\n(Traceparent|Tracestate|X-Request-ID|X-Correlation-ID):"
_VARYING = re.compile(_NAMES + rb"([\t -~]{0,512})(?=\r\n)", re.IGNORECASE)
_LEFT = re.compile(_NAMES, re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ \r\n]+ HTTP/1\.[01]\r\n")


class Lane:
    """The thread, to be started and closed by the worker.

    `worker` is a gunicorn worker with `enqueue_req`, `answered`, `alive` and `max_keepalived`.
    `settle` is called after each round of requests: to do for all of them together what serving
    them has put off. It neither blocks nor raises.
    """

    def __init__(self, worker: Any) -> None:
        self._worker, self._epoll = worker, select.epoll()
        # To ask gunicorn for a setting takes as long as to send an answer.
        self._keepalive: float = worker.cfg.keepalive
        self._closing = os.eventfd(0)
        self._epoll.register(self._closing, select.EPOLLIN)
        self._seats: dict[int, Seat] = {}
        self._heads: dict[Key, Known] = {}
        self._heads_lock = threading.Lock()
        self._date = http_date().encode()
        self._stop_at: float | None = None
        self.settle: Callable[[], None] = _nothing
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self.pulse = Pulse(self._thread)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread. What is parked is still answered by whoever completes it."""
        os.eventfd_write(self._closing, 1)
        self._thread.join()
        os.close(self._closing)

    # -- called from any thread

    def watch(self, seat: Seat) -> None:
        """Wait for the connection's next request."""
        if seat.ended:
            # A thread of the pool has it already, to close it.
            return
        if seat.conn.parser.unreader.buf.getvalue():
            # Pipelined: nothing will come that could wake the lane. The deadline was that of the
            # answer before: the thread that serves this request would be taken for overdue.
            seat.deadline = None
            seat.parked = None
            self._worker.enqueue_req(seat.conn)
            return
        seat.deadline = time.monotonic() + self._keepalive
        seat.parked = None
        self._seats[seat.fd] = seat
        self._arm(seat, ARMED)

    def adopt(self, seat: Seat, head: bytes) -> None:
        """Take a connection in that another worker has sent; its request is for the pool."""
        seat.head, seat.arrived = head, True
        seat.conn.parser.unreader.unread(head)
        self._seats[seat.fd] = seat

    def release(self, seat: Seat) -> None:
        """The connection is another worker's by now: only our descriptor is about to be closed."""
        self.forget(seat)
        if seat.registered:
            # It stays open elsewhere, so that closing ours would not end this.
            self._epoll.unregister(seat.fd)

    def forget(self, seat: Seat) -> None:
        """The connection is about to be closed."""
        if self._seats.get(seat.fd) is seat:
            del self._seats[seat.fd]

    def ticket(self, seat: Seat, request: Any) -> Ticket | None:
        """Leave to keep a request that gunicorn has parsed.

        None where its head alone does not tell all about it, or there is no plain way to answer.
        """
        raw, seat.head = seat.head, b""
        if (
            not _REQUEST_LINE.match(raw)
            or request.version != (1, 1)
            or request.method in ("HEAD", "CONNECT")
            or request.should_close()
            or request._expected_100_continue
            or not isinstance(request.body.reader, LengthReader)
        ):
            return None
        key, length, _ = split(raw)
        if length != int(dict(request.headers).get("CONTENT-LENGTH", "0")):
            return None
        movable, seat.arrived = not (length or seat.arrived), False
        remember = functools.partial(self.remember, heads=self._heads)
        return Ticket(seat, raw, key, movable, remember)

    def remember(self, key: Key, known: Known, heads: dict[Key, Known] | None = None) -> None:
        """Serve requests with this head from now on.

        Not if all `heads` that there were when the request began have been forgotten meanwhile.
        """
        if _LEFT.search(key[0]):
            # Of such a field the head would not tell what the next request has in it.
            return
        with self._heads_lock:
            if heads is not None and heads is not self._heads:
                return
            while len(self._heads) >= HEADS:
                del self._heads[next(iter(self._heads))]
            self._heads[key] = known

    def forget_all(self) -> None:
        """Forget every head, since what it stands for may have changed.

        One request at most, that the lane is just taking up, is still served by what was known.
        """
        with self._heads_lock:
            self._heads = {}

    def park(self, seat: Seat, parked: Parked, environ: Mapping[str, str], started: float) -> None:
        """Keep the connection until the answer is there, which may be now."""
        seat.environ, seat.started = environ, started
        # In this order, and in the other one in watch(): see _sweep().
        seat.parked = parked
        seat.deadline = parked.deadline.at
        if parked.abandon is not None:
            self._arm(seat, GONE)
        parked.then(functools.partial(self._answer, seat), seat)

    def take(self, seat: Seat) -> bool:
        """Read what has come and serve it, if its head is known, or wait for more.

        False where it is for gunicorn: its parser has the bytes.
        """
        taken = self._take(seat)
        self.settle()
        return taken

    # -- steps

    def _take(self, seat: Seat) -> bool:
        """As `take`, without settling."""
        try:
            data = seat.sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.watch(seat)
            return True
        except OSError:
            data = b""
        if not data:
            return self._to_parser(seat, seat.data)
        if seat.data:
            data = seat.data + data
        end = data.find(_END) + len(_END)
        if end < len(_END):
            if _held(data):
                return self._hold(seat, data)
            return self._to_parser(seat, data)
        key, length, varies = split(data[:end])
        known = self._heads.get(key)
        if known is None or length > BODY_BYTES or seat.apart:
            if end <= HEAD_BYTES:
                seat.head = data[:end]
            return self._to_parser(seat, data)
        end_of_body = end + length
        if len(data) < end_of_body:
            return self._hold(seat, data)
        if len(data) > end_of_body:
            seat.conn.parser.unreader.unread(data[end_of_body:])
        if varies:
            known = Known(known.again, {**known.environ, **_varying(data[:end])})
            seat.ask(known.environ)
        return self._serve(seat, known, data[:end_of_body], end)

    def _serve(self, seat: Seat, known: Known, data: bytes, end: int) -> bool:
        started = time.monotonic()
        seat.data = b""
        try:
            parked = known.again(data[end:], known.environ)
        except Exception:
            # Nothing has happened yet: the ordinary way does it, or says what is wrong.
            seat.head, seat.told_id = data[:end], ""
            return self._to_parser(seat, data)
        self.park(seat, parked, known.environ, started)
        return True

    def _hold(self, seat: Seat, data: bytes) -> bool:
        """Wait for the rest of a request, as long as it keeps coming, within bounds."""
        now = time.monotonic()
        if not seat.data:
            seat.started = now
        seat.deadline = min(now + STALL_SECONDS, seat.started + REQUEST_SECONDS)
        seat.data = data
        self._arm(seat, ARMED)
        return True

    def _arm(self, seat: Seat, events: int) -> None:
        if seat.registered:
            self._epoll.modify(seat.fd, events)
        else:
            seat.registered = True
            self._epoll.register(seat.fd, events)

    @staticmethod
    def _to_parser(seat: Seat, data: bytes) -> bool:
        seat.deadline, seat.data = None, b""
        if data:
            seat.conn.parser.unreader.unread(data)
        else:
            seat.ended = True
        return False

    def _end(self, seat: Seat) -> None:
        """Have the pool close the connection, which may take a moment; nothing is read any more."""
        if seat.ended:
            return
        seat.ended, seat.deadline, seat.parked = True, None, None
        try:
            if seat.registered:
                self._epoll.modify(seat.fd, NOTHING)
            # The client is told at once, however many are closed before.
            with suppress(OSError):
                seat.sock.shutdown(socket.SHUT_WR)
            self._worker.enqueue_req(seat.conn)
        except Exception:
            # It would end the lane, or the thread that brought an answer.
            log.exception("connection not closed")

    def _answer(
        self, seat: Seat, status: str, headers: Headers, body: bytes, error_code: int
    ) -> None:
        """Send the answer of a parked request; its connection then waits for the next."""
        if seat.ended:
            return
        try:
            worker, name = self._worker, b""
            seat.last = seat.broken or not worker.alive or len(self._seats) > worker.max_keepalived
            if worker.answered is not None:
                worker.answered(seat, status, len(body), error_code)
            if error_code or seat.told_id:
                name = f"{HEADER}: {seat.request_id}\r\n".encode()
                seat.told_id = ""
            # An answer without content may not say how long that is (RFC 9110).
            told = body or not status.startswith("204")
            length = b"Content-Length: %d\r\n" % len(body) if told else b""
            head = b"%bDate: %b\r\nConnection: %b\r\n%b%b%b\r\n" % (
                _status_line(status),
                self._date,
                b"close" if seat.last else b"keep-alive",
                _lines(headers),
                name,
                length,
            )
            self._write(seat, memoryview(head + body))
        except Exception:
            # The thread that brought the answer serves others as well.
            log.exception("answer not sent")
            self._end(seat)

    def _write(self, seat: Seat, data: memoryview) -> None:
        try:
            sent = seat.sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(seat)
            return
        if sent < len(data):
            seat.deadline = time.monotonic() + STALL_SECONDS
            seat.rest, seat.parked = data[sent:], None
            self._arm(seat, WRITABLE)
            return
        seat.rest = None
        if seat.last:
            self._end(seat)
        else:
            self.watch(seat)

    # -- this thread

    def _run(self) -> None:
        """Serve events until the lane is closed."""
        swept, closing = 0.0, False
        while not closing:
            for fd, events in self._epoll.poll(SWEEP_SECONDS, ROUND):
                seat = self._seats.get(fd)
                if seat is not None and events & READY:
                    self._ready(seat)
                elif seat is not None:
                    self._gone(seat)
                elif fd == self._closing:
                    closing = True
            self.settle()
            now = time.monotonic()
            if now - swept > SWEEP_SECONDS:
                swept = now
                self.pulse.beat()
                self._sweep(now)

    def _ready(self, seat: Seat) -> None:
        if seat.ended:
            # It had this event before; what came with it is not looked at.
            return
        try:
            if seat.rest is not None:
                self._write(seat, seat.rest)
            elif not self._take(seat):
                self._worker.enqueue_req(seat.conn)
        except Exception:
            # One connection's trouble is not the others'.
            log.exception("connection dropped")
            self._end(seat)

    def _gone(self, seat: Seat) -> None:
        """The client of a parked request has closed its side, or all of it."""
        parked = seat.parked
        if parked is not None and parked.abandon is not None:
            self._hasten(seat, parked, parked.abandon)

    def _hasten(self, seat: Seat, parked: Parked, hasten: Callable[[], None]) -> None:
        """Bring the answer about, which makes and sends it here."""
        try:
            hasten()
        except Exception:
            log.exception("an answer was not brought about")
            # Else it has been sent, and a thread of the pool may have the connection.
            if seat.parked is parked:
                self._end(seat)

    def _sweep(self, now: float) -> None:
        """End what has run out of time."""
        self._date = http_date().encode()
        if not self._worker.alive and self._stop_at is None:
            self._stop_at = now + STOP_SECONDS
        for seat in list(self._seats.values()):
            parked, deadline = seat.parked, seat.deadline
            if deadline is None or seat.parked is not parked:
                # A thread of the pool has it, or it is being answered this very moment.
                continue
            if parked is not None:
                if deadline < now:
                    self._hasten(seat, parked, parked.expire)
                if deadline + EXPIRY_SECONDS < now and seat.parked is parked:
                    log.error("an answer did not come although it was expired")
                    self._end(seat)
            elif deadline < now or (self._stop_at and self._stop_at < now and seat.idle):
                # Nothing has been sent that a reset could take from the client.
                seat.lingers = False
                self._end(seat)


def _nothing() -> None:
    """Nothing has been put off."""


def split(head: bytes) -> tuple[Key, int, int]:
    """What tells heads apart, the length of the body, and how many other fields were cut out.

    Heads that are the same but for what is cut out mean the same: of a second length only the first
    is cut out, and gunicorn takes no head with two.
    """
    return _split_short(head) if len(head) <= SHORT_HEAD_BYTES else _split(head)


def _split(head: bytes) -> tuple[Key, int, int]:
    found = _LENGTH.search(head)
    if found is None:
        rest, cut = _VARYING.subn(b"", head)
        return (rest, False), 0, cut
    rest, cut = _VARYING.subn(b"", head[: found.start()] + head[found.end() :])
    return (rest, True), int(found[1]), cut


_split_short = functools.lru_cache(HEADS)(_split)


def _varying(head: bytes) -> dict[str, str]:
    """The fields that are cut out of a head, as gunicorn puts them into the environ."""
    found: dict[str, list[str]] = {}
    for name, value in _VARYING.findall(head):
        key = f"HTTP_{name.decode().upper().replace('-', '_')}"
        found.setdefault(key, []).append(value.decode().strip(" \t"))
    return {key: ",".join(values) for key, values in found.items()}


def _held(data: bytes) -> bool:
    """Whether an unfinished head may still become one that gunicorn takes."""
    if len(data) > HELD_BYTES:
        return False
    return b"\n" not in data or _REQUEST_LINE.match(data) is not None


@functools.lru_cache(64)
def _status_line(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nServer: {SERVER}\r\n".encode()


@functools.lru_cache(256)
def _lines(headers: Headers) -> bytes:
    """Headers as bytes. Raises: ValueError for what gunicorn would refuse."""
    for name, value in headers:
        if not HEADER_VALUE_RE.fullmatch(name + value):
            raise ValueError(f"illegal header {name}")
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
