"""gunicorn worker: its threaded one that stays on a connection while requests keep coming, and lets
no client hold a thread for long.

Two lanes: connections on the private Unix socket (requests that another worker relays) have threads
of their own, so that two busy workers never wait for each other. Relies on names of gunicorn that a
test pins; `gthread` itself works in its place, without the speed, the limits and the second lane.
"""

import json
import queue
import select
import socket
import struct
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import _DEFER, ThreadWorker

LINGER_MS = 20
"""How long a thread waits for its connection's next request."""
SPARE_SHARE = 0.25
"""The share of the threads that never waits so."""
CLOSE_SECONDS = 0.25
"""How long a closing connection may take to read what it was sent."""
STALL_SECONDS = 30
"""How long a client may take over one read or write."""
REQUEST_SECONDS = 300.0
"""How long a client may take to send one request."""
TOGETHER_BYTES = 1 << 16
"""A first piece of body up to this size leaves in one send with the head."""

ERROR_TYPE = "application/vnd.kafka.v1+json"


class Unreader(SocketUnreader):
    """Reads from a client that has a deadline for its request."""

    deadline: float | None = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """More bytes of the request.

        Raises: NoMoreData when the client stalls or takes too long.
        """
        if self.deadline is None:
            self.deadline = time.monotonic() + REQUEST_SECONDS
        try:
            if time.monotonic() < self.deadline:
                data: bytes = super().chunk(size_hint)
                return data
        except BlockingIOError:
            # SO_RCVTIMEO ran out.
            pass
        raise NoMoreData("timed out")


class Parser(RequestParser):
    """gunicorn's parser on our unreader."""

    def __init__(self, cfg: Any, source: Any, source_addr: Any) -> None:
        super().__init__(cfg, source, source_addr)
        self.unreader = Unreader(source)

    def __next__(self) -> Any:
        self.unreader.deadline = None
        return super().__next__()

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Make sure that the body is off the socket; one that was read to its end already is."""
        body = self.mesg and self.mesg.body
        if (
            body
            and not body.failed
            and isinstance(body.reader, LengthReader)
            and not body.reader.length
        ):
            return True
        return bool(super().finish_body(deadline, max_bytes))


class Response(wsgi.Response):
    """Sends the head together with the first piece of the body: one system call instead of two."""

    headers_sent: bool

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
        if self.chunked:
            self.flush(b"0\r\n\r\n")
        elif not self.headers_sent:
            self.flush(b"")


def write_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer a request that could not be parsed, in the shape of all other errors."""
    body = json.dumps({"error_code": status, "message": message or f"HTTP {status} {reason}"})
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {ERROR_TYPE}\r\n"
    data = f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}"
    util.write_nonblock(sock, data.encode())


class Lane:
    """Connections that wait for a thread, and the threads that serve them."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.queued: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Threads that wait for the next request of their connection.
        self.lingering: deque[None] = deque()
        self.lingerers_max = int(threads * (1 - SPARE_SHARE))


class Worker(ThreadWorker):
    """The worker class of this server."""

    def init_process(self) -> None:
        """Set up the lanes, then gunicorn's own."""
        relayed = getattr(self, "forward_threads", self.cfg.threads)
        self.lanes = {
            False: Lane("handler", self.cfg.threads),
            True: Lane("relay-handler", relayed),
        }
        # A look at cfg.name runs Config.__getattr__, some forty times a request: plain attributes.
        self.cfg.__dict__.update({name: row.get() for name, row in self.cfg.settings.items()})
        self.plain = (
            not self.cfg.is_ssl
            and self.cfg.protocol == "http"
            and self.cfg.http2_cleartext == "off"
        )
        # gunicorn looks these up in their modules when it answers.
        wsgi.Response = Response
        util.write_error = write_error
        super().init_process()

    def run(self) -> None:
        """Start the threads and run the main loop."""
        for lane in self.lanes.values():
            for number in range(lane.threads):
                # Daemons, so that a stuck one never keeps the process.
                threading.Thread(
                    target=self.serve, args=(lane,), name=f"{lane.name}-{number}", daemon=True
                ).start()
        super().run()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to the threads of its lane."""
        self.lane(conn).queued.put(conn)

    def lane(self, conn: Any) -> Lane:
        """The lane of a connection: relayed requests come through a Unix socket."""
        return self.lanes[conn.sock.family == socket.AF_UNIX]

    def serve(self, lane: Lane) -> None:
        """Serve connections, one after the other; runs in each thread of a lane."""
        while True:
            conn = lane.queued.get()
            done: Future[Any] = Future()
            try:
                done.set_result(self.handle(conn))
            except BaseException as error:
                done.set_exception(error)
            self.method_queue.defer(self.finish_request, conn, done)

    def handle(self, conn: Any) -> Any:
        """Serve a connection's requests for as long as they keep coming; whether to keep it."""
        if not conn.initialized:
            if not conn.wait_for_data(LINGER_MS / 1000):
                # To the poller; gunicorn's own worker would keep this thread for 5 s.
                return _DEFER
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", STALL_SECONDS, 0))
            if self.plain:
                conn.parser = Parser(self.cfg, conn.sock, conn.client)
                conn.readable = select.poll()
                conn.readable.register(conn.sock, select.POLLIN)
        keep = super().handle(conn)
        while keep is True and self.plain and self.alive and self.next_request(conn):
            keep = super().handle(conn)
        if not keep:
            self.close(conn)
        return keep

    def next_request(self, conn: Any) -> bool:
        """Whether the next request arrives soon, while no other connection waits for a thread."""
        lane = self.lane(conn)
        if not lane.queued.empty():
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        if len(lane.lingering) >= lane.lingerers_max:
            return False
        lane.lingering.append(None)
        try:
            return bool(conn.readable.poll(LINGER_MS))
        finally:
            lane.lingering.pop()

    @staticmethod
    def close(conn: Any) -> None:
        """Close here: the main loop would stand still for a client that does not close."""
        try:
            conn.sock.setblocking(True)
            util.close_graceful(conn.sock, CLOSE_SECONDS)
        except OSError:
            # Closed already.
            pass
        conn.close = lambda graceful=False: None
