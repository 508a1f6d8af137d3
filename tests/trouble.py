"""A Kafka that hangs, and a server all of whose threads are taken."""

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.stack import Proxy, Stack

STALLED = b"POST /topics/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"
"""A body that does not come holds a thread, until the server's patience of half a minute ends."""
ASKS = b"GET /topics HTTP/1.1\r\nHost: x\r\n\r\n"
PROBES, PROBE_SECONDS, ROUNDS = 8, 1.0, 20
CACHE = os.environ.get("KAFKA_REST_TEST_HOME") or Path(__file__).parents[1] / ".cache"


def broker_pid(stack: Stack) -> int:
    """The broker's process: the embedded one's, or that of a Kafka that scripts/kafka started."""
    if stack.broker is not None:
        return stack.broker.pid
    for state in Path(CACHE, "kafka", "run").glob("*/bootstrap"):
        if state.read_text().strip() == stack.bootstrap:
            return int(state.with_name("pid").read_text())
    raise AssertionError(f"no broker of ours at {stack.bootstrap}")


@contextmanager
def frozen(stack: Stack) -> Iterator[None]:
    """The broker takes connections and answers nothing, until the block ends."""
    pid = broker_pid(stack)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def every_thread_taken(proxy: Proxy) -> Iterator[None]:
    """Clients whose bodies do not come hold each thread of each worker."""
    with ExitStack() as held:
        for _ in range(ROUNDS):
            # Connections are not dealt out evenly to the workers.
            for _ in range(proxy.workers * proxy.threads):
                _send(held, proxy, STALLED)
            if not _answers(proxy):
                yield
                return
        raise AssertionError("a thread was free")


def _answers(proxy: Proxy) -> bool:
    """Whether any of some requests that need a thread is answered soon."""
    with ExitStack() as asked:
        probes = [_send(asked, proxy, ASKS) for _ in range(PROBES)]
        return bool(select.select(probes, [], [], PROBE_SECONDS)[0])


def _send(stack: ExitStack, proxy: Proxy, data: bytes) -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
    client.sendall(data)
    return client
