"""The embedded format avro: JSON-encoded Avro in requests and answers, the schema registry's
envelope in Kafka.
"""

from typing import Any

import msgspec

from kafka_rest.errors import ConversionFailed, RestError, because
from kafka_rest.formats import avro_pack, avro_read, avro_schema, avro_write, envelope
from kafka_rest.formats.embedded import (
    Compiled,
    ConversionError,
    DecodeError,
    Encoder,
    FindSchema,
    SchemaError,
)
from kafka_rest.records import Schema

SCHEMA_TYPE = "AVRO"
_lines = msgspec.json.Encoder()


@Compiled
def _parsed(schema: Schema) -> Any:
    return avro_schema.parse(schema)


@Compiled
def _reader(schema: Schema) -> avro_read.Read:
    if schema.schema_type != SCHEMA_TYPE:
        raise DecodeError(f"the schema is of type {schema.schema_type}")
    try:
        parsed = _parsed(schema)
        if parsed.type == "bytes":
            return _read_bytes
        return avro_read.compile_reader(parsed)
    except SchemaError as error:
        raise DecodeError(str(error)) from error
    except (RecursionError, SyntaxError, MemoryError) as error:
        # Python's compiler has a limit as well.
        raise DecodeError("its schema is nested too deeply") from error


@Compiled
def _encoder(schema: Schema) -> Encoder:
    parsed = _parsed(schema)
    own_bytes = parsed.type == "bytes"
    write = _write_bytes if own_bytes else avro_write.compile_writer(parsed)
    header = envelope.header(schema.schema_id)
    pack = None if own_bytes else avro_pack.compile_packer(parsed, header)

    def encode(text: bytes) -> bytes:
        out = bytearray(header)
        write(text, out)
        return bytes(out)

    return Encoder(encode, *_nullability(parsed), encode_all=pack)


def _nullability(parsed: Any) -> tuple[bool, str]:
    """Whether a null passes through the schema, and the text that refuses it where it does not."""
    if parsed.type == "null":
        return True, ""
    if parsed.type == "union":
        nullable = any(branch.type == "null" for branch in parsed.schemas)
        return nullable, "Expected start-union. Got VALUE_NULL"
    start = {"record": "record-start", "array": "array-start", "map": "map-start"}
    return False, f"Expected {start.get(parsed.type, parsed.type)}. Got VALUE_NULL"


def _read_bytes(column: list[bytes], start: int) -> list[str]:
    return [data[start:].decode("latin-1") for data in column]


def _texts(values: list[Any]) -> list[bytes]:
    """What a reader returns, as JSON. Raises: DecodeError."""
    try:
        # No JSON text has a line break in it.
        return _lines.encode_lines(values)[:-1].split(b"\n")
    except RecursionError as error:
        raise DecodeError("the data is nested too deeply") from error


def _write_bytes(text: bytes, out: bytearray) -> None:
    out += avro_write.latin_bytes(msgspec.json.decode(text))


class Avro:
    """Avro through a schema registry."""

    name = "avro"
    schema_type: str | None = SCHEMA_TYPE

    def check(self, schema: Schema) -> None:
        """Compile a schema before it is registered. Raises: SchemaError."""
        _parsed(schema)

    def record_name(self, schema: Schema) -> str | None:
        """The full name of a record. Raises: SchemaError."""
        parsed = _parsed(schema)
        return str(parsed.fullname) if parsed.type == "record" else None

    def encoder(self, schema: Schema | None) -> Encoder:
        """The compiled encoder of a registered schema. Raises: SchemaError."""
        assert schema is not None, "avro needs a schema"
        return _encoder(schema)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The JSON text of a stored value. Raises: DecodeError, and what `find_schema` raises."""
        schema_id = envelope.schema_id_of(data, "Avro")
        schema = find_schema(schema_id)
        try:
            read = _reader(schema)
            return _texts(read([data], envelope.HEADER_BYTES))[0]
        except DecodeError as error:
            raise DecodeError(
                f"Error deserializing Avro message for id {schema_id}: {error}"
            ) from error

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        readers = {
            head: _reader(find_schema(envelope.schema_id_of(head, "Avro")))
            for head in {data[: envelope.HEADER_BYTES] for data in column}
        }
        if len(readers) == 1:
            (read,) = readers.values()
            return _texts(read(column, envelope.HEADER_BYTES))
        start = envelope.HEADER_BYTES
        return _texts([readers[data[:start]]([data], start)[0] for data in column])

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request whose record does not fit its schema."""
        return because(
            ConversionFailed, f"Failed to convert JSON to Avro: {error} (records[{index}].{side})"
        )
