"""Where the CPU of one produce request goes: by thread and by code from outside, by stage in
process. Asserts nothing.

    make profile [PROFILE="--only stages --seconds 5 --bootstrap HOST:PORT"]

docs/performance.md says how to read it.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from tests.performance import perf, report, stages, threads
from tests.performance.bench import kafka_stack, kafka_version_of, machine, parser_of
from tests.performance.cases import CONNECTIONS, PARTITIONS, produce_body
from tests.performance.client import Client, produce_type
from tests.performance.load import LEAST_SECONDS, Request, Run, require_wrk, wrk
from tests.performance.servers import SETTINGS, THREADS, WORKERS
from tests.performance.threads import Usage
from tests.stack import Proxy, Stack

MARKS = report.marks("profile", "profile")
LEAST_US = 0.05
"""Threads with less CPU a request than that have no row."""
PERF_CONNECTIONS = 64


class Load(NamedTuple):
    """A proxy that is busy for a while, when asked."""

    proxy: Proxy
    request: Request
    seconds: float
    warm_up: float

    def run(self, connections: int, seconds: float) -> Run:
        """Keep it busy; its CPU is that of all its processes."""
        return wrk(self.request, connections, seconds, self.proxy.process.pid)


Part = Callable[[], str]


def main() -> None:
    """Measure the parts, print the tables, write the page."""
    options = parse_options(sys.argv[1:])
    texts = [f"{machine(options.kafka_version)}. Runs of {options.seconds:g} s."]
    with ExitStack() as running:
        stack = running.enter_context(kafka_stack(options))
        parts = stage_parts(stack, options)
        if any(map(options.only.search, LOADED)):
            require_wrk()
            settings = SETTINGS | dict(pair.split("=", 1) for pair in options.set)
            proxy = running.enter_context(Proxy(stack, settings, WORKERS, THREADS))
            parts = loaded_parts(load_of(proxy, stack, options)) | parts
        for name, part in parts.items():
            if options.only.search(name):
                print(name, file=sys.stderr, flush=True)
                texts.append(part())
    text = "\n\n".join(texts) + "\n"
    print(text)
    if options.markdown:
        report.write_page(options.markdown, text, MARKS)


def parse_options(words: Sequence[str]) -> argparse.Namespace:
    """The command line; ends the process with a sentence where it cannot be followed."""
    parser = parser_of("make profile", __doc__, seconds=3.0)
    add = parser.add_argument
    add("--registry", default="", help="a schema registry that runs already")
    add("--only", type=re.compile, default=re.compile(""), help=f"of {', '.join(ALL)}")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the proxy")
    options = parser.parse_args(words)
    if min(options.seconds, options.warm_up) < LEAST_SECONDS:
        parser.error("--seconds and --warm-up are 1 at least")
    if not any(map(options.only.search, ALL)):
        parser.error(f"--only has the pattern of none of {', '.join(ALL)}")
    options.kafka_version = kafka_version_of(options)
    return options


def thread_part(connections: int) -> str:
    """What the part is called."""
    return f"threads x {connections}"


PERF_PART = f"perf x {PERF_CONNECTIONS}"
LOADED = (*map(thread_part, CONNECTIONS), PERF_PART)
STAGED = {f"stages {name}": name for name in stages.FORMATS}
ALL = (*LOADED, *STAGED)


def stage_parts(stack: Stack, options: argparse.Namespace) -> dict[str, Part]:
    """Those that are measured in this process."""
    return {
        name: partial(by_stage, stack, format_name, options.seconds)
        for name, format_name in STAGED.items()
    }


def loaded_parts(load: Load) -> dict[str, Part]:
    """Those for which a proxy is kept busy."""
    found: dict[str, Part] = {thread_part(n): partial(by_thread, load, n) for n in CONNECTIONS}
    return found | {PERF_PART: partial(by_code, load)}


def load_of(proxy: Proxy, stack: Stack, options: argparse.Namespace) -> Load:
    """Single records of JSON for a topic of its own."""
    topic = stack.create_topic(PARTITIONS, name="profile")
    body = produce_body(Client(proxy.url), "v2", "json", topic, 1)
    url, text = f"{proxy.url}/topics/{topic}", json.dumps(body)
    request = Request(url, text, produce_type("v2", "json"))
    return Load(proxy, request, options.seconds, options.warm_up)


def by_thread(load: Load, connections: int) -> str:
    """The workers' threads, from outside."""
    load.run(connections, load.warm_up)
    workers = load.proxy.worker_pids()
    before = threads.look(workers)
    run = load.run(connections, load.seconds)
    used = threads.used(before, threads.look(workers))
    many = "connection" if connections == 1 else "connections"
    return (
        f"### By thread: 1 record of JSON x {connections} {many}\n\n"
        f"{summary(run)}\n\n{thread_table(used, run.requests)}"
    )


def summary(run: Run) -> str:
    """A run in a sentence."""
    cpu = (run.cpu_seconds or 0.0) / max(run.requests, 1) * 1e6
    return (
        f"{run.taken / run.seconds:,.0f} requests/s, p50 {run.p50_ms:.2f} ms, p99 {run.p99_ms:.2f} "
        f"ms, {run.failed} failed; CPU of all processes {cpu:.1f} us/request."
    )


def thread_table(used: Mapping[str, Usage], requests: int) -> str:
    """A row for each kind of threads that was busy, and the sum of all."""
    together = Usage()
    for usage in used.values():
        together = together.plus(usage)
    rows = []
    for name, usage in {**used, "**together**": together}.items():
        cpu_us = usage.cpu_ns / 1000 / requests
        if cpu_us >= LEAST_US:
            share = usage.cpu_ns / together.cpu_ns
            switched = (f"{n / requests:.2f}" for n in (usage.voluntary, usage.involuntary))
            rows.append([name, str(usage.threads), f"{cpu_us:.1f}", f"{share:.0%}", *switched])
    head = ["thread", "of them", "CPU us/request", "share", "gave way/request", "lost/request"]
    return report.markdown_table(head, rows)


def by_code(load: Load) -> str:
    """The workers' code, by the file that it came from."""
    title = f"### By code: 1 record of JSON x {PERF_CONNECTIONS} connections\n\n"
    load.run(PERF_CONNECTIONS, load.warm_up)
    try:
        with perf.recorded(load.proxy.worker_pids()) as found:
            run = load.run(PERF_CONNECTIONS, load.seconds)
    except perf.NoPerf as reason:
        return f"{title}Not measured: {reason}."
    return f"{title}{summary(run)}\n\n{code_table(found.shares, run)}"


def code_table(shares: Mapping[str, float], run: Run) -> str:
    """Shares, and what they come to."""
    cpu_us = (run.cpu_seconds or 0.0) / max(run.requests, 1) * 1e6
    rows = [
        [name, f"{share:.1f} %", f"{share / 100 * cpu_us:.1f}"]
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    ]
    return report.markdown_table(["code", "share", "us/request"], rows)


def by_stage(stack: Stack, format_name: str, seconds: float) -> str:
    """One request after the other, in process."""
    found = stages.measured(stack, format_name, seconds)
    table = report.markdown_table(stages.head(), stages.rows(found), words=2)
    return f"### By stage: {format_name}, in process, warm, a lone client\n\n{table}"


if __name__ == "__main__":
    main()
