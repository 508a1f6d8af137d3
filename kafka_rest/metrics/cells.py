"""Where workers count: numbers in memory that all processes of a server share.

Each worker writes to a region of its own, and whoever is scraped reads all of them, asking nobody.
A region outlives its worker and is the next one's: a counter goes on from where it stood, also
after kill -9.

A number is changed by `row[0] += 1`, without a lock: CPython changes threads between calls and
jumps only, and there is neither between reading such a number and writing it back (a test tries).
"""

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from kafka_rest.metrics.table import BOUNDS, TABLE, Kind, Metric

CELL_BYTES = 8
NAMES_BYTES = 1 << 18
CELLS = 1 << 15
REGION_BYTES = CELL_BYTES + NAMES_BYTES + CELL_BYTES * CELLS
"""A region; the system gives memory for what of it is written to."""

_BY_NAME: dict[str, Metric] = {metric.name: metric for metric in TABLE.values()}

Labels = tuple[str, ...]
Row: TypeAlias = "memoryview[float]"


class Series(NamedTuple):
    """A metric with one set of labels, as it stands."""

    metric: Metric
    labels: Labels
    numbers: Sequence[float]


class Cells:
    """One region: what a worker counts in. Thread-safe.

    A list of names says which numbers are whose; it only grows, and is read while it does.
    """

    def __init__(self, memory: memoryview | None = None) -> None:
        if memory is None:
            # Nobody else's: what is counted here is seen by this process alone.
            private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            memory = memoryview(mmap.mmap(-1, REGION_BYTES, flags=private))
        self._length = memory[:CELL_BYTES].cast("q")
        self._names = memory[CELL_BYTES : CELL_BYTES + NAMES_BYTES]
        self._cells = memory[CELL_BYTES + NAMES_BYTES : REGION_BYTES].cast("d")
        self._lock = threading.Lock()
        self._rows: dict[tuple[Metric, Labels], Row] = {}
        self._used = 0
        for metric, labels, row in self._listed():
            self._rows[metric, labels] = row
            self._used += metric.width

    def row(self, metric: Metric, *labels: str) -> Row:
        """The numbers of a metric with these labels, to be changed in place by this process."""
        found = self._rows.get((metric, labels))
        return self._made(metric, labels) if found is None else found

    def start(self, metric: Metric, labels: Iterable[object]) -> None:
        """Have rows of a metric with one label there from the start.

        A counter that comes with its first number has no increase, so no rate shows it.
        """
        for label in labels:
            self.row(metric, str(label))

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        self.row(metric, *labels)[0] += by

    def put(self, metric: Metric, number: float, *labels: str) -> None:
        """Set a gauge."""
        self.row(metric, *labels)[0] = number

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add one to a histogram."""
        row = self.row(metric, *labels)
        row[bisect_left(BOUNDS, seconds)] += 1
        row[-1] += seconds

    def series(self) -> list[Series]:
        """All that stands here now, whichever process writes it."""
        return [Series(metric, labels, row.tolist()) for metric, labels, row in self._listed()]

    def end_gauges(self) -> None:
        """Set all gauges to 0: whom they told of has ended."""
        for metric, _, row in self._listed():
            if metric.kind.is_gauge:
                row[0] = 0

    def _listed(self) -> Iterator[tuple[Metric, Labels, Row]]:
        names, at = bytes(self._names[: self._length[0]]).decode(), 0
        for line in names.splitlines():
            name, *labels = line.split("\t")
            metric = _BY_NAME[name]
            yield metric, tuple(labels), self._cells[at : at + metric.width]
            at += metric.width

    def _made(self, metric: Metric, labels: Labels) -> Row:
        assert len(labels) == len(metric.labels), metric
        line = ("\t".join((metric.name, *labels)) + "\n").encode()
        with self._lock:
            found = self._rows.get((metric, labels))
            if found is not None:
                return found
            length, at = self._length[0], self._used
            if length + len(line) > NAMES_BYTES or at + metric.width > CELLS:
                # Labels are bounded, and there is room for far more; it is not worth an error.
                row: Row = memoryview(bytearray(CELL_BYTES * metric.width)).cast("d")
            else:
                row = self._cells[at : at + metric.width]
                self._names[length : length + len(line)] = line
                self._used += metric.width
                # Last: a reader sees the name once it is whole.
                self._length[0] = length + len(line)
            self._rows[metric, labels] = row
            return row


class Rows(dict[str, tuple[Row, ...]]):
    """The rows of some metrics with one label, by that label: for those who count often."""

    def __init__(self, cells: Cells, *metrics: Metric) -> None:
        self._cells, self._metrics = cells, metrics

    def __missing__(self, label: str) -> tuple[Row, ...]:
        rows = self[label] = tuple(self._cells.row(metric, label) for metric in self._metrics)
        return rows


class SharedCells:
    """The regions of a server's workers; made in the master, before the first fork."""

    def __init__(self, regions: int) -> None:
        memory = memoryview(mmap.mmap(-1, regions * REGION_BYTES))
        self._regions = [memory[n * REGION_BYTES : (n + 1) * REGION_BYTES] for n in range(regions)]

    def __len__(self) -> int:
        return len(self._regions)

    def region(self, number: int) -> Cells:
        """One of them, as it is by now."""
        return Cells(self._regions[number])

    def merged(self) -> Mapping[Metric, dict[Labels, Sequence[float]]]:
        """What all workers have counted, ended ones included, as one."""
        found: dict[Metric, dict[Labels, Sequence[float]]] = {}
        for number in range(len(self._regions)):
            for metric, labels, numbers in self.region(number).series():
                known = found.setdefault(metric, {}).get(labels)
                if known is not None:
                    add = max if metric.kind is Kind.MAXIMUM else float.__add__
                    numbers = [add(one, other) for one, other in zip(known, numbers, strict=True)]
                found[metric][labels] = numbers
        return found
