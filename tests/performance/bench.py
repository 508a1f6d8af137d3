"""Measure the proxy on a real Kafka, beside baselines and other proxies. Asserts nothing.

    make bench [BENCH="--only 'json, 1 record' --rounds 3 --baseline"]

docs/performance.md says what the figures mean. All that is measured shares this machine: compare
figures of one run only.
"""

import argparse
import http.client
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from kafka_rest.devstack.children import EmbeddedRegistry
from tests.performance import report
from tests.performance.cases import Case, Lab, Runner, Sample, produce_cases
from tests.performance.client import Refused
from tests.performance.load import LEAST_SECONDS, require_wrk
from tests.performance.plot import write_plot
from tests.performance.processes import footprint
from tests.performance.servers import (
    OURS,
    SETTINGS,
    THREADS,
    WORKERS,
    Kind,
    Server,
    baselines,
    parse_against,
    proxy_server,
    ready_seconds,
    with_pids,
)
from tests.performance.waits import wait_cases
from tests.stack import Proxy, Stack

ROOT = Path(__file__).parents[2]
MEMORY_CONSUMERS = 50
REST_SECONDS = 12.0
"""In it a worker gives back twice what is free."""
FAILURES = (Refused, OSError, http.client.HTTPException, subprocess.SubprocessError)
KAFKA_VERSION = os.environ.get("KAFKA_VERSION", "4.1.1")


def main() -> None:
    """Run the cases, print the tables, write the files."""
    options = parse_options(sys.argv[1:])
    require_wrk()
    results: report.Results = {name: {} for name in report.TABLES}
    with ExitStack() as running:
        stack = running.enter_context(kafka_stack(options))
        settings = SETTINGS | dict(pair.split("=", 1) for pair in options.set)
        # A proxy that is started alone first is measured before anything has filled the caches.
        measure_start(options, stack, results)
        proxy = running.enter_context(Proxy(stack, settings, WORKERS, THREADS))
        servers = [proxy_server(proxy), *options.against]
        if options.baseline:
            servers += running.enter_context(baselines())
        lab = Lab(stack, options.seconds, options.warm_up)
        measure_all(options, lab, servers, results)
    document = {
        "machine": machine(options.kafka_version),
        "options": {"seconds": options.seconds, "rounds": options.rounds}
        | {"warm_up": options.warm_up, "set": options.set},
        "servers": [server.name for server in servers],
        "results": results,
    }
    print(report.render(document))
    report.write(document, options.json)
    if options.markdown:
        report.write_page(options.markdown, report.render(document))
    if options.plot:
        write_plot(document, Path(options.plot))


def parser_of(prog: str, description: str | None, seconds: float) -> argparse.ArgumentParser:
    """What the command lines of all benchmarks have; `seconds` is their length of a run."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    add = parser.add_argument
    add("--bootstrap", default="", help="a Kafka that runs already; default: one of its own")
    add("--kafka-version", default="", help="what the report calls the Kafka of --bootstrap")
    add("--seconds", type=float, default=seconds, help="length of one run")
    add("--warm-up", type=float, default=1.0, help="seconds before the first run of each case")
    add("--markdown", default="", help="a page to write the tables into")
    return parser


def kafka_version_of(options: argparse.Namespace) -> str:
    """What the report calls the Kafka that is measured with."""
    return str(options.kafka_version or ("" if options.bootstrap else KAFKA_VERSION))


def parse_options(words: Sequence[str]) -> argparse.Namespace:
    """The command line; ends the process with a sentence where it cannot be followed."""
    parser = parser_of("make bench", __doc__, seconds=3.0)
    add = parser.add_argument
    add("--registry", default="", help="a schema registry that runs already")
    add("--rounds", type=int, default=3, help="runs of each case")
    add("--only", type=re.compile, default=re.compile(""), help="cases whose name has this pattern")
    add("--against", type=parse_against, action="append", default=[], metavar="[NAME=]URL[=PID]")
    add("--against-pid", type=int, action="append", default=[], help="its process, in order")
    add("--baseline", action="store_true", help="an empty view, an echo and a bare producer too")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the proxy")
    add("--json", default=".cache/bench.json", help="where all runs go")
    add("--plot", default="", help="an SVG file of requests/s over connections")
    options = parser.parse_args(words)
    if options.against and not options.bootstrap:
        parser.error("--against needs the --bootstrap that the other proxy uses")
    if options.rounds < 1 or min(options.seconds, options.warm_up) < LEAST_SECONDS:
        parser.error("--rounds, --seconds and --warm-up are 1 at least")
    try:
        options.against = with_pids(options.against, options.against_pid)
    except ValueError as error:
        parser.error(str(error))
    options.kafka_version = kafka_version_of(options)
    return options


@contextmanager
def kafka_stack(options: argparse.Namespace) -> Iterator[Stack]:
    """The Kafka and the registry named, or our own."""
    with ExitStack() as running:
        bootstrap = options.bootstrap or running.enter_context(own_kafka())
        registry = options.registry or running.enter_context(EmbeddedRegistry()).url
        yield Stack(bootstrap, registry)


@contextmanager
def own_kafka() -> Iterator[str]:
    """A Kafka of our own."""
    script, environ = str(ROOT / "scripts/kafka"), os.environ | {"KAFKA_VERSION": KAFKA_VERSION}
    begun = subprocess.run(
        [script, "start", "--name", "bench"], env=environ, stdout=subprocess.PIPE, text=True
    )
    if begun.returncode:
        sys.exit("No Kafka: see above, or name one that runs with --bootstrap HOST:PORT.")
    try:
        yield begun.stdout.strip()
    finally:
        subprocess.run([script, "stop", "--name", "bench"], check=False)


def machine(kafka_version: str) -> str:
    """What it was measured on, in a line."""
    cores = len(os.sched_getaffinity(0))
    kafka = f"Kafka {kafka_version}" if kafka_version else "a Kafka that ran already"
    words = (f"{cores} cores", platform.machine(), f"Python {platform.python_version()}", kafka)
    return ", ".join(words)


def measure_all(
    options: argparse.Namespace, lab: Lab, servers: Sequence[Server], results: report.Results
) -> None:
    """Every case that was asked for, memory around them."""
    with_memory = bool(options.only.search("memory"))
    if with_memory:
        note_memory("fresh", servers, results)
    for case in (*produce_cases(), *wait_cases()):
        if options.only.search(case.name):
            print(case.name, file=sys.stderr, flush=True)
            results[case.table][case.name] = measure(case, servers, lab, options.rounds)
    if with_memory:
        note_memory("after the cases", servers, results)
        time.sleep(REST_SECONDS)
        note_memory(f"{REST_SECONDS:g} s later", servers, results)
        with_consumers(lab.stack, servers, results)


def measure(
    case: Case, servers: Sequence[Server], lab: Lab, rounds: int
) -> dict[str, dict[str, Any]]:
    """One case on all servers that it is for, in turn: A, B, A, B, ...

    A server that fails has no figure of the case, and the others go on.
    """
    found: dict[str, dict[str, Any]] = {}
    runners: dict[str, Runner] = {}
    with ExitStack() as all_prepared:
        prepared = {s.name: all_prepared.enter_context(ExitStack()) for s in servers}

        def attempt(name: str, step: Callable[[], Any]) -> Any:
            try:
                return step()
            except FAILURES as failure:
                found[name] = refusal(failure)
                return None

        for server in filter(case.takes, servers):
            found[server.name] = {"runs": []}
            start = partial(case.start, server, lab)
            enter = prepared[server.name].enter_context
            run = attempt(server.name, lambda enter=enter, start=start: enter(start()))
            if run is not None:
                runners[server.name] = run
        for _ in range(rounds):
            for name, run in runners.items():
                if "runs" in found[name]:
                    sample = attempt(name, run)
                    found[name].get("runs", []).extend([sample] if sample else [])
        for name in runners:
            attempt(name, prepared[name].close)
    return found


def refusal(failure: BaseException) -> dict[str, Any]:
    """What stands in place of the runs of a server that failed."""
    return {"refused": str(failure) or repr(failure)}


def measure_start(options: argparse.Namespace, stack: Stack, results: report.Results) -> None:
    """How soon the proxy answers."""
    name = "ready after start"
    if options.only.search(name):
        runs: list[Sample] = [{"seconds": ready_seconds(stack)} for _ in range(options.rounds)]
        results["start"][name] = {OURS: {"runs": runs}}


def note_memory(when: str, servers: Sequence[Server], results: report.Results) -> None:
    """What the processes of each server hold now."""
    found: dict[str, dict[str, Any]] = {}
    for server in servers:
        if server.pid is None or server.kind is not Kind.PROXY:
            continue
        try:
            found[server.name] = {"runs": [asdict(footprint(server.pid))]}
        except FAILURES as failure:
            found[server.name] = refusal(failure)
    results["memory"][when] = found


def with_consumers(stack: Stack, servers: Sequence[Server], results: report.Results) -> None:
    """What they hold with consumers that have read once."""
    topic = stack.create_topic(name="bench")
    found: dict[str, dict[str, Any]] = {}
    for server in servers:
        if server.pid is None or server.kind is not Kind.PROXY:
            continue
        client, made = server.client, []
        try:
            for _ in range(MEMORY_CONSUMERS):
                made.append(client.reader("json", topic, 0))
                client.read(made[-1], "json", 100)
            found[server.name] = {"runs": [asdict(footprint(server.pid))]}
        except FAILURES as failure:
            found[server.name] = refusal(failure)
        with suppress(*FAILURES):
            for consumer in made:
                client.v2("DELETE", consumer)
    results["memory"][f"with {MEMORY_CONSUMERS} consumers"] = found


if __name__ == "__main__":
    main()
