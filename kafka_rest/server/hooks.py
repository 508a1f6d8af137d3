"""The server's life in gunicorn: its settings, and the hooks that give each worker its slot,
clients and end.

Who runs what: the master runs `on_starting`, `when_ready`, `pre_fork`, `on_reload`; each worker
runs `post_fork`, `post_worker_init`, `post_request` and `worker_exit`.
"""

import gc
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kafka_rest import settings as s
from kafka_rest.api.request_ids import request_id
from kafka_rest.api.watching import ERROR_CODE, STARTED, Watcher, all_of
from kafka_rest.app import create_app, leaves_waits
from kafka_rest.kafka.affinity import pin_python_threads
from kafka_rest.kafka.config import translation_warnings
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.metrics import Cells
from kafka_rest.records import Deadline
from kafka_rest.security.authority import Authority
from kafka_rest.server.access_log import AccessLog
from kafka_rest.server.allocator import keep_tidy, limit_arenas
from kafka_rest.server.counting import Gauges, Lending, watcher
from kafka_rest.server.forwarder import Forwarder, Place
from kafka_rest.server.gate import Gate
from kafka_rest.server.handover import Arrivals
from kafka_rest.server.health import Board, Health
from kafka_rest.server.identified import Identified
from kafka_rest.server.listeners import (
    bracketed,
    connections_max,
    pinned_listener,
    private_listener,
    run_dir,
    shared_listener,
)
from kafka_rest.server.management import Management, Pages, is_urgent
from kafka_rest.server.peers import Peers
from kafka_rest.server.relay import Owners
from kafka_rest.server.rereading import Rereader, reread, start_rereading
from kafka_rest.server.scrape import Scrape
from kafka_rest.server.systemd import Notifier

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

CLOSE_SHARE = 0.4
"""The share of the time for a stop that is kept for leaving groups and flushing the producer."""
STOP_SHARE = 0.95
"""The share of the time for a stop within which a worker ends, before the master kills it."""
RELAY_MARGIN_SECONDS = 5.0
HEARTBEAT_SECONDS = 60
LOCK_SECONDS = 1.0
REQUEST_LINE_BYTES = 8190
PID_FILE = "kafka-rest.pid"


class _Asked(NamedTuple):
    """A request that a thread of the pool has answered."""

    environ: Mapping[str, Any]
    peer: str
    started: float | None

    @property
    def request_id(self) -> str:
        """Its id."""
        return request_id(cast("WSGIEnvironment", self.environ))


class Server:
    """One server: the settings, and what gunicorn's hooks do with them.

    Made in the master, before workers.
    """

    def __init__(self, settings: s.Settings) -> None:
        self.settings = settings
        self.slots = settings[s.SERVER_WORKERS]
        self.generation = 0
        self._ready = multiprocessing.Value("i", 0)
        self._told = multiprocessing.Value("i", 0)
        self._systemd = Notifier(self.slots)
        # Looked at without a lock, which a killed worker would keep.
        self._told_to_reread = multiprocessing.Value("i", 0, lock=False)
        self.authority = Authority(settings)
        self._slot = 0
        self._clients: ClientRegistry | None = None
        self._deadline: Deadline | None = None
        self._health: Health | None = None
        self._rereader: Rereader | None = None
        self._management: list[socket.socket] = []
        self.board = Board(multiprocessing.RawArray("d", self.slots))
        self._access_log = AccessLog(settings)
        self._answered: Watcher | None = None
        self._lending = Lending(self.slots) if settings[s.METRICS_ENABLE] else None
        self._cells = Cells()
        self._refresh: Callable[[], None] = lambda: None
        self._forwarder: Forwarder | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Server":
        """The server that KAFKA_REST_CONFIG and the other variables describe.

        Raises: SettingsError.
        """
        return cls(s.load(environ.get("KAFKA_REST_CONFIG"), environ))

    @property
    def run_dir(self) -> str:
        """The folder of the pid file and of the workers' sockets."""
        return run_dir(self.settings)

    def options(self) -> dict[str, Any]:
        """gunicorn's settings, hooks included."""
        settings = self.settings
        own_class = settings[s.SERVER_WORKER_CLASS]
        return {
            "bind": [
                f"{bracketed(listener.host)}:{listener.port}" for listener in s.listeners(settings)
            ],
            "workers": self.slots,
            "threads": settings[s.SERVER_THREADS],
            "worker_class": own_class,
            "worker_connections": connections_max(),
            "backlog": settings[s.SERVER_BACKLOG],
            "keepalive": settings[s.SERVER_KEEPALIVE_MS] // 1000,
            "graceful_timeout": max(1, round(settings[s.SHUTDOWN_GRACEFUL_MS] / 1000)),
            # A heartbeat of the main loop, no limit for requests.
            "timeout": HEARTBEAT_SECONDS,
            # Recycling a worker would end its consumers.
            "max_requests": 0,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
            "limit_request_line": REQUEST_LINE_BYTES,
            # Trusted proxies are the application's matter: nothing here may change scheme or
            # address.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "preload_app": False,
            "proc_name": "kafka-rest",
            "pidfile": os.path.join(self.run_dir, PID_FILE),
            "control_socket_disable": True,
            "logger_class": "kafka_rest.server.logs.GunicornLogger",
            "on_starting": self.on_starting,
            "pre_fork": self.pre_fork,
            "post_fork": self.post_fork,
            "post_worker_init": self.post_worker_init,
            "worker_exit": self.worker_exit,
            "child_exit": self.child_exit,
            "when_ready": self.when_ready,
            "on_reload": self.on_reload,
            "post_request": self.post_request,
        }

    def application(self) -> "WSGIApplication":
        """The application of the worker that asks: forwarder, then views."""
        clients = self._clients or ClientRegistry(self.settings)
        self._clients = clients
        app = create_app(self.settings, clients)
        limits = clients.limits
        longest = max(limits.join_seconds + limits.longest_read_seconds, limits.commit_seconds)
        place = Place(
            self._slot,
            clients.slots,
            longest + RELAY_MARGIN_SECONDS,
            self.settings[s.REQUEST_MAX_BYTES],
        )
        owners = Owners(self.run_dir, clients.slots)
        peers = Peers(
            s.cluster(self.settings),
            self.settings[s.CONSUMER_LONG_POLLS_MAX],
            clients.draining,
        )
        most, parks = s.thread_polls_max(self.settings), leaves_waits(self.settings)
        forwarder = self._forwarder = Forwarder(
            app, self.settings, place, owners, peers, most, parks, clients.cells
        )
        asked = (
            Gate(forwarder, self.authority, self.settings, peers)
            if self.authority.asked
            else forwarder
        )
        pages = Management(asked, self._pages(clients), self.settings)
        return Identified(pages, always=self._access_log.on)

    def _pages(self, clients: ClientRegistry) -> Pages:
        """What the worker that asks answers to probes and monitoring."""
        health = self._health_of(clients)
        pages = {"/health": health.health, "/ready": health.ready}
        if self._lending is not None:
            pages["/metrics"] = Scrape(self._lending.shared, lambda: self._refresh()).page
        return pages

    def _health_of(self, clients: ClientRegistry) -> Health:
        """What the worker that asks says of itself; made by whoever asks first."""
        if self._health is None:
            self._health = Health(self._slot, self.board, clients.draining.is_set)
        return self._health

    # -- in the master
    # ---------------------------------------------------------------------------------

    def on_starting(self, server: Any) -> None:
        """Speak to systemd ourselves: gunicorn would call the server ready too early."""
        self._systemd.take_over()

    def when_ready(self, server: Any) -> None:
        """Say once what looks odd in the settings, and let Ctrl-C stop the server as TERM does.

        The last step before the first fork: from here on workers share what was imported.
        """
        self._management = [
            shared_listener(where) for where in self.settings[s.MANAGEMENT_LISTENERS]
        ]
        for warning in (*s.warnings(self.settings), *translation_warnings(self.settings)):
            log.warning("%s", warning)
        self._systemd.attach(server, self._graceful)
        term = signal.getsignal(signal.SIGTERM)
        if callable(term):
            signal.signal(signal.SIGINT, lambda _number, frame: term(signal.SIGTERM, frame))
        if self.authority.has_files:
            # gunicorn's own handler replaces the workers, which would end their consumers.
            server.handle_hup = lambda: reread(self.authority, self._told_to_reread)
        # The collector writes to every object that it looks at, and a page written to is copied.
        gc.collect()
        gc.freeze()

    def on_reload(self, server: Any) -> None:
        """The workers made from now on take over the slots of those that are told to end."""
        self.generation += 1
        self._systemd.reloading()

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Give the worker the smallest slot that no worker of its generation has."""
        taken = {
            other.slot
            for other in server.WORKERS.values()
            if getattr(other, "generation", None) == self.generation
        }
        worker.generation = self.generation
        worker.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        if self._lending is not None:
            worker.region = self._lending.lend(server.WORKERS.values())

    def child_exit(self, server: Any, worker: Any) -> None:
        """Forget the gauges of a worker that has ended, however that was."""
        if self._lending is not None:
            self._lending.take_back(worker.region)

    # -- in a worker
    # -------------------------------------------------------------------------------------

    def post_fork(self, server: Any, worker: Any) -> None:
        """Listen on the slot's private socket, and port if wanted, beside the server's."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Until gunicorn sets its own, it would be the master's handler, and TERM lost.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        limit_arenas()
        keep_tidy()
        self._slot = worker.slot
        worker.forward_threads = self.settings[s.SERVER_FORWARD_THREADS]
        watchers: list[Watcher] = [self._access_log.write] if self._access_log.on else []
        if self._lending is not None:
            self._cells = self._lending.cells(worker.region)
            watchers.append(watcher(self._cells))
        self._answered = all_of(watchers)
        worker.answered, worker.is_urgent = self._answered, is_urgent
        worker.sockets = [*worker.sockets, *self._management]
        worker.management_ports = s.management_ports(self.settings)
        worker.tls_ports, worker.authority = s.tls_ports(self.settings), self.authority
        # Of the time for a stop, requests under way get the first part, closing clients the rest.
        worker.cfg.set("graceful_timeout", max(1, round(self._graceful * (1 - CLOSE_SHARE))))
        self._clients = ClientRegistry(self.settings, worker.slot, self.slots, self._cells)
        if self.slots > 1:
            private = private_listener(self.run_dir, worker.slot)
            worker.sockets = [*worker.sockets, private, Arrivals(self.run_dir, worker.slot)]
        if self.settings[s.CONSUMER_PINNING_LISTENERS]:
            worker.sockets = [*worker.sockets, pinned_listener(self.settings, worker.slot)]

    def post_worker_init(self, worker: Any) -> None:
        """Make the clients, settle the threads on their core, and be ready."""
        assert self._clients is not None
        self._clients.open()
        cores = sorted(os.sched_getaffinity(0))
        if self.settings[s.SERVER_PIN_CPUS] and self.slots <= len(cores):
            # librdkafka's threads have been started and may run anywhere.
            pin_python_threads(cores[worker.slot % len(cores)])
        # A request of a thousand records makes thousands of objects that no cycle holds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        if self._lending is not None:
            gauges = Gauges(self._cells, self._clients, worker, self._thread_polls)
            self._refresh = gauges.refresh
            gauges.start()
        if self.authority.has_files:
            self._rereader = start_rereading(worker, self.authority, self._told_to_reread)
        if hasattr(worker, "lane"):
            # gunicorn's own worker has none, and hands each record over at once.
            worker.lane.settle = self._clients.producer.put_off()
        self._drain_at_term(worker)
        self._watch(worker, self._clients)
        self._tell_when_all_are_ready()
        self._systemd.worker_is_ready(worker.slot)

    def worker_exit(self, server: Any, worker: Any) -> None:
        """Leave the groups and deliver what is queued, in what is left of the time for a stop."""
        if self._health is not None:
            self._health.close()
        if self._rereader is not None:
            self._rereader.close()
        if self._clients is not None and os.getpid() == worker.pid:
            self._clients.close(self._deadline or Deadline(self._graceful))
            if worker.booted:
                # All that had to be done is done. Tearing the interpreter down as well would wait
                # for librdkafka's threads once more, without a deadline.
                logging.shutdown()
                os._exit(0)

    def post_request(self, worker: Any, request: Any, environ: Any, answer: Any) -> None:
        """Tell those who watch; of what is parked they are told when it is answered."""
        if answer is None or getattr(answer, "parked", False):
            return
        if self._answered is not None:
            asked = _Asked(environ, environ.get("REMOTE_ADDR", ""), environ.get(STARTED))
            sent, error_code = answer.sent or 0, environ.get(ERROR_CODE, 0)
            # Without one, gunicorn says so.
            status = str(answer.status or "500 Internal Server Error")
            self._answered(asked, status, sent, error_code)

    def _thread_polls(self, relayed: bool) -> int:
        if self._forwarder is None:
            # gunicorn's own entry makes the application at the first request.
            return 0
        return len(self._forwarder.relayed_polls if relayed else self._forwarder.polls)

    @property
    def _graceful(self) -> float:
        return self.settings[s.SHUTDOWN_GRACEFUL_MS] / 1000

    def _watch(self, worker: Any, clients: ClientRegistry) -> None:
        """Begin to look at the worker's threads and at Kafka."""
        health = self._health_of(clients)
        # gunicorn's own worker has no lane.
        lanes = [worker.lane.pulse] if hasattr(worker, "lane") else []
        health.watch([*lanes, *clients.pulses], clients.readiness())
        health.start()

    def _drain_at_term(self, worker: Any) -> None:
        """End reads as soon as the worker is told to stop: gunicorn would wait for them."""
        stop = signal.getsignal(signal.SIGTERM)
        clients = self._clients

        def drain_and_stop(number: int, frame: Any) -> None:
            # Told again, it has no more time: the master kills it at the same moment.
            if self._deadline is None:
                self._deadline = Deadline(self._graceful * STOP_SHARE)
                if clients is not None:
                    clients.drain()
            if callable(stop):
                stop(number, frame)

        signal.signal(signal.SIGTERM, drain_and_stop)
        signal.siginterrupt(signal.SIGTERM, False)

    def _tell_when_all_are_ready(self) -> None:
        lock = self._ready.get_lock()
        if not lock.acquire(timeout=LOCK_SECONDS):
            # A worker that was killed has kept it; this is worth no wait.
            return
        try:
            self._ready.value += 1
            if self._ready.value >= self.slots and not self._told.value:
                self._told.value = 1
                log.info("Server started, listening for requests...")
        finally:
            lock.release()
