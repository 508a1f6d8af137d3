"""The dashboard and the alerts ask for metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from kafka_rest.metrics import TABLE, Kind

CONFIG = Path(__file__).parents[2] / "config"
SCRAPERS = {"instance", "job"}
"""What Prometheus adds to everything that it scrapes."""
SUFFIXES = {
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.SUMMARY: ("_count", "_sum"),
}

# What stands in an expression: text (of matchers), a duration in brackets, a name, anything else.
_TOKEN = re.compile(r'(?P<text>"[^"]*")|(?P<range>\[[^\]]*\])|(?P<name>[A-Za-z_:][\w:]*)|\S')
RELAYS = "kafka_rest_relay_duration_seconds"
_FUNCTIONS = {"sum", "max", "rate", "increase", "topk", "histogram_quantile", "label_values"}


def series() -> dict[str, set[str]]:
    """Every name that a scrape shows, with its labels."""
    found = {"up": SCRAPERS}
    for metric in TABLE.values():
        for suffix in SUFFIXES.get(metric.kind, ("",)):
            extra = {"le"} if suffix == "_bucket" else set()
            found[metric.name + suffix] = {*metric.labels, *extra, *SCRAPERS}
    return found


def dashboard() -> Iterator[tuple[str, str]]:
    board = json.loads((CONFIG / "grafana/kafka-rest.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def alerts() -> Iterator[tuple[str, str]]:
    # Names and expressions in the two forms that the file uses.
    text = (CONFIG / "prometheus/alerts.yml").read_text()
    for part in text.split("- alert: ")[1:]:
        name, _, rest = part.partition("\n")
        found = re.search(r" expr: (?:>-\n)?(.*?)\n +(?:for|labels): ", rest, re.S)
        assert found, name
        yield name, " ".join(found[1].split())


def wrong(expression: str) -> list[str]:
    """What an expression asks for that is not there."""
    known, problems, asked = series(), [], set[str]()
    labels: set[str] = set()
    tokens = list(_TOKEN.finditer(expression))
    for place, token in enumerate(tokens):
        name = token["name"]
        if name is None or name in _FUNCTIONS:
            continue
        behind = tokens[place + 1][0] if place + 1 < len(tokens) else ""
        before = expression[: token.start()]
        if name == "by":
            continue
        # Labels stand in braces, in the list after `by`, and behind the comma of label_values.
        in_braces = before.count("{") > before.count("}")
        in_list = re.search(r"\bby \([^)]*$", before) is not None
        asks_values = before.startswith("label_values(") and "," in before
        if in_braces or in_list or asks_values:
            labels.add(name)
            assert not in_braces or behind in "=!", expression
        elif name in known:
            asked.add(name)
        else:
            problems.append(f"no metric {name}")
    if not asked:
        problems.append("no metric at all")
    problems += [
        f"{metric} has no label {label}"
        for metric in sorted(asked)
        for label in sorted(labels - known[metric])
    ]
    return problems


@pytest.mark.parametrize(("place", "expression"), [*dashboard(), *alerts()])
def test_query_names_what_exists(place: str, expression: str) -> None:
    assert wrong(expression) == [], place


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sum(kafka_rest_worker)", "no metric kafka_rest_worker"),
        (
            "rate(kafka_rest_relay_duration_seconds[5m])",
            "no metric kafka_rest_relay_duration_seconds",
        ),
        ('sum(kafka_rest_workers{topic="t"})', "kafka_rest_workers has no label topic"),
        ("sum by (topic) (kafka_rest_workers)", "kafka_rest_workers has no label topic"),
        (
            "sum by (le) (kafka_rest_relay_duration_seconds_sum)",
            "kafka_rest_relay_duration_seconds_sum has no label le",
        ),
        ("label_values(kafka_rest_workers, topic)", "kafka_rest_workers has no label topic"),
        ("1 + 1", "no metric at all"),
        ("rat(kafka_rest_workers[5m])", "no metric rat"),
    ],
)
def test_query_for_what_does_not_exist_is_found(expression: str, problem: str) -> None:
    assert problem in wrong(expression)


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join(expression for _, expression in dashboard())
    assert [metric.name for metric in TABLE.values() if metric.name not in text] == []


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels: list[Any] = json.loads((CONFIG / "grafana/kafka-rest.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        columns, lines = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = set(product(columns, lines))
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
