"""The pool of threads: as many as are wanted at a time, and no more than allowed."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kafka_rest.server.worker import Pool


class Bench:
    """A pool that serves gates, which the test opens."""

    def __init__(self, threads: int) -> None:
        self.served: queue.Queue[str] = queue.Queue()
        self.pool = Pool("test-pool", threads, self._serve)

    def _serve(self, gate: Any) -> None:
        self.served.put(threading.current_thread().name)
        gate.wait(5)
        if gate.broken:
            raise ValueError

    def put(self, count: int, broken: bool = False) -> list[Any]:
        gates = [Gate(broken) for _ in range(count)]
        for gate in gates:
            self.pool.put(gate)
        return gates


class Gate(threading.Event):
    """What stands for a connection."""

    def __init__(self, broken: bool) -> None:
        super().__init__()
        self.broken = broken


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("test-pool")}


def test_threads_are_started_when_they_are_wanted() -> None:
    bench = Bench(threads=3)
    assert names() == set()
    for _ in range(5):
        (gate,) = bench.put(1)
        gate.set()
        bench.served.get(timeout=5)
        wait_until(lambda: bench.pool.empty and bench.pool._wanted == 0)
    assert names() == {"test-pool-0"}
    held = bench.put(5)
    assert {bench.served.get(timeout=5) for _ in range(3)} == names()
    assert len(names()) == 3
    assert not bench.pool.empty
    for gate in held:
        gate.set()
    bench.served.get(timeout=5)
    bench.served.get(timeout=5)
    bench.pool.close()
    wait_until(lambda: not names())


def test_thread_outlives_what_it_serves() -> None:
    bench = Bench(threads=1)
    for gate in bench.put(3, broken=True):
        gate.set()
    assert [bench.served.get(timeout=5) for _ in range(3)] == ["test-pool-0"] * 3
    bench.pool.close()
    wait_until(lambda: not names())


@pytest.mark.parametrize("started", [0, 1])
def test_connection_waits_where_the_system_refuses_a_thread(
    started: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bench = Bench(threads=3)
    gates = bench.put(started)
    for _ in gates:
        bench.served.get(timeout=5)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(threading.Thread, "start", refuse)
        gates += bench.put(2)
    assert [bench.pool.waiting, bench.pool.busy] == [2, started]
    # Once, however many wait.
    (record,) = caplog.records
    assert "raise the limit" in record.getMessage()
    if started:
        # The thread that there is takes what waits.
        for gate in gates:
            gate.set()
        assert [bench.served.get(timeout=5) for _ in range(2)] == ["test-pool-0"] * 2
    else:
        # The next connection has threads started for all.
        gates += bench.put(1)
        assert {bench.served.get(timeout=5) for _ in gates} == names()
        assert len(names()) == 3
    for gate in gates:
        gate.set()
    wait_until(lambda: bench.pool._wanted == 0)
    bench.pool.close()
    wait_until(lambda: not names())
