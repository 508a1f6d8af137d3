"""How soon /health and /ready answer, whatever else waits: python -m tests.performance.health

While the server is idle; while clients whose bodies do not come hold every thread and others wait
in long polls; and while the broker hangs too. Beside a floor: an idle HTTP server in Python.
"""

import argparse
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.stack import Proxy, Stack, embedded_stack, real_stack
from tests.trouble import every_thread_taken, frozen

BOUND_MS = 50.0
WORKERS, THREADS = 2, 32
STALLED_SECONDS = 25.0
"""A client whose body does not come is cut off soon after."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="", help="a Kafka that scripts/kafka started")
    parser.add_argument("--tries", type=int, default=2000)
    parser.add_argument("--polls", type=int, default=200)
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.bootstrap:
            found = stack.enter_context(real_stack(options.bootstrap, ""))
        else:
            found = stack.enter_context(embedded_stack())
        proxy = stack.enter_context(Proxy(found, workers=WORKERS, threads=THREADS))
        print("case | page | tries | p50 ms | p99 ms | max ms | above 50 ms")
        report("idle", proxy, options.tries)
        stack.enter_context(long_polls(found, proxy, options.polls))
        with every_thread_taken(proxy):
            report("all threads held, long polls", proxy, options.tries)
        with every_thread_taken(proxy), frozen(found):
            report("the same, broker frozen", proxy, options.tries)


def report(case: str, proxy: Proxy, tries: int) -> None:
    """Ask for both pages in turn, each on a connection of its own, and print how long it took.

    And a process that does nothing else: what is late there is the machine's doing.
    """
    took: dict[str, list[float]] = {"/health": [], "/ready": [], "floor": []}
    idle = urlsplit(proxy.stack.registry).netloc
    end = time.monotonic() + STALLED_SECONDS
    for _ in range(tries):
        for path, found in took.items():
            started = time.monotonic()
            get(idle, "/subjects") if path == "floor" else proxy.request("GET", path)
            found.append((time.monotonic() - started) * 1000)
        if time.monotonic() > end:
            break
    for path, found in took.items():
        found.sort()
        late = sum(1 for one in found if one > BOUND_MS)
        p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
        print(f"{case} | {path} | {len(found)} | {p50:.1f} | {p99:.1f} | {found[-1]:.1f} | {late}")


def get(address: str, path: str) -> None:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


@contextmanager
def long_polls(stack: Stack, proxy: Proxy, count: int) -> Iterator[None]:
    """Reads that wait at ten consumers for records that do not come."""
    topic = stack.create_topic()
    consumers = [proxy.create_v2() for _ in range(10)]
    for consumer in consumers:
        proxy.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
        proxy.v2("GET", f"{consumer}/records?timeout=100", fmt="binary")
    accept = "Accept: application/vnd.kafka.binary.v2+json"
    with ExitStack() as held:
        for number in range(count):
            path = f"{consumers[number % len(consumers)]}/records?timeout=30000"
            client = held.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n".encode())
        yield


if __name__ == "__main__":
    main()
