"""Looks on while a run goes on: what the groups have committed, and a line of progress."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos.book import Book
from tests.chaos.events import Committed
from tests.chaos.site import Site

WATCH_SECONDS = 1.0
PROGRESS_SECONDS = 5.0
ASK_SECONDS = 2.0


@contextmanager
def watched(
    where: Site, book: Book, topic: str, partitions: int, groups: Iterable[str]
) -> Iterator[None]:
    """Ask the broker once a second what the groups have committed, and once at the end."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    common = {"bootstrap.servers": where.stack.bootstrap, "log_level": 0}
    askers = {group: Consumer(common | {"group.id": group}) for group in groups}

    def ask() -> None:
        for group, asker in askers.items():
            with suppress(KafkaException):
                stored = asker.committed(places, timeout=ASK_SECONDS)
                book.about_commit(
                    [Committed(group, p.partition, p.offset) for p in stored if p.offset >= 0]
                )

    try:
        with every(WATCH_SECONDS, ask, book.fault):
            yield
        ask()
    finally:
        for asker in askers.values():
            asker.close()


@contextmanager
def progress(where: Site, book: Book, say: Callable[[str], None]) -> Iterator[None]:
    """A line every few seconds."""
    begun = time.monotonic()

    def tell() -> None:
        trees = where.footprints()
        say(
            f"{time.monotonic() - begun:6.1f} s  {len(book.acknowledged):,} acknowledged, "
            f"{sum(book.edges.values()):,} handed out, {len(book.answers):,} answers, "
            f"{sum(tree.threads for tree in trees)} threads, "
            f"{sum(tree.descriptors for tree in trees)} descriptors"
        )

    with every(PROGRESS_SECONDS, tell, book.fault):
        yield


@contextmanager
def every(seconds: float, call: Callable[[], None], fault: Callable[[str], None]) -> Iterator[None]:
    """Call it again and again, on a thread of its own; `fault` is told where it raises."""
    ending = threading.Event()

    def repeat() -> None:
        while not ending.wait(seconds):
            try:
                call()
            except Exception as error:
                fault(f"looking on: {error!r}")

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
