"""One consumer instance: subscribe or assign, seek, read, commit, tick and close, under one mutex.

Not for finding instances or expiring them: that is `kafka.instances`.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.description import (
    NOTHING,
    InstanceDescription,
    ReadLimits,
    Subscription,
    Target,
)
from kafka_rest.kafka.failures import error_of, rest_error
from kafka_rest.kafka.membership import Membership, Offsets
from kafka_rest.kafka.messages import BATCH_COUNT, ConsumedRecords, sizes_of
from kafka_rest.kafka.metadata import legal_topic
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.kafka.positions import Stored
from kafka_rest.records import Clock, CommittedOffset, Deadline, TopicPartition

LEAST_CLOSE_SECONDS = 0.1
LONGEST_LIST = 300


class ConsumerInstance:
    """A consumer instance. Each call takes the mutex; `lock_by` bounds the wait for it."""

    def __init__(
        self,
        description: InstanceDescription,
        config: dict[str, Any],
        draining: threading.Event,
        make: Callable[[dict[str, Any]], Consumer] = Consumer,
        clock: Clock = time.monotonic,
    ) -> None:
        self.description = description
        self.last_used = clock()
        self._clock, self._draining = clock, draining
        self._about = f"consumer {description.name} of group {description.group}"
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._subscription = NOTHING
        self._matched: tuple[str, ...] | None = None
        self._impossible: list[str] = []
        self._handed_out: Offsets = {}
        own = {
            "group.id": description.group,
            "auto.offset.reset": description.auto_offset_reset,
            "enable.auto.commit": description.auto_commit,
        }
        self._member = Membership({**config, **own}, self._about, self._forget, make)

    @property
    def subscription(self) -> Subscription:
        """What the instance reads."""
        return self._subscription

    @property
    def owned(self) -> list[TopicPartition]:
        """The partitions assigned by hand or by the group, sorted; empty while the group forms."""
        return sorted(self._member.owned)

    @property
    def busy(self) -> bool:
        """True while a call holds the instance."""
        return self._mutex.locked()

    def subscribe_once(self, topics: tuple[str, ...], lock_by: Deadline) -> None:
        """Start joining the group for these topics; does not wait for the assignment.

        Raises: AlreadySubscribed where the instance reads anything else (v1: one topic for life).
        """
        with self._held(lock_by):
            wanted = Subscription(topics)
            if self._subscription not in (NOTHING, wanted):
                raise errors.AlreadySubscribed
            if self._subscription == NOTHING:
                self._subscribe(wanted)

    def subscribe(self, topics: tuple[str, ...], lock_by: Deadline) -> None:
        """Read these topics in place of those before; none is the end of any subscription.

        Raises: IllegalState where partitions or a pattern are read.
        """
        with self._held(lock_by):
            if not topics:
                self._unsubscribe(lock_by)
                return
            self._require_mode("topics")
            self._subscribe(Subscription(topics))

    def subscribe_pattern(
        self, pattern: TopicPattern, existing: list[str], lock_by: Deadline
    ) -> None:
        """Read the topics that match, of those that exist and of those that come.

        Raises: IllegalState where partitions or given topics are read.
        """
        with self._held(lock_by):
            self._require_mode("pattern")
            self._subscribe(Subscription(pattern.matches(existing), pattern))

    def match(self, existing: list[str]) -> None:
        """Look again which topics the pattern matches; a read under way takes it up itself."""
        pattern = self._subscription.pattern
        if pattern is None:
            return
        self._matched = pattern.matches(existing)
        self.tick()

    def unsubscribe(self, lock_by: Deadline) -> None:
        """Read nothing any more, whatever was read before."""
        with self._held(lock_by):
            self._unsubscribe(lock_by)

    def assign(self, places: set[TopicPartition], lock_by: Deadline) -> None:
        """Read these partitions, past the group; none is the end of any subscription.

        Raises: IllegalState where topics or a pattern are read.
        """
        with self._held(lock_by):
            if not places:
                self._unsubscribe(lock_by)
                return
            self._require_mode("manual")
            self._member.assign(places)
            self._subscription = Subscription(by_hand=True)

    def seek(self, place: TopicPartition, target: Target, deadline: Deadline) -> None:
        """Go on reading a partition elsewhere: at an offset, a time, or an end of its log.

        Carried records of the partition are dropped, and a commit covers the new position. A time
        after the last record is the end. Raises: IllegalState for a partition that the instance
        does not have, 50003.
        """
        with self._held(deadline):
            member = self._member
            if place not in member.owned:
                raise because(
                    errors.IllegalState,
                    f"No current assignment for partition {place.topic}-{place.partition}",
                )
            offset = self._resolved(place, target, deadline)
            member.seek(place, offset, self._subscription.by_hand, deadline)
            self._handed_out[place] = offset
            if self.description.auto_commit:
                member.store({place: offset})

    def read(
        self, limits: ReadLimits, take: Callable[[ConsumedRecords], int], lock_by: Deadline
    ) -> None:
        """Read records and count what `take` takes of them as handed out; the rest is kept.

        Returns as soon as there was data, or at the deadline. `take` gets batch by batch and says
        how many of a batch's records it has taken; fewer than all end the read. Where it raises, it
        has taken none; its error passes through if no batch came before.
        """
        with self._held(lock_by):
            if self._subscription == NOTHING:
                raise because(
                    errors.IllegalState,
                    "Consumer is not subscribed to any topics or assigned any partitions",
                )
            if self._impossible:
                names, self._impossible = self._impossible, []
                raise because(errors.IllegalTopic, f"Invalid topics: {names}"[:LONGEST_LIST])
            self._member.resume()
            self._gather(limits)
            self._hand_out(self._taken(limits.max_bytes, take))

    def commit(self, deadline: Deadline, wait: bool = True) -> Offsets:
        """Commit what has been handed out and still belongs to this instance; returns next offsets.

        Waits for the broker's word until the deadline, unless told not to. Raises: 50002/50003 when
        it does not come.
        """
        with self._held(deadline):
            wanted = dict(self._handed_out)
            self._commit({place: CommittedOffset(o) for place, o in wanted.items()}, deadline, wait)
            return wanted

    def commit_offsets(self, offsets: Stored, deadline: Deadline) -> None:
        """Commit these next offsets, of any partitions. Raises: 50002/50003."""
        with self._held(deadline):
            self._commit(offsets, deadline, wait=True)

    def committed(self, places: list[TopicPartition], deadline: Deadline) -> Stored:
        """What the group has stored for partitions, whoever committed it; none: left out."""
        with self._held(deadline):
            return self._member.committed(places, deadline) if places else {}

    def tick(self) -> None:
        """Serve librdkafka while no client does: an idle instance must not block its group."""
        if self._mutex.acquire(blocking=False):
            try:
                if not self._stopping.is_set():
                    self._follow_pattern()
                    self._member.serve(0)
            finally:
                self._mutex.release()

    def close(self, deadline: Deadline) -> bool:
        """Leave the group and free the client; a reader is told to end first. False if it hangs.

        Only the holder of the mutex may close: closing under another thread's poll hangs that
        thread.
        """
        self._stopping.set()
        if not self._mutex.acquire(timeout=deadline.left()):
            return False
        # The mutex is never released: a late caller finds the instance stopping, not a dead client.
        only_joins = self._member.grouped and not self._member.owned
        closer = threading.Thread(target=self._member.close, name="consumer-close", daemon=True)
        closer.start()
        if only_joins:
            # Nothing to commit, and a join that nobody waits for may take seconds to be left.
            return True
        closer.join(max(deadline.left(), LEAST_CLOSE_SECONDS))
        return not closer.is_alive()

    @contextmanager
    def _held(self, lock_by: Deadline) -> Iterator[None]:
        """Hold the instance for one call, which counts as use when it ends."""
        held = self._mutex.acquire(timeout=lock_by.left())
        try:
            if self._stopping.is_set():
                raise because(errors.InstanceNotFound, "It is being deleted.")
            if not held:
                raise because(errors.KafkaRetriable, f"another call still holds {self._about}.")
            yield
        except KafkaException as failure:
            raise rest_error(error_of(failure), self._about) from failure
        finally:
            if held:
                self.last_used = self._clock()
                self._mutex.release()

    def _require_mode(self, mode: str) -> None:
        if self._subscription.mode not in ("none", mode):
            raise because(
                errors.IllegalState,
                "Subscription to topics, partitions and pattern are mutually exclusive "
                f"(this instance reads by {self._subscription.mode})",
            )

    def _subscribe(self, wanted: Subscription) -> None:
        self._subscription = wanted
        self._matched = None
        # librdkafka says nothing of names that no topic can have; the next read does, once.
        self._impossible = [topic for topic in wanted.topics if not legal_topic(topic)]
        possible = tuple(topic for topic in wanted.topics if legal_topic(topic))
        if possible:
            self._member.subscribe(possible)
        else:
            self._member.unsubscribe(Deadline(LEAST_CLOSE_SECONDS))

    def _unsubscribe(self, deadline: Deadline) -> None:
        if not self._member.unsubscribe(deadline):
            raise because(errors.KafkaRetriable, f"{self._about} is still joining its group.")
        self._subscription = NOTHING
        self._matched = None

    def _follow_pattern(self) -> None:
        """Subscribe to what the pattern matches now, if that has changed."""
        matched, self._matched = self._matched, None
        if matched is None or matched == self._subscription.topics:
            return
        self._subscribe(Subscription(matched, self._subscription.pattern))

    def _resolved(self, place: TopicPartition, target: Target, deadline: Deadline) -> int:
        """The offset that a target stands for at this moment."""
        if target.offset is not None:
            return target.offset
        if target.time_ms is not None:
            found = self._member.offset_for_time(place, target.time_ms, deadline)
            if found is not None:
                return found
        low, high = self._member.bounds(place, deadline)
        return low if target.beginning else high

    def _commit(self, offsets: Stored, deadline: Deadline, wait: bool) -> None:
        if not offsets:
            return
        if wait:
            self._member.commit(offsets, deadline)
        else:
            self._member.commit_soon(offsets)

    def _gather(self, limits: ReadLimits) -> None:
        """Poll until enough is carried or time is up. Raises: what Kafka reports meanwhile."""
        member = self._member
        end = None
        while not (self._enough(limits) or self._stopping.is_set() or self._draining.is_set()):
            self._follow_pattern()
            if end is None and (member.assigned or not member.joining):
                # The time to join does not count: a first read would else come back empty.
                end = limits.join.sooner(limits.wait_seconds)
            bound = end or limits.join
            member.poll(bound.left())
            if (bound.expired or member.failed) and not member.carried:
                member.raise_failure()
                return
            if bound.expired:
                return

    def _enough(self, limits: ReadLimits) -> bool:
        member = self._member
        if not (member.carried and limits.min_bytes):
            return bool(member.carried)
        member.drain()
        wanted = min(limits.min_bytes, limits.max_bytes)
        return sum(sizes_of(member.carried)) > wanted

    def _taken(self, max_bytes: int, take: Callable[[ConsumedRecords], int]) -> Offsets:
        """The next offsets behind what is taken of the records up to the limit."""
        taken: Offsets = {}
        for messages in self._fitting(max_bytes):
            records = ConsumedRecords(messages)
            try:
                count = take(records)
            except Exception:
                self._member.put_back(messages)
                if not taken:
                    raise
                break
            taken |= records.next_offsets(count)
            if count < len(messages):
                self._member.put_back(messages[count:])
                break
        return taken

    def _fitting(self, max_bytes: int) -> Iterator[list[Message]]:
        """Carried records up to the limit, at least one if there is any, in batches."""
        member, left, batch = self._member, max_bytes, list[Message]()
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
            member.drain()
        if batch:
            yield batch

    def _hand_out(self, fresh: Offsets) -> None:
        """Count records as returned to the client: these, and only these, can be committed."""
        # A rebalance inside this read may have taken a partition whose records are already taken.
        fresh = {place: offset for place, offset in fresh.items() if place in self._member.owned}
        self._handed_out.update(fresh)
        if self.description.auto_commit and fresh:
            self._member.store(fresh)

    def _forget(self, gone: set[TopicPartition]) -> None:
        # Committing for a partition that another member owns would rewind it.
        for place in gone:
            self._handed_out.pop(place, None)
