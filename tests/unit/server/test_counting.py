"""What a server counts by itself: answered requests, and the gauges of its workers."""

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from kafka_rest import settings as s
from kafka_rest.api.watching import ENDPOINT, RELAYED
from kafka_rest.errors import RestError
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.metrics import Cells
from kafka_rest.metrics import table as m
from kafka_rest.server.counting import REGIONS_A_SLOT, Gauges, Lending, watcher

PRODUCE = "api.v2.produce-to-topic.json"


class Asked(NamedTuple):
    environ: dict[str, Any]
    started: float | None = 1.0
    peer: str = ""


def answered(cells: Cells) -> dict[tuple[str, ...], float]:
    """How many requests have been counted, by endpoint and status."""
    return {
        found.labels: sum(found.numbers[:-1])
        for found in cells.series()
        if found.metric is m.REQUEST_SECONDS
    }


def test_request_counts_by_endpoint_and_status_with_its_error() -> None:
    cells = Cells()
    tell = watcher(cells)
    for status, error_code in [("200 OK", 0), ("200 OK", 0), ("404 Not Found", 40401)]:
        tell(Asked({ENDPOINT: PRODUCE}), status, 3, error_code)
    tell(Asked({}), "404 Not Found", 3, 404)
    assert answered(cells) == {(PRODUCE, "200"): 2, (PRODUCE, "404"): 1, ("none", "404"): 1}
    assert cells.row(m.REQUEST_ERRORS, "40401")[0] == 1
    assert cells.row(m.REQUEST_ERRORS, "404")[0] == 1
    assert cells.row(m.REQUEST_SECONDS, PRODUCE, "200")[-1] > 0


def test_every_error_has_its_row_before_it_happens() -> None:
    cells = Cells()
    watcher(cells)
    found = {series.labels[0]: series.numbers for series in cells.series()}
    assert set(found) == {str(kind.error_code) for kind in kinds()}
    assert all(numbers == [0] for numbers in found.values())


def kinds(above: type[RestError] = RestError) -> Iterator[type[RestError]]:
    for kind in above.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_calls_to_a_schema_registry_have_their_rows_before_the_first() -> None:
    for given, outcomes in (
        (["schema.registry.url="], set()),
        (["schema.registry.url=http://r:1"], {"answered", "refused", "unreachable"}),
    ):
        cells = Cells()
        ClientRegistry(s.load(None, {}, given), cells=cells)
        assert {series.labels[0] for series in cells.series()} == outcomes


def test_request_that_was_never_begun_took_no_time() -> None:
    cells = Cells()
    watcher(cells)(Asked({ENDPOINT: PRODUCE}, None), "200 OK", 0, 0)
    row = cells.row(m.REQUEST_SECONDS, PRODUCE, "200")
    assert (row[0], row[-1]) == (1, 0)


def test_relayed_request_is_its_owners_to_count() -> None:
    cells = Cells()
    watcher(cells)(Asked({RELAYED: True}), "200 OK", 3, 0)
    assert answered(cells) == {}


def test_region_is_lent_to_one_living_worker_at_a_time() -> None:
    lending = Lending(1)
    workers: list[Any] = []
    for _ in range(REGIONS_A_SLOT):
        workers.append(SimpleNamespace(region=lending.lend(workers)))
    assert [worker.region for worker in workers] == list(range(REGIONS_A_SLOT))
    assert lending.lend(workers) is None
    gone = workers.pop(1)
    assert lending.lend(workers) == gone.region


def test_worker_without_a_region_counts_for_itself() -> None:
    lending = Lending(1)
    lending.cells(None).count(m.HAND_OVERS, "taken")
    lending.take_back(None)
    assert lending.shared.merged() == {}


def test_ended_worker_takes_its_gauges_along() -> None:
    lending = Lending(2)
    for number in range(2):
        cells = lending.cells(number)
        cells.put(m.CONSUMER_INSTANCES, 4)
        cells.count(m.HAND_OVERS, "taken")
    lending.take_back(0)
    assert lending.shared.merged()[m.CONSUMER_INSTANCES] == {(): [4]}
    assert lending.shared.merged()[m.HAND_OVERS] == {("taken",): [2]}


class Pool:
    waiting, busy = 3, 5

    def __init__(self, name: str = "handler") -> None:
        self.name = name


class Clients(ClientRegistry):
    """A registry whose clients are stand-ins, made when a test says so."""

    def __init__(self, **clients: Any) -> None:
        super().__init__(s.load(None, {}))
        self.__dict__.update(clients)


@pytest.fixture
def worker() -> Any:
    return SimpleNamespace(nr_conns=9, pools={False: Pool()}, urgent=Pool("urgent-handler"))


def look(cells: Cells, metric: m.Metric, *labels: str) -> float:
    return cells.row(metric, *labels)[0]


def test_gauges_are_what_is_there_now(worker: Any) -> None:
    cells, polls = Cells(), {False: 1, True: 2}
    producer = SimpleNamespace(queued=6, statistics=deque())
    clients = Clients(instances=range(4), reads=range(3), producer=producer)
    gauges = Gauges(cells, clients, worker, polls.__getitem__)
    gauges.refresh()
    assert look(cells, m.WORKERS) == 1
    assert look(cells, m.CONNECTIONS) == 9
    assert look(cells, m.CONSUMER_INSTANCES) == 4
    assert look(cells, m.PRODUCER_QUEUE) == 6
    held = [look(cells, m.WAITING_READS, name) for name in ("instance", "thread", "relay-thread")]
    assert held == [3, 1, 2]
    for pool in ("handler", "urgent-handler"):
        assert (look(cells, m.POOL_WAITING, pool), look(cells, m.POOL_BUSY, pool)) == (3, 5)
    producer.queued = 0
    gauges.refresh()
    assert look(cells, m.PRODUCER_QUEUE) == 0


def test_gauges_of_clients_that_are_not_made_are_zero_and_make_none(worker: Any) -> None:
    cells, clients = Cells(), Clients()
    Gauges(cells, clients, worker, lambda _relayed: 0).refresh()
    assert look(cells, m.CONSUMER_INSTANCES) == look(cells, m.PRODUCER_QUEUE) == 0
    assert clients.made("producer") is None


def test_gunicorns_own_worker_has_no_pools() -> None:
    cells = Cells()
    bare: Any = SimpleNamespace(nr_conns=2)
    Gauges(cells, Clients(), bare, lambda _relayed: 0).refresh()
    assert look(cells, m.CONNECTIONS) == 2


def test_what_the_schema_caches_count_is_carried_over_once(worker: Any) -> None:
    cells, schemas = Cells(), SimpleNamespace(hits=5, misses=2)
    # The region's last worker has counted, too.
    cells.count(m.SCHEMA_LOOKUPS, "hit", by=100)
    gauges = Gauges(cells, Clients(schemas=schemas), worker, lambda _relayed: 0)
    gauges.refresh()
    gauges.refresh()
    assert look(cells, m.SCHEMA_LOOKUPS, "hit") == 105
    schemas.hits = 8
    gauges.refresh()
    assert look(cells, m.SCHEMA_LOOKUPS, "hit") == 108
    assert look(cells, m.SCHEMA_LOOKUPS, "miss") == 2


def test_statistics_are_taken_once(worker: Any) -> None:
    cells, text = Cells(), '{"brokers":{"a":{"rtt":{"sum":2000,"cnt":50,"p50":7,"p99":2000}}}}'
    told: list[float] = []
    producer = SimpleNamespace(queued=0, statistics=deque([text, text]), adapt=told.append)
    gauges = Gauges(cells, Clients(producer=producer), worker, lambda _relayed: 0)
    gauges.refresh()
    gauges.refresh()
    assert cells.row(m.ROUND_TRIP).tolist() == [100, 0.004]
    # Whoever looks at the metrics does not wait for a client to be made.
    assert told == []
    for _ in range(2):
        gauges._adapt()
    assert told == [7e-6]


def test_gauges_of_the_regions_last_worker_end(worker: Any) -> None:
    cells = Cells()
    cells.put(m.ROUND_TRIP_P99, 3.0)
    Gauges(cells, Clients(), worker, lambda _relayed: 0)
    assert look(cells, m.ROUND_TRIP_P99) == 0
