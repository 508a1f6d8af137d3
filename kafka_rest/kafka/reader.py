"""What waiting reads take of an instance's records, in which order, and when they end."""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from confluent_kafka import KafkaException, Message

from kafka_rest.kafka.description import ReadLimits
from kafka_rest.kafka.failures import error_of, rest_error
from kafka_rest.kafka.membership import Membership, Offsets
from kafka_rest.kafka.messages import BATCH_COUNT, ConsumedRecords, sizes_of
from kafka_rest.kafka.reads import Line, Read, Take
from kafka_rest.kafka.subscribing import Subscriber

log = logging.getLogger(__name__)


class Reader:
    """Ends the reads in an instance's line; not thread-safe, the instance holds its mutex.

    `hand_out` is told the next offsets behind what a read has taken.
    """

    def __init__(
        self,
        line: Line,
        member: Membership,
        subscriber: Subscriber,
        hand_out: Callable[[Offsets], None],
        about: str,
    ) -> None:
        self._line, self._member, self._subscriber = line, member, subscriber
        self._hand_out, self._about = hand_out, about

    def end(self, ending: bool) -> tuple[list[Read], float | None]:
        """Claim the reads that end now, all if it is `ending`, with what they take.

        Returns them, and in how many seconds the next one is due.
        """
        ended: list[Read] = []
        waits: list[float] = []
        for read in self._line.all():
            ready, failure = False, None
            if not waits:
                # What is there is for the first one; another only ends when its time is up.
                ready, failure = self._ready(read.limits)
            due = read.due(self._member)
            if not (ready or ending or due.expired):
                waits.append(due.left())
            elif self._line.claim(read):
                read.failure = failure or self._take(read, ending)
                ended.append(read)
        return ended, min(waits, default=None)

    def _ready(self, limits: ReadLimits) -> tuple[bool, Exception | None]:
        """Carry what is at hand. Whether a read need not wait for more, and what it fails with."""
        try:
            self._subscriber.require_possible()
            self._subscriber.follow_pattern()
            self._member.resume()
            return _gathered(self._member, limits), None
        except Exception as failure:
            return True, self._told(failure)

    def _take(self, read: Read, ending: bool) -> Exception | None:
        """Hand out what there is; what that fails with."""
        try:
            if not (self._member.carried or ending):
                self._member.raise_failure()
            self._hand_out(_taken(self._member, read.limits.max_bytes, read.take))
        except Exception as failure:
            return self._told(failure)
        return None

    def _told(self, failure: Exception) -> Exception:
        if isinstance(failure, KafkaException):
            return rest_error(error_of(failure), self._about)
        return failure


def _gathered(member: Membership, limits: ReadLimits) -> bool:
    """Carry what is at hand. True where a read need not wait: for records, or a failure."""
    while not _enough(member, limits):
        if not member.drain():
            return member.failed and not member.carried
    return True


def _enough(member: Membership, limits: ReadLimits) -> bool:
    if not (member.carried and limits.min_bytes):
        return bool(member.carried)
    return sum(sizes_of(member.carried)) > min(limits.min_bytes, limits.max_bytes)


def _taken(member: Membership, max_bytes: int, take: Take) -> Offsets:
    """The next offsets behind what is taken of the records up to the limit.

    What is not is carried further. An error of `take` passes through if no batch came before.
    """
    behind: Offsets = {}
    for messages in _fitting(member, max_bytes):
        try:
            records = ConsumedRecords(messages)
            count = take(records)
        except Exception:
            member.put_back(messages)
            if not behind:
                raise
            break
        behind |= records.next_offsets(count)
        if count < len(messages):
            member.put_back(messages[count:])
            break
    return behind


def _fitting(member: Membership, max_bytes: int) -> Iterator[list[Message]]:
    """Carried records up to the limit, at least one if there is any, in batches."""
    left, batch = max_bytes, list[Message]()
    at_least = 1
    while member.carried:
        totals = list(accumulate(sizes_of(member.carried)))
        # Reaching the limit ends a read as well as passing it does (reference behaviour).
        count = max(at_least, bisect_left(totals, left))
        batch += member.carried[:count]
        del member.carried[:count]
        if member.carried:
            break
        at_least, left = 0, left - totals[-1]
        if len(batch) >= BATCH_COUNT:
            yield batch
            batch = []
        try:
            member.drain()
        except Exception as failure:
            # What is at hand is good; the next read meets whatever stays wrong.
            log.warning("read ended early reason=%r", failure)
            break
    if batch:
        yield batch
