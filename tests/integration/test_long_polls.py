"""Many more long polls than threads: they wait, everybody else is served, and each gets its own."""

import http.client
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from tests.stack import Proxy, Stack, wait_for

JSON_V2 = "application/vnd.kafka.json.v2+json"
LONG_MS = 60_000


class Poll:
    """A long poll on a connection of its own; holds no thread of the test either."""

    made: ClassVar[list["Poll"]] = []

    def __init__(
        self, proxy: Proxy, consumer: str, milliseconds: int = LONG_MS, announced: int = 0
    ) -> None:
        self.made.append(self)
        self._headers = {"Accept": JSON_V2}
        if announced:
            self._headers["Content-Length"] = str(announced)
        self._connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        self._path = f"{urlsplit(consumer).path}/records?timeout={milliseconds}"
        self._send()

    def _send(self) -> None:
        self._connection.request("GET", self._path, headers=self._headers)

    def send_body(self, data: bytes) -> None:
        """Send what has been announced, or a part of it."""
        self._connection.sock.sendall(data)

    def answer(self) -> tuple[int, Any]:
        """Status and body; blocks until they come."""
        reply = self._connection.getresponse()
        return reply.status, json.loads(reply.read())

    def again(self) -> None:
        """Poll once more on the same connection."""
        self._send()

    @property
    def answered(self) -> bool:
        """True once something has come."""
        sock = self._connection.sock
        sock.setblocking(False)
        try:
            return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False
        finally:
            sock.settimeout(60)

    def leave(self) -> None:
        """Break the connection off."""
        sock = self._connection.sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Every connection is closed in the end."""
    yield
    while Poll.made:
        Poll.made.pop().close()


@pytest.fixture(scope="module")
def narrow(stack: Stack) -> Iterator[Proxy]:
    """A proxy with few threads."""
    with Proxy(stack, workers=2, threads=8) as running:
        yield running


def reader(proxy: Proxy, topic: str, partition: int = 0, **options: Any) -> str:
    """A consumer that reads one partition by hand, from its beginning."""
    consumer = proxy.create_v2(format="json", **options)
    body = {"partitions": [{"topic": topic, "partition": partition}]}
    assert proxy.v2("POST", f"{consumer}/assignments", body).status == 204
    return consumer


def values(answer: tuple[int, Any]) -> list[Any]:
    status, body = answer
    assert status == 200, body
    return [record["value"] for record in body]


def test_two_hundred_polls_wait_beside_sixteen_threads(narrow: Proxy, stack: Stack) -> None:
    count, each = 20, 10
    topic, other = stack.create_topic(count), stack.create_topic()
    consumers = [reader(narrow, topic, number) for number in range(count)]
    lines = [[Poll(narrow, consumer) for _ in range(each)] for consumer in consumers]
    for _ in range(20):
        made = narrow.v2("POST", f"/topics/{other}", {"records": [{"value": 1}]}, "json")
        assert made.json["offsets"][0]["error_code"] is None
        assert narrow.get("/").status == 200
    assert not any(poll.answered for line in lines for poll in line)
    seen: list[list[Any]] = [[] for _ in consumers]
    for turn in range(each):
        stack.produce(topic, [(n, None, b"%d" % (100 * n + turn)) for n in range(count)])
        for number, line in enumerate(lines):
            poll = wait_for(lambda line=line: next((p for p in line if p.answered), None))
            seen[number] += values(poll.answer())
            line.remove(poll)
    assert seen == [[100 * n + turn for turn in range(each)] for n in range(count)]
    for consumer in consumers:
        assert narrow.v2("DELETE", consumer).status == 204


def test_connection_polls_again_and_again(narrow: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    poll = Poll(narrow, reader(narrow, topic))
    for number in range(20):
        stack.produce(topic, [(0, None, b"%d" % number)])
        assert values(poll.answer()) == [number]
        poll.again()


def test_poll_that_is_due_is_answered_with_nothing(narrow: Proxy, stack: Stack) -> None:
    consumer = reader(narrow, stack.create_topic())
    polls = [Poll(narrow, consumer, 300) for _ in range(30)]
    assert [values(poll.answer()) for poll in polls] == [[]] * 30


def test_other_calls_go_on_beside_a_poll_and_delete_ends_it(narrow: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    consumer = reader(narrow, topic)
    polls = [Poll(narrow, consumer) for _ in range(3)]
    place = {"topic": topic, "partition": 0}
    assert narrow.v2("POST", f"{consumer}/offsets").status == 200
    offsets = {"offsets": [{**place, "offset": 0}]}
    assert narrow.v2("POST", f"{consumer}/positions", offsets).status == 204
    assert narrow.v2("GET", f"{consumer}/assignments").json == {"partitions": [place]}
    assert not any(poll.answered for poll in polls)
    assert narrow.v2("DELETE", consumer).status == 204
    assert [values(poll.answer()) for poll in polls] == [[]] * 3


def test_failure_of_a_poll_is_answered_as_its_version_codes_it(narrow: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    poll = Poll(narrow, reader(narrow, topic))
    time.sleep(0.3)
    assert not poll.answered
    stack.produce(topic, [(0, None, b"no json")])
    parked = poll.answer()
    poll.again()
    at_once = poll.answer()
    assert parked == at_once
    assert parked[0] != 200


def test_client_that_leaves_takes_no_record_with_it(narrow: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    consumer = reader(narrow, topic)
    leaving = [Poll(narrow, consumer) for _ in range(20)]
    staying = Poll(narrow, consumer)
    for number, poll in enumerate(leaving):
        (poll.leave if number % 2 else poll.close)()
    # They were first in line; their leaving has to be seen.
    time.sleep(1)
    stack.produce(topic, [(0, None, b"1")])
    assert values(staying.answer()) == [1]


def test_polls_end_when_the_server_stops(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, workers=2, threads=8) as proxy:
        consumers = [reader(proxy, topic) for _ in range(10)]
        polls = [Poll(proxy, consumer) for consumer in consumers for _ in range(5)]
        time.sleep(1)
        assert not any(poll.answered for poll in polls)
        proxy.process.terminate()
        assert [values(poll.answer()) for poll in polls] == [[]] * 50
        assert proxy.process.wait(20) == 0


def test_polls_of_a_killed_worker_end_and_others_do_not(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, workers=2, threads=8) as proxy:
        # Names spread over the workers; an unnamed consumer lives where its request arrived.
        consumers = [reader(proxy, topic, name=f"i{number}") for number in range(20)]
        polls = [Poll(proxy, consumer) for consumer in consumers]
        time.sleep(1)
        victim = proxy.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in proxy.worker_pids() and len(proxy.worker_pids()) == 2)
        stack.produce(topic, [(0, None, b"1")])
        fates = []
        for poll in polls:
            try:
                fates.append(poll.answer()[0])
            except (ConnectionError, http.client.HTTPException):
                # It was with the worker that was killed.
                fates.append(0)
        # 503: relayed to the worker that was killed.
        assert set(fates) <= {0, 200, 503}
        assert 200 in fates


def test_poll_too_many_is_429(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, {"consumer.long.polls.max": "3"}, workers=1, threads=8) as proxy:
        consumer = reader(proxy, topic)
        polls = [Poll(proxy, consumer) for _ in range(6)]
        wait_for(lambda: sum(poll.answered for poll in polls) >= 3)
        refused = [poll for poll in polls if poll.answered]
        assert [poll.answer()[0] for poll in refused] == [429] * 3
        refused[0].again()
        assert refused[0].answer()[1]["error_code"] == 429
        waiting = [poll for poll in polls if poll not in refused]
        stack.produce(topic, [(0, None, b"1")])
        first = wait_for(lambda: next((poll for poll in waiting if poll.answered), None))
        assert values(first.answer()) == [1]
        assert proxy.v2("GET", f"{consumer}/records?timeout=1", fmt="json").status == 200


@pytest.mark.parametrize(
    "settings",
    [{"compression.enable": "true"}, {"server.worker.class": "gthread"}],
    ids=["compression", "gthread"],
)
def test_polls_that_hold_threads_leave_some_for_others(
    stack: Stack, settings: dict[str, str]
) -> None:
    topic = stack.create_topic()
    with Proxy(stack, settings, workers=1, threads=8) as proxy:
        consumers = [reader(proxy, topic) for _ in range(8)]
        polls = [Poll(proxy, consumer) for consumer in consumers]
        assert proxy.get("/").status == 200
        wait_for(lambda: sum(poll.answered for poll in polls) >= 2)
        refused = [poll for poll in polls if poll.answered]
        assert [poll.answer()[0] for poll in refused] == [429] * 2
        stack.produce(topic, [(0, None, b"1")])
        waiting = [poll for poll in polls if poll not in refused]
        assert [values(poll.answer()) for poll in waiting] == [[1]] * len(waiting)


@pytest.fixture(scope="module")
def alone(stack: Stack) -> Iterator[Proxy]:
    """A proxy of one worker, which owns every consumer."""
    with Proxy(stack, workers=1, threads=8) as running:
        yield running


@pytest.mark.parametrize(("announced", "sent"), [(5, 0), (5, 2), (100_000, 100_000)])
def test_poll_with_a_body_that_nobody_wants_is_answered(
    stack: Stack, alone: Proxy, announced: int, sent: int
) -> None:
    topic = stack.create_topic()
    poll = Poll(alone, reader(alone, topic), announced=announced)
    poll.send_body(b"x" * sent)
    # Longer than anybody waits for the rest of it.
    time.sleep(0.6)
    stack.produce(topic, [(0, None, b"1")])
    assert values(poll.answer()) == [1]


def test_poll_with_a_large_body_is_answered_wherever_its_consumer_is(
    stack: Stack, narrow: Proxy
) -> None:
    topic = stack.create_topic()
    consumers = [reader(narrow, topic, name=f"large{number}") for number in range(6)]
    polls = [Poll(narrow, consumer, announced=100_000) for consumer in consumers]
    for poll in polls:
        poll.send_body(b"x" * 100_000)
    time.sleep(0.6)
    stack.produce(topic, [(0, None, b"1")])
    assert [values(poll.answer()) for poll in polls] == [[1]] * len(polls)
