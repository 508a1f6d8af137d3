"""Health and readiness of one worker: what /health and /ready say, and the thread that finds out.

Nothing here waits or asks Kafka when a request comes.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka_rest.api.response import encode
from kafka_rest.kafka.readiness import Readiness
from kafka_rest.pulse import Pulse
from kafka_rest.records import Clock
from kafka_rest.server.management import Page

log = logging.getLogger(__name__)

TURN_SECONDS = 1.0
UP_SECONDS = 15.0
"""How long a slot counts as up after its worker last said that it is well."""
JOIN_SECONDS = 1.0
JSON = "application/json"


class Board:
    """When the worker of each slot last was well: in memory that master and workers share."""

    def __init__(self, beats: Any, clock: Clock = time.monotonic) -> None:
        self._beats, self._clock = beats, clock

    def beat(self, slot: int) -> None:
        """The worker of a slot is well."""
        # A worker beyond the slots (SIGTTIN) is nobody's concern.
        if slot < len(self._beats):
            # One word is written at once; the clock is the machine's, the same in all processes.
            self._beats[slot] = self._clock()

    @property
    def up(self) -> int:
        """How many slots have a worker that is well; readable in the master too."""
        now = self._clock()
        return sum(1 for beat in self._beats if beat and now - beat < UP_SECONDS)

    def __len__(self) -> int:
        return len(self._beats)


class Health:
    """What one worker says of itself. `stopping` tells whether it was told to end."""

    def __init__(self, slot: int, board: Board, stopping: Callable[[], bool]) -> None:
        self._slot, self._board, self._stopping = slot, board, stopping
        self._pulses: Sequence[Pulse] = ()
        self._readiness: Readiness | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._own = Pulse(self._thread)

    def watch(self, pulses: Iterable[Pulse], readiness: Readiness) -> None:
        """Say from now on what is known of these."""
        self._pulses, self._readiness = (*pulses, self._own), readiness

    def start(self) -> None:
        """Start the thread that asks Kafka now and then and tells the board that all is well."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; one that asks Kafka this moment is not waited for."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(JOIN_SECONDS)

    def turn(self) -> None:
        """What the thread does once a second; blocks as `Readiness.refresh` does."""
        self._own.beat()
        if not self._problems():
            self._board.beat(self._slot)
        if self._readiness is not None:
            self._readiness.refresh()

    def health(self) -> Page:
        """/health: 200 while the worker's threads live and go on, 503 with reasons if not."""
        reasons, board = self._problems(), self._board
        threads = {pulse.name: {"idle_ms": round(pulse.age * 1000)} for pulse in self._pulses}
        return _page(
            503 if reasons else 200,
            status="failing" if reasons else "ok",
            reasons=reasons,
            worker=self._slot,
            workers={"up": board.up, "configured": len(board)},
            threads=threads,
        )

    def ready(self) -> Page:
        """/ready: 200 while requests can be expected to succeed, 503 with reasons if not."""
        known = self._readiness
        reasons = ["The server is stopping."] if self._stopping() else []
        reasons += known.reasons() if known else ["The worker is starting."]
        age = known.age if known else None
        return _page(
            503 if reasons else 200,
            status="stopping" if self._stopping() else "not ready" if reasons else "ready",
            reasons=reasons,
            worker=self._slot,
            metadata={
                "age_ms": None if age is None else round(age * 1000),
                "brokers": known.brokers if known else None,
            },
        )

    def _problems(self) -> list[str]:
        return [problem for pulse in self._pulses if (problem := pulse.problem)]

    def _run(self) -> None:
        while True:
            try:
                self.turn()
            except Exception:
                log.exception("health not looked at")
            if self._closing.wait(TURN_SECONDS):
                return


def _page(code: int, **members: Any) -> Page:
    return Page(code, JSON, encode(members))
