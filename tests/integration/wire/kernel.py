"""What the kernel knows of a server's connections: what was not yet read, and whose they are."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.integration.wire.client import Client
from tests.stack import Proxy

ESTABLISHED = "01"


class ServerSide(NamedTuple):
    """The server's end of a connection."""

    unread_bytes: int
    inode: str


def server_side(server: Proxy, client: Client) -> ServerSide | None:
    """The server's end of a client's connection; None where it is gone."""
    ports = f"{server.port:04X}", f"{client.socket.getsockname()[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1][-4:], fields[2][-4:]) == ports and fields[3] == ESTABLISHED:
            return ServerSide(int(fields[4].split(":")[1], 16), fields[9])
    return None


def all_read(server: Proxy, clients: Iterable[Client]) -> bool:
    """True once the server has taken all that the clients have sent."""
    sides = [server_side(server, client) for client in clients]
    return all(side is not None and not side.unread_bytes for side in sides)


def of_worker(server: Proxy, client: Client, pid: int) -> bool:
    """True if the connection is with that worker."""
    side = server_side(server, client)
    return side is not None and side.inode in _sockets(pid)


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            # Closed since the folder was read.
            continue
    return found
