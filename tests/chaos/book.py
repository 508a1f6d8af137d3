"""What the clients of a run write down together."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from tests.chaos.events import Answer, Attempted, Committed, Event, Handed, Place, Span
from tests.stack import Reply

MARGIN_SECONDS = 8.0
"""On top of what the settings allow a request: a hop, nginx, a machine that is busy."""
HUNG_SECONDS = 10.0
"""How much longer a client waits to see whether an answer still comes."""


class Book:
    """Thread-safe. `events` are in the order in which they were seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count()
        self.attempts: Counter[int] = Counter()
        self.acknowledged: dict[int, Place] = {}
        self.events: list[Event] = []
        self.answers: list[Answer] = []
        self.spans: list[Span] = []
        self.faults: list[str] = []
        """What must not happen and no check of answers and records would find."""
        self.edges: Counter[tuple[str, int]] = Counter()
        """By group and partition: the offset behind the highest one handed out."""

    def fault(self, text: str) -> None:
        """Remember what must not happen."""
        with self._lock:
            self.faults.append(text)

    def sent(self, numbers: Sequence[int] | int) -> Sequence[int]:
        """So many new numbers, or known ones once more, which are about to be sent."""
        with self._lock:
            if isinstance(numbers, int):
                numbers = [next(self._numbers) for _ in range(numbers)]
            self.attempts.update(numbers)
            return numbers

    def acknowledge(self, number: int, place: Place) -> None:
        """A record was acknowledged."""
        with self._lock:
            self.acknowledged[number] = place

    def handed(self, records: Sequence[Handed]) -> None:
        """An answer to a read."""
        with self._lock:
            self.events += records
            for record in records:
                key = record.group, record.place.partition
                self.edges[key] = max(self.edges[key], record.place.offset + 1)

    def about_commit(self, events: Sequence[Attempted] | Sequence[Committed]) -> None:
        """A commit that is about to be asked for, or that somebody knows of."""
        with self._lock:
            self.events += events

    def span(self, span: Span) -> int:
        """A fault has begun; where to write its end."""
        with self._lock:
            self.spans.append(span)
            return len(self.spans) - 1

    def answer(self, answer: Answer) -> None:
        """Somebody was told something."""
        with self._lock:
            self.answers.append(answer)

    def ask(
        self, what: str, deadline: float, call: Callable[[float], Reply], who: str = ""
    ) -> Reply:
        """Make a request, given a time-out in seconds; its reply, of status 0 where none came.

        Blocks for HUNG_SECONDS longer than the deadline and its margin at the longest.
        """
        deadline += MARGIN_SECONDS
        begun = time.monotonic()
        try:
            reply = call(deadline + HUNG_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            reply = Reply(0, {}, repr(error).encode())
        code, text = error_of(reply)
        now = time.monotonic()
        self.answer(Answer(what, reply.status, code, text, begun, now, deadline, who))
        return reply


def error_of(reply: Reply) -> tuple[int | None, str]:
    """Error code and message of an answer that is no success."""
    if reply.status in range(200, 300):
        return None, ""
    body: Any = None
    with suppress(ValueError):
        body = reply.json
    if type(body) is dict and "error_code" in body:
        return int(body["error_code"]), str(body.get("message"))
    return None, reply.body.decode(errors="replace")
