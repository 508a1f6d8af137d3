"""Columns of protobuf messages: as Google's mapping has them, by plans."""

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_rest.formats import FORMATS, envelope
from kafka_rest.formats.embedded import ConversionError, DecodeError
from kafka_rest.formats.protobuf_schema import compiled
from kafka_rest.records import Schema
from tests.unit.formats.test_protobuf import HEAD, KNOWN_TYPES, NESTED, SCALARS

PROTOBUF = FORMATS["protobuf"]
PROTO2 = (
    'syntax = "proto2"; message M { required string s = 1; optional int32 i = 2 [default = 5]; '
    "enum E { ONE = 1; TWO = 2; } optional E e = 3; repeated E es = 4; repeated int64 r = 5; "
    "optional group G = 6 { optional string x = 1; } extensions 100 to 200; }"
)
MAPS = HEAD + (
    "message M { map<bool, int64> a = 1; map<int64, bytes> b = 2; map<string, P> c = 3; "
    "map<string, double> d = 4; repeated float f = 5; repeated bytes y = 6; "
    "enum E { A = 0; B = 1; } map<string, E> e = 7; } message P { M m = 1; }"
)
ALL = [SCALARS, KNOWN_TYPES, NESTED, PROTO2, MAPS]


def registered(text: str) -> Schema:
    return Schema(7, "PROTOBUF", text)


def together(text: str, values: list[bytes]) -> list[bytes] | None:
    """A column at once; None where it has to be looked at one by one."""
    encode_all = PROTOBUF.encoder(registered(text)).encode_all
    assert encode_all is not None
    with suppress(ConversionError):
        return encode_all(values)
    return None


def alone(text: str, values: list[bytes]) -> list[bytes]:
    return [PROTOBUF.encoder(registered(text)).encode(value) for value in values]


@pytest.mark.parametrize(
    "value",
    [
        {"s": "zoë", "i": -5, "l": 2**40, "b": True, "d": 1, "f": 0.5, "u": 2**32 - 1},
        {"r": [1, 2], "p": 0, "twoWords": "x", "s": None, "sub": None},
        {"two_words": "x", "b": False, "d": -0.0},
        {},
    ],
)
def test_plain_values_are_written_at_once(value: Any) -> None:
    texts = [json.dumps(value).encode(), b"{}"]
    assert together(SCALARS, texts) == alone(SCALARS, texts)


def test_messages_within_messages_are_written_at_once() -> None:
    value = b'{"i":{"x":1}}'
    assert together(NESTED, [value, b'{"i":{}}']) == alone(NESTED, [value, b'{"i":{}}'])
    listed = HEAD + "message M { repeated P p = 1; } message P { int32 x = 1; P p = 2; }"
    value = b'{"p":[{"x":1},{}]}'
    assert together(listed, [value]) == alone(listed, [value])


_NAMES = st.sampled_from(
    [
        "s",
        "i",
        "l",
        "b",
        "y",
        "d",
        "f",
        "u",
        "v",
        "e",
        "r",
        "m",
        "sub",
        "p",
        "os",
        "oi",
        "subs",
        "two_words",
        "twoWords",
        "byName",
        "by_name",
        "t",
        "w",
        "x",
        "a",
        "c",
        "es",
        "g",
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**31, 2**32, 2**63, -(2**63), 10**30, 1e300, 3.5e38, 0.5, 1.0, -0.0])
    | st.sampled_from(["x", "", "ONE", "é", "5", "YQ==", "true", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(ALL), st.dictionaries(_NAMES, _VALUES, max_size=4))
@example(SCALARS, {"twoWords": "a", "two_words": "b"})
@example(SCALARS, {"twoWords": None, "two_words": "b"})
@example(SCALARS, {"f": 3.4028234663852886e38})
@example(KNOWN_TYPES, {"v": None})
@example(PROTO2, {"i": 1})
def test_what_is_written_at_once_is_as_alone(text: str, value: Any) -> None:
    sent = [json.dumps(value).encode()]
    found = together(text, sent)
    if found is not None:
        assert found == alone(text, sent)


_NUMBERS = st.integers(-3, 3) | st.sampled_from(
    [2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 1.0]
)
_REALS = _NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**310)
_NEARLY_PLAIN = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["s", "two_words", "twoWords"], st.sampled_from(["x", "é", None, "", 1])),
        **dict.fromkeys(["i", "l", "u", "v", "p", "oi"], _NUMBERS | st.none()),
        **dict.fromkeys(["d", "f"], _REALS),
        "b": st.sampled_from([True, False, None, "true"]),
        "r": st.lists(_NUMBERS, max_size=2),
    },
)


@given(_NEARLY_PLAIN)
def test_nearly_plain_values_are_written_at_once_as_alone(value: Any) -> None:
    sent = [json.dumps(value).encode()]
    found = together(SCALARS, sent)
    if found is not None:
        assert found == alone(SCALARS, sent)


def googles(text: str, data: bytes) -> dict[str, Any] | None:
    """What Google's mapping makes of a message, all of whose defaults are set; None if refused."""
    found = compiled(registered(text))
    message = found.first()
    try:
        message.ParseFromString(data)
        if text == PROTO2:
            message.s, message.i, message.e = message.s, message.i, message.e
            if message.HasField("g"):
                message.g.x = message.g.x
        shown = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, descriptor_pool=found.pool
        )
    except Exception:
        return None
    return dict(json.loads(json.dumps(shown)))


@given(st.sampled_from(ALL), st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_messages_are_shown_as_google_does(text: str, value: Any) -> None:
    with suppress(ConversionError):
        (stored,) = alone(text, [json.dumps(value).encode()])
        known = registered(text)
        (shown,) = PROTOBUF.decode_all([stored], lambda _: known)
        assert json.loads(shown) == googles(text, stored[6:])


@given(st.sampled_from(ALL), st.binary(max_size=40))
@example(PROTO2, b"\x0a\x01x\x18\x09")
@example(PROTO2, b"\x0a\x01x\xa2\x06\x01x")
@example(MAPS, b"\x3a\x05\x0a\x01k\x10\x09")
@example(SCALARS, b"\x35\xff\xff\xff\x7f\x31" + b"\xff" * 8)
def test_any_message_is_shown_as_google_does(text: str, data: bytes) -> None:
    known = registered(text)
    expected = googles(text, data)
    try:
        (shown,) = PROTOBUF.decode_all([envelope.header(7) + b"\0" + data], lambda _: known)
    except DecodeError:
        assert expected is None
    else:
        assert json.loads(shown) == expected
