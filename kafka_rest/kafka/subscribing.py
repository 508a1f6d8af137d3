"""What one instance reads, and that librdkafka reads the same: topics, a pattern or partitions, of
which one excludes the others.

Not thread-safe, but for `match`: `kafka.consumers` holds its mutex around every call.
"""

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.description import NOTHING, Subscription
from kafka_rest.kafka.membership import Membership, Offsets
from kafka_rest.kafka.metadata import legal_topic
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.records import Deadline, TopicPartition

LEAVE_NOTHING_SECONDS = 0.1
LONGEST_LIST = 300


class Subscriber:
    """The subscription of an instance; `now` is what it reads."""

    def __init__(self, member: Membership, about: str) -> None:
        self._member, self._about = member, about
        self.now = NOTHING
        self._matched: tuple[TopicPattern, tuple[str, ...]] | None = None
        self._impossible: list[str] = []

    def require_mode(self, mode: str) -> None:
        """Raises: IllegalState where the instance reads by another mode."""
        if self.now.mode not in ("none", mode):
            raise because(
                errors.IllegalState,
                "Subscription to topics, partitions and pattern are mutually exclusive "
                f"(this instance reads by {self.now.mode})",
            )

    def require_any(self) -> None:
        """Raises: IllegalState where the instance reads nothing."""
        if self.now == NOTHING:
            raise because(
                errors.IllegalState,
                "Consumer is not subscribed to any topics or assigned any partitions",
            )

    def require_possible(self) -> None:
        """Raises: IllegalTopic, once, where names were subscribed to that no topic can have."""
        if self._impossible:
            names, self._impossible = self._impossible, []
            raise _invalid(names)

    def subscribe_once(self, wanted: Subscription) -> None:
        """Subscribe to this and to nothing else ever. Raises: AlreadySubscribed."""
        if self.now not in (NOTHING, wanted):
            raise errors.AlreadySubscribed
        if self.now == NOTHING:
            self.subscribe(wanted)

    def subscribe(self, wanted: Subscription) -> None:
        """Start joining the group for the topics."""
        self.now = wanted
        self._matched = None
        # librdkafka says nothing of names that no topic can have; the next read does, once.
        self._impossible = [topic for topic in wanted.topics if not legal_topic(topic)]
        possible = tuple(topic for topic in wanted.topics if legal_topic(topic))
        if possible:
            self._member.subscribe(possible)
        else:
            self._member.unsubscribe(Deadline(LEAVE_NOTHING_SECONDS))

    def assign(self, places: set[TopicPartition], handed_out: Offsets) -> None:
        """Take the partitions by hand. Raises: IllegalTopic, with nothing changed."""
        # librdkafka takes them all, and dies of a name beyond 512 bytes.
        if impossible := sorted({p.topic for p in places if not legal_topic(p.topic)}):
            raise _invalid(impossible)
        self._member.assign(places, handed_out)
        self.now = Subscription(by_hand=True)

    def unsubscribe(self, deadline: Deadline) -> None:
        """Read nothing. Raises: KafkaRetriable where a join has not ended by the deadline."""
        if not self._member.unsubscribe(deadline):
            raise because(errors.KafkaRetriable, f"{self._about} is still joining its group.")
        self.now = NOTHING
        self._matched = None

    def match(self, existing: list[str]) -> None:
        """Look again which topics the pattern matches; `follow_pattern` takes it up."""
        pattern = self.now.pattern
        if pattern is not None:
            self._matched = (pattern, pattern.matches(existing))

    def follow_pattern(self) -> None:
        """Subscribe to what the pattern matches now, if that has changed."""
        matched, self._matched = self._matched, None
        if matched is None:
            return
        pattern, topics = matched
        # What was found for a pattern that is read no more may come late, since no lock is held.
        if self.now.pattern is pattern and topics != self.now.topics:
            self.subscribe(Subscription(topics, pattern))


def _invalid(names: list[str]) -> errors.RestError:
    return because(errors.IllegalTopic, f"Invalid topics: {names}"[:LONGEST_LIST])
