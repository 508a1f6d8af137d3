"""Does to a site what the schedule says."""

import threading
import time
from collections.abc import Callable, Sequence

from tests.chaos.book import Book
from tests.chaos.events import FREEZE, KILL, LEAVE, RESTART, SLOW, STOP, Span
from tests.chaos.rude import Leaving, Slow
from tests.chaos.schedule import Fault
from tests.chaos.site import Site
from tests.performance.client import Client
from tests.performance.soak_clients import paced

CROWD = 8
END_SECONDS = 180.0


class Faults:
    """Each fault on a thread of its own, so that some meet."""

    def __init__(self, site: Site, book: Book, topic: str) -> None:
        self._site, self._book, self._topic = site, book, topic
        self._kinds: dict[str, Callable[[Fault], None]] = {
            KILL: self._kill,
            RESTART: self._restart,
            STOP: self._stop,
            FREEZE: self._freeze,
            SLOW: self._slow,
            LEAVE: self._leave,
        }

    def run(self, schedule: Sequence[Fault], say: Callable[[str], None]) -> None:
        """All of them; returns when the last one is over."""
        begun = time.monotonic()
        threads = []
        for fault in schedule:
            time.sleep(max(0.0, begun + fault.at - time.monotonic()))
            say(str(fault))
            threads.append(threading.Thread(target=self._one, args=(fault,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(END_SECONDS)
            if thread.is_alive():
                self._book.fault("a fault did not end")

    def _one(self, fault: Fault) -> None:
        # Until it has ended it may show at any time.
        begun = time.monotonic()
        place = self._book.span(Span(fault.kind, begun, float("inf")))
        try:
            self._kinds[fault.kind](fault)
        except Exception as error:
            self._book.fault(f"{fault}: {error!r}")
        self._book.spans[place] = Span(fault.kind, begun, time.monotonic())

    def _kill(self, fault: Fault) -> None:
        self._site.kill_worker(fault.proxy, fault.worker)

    def _restart(self, fault: Fault) -> None:
        with self._site.without_proxy(fault.proxy) as status:
            if status:
                self._book.fault(f"a proxy that was told to stop has ended with {status}")
            time.sleep(fault.seconds)

    def _stop(self, fault: Fault) -> None:
        with self._site.broker.without("halt", "resume"):
            time.sleep(fault.seconds)

    def _freeze(self, fault: Fault) -> None:
        with self._site.broker.without("freeze", "thaw"):
            time.sleep(fault.seconds)

    def _slow(self, fault: Fault) -> None:
        self._crowd(Slow, fault.seconds)

    def _leave(self, fault: Fault) -> None:
        self._crowd(Leaving, fault.seconds)

    def _crowd(self, kind: type[Slow] | type[Leaving], seconds: float) -> None:
        url = self._site.nginx.url
        crowd = [kind(url, self._book, self._topic) for _ in range(CROWD)]
        with paced(crowd, Client(url), self._book.fault):
            time.sleep(seconds)
