"""What every embedded format offers to the flows in `core`."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from kafka_rest.errors import RestError
from kafka_rest.records import Schema


class Encoder(NamedTuple):
    """One side (key or value) of one produce request, compiled.

    `encode` takes the JSON text of a value that is not null and returns what Kafka stores.
    `nullable` is False where a null cannot pass through the schema; `null_error` then says why.
    """

    encode: Callable[[bytes], bytes]
    nullable: bool = True
    null_error: str = ""


class ConversionError(ValueError):
    """A JSON value that the format or its schema refuses.

    `str()` is a sentence that names the field path.
    """


class DecodeError(ValueError):
    """Bytes from Kafka that are not of this format; `str()` is a sentence without payload."""


class SchemaError(ValueError):
    """A schema text that does not compile; `str()` is a sentence for the client."""


class SchemaRefused(SchemaError):
    """A schema text that can be read but is of no use, which a schema registry would refuse."""


FindSchema = Callable[[int], Schema]
"""Looks a schema up by its id; raises a RestError when the schema registry cannot give it."""


class EmbeddedFormat(Protocol):
    """An embedded format: a name in media types and consumer options, and two directions."""

    @property
    def name(self) -> str:
        """As in `application/vnd.kafka.NAME.v1+json` and the consumer option `format`."""
        ...

    @property
    def schema_type(self) -> str | None:
        """The schema registry's name for its schemas ("AVRO"), None where it needs none."""
        ...

    def check(self, schema: Schema) -> None:
        """Compile a schema, with its references, before it is registered. Raises: SchemaError."""
        ...

    def record_name(self, schema: Schema) -> str | None:
        """The name of what the schema describes, None where it has none. Raises: SchemaError."""
        ...

    def encoder(self, schema: Schema | None) -> Encoder:
        """The compiled encoder for a registered schema (cached, bounded). Raises: SchemaError."""
        ...

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The JSON text of one stored key or value (never of null).

        Raises: DecodeError for bytes of another format; what `find_schema` raises passes through.
        """
        ...

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request of which a side of record `index` was refused."""
        ...
