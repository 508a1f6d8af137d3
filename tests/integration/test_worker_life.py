"""The worker among clients that stall, leave, pipeline, or keep their side open."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.stack import Proxy, Stack

THREADS = 8
GET = b"GET /brokers HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE = 5.0


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[Proxy]:
    """One worker with few threads."""
    with Proxy(stack, workers=1, threads=THREADS) as running:
        yield running


def connect(server: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def answers(server: Proxy) -> bool:
    return server.request("GET", "/", timeout=PATIENCE).status == 200


def test_silent_connections_hold_no_thread(server: Proxy) -> None:
    silent = [connect(server) for _ in range(40)]
    assert answers(server)
    for connection in silent:
        connection.close()


def test_idle_connections_hold_no_thread_and_stay_usable(server: Proxy) -> None:
    idle = [connect(server) for _ in range(100)]
    for connection in idle:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert answers(server)
    for connection in idle:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.close()


def test_clients_that_leave_in_the_middle_do_no_harm(server: Proxy) -> None:
    for data in (
        GET[:10],
        GET + b"X",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{",
    ):
        for _ in range(THREADS * 2):
            connection = connect(server)
            connection.sendall(data)
            connection.close()
    assert answers(server)


def test_closed_connections_whose_clients_stay_hold_nothing(server: Proxy) -> None:
    open_ends = []
    for _ in range(6):
        connection = connect(server)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        open_ends.append(connection)
    assert answers(server)
    for connection in open_ends:
        connection.close()


def test_pipelined_requests_are_answered_in_order(server: Proxy) -> None:
    with connect(server) as connection:
        paths = ["/", "/brokers", "/nope", "/", "/topics/none"]
        connection.sendall(
            b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % p.encode() for p in paths)
        )
        data, statuses = b"", [b"200", b"200", b"404", b"200", b"404"]
        end = time.monotonic() + 10
        while data.count(b"HTTP/1.1 ") < 5 and time.monotonic() < end:
            data += connection.recv(65536)
        assert [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]] == statuses


def test_head_byte_by_byte_and_chunked_body_are_read(server: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    body = b'{"records":[{"value":"YQ=="}]}'
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body))) + b"0\r\n\r\n"
    )
    head = (
        b"POST /topics/%b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        % topic.encode()
    )
    with connect(server) as connection:
        for byte in head:
            connection.sendall(bytes([byte]))
        connection.sendall(chunks)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer


def test_client_that_does_not_read_holds_no_other_up(server: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"x" * 500_000) for _ in range(8)])
    path = f"/topics/{topic}/partitions/0/messages?count=8".encode()
    lazy = connect(server)
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
    for _ in range(5):
        assert answers(server)
    lazy.close()
    assert answers(server)


def test_more_connections_than_threads_are_all_served(server: Proxy) -> None:
    counts = [0] * (THREADS * 4)

    def serve(number: int) -> None:
        with connect(server) as connection:
            for _ in range(20):
                connection.sendall(GET)
                counts[number] += connection.recv(65536).startswith(b"HTTP/1.1 200")

    clients = [threading.Thread(target=serve, args=(n,)) for n in range(len(counts))]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert counts == [20] * len(counts)
