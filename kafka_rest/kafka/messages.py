"""librdkafka's messages as records."""

from typing import Any, cast

from confluent_kafka import Message

from kafka_rest.records import ConsumedRecord


def record_of(message: Message) -> ConsumedRecord:
    """The record in a message that is no error."""
    # Typed as optional, since the messages that stand for errors have none of these.
    sure = cast(Any, message)
    return ConsumedRecord(sure.topic(), sure.partition(), sure.offset(), sure.key(), sure.value())
