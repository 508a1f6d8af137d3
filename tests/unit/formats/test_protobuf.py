"""Protobuf: JSON both ways, confluent-kafka's serializers, references, broken schemas and bytes."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from kafka_rest.formats import FORMATS, envelope
from kafka_rest.formats.embedded import ConversionError, DecodeError, SchemaError
from kafka_rest.formats.protobuf_schema import compiled
from kafka_rest.records import Schema, SchemaReference

PROTOBUF = FORMATS["protobuf"]
CONTEXT = SerializationContext("t", MessageField.VALUE)
HEAD = 'syntax = "proto3";\n'
SCALARS = HEAD + (
    "message M { string s = 1; int32 i = 2; int64 l = 3; bool b = 4; bytes y = 5; double d = 6; "
    "float f = 7; uint32 u = 8; uint64 v = 9; enum E { ZERO = 0; ONE = 1; } E e = 10; "
    "repeated int32 r = 11; map<string, int32> m = 12; M sub = 13; optional int32 p = 14; "
    "oneof o { string os = 15; int32 oi = 16; } string two_words = 17; "
    "repeated M subs = 18; map<string, M> by_name = 19; }"
)
KNOWN_TYPES = HEAD + (
    'import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; '
    'import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto"; '
    'import "google/protobuf/field_mask.proto"; import "google/protobuf/any.proto"; '
    'import "google/protobuf/empty.proto"; '
    "message M { google.protobuf.Timestamp t = 1; google.protobuf.Duration d = 2; "
    "google.protobuf.Struct s = 3; google.protobuf.Value v = 4; google.protobuf.ListValue l = 5; "
    "google.protobuf.Int64Value w = 6; google.protobuf.BytesValue y = 7; "
    "google.protobuf.StringValue x = 8; google.protobuf.FieldMask f = 9; "
    "google.protobuf.Any a = 10; google.protobuf.Empty e = 11; google.protobuf.BoolValue b = 12; }"
)
NESTED = HEAD + (
    "package p.q; message A { message I { int32 x = 1; message J { int32 y = 1; } } I i = 1; } "
    "message B { string s = 1; }"
)


def schema(text: str, references: tuple[SchemaReference, ...] = ()) -> Schema:
    return Schema(7, "PROTOBUF", text, references)


def written(text: str, value: Any) -> bytes:
    return PROTOBUF.encoder(schema(text)).encode(json.dumps(value).encode())


def read(known: Schema, data: bytes) -> Any:
    return json.loads(PROTOBUF.decode(data, lambda _: known))


def round_trip(text: str, value: Any) -> Any:
    return read(schema(text), written(text, value))


def given_members(text: str, value: Any) -> Any:
    """What is read back, as far as it was given."""
    found = round_trip(text, value)
    return {name: found[name] for name in value if name in found}


def test_default_values_are_read_and_absent_messages_are_not() -> None:
    assert round_trip(SCALARS, {}) == {
        **{"s": "", "i": 0, "l": "0", "b": False, "y": "", "d": 0.0, "f": 0.0, "u": 0, "v": "0"},
        **{"e": "ZERO", "r": [], "m": {}, "twoWords": "", "subs": [], "byName": {}},
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"i": -1, "u": 4294967295}, {"i": -1, "u": 4294967295}),
        ({"i": "5", "u": 1.0}, {"i": 5, "u": 1}),
        ({"l": 9007199254740993}, {"l": "9007199254740993"}),
        ({"v": "18446744073709551615"}, {"v": "18446744073709551615"}),
        ({"y": "AAH/"}, {"y": "AAH/"}),
        ({"y": "Zm9vYg"}, {"y": "Zm9vYg=="}),
        ({"y": "_-8="}, {"y": "/+8="}),
        ({"d": 0.1, "f": 1.5}, {"d": 0.1, "f": 1.5}),
        ({"d": "Infinity", "f": "NaN"}, {"d": "Infinity", "f": "NaN"}),
        ({"d": "1.5"}, {"d": 1.5}),
        ({"d": "-1.e-2", "f": "+.5"}, {"d": -0.01, "f": 0.5}),
        ({"d": "-Infinity", "f": 16777217}, {"d": "-Infinity", "f": 16777216.0}),
        ({"f": 3.4028235e38}, {"f": 3.4028235e38}),
        ({"f": "-3.4028235e38"}, {"f": -3.4028235e38}),
        ({"sub": None, "d": None, "e": None}, {"d": 0.0, "e": "ZERO"}),
        ({"e": "1"}, {"e": "ONE"}),
        ({"e": "ONE"}, {"e": "ONE"}),
        ({"e": 1}, {"e": "ONE"}),
        ({"e": 7}, {"e": 7}),
        ({"s": 5, "b": "true"}, {"s": "5", "b": True}),
        ({"s": True}, {"s": "true"}),
        ({"r": [1, "2"]}, {"r": [1, 2]}),
        ({"r": None, "s": None}, {"r": [], "s": ""}),
        ({"m": {"a": 1, "é": 2}}, {"m": {"a": 1, "é": 2}}),
        ({"p": 0, "oi": 0}, {"p": 0, "oi": 0}),
        ({"twoWords": "x"}, {"twoWords": "x"}),
    ],
)
def test_json_is_mapped_both_ways(value: Any, found: Any) -> None:
    assert given_members(SCALARS, value) == found


def test_original_field_names_are_read_as_lower_camel_case() -> None:
    assert round_trip(SCALARS, {"two_words": "x"})["twoWords"] == "x"


def test_lenience_reaches_into_messages_lists_and_maps() -> None:
    value = {"sub": {"s": 1}, "subs": [{"b": "false"}], "by_name": {"k": {"s": 2}}}
    found = round_trip(SCALARS, value)
    assert (found["sub"]["s"], found["subs"][0]["b"]) == ("1", False)
    assert found["byName"]["k"]["s"] == "2"


@pytest.mark.parametrize(
    "value",
    [
        *({"x": 1}, {"i": "x"}, {"i": 1.5}, {"i": 2**31}, {"u": -1}, {"v": -1}, {"l": 2**63}),
        *({"b": 1}, {"b": "yes"}, {"y": "!"}, {"y": 5}, {"y": "A"}, {"e": "TWO"}, {"e": 1.5}),
        *({"r": 1}, {"r": ["x"]}, {"r": [None]}, {"m": []}, {"m": {"a": None}}, {"f": 1e300}),
        *({"os": "a", "oi": 1}, {"twoWords": "a", "two_words": "b"}, {"sub": 1}, {"d": "x"}),
        *([], "x", 1, True, None, {"sub": {"x": 1}}, {"s": {}}, {"s": []}),
        *({"sub": ""}, {"sub": []}, {"subs": [[]]}, {"subs": [""]}, {"byName": {"k": []}}),
        *({"d": True}, {"f": False}, {"e": True}, {"sub": {"d": True}}),
        *({"i": "1_0"}, {"v": "1_0"}, {"d": "1_0"}, {"f": "1_0"}, {"e": "1_0"}, {"r": ["1_0"]}),
        *({"m": {"a": "1_0"}}, {"i": "\t1"}, {"d": " 1"}, {"d": "inf"}, {"f": "infinity"}),
        *({"d": "1e400"}, {"f": "1e300"}, {"f": 10**300}, {"d": 10**400}),
    ],
)
def test_what_does_not_fit_is_refused(value: Any) -> None:
    with pytest.raises(ConversionError) as caught:
        written(SCALARS, value)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"t": "2020-01-01T01:00:00+01:00"}, {"t": "2020-01-01T00:00:00Z"}),
        ({"d": "1.5s"}, {"d": "1.500s"}),
        ({"s": {"a": [None, {"c": "x"}]}}, {"s": {"a": [None, {"c": "x"}]}}),
        ({"v": None}, {"v": None}),
        ({"v": 1.5}, {"v": 1.5}),
        ({"l": [1, True]}, {"l": [1, True]}),
        (
            {"w": "5", "y": "AAE=", "x": "", "b": False},
            {"w": "5", "y": "AAE=", "x": "", "b": False},
        ),
        ({"f": "a,bC"}, {"f": "a,bC"}),
        ({"f": 5}, {"f": "5"}),
        ({"e": {}}, {"e": {}}),
    ],
)
def test_well_known_types(value: Any, found: Any) -> None:
    assert given_members(KNOWN_TYPES, value) == found


@pytest.mark.parametrize(
    "value",
    [
        *({"t": 5}, {"t": "yesterday"}, {"d": "1m"}, {"s": []}, {"l": {}}, {"w": "x"}),
        *({"w": "1_0"}, {"e": []}, {"e": ""}, {"t": {}}, {"t": []}, {"a": []}, {"s": ""}),
        {"a": {"@type": "type.googleapis.com/nope", "x": 1}},
    ],
)
def test_well_known_types_refuse_what_is_not_theirs(value: Any) -> None:
    with pytest.raises(ConversionError):
        written(KNOWN_TYPES, value)


def test_required_field_of_proto2_is_named() -> None:
    text = 'syntax = "proto2"; message M { required int32 a = 1; optional string b = 2; }'
    assert round_trip(text, {"a": 1}) == {"a": 1, "b": ""}
    with pytest.raises(ConversionError, match="a"):
        written(text, {"b": "x"})


def test_fields_of_proto2_that_are_not_set_are_read_as_their_defaults() -> None:
    text = (
        'syntax = "proto2"; message M { required int32 a = 1; '
        'optional string b = 2 [default = "x"]; }'
    )
    assert round_trip(text, {"a": 1}) == {"a": 1, "b": "x"}
    assert round_trip(text, {"a": 1, "b": "y"}) == {"a": 1, "b": "y"}


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("optional int64 a = 1 [default = -5]", {"a": "-5"}),
        ("optional float a = 1 [default = 0.1]", {"a": 0.1}),
        ("optional double a = 1 [default = inf]", {"a": "Infinity"}),
        ('optional bytes a = 1 [default = "A"]', {"a": "QQ=="}),
        ("optional bool a = 1", {"a": False}),
        ("optional E a = 1", {"a": "ONE"}),
        ("optional E a = 1 [default = TWO]", {"a": "TWO"}),
        ("repeated E a = 1", {"a": []}),
        ("optional M a = 1", {}),
        ("optional group A = 1 { }", {}),
        ("oneof o { int32 a = 1; }", {}),
        ("extensions 1", {}),
    ],
)
def test_each_kind_of_field_of_proto2_that_is_not_set(field: str, found: Any) -> None:
    text = f'syntax = "proto2"; enum E {{ ONE = 1; TWO = 2; }} message M {{ {field}'
    text += " }" if field.endswith("}") else "; }"
    assert round_trip(text, {}) == found


def test_defaults_of_proto2_are_read_wherever_the_message_is() -> None:
    text = (
        'syntax = "proto2"; import "google/protobuf/descriptor.proto"; '
        "message M { optional google.protobuf.DescriptorProto.ReservedRange r = 1; "
        "extensions 100; } "
        "extend M { optional P x = 100; } message P { optional int32 i = 1 [default = 5]; }"
    )
    assert round_trip(text, {"r": {"start": 1}, "[x]": {}}) == {
        "r": {"start": 1, "end": 0},
        "[x]": {"i": 5},
    }


@pytest.mark.parametrize("value", [{"k": {"1_0": "x"}}, {"k": {" 1": "x"}}, {"v": {"a": True}}])
def test_maps_refuse_what_only_python_takes_for_a_number(value: Any) -> None:
    text = HEAD + "message M { map<int64, string> k = 1; map<string, double> v = 2; }"
    assert round_trip(text, {"k": {"10": "x"}}) == {"k": {"10": "x"}, "v": {}}
    with pytest.raises(ConversionError, match="no number"):
        written(text, value)


def test_groups_are_objects_as_messages_are() -> None:
    text = 'syntax = "proto2"; message M { optional group G = 1 { optional string x = 1; } }'
    assert round_trip(text, {"g": {"x": 5}}) == {"g": {"x": "5"}}
    with pytest.raises(ConversionError, match="g: Expect message object"):
        written(text, {"g": []})


def test_first_message_is_written_and_any_is_read() -> None:
    known = schema(NESTED)
    assert round_trip(NESTED, {"i": {"x": 1}}) == {"i": {"x": 1}}
    prefix = envelope.header(7)
    assert read(known, prefix + b"\x00\x0a\x00") == {"i": {"x": 0}}
    assert read(known, prefix + b"\x02\x02\x0a\x01z") == {"s": "z"}
    assert read(known, prefix + b"\x04\x00\x00\x08\x05") == {"x": 5}
    assert read(known, prefix + b"\x06\x00\x00\x00\x08\x06") == {"y": 6}


@pytest.mark.parametrize(
    "broken",
    [
        *(b"", b"\0", b"\1\0\0\0\7\0", b"\0\0\0\0\7", b"\0\0\0\0\7\x02", b"\0\0\0\0\7\x02\x09"),
        *(b"\0\0\0\0\7\x01\x00", b"\0\0\0\0\7\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        *(b"\0\0\0\0\7\x02\x06", b"\0\0\0\0\7\0\x0a\x05x", b"\0\0\0\0\7\0\xff"),
    ],
)
def test_broken_bytes_are_no_message(broken: bytes) -> None:
    with pytest.raises(DecodeError):
        PROTOBUF.decode(broken, lambda _: schema(NESTED))


def test_schema_of_another_type_is_said() -> None:
    with pytest.raises(DecodeError, match="AVRO"):
        PROTOBUF.decode(b"\0\0\0\0\7\0", lambda _: Schema(7, "AVRO", '"int"'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foobar", "line 1, column 1"),
        ("", "empty"),
        ('syntax = "proto3";', "no message"),
        (HEAD + "message M { Nope n = 1; }", "Nope"),
        (HEAD + "message M {\n int32 a = 1; int32 b = 1; }", "line 3"),
        ("message M { int32 a = 1; }", "label"),
        (HEAD + "message M { int32 a = 0; }", "numbers"),
        (HEAD + "enum E { A = 1; }", "enum"),
        (HEAD + 'import "nope.proto"; message M {}', "nope.proto"),
        (HEAD + 'import "../../etc/passwd"; message M {}', "PROTOBUF"),
        ("\ud800", "cannot be compiled"),
    ],
)
def test_broken_schema_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        PROTOBUF.check(schema(text))


@pytest.mark.parametrize("levels", [100, 300, 5000, 50_000])
@pytest.mark.parametrize(
    "opening",
    ["message A {", "message A { // }\n", "message A { /* } */", "option a = {s: '}' x: "],
)
def test_schema_nested_without_end_is_refused(levels: int, opening: str) -> None:
    """The compiler would end the process."""
    with pytest.raises(SchemaError, match="nested"):
        PROTOBUF.check(schema(HEAD + opening * levels + "}" * levels))
    deep = SchemaReference("a.proto", "a", 1, HEAD + opening * levels)
    with pytest.raises(SchemaError, match="nested"):
        PROTOBUF.check(schema(HEAD + 'import "a.proto"; message M {}', (deep,)))


def test_references_are_imports() -> None:
    inner = SchemaReference("c.proto", "c", 1, HEAD + "package c; message C { int32 v = 1; }")
    middle = SchemaReference(
        "a/b.proto", "b", 1, HEAD + 'import "c.proto"; package b; message B { c.C c = 1; }'
    )
    text = HEAD + 'import "a/b.proto"; message M { b.B b = 1; }'
    known = schema(text, (inner, middle))
    data = PROTOBUF.encoder(known).encode(b'{"b":{"c":{"v":5}}}')
    assert read(known, data) == {"b": {"c": {"v": 5}}}
    serialized = FileDescriptorProto()
    serialized.CopyFrom(compiled(known).own)
    serialized.name = "any.proto"
    base64 = b64encode(serialized.SerializeToString()).decode()
    assert read(schema(base64, (inner, middle)), data) == {"b": {"c": {"v": 5}}}
    for name in ("../x.proto", "/tmp/x.proto", "", "a\0b"):
        with pytest.raises(SchemaError):
            PROTOBUF.check(schema(text, (SchemaReference(name, "s", 1, HEAD),)))


def test_schemas_may_define_the_same_names() -> None:
    other = HEAD + "message M { string a = 1; }"
    assert round_trip(HEAD + "message M { int32 a = 1; }", {"a": 1}) == {"a": 1}
    assert round_trip(other, {"a": "x"}) == {"a": "x"}


@pytest.mark.parametrize("text", [SCALARS, KNOWN_TYPES, NESTED])
def test_agrees_with_confluents_serializers(text: str) -> None:
    """Whose serializer registers a descriptor in base64, which is as good as the text."""
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    make = compiled(schema(text)).first
    value = {"s": "x", "sub": {"i": 5}} if text == SCALARS else {}
    theirs = make()
    json_format.ParseDict(value, theirs)
    options = {"use.deprecated.format": False}
    sent = ProtobufSerializer(make, registry, options)(theirs, CONTEXT)
    schema_id = int.from_bytes(sent[1:5], "big")
    for known in (
        Schema(schema_id, "PROTOBUF", text),
        Schema(schema_id, "PROTOBUF", registry.get_schema(schema_id).schema_str),
    ):
        ours = PROTOBUF.encoder(known).encode(json.dumps(value).encode())
        assert ours == sent
        assert PROTOBUF.decode(sent, lambda _, known=known: known)
    back = ProtobufDeserializer(make, options)(ours, CONTEXT)
    assert back == theirs


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("silbydfuverm"), inner),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_any_json_is_written_or_refused(value: Any) -> None:
    for text in (SCALARS, KNOWN_TYPES):
        with suppress(ConversionError):
            read(schema(text), written(text, value))


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for text in (SCALARS, KNOWN_TYPES):
        with suppress(DecodeError):
            PROTOBUF.decode(envelope.header(7) + data, lambda _, t=text: schema(t))


def test_nesting_without_end_is_refused() -> None:
    deep = b'{"sub":' * 5000 + b"{}" + b"}" * 5000
    with pytest.raises(ConversionError):
        PROTOBUF.encoder(schema(SCALARS)).encode(deep)
    data = b""
    for _ in range(300):
        data = b"\x6a" + _length(data) + data
    with pytest.raises(DecodeError):
        PROTOBUF.decode(envelope.header(7) + b"\0" + data, lambda _: schema(SCALARS))


def _length(data: bytes) -> bytes:
    size, out = len(data), b""
    while size >= 0x80:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size])
