"""The vocabulary that every layer shares: records, reports, schemas and deadlines as plain values.

Not for behaviour that talks to Kafka or HTTP.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Clock = Callable[[], float]
"""Seconds that never go backwards (time.monotonic, or a test's own)."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    @property
    def about(self) -> str:
        """It in words, for an error."""
        return f"topic {self.topic}, partition {self.partition}"


Headers = list[tuple[str, bytes | None]]
"""A record's headers, in order; a name may come several times."""


class ProduceRecord(NamedTuple):
    """A record ready to be sent: bytes as Kafka stores them, None for Kafka's null.

    `timestamp` is in milliseconds since the epoch; None is the time of sending.
    """

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers | None = None
    timestamp: int | None = None


class DeliveryReport(NamedTuple):
    """What became of one produced record: a place in the log, or an error code with its text."""

    partition: int | None
    offset: int | None
    error_code: int | None = None
    error: str | None = None


class CommittedOffset(NamedTuple):
    """An offset as Kafka stores it for a group: the next one to read, and a note."""

    offset: int
    metadata: str = ""


DEFAULT_SCHEMA_TYPE = "AVRO"
"""The type of a schema whose type the schema registry does not name."""


class SchemaReference(NamedTuple):
    """A schema that another one names: `name` as used in the text, `text` as registered."""

    name: str
    subject: str
    version: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """A registered schema.

    `references` holds everything that the text needs, transitively, each before its users, so that
    a format can compile the schema without asking anyone.
    """

    schema_id: int
    schema_type: str
    text: str
    references: tuple[SchemaReference, ...] = ()


class WouldBlock(Exception):
    """What was asked for takes a wait, and the caller must not wait. Nothing has been done yet."""


class Deadline:
    """A moment by which a call must have ended; made once per request and passed down.

    `at` is that moment, by the clock. `may_block` False is for a caller who must not wait at all:
    what is not at hand is refused.
    """

    __slots__ = ("_clock", "at", "may_block")

    def __init__(
        self, seconds: float, clock: Clock = time.monotonic, may_block: bool = True
    ) -> None:
        self._clock = clock
        self.at = clock() + seconds
        self.may_block = may_block

    def require_blocking(self) -> None:
        """To be called before a wait and before any effect. Raises: WouldBlock."""
        if not self.may_block:
            raise WouldBlock

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self._clock())

    @property
    def expired(self) -> bool:
        """True once no time is left."""
        return self._clock() >= self.at

    def sooner(self, seconds: float) -> "Deadline":
        """This deadline, or one `seconds` from now if that is earlier."""
        if self.at <= self._clock() + seconds:
            return self
        return Deadline(seconds, self._clock, self.may_block)
