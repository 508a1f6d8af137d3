"""The page docs/metrics.md, made from the table: `python -m kafka_rest.metrics.document`."""

from kafka_rest.metrics.table import BOUNDS, TABLE, Metric

_HEAD = """\
# Metrics

`GET /metrics` answers in Prometheus's text format, for all workers of the server as one, whichever
of them is asked. `metrics.enable=false` ends both the page and the counting of requests.

```yaml
scrape_configs:
  - job_name: kafka-rest
    static_configs: [{targets: ["localhost:8082"]}]
```

`config/grafana/kafka-rest.json` is a dashboard of these metrics, `config/prometheus/alerts.yml`
holds alerts to start from.

- Workers count in memory that they share, so that a page asks neither other workers nor Kafka, and
  is answered in milliseconds also when Kafka does not answer.
- Counters outlive their worker: they do not go back when one is killed or replaced, only when the
  whole server is started anew. Gauges end with their worker.
- What is counted is there at once. Gauges, what is said of the schema cache, and librdkafka's
  figures (every `metrics.statistics.interval.ms`) are those of the last second or
  interval; what a killed worker has not told of these is lost.
- Counters by `error_code` are there from the start, with 0 for each code, so that `rate()` sees the
  first error too. A duration's row, of an endpoint with a status, comes with the first such answer.
- Labels are bounded: endpoints, statuses, formats, codes and outcomes. No topic, group, instance or
  address is among them.
- Endpoints have the reference's names with the API version before and the format in them, as in
  `api.endpoints.blocklist`. A read's duration holds its wait.
- Buckets of durations end at (seconds) {bounds}.

The last column names what the reference shows in JMX in its place. It averages over a window there;
here `rate()` does.

| metric | type | labels | what it is | the reference's |
|---|---|---|---|---|
"""


def markdown() -> str:
    """The page."""
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS)
    head = _HEAD.replace("{bounds}", bounds)
    return head + "".join(map(_line, TABLE.values()))


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    cells = (f"`{metric.name}`", metric.kind.value, labels, metric.sentence, metric.reference)
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |").replace("|  |", "| |")


if __name__ == "__main__":
    print(markdown(), end="")
