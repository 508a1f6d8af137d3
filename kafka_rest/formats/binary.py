"""The embedded format binary: base64 text in JSON, the bytes themselves in Kafka."""

from binascii import Error, a2b_base64, b2a_base64

import msgspec

from kafka_rest.errors import InvalidBase64, RestError
from kafka_rest.formats.embedded import (
    ConversionError,
    Encoder,
    FindSchema,
    Schemaless,
    text_of_string,
)

_QUOTE = ord('"')
_strings = msgspec.json.Decoder(list[bytes])


def encode(text: bytes) -> bytes:
    """The bytes that a JSON text of strict base64 (RFC 4648, padded) stands for. Raises:
    ConversionError.

    A number or boolean is read as its own text, as the reference does. Bits behind the last byte
    may be any.
    """
    quoted = text[0] == _QUOTE
    if quoted:
        text = text_of_string(text) if b"\\" in text else text[1:-1]
    try:
        if len(text) % 4:
            # Too much padding behind complete groups would pass.
            raise Error("Incorrect padding")
        return a2b_base64(text, strict_mode=True)
    except Error as error:
        raise ConversionError(str(error) if quoted else "it is not a base64 string") from error


def encode_all(texts: list[bytes]) -> list[bytes]:
    """The same of many JSON values: by one call for all, where they are strings of strict base64.

    Raises: ConversionError.
    """
    try:
        return _strings.decode(b"[%b]" % b",".join(texts))
    except msgspec.DecodeError:
        return [encode(text) for text in texts]


class Binary(Schemaless):
    """Raw bytes."""

    name = "binary"
    own = Encoder(encode, encode_all=encode_all)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """Base64 in quotes."""
        return b'"%b"' % b2a_base64(data, newline=False)

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """Base64 in quotes, of all values by one call."""
        # Base64 has no comma.
        return msgspec.json.encode(column)[1:-1].split(b",") if column else []

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request with a text that is no base64."""
        return InvalidBase64(
            f"Record {side} contains invalid base64 encoding (records[{index}].{side}: {error})"
        )
