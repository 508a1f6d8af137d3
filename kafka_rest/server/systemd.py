"""What the master tells systemd (ready, alive, reloading, stopping), and the sockets that systemd
hands over.

gunicorn says READY before it has a worker, so its words are replaced by these. Nothing here happens
where NOTIFY_SOCKET and LISTEN_FDS are not set, and no worker speaks: `NotifyAccess=main` is enough.
"""

import logging
import math
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

log = logging.getLogger(__name__)

SEND_SECONDS = 1.0
"""How long systemd may take to accept a word."""
STOP_MARGIN_SECONDS = 5.0
FIRST_SOCKET = 3


class Notifier:
    """The words of one master to systemd.

    They are said by the master's main loop, whenever it has looked after its workers: so a sign of
    life means that the loop goes round, that each slot has a worker which is ready, and that the
    main loop of each has gone round within half the time of the watchdog. A worker that does not
    come back is replaced by gunicorn; systemd acts where that does not help.
    """

    def __init__(self, slots: int) -> None:
        # The worker that is ready in each slot; a word each, so that a killed writer leaves no
        # lock and no half.
        self._ready = multiprocessing.RawArray("i", slots)
        self._address = ""
        self._watchdog = False
        self._patience = math.inf
        self._told = False

    def take_over(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Speak in gunicorn's place from here on; in the master, before it listens."""
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watched = environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environ.pop("WATCHDOG_USEC", "")
        if self._address and watched and microseconds:
            self._watchdog = True
            self._patience = int(microseconds) / 1_000_000 / 2

    def attach(self, arbiter: Any, stop_seconds: float) -> None:
        """Have the master's main loop tell systemd, and TERM announced with what a stop may take.

        A reload keeps the loop busy until the old workers are gone, but it reaps meanwhile.
        """
        if not self._address:
            return
        for name in ("murder_workers", "reap_workers"):
            setattr(arbiter, name, self._then_tell(getattr(arbiter, name), arbiter))
        stop: Any = signal.getsignal(signal.SIGTERM)
        allowed = round((stop_seconds + STOP_MARGIN_SECONDS) * 1_000_000)

        def tell_and_stop(number: int, frame: Any) -> None:
            self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={allowed}")
            stop(number, frame)

        signal.signal(signal.SIGTERM, tell_and_stop)

    def reloading(self) -> None:
        """New workers take over; READY follows when all of them are ready. In the master."""
        self._ready[:] = [0] * len(self._ready)
        self._told = False
        if self._address:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def worker_is_ready(self, slot: int) -> None:
        """In the worker of a slot; a worker beyond the slots (SIGTTIN) is nobody's concern."""
        if slot < len(self._ready):
            self._ready[slot] = os.getpid()

    def tell(self, workers: Mapping[int, Any]) -> None:
        """READY once and then a sign of life each time, as long as all is well with the workers."""
        if not all(self._is_well(workers.get(pid)) for pid in self._ready):
            return
        if not self._told:
            self._told = True
            self._send(f"READY=1\nSTATUS=Ready, workers: {len(self._ready)}")
        elif self._watchdog:
            self._send("WATCHDOG=1")

    def _is_well(self, worker: Any) -> bool:
        return worker is not None and time.monotonic() - worker.tmp.last_update() <= self._patience

    def _then_tell(self, look: Any, arbiter: Any) -> Any:
        def look_and_tell() -> None:
            look()
            self.tell(arbiter.WORKERS)

        return look_and_tell

    def _send(self, words: str) -> None:
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
                to_systemd.settimeout(SEND_SECONDS)
                to_systemd.connect(address)
                to_systemd.sendall(words.encode())
        except OSError as error:
            log.warning("systemd was not told words=%r error=%s", words, error)


def hands_over_sockets(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started with sockets that listen already."""
    return environ.get("LISTEN_PID") == str(os.getpid())


def wrong_sockets(
    wanted: set[int], environ: Mapping[str, str] = os.environ, first: int = FIRST_SOCKET
) -> str:
    """A sentence if the sockets that are handed over are not those of the wanted ports, else "".

    gunicorn listens on what is handed over and on nothing else, whatever the settings say, while
    the server's folder, pinned ports and base_uri follow from the settings.
    """
    count = int(environ.get("LISTEN_FDS", "0"))
    found = {_port(descriptor) for descriptor in range(first, first + count)}
    if found == wanted:
        return ""
    return (
        f"systemd hands over sockets of port {_listed(found)}, but the settings listen on port "
        f"{_listed(wanted)}: let ListenStream= of the socket unit name the ports of `listeners`, "
        f"or of `port` where that is empty."
    )


def _port(descriptor: int) -> int:
    """The port of a listening socket; 0 where it has none."""
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        name = listener.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def _listed(ports: Iterable[int]) -> str:
    return ", ".join(str(port) if port else "none (a Unix socket)" for port in sorted(ports))
