"""What a limit of requests in flight to a broker gains and costs, behind HTTP. Asserts nothing.

    make in-flight [IN_FLIGHT="--only '30 partitions, keys' --bootstrap HOST:PORT"]

A proxy for each limit, and one that adapts it, all at the same time and in turns; the embedded
broker answers after a round trip of so many milliseconds, a real Kafka at once.
"""

import argparse
import itertools
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from kafka_rest.devstack.children import EmbeddedBroker
from tests.performance import report
from tests.performance.bench import kafka_stack, kafka_version_of, machine, measure, parser_of
from tests.performance.cases import Lab, Runner, produce_body, sample
from tests.performance.client import produce_type
from tests.performance.load import LEAST_SECONDS, Request, require_wrk, wrk
from tests.performance.servers import THREADS, WORKERS, Server
from tests.stack import Proxy, Stack

SETTING = "producer.max.in.flight.requests.per.connection"
UNLIMITED = "unlimited"
ADAPTED = "adapted"
LIMITS = ("2", "5", "20", UNLIMITED, ADAPTED)
MEASURED = {"metrics.statistics.interval.ms": "1000"}
WARM_UP_SECONDS = 3.0
"""Together: what adapts, by two round trips in a row, has done so before the first run."""
ROUND_TRIPS_MS = (1, 3)
PARTITIONS = (3, 30)
CONNECTIONS = (16, 64)
NO_REGISTRY = "http://127.0.0.1:1"
MARKS = report.marks("in flight", "in-flight")
KEYS_OF_A_CELL = ("requests_per_second", "cpu_us_per_request", "p50_ms", "p99_ms", "failed")
BODY = '{"records":[{"value":{"id":1}}]}'
RANDOM_KEYS = """request = function()
  local key = string.format("%06d", math.random(0, 999999))
  return wrk.format(nil, nil, nil, '{"records":[{"key":"' .. key .. '","value":{"id":1}}]}')
end"""


Results = dict[str, dict[str, dict[str, dict[str, Any]]]]
"""Place, load, limit: as a case's results are."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The same produce request of one record over and over; the topic is that of all servers."""

    round_trip_ms: int | None
    """None for a real Kafka, which answers as fast as it can."""
    partitions: int
    keys: bool
    connections: int
    table: str = "in flight"

    @property
    def place(self) -> str:
        """Where it is measured."""
        if self.round_trip_ms is None:
            return "A real Kafka on this machine"
        return f"Embedded broker, round trip {self.round_trip_ms} ms"

    @property
    def load(self) -> str:
        """What is sent."""
        keys = "keys" if self.keys else "no keys"
        return f"{self.partitions} partitions, {keys} x {self.connections}"

    @property
    def name(self) -> str:
        return f"{self.place}: {self.load}"

    def takes(self, _server: Server) -> bool:
        return True

    def start(self, server: Server, lab: Lab) -> AbstractContextManager[Runner]:
        """Let the server see the topic while there is no round trip, then warm up."""
        broker = lab.stack.broker
        if broker is not None:
            broker.set_rtt(0)
        if self.name not in lab.topics:
            lab.topics[self.name] = lab.stack.create_topic(self.partitions, name="in-flight")
        topic = lab.topics[self.name]
        produce_body(server.client, "v2", "json", topic, 1)
        if broker is not None:
            broker.set_rtt(self.round_trip_ms or 0)
        url = f"{server.url}/topics/{topic}"
        request = Request(url, BODY, produce_type("v2", "json"), RANDOM_KEYS if self.keys else "")
        wrk(request, self.connections, lab.warm_up)
        return nullcontext(
            lambda: sample(wrk(request, self.connections, lab.seconds, server.pid), 1)
        )


def main() -> None:
    """Run the cases, print the tables, write the files."""
    options = parse_options(sys.argv[1:])
    require_wrk()
    results: Results = {}
    measure_at(embedded(), cases(ROUND_TRIPS_MS), options, results)
    measure_at(kafka_stack(options), cases([None]), options, results)
    document = {
        "machine": machine(options.kafka_version),
        "options": {"seconds": options.seconds, "rounds": options.rounds},
        "results": results,
    }
    text = render(document)
    print(text)
    report.write(document, options.json)
    if options.markdown:
        report.write_page(options.markdown, text, MARKS)


def parse_options(words: Sequence[str]) -> argparse.Namespace:
    """The command line; ends the process with a sentence where it cannot be followed."""
    parser = parser_of("make in-flight", __doc__, seconds=2.0)
    parser.set_defaults(warm_up=WARM_UP_SECONDS)
    add = parser.add_argument
    add("--rounds", type=int, default=2, help="runs of each case")
    add("--only", type=re.compile, default=re.compile(""), help="cases whose name has this pattern")
    add("--json", default=".cache/in-flight.json", help="where all runs go")
    options = parser.parse_args(words)
    if options.rounds < 1 or min(options.seconds, options.warm_up) < LEAST_SECONDS:
        parser.error("--rounds, --seconds and --warm-up are 1 at least")
    options.kafka_version = kafka_version_of(options)
    # No format here has a schema.
    options.registry = NO_REGISTRY
    return options


def cases(round_trips_ms: Sequence[int | None]) -> list[InFlight]:
    """All cases with these round trips."""
    return [
        InFlight(*combined)
        for combined in itertools.product(round_trips_ms, PARTITIONS, (True, False), CONNECTIONS)
    ]


@contextmanager
def embedded() -> Iterator[Stack]:
    """The embedded broker alone."""
    with EmbeddedBroker() as broker:
        yield Stack(broker.bootstrap, NO_REGISTRY, broker)


def measure_at(
    place: AbstractContextManager[Stack],
    listed: Sequence[InFlight],
    options: argparse.Namespace,
    results: Results,
) -> None:
    """Measure those of the cases that were asked for; the place is entered if there are any."""
    chosen = [case for case in listed if options.only.search(case.name)]
    if not chosen:
        return
    with ExitStack() as running:
        stack = running.enter_context(place)
        servers = []
        for limit in LIMITS:
            proxy = running.enter_context(Proxy(stack, settings(limit), WORKERS, THREADS))
            servers.append(Server(limit, proxy.url, proxy.process.pid))
        lab = Lab(stack, options.seconds, options.warm_up)
        for case in chosen:
            print(case.name, file=sys.stderr, flush=True)
            found = measure(case, servers, lab, options.rounds)
            results.setdefault(case.place, {})[case.load] = found


def settings(limit: str) -> dict[str, str]:
    """What a proxy with such a limit is told; without one it adapts it.

    All measure alike, since that costs. Unlimited is librdkafka's own default, a million.
    """
    if limit == ADAPTED:
        return MEASURED
    return MEASURED | {SETTING: "1000000" if limit == UNLIMITED else limit}


def render(document: Mapping[str, Any]) -> str:
    """What it was measured on, and a table for each place."""
    options = document["options"]
    parts = [
        f"{document['machine']}. One record a request; medians of the runs ({options['rounds']} of "
        f"{options['seconds']:g} s); a cell is requests/s, CPU us/request, p50 / p99 ms."
    ]
    for place, found in document["results"].items():
        rows = [
            [load, *(cell(servers[limit]) for limit in LIMITS)] for load, servers in found.items()
        ]
        parts.append(f"### {place}\n\n{report.markdown_table(['records', *LIMITS], rows)}")
    return "\n\n".join(parts) + "\n"


def cell(result: Mapping[str, Any]) -> str:
    """One case of one limit."""
    if "refused" in result:
        return f"refused: {result['refused']}"
    rate, cpu, p50, p99, failed = (
        statistics.median(run[key] for run in result["runs"]) for key in KEYS_OF_A_CELL
    )
    text = f"{rate:,.0f}, {cpu:.0f}, {p50:.1f} / {p99:.1f}"
    return f"{text}, {failed:,.0f} failed" if failed else text


if __name__ == "__main__":
    main()
