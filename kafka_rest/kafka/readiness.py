"""Whether Kafka can be used, as far as is known: found out now and then by one thread, told to
others at once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError

from kafka_rest.errors import RestError
from kafka_rest.kafka.failures import is_lasting, sentence
from kafka_rest.records import Clock, Deadline

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
"""How long one look at the cluster may take."""
FRESH_TURNS = 3
"""How many turns old what is known of the cluster may be."""


class _Seen(NamedTuple):
    """What the last answer of Kafka said, and when."""

    brokers: int
    at: float


class Readiness:
    """What one worker knows of the cluster.

    `ask` gives the ids of the brokers; `trouble` is the producer's, if it has any.
    """

    def __init__(
        self,
        ask: Callable[[Deadline], Sequence[int]],
        trouble: Callable[[], KafkaError | None],
        servers: Sequence[str],
        every_seconds: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self._ask, self._trouble, self._clock = ask, trouble, clock
        self._servers, self._every = ", ".join(servers), every_seconds
        self._born = self._due = clock()
        self._seen: _Seen | None = None
        self._failure = ""

    def refresh(self) -> None:
        """Ask Kafka if it is time to; blocks for `ASK_SECONDS` and a second at most."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + self._every
        try:
            brokers = len(self._ask(Deadline(ASK_SECONDS)))
        except RestError as failure:
            self._failed(failure.text)
        except Exception as failure:
            # Whatever it is, the next turn may do better.
            self._failed(f"{type(failure).__name__}: {failure}")
        else:
            if self._failure:
                log.info("kafka answers again servers=%s", self._servers)
            self._failure = ""
            self._seen = _Seen(brokers, self._clock())

    @property
    def brokers(self) -> int | None:
        """How many brokers the last answer named; None before there was one."""
        return self._seen and self._seen.brokers

    @property
    def age(self) -> float | None:
        """Seconds since Kafka answered; None where it never has."""
        return self._clock() - self._seen.at if self._seen else None

    def reasons(self) -> list[str]:
        """Why Kafka cannot be used, in sentences; none where it can. Never waits."""
        found, trouble, age = [], self._trouble(), self.age
        stale = age is None or age > FRESH_TURNS * self._every
        if stale:
            since = "since the start" if age is None else "since it last did"
            seconds = self._clock() - self._born if age is None else age
            why = f": {self._failure}" if self._failure else ""
            found.append(f"Kafka at {self._servers} has not answered, {seconds:.0f} s {since}{why}")
        # A broker that is lost is no reason while others answer.
        if trouble is not None and (stale or is_lasting(trouble)):
            found.append(f"The producer's last error: {sentence(trouble)}")
        return found

    def _failed(self, why: str) -> None:
        if not self._failure:
            log.warning("kafka does not answer servers=%s reason=%s", self._servers, why)
        self._failure = why
