"""The embedded format string: text in JSON, its UTF-8 bytes in Kafka."""

import msgspec

from kafka_rest.errors import RestError
from kafka_rest.formats.embedded import (
    ConversionError,
    DecodeError,
    Encoder,
    FindSchema,
    Schemaless,
    bad_request,
    text_of_string,
)


def encode(text: bytes) -> bytes:
    """The bytes of a JSON string; a number or boolean stands for its own text.

    Raises: ConversionError for an object or array.
    """
    if text[:1] in b"{[":
        raise ConversionError("it is not a string")
    if text[:1] != b'"':
        return text
    return text_of_string(text)


class String(Schemaless):
    """Plain text."""

    name = "string"
    own = Encoder(encode)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The text in quotes. Raises: DecodeError for bytes that are not UTF-8."""
        try:
            return msgspec.json.encode(data.decode())
        except UnicodeDecodeError as error:
            raise DecodeError("the stored bytes are not UTF-8") from error

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        return [self.decode(data, find_schema) for data in column]

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request with a value that is no text."""
        return bad_request(side, index, error)
