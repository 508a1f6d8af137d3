"""Looking up positions in partitions: ends of the log, offsets by time, what a group has stored.

Each call blocks until the deadline at the longest.
"""

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.failures import error_of, rest_error
from kafka_rest.records import CommittedOffset, Deadline, TopicPartition

LEAST_SECONDS = 0.01

Stored = dict[TopicPartition, CommittedOffset]


def bounds(
    consumer: Consumer, place: TopicPartition, deadline: Deadline, about: str
) -> tuple[int, int]:
    """The first offset of a partition and the one after its last. Raises: 404xx, 50002/50003."""
    try:
        found = consumer.get_watermark_offsets(
            KafkaTopicPartition(*place), timeout=_seconds(deadline)
        )
    except KafkaException as failure:
        raise rest_error(error_of(failure), about) from failure
    if found is None:
        raise because(errors.KafkaRetriable, f"no answer in time ({about})")
    return found


def offset_for_time(
    consumer: Consumer, place: TopicPartition, ms: int, deadline: Deadline
) -> int | None:
    """The offset of the first record at or after a time (milliseconds since the epoch).

    None where all are before it. Raises: 404xx, 50002/50003.
    """
    asked = [KafkaTopicPartition(*place, ms)]
    try:
        (found,) = consumer.offsets_for_times(asked, timeout=_seconds(deadline))
    except KafkaException as failure:
        raise rest_error(error_of(failure), place.about) from failure
    if found.error is not None:
        raise rest_error(found.error, place.about)
    return found.offset if found.offset >= 0 else None


def committed(consumer: Consumer, places: list[TopicPartition], deadline: Deadline) -> Stored:
    """What the consumer's group has stored; partitions without an offset are left out.

    Raises: KafkaException, TopicForbidden.
    """
    asked = [KafkaTopicPartition(*place) for place in places]
    found = consumer.committed(asked, timeout=_seconds(deadline))
    for p in found:
        if p.error is not None and p.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise rest_error(p.error, f"topic {p.topic}")
    return {
        TopicPartition(p.topic, p.partition): CommittedOffset(p.offset, p.metadata or "")
        for p in found
        if p.error is None and p.offset >= 0
    }


def _seconds(deadline: Deadline) -> float:
    # librdkafka takes 0 for "at once".
    return max(LEAST_SECONDS, deadline.left())
