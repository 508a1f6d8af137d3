"""librdkafka's statistics of the shared producer: what of them is worth a metric.

The text is as long as the cluster has topics and partitions in use; only the brokers are read.
"""

from collections import defaultdict

import msgspec

from kafka_rest.metrics import Cells, Metric
from kafka_rest.metrics import table as m

MICROSECONDS = 1e6
BUSY = 50
"""A client with so many requests since the last statistics has produced: others are rare."""


class _Window(msgspec.Struct):
    """What was measured since the last statistics, in microseconds."""

    sum: float = 0
    cnt: float = 0
    p50: float = 0
    p99: float = 0


class _Broker(msgspec.Struct):
    """A broker, or what librdkafka keeps like one; counts since the client was made."""

    rtt: _Window = msgspec.field(default_factory=_Window)
    int_latency: _Window = msgspec.field(default_factory=_Window)
    txerrs: int = 0
    txretries: int = 0
    req_timeouts: int = 0
    disconnects: int = 0


class _Statistics(msgspec.Struct):
    name: str = ""
    brokers: dict[str, _Broker] = {}


_decode = msgspec.json.Decoder(_Statistics).decode

# Of which member each kind of trouble is counted.
_TROUBLE = {
    "error": "txerrs",
    "retry": "txretries",
    "timeout": "req_timeouts",
    "disconnect": "disconnects",
}


class Statistics:
    """Takes the statistics of one producer's clients and counts; for one thread at a time."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._last: dict[tuple[str, str, str], int] = {}
        self._slowest: dict[Metric, dict[str, float]] = defaultdict(dict)

    def take(self, text: str) -> float | None:
        """Count what has happened since the last text of the same client.

        The typical (median) round trip to the farthest of the busy brokers since, in seconds; None
        without one.
        """
        decoded = _decode(text)
        brokers = decoded.brokers
        found = brokers.values()
        for metric, largest, windows in (
            (m.ROUND_TRIP, m.ROUND_TRIP_P99, [broker.rtt for broker in found]),
            (m.QUEUE_LATENCY, m.QUEUE_LATENCY_P99, [broker.int_latency for broker in found]),
        ):
            row = self._cells.row(metric)
            row[0] += sum(window.cnt for window in windows)
            row[1] += sum(window.sum for window in windows) / MICROSECONDS
            slowest = self._slowest[largest]
            slowest[decoded.name] = max((window.p99 for window in windows), default=0)
            self._cells.put(largest, max(slowest.values()) / MICROSECONDS)
        for name, broker in brokers.items():
            for kind, member in _TROUBLE.items():
                count: int = getattr(broker, member)
                # A broker that librdkafka forgets and finds again starts at 0.
                place = (decoded.name, name, kind)
                new = max(0, count - self._last.get(place, 0))
                self._last[place] = count
                self._cells.count(m.BROKER_TROUBLE, kind, by=new)
        trips = [broker.rtt.p50 / MICROSECONDS for broker in found if broker.rtt.cnt >= BUSY]
        return max(trips, default=None)
