"""Stopping: reads end early, groups are left, what was accepted is delivered."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer

from tests.integration.test_cluster import fresh_group
from tests.stack import Proxy, Stack, is_listening, wait_for


def test_waiting_read_ends_when_the_server_stops(stack: Stack) -> None:
    topic = stack.create_topic()
    with (
        Proxy(stack, {"consumer.request.timeout.ms": "60000"}) as proxy,
        ThreadPoolExecutor(1) as pool,
    ):
        consumer = proxy.create_consumer()
        waiting = pool.submit(proxy.get, f"{consumer}/topics/{topic}")
        wait_for(lambda: "partitions assigned" in proxy.log())
        proxy.process.terminate()
        reply = waiting.result(30)
        assert (reply.status, reply.json) == (200, [])
        assert proxy.process.wait(20) == 0


def test_stopped_server_has_left_its_groups(stack: Stack) -> None:
    """A group that was not left would keep the next member waiting for a session time-out."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    with Proxy(stack) as first:
        consumer = first.create_consumer("g-left-behind")
        assert len(first.get(f"{consumer}/topics/{topic}").json) == 1
    with Proxy(stack, {"consumer.join.timeout.ms": "8000"}) as second:
        consumer = second.create_consumer("g-left-behind")
        assert len(second.get(f"{consumer}/topics/{topic}").json) == 1


def test_stopped_server_has_left_a_group_that_it_was_joining(stack: Stack) -> None:
    topic, group = stack.create_topic(2), fresh_group()
    config = {"bootstrap.servers": stack.bootstrap, "group.id": group}
    member = Consumer(config)
    try:
        member.subscribe([topic])

        def owned() -> int:
            member.poll(0.1)
            return len(member.assignment())

        wait_for(lambda: owned() == 2)
        with Proxy(stack) as proxy, ThreadPoolExecutor(1) as pool:
            consumer = proxy.create_v2(group)
            subscription = {"topics": [topic]}
            assert proxy.v2("POST", f"{consumer}/subscription", subscription).status == 204
            # It cannot join before the other member has heard of that, who is not listening.
            time.sleep(1)
            stopped = pool.submit(proxy.terminate)
            time.sleep(1)
            listened = time.monotonic() + 3
            wait_for(lambda: (owned() < 2 or stopped.done()) and time.monotonic() > listened)
            assert stopped.result(20) == 0
        # Far less than the session time-out of a member that has not left.
        wait_for(lambda: owned() == 2, 20)
    finally:
        member.close()


def test_term_under_load_loses_no_acknowledged_record(stack: Stack, proxy: Proxy) -> None:
    topic = stack.create_topic()
    acknowledged: list[int] = []
    unexpected: list[int] = []
    with Proxy(stack) as victim:

        def load() -> None:
            while True:
                try:
                    reply = victim.produce(topic, [{"value": "YQ=="}], timeout=30)
                except OSError:
                    return
                if reply.status == 200:
                    acknowledged.append(reply.json["offsets"][0]["offset"])
                else:
                    unexpected.append(reply.status)

        threads = [threading.Thread(target=load, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(acknowledged) > 200)
        victim.terminate()
        for thread in threads:
            thread.join(30)
    assert unexpected == []
    assert None not in acknowledged
    assert len(set(acknowledged)) == len(acknowledged)
    consumer = proxy.create_consumer()
    stored = set()
    end = time.monotonic() + 30
    while not stored.issuperset(acknowledged) and time.monotonic() < end:
        stored |= {r["offset"] for r in proxy.get(f"{consumer}/topics/{topic}").json}
    assert stored.issuperset(acknowledged)


def test_reload_keeps_answering(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, workers=2) as proxy:
        old = set(proxy.worker_pids())
        os.kill(proxy.process.pid, signal.SIGHUP)
        wait_for(lambda: len(proxy.worker_pids()) == 2 and not old & set(proxy.worker_pids()), 30)
        for _ in range(6):
            consumer = proxy.create_consumer()
            assert proxy.request("DELETE", consumer).status == 204
        assert proxy.produce(topic, [{"value": "YQ=="}]).status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_by_signal_leaves_no_process(stack: Stack, number: int) -> None:
    with Proxy(stack) as proxy:
        proxy.create_consumer()
        pids = [proxy.process.pid, *proxy.worker_pids()]
        proxy.process.send_signal(number)
        assert proxy.process.wait(20) == 0
        # A process without a parent is there until somebody reaps it.
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 10, proxy.log())


def test_server_that_stops_refuses_connections_while_it_still_answers(stack: Stack) -> None:
    body = b'{"records":[{"value":"YQ=="}]}'
    with (
        Proxy(stack, {"shutdown.graceful.ms": "60000"}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 20) as slow,
    ):
        head = f"POST /topics/{stack.create_topic()} HTTP/1.1\r\nHost: a\r\n"
        head += (
            f"Content-Type: application/vnd.kafka.v1+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        slow.sendall(head.encode() + body[:9])
        proxy.process.terminate()
        # Whom nobody would accept any more is not let in to wait for the end.
        wait_for(lambda: not is_listening(proxy.port))
        assert proxy.process.poll() is None
        slow.sendall(body[9:])
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
