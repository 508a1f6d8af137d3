"""The bodies of v2 requests as typed values; a mistake is a 422 that names the place."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from marshmallow import ValidationError, fields, pre_load

from kafka_rest.api.envelopes import (
    ConsumerOptions,
    ConsumerOptionsSchema,
    OptionalText,
    PartitionNumber,
    Text,
    decoded,
    guarded,
    text_of,
)
from kafka_rest.api.envelopes import consumer_options as shared_options
from kafka_rest.api.v2.timestamps import seek_milliseconds
from kafka_rest.errors import Unprocessable
from kafka_rest.kafka.description import Target
from kafka_rest.kafka.texts import uncut
from kafka_rest.records import CommittedOffset, TopicPartition

T = TypeVar("T")

# Offsets are stored as the next one to read: one more must still fit.
LastOffset = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 2)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# Set for librdkafka by other proxies; without it this proxy behaves as they do with it.
IGNORED_OPTIONS = frozenset({"topic.metadata.refresh.interval.ms"})
ALIASES = {
    "responseMinBytes": "fetch.min.bytes",
    "requestWaitMs": "consumer.request.timeout.ms",
    # As Kafka and some proxies name it.
    "enable.auto.commit": "auto.commit.enable",
}


@dataclass(frozen=True, slots=True)
class V2ConsumerOptions(ConsumerOptions):
    """What a v2 create call may say beyond v1."""

    fetch_min_bytes: int | None = None
    request_timeout_ms: int | None = None
    include: str | None = None


class _Integer(fields.Integer):
    """A whole number, as text too; a fraction is cut off (reference behaviour)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool):
            raise ValidationError("Not a whole number.")
        number = int(super()._deserialize(value, attr, data, **kwargs))
        if not -(2**31) <= number < 2**31:
            raise ValidationError("Not a 32-bit number.")
        return number


class _OptionsSchema(ConsumerOptionsSchema):
    made = V2ConsumerOptions

    fetch_min_bytes = _Integer(allow_none=True, data_key="fetch.min.bytes")
    request_timeout_ms = _Integer(allow_none=True, data_key="consumer.request.timeout.ms")
    include = Text(allow_none=True)

    @pre_load
    def _known(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """The options under their usual names, without those that mean nothing here."""
        return {ALIASES.get(k, k): v for k, v in data.items() if k not in IGNORED_OPTIONS}


_options = _OptionsSchema()


def consumer_options(body: bytes) -> V2ConsumerOptions:
    """The body of a create call. Raises: BadRequest, Unprocessable naming the fields."""
    found: V2ConsumerOptions = shared_options(body, _options)
    return found


class _Subscription(msgspec.Struct, forbid_unknown_fields=True):
    topics: list[OptionalText] | None = None
    topic_pattern: OptionalText = None


def subscription(body: bytes) -> tuple[tuple[str, ...] | None, str | None]:
    """Topics and pattern of a subscription call, each None where it is not given."""
    found = present(msgspec.json.Decoder(_Subscription, strict=False), body)
    if found.topics is None:
        return None, text_of(found.topic_pattern)
    topics = [_topic(topic, f"topics[{n}]") for n, topic in enumerate(found.topics)]
    return tuple(dict.fromkeys(topics)), None


class _Place(msgspec.Struct, forbid_unknown_fields=True):
    topic: str | int | float | bool
    partition: PartitionNumber


class _Places(msgspec.Struct, forbid_unknown_fields=True):
    partitions: list[_Place]


_places = msgspec.json.Decoder(_Places, strict=False)


def partitions(body: bytes) -> list[TopicPartition]:
    """The partitions of a body, each once."""
    listed = present(_places, body).partitions
    return list(
        dict.fromkeys(
            TopicPartition(_topic(p.topic, f"partitions[{n}].topic"), p.partition)
            for n, p in enumerate(listed)
        )
    )


class _Position(_Place, forbid_unknown_fields=True):
    offset: Offset
    metadata: OptionalText = None


class _Instant(_Place, forbid_unknown_fields=True):
    timestamp: str | int | float
    metadata: OptionalText = None


class _Positions(msgspec.Struct, forbid_unknown_fields=True):
    offsets: list[_Position] | None = None
    timestamps: list[_Instant] | None = None


_positions = msgspec.json.Decoder(_Positions, strict=False)


def positions(body: bytes) -> list[tuple[TopicPartition, Target]]:
    """Where a seek call goes, in its order: offsets first, then timestamps."""
    found = present(_positions, body)
    targets = [
        (_place(p, f"offsets[{n}]"), Target(offset=p.offset))
        for n, p in enumerate(found.offsets or ())
    ]
    for n, instant in enumerate(found.timestamps or ()):
        where = f"timestamps[{n}]"
        ms = seek_milliseconds(instant.timestamp, f"{where}.timestamp")
        targets.append((_place(instant, where), Target(time_ms=ms)))
    return targets


class _Committed(_Place, forbid_unknown_fields=True):
    offset: LastOffset
    metadata: OptionalText = None


class _Commit(msgspec.Struct, forbid_unknown_fields=True):
    offsets: list[_Committed]


_commit = msgspec.json.Decoder(_Commit, strict=False)


def commit(body: bytes) -> dict[TopicPartition, CommittedOffset] | None:
    """The next offsets that a commit call stores: one more than those given; None without a body.

    The last of several for one partition counts.
    """
    if absent(body):
        return None
    return {
        _place(p, f"offsets[{n}]"): CommittedOffset(
            p.offset + 1, uncut(text_of(p.metadata) or "", f"offsets[{n}].metadata")
        )
        for n, p in enumerate(decoded(_commit, body).offsets)
    }


def absent(body: bytes) -> bool:
    """True for an empty body and for null."""
    return body.strip() in (b"", b"null")


def present(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """A body that must be there, as its envelope. Raises: Unprocessable, BadRequest."""
    if absent(body):
        raise Unprocessable("The body must not be null (was null).")
    found: T = guarded(decoder.decode, body)
    return found


def _place(found: _Place, where: str) -> TopicPartition:
    return TopicPartition(_topic(found.topic, f"{where}.topic"), found.partition)


def _topic(value: OptionalText, where: str) -> str:
    topic = text_of(value)
    if topic is None or not topic.strip():
        raise Unprocessable(f"{where}: a topic must have a name.")
    return topic
