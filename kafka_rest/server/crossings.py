"""Requests that wait for the answer of another proxy, and hold no thread while they do.

One thread waits, in epoll, for the first byte of every answer; a few others read what has come. So
two proxies that relay to each other never wait for each other's threads.
"""

import http.client
import logging
import select
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

from kafka_rest.api.parking import Send
from kafka_rest.api.request_ids import HEADER
from kafka_rest.api.watching import Asked
from kafka_rest.core.pending import Pending
from kafka_rest.records import Deadline
from kafka_rest.server.link import RelayedAnswer, error_code_of

log = logging.getLogger(__name__)

RECEIVERS = 8
"""Threads that read answers; each has begun to arrive by then."""
LOOK_SECONDS = 0.5
"""How often it is looked whether this server stops."""
ANSWERING = select.EPOLLIN | select.EPOLLONESHOT

Receive = Callable[[http.client.HTTPConnection, Deadline], RelayedAnswer]


class Crossing:
    """A request under way, as the lane parks it (`api.parking.Parked`).

    `receive` reads its answer, or makes one of what went wrong; it does not raise. `keep` takes the
    connection then, if it can serve again. `late` is the answer when time is up.
    """

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        deadline: Deadline,
        receive: Receive,
        keep: Callable[[http.client.HTTPConnection], None],
        late: RelayedAnswer,
        is_read: bool,
    ) -> None:
        self.sock: socket.socket = connection.sock
        self._connection, self._receive, self._keep = connection, receive, keep
        self._late = late
        # The connection has been shut here; or it is no more this request's.
        self._shut = self._over = False
        self._lock = threading.Lock()
        self._pending: Pending[RelayedAnswer] = Pending(deadline)
        # One C call: of those who would answer, the first gets 0.
        self._claim = count().__next__
        self.abandon = self._end_read if is_read else None

    @property
    def deadline(self) -> Deadline:
        """When it is to be expired."""
        return self._pending.deadline

    def then(self, send: Send, asked: Asked) -> None:
        """Have the answer sent when it is there, once, here or by another thread."""
        self._pending.then(
            lambda answer: send(answer.status, _told(answer), answer.body, error_code_of(answer))
        )

    def expire(self) -> None:
        """Answer that it is too late. Wakes the thread that closes the connection."""
        if not self._claim():
            self._shut_down(socket.SHUT_RDWR)
            self._pending.set(self._late)

    def finish(self) -> None:
        """Read the answer that has begun to arrive, and pass it on."""
        answer = self._receive(self._connection, self.deadline)
        with self._lock:
            self._over = True
        if self._shut:
            self._connection.close()
        else:
            self._keep(self._connection)
        if not self._claim():
            self._pending.set(answer)

    def _end_read(self) -> None:
        # The owner sees a client that has gone, ends the read, and says what it has got: nothing
        # is handed out that nobody gets.
        self._shut_down(socket.SHUT_WR)

    def _shut_down(self, how: int) -> None:
        with self._lock:
            if not self._over:
                self._shut = True
                # It may have ended already.
                with suppress(OSError):
                    # Of the connection itself: TLS has no half-closed ones.
                    socket.socket.shutdown(self.sock, how)


class Crossings:
    """Waits for answers; `draining` ends the reads among them. Thread-safe.

    Threads are started when there is something to wait for, in the process that has it.
    """

    def __init__(self, draining: threading.Event) -> None:
        self._draining = draining
        self._lock = threading.Lock()
        self._waiting: dict[int, Crossing] = {}
        self._epoll: select.epoll | None = None
        self._receivers = ThreadPoolExecutor(RECEIVERS, "crossing")
        self._thread = threading.Thread(target=self._run, name="crossings", daemon=True)
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, crossing: Crossing) -> None:
        """Have the crossing finished when its answer arrives."""
        with self._lock:
            if self._epoll is None:
                self._epoll = select.epoll()
                self._thread.start()
            fd = crossing.sock.fileno()
            self._waiting[fd] = crossing
            self._epoll.register(fd, ANSWERING)

    def close(self) -> None:
        """End the threads. What is under way is not answered any more."""
        self._closed = True
        if self._epoll is not None:
            self._thread.join()
            self._epoll.close()
        self._receivers.shutdown()

    def _run(self) -> None:
        assert self._epoll is not None
        while not self._closed:
            for fd, _ in self._epoll.poll(LOOK_SECONDS):
                with self._lock:
                    self._epoll.unregister(fd)
                    crossing = self._waiting.pop(fd)
                self._receivers.submit(self._finish, crossing)
            if self._draining.is_set():
                self._end_reads()

    def _end_reads(self) -> None:
        with self._lock:
            reads = [crossing for crossing in self._waiting.values() if crossing.abandon]
        for read in reads:
            if read.abandon is not None:
                read.abandon()

    @staticmethod
    def _finish(crossing: Crossing) -> None:
        try:
            crossing.finish()
        except Exception:
            log.exception("answer not passed on")


def _told(answer: RelayedAnswer) -> tuple[tuple[str, str], ...]:
    """The headers without the length and the request's id, which the lane says itself."""
    said = ("content-length", HEADER.lower())
    return tuple(header for header in answer.headers if header[0].lower() not in said)
