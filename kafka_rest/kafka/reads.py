"""Reads under way, and the line in which they wait at their instance.

Not for what they take (`kafka.reader`), nor for when they are tried again (`kafka.waiting`).
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import Consumer

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.description import ReadLimits
from kafka_rest.kafka.membership import Membership
from kafka_rest.kafka.messages import ConsumedRecords
from kafka_rest.records import Deadline

Take = Callable[[ConsumedRecords], int]
"""Gets batch by batch and says how many of a batch's records it has taken.

Fewer than all end the read. Where it raises, it has taken none.
"""


class Reads(Protocol):
    """What counts waiting reads and has them tried again: `kafka.waiting`."""

    def enter(self) -> None:
        """Count one more read. Raises: TooManyRequests."""
        ...

    def leave(self) -> None:
        """Count one read less."""
        ...

    def attach(self, instance: Any, consumer: Consumer, client_id: str) -> Callable[[], None]:
        """Try the instance's reads again whenever its consumer has got something.

        Returns what ends it.
        """
        ...

    def wake(self, instance: Any) -> None:
        """Try the instance's reads again soon."""
        ...

    def arm(self, instance: Any, seconds: float) -> None:
        """Try the instance's reads again in so many seconds."""
        ...


class Read:
    """One read, from its beginning to the one call of `done`, with what it failed with or None."""

    __slots__ = ("_done", "_end", "_line", "failure", "limits", "take")

    def __init__(
        self,
        limits: ReadLimits,
        take: Take,
        done: Callable[[Exception | None], None],
        line: "Line",
    ) -> None:
        self.limits, self.take, self._done, self._line = limits, take, done, line
        self._end: Deadline | None = None
        self.failure: Exception | None = None

    def due(self, member: Membership) -> Deadline:
        """When it is answered with what there is."""
        if self._end is None and (member.assigned or not member.joining or member.refused):
            # The time to join does not count: a first read would else come back empty.
            self._end = self.limits.join.sooner(self.limits.wait_seconds)
        return self._end or self.limits.join

    def tell(self) -> None:
        """Say that it has ended; to be called once by whoever has claimed it."""
        self._done(self.failure)

    def abandon(self) -> None:
        """End it with nothing, unless it is ending: nobody is there to take what it would get."""
        if self._line.claim(self):
            self.tell()

    def expire(self) -> None:
        """End it now, unless it is ending: it has not been tried although it was due."""
        if self._line.claim(self):
            self.failure = because(
                errors.KafkaRetriable, "the consumer instance is busy with another call or read."
            )
            self.tell()


class Line:
    """The reads that wait at an instance, first come, first served. Thread-safe.

    A read is ended by the one who has claimed it.
    """

    def __init__(self, reads: Reads) -> None:
        self._waiting = reads
        self._lock = threading.Lock()
        self._reads: deque[Read] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._reads)

    def add(self, read: Read) -> None:
        """Join the line at its end.

        Raises: TooManyRequests, InstanceNotFound where the line is closed.
        """
        self._waiting.enter()
        with self._lock:
            if not self._closed:
                self._reads.append(read)
                return
        self._waiting.leave()
        raise because(errors.InstanceNotFound, "It is being deleted.")

    def all(self) -> list[Read]:
        """Those who wait now, in order."""
        with self._lock:
            return list(self._reads)

    def claim(self, read: Read) -> bool:
        """Take a read out of the line. False where another has done so."""
        with self._lock:
            if read not in self._reads:
                return False
            self._reads.remove(read)
        self._waiting.leave()
        return True

    def close(self) -> None:
        """Let nobody join any more."""
        with self._lock:
            self._closed = True
