"""One consumer instance: subscribe or assign, seek, read, commit, tick and close, under one mutex.

Not for finding instances or expiring them: that is `kafka.instances`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaException

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.formats import FORMATS
from kafka_rest.kafka.description import InstanceDescription, ReadLimits, Subscription, Target
from kafka_rest.kafka.failures import error_of, rest_error
from kafka_rest.kafka.membership import Membership, Offsets
from kafka_rest.kafka.metadata import legal_topic
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.kafka.positions import Stored
from kafka_rest.kafka.reader import Reader
from kafka_rest.kafka.reads import Line, Read, Reads, Take
from kafka_rest.kafka.subscribing import Subscriber
from kafka_rest.records import Clock, CommittedOffset, Deadline, TopicPartition

log = logging.getLogger(__name__)

LEAST_CLOSE_SECONDS = 0.1


class ConsumerInstance:
    """A consumer instance. Each call takes the mutex; `lock_by` bounds the wait for it.

    A read that waits does not hold it, so that all other calls go on beside it.
    """

    def __init__(
        self,
        description: InstanceDescription,
        config: dict[str, Any],
        draining: threading.Event,
        reads: Reads,
        make: Callable[[dict[str, Any]], Consumer] = Consumer,
        clock: Clock = time.monotonic,
    ) -> None:
        self.description = description
        self.last_used = clock()
        self.needs_schemas = FORMATS[description.embedded_format].schema_type is not None
        self._clock, self._draining, self._reads = clock, draining, reads
        self._about = f"consumer {description.name} of group {description.group}"
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._closer: threading.Thread | None = None
        self._only_joined = False
        self._line = Line(reads)
        self._attempt_due = False
        self._handed_out: Offsets = {}
        config = {**config, **description.kafka_config}
        self._member = Membership(config, self._about, self._forget, make, clock)
        self._subscriber = Subscriber(self._member, self._about)
        self._reader = Reader(
            self._line, self._member, self._subscriber, self._hand_out, self._about
        )
        self._client_id = str(config.get("client.id", "rdkafka"))
        self._detach = reads.attach(self, self._member.consumer, self._client_id)

    @property
    def subscription(self) -> Subscription:
        """What the instance reads."""
        return self._subscriber.now

    @property
    def owned(self) -> list[TopicPartition]:
        """The partitions assigned by hand or by the group, sorted; empty while the group forms."""
        return sorted(self._member.owned)

    @property
    def busy(self) -> bool:
        """True while a call holds the instance, or a read waits."""
        return self._mutex.locked() or self.waited_for

    @property
    def waited_for(self) -> bool:
        """True while reads wait."""
        return bool(self._line)

    def subscribe_once(self, topics: tuple[str, ...], lock_by: Deadline) -> None:
        """Start joining the group for these topics; does not wait for the assignment.

        Raises: AlreadySubscribed where the instance reads anything else (v1: one topic for life).
        """
        with self._held(lock_by):
            self._subscriber.subscribe_once(Subscription(topics))

    def subscribe(self, topics: tuple[str, ...], lock_by: Deadline) -> None:
        """Read these topics in place of those before; none is the end of any subscription.

        Raises: IllegalState where partitions or a pattern are read.
        """
        with self._held(lock_by):
            if not topics:
                self._subscriber.unsubscribe(lock_by)
                return
            self._subscriber.require_mode("topics")
            self._subscriber.subscribe(Subscription(topics))

    def subscribe_pattern(
        self, pattern: TopicPattern, existing: list[str], lock_by: Deadline
    ) -> None:
        """Read the topics that match, of those that exist and of those that come.

        Raises: IllegalState where partitions or given topics are read.
        """
        with self._held(lock_by):
            self._subscriber.require_mode("pattern")
            self._subscriber.subscribe(Subscription(pattern.matches(existing), pattern))

    def match(self, existing: list[str]) -> None:
        """Look again which topics the pattern matches; a read under way takes it up itself."""
        self._subscriber.match(existing)
        self.tick()

    def unsubscribe(self, lock_by: Deadline) -> None:
        """Read nothing any more, whatever was read before."""
        with self._held(lock_by):
            self._subscriber.unsubscribe(lock_by)

    def assign(self, places: set[TopicPartition], lock_by: Deadline) -> None:
        """Read these partitions, past the group; none is the end of any subscription.

        Raises: IllegalState where topics or a pattern are read, IllegalTopic.
        """
        with self._held(lock_by):
            if not places:
                self._subscriber.unsubscribe(lock_by)
                return
            self._subscriber.require_mode("manual")
            self._be_no_member()
            self._subscriber.assign(places, self._handed_out)

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
            offset = member.resolved(place, target, deadline)
            by_hand = self.subscription.by_hand
            member.seek(place, offset, by_hand, self._handed_out, deadline)
            self._handed_out[place] = offset
            if self.description.auto_commit:
                member.store({place: offset})

    def read(
        self, limits: ReadLimits, take: Take, done: Callable[[Exception | None], None]
    ) -> Read:
        """Begin to read records, and count what `take` takes of them as handed out.

        `done` is called once, now or by another thread, with the failure or None: as soon as there
        was data, or at the deadline. Reads are served in their order. Raises: IllegalState where
        the instance reads nothing, InstanceNotFound, TooManyRequests; then `done` is not called.
        """
        self._subscriber.require_any()
        read = Read(limits, take, done, self._line)
        self._line.add(read)
        self.attempt()
        return read

    def attempt(self) -> None:
        """End the reads that can be; waits neither for Kafka nor for another call.

        A call that holds the instance has it tried again when it ends.
        """
        self._attempt_due = True
        # Whoever comes here while another attempt is under way leaves it to that one.
        while self._attempt_due and self._line and self._mutex.acquire(blocking=False):
            self._attempt_due = False
            try:
                ended = self._end_reads()
            finally:
                self._mutex.release()
            for read in ended:
                read.tell()

    def commit(self, deadline: Deadline, wait: bool = True) -> Offsets:
        """Commit what has been handed out and still belongs to this instance; returns next offsets.

        Waits for the broker's word until the deadline, unless told not to. Raises: 50002/50003 when
        it does not come.
        """
        with self._held(deadline):
            wanted = dict(self._handed_out)
            offsets = {place: CommittedOffset(offset) for place, offset in wanted.items()}
            if offsets and wait:
                self._member.commit(offsets, deadline)
            elif offsets:
                self._member.commit_soon(offsets)
            return wanted

    def commit_offsets(self, offsets: Stored, deadline: Deadline) -> None:
        """Commit these next offsets, of any partitions. Raises: 50002/50003."""
        with self._held(deadline):
            if offsets:
                self._be_no_member()
                self._member.commit(offsets, deadline)

    def committed(self, places: list[TopicPartition], deadline: Deadline) -> Stored:
        """What the group has stored for partitions, whoever committed it; none: left out."""
        # Kafka is not asked for names that it cannot have: some it would not even answer.
        possible = [place for place in places if legal_topic(place.topic)]
        with self._held(deadline):
            return self._member.committed(possible, deadline) if possible else {}

    def tick(self) -> None:
        """Serve librdkafka while no client does: an idle instance must not block its group."""
        if self._line:
            # An attempt does that too; one now and then makes up for a word that was lost.
            self._reads.wake(self)
        elif self._mutex.acquire(blocking=False):
            try:
                if not self._stopping.is_set():
                    self._subscriber.follow_pattern()
                    self._member.serve(0)
            finally:
                self._release()

    def close(self, deadline: Deadline) -> bool:
        """Leave the group and free the client; reads end first, with what there is.

        False if it hangs. A join under way is left aside, and `wait_left` waits for it.
        """
        if not self.stop(deadline):
            return False
        if not self._only_joined:
            # Otherwise there is nothing to commit, and a join may take seconds to be left.
            self.wait_left(Deadline(max(deadline.left(), LEAST_CLOSE_SECONDS)))
        return self._only_joined or self.left

    def stop(self, deadline: Deadline) -> bool:
        """Begin to leave the group, aside; calls that wait and later ones find no instance.

        False where another call holds it until the deadline, or no thread can be started: to be
        tried again. Only the holder of the mutex may close: closing under another thread's poll
        hangs that thread.
        """
        self._stopping.set()
        if not self._mutex.acquire(timeout=deadline.left()):
            return False
        try:
            return self._closer is not None or self._begin_to_leave()
        finally:
            self._mutex.release()

    def wait_left(self, deadline: Deadline) -> bool:
        """Wait until what `close` has begun has ended; False where it has not by the deadline."""
        if self._closer is not None:
            self._closer.join(deadline.left())
        return self.left

    @property
    def left(self) -> bool:
        """True once the group has been left and the client is free."""
        return self._closer is not None and not self._closer.is_alive()

    def _begin_to_leave(self) -> bool:
        self._line.close()
        for read in self._end_reads():
            read.tell()
        self._detach()
        # Once only, also where this has to be tried again.
        self._detach = _nothing
        self._only_joined = self._member.grouped and not self._member.owned
        closer = threading.Thread(target=self._member.close, name="consumer-close", daemon=True)
        try:
            closer.start()
        except RuntimeError as failure:
            log.warning("%s cannot be closed yet reason=%s", self._about, failure)
            return False
        # Others join it without the mutex, and one that has not been started cannot be.
        self._closer = closer
        # It holds this as well, as what ended the wake-ups did: nothing for the collector.
        del self._reader
        return True

    def _be_no_member(self) -> None:
        """Let a group that has been left be one that this instance was never in."""
        if self._member.left and not self._member.grouped:
            close = self._member.renew()
            self._detach()
            self._detach = self._reads.attach(self, self._member.consumer, self._client_id)
            # Nobody waits for what it may have to finish.
            threading.Thread(target=close, name="consumer-close", daemon=True).start()

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
                self._release()

    def _release(self) -> None:
        self._mutex.release()
        if self._line:
            # What came meanwhile is theirs.
            self._reads.wake(self)

    def _end_reads(self) -> list[Read]:
        """Claim the reads that end by now; the others are tried again when the next is due."""
        ending = self._stopping.is_set() or self._draining.is_set()
        ended, next_due = self._reader.end(ending)
        if ended:
            self.last_used = self._clock()
        if next_due is not None:
            self._reads.arm(self, next_due)
        return ended

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


def _nothing() -> None:
    pass
