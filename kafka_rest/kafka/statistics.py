"""librdkafka's statistics of the shared producer: what of them is worth a metric.

The text is as long as the cluster has topics and partitions in use; only the brokers are read.
"""

import msgspec

from kafka_rest.metrics import Cells
from kafka_rest.metrics import table as m

MICROSECONDS = 1e6


class _Window(msgspec.Struct):
    """What was measured since the last statistics, in microseconds."""

    sum: float = 0
    cnt: float = 0
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
    """Takes the statistics of one producer, in order, and counts; for one thread at a time."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._last: dict[tuple[str, str], int] = {}

    def take(self, text: str) -> None:
        """Count what has happened since the last text."""
        brokers = _decode(text).brokers
        found = brokers.values()
        for metric, largest, windows in (
            (m.ROUND_TRIP, m.ROUND_TRIP_P99, [broker.rtt for broker in found]),
            (m.QUEUE_LATENCY, m.QUEUE_LATENCY_P99, [broker.int_latency for broker in found]),
        ):
            row = self._cells.row(metric)
            row[0] += sum(window.cnt for window in windows)
            row[1] += sum(window.sum for window in windows) / MICROSECONDS
            slowest = max((window.p99 for window in windows), default=0)
            self._cells.put(largest, slowest / MICROSECONDS)
        for name, broker in brokers.items():
            for kind, member in _TROUBLE.items():
                count: int = getattr(broker, member)
                # A broker that librdkafka forgets and finds again starts at 0.
                new = max(0, count - self._last.get((name, kind), 0))
                self._last[name, kind] = count
                self._cells.count(m.BROKER_TROUBLE, kind, by=new)
