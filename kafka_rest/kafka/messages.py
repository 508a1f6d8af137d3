"""librdkafka's messages as records, and the log that it writes to."""

import logging
from typing import Any, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from kafka_rest.records import ConsumedRecord

# Its lines are handed over when a client polls, on the thread that does so.
LIBRDKAFKA_LOG = logging.getLogger("librdkafka")


def record_of(message: Message) -> ConsumedRecord:
    """The record in a message that is no error."""
    # Typed as optional, since the messages that stand for errors have none of these.
    sure = cast(Any, message)
    kind, timestamp = sure.timestamp()
    return ConsumedRecord(
        sure.topic(),
        sure.partition(),
        sure.offset(),
        sure.key(),
        sure.value(),
        sure.headers(),
        None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
    )
