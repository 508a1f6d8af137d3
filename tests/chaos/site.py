"""What is put to the test: a Kafka of its own, two proxies of two workers, nginx before them."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kafka_rest.devstack.children import EmbeddedRegistry
from tests.chaos.book import Book
from tests.chaos.producers import PRODUCE_SECONDS
from tests.chaos.schedule import PROXIES, WORKERS
from tests.integration.test_cluster import running
from tests.nginx import Nginx
from tests.performance.processes import Footprint, footprint
from tests.performance.soak import settled
from tests.stack import Proxy, Stack, wait_for

SCRIPT = Path(__file__).parents[2] / "scripts" / "kafka"
SETTINGS = {
    "server.trusted.proxies": "127.0.0.1/32",
    "produce.timeout.ms": f"{PRODUCE_SECONDS * 1000:.0f}",
    "consumer.commit.timeout.ms": "5000",
    "metadata.timeout.ms": "5000",
    # The members of a killed worker are gone from their group after this, not after 45 s.
    "consumer.session.timeout.ms": "6000",
    "consumer.instance.timeout.ms": "60000",
}
KAFKA_SECONDS = 90.0
REPLACED_SECONDS = 20.0


class Broker:
    """A Kafka that is halted and frozen, one at a time."""

    def __init__(self) -> None:
        self._name = f"chaos-{os.getpid()}"
        self._held = threading.Lock()

    def run(self, command: str) -> str:
        """One command of scripts/kafka. Raises: CalledProcessError, with its words printed."""
        done = subprocess.run(
            [SCRIPT, command, "--name", self._name],
            stdout=subprocess.PIPE,
            text=True,
            timeout=KAFKA_SECONDS,
            check=True,
        )
        return done.stdout.strip()

    @contextmanager
    def without(self, begin: str, end: str) -> Iterator[None]:
        """Halted or frozen inside, never both."""
        with self._held:
            self.run(begin)
            try:
                yield
            finally:
                self.run(end)


class Site:
    """All that runs."""

    def __init__(self, broker: Broker, stack: Stack, proxies: list[Proxy], nginx: Nginx) -> None:
        self.broker, self.stack, self.nginx = broker, stack, nginx
        self.proxies = proxies
        self._held = [threading.Lock() for _ in proxies]
        self.logs: list[str] = []
        """Of the proxies that have ended."""

    def footprints(self) -> list[Footprint]:
        """What each proxy holds now; those that are being restarted are left out."""
        found = []
        for proxy in self.proxies:
            with suppress(ProcessLookupError):
                found.append(footprint(proxy.process.pid))
        return found

    def settled(self, wanted: Sequence[Footprint | None]) -> list[Footprint]:
        """What each proxy holds when it has closed what clients left; blocks for 20 s."""
        with ThreadPoolExecutor(len(wanted)) as pool:
            return list(pool.map(settled, [p.process.pid for p in self.proxies], wanted))

    def kill_worker(self, number: int, worker: int) -> None:
        """SIGKILL one worker of a proxy, and wait until another one is there."""
        with self._held[number]:
            proxy = self.proxies[number]
            pids = wait_for(lambda: whole(proxy), REPLACED_SECONDS, "workers")
            os.kill(pids[worker], signal.SIGKILL)
            wait_for(
                lambda: (now := whole(proxy)) and pids[worker] not in now,
                REPLACED_SECONDS,
                "the worker that was killed was not replaced",
            )

    @contextmanager
    def without_proxy(self, number: int) -> Iterator[int]:
        """Ended by TERM, and started again afterwards; the exit status of the one that ended."""
        with self._held[number]:
            proxy = self.proxies[number]
            status = proxy.terminate()
            self.logs.append(proxy.log())
            try:
                yield status
            finally:
                proxy.__exit__()
                proxy.__enter__()

    def all_logs(self) -> list[str]:
        """What all proxies have said."""
        return [*self.logs, *(proxy.log() for proxy in self.proxies)]


def whole(proxy: Proxy) -> list[int] | None:
    """The workers of a proxy when none is missing."""
    pids = proxy.worker_pids()
    return pids if len(pids) == WORKERS else None


@contextmanager
def site(settings: dict[str, str]) -> Iterator[Site]:
    """Everything, started and stopped. Raises: CalledProcessError where there can be no Kafka."""
    broker = Broker()
    with ExitStack() as started:
        bootstrap = broker.run("start")
        started.callback(broker.run, "stop")
        registry = started.enter_context(EmbeddedRegistry())
        stack = Stack(bootstrap, registry.url)
        proxies = started.enter_context(running(stack, PROXIES, SETTINGS | settings))
        nginx = started.enter_context(Nginx(proxies))
        yield Site(broker, stack, proxies, nginx)


def note_tracebacks(site: Site, book: Book) -> None:
    """An exception that nobody has foreseen is a fault, whatever the client was told."""
    for log in site.all_logs():
        for part in log.split("Traceback (most recent call last)")[1:]:
            lines = [line for line in part.splitlines() if line and not line.startswith(" ")]
            book.fault(f"traceback: {next(iter(lines), '?')[:300]}")
