"""gunicorn worker: its threaded one whose idle connections wait in the lane, and that lets no
client hold a thread for long.

Three pools of threads: connections on the private Unix socket (requests that another worker relays)
have threads of their own, so that two busy workers never wait for each other; so have urgent
requests, which are answered while all others wait. Relies on names of
gunicorn that a test pins; `gthread` itself works in its place, without the speed, the limits and
the other pools.
"""

import logging
import queue
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from kafka_rest.api.parking import LANE
from kafka_rest.api.watching import Watcher
from kafka_rest.security.authority import Authority
from kafka_rest.server.framing import STALL_SECONDS, Parser, Response, write_error
from kafka_rest.server.handover import Arrivals, Arrived
from kafka_rest.server.lane import Lane
from kafka_rest.server.seats import Seat, Ticket
from kafka_rest.server.tls import begin_tls, limit_stalls

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

LINGER_MS = 20
"""How long a thread waits for its connection's next request."""
SPARE_SHARE = 0.25
"""The share of the threads that never waits so."""
URGENT_THREADS = 3
"""Threads for requests that are answered at once, whatever the others wait for."""
URGENT_STALL_SECONDS = 1
"""How long a client may hold one of them by not reading an answer that the lane cannot send."""
CLOSE_SECONDS = 0.25
"""How long a closing connection may take to read what it was sent."""

_IN_LANE = object()
"""What handling a connection comes to that the lane has taken over."""


def show_name(thread: threading.Thread | None = None) -> None:
    """Let the system know a thread's name: Python does not, and `top -H` shows it."""
    thread = thread or threading.current_thread()
    with suppress(OSError), open(f"/proc/self/task/{thread.native_id}/comm", "w") as name:
        name.write(thread.name)


class Pool:
    """Connections that wait for a thread, and the threads that serve them.

    A thread is started when one is wanted and none is free, up to `threads`: most servers need few.
    """

    def __init__(self, name: str, threads: int, serve: Callable[[Any], None]) -> None:
        self.name, self._threads, self._serve = name, threads, serve
        self._queued: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started = self._wanted = 0
        self._refused = False
        # Threads that wait for the next request of their connection.
        self.lingering: deque[None] = deque()
        self.lingerers_max = int(threads * (1 - SPARE_SHARE))

    @property
    def empty(self) -> bool:
        """True where no connection waits for a thread."""
        return self._queued.empty()

    @property
    def waiting(self) -> int:
        """How many connections wait for a thread."""
        return self._queued.qsize()

    @property
    def busy(self) -> int:
        """How many threads serve a connection."""
        return max(0, self._wanted - self.waiting)

    def put(self, conn: Any) -> None:
        """Have a connection served: later, where the system has no thread to give."""
        with self._lock:
            # Connections that are queued or served; each takes a thread.
            self._wanted += 1
            # Before a thread is started: one that there is already takes it if that fails.
            self._queued.put(conn)
            # More than one where it has failed before.
            while self._started < min(self._wanted, self._threads) and self._start():
                pass

    def close(self) -> None:
        """End the threads, each when it has done what it is doing; does not wait for them."""
        with self._lock:
            for _ in range(self._started):
                self._queued.put(None)

    def _start(self) -> bool:
        """Start a thread, unless the system refuses; the next connection tries again."""
        name = f"{self.name}-{self._started}"
        # Daemons, so that a stuck one never keeps the process.
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Raised, it would end the lane or the main loop. Logged once, not for each request.
            if not self._refused:
                log.error(
                    "a thread was not started, requests wait: raise the limit of processes and "
                    "threads (pids of the container, TasksMax, ulimit -u) thread=%s started=%d "
                    "error=%s",
                    name,
                    self._started,
                    error,
                )
            self._refused = True
            return False
        self._started += 1
        self._refused = False
        return True

    def _run(self) -> None:
        show_name()
        while (conn := self._queued.get()) is not None:
            try:
                self._serve(conn)
            except Exception:
                log.exception("connection dropped")
            with self._lock:
                self._wanted -= 1


class Worker(ThreadWorker):
    """The worker class of this server.

    `answered` is told of each answer that the lane sends; None for no one. `is_urgent` tells a
    request by its head that only takes a thread for a moment, and must get one. Connections to
    `tls_ports` speak TLS with what `authority` has for them. With `management_ports` urgent
    requests come there alone, and nothing else is served there.
    """

    answered: Watcher | None = None
    is_urgent: Callable[[bytes], bool] = staticmethod(lambda _head: False)
    tls_ports: frozenset[int] = frozenset()
    management_ports: frozenset[int] = frozenset()
    authority: Authority
    wsgi: Any

    def init_process(self) -> None:
        """Set up the pools and the lane, then gunicorn's own."""
        relayed = getattr(self, "forward_threads", self.cfg.threads)
        self.pools = {
            False: Pool("handler", self.cfg.threads, self.serve),
            True: Pool("relay-handler", relayed, self.serve),
        }
        self.urgent = Pool("urgent-handler", URGENT_THREADS, self.serve)
        # A look at cfg.name runs Config.__getattr__, some forty times a request: plain attributes.
        self.cfg.__dict__.update({name: row.get() for name, row in self.cfg.settings.items()})
        # Others take gunicorn's way: their bytes on the socket are not their requests.
        self.plain = (
            not self.cfg.is_ssl
            and self.cfg.protocol == "http"
            and self.cfg.http2_cleartext == "off"
            and self.cfg.proxy_protocol == "off"
            and self.cfg.keepalive > 0
        )
        # gunicorn looks these up in their modules when it answers.
        wsgi.Response = Response
        util.write_error = write_error
        self.lane = Lane(self)
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and let it see the lane."""
        super().load_wsgi()
        application = self.wsgi

        def with_lane(
            environ: "WSGIEnvironment", start_response: "StartResponse"
        ) -> Iterable[bytes]:
            response: Response = start_response.__self__  # type: ignore[attr-defined]
            ticket: Ticket | None = getattr(response.req, "ticket", None)
            if ticket is None:
                return application(environ, start_response)  # type: ignore[no-any-return]
            environ[LANE] = ticket
            body: Iterable[bytes] = application(environ, start_response)
            response.parked = ticket.moved or ticket.parked is not None
            return body

        self.wsgi = with_lane

    def run(self) -> None:
        """Start the lane and run the main loop."""
        self.lane.start()
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                show_name(thread)
        try:
            super().run()
        finally:
            self.lane.close()
            for pool in (*self.pools.values(), self.urgent):
                pool.close()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to the lane if it is new, else to the threads of its pool."""
        if self.is_plain(conn) and not hasattr(conn, "seat"):
            conn.parser = Parser(self.cfg, conn.sock, conn.client)
            conn.readable = select.poll()
            conn.readable.register(conn.sock, select.POLLIN)
            # gunicorn need not wait for the first bytes: the lane does.
            conn.data_ready, conn.seat = True, Seat(conn)
            conn.seat.apart = _port_of(conn) in self.management_ports
            if not isinstance(conn.sock, Arrived):
                self.lane.watch(conn.seat)
                return
            conn.server = conn.sock.getsockname()
            self.lane.adopt(conn.seat, conn.sock.head)
        self.pool(conn).put(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; a worker that stops takes those that were sent to it."""
        super().set_accept_enabled(enabled)
        if not self.alive and not enabled:
            for listener in self.sockets:
                if isinstance(listener, Arrivals):
                    listener.end()
                    while listener.waiting:
                        self.accept(listener)
                elif listener.family != socket.AF_UNIX:
                    # Left open, it would let clients connect and send, and reset them when this
                    # process ends; a balancer must not repeat what has been sent.
                    while select.select([listener], [], [], 0)[0]:
                        self.accept(listener)
                    listener.close()

    def pool(self, conn: Any) -> Pool:
        """The pool of a connection: relayed requests come through a Unix socket."""
        if self.is_plain(conn) and self._asks_urgently(conn):
            return self.urgent
        return self.pools[conn.sock.family == socket.AF_UNIX]

    def _asks_urgently(self, conn: Any) -> bool:
        """Whether a request is for those threads that only requests of a moment get."""
        ports = self.management_ports
        return (not ports or _port_of(conn) in ports) and self.is_urgent(conn.seat.head)

    def serve(self, conn: Any) -> None:
        """Serve a connection, for as long as it does not wait; in a thread of a pool."""
        done: Future[Any] = Future()
        try:
            done.set_result(self.handle(conn))
        except BaseException as error:
            done.set_exception(error)
        kept = done.exception() is None and done.result()
        if kept is _IN_LANE:
            return
        if kept and self.is_plain(conn):
            self.lane.watch(conn.seat)
        else:
            self.method_queue.defer(self.finish_request, conn, done)

    def handle(self, conn: Any) -> Any:
        """Serve a connection's requests for as long as they keep coming.

        Whether to keep it, or that the lane has it.
        """
        if self.is_plain(conn):
            return self._handle_plain(conn)
        if not conn.initialized and not conn.wait_for_data(LINGER_MS / 1000):
            # To the poller; gunicorn's own worker would keep this thread for 5 s.
            return _DEFER
        secure = self.is_tls(conn)
        if secure and not conn.initialized:
            conn.data_ready = False
            if not begin_tls(conn, self.authority.context, self.cfg):
                conn.close = lambda graceful=False: None
                return False
            if not (conn.sock.pending() or conn.wait_for_data(LINGER_MS / 1000)):
                # The first request may take its time as any other.
                return _DEFER
        keep = super().handle(conn)
        # What has been decrypted already will not make the socket readable.
        while keep and secure and conn.sock.pending():
            keep = super().handle(conn)
        if not keep:
            self.close(conn)
        return keep

    def is_tls(self, conn: Any) -> bool:
        """True for a connection that came to an https listener."""
        return bool(self.tls_ports) and _port_of(conn) in self.tls_ports

    def is_plain(self, conn: Any) -> bool:
        """True for a connection that the lane can have."""
        return self.plain and not self.is_tls(conn)

    def _handle_plain(self, conn: Any) -> Any:
        seat: Seat = conn.seat
        keep = not seat.ended
        # Its thread serves this request alone: who knows what the connection brings next.
        urgent = self._asks_urgently(conn)
        limit_stalls(conn.sock, URGENT_STALL_SECONDS if urgent else STALL_SECONDS)
        while keep:
            started = time.monotonic()
            conn.ticket = None
            keep = super().handle(conn)
            ticket: Ticket | None = conn.ticket
            if ticket and ticket.moved:
                self.lane.release(seat)
                conn.sock.close()
                conn.close = lambda graceful=False: None
                return False
            if ticket and ticket.parked:
                # Its answer is due whatever becomes of the connection afterwards.
                seat.broken = not keep
                self.lane.park(seat, ticket.parked, ticket.environ, started)
                return _IN_LANE
            if not keep or urgent or not self.alive or not self.next_request(conn):
                break
            if not conn.parser.unreader.buf.getvalue() and self.lane.take(seat):
                return _IN_LANE
            keep = not seat.ended
        if not keep:
            self.close(conn)
        return keep

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request, or let the application leave the answer to the lane."""
        if self.is_plain(conn):
            req.ticket = conn.ticket = self.lane.ticket(conn.seat, req)
        elif self.is_tls(conn):
            # The parser knows it of the whole server only.
            req.scheme = "https"
        return super().handle_request(req, conn)

    def next_request(self, conn: Any) -> bool:
        """Whether the next request arrives soon, while no other connection waits for a thread."""
        pool = self.pool(conn)
        if not pool.empty:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        if len(pool.lingering) >= pool.lingerers_max:
            return False
        pool.lingering.append(None)
        try:
            return bool(conn.readable.poll(LINGER_MS))
        finally:
            pool.lingering.pop()

    def close(self, conn: Any) -> None:
        """Close here: the main loop would stand still for a client that does not close."""
        linger = CLOSE_SECONDS
        if getattr(conn, "seat", None) is not None:
            self.lane.forget(conn.seat)
            if not conn.seat.lingers:
                linger = 0.0
            # It holds the connection in turn.
            conn.seat = None
        try:
            conn.sock.setblocking(True)
            util.close_graceful(conn.sock, linger)
        except OSError:
            # Closed already.
            pass
        conn.close = lambda graceful=False: None


def _port_of(conn: Any) -> int | None:
    """The port that a connection came to; None for a Unix socket."""
    return conn.server[1] if isinstance(conn.server, tuple) else None
