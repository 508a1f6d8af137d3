"""Our worker class beside gunicorn's threaded one: the same bytes in, the same bytes out.

What is meant to differ is told here with its reason; all else that differs is a fault.
"""

import html
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kafka_rest.api.response import encode
from kafka_rest.server.framing import ERROR_TYPE, HostMissing
from tests.integration.wire.cases import CASES, TIME_OUTS, request
from tests.integration.wire.echo import THREADS
from tests.integration.wire.play import Outcome, cleaned, play
from tests.stack import free_port, wait_for

STOCK, OURS = "gthread", "kafka_rest.server.worker.Worker"
PLAYED_AT_ONCE = 40
LONG_SECONDS, BRIEF_SECONDS = 75, 1
ROOT = Path(__file__).parents[2]
PAGE = re.compile(
    rb"HTTP/1\.1 (?P<status>\d+) (?P<reason>[^\r]*)\r\n"
    rb"Connection: close\r\nContent-Type: text/html\r\nContent-Length: \d+\r\n\r\n"
    rb"<html>.*?</h1>\n    (?P<message>.*?)\n  </body>\n</html>\n",
    re.DOTALL,
)
"""An answer of gunicorn's own to what it cannot parse, or to an application that failed."""


class Servers(NamedTuple):
    """Where the two servers are that keep idle connections for long, and the two that do not."""

    long: tuple[int, int]
    brief: tuple[int, int]


# -- what is meant to differ
# ------------------------------------------------------------------------------------------


def our_page(status: int, reason: str, message: str) -> bytes:
    """An error in the shape of all others of this API, `cleaned`."""
    text = message or f"HTTP {status} {reason}"
    body = encode({"error_code": status, "message": text})
    return (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {ERROR_TYPE}\r\n"
        f"X-Request-ID: I\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def with_our_pages(stock: Outcome) -> Outcome:
    """gunicorn's pages are HTML; every error of this server is JSON."""

    def ours(page: re.Match[bytes]) -> bytes:
        message = html.unescape(page["message"].decode("latin-1"))
        return our_page(int(page["status"]), page["reason"].decode(), message)

    return Outcome(cleaned(PAGE.sub(ours, stock.data)), stock.fate)


def failed(stock: Outcome) -> Outcome:
    return Outcome(our_page(500, "Internal Server Error", ""), "eof")


def no_host(stock: Outcome) -> Outcome:
    return Outcome(our_page(400, "Bad Request", str(HostMissing("Host"))), "eof")


def in_blocks(stock: Outcome) -> Outcome:
    head, _, rest = stock.data.partition(b"\r\n\r\n")
    size, _, rest = rest.partition(b"\r\n")
    content, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    blocks = [content[start : start + 8192] for start in range(0, len(content), 8192)]
    chunks = b"".join(b"%X\r\n%b\r\n" % (len(block), block) for block in blocks)
    return Outcome(head + b"\r\n\r\n" + chunks + rest, stock.fate)


FAILS_IN_TIME = "no head leaves before there is a piece of body, so a failure until then is a 500"
HOST_WANTED = "RFC 9112 has a request of HTTP/1.1 without a Host refused"
NO_SENDFILE = "a file is sent as any other body, in the blocks of the file wrapper"

WANTED: dict[str, tuple[str, Callable[[Outcome], Outcome]]] = {
    "HEAD of a failure at once": (FAILS_IN_TIME, failed),
    "view raise_empty": (FAILS_IN_TIME, failed),
    "view text": (FAILS_IN_TIME, failed),
    "view 1.0 text": (FAILS_IN_TIME, failed),
    "view text of a post": (FAILS_IN_TIME, failed),
    "view file": (NO_SENDFILE, in_blocks),
    "host missing": (HOST_WANTED, no_host),
}
"""Case, reason, and what makes of the stock worker's outcome the one that ours should have."""


def expected(name: str) -> Callable[[Outcome], Outcome]:
    """The outcome of a case that ours should have, made from that of the stock worker."""
    if name not in WANTED:
        return with_our_pages
    change = WANTED[name][1]
    return lambda stock: change(with_our_pages(stock))


# -- the comparison
# ------------------------------------------------------------------------------------------


@contextmanager
def gunicorn(worker_class: str, keepalive: int, log: Path) -> Iterator[int]:
    """A gunicorn with the echo application; its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket"]
    command += ["-b", f"127.0.0.1:{port}", "-k", worker_class, "--threads", str(THREADS)]
    command += ["--keep-alive", str(keepalive), "--graceful-timeout", "2"]
    command += ["tests.integration.wire.echo:application"]
    with log.open("wb") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as run:
        try:
            wait_for(lambda: "Booting worker" in log.read_text(), what=f"see {log}")
            yield port
        finally:
            run.terminate()
            try:
                run.wait(20)
            except subprocess.TimeoutExpired:
                run.kill()
    assert log.read_text().count("Booting worker") == 1


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The stock worker and ours, twice."""
    logs = tmp_path_factory.mktemp("gunicorn")
    with ExitStack() as stack:

        def pair(seconds: int) -> tuple[int, int]:
            stock, ours = (
                stack.enter_context(gunicorn(kind, seconds, logs / f"{kind}-{seconds}"))
                for kind in (STOCK, OURS)
            )
            return stock, ours

        yield Servers(pair(LONG_SECONDS), pair(BRIEF_SECONDS))


@pytest.fixture(scope="module")
def outcomes(servers: Servers) -> Mapping[str, tuple[Outcome, Outcome]]:
    """What came of every case under the stock worker and under ours."""
    with ThreadPoolExecutor(PLAYED_AT_ONCE) as pool:
        waiting = {
            name: pool.submit(play, ports, steps, expected(name))
            for ports, cases in ((servers.brief, TIME_OUTS), (servers.long, CASES))
            for name, steps in cases.items()
        }
    return {name: played.result() for name, played in waiting.items()}


@pytest.mark.parametrize("name", [*CASES, *TIME_OUTS])
def test_case_ends_as_with_the_stock_worker(
    outcomes: Mapping[str, tuple[Outcome, Outcome]], name: str
) -> None:
    stock, ours = outcomes[name]
    assert ours == expected(name)(stock)
    assert stock.data or stock.fate != "open", "nobody has answered: this compares nothing"


@pytest.mark.parametrize("name", WANTED)
def test_difference_that_is_wanted_is_there(
    outcomes: Mapping[str, tuple[Outcome, Outcome]], name: str
) -> None:
    stock, ours = outcomes[name]
    assert ours != with_our_pages(stock), f"strike it off the table: {WANTED[name][0]}"


def test_pages_of_our_own_are_needed(outcomes: Mapping[str, tuple[Outcome, Outcome]]) -> None:
    assert any(PAGE.search(stock.data) for stock, _ in outcomes.values())


def test_all_threads_are_there_after_all_that(
    servers: Servers, outcomes: Mapping[str, tuple[Outcome, Outcome]]
) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", servers.long[1]), 30))
            for _ in range(THREADS)
        ]
        for client in clients:
            client.sendall(request("/together"))
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
