"""The embedded format string: text in JSON, its UTF-8 bytes in Kafka."""

import msgspec

from kafka_rest.errors import BadRequest, RestError, because
from kafka_rest.formats.embedded import ConversionError, DecodeError, Encoder, FindSchema
from kafka_rest.records import Schema


def encode(text: bytes) -> bytes:
    """The bytes of a JSON string; a number or boolean stands for its own text.

    Raises: ConversionError for an object or array.
    """
    if text[:1] in b"{[":
        raise ConversionError("it is not a string")
    if text[:1] != b'"':
        return text
    try:
        return msgspec.json.decode(text, type=str).encode()
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ConversionError(str(error)) from error


class String:
    """Plain text."""

    name = "string"
    schema_type: str | None = None

    def check(self, schema: Schema) -> None:
        """Nothing: text has no schema."""

    def record_name(self, schema: Schema) -> str | None:
        """None: there is no schema."""
        return None

    def encoder(self, schema: Schema | None) -> Encoder:
        """The encoder, the same for all."""
        return _ENCODER

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The text in quotes. Raises: DecodeError for bytes that are not UTF-8."""
        try:
            return msgspec.json.encode(data.decode())
        except UnicodeDecodeError as error:
            raise DecodeError("the stored bytes are not UTF-8") from error

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request with a value that is no text."""
        return because(BadRequest, f"{error} (records[{index}].{side})")


_ENCODER = Encoder(encode)
