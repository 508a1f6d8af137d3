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
    Placed,
    ProduceBody,
    ProduceEnvelope,
    SchemaId,
    Text,
    decoded,
    guarded,
    json_object,
    produce_body,
    required,
    text_of,
    violations,
)
from kafka_rest.api.request import Call
from kafka_rest.api.v2.shapes import INCLUDABLE
from kafka_rest.api.v2.timestamps import record_milliseconds, seek_milliseconds
from kafka_rest.core.produce import JsonRecords, SchemaChoice
from kafka_rest.errors import SerializationFailed, Unprocessable, WrongType, because
from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError
from kafka_rest.kafka.consumers import Target
from kafka_rest.records import CommittedOffset, Headers, SchemaReference, TopicPartition

T = TypeVar("T")

# Offsets are stored as the next one to read: one more must still fit.
LastOffset = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 2)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# Set for librdkafka by other proxies; without it this proxy behaves as they do with it.
IGNORED_OPTIONS = frozenset({"topic.metadata.refresh.interval.ms"})
ALIASES = {"responseMinBytes": "fetch.min.bytes", "requestWaitMs": "consumer.request.timeout.ms"}


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Record(Placed, forbid_unknown_fields=True):
    """A record that may have what v1's have not."""

    headers: list[_Header] | None = None
    timestamp: int | str | None = None


class _Reference(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    subject: str
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Produce(ProduceEnvelope, forbid_unknown_fields=True):
    # A fraction is no id of any schema, but no wrong type either (reference behaviour).
    key_schema_id: SchemaId | float | None = None  # type: ignore[assignment]
    value_schema_id: SchemaId | float | None = None  # type: ignore[assignment]
    key_schema_references: list[_Reference] | None = None
    value_schema_references: list[_Reference] | None = None
    records: list[_Record] | None = None


_produce = msgspec.json.Decoder(_Produce, strict=False)


def produce_records(body: bytes, include: frozenset[str]) -> ProduceBody:
    """The body of a produce call, whose records may have the members to include beside their own.

    Raises: BadRequest, Unprocessable with the field's path.
    """
    envelope = _present(_produce, body)
    records = required(envelope.records)
    for index, record in enumerate(records):
        for name in INCLUDABLE:
            if name not in include and getattr(record, name) is not None:
                raise Unprocessable(
                    f"Unrecognized field: {name} (in records[{index}]); the query parameter "
                    f"include={name} lets a request have it."
                )
    made = produce_body(envelope, records, [record.partition for record in records])
    return ProduceBody(
        _extended(made.records, records),
        _with_references("key", made.key_schema, envelope.key_schema_references),
        _with_references("value", made.value_schema, envelope.value_schema_references),
    )


def _with_references(
    side: str, choice: SchemaChoice, references: list[_Reference] | None
) -> SchemaChoice:
    if isinstance(choice.schema_id, float):
        raise because(SerializationFailed, f"{side}_schema_id: no schema has a fraction for an id.")
    if choice.text is not None and choice.schema_id is not None:
        raise Unprocessable(f"{side}_schema: give either it or {side}_schema_id, not both.")
    if not references:
        return choice
    if choice.text is None:
        raise Unprocessable(f"{side}_schema_references: they go with {side}_schema.")
    return choice._replace(
        references=tuple(SchemaReference(r.name, r.subject, r.version) for r in references)
    )


def _extended(columns: JsonRecords, records: list[_Record]) -> JsonRecords:
    """The columns with headers and timestamps, where any record has some."""
    if any(record.headers is not None for record in records):
        columns = columns._replace(headers=[_headers(r.headers, n) for n, r in enumerate(records)])
    if any(record.timestamp is not None for record in records):
        columns = columns._replace(
            timestamps=[
                None if r.timestamp is None else record_milliseconds(r.timestamp, n)
                for n, r in enumerate(records)
            ]
        )
    return columns


def _headers(headers: list[_Header] | None, index: int) -> Headers | None:
    if headers is None:
        return None
    encode = FORMATS["binary"].encoder(None).encode
    found: Headers = []
    for number, header in enumerate(headers):
        text = bytes(header.value)
        try:
            found.append((header.name, None if text == b"null" else encode(text)))
        except ConversionError as error:
            raise Unprocessable(
                f"records[{index}].headers[{number}].value: it must be base64: {error}."
            ) from error
    return found


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
    value = json_object(body)
    try:
        found: V2ConsumerOptions = _options.load(value)
    except ValidationError as error:
        unknown = any(texts == ["Unknown field."] for texts in error.messages_dict.values())
        raise (Unprocessable if unknown else WrongType)(violations(error)) from error
    return found


class _Subscription(msgspec.Struct, forbid_unknown_fields=True):
    topics: list[OptionalText] | None = None
    topic_pattern: OptionalText = None


def subscription(body: bytes) -> tuple[tuple[str, ...] | None, str | None]:
    """Topics and pattern of a subscription call, each None where it is not given."""
    found = _present(msgspec.json.Decoder(_Subscription, strict=False), body)
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
    listed = _present(_places, body).partitions
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
    found = _present(_positions, body)
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
        _place(p, f"offsets[{n}]"): CommittedOffset(p.offset + 1, text_of(p.metadata) or "")
        for n, p in enumerate(decoded(_commit, body).offsets)
    }


def absent(body: bytes) -> bool:
    """True for an empty body and for null."""
    return body.strip() in (b"", b"null")


def _present(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
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


def included(call: Call) -> frozenset[str]:
    """What the query parameter `include` names. Raises: Unprocessable."""
    return includable(call.query_text("include"), "the query parameter include")


def includable(listed: str, place: str) -> frozenset[str]:
    """The extra members of records, from a list with commas. Raises: Unprocessable."""
    names = frozenset(name.strip() for name in listed.split(",") if name.strip())
    unknown = names.difference(INCLUDABLE)
    if unknown:
        raise Unprocessable(
            f"{place}: valid are {', '.join(INCLUDABLE)} (was {sorted(unknown)[0][:40]})."
        )
    return names
