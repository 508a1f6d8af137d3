"""What is measured: the proxy, other proxies, and the baselines that show floor and ceiling."""

import argparse
import enum
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.performance.client import Client
from tests.stack import Proxy, Stack, free_port, started, wait_for

OURS = "kafka_rest"
FLASK = "empty Flask view"
ECHO = "echo"
BARE = "bare producer"
WORKERS = 2
THREADS = 64
READY_SECONDS = 20.0
# As many threads for relayed requests as for others: half of all reads are relayed.
SETTINGS = {"server.forward.threads": str(THREADS)}


class Kind(enum.Enum):
    """What may be asked of a server."""

    PROXY = "proxy"
    """Everything."""
    ANSWERS = "answers"
    """To produce JSON; nothing is stored."""
    LOOP = "loop"
    """To produce JSON, without HTTP."""


class Server(NamedTuple):
    """One of those compared. Without a `pid` its CPU and memory stay unknown."""

    name: str
    url: str
    pid: int | None = None
    kind: Kind = Kind.PROXY

    @property
    def client(self) -> Client:
        """A new client of it."""
        return Client(self.url)


def parse_against(text: str) -> Server:
    """URL, NAME=URL or NAME=URL=PID as a server. Raises: argparse.ArgumentTypeError."""
    name, _, rest = text.partition("=") if "://" not in text.partition("=")[0] else ("", "", text)
    url, _, pid = rest.partition("=")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.netloc or (pid and not pid.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is none of URL, NAME=URL, NAME=URL=PID")
    return Server(name or parts.netloc, url.rstrip("/"), int(pid) if pid else None)


def with_pids(servers: Sequence[Server], pids: Sequence[int]) -> list[Server]:
    """The servers, with the pids handed out in order to those that have none.

    Raises: ValueError where pids are left over or two servers share a name.
    """
    left = list(pids)
    found = [s if s.pid or not left else s._replace(pid=left.pop(0)) for s in servers]
    if left:
        raise ValueError("there are more --against-pid than servers without a process")
    names = [OURS, FLASK, ECHO, BARE, *(server.name for server in found)]
    if len(set(names)) < len(names):
        raise ValueError("two servers have the same name: name them, --against NAME=URL")
    return found


def proxy_server(proxy: Proxy) -> Server:
    """The proxy of this tree."""
    return Server(OURS, proxy.url, proxy.process.pid)


@contextmanager
def baselines() -> Iterator[list[Server]]:
    """The servers that do less than a proxy: an empty view, an echo, a bare producer."""
    view_port, echo_port = free_port(), free_port()
    flask = [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--log-level", "error"),
        *("--workers", str(WORKERS), "--threads", str(THREADS)),
        *("--bind", f"127.0.0.1:{view_port}", "tests.performance.flask_view:app"),
    ]
    echo = [sys.executable, "-m", "tests.performance.echo", str(echo_port), str(WORKERS)]
    with started(flask) as view, started(echo) as echoing:
        servers = [
            Server(FLASK, f"http://127.0.0.1:{view_port}", view.pid, Kind.ANSWERS),
            Server(ECHO, f"http://127.0.0.1:{echo_port}", echoing.pid, Kind.ANSWERS),
        ]
        for server, process in zip(servers, (view, echoing), strict=True):
            wait_for(lambda s=server, p=process: _answers(s, p), READY_SECONDS, server.name)
        yield [*servers, Server(BARE, "", None, Kind.LOOP)]


def _answers(server: Server, process: "subprocess.Popen[str]") -> bool:
    assert process.poll() is None, f"{server.name} ended"
    try:
        return server.client.produce("v2", "json", "t", {"records": []}).status == 200
    except OSError:
        return False


def ready_seconds(stack: Stack) -> float:
    """Seconds from the start of a proxy's process to its first answer."""
    before = time.monotonic()
    with Proxy(stack, SETTINGS, WORKERS, THREADS):
        return time.monotonic() - before
