"""Bring a connection to the worker that owns what it asks for: its descriptor and the head of its
request in one datagram on a private Unix socket. From then on it is that worker's.
"""

import errno
import fcntl
import os
import socket
import struct
import termios
from pathlib import Path
from typing import Any

SEND_SECONDS = 1
"""How long a thread waits where the owner has many to take: a queue holds ten, or what is set."""
HEAD_BYTES = 4096
"""Heads up to this size are known, and handed over."""

_DESCRIPTOR = struct.Struct("i")


def arrivals_path(run_dir: str, slot: int) -> str:
    """The path of the socket on which a slot takes connections over."""
    return os.path.join(run_dir, f"slot-{slot}.arrivals")


class Arrived(socket.socket):
    """A connection that was handed over; `head` of the request that it came for."""

    head = b""


class Arrivals(socket.socket):
    """Where a worker takes connections over; gunicorn accepts from it as from its listeners."""

    def __init__(self, run_dir: str, slot: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = arrivals_path(run_dir, slot)
        fresh = f"{path}.{os.getpid()}"
        Path(fresh).unlink(missing_ok=True)
        self.bind(fresh)
        os.chmod(fresh, 0o600)
        # In one step, from the slot's last worker.
        os.rename(fresh, path)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection with its client's address.

        Raises: BlockingIOError for none, ConnectionAbortedError for one that has ended meanwhile.
        """
        # socket.recv_fds and send_fds leave flags and address out, some versions of them.
        head, extras, _, _ = self.recvmsg(
            HEAD_BYTES, socket.CMSG_SPACE(_DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC
        )
        descriptors = [data for _, kind, data in extras if kind == socket.SCM_RIGHTS]
        if not descriptors:
            raise OSError(errno.ECONNABORTED, "no connection came")
        connection = Arrived(fileno=_DESCRIPTOR.unpack(descriptors[0])[0])
        connection.head = head
        try:
            return connection, connection.getpeername()
        except OSError as error:
            connection.close()
            raise OSError(errno.ECONNABORTED, "its client has gone") from error

    def end(self) -> None:
        """Take no more; what has come already can still be accepted."""
        self.shutdown(socket.SHUT_RD)

    @property
    def waiting(self) -> bool:
        """True while one has come; after `end` to be asked before each `accept`."""
        # A socket that has been shut down is always ready: the bytes of the next datagram tell.
        found = fcntl.ioctl(self, termios.FIONREAD, bytes(_DESCRIPTOR.size))
        return any(found)


class Departures:
    """Hands connections over to other workers. Thread-safe."""

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0)
        )

    def send(self, slot: int, head: bytes, connection: socket.socket) -> bool:
        """Hand a connection over, with the head of the request that it waits on.

        The caller then closes its own descriptor. Blocks for a second at most. False where the
        owner does not take it.
        """
        try:
            descriptor = _DESCRIPTOR.pack(connection.fileno())
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)]
            self._socket.sendmsg([head], extra, 0, arrivals_path(self._run_dir, slot))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
