"""The embedded format json: any value, stored as compact text with its numbers as sent."""

import json
import re
from typing import Any

import msgspec

from kafka_rest.errors import BadRequest, RestError
from kafka_rest.formats.embedded import (
    ConversionError,
    DecodeError,
    Encoder,
    FindSchema,
    Schemaless,
)

# The whole number -0 is stored as 0 (reference behaviour); strings are matched so as to be left
# alone.
_MINUS_ZERO = re.compile(rb'"(?:[^"\\]|\\.)*"|-0(?![\d.eE])')
# Where one may stand: dates and names are full of "-0", but only strings have it after these.
_NUMBER_STARTS = (b":-0", b",-0", b"[-0")
_values = msgspec.json.Decoder(list[msgspec.Raw])
_ESCAPED_STRING = re.compile(rb'"[^"\\]*\\.(?:[^"\\]|\\.)*"')


def compact(text: bytes) -> bytes:
    """The JSON text without blanks and without needless escapes; numbers keep their digits.

    Clients differ in what they escape: the same key must be the same bytes from all of them.
    Raises: ConversionError.
    """
    try:
        found: bytes = msgspec.json.format(text, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConversionError(str(error)) from error
    return _canonical(found)


def compact_all(texts: list[bytes]) -> list[bytes]:
    """Many JSON values as `compact` makes them, by a few calls for all.

    Each text is one value, as those of a decoded body are. Raises: ConversionError.
    """
    if len(texts) == 1:
        return [compact(texts[0])]
    joined = b"[%b]" % b",".join(texts)
    try:
        found: bytes = msgspec.json.format(joined, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConversionError(str(error)) from error
    if len(found) < len(joined):
        texts = list(map(bytes, _values.decode(found)))
    return list(map(_canonical, texts)) if b"\\" in found or _has_minus_zero(found) else texts


def _are_values(texts: list[bytes]) -> bool:
    """True where each text is one value: two broken ones may be whole beside each other."""
    try:
        return list(map(bytes, _values.decode(b"[%b]" % b",".join(texts)))) == texts
    except (msgspec.DecodeError, RecursionError):
        return False


def _canonical(text: bytes) -> bytes:
    """A text without blanks, now without needless escapes and signs of zero."""
    if b"\\" in text:
        text = _ESCAPED_STRING.sub(_unescaped, text)
    return _MINUS_ZERO.sub(_without_sign, text) if _has_minus_zero(text) else text


def _has_minus_zero(text: bytes) -> bool:
    """Whether a text without blanks may have the number -0; a string may look like that too."""
    # To look for one byte is twenty times as fast as to look for two.
    if b"-" not in text or b"-0" not in text:
        return False
    return text.startswith(b"-0") or any(start in text for start in _NUMBER_STARTS)


def _without_sign(match: "re.Match[bytes]") -> bytes:
    return b"0" if match[0] == b"-0" else match[0]


def _unescaped(match: "re.Match[bytes]") -> bytes:
    return msgspec.json.encode(msgspec.json.decode(match[0]))


class Json(Schemaless):
    """JSON values."""

    name = "json"
    own = Encoder(compact, encode_all=compact_all)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The stored text, compact. Raises: DecodeError where it is no JSON."""
        try:
            if not data.isascii():
                data.decode()
            return compact(data)
        except UnicodeDecodeError as error:
            raise DecodeError("the stored bytes are not UTF-8") from error
        except ConversionError:
            return _first_value(data)

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        try:
            if not all(map(bytes.isascii, column)):
                b",".join(column).decode()
            if _are_values(column):
                return compact_all(column)
        except (UnicodeDecodeError, ConversionError):
            # One of them is no value; it may be read or refused.
            pass
        return [self.decode(data, find_schema) for data in column]

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request with a value that is no JSON."""
        return BadRequest(f"records[{index}].{side} is not valid JSON: {error}.")


def _first_value(data: bytes) -> bytes:
    """The first JSON value of a text with more behind it, as the reference reads one."""
    text = data.decode().lstrip(" \t\r\n\ufeff")
    try:
        _, end = _SCANNER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError("the stored bytes are not JSON") from error
    try:
        return compact(text[:end].encode())
    except (ConversionError, UnicodeEncodeError) as error:
        raise DecodeError("the stored bytes are not JSON") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_SCANNER = json.JSONDecoder(parse_constant=_refuse_constant)
