"""The embedded format binary: base64 text in JSON, the bytes themselves in Kafka."""

from binascii import Error, a2b_base64, b2a_base64

from kafka_rest.errors import InvalidBase64, RestError
from kafka_rest.formats.embedded import (
    ConversionError,
    Encoder,
    FindSchema,
    Schemaless,
    text_of_string,
)

_QUOTE = ord('"')


def encode(text: bytes) -> bytes:
    """The bytes that a JSON text of strict base64 (RFC 4648, padded) stands for. Raises:
    ConversionError.

    A number or boolean is read as its own text, as the reference does.
    """
    if text[0] == _QUOTE:
        text = text_of_string(text) if b"\\" in text else text[1:-1]
    elif text[:1] in b"{[":
        raise ConversionError("it is not a string")
    if len(text) % 4:
        # Too much padding behind complete groups would pass.
        raise ConversionError("Incorrect padding")
    try:
        return a2b_base64(text, strict_mode=True)
    except Error as error:
        raise ConversionError(str(error)) from error


class Binary(Schemaless):
    """Raw bytes."""

    name = "binary"
    own = Encoder(encode)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """Base64 in quotes."""
        return b'"%b"' % b2a_base64(data, newline=False)

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        return [self.decode(data, find_schema) for data in column]

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request with a text that is no base64."""
        return InvalidBase64(
            f"Record {side} contains invalid base64 encoding (records[{index}].{side}: {error})"
        )
