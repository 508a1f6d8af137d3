"""One librdkafka consumer as a member of its group: the events, errors and records of its queue.

Nothing that has come out of the queue is lost: a record that nobody takes yet is carried, an error
that stays is kept for the next reader. Not thread-safe: `kafka.consumers` holds its mutex around
every call.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest.errors import KafkaFailure, RestError, because
from kafka_rest.kafka import positions
from kafka_rest.kafka.denials import Denials
from kafka_rest.kafka.description import Target
from kafka_rest.kafka.failures import BROKER_TROUBLE, NO_DATA_YET, error_of, rest_error
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG, are_records, place_of
from kafka_rest.kafka.positions import Stored
from kafka_rest.kafka.trouble import BrokerTrouble
from kafka_rest.records import Clock, Deadline, TopicPartition

log = logging.getLogger(__name__)

# consume(n, t) does not return before 200 ms even when a record arrives earlier, poll(t) does if t
# is shorter.
POLL_SLICE_SECONDS = 0.1
DRAIN_COUNT = 1000
IDLE_CARRY_COUNT = 100
# The join that a group leaves before it has ended may be held up by the broker, for 3 s by default.
LEAVE_SECONDS = 10.0
# How long no word of a join has to come for there to be none; before a client is freed, to be sure.
LEAVE_SLICE_SECONDS = 0.01
CALM_SLICES, SURE_SLICES = 25, 300

Offsets = dict[TopicPartition, int]


class Membership:
    """A member of a group. `revoked` is told which partitions it has lost."""

    def __init__(
        self,
        config: dict[str, Any],
        about: str,
        revoked: Callable[[set[TopicPartition]], None],
        make: Callable[[dict[str, Any]], Consumer] = Consumer,
        clock: Clock = time.monotonic,
    ) -> None:
        self._about, self._revoked, self._make = about, revoked, make
        # By the newer protocol a member names itself, and leaves at once.
        self._classic = config.get("group.protocol", "classic") == "classic"
        # The messages of records that nobody has taken yet.
        self.carried: list[Message] = []
        self.owned: set[TopicPartition] = set()
        # Waiting for an assignment ends with `unsubscribe`, being in the group when it is left.
        self.assigned = self.joining = self.grouped = False
        # Some partitions are; all those of the assignment are.
        self._paused = self._all_paused = False
        self._starts: Offsets = {}
        self._trouble, self._denials = BrokerTrouble("consumer", clock), Denials()
        self._failure: RestError | None = None
        self._answer: tuple[KafkaError | None, Offsets] | None = None
        self._config = {
            **config,
            "error_cb": self._trouble.take,
            "on_commit": self._on_commit,
            "logger": LIBRDKAFKA_LOG,
        }
        # The client may have been in its group, and has left it.
        self.left = False
        self._consumer = make(self._config)

    @property
    def consumer(self) -> Consumer:
        """The client, to be told what it has got, not to be called."""
        return self._consumer

    def renew(self) -> Callable[[], None]:
        """Go on with another client. One that has left its group commits as the member that it was,
        which the broker refuses.

        Returns what closes the one before, which may take as long as what it has under way. Raises:
        KafkaException, with nothing changed.
        """
        before, self._consumer = self._consumer, self._make(self._config)
        self.left = False
        return before.close

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Start joining the group for these topics; the assignment comes while polling."""
        wanted = set(topics)
        self.joining = self.grouped = True
        self.carried = [record for record in self.carried if record.topic() in wanted]
        self._denials.keep(wanted)
        self._consumer.subscribe(
            list(topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def unsubscribe(self, deadline: Deadline) -> bool:
        """Leave the group, or give up what was assigned by hand; blocks until that is done.

        False where the group is still joining at the deadline: what it decides may still come.
        """
        if self.grouped:
            self._leave(deadline, CALM_SLICES)
        elif self.owned:
            self._take_by_hand({})
        self.joining = False
        self._let_go(set(self.owned))
        self.assigned = self._paused = self._all_paused = False
        self.carried.clear()
        self._denials.keep(set())
        return not self.grouped

    def assign(self, places: set[TopicPartition], handed_out: Offsets) -> None:
        """Take these partitions by hand; those owned already go on behind what was handed out."""
        self._take_by_hand({place: self._next(place, handed_out) for place in places})

    def seek(
        self,
        place: TopicPartition,
        offset: int,
        by_hand: bool,
        handed_out: Offsets,
        deadline: Deadline,
    ) -> None:
        """Read an owned partition from an offset on; blocks until librdkafka lets it be moved.

        By hand all others go on behind what was handed out of them.
        """
        self._drop({place})
        target = KafkaTopicPartition(*place, offset)
        if by_hand:
            # A seek is refused until fetching has begun; this never is.
            others = {p: self._next(p, handed_out) for p in self.owned}
            self._take_by_hand(others | {place: offset})
            return
        while True:
            try:
                self._consumer.seek(target)
                return
            except KafkaException as failure:
                error = error_of(failure)
                if error.code() != KafkaError._STATE or deadline.expired:
                    raise rest_error(error, self._about) from failure
            self.serve(deadline.left())
            self._drop({place})

    def resolved(self, place: TopicPartition, target: Target, deadline: Deadline) -> int:
        """The offset that a target stands for at this moment."""
        if target.offset is not None:
            return target.offset
        if target.time_ms is not None:
            found = positions.offset_for_time(self._consumer, place, target.time_ms, deadline)
            if found is not None:
                return found
        low, high = positions.bounds(self._consumer, place, deadline, place.about)
        return low if target.beginning else high

    def committed(self, places: list[TopicPartition], deadline: Deadline) -> Stored:
        """What the group has stored for these partitions; those without an offset are left out."""
        try:
            return positions.committed(self._consumer, places, deadline)
        except KafkaException as failure:
            raise rest_error(error_of(failure), self._about, self._trouble.last) from failure

    def poll(self, timeout: float) -> None:
        """Serve the queue once, for a slice at the longest; what record comes is carried."""
        self._take(self._consumer.poll(min(timeout, POLL_SLICE_SECONDS)))

    def drain(self) -> bool:
        """Carry what is there at once, and serve events. False where no message was there."""
        messages = self._consumer.consume(DRAIN_COUNT, 0)
        if messages and are_records(messages):
            self._trouble.over()
            self.carried += messages
        else:
            for message in messages:
                self._take(message)
        return bool(messages)

    def serve(self, timeout: float) -> None:
        """Serve the queue for its events; a flood of records, which would hide them, is paused."""
        self.poll(timeout)
        if len(self.carried) >= IDLE_CARRY_COUNT and not self._all_paused:
            self._paused = self._all_paused = True
            self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Let records come again after `serve` has paused them."""
        if self._paused:
            self._paused = self._all_paused = False
            self._consumer.resume(self._consumer.assignment())

    def put_back(self, records: list[Message]) -> None:
        """Carry records again, before all others, as far as their partitions are still owned."""
        self.carried[:0] = [record for record in records if place_of(record) in self.owned]

    @property
    def failed(self) -> bool:
        """True while an error that stays waits to be raised."""
        return self._failure is not None

    @property
    def refused(self) -> bool:
        """True while there is no joining the group: it may not, or Kafka refuses the client."""
        return self._denials.of_group or self._trouble.refusal is not None

    def raise_failure(self) -> None:
        """Raise what Kafka has reported for good (once), what is denied, or the last trouble."""
        failure, self._failure = self._failure, None
        failure = failure or self._denials.standing(self._consumer, self.owned)
        if failure is None and self._trouble.last is not None:
            failure = rest_error(self._trouble.last, self._about)
        if failure is not None:
            raise failure

    def store(self, offsets: Offsets) -> None:
        """Note offsets for the automatic commit."""
        try:
            self._consumer.store_offsets(offsets=_kafka_offsets(offsets))
        except KafkaException as failure:
            # The partition has just been taken away; its next owner reads from the last commit.
            log.info("offsets not stored %s reason=%s", self._about, error_of(failure).str())

    def commit(self, offsets: Stored, deadline: Deadline) -> None:
        """Commit offsets and wait for the answer. Raises: 50002/50003, and at the deadline.

        An asynchronous call whose answer is awaited: the synchronous one has no time-out.
        """
        self._answer = None
        try:
            self.commit_soon(offsets)
            self._await_answer({place: kept.offset for place, kept in offsets.items()}, deadline)
        except KafkaException as failure:
            error = error_of(failure)
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and self._denials.of_group:
                # As the reference has it: no member, no commit; its reads say 403.
                cause = f"no member of the group, which may not be joined ({self._about})"
                raise because(KafkaFailure, cause) from failure
            raise rest_error(error, self._about, self._trouble.last) from failure

    def commit_soon(self, offsets: Stored) -> None:
        """Commit offsets without waiting; a failure is logged by librdkafka alone."""
        self._consumer.commit(
            offsets=[
                KafkaTopicPartition(*place, kept.offset, kept.metadata)
                for place, kept in offsets.items()
            ],
            asynchronous=True,
        )

    def close(self) -> None:
        """Leave the group and free the client; may block as long as the broker lets it.

        No call may follow.
        """
        try:
            if self.grouped:
                self._leave(Deadline(LEAVE_SECONDS), SURE_SLICES)
            self.carried.clear()
            self._consumer.close()
        except (KafkaException, RuntimeError) as failure:
            log.warning("consumer did not close cleanly %s reason=%s", self._about, failure)
        # Each holds this, by its callbacks and as their target: nothing is left to the collector.
        del self._consumer, self._make, self._config, self._revoked

    def _leave(self, deadline: Deadline, calm_slices: int) -> None:
        """Leave the group and serve all that it decides before it has been left.

        librdkafka puts the leave off until a join under way has ended, and tells that join's
        assignment. Served later, it would take the place of partitions by hand; served while the
        client closes, it makes librdkafka wait for ever, with Python's lock held. The member id
        goes when the group is left; a first join has none until the coordinator answers.
        """
        self._consumer.unsubscribe()
        known, calm = bool(self.owned), 0
        while not deadline.expired:
            member = self._classic and bool(self._consumer.memberid())
            self.carried.clear()
            self.drain()
            if member or self.owned:
                known = True
            elif known or calm >= calm_slices:
                self.grouped = False
                self.left |= known or not self._classic
                return
            self.poll(min(deadline.left(), LEAVE_SLICE_SECONDS))
            calm += 1

    def _await_answer(self, offsets: Offsets, deadline: Deadline) -> None:
        while not deadline.expired:
            self.serve(deadline.left())
            # The automatic commit is answered through the same callback: ours has our offsets.
            if self._answer is not None and self._answer[1] == offsets:
                error = self._answer[0]
                if error is not None and error.code() != KafkaError._NO_OFFSET:
                    raise KafkaException(error)
                self._trouble.over()
                return
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "No answer to the commit in time"))

    def _take(self, message: Message | None) -> None:
        """Take a message; errors arrive as messages too."""
        if message is None:
            return
        error = message.error()
        if error is None:
            self._trouble.over()
            self.carried.append(message)
        elif error.code() in BROKER_TROUBLE:
            self._trouble.take(error)
        elif error.code() not in NO_DATA_YET:
            topic = message.topic()
            about = f"topic {topic}, {self._about}" if topic else self._about
            self._failure = rest_error(error, about)
            self._denials.take(error, topic, about)

    # librdkafka calls these on the thread that polls.

    def _on_assign(self, _consumer: Consumer, partitions: list[KafkaTopicPartition]) -> None:
        # Incremental or not, what is new comes here and what is gone went through `_on_revoke`.
        self.owned.update(TopicPartition(p.topic, p.partition) for p in partitions)
        self.assigned = True
        self._denials.joined()
        self._trouble.over()
        # What was kept stays paused, what is new is not.
        self._all_paused = False
        log.info("partitions assigned %s count=%d", self._about, len(partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[KafkaTopicPartition]) -> None:
        if self._paused:
            # A pause outlives the assignment: a partition that came back would stay silent.
            consumer.resume(partitions)
        self._let_go({TopicPartition(p.topic, p.partition) for p in partitions})
        log.info("partitions revoked %s count=%d", self._about, len(partitions))

    def _take_by_hand(self, starts: Offsets) -> None:
        """Own exactly these partitions, each from its offset on."""
        # A pause outlives the assignment: they would stay silent.
        self.resume()
        assignment = [KafkaTopicPartition(*place, offset) for place, offset in starts.items()]
        try:
            self._consumer.assign(assignment)
        except KafkaException as failure:
            if error_of(failure).code() != KafkaError._STATE:
                raise rest_error(error_of(failure), self._about) from failure
            # One that has been in a group with a cooperative protocol takes changes alone.
            if before := self._consumer.assignment():
                self._consumer.incremental_unassign(before)
            if assignment:
                self._consumer.incremental_assign(assignment)
        self._let_go(self.owned - starts.keys())
        self._denials.keep({place.topic for place in starts})
        self.owned = set(starts)
        self._starts = starts
        self.assigned, self._paused, self._all_paused = True, False, False

    def _next(self, place: TopicPartition, handed_out: Offsets) -> int:
        """Where reading an owned partition goes on; for another one, as the group has stored it.

        Not what librdkafka says: just after an assignment it still has the position before it.
        """
        if place not in self.owned:
            return OFFSET_STORED
        return handed_out.get(place, self._starts.get(place, OFFSET_STORED))

    def _let_go(self, gone: set[TopicPartition]) -> None:
        self.owned -= gone
        self._drop(gone)
        self._revoked(gone)

    def _drop(self, gone: set[TopicPartition]) -> None:
        self.carried = [record for record in self.carried if place_of(record) not in gone]

    def _on_commit(
        self, error: KafkaError | None, partitions: list[KafkaTopicPartition] | None
    ) -> None:
        answered = partitions or []
        refused = error or next((p.error for p in answered if p.error is not None), None)
        self._answer = refused, {TopicPartition(p.topic, p.partition): p.offset for p in answered}


def _kafka_offsets(offsets: Offsets) -> list[KafkaTopicPartition]:
    return [KafkaTopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
