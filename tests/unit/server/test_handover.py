"""Connections that change worker: what arrives, what is refused, and what nobody loses."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafka_rest.server.handover import HEAD_BYTES, Arrivals, Arrived, Departures, arrivals_path

HEAD = b"GET /consumers/g/instances/i/records HTTP/1.1\r\nHost: x\r\n\r\n"


class Bench:
    """Slot 1's arrivals, and the departures of another worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.arrivals = Arrivals(self.folder, 1)
        self.arrivals.setblocking(False)
        self.departures = Departures(self.folder)
        self.open: list[socket.socket] = []

    def hand_over(self, slot: int = 1, head: bytes = HEAD) -> socket.socket | None:
        """Hand a connection over; its client's end, None where it was not taken."""
        client, server = socket.socketpair()
        self.open.append(client)
        client.settimeout(5)
        with server:
            return client if self.departures.send(slot, head, server) else None

    def take(self) -> Arrived:
        connection, _ = self.arrivals.accept()
        self.open.append(connection)
        assert isinstance(connection, Arrived)
        return connection


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for one in [*made.open, made.arrivals, made.departures]:
        one.close()


def test_connection_goes_on_where_it_arrives(bench: Bench) -> None:
    head = HEAD + b"x" * (HEAD_BYTES - len(HEAD))
    client = bench.hand_over(head=head)
    assert client is not None
    arrived = bench.take()
    assert arrived.head == head
    assert not arrived.get_inheritable()
    arrived.sendall(b"answer")
    assert client.recv(10) == b"answer"
    with pytest.raises(BlockingIOError):
        bench.take()


def test_slot_without_a_worker_takes_nothing(bench: Bench) -> None:
    assert bench.hand_over(slot=7) is None
    bench.arrivals.close()
    assert bench.hand_over() is None


def test_full_queue_refuses_within_bounds(bench: Bench) -> None:
    taken = 0
    while bench.hand_over() is not None:
        taken += 1
    for _ in range(taken):
        bench.take()
    assert bench.hand_over() is not None


def test_connection_whose_client_has_gone_is_dropped(bench: Bench, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with server:
            assert bench.departures.send(1, HEAD, server)
    with pytest.raises(ConnectionAbortedError):
        bench.take()


def test_datagram_without_a_connection_is_dropped(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(HEAD, arrivals_path(bench.folder, 1))
    with pytest.raises(ConnectionAbortedError):
        bench.take()


def test_newer_worker_of_a_slot_takes_over(bench: Bench) -> None:
    bench.hand_over()
    with Arrivals(bench.folder, 1) as newer:
        newer.setblocking(False)
        bench.hand_over()
        connection, _ = newer.accept()
        connection.close()
        with pytest.raises(BlockingIOError):
            newer.accept()
        # What came before is still the older one's.
        bench.take()


def test_ended_arrivals_give_out_what_has_come_and_take_no_more(bench: Bench) -> None:
    for _ in range(3):
        assert bench.hand_over() is not None
    bench.arrivals.end()
    assert bench.hand_over() is None
    for _ in range(3):
        assert bench.arrivals.waiting
        assert bench.take().head == HEAD
    assert not bench.arrivals.waiting
