"""Baseline: confluent-kafka alone, in a closed loop with the proxy's settings, without HTTP.

    python -m tests.performance.bare JSON-OF-A-LOOP

prints a line of JSON. Its figures are what no proxy on this client can beat.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from kafka_rest import settings as s
from kafka_rest.kafka.config import producer_config
from kafka_rest.kafka.producers import POLL_SECONDS

ANY_PARTITION = -1


@dataclass(frozen=True, slots=True)
class Loop:
    """What one process does: so many requests outstanding, each of so many equal records."""

    bootstrap: str
    topic: str
    value: str
    records: int
    outstanding: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it did after the warm-up; latencies from the first produce() to the last report."""

    requests: int
    seconds: float
    cpu_seconds: float
    latencies_ms: list[float]


def run_loops(loop: Loop, processes: int) -> Outcome:
    """Share the outstanding requests among processes, as a proxy's workers do; all they did."""
    count = min(processes, loop.outstanding)
    shares = [loop.outstanding // count + (i < loop.outstanding % count) for i in range(count)]
    command = [sys.executable, "-m", "tests.performance.bare"]
    running = [
        subprocess.Popen(
            [*command, json.dumps(asdict(loop) | {"outstanding": share})],
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in shares
    ]
    said = [process.communicate(timeout=loop.warm_up + loop.seconds + 60)[0] for process in running]
    return together([Outcome(**json.loads(text)) for text in said])


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Processes that ran side by side as one."""
    return Outcome(
        sum(outcome.requests for outcome in outcomes),
        max(outcome.seconds for outcome in outcomes),
        sum(outcome.cpu_seconds for outcome in outcomes),
        [latency for outcome in outcomes for latency in outcome.latencies_ms],
    )


class _Bare:
    """The loop of one process: a request that has its last report is sent again."""

    def __init__(self, loop: Loop, config: dict[str, Any]) -> None:
        self._loop, self._value = loop, loop.value.encode()
        self._producer = Producer(config)
        self._left = [0] * loop.outstanding
        self._begun = [0.0] * loop.outstanding
        self._latencies: list[float] = []
        self._ending = False

    def run(self) -> Outcome:
        for slot in range(self._loop.outstanding):
            self._send(slot)
        self._poll(self._loop.warm_up)
        self._latencies = []
        began, cpu_before = time.perf_counter(), time.process_time()
        self._poll(self._loop.seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu_before
        outcome = Outcome(len(self._latencies), took, cpu, list(self._latencies))
        self._ending = True
        self._producer.flush(10)
        return outcome

    def _poll(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._producer.poll(POLL_SECONDS)

    def _send(self, slot: int) -> None:
        self._begun[slot] = time.perf_counter()
        self._left[slot] = self._loop.records
        produce, topic, value = self._producer.produce, self._loop.topic, self._value
        for _ in range(self._loop.records):
            produce(topic, value, None, ANY_PARTITION, partial(self._delivered, slot))

    def _delivered(self, slot: int, error: KafkaError | None, _message: Message) -> None:
        assert error is None, error
        self._left[slot] -= 1
        if self._left[slot] == 0 and not self._ending:
            self._latencies.append((time.perf_counter() - self._begun[slot]) * 1000)
            self._send(slot)


def main() -> None:
    """Run the loop that the command line holds."""
    loop = Loop(**json.loads(sys.argv[1]))
    settings = s.load(overrides=[f"bootstrap.servers={loop.bootstrap}"])
    print(json.dumps(asdict(_Bare(loop, producer_config(settings)).run())))


if __name__ == "__main__":
    main()
