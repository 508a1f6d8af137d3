"""`/metrics`: what the workers have counted, as one, in Prometheus's text format.

It reads shared memory and asks neither Kafka nor other workers, so that it never waits.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

from kafka_rest.metrics import Kind, Metric, SharedCells
from kafka_rest.metrics.cells import Labels
from kafka_rest.metrics.table import BOUNDS
from kafka_rest.server.management import Page

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_BOUND_NAMES = [*map(str, BOUNDS), "+Inf"]


class Scrape:
    """The page. `refresh` brings this worker's gauges up to date; others' are a second old at most.

    Thread-safe.
    """

    def __init__(self, shared: SharedCells, refresh: Callable[[], None]) -> None:
        self._shared, self._refresh = shared, refresh

    def page(self) -> Page:
        """The page as it is now."""
        self._refresh()
        return Page(200, MEDIA_TYPE, generate_latest(self))

    def collect(self) -> Iterator[Family]:
        """What prometheus_client asks of a registry."""
        for metric, series in sorted(self._shared.merged().items()):
            family = _FAMILIES[metric.kind](metric.name, metric.sentence, labels=metric.labels)
            for labels, numbers in sorted(series.items()):
                _add(family, metric, labels, numbers)
            yield family


_FAMILIES: dict[Kind, Any] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.MAXIMUM: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
    Kind.SUMMARY: SummaryMetricFamily,
}


def _add(family: Any, metric: Metric, labels: Labels, numbers: Sequence[float]) -> None:
    if metric.kind is Kind.HISTOGRAM:
        *counts, total = numbers
        family.add_metric(labels, list(zip(_BOUND_NAMES, accumulate(counts), strict=True)), total)
    elif metric.kind is Kind.SUMMARY:
        family.add_metric(labels, *numbers)
    else:
        family.add_metric(labels, numbers[0])
