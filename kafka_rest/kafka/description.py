"""What describes a consumer instance, a read and a seek: plain values, apart from any client.

With its committed offsets an instance could be made again from these, here or elsewhere.
"""

from dataclasses import dataclass
from typing import Any

from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.records import Deadline


@dataclass(frozen=True, slots=True)
class InstanceDescription:
    """What a client asked for: enough to make the instance again, here or elsewhere.

    `principal` is the client that asked, "" where nobody knows.
    """

    group: str
    name: str
    embedded_format: str
    auto_offset_reset: str
    auto_commit: bool
    min_bytes: int | None = None
    request_seconds: float | None = None
    include: frozenset[str] = frozenset()
    principal: str = ""

    @property
    def kafka_config(self) -> dict[str, Any]:
        """What librdkafka is to be told of it."""
        return {
            "group.id": self.group,
            "auto.offset.reset": self.auto_offset_reset,
            "enable.auto.commit": self.auto_commit,
        }


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an instance reads: topics, topics by a pattern, or partitions by hand; or nothing yet.

    `topics` holds what a pattern matched last.
    """

    topics: tuple[str, ...] = ()
    pattern: TopicPattern | None = None
    by_hand: bool = False

    @property
    def mode(self) -> str:
        """`none`, `topics`, `pattern` or `manual`; from one to another leads only through none."""
        if self.by_hand:
            return "manual"
        if self.pattern is not None:
            return "pattern"
        return "topics" if self.topics else "none"


NOTHING = Subscription()


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one read.

    `max_bytes` counts keys and values; at least one record is returned whatever its size. The read
    waits for more than `min_bytes` (0: for its first record) until `wait_seconds` after the group
    has given the instance its partitions, or until `join` if it never does.
    """

    max_bytes: int
    wait_seconds: float
    join: Deadline
    min_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a seek goes: an offset, a time (milliseconds since the epoch), else an end."""

    offset: int | None = None
    time_ms: int | None = None
    beginning: bool = False
