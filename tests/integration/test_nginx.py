"""nginx with the shipped configuration before a cluster: clients notice little of a restart."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.integration.rolling import Book, Client, Place, Told, threads_of
from tests.integration.test_cluster import (
    V1,
    V2,
    RoundRobin,
    fresh_group,
    life,
    name_of,
    running,
)
from tests.integration.test_long_polls import Poll, values
from tests.nginx import Nginx
from tests.stack import Proxy, Stack, wait_for

CLIENTS, TOPICS = 32, 8
TRUST = {"server.trusted.proxies": "127.0.0.1/32"}
SECONDS = 100.0
"""Longer than any client reads in vain; the whole takes half a minute."""

# What a client may be told beside success, and how that begins to say why; all else is wrong.
ANSWERS: dict[tuple[int, int], tuple[str, ...]] = {
    # nginx's own: the proxy ended under a request that it may have executed.
    (502, 502): ("no proxy answered; the request may have been executed",),
}
ANSWERS_ABOUT_CONSUMERS = ANSWERS | {
    # The owner is down, or went down under the request: the other proxy says so, or, while the
    # owner stops, the worker of it that the request came to.
    (503, 503): (
        "the proxy a, which owns this consumer, cannot be reached",
        "the proxy a, which owns this consumer, ended before it answered",
        "the worker that owns this consumer",
    ),
    # The owner is back, and its instances are gone.
    (404, 40403): ("since this worker started",),
}


@contextmanager
def balanced(stack: Stack, by_group: bool = False) -> Iterator[tuple[list[Proxy], Nginx]]:
    """Two proxies of two workers each behind nginx."""
    with running(stack, 2, TRUST) as cluster, Nginx(cluster, by_group) as nginx:
        yield cluster, nginx


@pytest.fixture(scope="module")
def behind(stack: Stack) -> Iterator[tuple[list[Proxy], Nginx]]:
    with balanced(stack) as found:
        yield found


@pytest.mark.parametrize("by_group", [False, True], ids=["shipped", "by group"])
def test_whole_life_of_a_consumer_through_nginx(stack: Stack, by_group: bool) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(3)])
    with balanced(stack, by_group) as (_, nginx), ThreadPoolExecutor(4) as pool:
        lives = [pool.submit(life, RoundRobin([nginx]), topic, n % 2 == 0) for n in range(8)]
        assert [problem for done in lives for problem in done.result(SECONDS)] == []


def test_client_sees_nginx_and_nothing_behind_it(behind: tuple[list[Proxy], Nginx]) -> None:
    _, nginx = behind
    forged = {
        "X-Kafka-Rest-Signature": "0" * 64,
        "X-Kafka-Rest-Peer": "10.1.1.1",
        "X-Forwarded-Prefix": "/mine",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Host": "mine",
    }
    for owner in range(2):
        group = fresh_group()
        body = {"name": name_of(group, owner, 2)}
        path = f"/consumers/{group}/instances/{body['name']}"
        for _ in range(2):
            made = nginx.request("POST", f"/consumers/{group}", body, V1 | forged)
            assert made.json["base_uri"] == nginx.url + path
            assert nginx.request("DELETE", path).status == 204


def test_body_that_is_too_large_is_refused_as_the_proxy_refuses_it(
    behind: tuple[list[Proxy], Nginx],
) -> None:
    cluster, nginx = behind
    most = 64 << 20
    # By what it announces: neither reads on, and who goes on sending has his connection reset.
    kind = {"Content-Type": "application/vnd.kafka.json.v2+json"}
    announced = kind | {"Content-Length": str(most + 1)}
    replies = [to.request("POST", "/topics/t", None, announced) for to in (nginx, cluster[0])]
    assert [reply.status for reply in replies] == [413, 413]
    assert {reply.json["error_code"] for reply in replies} == {413}
    assert nginx.request("POST", "/topics/t", b" " * most, kind).status != 413


def test_client_that_goes_takes_no_record_through_nginx(
    behind: tuple[list[Proxy], Nginx], stack: Stack
) -> None:
    _, nginx = behind
    for owner in range(2):
        topic, group = stack.create_topic(), fresh_group()
        body = {"name": name_of(group, owner, 2), "format": "json"}
        body["auto.offset.reset"] = "earliest"
        path = f"/consumers/{group}/instances/{body['name']}"
        parts = {"partitions": [{"topic": topic, "partition": 0}]}
        assert nginx.request("POST", f"/consumers/{group}", body, V2).status == 200
        assert nginx.request("POST", f"{path}/assignments", parts, V2).status == 204
        polls = [Poll(nginx, path) for _ in range(3)]
        for poll in polls[:2]:
            poll.leave()
        # The third stands behind them, and is answered when both have ended or left it the record.
        stack.produce(topic, [(0, None, b"1"), (0, None, b"2"), (0, None, b"3")])
        got = values(polls[2].answer())
        assert got
        assert got[-1] == 3


def test_proxy_is_restarted_under_load_and_nothing_is_lost(stack: Stack) -> None:
    topics = [stack.create_topic(CLIENTS // TOPICS, name="rolling") for _ in range(TOPICS)]
    places = [Place(topics[n % TOPICS], n // TOPICS) for n in range(CLIENTS)]
    book, stop = Book(), threading.Event()
    with balanced(stack) as (cluster, nginx):
        witnesses = [witness(nginx, owner) for owner in range(2)]
        clients = [Client(n, nginx.port, place, book, 2) for n, place in enumerate(places)]
        threads = list(threads_of(clients, stop))
        try:
            all_live(book, 1)
            assert cluster[0].terminate() == 0
            away = nginx.request("POST", f"{witnesses[0]}/offsets")
            assert_said(away, 503, 503, "the proxy a, which owns this consumer, cannot be reached")
            assert nginx.request("POST", f"{witnesses[1]}/offsets").status == 200
            some_lives(book)
            with Proxy(stack, cluster[0].settings, 2, cluster[0].threads, cluster[0].port):
                forgotten = wait_for(lambda: answered(nginx, witnesses[0]))
                assert_said(forgotten, 404, 40403, "since this worker started")
                assert nginx.request("POST", f"{witnesses[1]}/offsets").status == 200
                all_live(book, 1)
                assert witness(nginx, 0)
                stop.set()
                for thread in threads:
                    thread.join(SECONDS)
        finally:
            stop.set()
        assert not any(thread.is_alive() for thread in threads)
    require_all_as_listed(book)
    assert book.wrong == []
    assert book.lost[0] > 0
    assert_stored(stack, book)


def witness(nginx: Nginx, owner: int) -> str:
    """A consumer of a proxy that waits to be asked; its path."""
    group = fresh_group()
    body = {"name": name_of(group, owner, 2), "format": "json"}
    assert nginx.request("POST", f"/consumers/{group}", body, V2).status == 200
    return f"/consumers/{group}/instances/{body['name']}"


def answered(nginx: Nginx, path: str) -> Any:
    """The owner's answer, None while another one answers for it."""
    reply = nginx.request("POST", f"{path}/offsets")
    return None if reply.status == 503 else reply


def assert_said(reply: Any, status: int, code: int, text: str) -> None:
    assert (reply.status, reply.json["error_code"]) == (status, code), reply
    assert text in reply.json["message"]


def all_live(book: Book, lives: int) -> None:
    """Wait until every client has lived so many lives more."""
    goal = {n: book.lives[n] + lives for n in range(CLIENTS)}
    wait_for(
        lambda: book.wrong or all(book.lives[n] >= goal[n] for n in goal),
        SECONDS,
        f"{book.lives}",
    )


def some_lives(book: Book) -> None:
    """Wait until half of the clients have lived on."""
    goal = sum(book.lives.values()) + CLIENTS // 2
    wait_for(lambda: book.wrong or sum(book.lives.values()) >= goal, SECONDS, f"{book.lives}")


def require_all_as_listed(book: Book) -> None:
    """No answer but success and those that are listed with their reasons."""

    def listed(told: Told) -> bool:
        if told.code is None:
            return told.status in (200, 204)
        # Produce requests and the instances of the other proxy know nothing of the restart.
        untouched = told.owner == 1 or told.what.startswith("produce")
        reasons = ANSWERS if untouched else ANSWERS_ABOUT_CONSUMERS
        allowed = reasons.get((told.status, told.code), ())
        return all(any(text in said for text in allowed) for said in book.texts[told])

    wrong = {told: (book.told[told], book.texts[told]) for told in book.told if not listed(told)}
    assert wrong == {}


def assert_stored(stack: Stack, book: Book) -> None:
    """Every acknowledged record is in Kafka where the answer said."""
    reader = Consumer(
        {"bootstrap.servers": stack.bootstrap, "group.id": fresh_group()}
        | {"enable.auto.commit": False}
    )
    try:
        for place, acknowledged in book.acknowledged.items():
            assert acknowledged
            reader.assign([TopicPartition(place.topic, place.partition, 0)])
            stored: dict[int, Any] = {}
            while max(stored, default=-1) < max(acknowledged):
                (message,) = reader.consume(1, 20)
                stored[message.offset()] = message.value()
            found = {offset: json.loads(stored[offset])["n"] for offset in acknowledged}
            assert found == acknowledged
    finally:
        reader.close()
