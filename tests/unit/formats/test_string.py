"""Plain text: stored as its UTF-8 bytes."""

import pytest

from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError, DecodeError
from kafka_rest.records import Schema

STRING = FORMATS["string"]


def find_schema(_schema_id: int) -> Schema:
    raise AssertionError("text has no schema")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('""', b""),
        ('"a"', b"a"),
        ('"\\u00e9\\n"', "é\n".encode()),
        ("5", b"5"),
        ("1.10", b"1.10"),
        ("true", b"true"),
    ],
)
def test_text_is_stored_as_it_is(text: str, stored: bytes) -> None:
    assert STRING.encoder(None).encode(text.encode()) == stored


@pytest.mark.parametrize("text", ["{}", "[]", '["a"]', '"\\ud800"'])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(ConversionError):
        STRING.encoder(None).encode(text.encode())


def test_bytes_are_read_as_text() -> None:
    assert STRING.decode('a"é'.encode(), find_schema) == '"a\\"é"'.encode()
    assert STRING.decode(b"", find_schema) == b'""'
    with pytest.raises(DecodeError):
        STRING.decode(b"\xff", find_schema)
