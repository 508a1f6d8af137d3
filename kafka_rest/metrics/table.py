"""The one table of metrics. To add one, add a row, and count in `Cells` where it is known.

Labels are bounded: endpoints, formats, codes and outcomes, never a name that a client chooses.
"""

from enum import Enum
from typing import NamedTuple

TABLE: dict[str, "Metric"] = {}

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of the histograms' buckets, in seconds; what is longer has one more."""


class Kind(Enum):
    """What a metric is, and how those of several workers become one.

    All are added up, but `MAXIMUM`, a gauge of which the largest counts. The gauges of a worker
    that has ended are dropped, everything else of it stays.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    MAXIMUM = "gauge (largest)"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"

    @property
    def is_gauge(self) -> bool:
        """True for what goes up and down."""
        return self in (Kind.GAUGE, Kind.MAXIMUM)


class Metric(NamedTuple):
    """One metric; `reference` names what the reference has in its place, in JMX."""

    name: str
    kind: Kind
    sentence: str
    labels: tuple[str, ...]
    reference: str

    @property
    def width(self) -> int:
        """How many numbers it takes: a histogram's buckets and sum, a summary's count and sum."""
        return {Kind.HISTOGRAM: len(BOUNDS) + 2, Kind.SUMMARY: 2}.get(self.kind, 1)


def _row(name: str, kind: Kind, sentence: str, *labels: str, reference: str = "") -> Metric:
    metric = TABLE[name] = Metric(f"kafka_rest_{name}", kind, sentence, labels, reference)
    return metric


# -- requests

REQUEST_SECONDS = _row(
    "request_duration_seconds",
    Kind.HISTOGRAM,
    "Answered requests, from their head to their answer, waits of reads included; endpoint none: "
    "no endpoint was found; relayed: another proxy has answered, and counts it too. Between "
    "workers a relayed request counts once, at its owner.",
    "endpoint",
    "status",
    reference="jersey-metrics: request-rate, request-latency-avg/-max, request-error-rate",
)
REQUEST_ERRORS = _row(
    "request_errors_total",
    Kind.COUNTER,
    "Answers with an error, by its error_code.",
    "error_code",
    reference="jersey-metrics: request-error-rate",
)

# -- records

PRODUCED_RECORDS = _row(
    "produced_records_total",
    Kind.COUNTER,
    "Records that produce calls have handed to the producer, failed ones included.",
    "format",
    reference="producer-metrics: record-send-total",
)
PRODUCED_BYTES = _row(
    "produced_bytes_total",
    Kind.COUNTER,
    "Bytes of their keys and values as Kafka stores them, before compression.",
    "format",
    reference="producer-metrics: outgoing-byte-total",
)
RECORD_ERRORS = _row(
    "produced_record_errors_total",
    Kind.COUNTER,
    "Records that produce calls have reported as failed, by the error_code in v1's words.",
    "error_code",
    reference="producer-metrics: record-error-total",
)
CONSUMED_RECORDS = _row(
    "consumed_records_total",
    Kind.COUNTER,
    "Records in the answers of reads.",
    "format",
    reference="consumer-fetch-manager-metrics: records-consumed-total",
)
CONSUMED_BYTES = _row(
    "consumed_bytes_total",
    Kind.COUNTER,
    "Bytes of their keys and values as Kafka stores them.",
    "format",
    reference="consumer-fetch-manager-metrics: bytes-consumed-total",
)

# -- workers

WORKERS = _row("workers", Kind.GAUGE, "Worker processes that are alive.")
CONNECTIONS = _row(
    "connections",
    Kind.GAUGE,
    "Open connections of clients and between workers.",
    reference="jetty-metrics: connections-active",
)
CONSUMER_INSTANCES = _row("consumer_instances", Kind.GAUGE, "Consumer instances that are alive.")
WAITING_READS = _row(
    "waiting_reads",
    Kind.GAUGE,
    "Reads under way: all at their owners (held instance), and those that hold a thread of the "
    "worker that the client or another worker has called (held thread, held relay-thread).",
    "held",
)
POOL_WAITING = _row(
    "pool_waiting_connections",
    Kind.GAUGE,
    "Connections that wait for a thread, by the pool of threads.",
    "pool",
    reference="jetty-metrics: request-queue-size",
)
POOL_BUSY = _row(
    "pool_busy_threads",
    Kind.GAUGE,
    "Threads that serve a connection.",
    "pool",
    reference="jetty-metrics: busy-thread-count",
)
RELAY_SECONDS = _row(
    "relay_duration_seconds",
    Kind.HISTOGRAM,
    "Requests relayed to the worker that owns the consumer: answered, lost (sent, not answered) or "
    "unreachable.",
    "outcome",
)
HAND_OVERS = _row(
    "hand_overs_total",
    Kind.COUNTER,
    "Connections handed to the worker that owns the consumer: taken, or refused and so relayed.",
    "outcome",
)

# -- the schema registry

SCHEMA_CALL_SECONDS = _row(
    "schema_registry_call_duration_seconds",
    Kind.HISTOGRAM,
    "Calls to the schema registry: answered, refused (4xx, 5xx) or unreachable.",
    "outcome",
)
SCHEMA_LOOKUPS = _row(
    "schema_cache_lookups_total",
    Kind.COUNTER,
    "Questions for a schema: hit (answered by a cache of the worker) or miss.",
    "outcome",
)

# -- librdkafka

PRODUCER_QUEUE = _row(
    "producer_queue_records",
    Kind.GAUGE,
    "Records and reports in the queues of the producers.",
    reference="producer-metrics: buffer-total-bytes - buffer-available-bytes",
)
QUEUE_LATENCY = _row(
    "producer_queue_latency_seconds",
    Kind.SUMMARY,
    "How long records waited in the producer before they were sent.",
    reference="producer-metrics: record-queue-time-avg",
)
QUEUE_LATENCY_P99 = _row(
    "producer_queue_latency_p99_seconds",
    Kind.MAXIMUM,
    "Its 99th percentile in the last interval, of the slowest broker.",
    reference="producer-metrics: record-queue-time-max",
)
ROUND_TRIP = _row(
    "broker_round_trip_seconds",
    Kind.SUMMARY,
    "Round trips of the producers' requests to brokers.",
    reference="producer-metrics: request-latency-avg",
)
ROUND_TRIP_P99 = _row(
    "broker_round_trip_p99_seconds",
    Kind.MAXIMUM,
    "Their 99th percentile in the last interval, of the slowest broker.",
    reference="producer-metrics: request-latency-max",
)
BROKER_TROUBLE = _row(
    "producer_broker_trouble_total",
    Kind.COUNTER,
    "What went wrong between the producers and brokers: error, retry or timeout of a request, "
    "disconnect.",
    "kind",
    reference="producer-metrics: record-retry-total",
)
