"""Connections of clients that produce, while the broker stands still and while workers come and go:
every request is answered, every record has a place of its own.

Each client that was warmed has a head that the server knows. What clients do to the server stands
in `test_slow_clients.py`, what needs no producing in `test_worker_life.py`.
"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from kafka_rest.devstack.children import EmbeddedBroker
from tests.integration.wire.client import Client
from tests.integration.wire.kernel import all_read, of_worker
from tests.integration.wire.producing import (
    GET,
    WARM_BY,
    Load,
    Place,
    both_workers,
    crowd,
    end_offset,
    fails,
    request,
    stored,
    unseen,
    warm,
    works,
)
from tests.stack import Proxy, Stack, wait_for

WAITING, LEAVING = 20, 50
CLIENTS, TURNS = 32, 60
PATIENCE = 5.0
PARTITIONS = 3


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[Proxy]:
    """Two workers."""
    with Proxy(stack) as running:
        yield running


@pytest.fixture(scope="module")
def topic(stack: Stack) -> str:
    return stack.create_topic(PARTITIONS)


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker of one's own, which can stand still."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(scope="module")
def own_stack(broker: EmbeddedBroker) -> Stack:
    return Stack(broker.bootstrap, "http://127.0.0.1:9", broker)


@contextmanager
def standing_still(broker: EmbeddedBroker) -> Iterator[None]:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


# -- the broker stands still
# ------------------------------------------------------------------------------------------


def half_known(stack: ExitStack, server: Proxy, topic: str) -> list[Client]:
    """Clients of which every other one has a head that the server knows."""
    clients = crowd(stack, server, WAITING)
    for client in clients[::2]:
        warm(client, topic)
    return clients


def send_all(server: Proxy, clients: list[Client], topic: str) -> None:
    """Send a request each; return when the server has read them."""
    for number, client in enumerate(clients):
        client.send(unseen(topic) if number % 2 else request(topic))
    wait_for(lambda: all_read(server, clients))


def test_waiting_requests_hold_no_other_up(own_stack: Stack, broker: EmbeddedBroker) -> None:
    topic = own_stack.create_topic()
    with Proxy(own_stack, threads=WAITING + 4) as server, ExitStack() as stack:
        clients = half_known(stack, server, topic)
        with standing_still(broker):
            send_all(server, clients, topic)
            for _ in range(10):
                assert server.request("GET", "/", timeout=PATIENCE).status == 200
        places = [place for client in clients for place in stored(client.answer())]
        assert len(set(places)) == WAITING


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_waiting_requests_are_answered_by_workers_that_end(
    own_stack: Stack, broker: EmbeddedBroker, number: int
) -> None:
    topic = own_stack.create_topic()
    with Proxy(own_stack, threads=WAITING + 4) as server, ExitStack() as stack:
        old = set(both_workers(server))
        clients = half_known(stack, server, topic)
        idle = crowd(stack, server, 4)
        for client in idle:
            client.ask(GET)
        with standing_still(broker):
            send_all(server, clients, topic)
            server.process.send_signal(number)
            # So the workers know of it.
            assert [client.rest() for client in idle] == [b""] * len(idle)
        places = [place for client in clients for place in stored(client.answer())]
        assert [client.rest() for client in clients] == [b""] * WAITING
        assert len(set(places)) == WAITING
        if number == signal.SIGTERM:
            assert server.process.wait(20) == 0
        else:
            wait_for(lambda: renewed(server, old), 30)
            works(server, topic)


@pytest.mark.parametrize("reset", [False, True])
def test_clients_that_leave_while_they_wait(
    own_stack: Stack, broker: EmbeddedBroker, reset: bool
) -> None:
    topic = own_stack.create_topic()
    with Proxy(own_stack, threads=LEAVING + 4) as server, ExitStack() as stack:
        workers = both_workers(server)
        clients = [warm(client, topic) for client in crowd(stack, server, LEAVING)]
        with standing_still(broker):
            send_all(server, clients, topic)
            for client in clients:
                client.leave(reset)
        # What they sent is stored all the same, after those by which they became known.
        wait_for(lambda: end_offset(server, topic, 0) == (WARM_BY + 1) * LEAVING)
        works(server, topic)
        assert server.worker_pids() == workers


# -- workers come and go
# ------------------------------------------------------------------------------------------


def test_reload_under_load_loses_nothing(server: Proxy, topic: str) -> None:
    with Load(server, topic) as load:
        for _ in range(2):
            load.more()
            old = set(both_workers(server))
            os.kill(server.process.pid, signal.SIGHUP)
            wait_for(lambda old=old: renewed(server, old), 30)
        load.more()
    assert load.lost == []
    assert len(set(load.places)) == len(load.places)


def test_killed_worker_takes_no_other_connections_with_it(server: Proxy, topic: str) -> None:
    victim, other = both_workers(server)
    with ExitStack() as stack:
        clients: list[Client] = []
        groups: dict[int, list[Client]] = {victim: [], other: []}

        def both_have_some() -> bool:
            clients.extend(warm(client, topic) for client in crowd(stack, server, 4))
            for pid, group in groups.items():
                group[:] = [client for client in clients if of_worker(server, client, pid)]
            return all(groups.values())

        wait_for(both_have_some)
        os.kill(victim, signal.SIGKILL)
        for client in groups[other]:
            stored(client.ask(request(topic)))
        for client in groups[victim]:
            # Its end, or a reset.
            assert fails(client, request(topic))
        wait_for(lambda: victim not in server.worker_pids() and len(server.worker_pids()) == 2)
        for client in groups[other]:
            stored(client.ask(request(topic)))
        works(server, topic)


def renewed(server: Proxy, old: set[int]) -> bool:
    now = server.worker_pids()
    return len(now) == 2 and not old & set(now)


# -- many heads, many clients
# ------------------------------------------------------------------------------------------


def test_thousand_heads_are_all_answered(server: Proxy, topic: str) -> None:
    heads = [request(topic, 1, f"X-Number: {number}") for number in range(1000)]
    with Client(server.port) as client:
        places = [place for data in [*heads, *heads[:50]] for place in stored(client.ask(data))]
    assert len(set(places)) == 1050


def test_every_record_has_a_place_of_its_own(server: Proxy, stack: Stack) -> None:
    """Clients of all kinds at once: what is acknowledged is what is stored, each once.

    Neighbours send different counts of records, so that an answer to another's request shows.
    """
    topic = stack.create_topic(PARTITIONS)

    def produce(number: int) -> list[Place]:
        places: list[Place] = []
        with Client(server.port) as client:
            for turn in range(TURNS):
                count, times = 1 + (number + turn) % 7, 3 if turn % 10 == 9 else 1
                known = (number + turn) % 4 != 3
                client.send((request(topic, count) if known else unseen(topic, count)) * times)
                for _ in range(times):
                    places += stored(client.answer(), count)
            assert client.ask(GET).body == b"{}"
        return places

    with ThreadPoolExecutor(CLIENTS) as pool:
        places = [place for found in pool.map(produce, range(CLIENTS)) for place in found]
    assert len(set(places)) == len(places)
    ends = [end_offset(server, topic, partition) for partition in range(PARTITIONS)]
    assert sum(ends) == len(places)
