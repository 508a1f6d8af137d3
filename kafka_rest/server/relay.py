"""Brings requests to the other workers of this server, over their private sockets."""

import http.client
import os
import re
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from kafka_rest.records import Deadline
from kafka_rest.server.handover import Departures
from kafka_rest.server.link import LEAST_SECONDS, Link, RelayedAnswer, Unreachable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RECONNECT_SECONDS = 3.0
"""How long a worker that is being replaced is waited for."""
PAUSE_SECONDS = 0.05
# As it is bound, before it is renamed.
_PRIVATE = re.compile(r"/slot-\d+\.sock\.\d+\Z")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("owner", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def came_relayed(environ: "WSGIEnvironment") -> bool:
    """True for a request on the private Unix socket; any other one is as public as a port."""
    connection = environ.get("gunicorn.socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return False
    return _PRIVATE.search(connection.getsockname()) is not None


def socket_path(run_dir: str, slot: int) -> str:
    """The path of a slot's private socket."""
    return os.path.join(run_dir, f"slot-{slot}.sock")


class Owners:
    """Sends requests, or their connections, to the workers that own them. Thread-safe."""

    def __init__(self, run_dir: str, slots: int) -> None:
        self._departures = Departures(run_dir)
        self._links = [Link(partial(_connect, socket_path(run_dir, slot))) for slot in range(slots)]

    def send(
        self, slot: int, environ: "WSGIEnvironment", body: bytes, deadline: Deadline
    ) -> RelayedAnswer:
        """Relay one request and wait for its answer. Raises: Unreachable, Lost."""
        return self._links[slot].send(environ, body, deadline)

    def hand_over(self, slot: int, head: bytes, connection: socket.socket) -> bool:
        """Give a connection to its owner. False where that does not take it; see `handover`."""
        return self._departures.send(slot, head, connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._departures.close()
        for link in self._links:
            link.close()


def _connect(path: str, deadline: Deadline) -> _UnixConnection:
    bound = deadline.sooner(RECONNECT_SECONDS)
    while True:
        connection = _UnixConnection(path, max(deadline.left(), LEAST_SECONDS))
        try:
            connection.connect()
            return connection
        except OSError as error:
            connection.close()
            if bound.expired:
                raise Unreachable(str(error)) from error
        time.sleep(PAUSE_SECONDS)
