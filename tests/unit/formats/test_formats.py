"""What all embedded formats have in common, and the two without a schema."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_rest.errors import RestError
from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError, DecodeError, EmbeddedFormat
from kafka_rest.formats.later import later
from kafka_rest.records import Schema

BINARY, JSON = FORMATS["binary"], FORMATS["json"]
ANY = '["null","boolean","int","string",{"type":"map","values":"int"}]'


def no_schema(_schema_id: int) -> Schema:
    raise AssertionError("this format needs no schema")


@pytest.mark.parametrize("embedded", FORMATS.values(), ids=list(FORMATS))
def test_name_is_its_key(embedded: EmbeddedFormat) -> None:
    assert FORMATS[embedded.name] is embedded


@pytest.mark.parametrize("embedded", FORMATS.values(), ids=list(FORMATS))
def test_row_says_what_the_class_says(embedded: EmbeddedFormat) -> None:
    made: Any = embedded.decode
    assert made.__self__.name == embedded.name
    assert made.__self__.schema_type == embedded.schema_type


def test_format_of_a_later_import_stands_for_nothing_else() -> None:
    embedded: Any = later("json", "JSON", "kafka_rest.formats.json.Json")
    assert not hasattr(embedded, "own")
    assert embedded.decode(b"1", no_schema) == b"1"
    assert embedded.__dict__.keys() >= {"check", "record_name", "encoder", "decode", "refusal"}


@pytest.mark.parametrize("embedded", FORMATS.values(), ids=list(FORMATS))
@pytest.mark.parametrize("side", ["key", "value"])
def test_refusal_is_a_4xx_that_names_the_record(embedded: EmbeddedFormat, side: str) -> None:
    error = embedded.refusal(side, 3, ConversionError("because"))
    assert isinstance(error, RestError)
    assert 400 <= error.status < 500
    assert f"records[3].{side}" in error.text
    assert "because" in error.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("binary", '""'),
        ("json", "0"),
        ("json", "false"),
        ("json", '""'),
        ("json", "{}"),
        ("json", "[]"),
        ("avro", '{"int":0}'),
        ("avro", '{"boolean":false}'),
        ("avro", '{"string":""}'),
        ("avro", '{"map":{}}'),
    ],
)
def test_zero_and_its_kin_are_not_null(name: str, text: str) -> None:
    schema = Schema(1, "AVRO", ANY)
    embedded = FORMATS[name]
    data = embedded.encoder(schema).encode(text.encode())
    assert data is not None
    read = json.loads(embedded.decode(data, lambda _: schema))
    sent: Any = json.loads(text)
    assert read == (next(iter(sent.values())) if name == "avro" else sent)
    assert read is not None


@given(st.binary())
def test_binary_round_trip(data: bytes) -> None:
    text = json.dumps(base64.b64encode(data).decode()).encode()
    assert BINARY.encoder(None).encode(text) == data
    assert json.loads(BINARY.decode(data, no_schema)) == base64.b64encode(data).decode()


def test_binary_reads_escapes_and_bare_numbers() -> None:
    encode = BINARY.encoder(None).encode
    assert encode(rb'"\u0059Q=="') == b"a"
    assert encode(rb'"YQ=\u003d"') == b"a"
    assert encode(b"1234") == base64.b64decode("1234")


NOT_BASE64 = """"aGVsbG8==" "YQ" "YQ=" "=" "====" "-_-_" "YQ==YQ==" "\\ud800" "ü" {} [] 12345 1.5"""


@pytest.mark.parametrize("text", [*NOT_BASE64.split(), '"Y Q=="', "true1"])
def test_binary_is_strict(text: str) -> None:
    with pytest.raises(ConversionError):
        BINARY.encoder(None).encode(text.encode())


@pytest.mark.parametrize("text", [b"5", b"1.5", b"false", b"{}", b"[12]"])
def test_binary_says_that_a_string_is_wanted(text: bytes) -> None:
    with pytest.raises(ConversionError, match="it is not a base64 string"):
        BINARY.encoder(None).encode(text)


def test_bits_behind_the_last_byte_of_base64_are_any() -> None:
    encode, encode_all = BINARY.own.encode, BINARY.own.encode_all
    assert encode_all is not None
    assert encode(b'"S2Fma2F="') == b"Kafka"
    assert encode_all([b'"S2Fma2F="', b'"YR=="']) == [b"Kafka", b"a"]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (' { "b" : 1.10 , "a" : [ 1 , 2 ] } ', '{"b":1.10,"a":[1,2]}'),
        ("1e400", "1e400"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ('["-0",-0,-0.5,-01e1]'.replace("-01e1", "-1e1"), '["-0",0,-0.5,-1e1]'),
        ('"a\\u0041/ü😀"', '"aA/ü😀"'),
        ('{"\\u00e9":"\\/\\n\\"\\ud83d\\ude00"}', '{"é":"/\\n\\"😀"}'),
        ('["a","\\"","\\\\"," b : "]', '["a","\\"","\\\\"," b : "]'),
    ],
)
def test_json_is_stored_compact_with_its_own_numbers(text: str, stored: str) -> None:
    assert JSON.encoder(None).encode(text.encode()).decode() == stored


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_any_json_is_stored_as_what_it_says(value: Any, escaped: bool) -> None:
    sent = json.dumps(value, ensure_ascii=escaped, indent=2).encode()
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    stored = JSON.encoder(None).encode(sent)
    assert stored is not None
    assert json.loads(stored) == value
    assert stored == JSON.encoder(None).encode(plain)


@pytest.mark.parametrize(
    "data", [b"1 rest", b'{"a": 1}}', b"[1] [2]", b'"x"\xc3\xbc', b"\xef\xbb\xbf1 x"]
)
def test_json_reads_the_first_value(data: bytes) -> None:
    assert JSON.decode(data, no_schema) in (b"1", b'{"a":1}', b"[1]", b'"x"')


@pytest.mark.parametrize(
    "data", [b"", b" ", b"{", b"nope", b"NaN", b"[Infinity]", b"\xff", b'"\xff"', b"[" * 100_000]
)
def test_json_that_is_none_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        JSON.decode(data, no_schema)


@given(st.binary(max_size=60))
def test_json_decode_gives_json_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        json.loads(JSON.decode(data, no_schema))


# Texts that are JSON, nearly so, or whole only beside their neighbours.
_PIECES = st.sampled_from(
    [
        *(
            b'"',
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"1",
            b"0",
            b"-",
            b".",
            b"e",
            b" ",
            b"\n",
            b"a",
        ),
        *(b'"a"', b'"YQ=="', b"null", b"\\", b"\\u0041", b"\xff", b"\xc3\xa9", b'{"a":1}', b"-0"),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=4).map(b"".join) | st.sampled_from(
    [
        b'{"a": 1}',
        b"[1,2]",
        b'"x y"',
        b"-0",
        b'"-0"',
        rb'"\u0041"',
        b'"YWI="',
        b" 1 ",
        b'"\xc3\xa9"',
    ]
)
_COLUMNS = st.lists(_TEXTS, max_size=4)


def each(function: Any, texts: list[bytes]) -> list[bytes] | None:
    """What one text after the other becomes; None where one is refused."""
    with suppress(ConversionError, DecodeError):
        return [function(text) for text in texts]
    return None


def at_once(function: Any, texts: list[bytes]) -> list[bytes] | None:
    with suppress(ConversionError, DecodeError):
        return list(function(texts))
    return None


def is_value(text: bytes) -> bool:
    with suppress(ValueError):
        json.loads(text, parse_constant=int)
        return True
    return False


@given(st.lists(_TEXTS.filter(is_value), max_size=4))
def test_values_are_stored_together_as_they_are_alone(texts: list[bytes]) -> None:
    encoder = JSON.encoder(None)
    assert at_once(encoder.encode_all, texts) == each(encoder.encode, texts)


@given(st.lists(st.text("AQYW=+/-_ é\\", max_size=5).map(json.dumps), max_size=4), st.booleans())
@example(["12", '"YQ=="'], False)
@example(["[]", "1e3"], False)
def test_base64_is_stored_together_as_it_is_alone(texts: list[str], escaped: bool) -> None:
    encoder = BINARY.encoder(None)
    found = [text.replace("Y", "\\u0059").encode() if escaped else text.encode() for text in texts]
    assert at_once(encoder.encode_all, found) == each(encoder.encode, found)


@given(_COLUMNS)
@example([b'{"a":1', b'"b":2}'])
@example([b'"\xc3"', b'"\xa9"'])
@example([b"1 rest", b"2"])
@pytest.mark.parametrize("name", ["json", "binary", "string"])
def test_stored_values_are_read_together_as_alone(name: str, column: list[bytes]) -> None:
    embedded = FORMATS[name]
    alone = each(lambda data: embedded.decode(data, no_schema), column)
    assert at_once(lambda values: embedded.decode_all(values, no_schema), column) == alone
