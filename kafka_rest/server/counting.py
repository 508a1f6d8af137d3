"""What a server counts by itself: its answered requests, and the gauges of each worker.

The memory is made by the master, which lends each worker a region; the page is `scrape`'s.
"""

import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from time import monotonic, sleep
from typing import Any

from kafka_rest.api.watching import ENDPOINT, RELAYED, Asked, Watcher
from kafka_rest.errors import CODES
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.kafka.statistics import Statistics
from kafka_rest.metrics import Cells, Metric, Row, SharedCells
from kafka_rest.metrics import table as m

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
NO_ENDPOINT = "none"
REGIONS_A_SLOT = 4
"""A slot's worker, those that still end after reloads, and one to spare."""


class Lending:
    """The regions of the workers' cells; in the master."""

    def __init__(self, slots: int) -> None:
        self.shared = SharedCells(slots * REGIONS_A_SLOT)

    def lend(self, workers: Iterable[Any]) -> int | None:
        """The number of a region that none of the workers has; None where all are lent."""
        lent = {getattr(worker, "region", None) for worker in workers}
        return next((n for n in range(len(self.shared)) if n not in lent), None)

    def cells(self, number: int | None) -> Cells:
        """A worker's cells, in the worker: those of a region, or, without, its own."""
        if number is None:
            log.warning("too many workers are still ending: metrics of one are left out")
            return Cells()
        return self.shared.region(number)

    def take_back(self, number: int | None) -> None:
        """The worker of a region has ended."""
        if number is not None:
            self.shared.region(number).end_gauges()


class _Requests(dict[tuple[str, str], Row]):
    """The rows of answered requests by endpoint and status line."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def __missing__(self, key: tuple[str, str]) -> Row:
        endpoint, status = key
        row = self[key] = self._cells.row(m.REQUEST_SECONDS, endpoint, status.partition(" ")[0])
        return row


def watcher(cells: Cells) -> Watcher:
    """What counts answered requests."""
    rows, bounds = _Requests(cells), m.BOUNDS
    cells.start(m.REQUEST_ERRORS, CODES)

    def told(asked: Asked, status: str, _sent: int, error_code: int) -> None:
        try:
            row = rows[asked.environ[ENDPOINT], status]
            seconds = monotonic() - asked.started  # type: ignore[operator] # caught below
        except (KeyError, TypeError):
            if RELAYED in asked.environ:
                # Its owner counts it.
                return
            row = rows[asked.environ.get(ENDPOINT, NO_ENDPOINT), status]
            # Where nothing was begun, nothing took any time.
            seconds = 0.0 if asked.started is None else monotonic() - asked.started
        row[bisect_left(bounds, seconds)] += 1
        row[-1] += seconds
        if error_code:
            cells.count(m.REQUEST_ERRORS, str(error_code))

    return told


Polls = Callable[[bool], int]
"""How many reads hold a thread: of those that other workers relay, or of the others."""


class Gauges:
    """The gauges of one worker: looked at once a second by a thread of their own, and when asked.

    What others count already (a cache's hits) is carried over in the same way.
    """

    def __init__(self, cells: Cells, clients: ClientRegistry, worker: Any, polls: Polls) -> None:
        self._cells, self._clients = cells, clients
        self._lock = threading.Lock()
        self._carried: dict[tuple[str, ...], int] = {}
        self._statistics = Statistics(cells)
        self._round_trip: float | None = None
        self._gauges = _gauges(worker, polls, clients)
        # What the region's last worker has left, in case the master has not got to it yet.
        cells.end_gauges()
        cells.put(m.WORKERS, 1)

    def start(self) -> None:
        """Start the thread; it ends with the process."""
        threading.Thread(target=self._run, name="gauges", daemon=True).start()

    def refresh(self) -> None:
        """Look at all of them; takes some ten microseconds, and waits for nothing."""
        with self._lock:
            for metric, label, look in self._gauges:
                self._cells.put(metric, look(), *label)
            schemas: Any = self._clients.made("schemas")
            if schemas is not None:
                self._carry(m.SCHEMA_LOOKUPS, schemas.hits, "hit")
                self._carry(m.SCHEMA_LOOKUPS, schemas.misses, "miss")
            producer: Any = self._clients.made("producer")
            while producer is not None and producer.statistics:
                round_trip = self._statistics.take(producer.statistics.popleft())
                if round_trip is not None:
                    self._round_trip = round_trip

    def _adapt(self) -> None:
        """Tell the producer how far away the brokers are, if that has been measured anew."""
        round_trip, self._round_trip = self._round_trip, None
        if round_trip is not None:
            self._clients.producer.adapt(round_trip)

    def _carry(self, metric: Metric, count: int, *labels: str) -> None:
        """Add what has been counted since the last look."""
        self._cells.count(metric, *labels, by=count - self._carried.get(labels, 0))
        self._carried[labels] = count

    def _run(self) -> None:
        while True:
            try:
                self.refresh()
                self._adapt()
            except Exception:
                log.exception("gauges not refreshed")
            sleep(REFRESH_SECONDS)


_Gauge = tuple[Metric, tuple[str, ...], Callable[[], int]]


def _gauges(worker: Any, polls: Polls, clients: ClientRegistry) -> list[_Gauge]:
    """What is looked at; of clients that are not made yet nothing is."""

    def size_of(name: str) -> Callable[[], int]:
        def size() -> int:
            client: Any = clients.made(name)
            return 0 if client is None else len(client)

        return size

    def queued() -> int:
        producer: Any = clients.made("producer")
        return 0 if producer is None else int(producer.queued)

    found: list[_Gauge] = [
        (m.CONNECTIONS, (), lambda: worker.nr_conns),
        (m.CONSUMER_INSTANCES, (), size_of("instances")),
        (m.PRODUCER_QUEUE, (), queued),
        (m.WAITING_READS, ("instance",), size_of("reads")),
        (m.WAITING_READS, ("thread",), lambda: polls(False)),
        (m.WAITING_READS, ("relay-thread",), lambda: polls(True)),
    ]
    # gunicorn's own worker class has no such pools.
    pools = [*worker.pools.values(), worker.urgent] if hasattr(worker, "pools") else []
    for pool in pools:
        waiting, busy = attrgetter("waiting"), attrgetter("busy")
        found += [
            (m.POOL_WAITING, (pool.name,), partial(waiting, pool)),
            (m.POOL_BUSY, (pool.name,), partial(busy, pool)),
        ]
    return found
