"""Keep the proxy busy for minutes with clients good and bad, and see whether anything grows.

    make soak [SOAK="--seconds 600 --bootstrap HOST:PORT"]

Exit status 1: a 5xx, a request without an answer, a mistake that was not refused as one, or an
acknowledged record that is not in Kafka.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.performance.bench import kafka_stack
from tests.performance.cases import percentiles
from tests.performance.client import Client
from tests.performance.processes import Footprint, footprint
from tests.performance.soak_book import EXAMPLES, Book
from tests.performance.soak_clients import at_work
from tests.performance.soak_rude import REQUEST_MAX_BYTES
from tests.performance.trend import in_words
from tests.stack import Proxy

SETTINGS = {"request.max.bytes": str(REQUEST_MAX_BYTES)}
WARM_UP_SECONDS = 6.0
CONNECTIONS = 40
SETTLE_SECONDS = 20.0
MINUTE = 60.0
HEAD = "minute    RSS MiB    PSS MiB  threads  descriptors  requests   p50 ms   p99 ms"


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at the end of an interval; requests and latencies are those of producing."""

    minute: float
    tree: Footprint
    requests: int
    p50_ms: float
    p99_ms: float

    def row(self) -> str:
        """A line below HEAD."""
        tree = self.tree
        return (
            f"{self.minute:6.1f} {tree.rss_mb:10.1f} {tree.pss_mb:10.1f} {tree.threads:8} "
            f"{tree.descriptors:12} {self.requests:9,} {self.p50_ms:8.2f} {self.p99_ms:8.2f}"
        )


@dataclass(slots=True)
class Outcome:
    """What came of it. `before` and `after` are without any client."""

    before: Footprint
    after: Footprint
    book: Book
    moments: list[Moment] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something happened that must not."""
        return bool(self.book.faults or self.lost)

    def verdict(self) -> str:
        """In plain words."""
        minutes = [moment.minute for moment in self.moments]
        series = {
            "Memory (RSS)": ([m.tree.rss_mb for m in self.moments], " MiB"),
            "Memory (PSS)": ([m.tree.pss_mb for m in self.moments], " MiB"),
            "The number of threads": ([float(m.tree.threads) for m in self.moments], ""),
            "The number of descriptors": ([float(m.tree.descriptors) for m in self.moments], ""),
        }
        lines = [in_words(name, minutes, *values) for name, values in series.items()]
        before, after = self.before, self.after
        lines.append(
            f"Without clients, before and after: PSS {before.pss_mb:,.0f} and {after.pss_mb:,.0f} "
            f"MiB, threads {before.threads} and {after.threads}, descriptors "
            f"{before.descriptors} and {after.descriptors}."
        )
        records = sum(len(ledger.acknowledged) for ledger in self.book.ledgers.values())
        lines.append(f"{records:,} records were acknowledged, {len(self.lost):,} of them are lost.")
        lines.append(f"{len(self.book.faults):,} faults.")
        return "\n".join([*lines, *self.book.faults[:EXAMPLES], *self.lost[:EXAMPLES]])


def run(
    proxy: Proxy, seconds: float, interval: float = MINUTE, say: Callable[[str], None] = print
) -> Outcome:
    """Load for so many seconds, in equal parts of about the interval; some 30 s more pass before
    and after it.
    """
    client, pid, book = Client(proxy.url), proxy.process.pid, Book()
    touch_all_workers(proxy, client)
    with at_work(client, book, proxy.stack):
        time.sleep(WARM_UP_SECONDS)
    before = settled(pid)
    book.take_latencies_ms()
    say(HEAD)
    moments = []
    count = max(1, round(seconds / interval))
    with at_work(client, book, proxy.stack):
        begun = time.monotonic()
        for number in range(1, count + 1):
            time.sleep(max(0.0, begun + number * seconds / count - time.monotonic()))
            moments.append(moment((time.monotonic() - begun) / MINUTE, pid, book))
            say(moments[-1].row())
    after = settled(pid, before)
    return Outcome(before, after, book, moments, book.lost(proxy.stack))


def touch_all_workers(proxy: Proxy, client: Client) -> None:
    """Requests on so many connections that each worker has had some, and made its clients."""
    topic = proxy.stack.create_topic(name="soak")
    for _ in range(CONNECTIONS):
        client.produce("v2", "json", topic, {"records": [{"value": 1}]})
        client.request("GET", "/topics")
        client.close()


def moment(minute: float, pid: int, book: Book) -> Moment:
    """What is to be seen now."""
    latencies = book.take_latencies_ms()
    return Moment(minute, footprint(pid), len(latencies), *percentiles(latencies))


def settled(pid: int, wanted: Footprint | None = None) -> Footprint:
    """The tree when it has closed what clients left: as `wanted`, or when it stays as it is."""
    end, last, since = time.monotonic() + SETTLE_SECONDS, footprint(pid), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.2)
        now = footprint(pid)
        if (now.threads, now.descriptors) != (last.threads, last.descriptors):
            since = time.monotonic()
        last = now
        if wanted is None and time.monotonic() - since > SETTLE_SECONDS / 4:
            break
        if wanted and now.threads <= wanted.threads and now.descriptors <= wanted.descriptors:
            break
    return last


def main(words: Sequence[str]) -> int:
    """Run, print, and say by the exit status whether something failed."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the load")
    parser.add_argument("--interval", type=float, default=MINUTE, help="seconds between two rows")
    parser.add_argument("--bootstrap", default="", help="a Kafka that runs already")
    parser.add_argument("--registry", default="", help="a schema registry that runs already")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(words)
    with ExitStack() as running:
        stack = running.enter_context(kafka_stack(options))
        settings = SETTINGS | dict(pair.split("=", 1) for pair in options.set)
        proxy = running.enter_context(Proxy(stack, settings))
        outcome = run(proxy, options.seconds, options.interval, lambda s: print(s, flush=True))
    print(f"\n{outcome.book.summary()}\n\n{outcome.verdict()}")
    return int(outcome.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
