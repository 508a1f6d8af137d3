"""What is counted of librdkafka's statistics."""

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from kafka_rest.kafka.statistics import Statistics
from kafka_rest.metrics import Cells
from kafka_rest.metrics import table as m
from kafka_rest.metrics.table import Metric


class Bench:
    def __init__(self) -> None:
        self.cells = Cells()
        self.statistics = Statistics(self.cells)

    def take(self, client: str = "p", **brokers: Any) -> float | None:
        text = json.dumps({"name": client, "brokers": brokers, "topics": {"t": {}}})
        return self.statistics.take(text)

    def numbers(self, metric: Metric, *labels: str) -> list[float]:
        return self.cells.row(metric, *labels).tolist()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def window(count: int, total: int, p99: int) -> dict[str, int]:
    return {"cnt": count, "sum": total, "p99": p99, "min": 1}


def test_windows_are_added_up_over_brokers_and_time(bench: Bench) -> None:
    bench.take(
        a={"rtt": window(2, 3_000, 2_000), "int_latency": window(4, 100, 50)},
        b={"rtt": window(1, 500, 500), "int_latency": window(0, 0, 0)},
    )
    bench.take(a={"rtt": window(1, 1_500, 1_500)})
    assert bench.numbers(m.ROUND_TRIP) == [4, pytest.approx(0.005)]
    assert bench.numbers(m.QUEUE_LATENCY) == [4, pytest.approx(0.0001)]


def test_percentile_is_of_the_slowest_broker_and_of_the_last_interval(bench: Bench) -> None:
    bench.take(a={"rtt": window(2, 3_000, 2_000)}, b={"rtt": window(2, 3_000, 2_500)})
    assert bench.numbers(m.ROUND_TRIP_P99) == [0.0025]
    bench.take(a={"rtt": window(2, 3_000, 100)})
    assert bench.numbers(m.ROUND_TRIP_P99) == [0.0001]
    bench.take()
    assert bench.numbers(m.ROUND_TRIP_P99) == [0]


def test_trouble_counts_what_is_new_and_never_goes_back(bench: Bench) -> None:
    bench.take(a={"txerrs": 3, "txretries": 1, "req_timeouts": 2, "disconnects": 1})
    same = {"txretries": 1, "req_timeouts": 2, "disconnects": 1}
    bench.take(a={"txerrs": 5, **same}, b={"txerrs": 1})
    # Forgotten and found again.
    bench.take(a={"txerrs": 0}, b={"txerrs": 1})
    bench.take(a={"txerrs": 1}, b={"txerrs": 1})
    found = {
        kind: bench.numbers(m.BROKER_TROUBLE, kind)[0]
        for kind in ("error", "retry", "timeout", "disconnect")
    }
    assert found == {"error": 7, "retry": 1, "timeout": 2, "disconnect": 1}


def test_members_are_those_that_the_library_writes(bench: Bench) -> None:
    texts: list[str] = []
    client = Producer(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "statistics.interval.ms": 10,
            "stats_cb": texts.append,
            "log_level": 0,
        }
    )
    for _ in range(100):
        client.poll(0.1)
        if texts:
            break
    broker = next(iter(json.loads(texts[0])["brokers"].values()))
    for name in ("txerrs", "txretries", "req_timeouts", "disconnects"):
        assert isinstance(broker[name], int), name
    for name in ("rtt", "int_latency"):
        assert {"sum", "cnt", "p50", "p99"} <= set(broker[name]), name
    bench.statistics.take(texts[0])


def test_clients_are_told_apart(bench: Bench) -> None:
    for _ in range(2):
        bench.take("far", a={"txerrs": 3})
        bench.take("near", a={"txerrs": 1, "rtt": {"cnt": 1, "p99": 7_000}})
        bench.take("idle", a={})
    assert bench.numbers(m.BROKER_TROUBLE, "error") == [4]
    assert bench.numbers(m.ROUND_TRIP_P99) == [0.007]


def test_round_trip_is_that_to_the_farthest_of_the_busy_brokers(bench: Bench) -> None:
    busy, idle = {"cnt": 50, "p50": 300}, {"cnt": 49, "p50": 9_000}
    assert bench.take(a={"rtt": busy}, b={"rtt": {"cnt": 90, "p50": 700}}, c={"rtt": idle}) == 7e-4
    assert bench.take(c={"rtt": idle}) is None
