"""The results as Markdown tables: min / median / max of the runs, and ratios between servers."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Marks(NamedTuple):
    """The two comments of a page between which a tool writes."""

    begin: str
    end: str


def marks(what: str, target: str) -> Marks:
    """Those of what a target of make writes."""
    return Marks(
        f"<!-- {what}: written by `make {target}`, do not edit -->", f"<!-- end of {what} -->"
    )


FIGURES = marks("figures", "bench")


class Column(NamedTuple):
    """A column of a table: the key of a sample, its head, and the digits behind the point."""

    key: str
    head: str
    digits: int = 0


class Table(NamedTuple):
    """A table of the report; what it needs to be said stands in its title."""

    title: str
    columns: Sequence[Column]


_REQUESTS = Column("requests_per_second", "requests/s")
_RECORDS = Column("records_per_second", "records/s")
_CPU_REQUEST = Column("cpu_us_per_request", "CPU us/request", 1)
_CPU_RECORD = Column("cpu_us_per_record", "CPU us/record", 2)
_P50, _P99 = Column("p50_ms", "p50 ms", 2), Column("p99_ms", "p99 ms", 2)
_FAILED = Column("failed", "failed")

TABLES = {
    "produce": Table(
        "Produce: records a request x connections",
        (_REQUESTS, _RECORDS, _CPU_REQUEST, _CPU_RECORD, _P50, _P99, _FAILED),
    ),
    "other": Table("Other requests x connections", (_REQUESTS, _CPU_REQUEST, _P50, _P99, _FAILED)),
    "read": Table(
        "Reads of 160,000 records in all, answers of up to 1 MB",
        (_RECORDS, _CPU_RECORD, Column("missing", "missing")),
    ),
    "latency": Table("Latency, one request after the other", (_P50, _P99)),
    "memory": Table(
        "Memory of all processes, MiB", (Column("rss_mb", "RSS"), Column("pss_mb", "PSS"))
    ),
    "start": Table("From the start to the first answer", (Column("seconds", "s", 2),)),
}

# What is compared: the first of these that both servers have.
RATIOS: Mapping[str, Sequence[str]] = {
    "throughput": ("records_per_second", "requests_per_second"),
    "CPU": ("cpu_us_per_record", "cpu_us_per_request"),
    "p50": ("p50_ms",),
    "p99": ("p99_ms",),
    "PSS": ("pss_mb",),
}

Results = dict[str, dict[str, dict[str, Any]]]
"""Table, case, server: `{"runs": [sample, ...]}` or `{"refused": text}`."""


def spread(values: Sequence[float], digits: int = 0) -> str:
    """min / median / max; one figure where there is but one run."""
    if len(values) == 1:
        return _number(values[0], digits)
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(_number(value, digits) for value in three)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table; so many columns hold words, those behind them numbers, which stand to the right."""
    rule = "|" + "---|" * words + "---:|" * (len(head) - words)
    first, *rest = (f"| {' | '.join(row)} |" for row in (head, *rows))
    return "\n".join((first, rule, *rest))


def results_table(name: str, cases: Mapping[str, Mapping[str, Any]]) -> str:
    """One table of the report, a row for each case and server."""
    columns = TABLES[name].columns
    many = len({server for found in cases.values() for server in found}) > 1
    rows = []
    for case, found in cases.items():
        for server, result in found.items():
            first = [case, server] if many else [case]
            rows.append([*first, *_cells(result, columns)])
    head = ["case", *(["server"] if many else []), *(column.head for column in columns)]
    return f"### {TABLES[name].title}\n\n{markdown_table(head, rows, 1 + many)}"


def _cells(result: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
    if "refused" in result:
        return [f"refused: {result['refused']}", *[""] * (len(columns) - 1)]
    cells = []
    for key, _head, digits in columns:
        values = [run[key] for run in result["runs"] if key in run]
        if key in ("failed", "missing"):
            cells.append(f"{sum(values):,.0f}" if values else "")
        else:
            cells.append(spread(values, digits) if values else "")
    return cells


def ratio(ours: Mapping[str, Any], theirs: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """Ours by theirs, of the medians; None where either did not measure any of the keys."""
    for key in keys:
        pair = [
            [run[key] for run in found.get("runs", ()) if key in run] for found in (ours, theirs)
        ]
        if all(pair):
            mine, other = map(statistics.median, pair)
            return mine / other if other and not math.isnan(mine / other) else None
    return None


def ratio_table(results: Results, ours: str, theirs: str) -> str:
    """Every case that both have run, ours by theirs; empty where there is none."""
    rows = []
    for cases in results.values():
        for case, found in cases.items():
            if ours not in found or theirs not in found or "refused" in found[ours]:
                continue
            ratios = [ratio(found[ours], found[theirs], keys) for keys in RATIOS.values()]
            cells = list(map(_ratio_text, ratios))
            if "refused" in found[theirs]:
                cells[0] = f"refused: {found[theirs]['refused']}"
            rows.append([case, *cells])
    if not rows:
        return ""
    return f"### {ours} / {theirs}, medians\n\n{markdown_table(['case', *RATIOS], rows)}"


def _ratio_text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def render(document: Mapping[str, Any]) -> str:
    """All of it: what it was measured on, the tables, the ratios."""
    results: Results = document["results"]
    parts = [_described(document)]
    parts += [results_table(name, cases) for name, cases in results.items() if cases]
    ours, *others = document["servers"]
    parts += filter(None, (ratio_table(results, ours, other) for other in others))
    return "\n\n".join(parts) + "\n"


def _described(document: Mapping[str, Any]) -> str:
    options = document["options"]
    rounds = "one run" if options["rounds"] == 1 else f"{options['rounds']} runs"
    return (
        f"{document['machine']}. {rounds.capitalize()} of {options['seconds']:g} s for each case "
        f"after {options['warm_up']:g} s of warm-up; a cell is min / median / max."
    )


def between_markers(page: str, text: str, found: Marks = FIGURES) -> str:
    """The page with the text in place of what stood between the two comments.

    Raises: ValueError where the page lacks them.
    """
    before, begin, rest = page.partition(found.begin)
    _old, end, after = rest.partition(found.end)
    if not begin or not end:
        raise ValueError(f"the page lacks {found.begin} or {found.end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def write(document: Mapping[str, Any], json_path: str) -> None:
    """Write all runs as JSON."""
    target = Path(json_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n")


def write_page(path: str, text: str, found: Marks = FIGURES) -> None:
    """Write the tables into a page. Raises: as `between_markers`."""
    page = Path(path)
    page.write_text(between_markers(page.read_text(), text, found))
