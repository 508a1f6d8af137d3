"""Break everything around and inside two proxies for minutes, and prove that no record is lost.

    make chaos [CHAOS="--seconds 180 --seed 7"]

Exit status 1: something that must not happen, which is printed.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.chaos.answers import check_answers, slowest
from tests.chaos.book import Book
from tests.chaos.check import Verdict, check_log, check_reads
from tests.chaos.events import BROKER, Place
from tests.chaos.faults import Faults
from tests.chaos.producers import FORMATS, Producer
from tests.chaos.readers import Kind, Reader
from tests.chaos.schedule import Fault, drawn, one_of_each
from tests.chaos.site import Site, note_tracebacks, site
from tests.chaos.watch import progress, watched
from tests.performance.client import Client
from tests.performance.processes import Footprint
from tests.performance.soak_book import json_sequence, messages_of
from tests.performance.soak_clients import Paced, paced

PARTITIONS = 6
GROUPS = {
    "shared": (3, Kind("v2", "json")),
    "first": (1, Kind("v1", "binary")),
    "leaving": (1, Kind("v2", "binary", by_hand=True, leaves=True)),
}
"""How many readers a group has, and of which kind."""
WARM_UP_SECONDS = 5.0
REST_SECONDS = 4.0
"""Under load after the last fault."""
DRAIN_SECONDS = 90.0
EXAMPLES = 20
# Connections of one worker to another, and of one proxy to the other, are kept for the next relay:
# as many as there were at a time, which is as many as there are clients.
KEPT_DESCRIPTORS = 40


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    faults: Counter[str]
    checks: dict[str, Verdict] = field(default_factory=dict)
    slowest_ms: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Everything that must not happen."""
        return [text for verdict in self.checks.values() for text in verdict.violations]

    def table(self) -> str:
        """The counts in rows, then what is wrong."""
        rows = [f"seed {self.seed}"]
        for name, counts in (
            ("faults", self.faults),
            *((name, verdict.counts) for name, verdict in self.checks.items()),
            ("slowest request, ms", self.slowest_ms),
        ):
            rows += ["", name, *(f"  {n:>10,}  {what}" for what, n in sorted(counts.items()))]
        rows += [
            "",
            *self.lines,
            "",
            f"{len(self.violations)} violations",
            *self.violations[:EXAMPLES],
        ]
        return "\n".join(rows)


def run(
    where: Site,
    seed: int,
    schedule: Sequence[Fault],
    say: Callable[[str], None] = print,
    idempotent: bool = False,
    keep: Path | None = None,
) -> Outcome:
    """The load without faults, then with them, then until the readers have all; then the proof."""
    random.seed(seed)
    book = Book()
    load = Load(where, book)
    with load.at_work([*load.producers, *load.readers]):
        time.sleep(WARM_UP_SECONDS)
    load.end()
    before = where.settled([None for _ in where.proxies])
    allowed = [replace(was, descriptors=was.descriptors + KEPT_DESCRIPTORS) for was in before]
    log = under_fire(where, book, load, schedule, say)
    load.end()
    after = where.settled(allowed)
    note_growth(book, allowed, after)
    note_tracebacks(where, book)
    if keep is not None:
        write_evidence(keep, where, book)
    found = Outcome(seed, Counter(fault.kind for fault in schedule))
    prove(found, book, log, load.groups, idempotent)
    found.lines += [
        f"proxy {name} before and after: {was.threads} and {now.threads} threads, "
        f"{was.descriptors} and {now.descriptors} descriptors, {was.pss_mb:.0f} and "
        f"{now.pss_mb:.0f} MiB"
        for name, was, now in zip("ab", before, after, strict=True)
    ]
    return found


class Load:
    """The clients that mean well, and the topic that they share."""

    def __init__(self, where: Site, book: Book) -> None:
        self._book, self._client = book, Client(where.nginx.url)
        self.topic = where.stack.create_topic(PARTITIONS, name="chaos")
        self.producers = [Producer(self._client, book, self.topic, *names) for names in FORMATS]
        self.readers = [
            Reader(self._client, book, self.topic, PARTITIONS, f"{name}-{self.topic}", kind)
            for name, (count, kind) in GROUPS.items()
            for _ in range(count)
        ]
        self.groups = {reader.group for reader in self.readers}

    def at_work(self, clients: Sequence[Paced]) -> AbstractContextManager[None]:
        """Some of them, until the context ends."""
        return paced(clients, self._client, self._book.fault)

    def end(self) -> None:
        """Delete what the readers have made."""
        for reader in self.readers:
            reader.end()
        self._client.close()


def under_fire(
    where: Site, book: Book, load: Load, schedule: Sequence[Fault], say: Callable[[str], None]
) -> dict[Place, int]:
    """The load with its faults, and until the readers have all; the log as it is then."""
    watching = watched(where, book, load.topic, PARTITIONS, load.groups)
    with watching, load.at_work(load.readers):
        with load.at_work(load.producers), progress(where, book, say):
            Faults(where, book, load.topic).run(schedule, say)
            time.sleep(REST_SECONDS)
        log = {
            Place(m.partition(), m.offset()): json_sequence(m.value())
            for m in messages_of(where.stack, load.topic)
        }
        say("the load has ended; the readers take what is left")
        drain(book, log, load.groups)
    return log


def write_evidence(folder: Path, where: Site, book: Book) -> None:
    """What was seen, a line each in order, and what the proxies have said."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("spans", "answers", "events"):
        lines = "".join(f"{entry!r}\n" for entry in getattr(book, name))
        folder.joinpath(name).write_text(lines)
    folder.joinpath("proxies.log").write_text("\n---\n".join(where.all_logs()))


def prove(
    found: Outcome, book: Book, log: dict[Place, int], groups: set[str], idempotent: bool
) -> None:
    """Hold what was written down against what is stored."""
    may_repeat = not idempotent and any(span.kind in BROKER for span in book.spans)
    found.checks["records"] = check_log(book.attempts, book.acknowledged, log, may_repeat)
    found.checks["reads"] = check_reads(book.events, log, groups)
    found.checks["answers"] = check_answers(book.answers, book.spans)
    found.checks["other"] = Verdict(Counter(), book.faults)
    found.slowest_ms = slowest(book.answers)


def drain(book: Book, log: dict[Place, int], groups: set[str]) -> None:
    """Wait until every group has been handed the last record of every partition."""
    ends: Counter[int] = Counter()
    for place in log:
        ends[place.partition] = max(ends[place.partition], place.offset + 1)
    end = time.monotonic() + DRAIN_SECONDS
    wanted = {(group, partition): ends[partition] for group in groups for partition in ends}
    while time.monotonic() < end:
        if all(book.edges[key] >= offset for key, offset in wanted.items()):
            return
        time.sleep(0.2)


def note_growth(book: Book, allowed: Sequence[Footprint], after: Sequence[Footprint]) -> None:
    """Threads and descriptors that clients and faults have left behind."""
    for name, was, now in zip("ab", allowed, after, strict=True):
        if now.threads > was.threads:
            book.fault(f"proxy {name} has {now.threads} threads in place of {was.threads}")
        if now.descriptors > was.descriptors:
            book.fault(f"proxy {name}: {now.descriptors} descriptors, allowed {was.descriptors}")


def main(words: Sequence[str]) -> int:
    """Run, print, and say by the exit status whether something is wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the schedule")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--short", action="store_true", help="each fault once")
    parser.add_argument("--keep", type=Path, help="a folder for what was seen, and the logs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(words)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    schedule = one_of_each(seed) if options.short else drawn(seed, options.seconds)
    settings = dict(pair.split("=", 1) for pair in options.set)
    print(f"seed {seed}", *schedule, "", sep="\n", flush=True)
    idempotent = any(key.endswith("enable.idempotence") for key in settings)
    with site(settings) as where:
        found = run(where, seed, schedule, partial(print, flush=True), idempotent, options.keep)
    print(f"\n{found.table()}")
    return int(bool(found.violations))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
