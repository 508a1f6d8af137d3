"""What a run remembers: records as sent, stored and handed out, commits, answers, faults."""

from typing import NamedTuple

KILL, RESTART, STOP, FREEZE = "kill a worker", "restart a proxy", "stop Kafka", "freeze Kafka"
SLOW, LEAVE = "slow clients", "leaving clients"
KINDS = (KILL, RESTART, STOP, FREEZE, SLOW, LEAVE)
PROXY, BROKER = frozenset({KILL, RESTART}), frozenset({STOP, FREEZE})


class Place(NamedTuple):
    """Where a record lies in the one topic of a run."""

    partition: int
    offset: int


class Handed(NamedTuple):
    """A record in the answer to a read. A session is one instance, from its making to its end."""

    group: str
    session: str
    place: Place
    number: int


class Attempted(NamedTuple):
    """A commit that is about to be asked for, up to the offset behind what was handed out."""

    group: str
    partition: int
    next_offset: int


class Committed(NamedTuple):
    """A commit as somebody knows of it: the client who was told, or the broker that was asked."""

    group: str
    partition: int
    next_offset: int


Event = Handed | Attempted | Committed


class Answer(NamedTuple):
    """What a client was told. Status 0: nothing. Times in seconds of the monotonic clock.

    `who`: the instance that it is about, where it is about one.
    """

    what: str
    status: int
    code: int | None
    text: str
    begun: float
    ended: float
    deadline: float
    who: str = ""


class Span(NamedTuple):
    """When a fault was there, in seconds of the monotonic clock."""

    kind: str
    begun: float
    ended: float
