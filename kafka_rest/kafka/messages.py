"""librdkafka's messages: what a batch of them holds, column by column, and the log that it writes
to.

A column is read by one call for the whole batch: a call for each record and member is what a read
would spend most of its time on.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from kafka_rest.records import Headers, TopicPartition
from kafka_rest.settings.secrets import without_credentials

# Its lines are handed over when a client polls, on the thread that does so.
LIBRDKAFKA_LOG = logging.getLogger("librdkafka")


def _hide_credentials(record: logging.LogRecord) -> bool:
    """Cut credentials out of the URLs in a line: librdkafka writes out a token endpoint's."""
    record.msg, record.args = without_credentials(record.getMessage()), None
    return True


LIBRDKAFKA_LOG.addFilter(_hide_credentials)

BATCH_COUNT = 1000
BATCH_BYTES = 1_000_000
# In place of headers that cannot be read; known by its identity.
_UNREADABLE: Headers = []
# Typed as optional, since the messages that stand for errors have none of these.
_message = cast(Any, Message)


class UnreadableHeaders(Exception):
    """The headers of the record at `index` cannot be read: a name is not UTF-8."""

    def __init__(self, index: int) -> None:
        super().__init__("the name of a header is not UTF-8")
        self.index = index


class ConsumedRecords:
    """Records as they were read from Kafka, in order, a list for each member; None is Kafka's null.

    Made of messages that are no errors.
    """

    __slots__ = ("_messages", "keys", "offsets", "partitions", "topics", "values")

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self.topics: list[str] = list(map(_message.topic, messages))
        self.partitions: list[int] = list(map(_message.partition, messages))
        self.offsets: list[int] = list(map(_message.offset, messages))
        self.keys: list[bytes | None] = list(map(_message.key, messages))
        self.values: list[bytes | None] = list(map(_message.value, messages))

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def headers(self) -> list[Headers | None]:
        """The headers of each record. Raises: UnreadableHeaders."""
        found = list(map(_headers_of, self._messages))
        for index, headers in enumerate(found):
            if headers is _UNREADABLE:
                raise UnreadableHeaders(index)
        return found

    @property
    def timestamps(self) -> list[int | None]:
        """Milliseconds since the epoch, None for a record that has no time."""
        return [
            None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp
            for kind, timestamp in map(_message.timestamp, self._messages)
        ]

    def first(self, count: int) -> "ConsumedRecords":
        """The records before the one at index `count`."""
        return ConsumedRecords(self._messages[:count])

    def next_offsets(self, count: int) -> dict[TopicPartition, int]:
        """Where a reader that has consumed the first `count` records goes on."""
        places = zip(self.topics, self.partitions, strict=True)
        last = dict(zip(places, self.offsets[:count], strict=False))
        return {TopicPartition(*place): offset + 1 for place, offset in last.items()}

    def about(self, index: int) -> str:
        """One record in words, for an error."""
        place = TopicPartition(self.topics[index], self.partitions[index])
        return f"{place.about}, offset {self.offsets[index]}"


def batches(messages: list[Message]) -> Iterator[ConsumedRecords]:
    """The records of a long list, which is emptied meanwhile, so that nothing is held twice."""
    while messages:
        totals = list(accumulate(sizes_of(messages[:BATCH_COUNT])))
        count = bisect_left(totals[:-1], BATCH_BYTES) + 1
        batch = messages[:count]
        del messages[:count]
        yield ConsumedRecords(batch)


def sizes_of(messages: list[Message]) -> list[int]:
    """Bytes of key and value of each, the measure of `max_bytes`; null counts 0."""
    sizes = list(map(len, messages))
    keys: list[bytes | None] = list(map(_message.key, messages))
    if keys.count(None) == len(keys):
        return sizes
    return [size + len(key or b"") for size, key in zip(sizes, keys, strict=True)]


def _headers_of(message: Message) -> Headers | None:
    sure = cast(Any, message)
    try:
        headers: Headers | None = sure.headers()
    except SystemError:
        # The library keeps what it has made so far, half a list, and whoever looks at that next
        # ends the process.
        sure.set_headers(_UNREADABLE)
        return _UNREADABLE
    return headers


def place_of(message: Message) -> TopicPartition:
    """Where a record lies."""
    sure = cast(Any, message)
    return TopicPartition(sure.topic(), sure.partition())


def are_records(messages: list[Message]) -> bool:
    """True where none of the messages is an error."""
    return all(error is None for error in map(_message.error, messages))
