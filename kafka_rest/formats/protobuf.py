"""The embedded format protobuf: the canonical JSON of messages, the schema registry's envelope in
Kafka.

Behind the envelope's header stand the message's place in the schema, as a list of indexes, and its
bytes. The first message of a schema is written; any is read.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError as BrokenMessage
from google.protobuf.message import EncodeError

from kafka_rest.errors import RestError
from kafka_rest.formats import envelope
from kafka_rest.formats.embedded import (
    Compiled,
    ConversionError,
    DecodeError,
    Encoder,
    FindSchema,
    SchemaError,
    bad_request,
)
from kafka_rest.formats.protobuf_json import lenient
from kafka_rest.formats.protobuf_plain import ReadPlans, WritePlans
from kafka_rest.formats.protobuf_schema import REASON_LENGTH, CompiledSchema, compiled
from kafka_rest.records import Schema

SCHEMA_TYPE = "PROTOBUF"
MOST_INDEXES = 100
# The list of one index, 0, is written as one zero byte.
_FIRST_MESSAGE = b"\0"
# What the library's mapping raises for values that it does not expect, beside its own error.
_REFUSALS = (
    json_format.Error,
    EncodeError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
)


@Compiled
def _encoder(schema: Schema) -> Encoder:
    found = compiled(schema)
    make, pool = found.first, found.pool
    header = envelope.header(schema.schema_id) + _FIRST_MESSAGE

    def encode(text: bytes) -> bytes:
        message = make()
        try:
            value = msgspec.json.decode(text)
            if not isinstance(value, dict):
                raise ConversionError("Expect message object")
            json_format.ParseDict(lenient(make.DESCRIPTOR, value), message, descriptor_pool=pool)
            if not message.IsInitialized():
                missing = ", ".join(message.FindInitializationErrors())
                raise ConversionError(f"required fields are missing: {missing}")
            stored: bytes = header + message.SerializeToString()
            return stored
        except ConversionError:
            raise
        except (*_REFUSALS, msgspec.DecodeError) as error:
            raise ConversionError(str(error)[:REASON_LENGTH]) from error

    return Encoder(encode, encode_all=_plain_encoder(make, header), costly=True)


def _plain_encoder(make: Any, header: bytes) -> Callable[[list[bytes]], list[bytes]] | None:
    """Writes columns of plain values; None where the type has no plan."""
    try:
        plan = WritePlans().of(make.DESCRIPTOR)
    except (ValueError, TypeError, RecursionError):
        return None
    assert plan is not None, "a message that is found outside itself"
    kind, fill = plan
    decode = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]

    def encode_all(texts: list[bytes]) -> list[bytes]:
        stored = []
        try:
            for value in decode(b"[%b]" % b",".join(texts)):
                message = make()
                fill(message, value)
                # Raises where a required field is missing.
                stored.append(header + message.SerializeToString())
        except (*_REFUSALS, msgspec.DecodeError) as error:
            raise ConversionError("not plain") from error
        return stored

    return encode_all


@Compiled
def _reading(schema: Schema) -> tuple[CompiledSchema, ReadPlans]:
    if schema.schema_type != SCHEMA_TYPE:
        raise DecodeError(f"the schema is of type {schema.schema_type}")
    found = compiled(schema)
    return found, ReadPlans(found.pool)


def _text(data: bytes, reading: Callable[[int], tuple[CompiledSchema, ReadPlans]]) -> bytes:
    """The JSON text of a stored value; `reading` is asked with its schema's id."""
    schema_id = envelope.schema_id_of(data, "Protobuf")
    try:
        found, plans = reading(schema_id)
        place, at = _indexes(data)
        message: Any = found.message(place)()
        message.ParseFromString(data[at:])
        try:
            value = plans.of(message.DESCRIPTOR)(message)
        except _REFUSALS:
            value = json_format.MessageToDict(
                message, always_print_fields_with_no_presence=True, descriptor_pool=found.pool
            )
        return msgspec.json.encode(value)
    except (DecodeError, SchemaError, BrokenMessage, *_REFUSALS) as error:
        raise DecodeError(
            f"Error deserializing Protobuf message for id {schema_id}: {str(error)[:REASON_LENGTH]}"
        ) from error


def _indexes(data: bytes) -> tuple[tuple[int, ...], int]:
    """The place of the message, and where its bytes begin. Raises: DecodeError."""
    count, at = _varint(data, envelope.HEADER_BYTES)
    if not count:
        return (0,), at
    if not 0 < count <= MOST_INDEXES:
        raise DecodeError("its list of message indexes is broken")
    place = []
    for _ in range(count):
        index, at = _varint(data, at)
        place.append(index)
    return tuple(place), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and where the next byte is. Raises: DecodeError."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise DecodeError("its list of message indexes is broken")


class Protobuf:
    """Protobuf through a schema registry."""

    name = "protobuf"
    schema_type: str | None = SCHEMA_TYPE

    def check(self, schema: Schema) -> None:
        """Compile a schema before it is registered. Raises: SchemaError."""
        compiled(schema)

    def record_name(self, schema: Schema) -> str | None:
        """The full name of the first message. Raises: SchemaError."""
        return str(compiled(schema).first.DESCRIPTOR.full_name)

    def encoder(self, schema: Schema | None) -> Encoder:
        """The encoder of a registered schema's first message. Raises: SchemaError."""
        assert schema is not None, "protobuf needs a schema"
        return _encoder(schema)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The JSON text of a stored value. Raises: DecodeError, and what `find_schema` raises."""
        return _text(data, lambda schema_id: _reading(find_schema(schema_id)))

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        known: dict[int, tuple[CompiledSchema, ReadPlans]] = {}

        def reading(schema_id: int) -> tuple[CompiledSchema, ReadPlans]:
            if schema_id not in known:
                known[schema_id] = _reading(find_schema(schema_id))
            return known[schema_id]

        return [_text(data, reading) for data in column]

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request whose record does not fit its schema."""
        return bad_request(side, index, error)
