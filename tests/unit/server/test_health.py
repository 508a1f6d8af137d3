"""What /health and /ready say of one worker, and what it tells the others."""

import json
import threading
from typing import Any

from kafka_rest.kafka.readiness import Readiness
from kafka_rest.pulse import STALL_SECONDS, Pulse
from kafka_rest.server.health import UP_SECONDS, Board, Health
from kafka_rest.server.management import Page


class Bench:
    """Worker 1 of 3, on a clock that the test sets."""

    def __init__(self) -> None:
        self.now, self.brokers = 100.0, [1]
        self.stopping = False
        self.board = Board([0.0] * 3, lambda: self.now)
        self.health = Health(1, self.board, lambda: self.stopping)
        self.pulse = Pulse(threading.Thread(name="loop"), lambda: self.now)

    def watch(self) -> None:
        readiness = Readiness(lambda _: self.brokers, lambda: None, ["h:1"], 5.0, lambda: self.now)
        self.health.watch([self.pulse], readiness)

    def health_page(self) -> tuple[int, Any]:
        return said(self.health.health())

    def ready_page(self) -> tuple[int, Any]:
        return said(self.health.ready())


def said(page: Page) -> tuple[int, Any]:
    assert page.media_type == "application/json"
    return page.status, json.loads(page.body)


def test_worker_whose_threads_go_on_is_healthy() -> None:
    bench = Bench()
    bench.watch()
    bench.health.turn()
    bench.now += 2
    status, body = bench.health_page()
    assert (status, body["status"], body["reasons"], body["worker"]) == (200, "ok", [], 1)
    assert body["threads"]["loop"] == {"idle_ms": 2000}
    assert body["workers"] == {"up": 1, "configured": 3}


def test_thread_that_stands_still_is_named() -> None:
    bench = Bench()
    bench.watch()
    bench.now += STALL_SECONDS + 1
    status, body = bench.health_page()
    assert (status, body["status"]) == (503, "failing")
    assert body["reasons"] == ["thread loop has stood still for 21 s"]
    bench.pulse.beat()
    assert bench.health_page()[0] == 200


def test_board_counts_the_workers_that_were_well_lately() -> None:
    bench = Bench()
    bench.watch()
    bench.health.turn()
    bench.board.beat(2)
    assert (bench.board.up, len(bench.board)) == (2, 3)
    bench.now += UP_SECONDS
    assert bench.board.up == 0
    bench.now += STALL_SECONDS
    # A worker that is not well does not say so.
    bench.health.turn()
    assert bench.board.up == 0
    bench.pulse.beat()
    bench.health.turn()
    assert bench.board.up == 1


def test_worker_is_ready_once_kafka_has_answered() -> None:
    bench = Bench()
    status, body = bench.ready_page()
    assert (status, body["reasons"]) == (503, ["The worker is starting."])
    bench.watch()
    status, body = bench.ready_page()
    assert (status, body["status"]) == (503, "not ready")
    assert body["metadata"] == {"age_ms": None, "brokers": None}
    bench.health.turn()
    bench.now += 0.25
    status, body = bench.ready_page()
    assert (status, body["status"], body["reasons"]) == (200, "ready", [])
    assert body["metadata"] == {"age_ms": 250, "brokers": 1}


def test_worker_that_stops_is_not_ready_although_it_is_healthy() -> None:
    bench = Bench()
    bench.watch()
    bench.health.turn()
    bench.stopping = True
    status, body = bench.ready_page()
    assert (status, body["status"]) == (503, "stopping")
    assert body["reasons"] == ["The server is stopping."]
    assert bench.health_page()[0] == 200


def test_thread_asks_and_is_ended_by_its_owner() -> None:
    bench, asked = Bench(), threading.Event()

    def ask(_deadline: object) -> list[int]:
        asked.set()
        raise ValueError

    bench.health.watch([bench.pulse], Readiness(ask, lambda: None, [], 5.0, lambda: bench.now))
    bench.health.start()
    assert asked.wait(5)
    bench.health.close()
    assert "health" in bench.health_page()[1]["threads"]
