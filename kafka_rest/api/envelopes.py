"""Request bodies as typed values: shape errors become 422 with the place, malformed JSON 400.

Records are decoded by msgspec in one pass that keeps each embedded value's bytes; small envelopes
by marshmallow.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from marshmallow import RAISE, Schema, ValidationError, fields, post_load

from kafka_rest.core.produce import NO_SCHEMA, JsonRecords, SchemaChoice
from kafka_rest.errors import BadRequest, Unprocessable, WrongType

T = TypeVar("T")

NULL = b"null"
UNKNOWN_FIELD = "Unknown field."
_ABSENT = msgspec.Raw(b"null")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*?)`(?: - at `(.*)`)?\Z", re.DOTALL)
# Of the rules for numbers only the lower bound is one of the API; the upper one is the type's.
_WRONG_TYPE = re.compile(r"(?!Expected `int` >= )Expected `|Integer value out of range|Invalid ")
# A whole surrogate pair, half of one, any other escape.
_PAIRS = re.compile(
    rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`\Z", re.DOTALL)

PartitionNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
OptionalText = str | int | float | bool | None
"""Text that may come as a number or boolean (reference behaviour), see `text_of`."""
SchemaId = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


# Records hold no cycle, and the collector need not look at thousands of them.
class _Keyed(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A record for one partition."""

    key: msgspec.Raw = _ABSENT
    value: msgspec.Raw = _ABSENT


class Placed(_Keyed, forbid_unknown_fields=True, gc=False):
    """A record that may name its partition."""

    partition: PartitionNumber | None = None


class ProduceEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    """What both produce bodies share."""

    # The schema members of formats that need none are read and ignored.
    key_schema: OptionalText = None
    value_schema: OptionalText = None
    key_schema_id: SchemaId | None = None
    value_schema_id: SchemaId | None = None


class _ToTopic(ProduceEnvelope, forbid_unknown_fields=True):
    records: list[Placed] | None = None


class _ToPartition(ProduceEnvelope, forbid_unknown_fields=True):
    records: list[_Keyed] | None = None


_to_topic = msgspec.json.Decoder(_ToTopic, strict=False)
_to_partition = msgspec.json.Decoder(_ToPartition, strict=False)


class ProduceBody(msgspec.Struct, frozen=True):
    """A produce body, checked."""

    records: JsonRecords
    key_schema: SchemaChoice
    value_schema: SchemaChoice


Read = Callable[[bytes], ProduceBody]
"""Reads a produce body. Raises: BadRequest, Unprocessable with the field's path."""


def topic_records(body: bytes) -> ProduceBody:
    """The body of a produce call to a topic.

    Raises: BadRequest, Unprocessable with the field's path.
    """
    envelope = decoded(_to_topic, body)
    records = required(envelope.records)
    return produce_body(envelope, records, [record.partition for record in records])


def partition_records(body: bytes) -> ProduceBody:
    """The body of a produce call to a partition, whose records may not name one.

    Raises: as above.
    """
    envelope = decoded(_to_partition, body)
    records = required(envelope.records)
    return produce_body(envelope, records, [None] * len(records))


def json_object(body: bytes) -> dict[str, Any]:
    """A body that is one JSON object; {} for an empty one or null.

    Raises: BadRequest, Unprocessable.
    """
    if not body.strip():
        return {}
    value = guarded(msgspec.json.decode, body)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongType("The body must be a JSON object.")
    return value


class Text(fields.String):
    """A string; a number or boolean is taken as its text, as the reference does."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = str(value)
        return str(super()._deserialize(value, attr, data, **kwargs))


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """The options of a create call as given; None for an absent one."""

    name: str | None = None
    format: str | None = None
    auto_offset_reset: str | None = None
    auto_commit_enable: str | None = None


class ConsumerOptionsSchema(Schema):
    """The members of a create call; `made` is what they become."""

    class Meta:
        unknown = RAISE

    made: type[ConsumerOptions] = ConsumerOptions

    id = Text(allow_none=True)
    name = Text(allow_none=True)
    format = Text(allow_none=True)
    auto_offset_reset = Text(allow_none=True, data_key="auto.offset.reset")
    auto_commit_enable = Text(allow_none=True, data_key="auto.commit.enable")

    @post_load
    def _options(self, data: dict[str, Any], **_kwargs: Any) -> ConsumerOptions:
        # `id` is the older member and wins over `name` (reference behaviour).
        old = data.pop("id", None)
        if old is not None:
            data["name"] = old
        return self.made(**data)


_consumer_options = ConsumerOptionsSchema()


def consumer_options(body: bytes, schema: Schema = _consumer_options) -> Any:
    """The body of a create call, as what the schema makes of it.

    Raises: BadRequest, Unprocessable or WrongType naming the fields.
    """
    value = json_object(body)
    try:
        return schema.load(value)
    except ValidationError as error:
        unknown = any(texts == [UNKNOWN_FIELD] for texts in error.messages_dict.values())
        raise (Unprocessable if unknown else WrongType)(_violations(error)) from error


def _violations(error: ValidationError) -> str:
    messages: dict[str, list[str]] = error.messages_dict
    return "; ".join(
        f"Unrecognized field: {name}" if texts == [UNKNOWN_FIELD] else f"{name}: {' '.join(texts)}"
        for name, texts in messages.items()
    )


def decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """A body as its envelope. Raises: Unprocessable with the place, BadRequest."""
    envelope: T = guarded(decoder.decode, body)
    return envelope


def guarded(decode: Any, body: bytes) -> Any:
    """Decode JSON. Raises: Unprocessable for the wrong shape, BadRequest for what is no JSON."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        kind = WrongType if _WRONG_TYPE.match(str(error)) else Unprocessable
        raise kind(_shape_error(str(error))) from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {_syntax_error(body, error)}.") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply.") from error


def _syntax_error(body: bytes, error: Exception) -> str:
    """What is wrong with JSON: for half of a pair the decoder may say that the text was cut off."""
    if any(found[1] for found in _PAIRS.finditer(body)):
        return "a string holds half of a surrogate pair, which is no character"
    return str(error)


def _shape_error(text: str) -> str:
    unknown = _UNKNOWN_FIELD.match(text)
    if unknown:
        where = (unknown[2] or "").removeprefix("$").removeprefix(".")
        return f"Unrecognized field: {unknown[1]}" + (f" (in {where})" if where else "")
    placed = _PLACE.match(text)
    return f"{placed[2]}: {placed[1]}" if placed else text


def required(records: list[T] | None) -> list[T]:
    """The records, at least one. Raises: Unprocessable."""
    if not records:
        raise Unprocessable(f"records may not be empty (was {'null' if records is None else '[]'})")
    return records


def _texts(values: list[msgspec.Raw]) -> list[bytes | None]:
    """The JSON texts of embedded values; None for null and for what is absent."""
    if values.count(_ABSENT) == len(values):
        return [None] * len(values)
    texts: list[bytes | None] = list(map(bytes, values))
    return [None if text == NULL else text for text in texts] if NULL in texts else texts


def produce_body(
    envelope: ProduceEnvelope, records: Sequence[_Keyed], partitions: list[int | None]
) -> ProduceBody:
    """The columns and schemas of a produce envelope."""
    return ProduceBody(
        _columns(records, partitions),
        _choice(envelope.key_schema, envelope.key_schema_id),
        _choice(envelope.value_schema, envelope.value_schema_id),
    )


def plain_body(records: list[Placed]) -> ProduceBody:
    """The columns of records without schemas."""
    return ProduceBody(
        _columns(records, [record.partition for record in records]), NO_SCHEMA, NO_SCHEMA
    )


def _columns(records: Sequence[_Keyed], partitions: list[int | None]) -> JsonRecords:
    return JsonRecords(
        _texts([record.key for record in records]),
        _texts([record.value for record in records]),
        partitions,
    )


def _choice(text: OptionalText, schema_id: int | None) -> SchemaChoice:
    if text is None and schema_id is None:
        return NO_SCHEMA
    return SchemaChoice(text_of(text), schema_id)


def text_of(value: OptionalText) -> str | None:
    """A text that may have come as a number or boolean."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
