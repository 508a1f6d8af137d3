"""The JSON shapes of v2 answers, where they are not v1's. Nulls are always written."""

import operator
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from kafka_rest import errors
from kafka_rest.api.response import encode, numbers, rows
from kafka_rest.core.produce import ProduceResult
from kafka_rest.core.rendering import Render
from kafka_rest.kafka.messages import ConsumedRecords
from kafka_rest.records import CommittedOffset, Headers, TopicPartition

_REFUSED = {
    kind.error_code: kind().status for kind in (errors.AuthenticationFailed, errors.TopicForbidden)
}
_error_code = operator.attrgetter("error_code")
INCLUDABLE = ("headers", "timestamp")
"""Members of a record that are rendered on demand."""


def produced_status(result: ProduceResult) -> int:
    """The HTTP status of a produce call: that of its first refused record, else 200."""
    if not any(map(_error_code, result.reports)):
        return 200
    refused = (_REFUSED[r.error_code] for r in result.reports if r.error_code in _REFUSED)
    return next(refused, 200)


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


def records_shape(include: frozenset[str]) -> Render:
    """Renders records, with the extra members that are to be included."""
    if not include:
        return records
    extras = [name for name in INCLUDABLE if name in include]

    def extended(found: ConsumedRecords, keys: list[bytes], values: list[bytes]) -> bytes:
        members: list[bytes | list[bytes]] = []
        for name in extras:
            members += b',"%b":' % name.encode(), _EXTRAS[name](found)
        return rows(len(values), *_members(found, keys, values), *members, b"},")

    return extended


def records(found: ConsumedRecords, keys: list[bytes], values: list[bytes]) -> bytes:
    """Records with the JSON texts of their keys and values, a comma behind each."""
    return rows(len(values), *_members(found, keys, values), b"},")


def _members(
    found: ConsumedRecords, keys: list[bytes], values: list[bytes]
) -> tuple[bytes | list[bytes], ...]:
    topics = found.topics
    of_one = topics.count(topics[0]) == len(topics)
    # Topic names are letters, digits, dots, dashes and underscores: nothing to escape.
    names = topics[0].encode() if of_one else [topic.encode() for topic in topics]
    return (
        *(b'{"topic":"', names, b'","key":', keys),
        *(b',"value":', values, b',"partition":', numbers(found.partitions)),
        *(b',"offset":', numbers(found.offsets)),
    )


def _headers(headers: Headers | None) -> Any:
    return [
        {"name": name, "value": None if value is None else b64encode(value).decode()}
        for name, value in headers or ()
    ]


_EXTRAS: dict[str, Callable[[ConsumedRecords], list[bytes]]] = {
    "headers": lambda found: [encode(_headers(headers)) for headers in found.headers],
    "timestamp": lambda found: numbers(found.timestamps),
}
