"""The JSON shapes of v2 answers, where they are not v1's. Nulls are always written."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from kafka_rest import errors
from kafka_rest.api.response import encode
from kafka_rest.core.produce import ProduceResult
from kafka_rest.records import CommittedOffset, ConsumedRecord, Headers, TopicPartition

INCLUDABLE = ("headers", "timestamp")
"""Members of a record that are rendered on demand."""


def produced_status(result: ProduceResult) -> int:
    """The HTTP status of a produce call: 403 where a record was denied, else 200."""
    denied = errors.TopicForbidden
    codes = [report.error_code for report in result.reports]
    return denied().status if denied.error_code in codes else 200


def partitions(places: Iterable[TopicPartition]) -> Any:
    """A list of partitions."""
    return {"partitions": [{"topic": topic, "partition": number} for topic, number in places]}


def committed(stored: dict[TopicPartition, CommittedOffset]) -> Any:
    """Committed offsets."""
    return {
        "offsets": [
            {"topic": t, "partition": p, "offset": kept.offset, "metadata": kept.metadata}
            for (t, p), kept in stored.items()
        ]
    }


def record_shape(include: frozenset[str]) -> Callable[[ConsumedRecord, bytes, bytes], bytes]:
    """Renders a record, with the extra members that are to be included."""
    if not include:
        return record
    extras = [name for name in INCLUDABLE if name in include]

    def extended(found: ConsumedRecord, key: bytes, value: bytes) -> bytes:
        members = b"".join(_EXTRAS[name](found) for name in extras)
        return record(found, key, value)[:-1] + members + b"}"

    return extended


def record(found: ConsumedRecord, key: bytes, value: bytes) -> bytes:
    """One record with the JSON texts of its key and value."""
    # Topic names are letters, digits, dots, dashes and underscores: nothing to escape.
    return b'{"topic":"%b","key":%b,"value":%b,"partition":%d,"offset":%d}' % (
        found.topic.encode(),
        key,
        value,
        found.partition,
        found.offset,
    )


def _headers(headers: Headers | None) -> Any:
    return [
        {"name": name, "value": None if value is None else b64encode(value).decode()}
        for name, value in headers or ()
    ]


_EXTRAS: dict[str, Callable[[ConsumedRecord], bytes]] = {
    "headers": lambda found: b',"headers":' + encode(_headers(found.headers)),
    "timestamp": lambda found: b',"timestamp":' + encode(found.timestamp),
}
