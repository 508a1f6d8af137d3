"""The page of metrics: what a scraper reads is what has been counted."""

from prometheus_client.parser import text_string_to_metric_families

from kafka_rest.metrics import TABLE, Kind, SharedCells
from kafka_rest.metrics import table as m
from kafka_rest.server.scrape import Scrape

TYPES = {Kind.MAXIMUM: "gauge"}


def parsed(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_metric_is_shown_as_what_it_is() -> None:
    shared = SharedCells(1)
    for metric in TABLE.values():
        shared.region(0).row(metric, *metric.labels)[0] = 2
    families = {
        family.name: family
        for family in text_string_to_metric_families(
            Scrape(shared, lambda: None).page().body.decode()
        )
    }
    assert len(families) == len(TABLE)
    for metric in TABLE.values():
        family = families[metric.name.removesuffix("_total")]
        assert family.type == TYPES.get(metric.kind, metric.kind.value), metric.name
        assert family.documentation == metric.sentence
        labels = {name: name for name in metric.labels}
        shown = family.samples[0].labels
        assert {name: shown[name] for name in labels} == labels


def test_histogram_is_cumulative_with_count_and_sum() -> None:
    shared = SharedCells(2)
    for number, seconds in enumerate((0.002, 400.0)):
        shared.region(number).observe(m.RELAY_SECONDS, seconds, "answered")
    found = parsed(Scrape(shared, lambda: None).page().body)
    name = "kafka_rest_relay_duration_seconds"
    assert found[f"{name}_bucket", ("0.001", "answered")] == 0
    assert found[f"{name}_bucket", ("0.0025", "answered")] == 1
    assert found[f"{name}_bucket", ("30.0", "answered")] == 1
    assert found[f"{name}_bucket", ("+Inf", "answered")] == 2
    assert found[f"{name}_count", ("answered",)] == 2
    assert found[f"{name}_sum", ("answered",)] == 400.002


def test_gauges_are_refreshed_for_each_page() -> None:
    shared, connections = SharedCells(1), iter([3, 5])
    cells = shared.region(0)
    scrape = Scrape(shared, lambda: cells.put(m.CONNECTIONS, next(connections)))
    assert parsed(scrape.page().body)["kafka_rest_connections", ()] == 3
    assert parsed(scrape.page().body)["kafka_rest_connections", ()] == 5
