"""/health and /ready: answered while every thread is taken and while Kafka hangs."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from kafka_rest.devstack.children import EmbeddedBroker
from kafka_rest.server.worker import URGENT_THREADS
from tests.integration.wire.client import Client
from tests.integration.wire.kernel import server_side
from tests.stack import Proxy, Reply, Stack, free_port, wait_for
from tests.trouble import every_thread_taken, frozen

SETTINGS = {"ready.metadata.interval.ms": "200"}
WORKERS, THREADS = 2, 4
# More pages than the kernel's buffers hold of a client's connection.
UNREAD_PAGES = 1000


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[Proxy]:
    """A proxy with few threads that looks at Kafka often."""
    with Proxy(stack, SETTINGS, WORKERS, THREADS) as running:
        yield running


def becomes(proxy: Proxy, status: int) -> Reply:
    """The first /ready of that status, once both workers give it."""
    seen: set[int] = set()

    def both() -> Reply | None:
        reply = proxy.get("/ready")
        if reply.status != status:
            seen.clear()
            return None
        seen.add(reply.json["worker"])
        return reply if len(seen) == proxy.workers else None

    found: Reply = wait_for(both, 30, f"/ready {status}")
    return found


def test_pages_say_how_it_is(proxy: Proxy) -> None:
    ready = becomes(proxy, 200)
    assert (ready.type, ready.headers["cache-control"]) == ("application/json", "no-store")
    assert (ready.json["status"], ready.json["reasons"]) == ("ready", [])
    assert ready.json["metadata"]["brokers"] == 1
    health = proxy.get("/health").json
    assert health["workers"] == {"up": WORKERS, "configured": WORKERS}
    names = {"lane", "producer-poller", "housekeeping", "reads", "health"}
    assert set(health["threads"]) == names
    head = proxy.request("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    refused = proxy.request("POST", "/ready", {"a": 1})
    assert (refused.status, refused.json["error_code"]) == (405, 405)


def test_pages_are_answered_while_every_thread_is_taken(proxy: Proxy) -> None:
    becomes(proxy, 200)
    with every_thread_taken(proxy):
        for path in ["/health", "/ready"] * 20:
            assert proxy.request("GET", path, timeout=5).status == 200
        # On one connection too, with another request behind that has to wait.
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        for path in ["/health", "/ready"] * 5:
            connection.request("GET", path)
            assert connection.getresponse().read()
        connection.close()
    wait_for(lambda: proxy.get("/topics").status == 200)


@pytest.mark.parametrize(
    "asks",
    [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        # Nothing that the lane could send.
        b"GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_pages_are_answered_while_clients_do_not_read_theirs(stack: Stack, asks: bytes) -> None:
    with Proxy(stack, SETTINGS, workers=1) as proxy, ExitStack() as held:
        lazy = [held.enter_context(Client(proxy.port, 2048)) for _ in range(URGENT_THREADS * 2)]
        for _ in range(UNREAD_PAGES):
            for client in lazy:
                # One that has been let go is told so.
                with suppress(OSError):
                    client.send(asks)
            assert proxy.request("GET", "/health", timeout=5).status == 200
            sides = [server_side(proxy, client) for client in lazy]
            # What the server does not take: it cannot say what it has to say.
            if all(side is None or side.unread_bytes > 2 * len(asks) for side in sides):
                return
        raise AssertionError("the kernel has taken all pages")


def test_kafka_that_hangs_is_named_and_the_server_is_healthy(proxy: Proxy) -> None:
    becomes(proxy, 200)
    with frozen(proxy.stack):
        reply = becomes(proxy, 503)
        assert reply.json["status"] == "not ready"
        assert proxy.stack.bootstrap in reply.json["reasons"][0]
        assert proxy.get("/health").status == 200
    becomes(proxy, 200)


def test_kafka_that_is_not_there_is_named_with_the_reason() -> None:
    stack = Stack(f"127.0.0.1:{free_port()}", "http://127.0.0.1:9")
    with Proxy(stack, SETTINGS, workers=1) as proxy:
        wait_for(lambda: "refused" in str(proxy.get("/ready").json["reasons"]))
        reply = proxy.get("/ready")
        assert (reply.status, reply.json["metadata"]["age_ms"]) == (503, None)
        assert stack.bootstrap in reply.json["reasons"][0]
        assert proxy.get("/health").status == 200


def test_broker_that_comes_back_makes_ready_again() -> None:
    with EmbeddedBroker(port=free_port()) as broker:
        stack = Stack(broker.bootstrap, "http://127.0.0.1:9", broker)
        with Proxy(stack, SETTINGS, workers=1) as proxy:
            becomes(proxy, 200)
            broker.set_down()
            becomes(proxy, 503)
            broker.set_up()
            becomes(proxy, 200)


@pytest.mark.parametrize("worker", ["kafka_rest.server.worker.Worker", "gthread"])
def test_port_of_its_own_has_the_pages_alone(stack: Stack, worker: str) -> None:
    port = free_port()
    settings = {
        "management.listeners": f"http://127.0.0.1:{port}",
        "server.worker.class": worker,
        **SETTINGS,
    }
    with Proxy(stack, settings, WORKERS) as proxy:
        assert proxy.get("/health").status == proxy.get("/ready").status == 404
        public, proxy.port = proxy.port, port
        becomes(proxy, 200)
        assert proxy.get("/health").status == 200
        assert proxy.get("/topics").json["error_code"] == 404
        # Workers that take over have the port as well.
        before = proxy.worker_pids()
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(now := proxy.worker_pids()) == WORKERS and not {*now} & {*before})
        becomes(proxy, 200)
        proxy.port = public


def test_port_that_is_in_use_stops_the_start(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AssertionError, match=f"Port {port} is in use"):
            Proxy(stack, {"management.listeners": f"http://127.0.0.1:{port}"}).__enter__()


def test_worker_that_stops_is_not_ready(stack: Stack) -> None:
    with Proxy(stack, SETTINGS, workers=1) as proxy:
        becomes(proxy, 200)
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        connection.request("GET", "/ready")
        assert connection.getresponse().read()
        os.kill(proxy.process.pid, signal.SIGTERM)

        def stopping() -> str:
            connection.request("GET", "/ready")
            return str(connection.getresponse().read())

        assert '"stopping"' in wait_for(lambda: "stopping" in (said := stopping()) and said)
        connection.close()
