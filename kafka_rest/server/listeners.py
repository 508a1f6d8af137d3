"""What a server listens on, its private folder, and how many connections it may have.

All but the ports of `listeners` themselves, which gunicorn opens.
"""

import os
import resource
import socket
import stat
import tempfile
from pathlib import Path

from kafka_rest import settings as s
from kafka_rest.server.relay import socket_path

CONNECTIONS_MAX = 10_000
DESCRIPTORS_MAX = 65_536
BACKLOG = 128
"""Probes that may wait to be accepted."""


def connections_max() -> int:
    """Connections of each worker; half of its descriptors are left for Kafka and the rest.

    A worker that ran out of descriptors in the middle of accepting one would end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = DESCRIPTORS_MAX
    wanted = max(soft, min(hard, DESCRIPTORS_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(CONNECTIONS_MAX, wanted // 2)


def run_dir(settings: s.Settings) -> str:
    """The server's private folder, made if it is not there.

    Raises: RuntimeError if it is another's.
    """
    port = s.listeners(settings)[0].port
    default = os.path.join(tempfile.gettempdir(), f"kafka-rest-{os.getuid()}-{port}")
    path = settings[s.SERVER_RUN_DIR] or default
    os.makedirs(path, mode=0o700, exist_ok=True)
    # The default's name is known to all: nobody may have put something else there.
    found = os.lstat(path)
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise RuntimeError(f"{path} is not a folder of this user; set server.run.dir")
    return path


def private_listener(folder: str, slot: int) -> socket.socket:
    """The slot's socket; taken over from the slot's last worker in one step."""
    path = socket_path(folder, slot)
    fresh = f"{path}.{os.getpid()}"
    Path(fresh).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(fresh)
    os.chmod(fresh, 0o600)
    listener.listen(1024)
    os.rename(fresh, path)
    return listener


def pinned_listener(settings: s.Settings, slot: int) -> socket.socket:
    """The slot's own port, behind the first listener's."""
    first = s.listeners(settings)[0]
    family = socket.AF_INET6 if ":" in first.host else socket.AF_INET
    listener = socket.socket(family)
    # Old and new worker of a slot overlap during a reload.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((first.host, s.pinned_port(settings, slot)))
    listener.listen(settings[s.SERVER_BACKLOG])
    return listener


def shared_listener(where: s.Listener) -> socket.socket:
    """A port that all workers share. Raises: RuntimeError if it cannot be had."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
        listener.listen(BACKLOG)
    except OSError as error:
        text = f"Cannot listen on {where.host}:{where.port}: {error.strerror}."
        raise RuntimeError(text) from error
    listener.setblocking(False)
    return listener


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host
