"""Clients that produce: their requests, what must be true of the answers, and a load of them."""

import threading
import time
import uuid
from contextlib import ExitStack

from tests.integration.wire.client import Answer, Client
from tests.integration.wire.produce_cases import Case
from tests.stack import Proxy, wait_for

GET = b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n"
# A worker that is told to end keeps idle connections for 2 s.
IDLE_SECONDS = 1.0
WARM_BY = 3
"""The records that a client produces until its head counts as known."""
Place = tuple[int, int]


def request(topic: str, records: int = 1, *headers: str) -> bytes:
    """A request with so many records, without keys."""
    body = b'{"records":[%b]}' % b",".join([b'{"value":1}'] * records)
    case = Case(200, body, f"/topics/{topic}")
    return case.head(*headers) + body


def unseen(topic: str, records: int = 1) -> bytes:
    return request(topic, records, f"X-Unseen: {uuid.uuid4().hex}")


def warm(client: Client, topic: str) -> Client:
    """Let the server know the client's head."""
    for _ in range(WARM_BY):
        stored(client.ask(request(topic)))
    return client


def stored(answer: Answer, count: int = 1) -> list[Place]:
    """Where the records are; fails unless all were stored."""
    assert answer.status == 200, answer
    assert len(answer.places) == count, answer
    return answer.places


def answers(server: Proxy) -> bool:
    with Client(server.port) as client:
        return client.ask(GET).body == b"{}"


def works(server: Proxy, topic: str) -> None:
    """The server does all that it did."""
    assert answers(server)
    for _ in range(4):
        with Client(server.port) as client:
            warm(client, topic)


def both_workers(server: Proxy) -> list[int]:
    """The pids of the two workers; the second may start after the first answers."""
    return wait_for(lambda: len(pids := server.worker_pids()) == 2 and pids)


def crowd(stack: ExitStack, server: Proxy, count: int) -> list[Client]:
    return [stack.enter_context(Client(server.port)) for _ in range(count)]


def fails(client: Client, data: bytes) -> bool:
    try:
        client.ask(data)
    except (OSError, EOFError):
        return True
    return False


def end_offset(server: Proxy, topic: str, partition: int) -> int:
    reply = server.v2("GET", f"/topics/{topic}/partitions/{partition}/offsets")
    assert reply.status == 200, reply
    return int(reply.json["end_offset"])


class Load:
    """Clients that produce without a pause, on connections that they keep as long as they may."""

    def __init__(self, server: Proxy, topic: str, clients: int = 12) -> None:
        self._server, self._topic = server, topic
        self._stop = threading.Event()
        self.places: list[Place] = []
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def more(self, count: int = 200) -> None:
        """Wait until so many more requests have been answered."""
        wanted = len(self.places) + count
        wait_for(lambda: len(self.places) >= wanted or self.lost, 60)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with Client(self._server.port) as client:
                    self._use(client)
            except (OSError, EOFError, AssertionError) as error:
                self.lost.append(repr(error))

    def _use(self, client: Client) -> None:
        number, heard = 0, time.monotonic()
        while not self._stop.is_set():
            data = unseen(self._topic) if number % 4 == 3 else request(self._topic)
            was_idle = number > 0 and time.monotonic() - heard > IDLE_SECONDS
            try:
                answer = client.ask(data)
            except (ConnectionError, EOFError):
                if was_idle:
                    # This thread got no time: to the server, it was an idle connection.
                    return
                raise
            self.places += stored(answer)
            if answer.closes:
                assert client.rest() == b""
                return
            number, heard = number + 1, time.monotonic()
