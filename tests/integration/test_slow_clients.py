"""Clients that produce and stall, trickle, leave, do not read, do not close, or only stay: they
hold no other up, and get what is theirs.

Each client that was warmed has a head that the server knows. What needs no producing stands in
`test_worker_life.py`.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.wire.client import Client
from tests.integration.wire.kernel import all_read
from tests.integration.wire.producing import (
    GET,
    WARM_BY,
    answers,
    crowd,
    request,
    stored,
    unseen,
    warm,
    works,
)
from tests.stack import Proxy, Stack, wait_for

LEAVING, IDLE = 50, 500
# 8 answers to 12,000 records are some 6 MB; the kernel's buffers end at 4.
LAZY, MANY, UNREAD = 3, 12_000, 8
# Above the 30 s that a server lets a client stall.
STALL_PATIENCE = 50.0


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[Proxy]:
    """Two workers."""
    with Proxy(stack) as running:
        yield running


@pytest.fixture(scope="module")
def topic(stack: Stack) -> str:
    return stack.create_topic(3)


def test_clients_that_leave_in_a_body_behind_a_known_head(server: Proxy, topic: str) -> None:
    for number in range(LEAVING):
        with Client(server.port) as client:
            warm(client, topic).send(request(topic)[: -1 - number % 10])
            client.leave(reset=number % 2 == 0)
    works(server, topic)


def test_clients_that_trickle_are_answered_and_hold_no_other_up(server: Proxy, topic: str) -> None:
    """Nearly as many as a worker has threads; every other one has a head that is known."""
    with ExitStack() as stack:
        clients = crowd(stack, server, server.threads - 4)
        for client in clients[::2]:
            warm(client, topic)
        data = request(topic)
        for start in range(0, len(data), 4):
            for client in clients:
                client.send(data[start : start + 4])
            if start % 20 == 0:
                assert answers(server)
        places = [place for client in clients for place in stored(client.answer())]
        assert len(set(places)) == len(clients)
        assert all(client.ask(GET).body == b"{}" for client in clients)


def lazy_clients(stack: ExitStack, server: Proxy, topic: str) -> list[Client]:
    """Clients to whom more is to be said than the kernel takes from the server at once."""
    big = request(topic, MANY)
    lazy = [stack.enter_context(Client(server.port, receive_bytes=2048)) for _ in range(LAZY)]
    for client in lazy:
        warm(client, topic)
        client.send(big * UNREAD)
    for client in lazy:
        wait_for(lambda client=client: client.readable)
    return lazy


def test_clients_that_do_not_read_get_all_of_it_later(server: Proxy, topic: str) -> None:
    with ExitStack() as stack:
        lazy = lazy_clients(stack, server, topic)
        for _ in range(5):
            works(server, topic)
        places = [
            place
            for _ in range(UNREAD)
            for client in lazy
            for place in stored(client.answer(), MANY)
        ]
        assert len(set(places)) == UNREAD * MANY * LAZY
        assert all(client.ask(GET).body == b"{}" for client in lazy)


def test_clients_that_do_not_read_and_leave(server: Proxy, topic: str) -> None:
    with ExitStack() as stack:
        for number, client in enumerate(lazy_clients(stack, server, topic)):
            client.leave(reset=number % 2 == 0)
    works(server, topic)


def test_idle_connections_stay_while_one_is_busy(server: Proxy, topic: str) -> None:
    with ExitStack() as stack:
        idle = crowd(stack, server, IDLE)
        for client in idle:
            stored(client.ask(request(topic)))
        with Client(server.port) as busy:
            for _ in range(300):
                stored(busy.ask(request(topic)))
        for client in idle:
            stored(client.ask(request(topic)))


def test_stalled_clients_are_let_go(stack: Stack, topic: str) -> None:
    """They have all threads of a worker between them, so the others wait for the limit, once."""
    stalled = [unseen(topic)[:40], request(topic)[:-1]] * 4
    with Proxy(stack, workers=1, threads=len(stalled)) as server, ExitStack() as held:
        clients = [
            *(warm(client, topic) for client in crowd(held, server, len(stalled) // 2)),
            *crowd(held, server, len(stalled) // 2),
        ]
        for client, data in zip(clients, stalled, strict=True):
            client.send(data)
        wait_for(lambda: all_read(server, clients))
        assert server.request("GET", "/", timeout=STALL_PATIENCE).status == 200
        for client in clients:
            client.socket.settimeout(STALL_PATIENCE)
            assert b"HTTP/1.1 2" not in client.rest()
        works(server, topic)


def test_clients_that_do_not_close_hold_nothing(server: Proxy, topic: str) -> None:
    with ExitStack() as stack:
        for client in crowd(stack, server, server.threads):
            for _ in range(WARM_BY):
                with Client(server.port) as another:
                    stored(another.ask(request(topic, 1, "Connection: close")))
            stored(client.ask(request(topic, 1, "Connection: close")))
            assert client.rest() == b""
        works(server, topic)
