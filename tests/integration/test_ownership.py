"""Any worker answers for any consumer: ownership, forwarding, lost workers."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack import Proxy, Stack, wait_for

CLIENTS = 16
ROUNDS = 3
V1 = {"Content-Type": "application/vnd.kafka.v1+json"}


@pytest.fixture(scope="module")
def crowd(stack: Stack) -> Iterator[Proxy]:
    """Four workers; a read waits as long as a slow machine may need for its first record."""
    with Proxy(stack, {"consumer.request.timeout.ms": "5000"}, workers=4, threads=24) as running:
        yield running


def life(proxy: Proxy, topic: str, named: bool) -> list[str]:
    """The life of a consumer; everything that was not as it should be."""
    wrong: list[str] = []
    group = f"g{uuid.uuid4().hex[:10]}"

    def expect(what: str, got: Any, want: Any) -> None:
        if got != want:
            wrong.append(f"{what}: {got!r} instead of {want!r}")

    body: dict[str, Any] = {"auto.offset.reset": "smallest"}
    if named:
        body["name"] = f"i{uuid.uuid4().hex[:6]}"
    made = proxy.request("POST", f"/consumers/{group}", body, V1)
    expect("create", made.status, 200)
    if named:
        again = proxy.request("POST", f"/consumers/{group}", body, V1)
        expect("create again", (again.status, again.json["error_code"]), (409, 40902))
    path = made.json["base_uri"]
    read = proxy.request("GET", f"{path}/topics/{topic}")
    if read.status != 200:
        return [*wrong, f"read: {read}"]
    expect("read", [r["offset"] for r in read.json], [0, 1, 2])
    committed = [{"topic": topic, "partition": 0, "consumed": 2, "committed": 2}]
    expect("commit", proxy.request("POST", f"{path}/offsets").json, committed)
    expect("delete", proxy.request("DELETE", path).status, 204)
    expect("gone", proxy.request("DELETE", path).json["error_code"], 40403)
    return wrong


def test_sixteen_clients_at_four_workers_get_no_wrong_answer(crowd: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(3)])
    with ThreadPoolExecutor(CLIENTS) as pool:
        lives = [
            pool.submit(life, crowd, topic, number % 2 == 0) for number in range(CLIENTS * ROUNDS)
        ]
        wrong = [problem for done in lives for problem in done.result(120)]
    assert wrong == []


def test_waiting_reads_of_all_workers_do_not_keep_them_from_answering(
    crowd: Proxy, stack: Stack
) -> None:
    topic = stack.create_topic()
    consumers = [crowd.create_consumer() for _ in range(12)]
    with ThreadPoolExecutor(16) as pool:
        # The first reads join; these wait their time out on whatever worker they reach.
        polls = [pool.submit(crowd.get, f"{c}/topics/{topic}") for c in consumers]
        assert crowd.get("/topics").status == 200
        assert crowd.produce(topic, [{"value": "YQ=="}]).status == 200
        assert crowd.create_consumer()
        assert {poll.result(60).status for poll in polls} == {200}


def test_killed_worker_is_replaced_and_its_consumers_are_told_so(stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    with Proxy(stack, workers=2) as proxy:
        # Names spread over the workers; an unnamed consumer lives where its request arrived.
        consumers = [proxy.create_consumer("g-spread", name=f"i{n}") for n in range(8)]
        for consumer in consumers:
            assert proxy.get(f"{consumer}/topics/{topic}").status == 200
        victim = proxy.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in proxy.worker_pids() and len(proxy.worker_pids()) == 2)

        def fate(consumer: str) -> tuple[int, int | None]:
            reply = proxy.get(f"{consumer}/topics/{topic}")
            code = reply.json["error_code"] if reply.status != 200 else None
            return reply.status, code

        # 503 while the new worker is not there yet, then one of the two for good.
        final = {(200, None), (404, 40403)}
        fates = [wait_for(lambda c=c: (f := fate(c)) in final and f) for c in consumers]
        assert set(fates) == final
        lost = consumers[fates.index((404, 40403))]
        assert "since this worker started" in proxy.get(f"{lost}/topics/{topic}").json["message"]
        assert proxy.create_consumer()


def test_worker_killed_under_load_gives_503_or_right_answers(stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    with Proxy(stack, workers=2) as proxy:
        stop = threading.Event()
        wrong: list[str] = []

        def load() -> None:
            while not stop.is_set():
                try:
                    made = proxy.request("POST", "/consumers/g-load", {}, V1)
                    if made.status == 200:
                        gone = proxy.request("DELETE", made.json["base_uri"])
                        answer = gone.status, gone.json and gone.json["error_code"]
                    else:
                        answer = made.status, made.json["error_code"]
                except OSError:
                    # The connection was with the worker that was killed.
                    continue
                if answer not in {(204, None), (404, 40403), (503, 503)}:
                    wrong.append(str(answer))

        threads = [threading.Thread(target=load, daemon=True) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            victim = proxy.worker_pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(
                lambda v=victim: v not in proxy.worker_pids() and len(proxy.worker_pids()) == 2
            )
        stop.set()
        for thread in threads:
            thread.join(30)
        assert wrong == []


def test_pinned_listeners_lead_to_the_owner(stack: Stack) -> None:
    with Proxy(stack, {"consumer.pinning.listeners": "true"}, workers=2) as proxy:
        ports = set()
        for _ in range(8):
            made = proxy.request("POST", "/consumers/g", {}, V1).json
            ports.add(int(made["base_uri"].split(":")[2].split("/")[0]))
            assert proxy.request("DELETE", made["base_uri"]).status == 204
        assert ports <= {proxy.port + 1, proxy.port + 2}


def test_plain_gthread_serves_consumers_too(stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(3)])
    with Proxy(stack, {"server.worker.class": "gthread"}, workers=2) as proxy:
        assert [life(proxy, topic, named) for named in (True, False) * 2] == [[]] * 4
