"""What an instance may not read: librdkafka tells a denied topic once, every read has to say it."""

from typing import Any

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as KafkaTopicPartition

from kafka_rest.errors import RestError
from kafka_rest.kafka.failures import rest_error
from kafka_rest.records import TopicPartition

_GROUP = ""


class Denials:
    """The rights that one consumer lacks, until Kafka shows that it has them by now."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[KafkaError, str]] = {}

    def take(self, error: KafkaError, topic: str | None, about: str) -> None:
        """Note an error, if it is one of rights; `about` names what it is about."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            self._of[_GROUP] = (error, about)
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and topic:
            self._of[topic] = (error, about)

    @property
    def of_group(self) -> bool:
        """True while the group may not be joined."""
        return _GROUP in self._of

    def joined(self) -> None:
        """Note that the group has been joined."""
        self._of.pop(_GROUP, None)

    def keep(self, topics: set[str]) -> None:
        """Forget the group, and all topics but these."""
        self._of = {topic: denied for topic, denied in self._of.items() if topic in topics}

    def standing(self, consumer: Consumer, owned: set[TopicPartition]) -> RestError | None:
        """What is still denied, if anything. Asks nobody: fetches set what librdkafka knows."""
        for place in owned:
            if place.topic in self._of and _is_fetched(consumer, place):
                del self._of[place.topic]
        for error, about in self._of.values():
            return rest_error(error, about)
        return None


def _is_fetched(consumer: Any, place: TopicPartition) -> bool:
    # The end of the log as of the last fetch; a denied one brings none.
    known = consumer.get_watermark_offsets(KafkaTopicPartition(*place), cached=True)
    return known is not None and known[1] >= 0
