"""JSON-encoded Avro: the codec against Apache's and confluent-kafka's, and its refusals."""

import io
import json
import struct
from contextlib import suppress
from typing import Any

import avro.io
import avro.schema
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from kafka_rest.formats import FORMATS, envelope
from kafka_rest.formats.avro_read import MOST_EMPTY_ITEMS
from kafka_rest.formats.embedded import ConversionError, DecodeError, SchemaError
from kafka_rest.records import Schema, SchemaReference

AVRO = FORMATS["avro"]

ADDRESS = {
    "type": "record",
    "name": "Address",
    "namespace": "shop",
    "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": "int"}],
}
LIST = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "Node"]}],
}
SUIT = {"type": "enum", "name": "Suit", "symbols": ["SPADES", "HEARTS"]}
FOUR = {"type": "fixed", "name": "Four", "size": 4}
WIDE = {
    "type": "record",
    "name": "Wide",
    "fields": [
        {"name": "b", "type": "boolean"},
        {"name": "l", "type": "long"},
        {"name": "d", "type": "double"},
        {"name": "s", "type": "string"},
        {"name": "u", "type": ["null", "string", {"type": "array", "items": "int"}]},
        {"name": "m", "type": {"type": "map", "values": "long"}},
        {"name": "e", "type": SUIT},
    ],
}

# (schema, datum as Apache's writer takes it, the JSON text)
SAME: list[tuple[Any, Any, str]] = [
    ("null", None, "null"),
    ("boolean", True, "true"),
    ("boolean", False, "false"),
    ("int", 0, "0"),
    ("int", -(2**31), "-2147483648"),
    ("int", 2**31 - 1, "2147483647"),
    ("long", 2**63 - 1, "9223372036854775807"),
    ("long", -(2**63), "-9223372036854775808"),
    ("float", 1.5, "1.5"),
    ("double", 1e300, "1e300"),
    ("double", 3.0, "3"),
    ("string", "", '""'),
    ("string", "zoë 😀", '"zoë 😀"'),
    ("bytes", b"", '""'),
    ("bytes", b"\x00\xff\x80", '"\\u0000ÿ\\u0080"'),
    (FOUR, b"\x00\xffab", '"\\u0000ÿab"'),
    (SUIT, "HEARTS", '"HEARTS"'),
    ({"type": "array", "items": "int"}, [], "[]"),
    ({"type": "array", "items": "string"}, ["a", "b"], '["a","b"]'),
    ({"type": "map", "values": "int"}, {"a": 1}, '{"a":1}'),
    ({"type": "record", "name": "Empty", "fields": []}, {}, "{}"),
    (ADDRESS, {"city": "Ulm", "zip": 89073}, '{"zip":89073,"city":"Ulm"}'),
    (LIST, {"v": 1, "next": {"v": 2, "next": None}}, '{"v":1,"next":{"Node":{"v":2,"next":null}}}'),
    (
        WIDE,
        {"b": True, "l": -5, "d": 0.5, "s": "x", "u": [1, 2], "m": {"k": 9}, "e": "SPADES"},
        '{"b":true,"l":-5,"d":0.5,"s":"x","u":{"array":[1,2]},"m":{"k":9},"e":"SPADES"}',
    ),
]


def registered(schema: Any, schema_id: int = 7, *references: SchemaReference) -> Schema:
    return Schema(schema_id, "AVRO", json.dumps(schema), tuple(references))


def encode(schema: Any, text: str) -> bytes:
    return AVRO.encoder(registered(schema)).encode(text.encode())


def decode(schema: Any, data: bytes) -> Any:
    return json.loads(AVRO.decode(data, lambda _: registered(schema)))


def apache(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    writer = avro.io.DatumWriter(avro.schema.parse(json.dumps(schema)))
    writer.write(datum, avro.io.BinaryEncoder(out))
    return b"\0" + (7).to_bytes(4, "big") + out.getvalue()


CONTEXT = SerializationContext("t", MessageField.VALUE)


FRAMED = [row for row in SAME if row[0] != "bytes"]


@pytest.mark.parametrize(("schema", "datum", "text"), FRAMED)
def test_writes_what_apache_writes(schema: Any, datum: Any, text: str) -> None:
    assert encode(schema, text) == apache(schema, datum)


@pytest.mark.parametrize(("schema", "datum", "text"), FRAMED)
def test_reads_what_apache_writes(schema: Any, datum: Any, text: str) -> None:
    assert decode(schema, apache(schema, datum)) == json.loads(text)


@pytest.mark.parametrize(("schema", "datum", "text"), [row for row in SAME if row[0] != "null"])
def test_agrees_with_confluents_serializer(schema: Any, datum: Any, text: str) -> None:
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    theirs = AvroSerializer(registry, json.dumps(schema))(datum, CONTEXT)
    known = registered(schema, int.from_bytes(theirs[1:5], "big"))
    ours = AVRO.encoder(known).encode(text.encode())
    assert ours == theirs
    if len(ours) > 5:
        # Its deserializer refuses a value that takes no bytes, which its serializer writes.
        assert AvroDeserializer(registry)(ours, CONTEXT) == datum


def test_record_of_another_kind_of_schema_is_told_apart_from_a_failure() -> None:
    other = Schema(7, "JSON", '{"type":"object"}')
    broken = Schema(8, "AVRO", "{")
    for schema in (other, broken):
        data = envelope.header(schema.schema_id) + b"{}"
        with pytest.raises(DecodeError):
            AVRO.decode(data, lambda _id, found=schema: found)
        with pytest.raises(DecodeError):
            AVRO.decode_all([data], lambda _id, found=schema: found)


def test_bytes_that_are_the_whole_value_have_no_length() -> None:
    """As the serializers for Java and Python write and read them; Apache's writer alone differs."""
    assert encode("bytes", '"\\u0000ÿ"') == b"\0\0\0\0\7" + b"\x00\xff"
    assert decode("bytes", b"\0\0\0\0\7" + b"\x06abc") == "\x06abc"


def test_union_at_the_top_is_read_without_its_branch() -> None:
    schema = ["null", "int", ADDRESS]
    assert decode(schema, encode(schema, '{"int":12}')) == 12
    text = '{"shop.Address":{"city":"Ulm","zip":1}}'
    assert decode(schema, encode(schema, text)) == {"city": "Ulm", "zip": 1}
    assert decode(schema, encode(schema, "null")) is None


@pytest.mark.parametrize(
    ("schema", "nullable"),
    [("null", True), (["null", "int"], True), (["int", "string"], False), ("int", False)],
)
def test_null_passes_where_the_schema_has_it(schema: Any, nullable: bool) -> None:
    encoder = AVRO.encoder(registered(schema))
    assert encoder.nullable is nullable
    assert nullable or "VALUE_NULL" in encoder.null_error


@pytest.mark.parametrize(
    ("schema", "text", "detail"),
    [
        ("null", "1", "Expected null. Got VALUE_NUMBER_INT"),
        ("boolean", '"true"', "Expected boolean. Got VALUE_STRING"),
        ("int", "false", "Expected int. Got VALUE_FALSE"),
        ("int", "5000000000", "Numeric value (5000000000) out of range of int"),
        ("long", "9223372036854775808", "out of range of long"),
        ("long", "1" * 60, "out of range of long"),
        ("float", '"1"', "Expected float. Got VALUE_STRING"),
        ("double", '"NaN"', "Expected double. Got VALUE_STRING"),
        ("float", "1e300", "out of range of float"),
        ("string", "1", "Expected string. Got VALUE_NUMBER_INT"),
        ("bytes", "[]", "Expected bytes. Got START_ARRAY"),
        (FOUR, '"abc"', "Expected fixed length 4, but got 3"),
        (SUIT, '"CLUBS"', "Unknown symbol in enum Suit"),
        ({"type": "array", "items": "int"}, "{}", "Expected array-start. Got START_OBJECT"),
        ({"type": "map", "values": "int"}, "[]", "Expected map-start. Got START_ARRAY"),
        (ADDRESS, "[]", "Expected record-start. Got START_ARRAY"),
        (ADDRESS, '{"city":"x"}', "Expected field name not found: zip"),
        (ADDRESS, '{"city":"x","zip":"y"}', "zip: Expected int. Got VALUE_STRING"),
        (["null", "int"], "1", "Expected start-union. Got VALUE_NUMBER_INT"),
        (["null", "int"], "{}", "Expected start-union. Got END_OBJECT"),
        (["null", "int"], '{"long":1}', "Unknown union branch long"),
        (["null", ADDRESS], '{"Address":{}}', "Unknown union branch Address"),
        (["null", "int"], '{"int":1,"null":null}', "Expected union-end. Got FIELD_NAME"),
        (LIST, '{"v":1,"next":{"Node":{"v":2,"next":null,"x":1}}}', "next.Node.x: Expected record"),
        (LIST, '{"v":1.5,"next":null}', "v: Expected int. Got a fraction"),
        ({"type": "array", "items": "int"}, "[1,2,false]", "[2]: Expected int. Got VALUE_FALSE"),
        ({"type": "map", "values": ADDRESS}, '{"k":{"city":1,"zip":1}}', "k.city: Expected string"),
        ("int", "[" * 50_000 + "]" * 50_000, "nested"),
    ],
)
def test_refusal_names_the_place_and_the_reason(schema: Any, text: str, detail: str) -> None:
    with pytest.raises(ConversionError) as refused:
        encode(schema, text)
    assert detail in str(refused.value)


def test_unknown_member_is_ignored_in_the_outermost_record_only() -> None:
    assert decode(ADDRESS, encode(ADDRESS, '{"city":"x","zip":1,"more":2}')) == {
        "city": "x",
        "zip": 1,
    }


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert decode(ADDRESS, encode(ADDRESS, '{"city":"x","zip":1e3}'))["zip"] == 1000


def test_fraction_of_a_whole_int_is_cut_off() -> None:
    assert decode("int", encode("int", "-1.9")) == -1


@pytest.mark.parametrize(("value", "shown"), [(0.1, 0.1), (3.4e38, 3.4e38), (1 / 3, 0.33333334)])
def test_float_is_shown_with_its_own_digits(value: float, shown: float) -> None:
    assert decode("float", apache("float", value)) == shown


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(("kind", "code"), [("float", "<f"), ("double", "<d")])
def test_what_json_has_no_number_for_is_text(name: str, kind: str, code: str) -> None:
    data = b"\0\0\0\0\7" + struct.pack(code, float(name.replace("Infinity", "inf")))
    assert decode(kind, data) == name


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("int", b""),
        ("int", b"\xff" * 11),
        ("string", b"\x0aabc"),
        ("string", b"\x01"),
        ("string", b"\x04\xff\xfe"),
        ("double", b"1234"),
        (FOUR, b"abc"),
        (SUIT, b"\x08"),
        (["null", "int"], b"\x06"),
        (["null", "int"], b"\x01"),
        ({"type": "array", "items": "int"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ({"type": "array", "items": "null"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (ADDRESS, b"\x02a"),
        (LIST, b"\x02\x02" * 100_000),
    ],
)
def test_data_of_another_schema_is_a_decode_error(schema: Any, data: bytes) -> None:
    with pytest.raises(DecodeError, match="for id 7"):
        decode(schema, b"\0\0\0\0\7" + data)


def test_many_empty_items_are_bounded() -> None:
    schema = {"type": "array", "items": "null"}
    assert decode(schema, b"\0\0\0\0\7\x06\0") == [None] * 3
    assert MOST_EMPTY_ITEMS < 10_000_000


@pytest.mark.parametrize("data", [b"", b"abc", b"\1\0\0\0\7\2", b"\0\0\0\0"])
def test_data_without_an_envelope_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError, match="id -1"):
        decode("int", data)


def test_bytes_behind_the_value_are_not_looked_at() -> None:
    assert decode("int", b"\0\0\0\0\7\x02rest") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nonsense",
        "int",
        '"nonsense"',
        "{}",
        "1",
        "null",
        "[",
        '{"type":"record"}',
        '{"type":"record","name":"R"}',
        '{"type":"record","name":"1R","fields":[]}',
        '{"type":"record","name":"R","fields":[{"name":"1a","type":"int"}]}',
        '{"type":"record","name":"R","fields":"x"}',
        '{"type":"record","name":"R","fields":[1]}',
        '{"type":"record","name":"R","fields":[{"name":"a"}]}',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
        '{"type":"enum","name":"E"}',
        '{"type":"enum","name":"E","symbols":["A","A"]}',
        '{"type":"enum","name":"E","symbols":["A-B"]}',
        '{"type":"enum","name":"E","symbols":["A\\n"]}',
        '{"type":"enum","name":"E","symbols":[1]}',
        '{"type":"enum","name":"1E","symbols":["A"]}',
        '{"type":"fixed","name":"F"}',
        '{"type":"fixed","name":"F-1","size":1}',
        '{"type":"record","name":"my-app.Key-1","fields":[]}',
        '{"type":"record","name":"my-app.","fields":[]}',
        '{"type":"record","name":"","namespace":"my-app","fields":[]}',
        '{"type":"record","name":"R","namespace":1,"fields":[]}',
        '{"type":"record","name":"R","namespace":"\\ud800","fields":[]}',
        '{"type":"record","name":"R","fields":[{"type":"int"}]}',
        '{"type":"record","name":"R","fields":[{"name":"\\ud835\\udc00","type":"int"}]}',
        '{"type":"record","name":"R","fields":[{"name":"x²","type":"int"}]}',
        '{"type":"error_union","declared_errors":[]}',
        '{"type":"array"}',
        '{"type":"map"}',
        '["int","int"]',
        '[["int"],"string"]',
        '{"type":"array","items":"Missing"}',
        "[" * 5000 + "]" * 5000,
    ],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        AVRO.check(Schema(-1, "AVRO", text))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "int"},
        {"name": "int", "type": "int", "more": 1},
        {"type": "int", "logicalType": "date"},
        {"type": "bytes", "logicalType": "decimal", "precision": 4},
        {"type": "int", "logicalType": "unheard-of"},
        {
            "type": "record",
            "name": "R",
            "doc": "d",
            "fields": [{"name": "a", "type": "int", "default": "wrong", "aliases": ["old"]}],
        },
    ],
)
def test_attributes_that_say_nothing_are_passed_over(schema: Any) -> None:
    AVRO.check(registered(schema))


def test_named_types_come_from_references() -> None:
    order = {
        "type": "record",
        "name": "Order",
        "fields": [{"name": "to", "type": "shop.Address"}, {"name": "suit", "type": "Suit"}],
    }
    schema = registered(
        order,
        7,
        SchemaReference("Suit", "suit", 1, json.dumps(SUIT)),
        SchemaReference("shop.Address", "address", 1, json.dumps(ADDRESS)),
    )
    text = b'{"to":{"city":"Ulm","zip":1},"suit":"HEARTS"}'
    data = AVRO.encoder(schema).encode(text)
    assert AVRO.decode(data, lambda _: schema) == text


def dashed(namespace: str) -> Any:
    """A record in a namespace, with every kind of named type in it."""
    key = {"type": "record", "name": "Key", "fields": [{"name": "größe_1", "type": "int"}]}
    color = {"type": "enum", "name": "Color", "symbols": ["RED", "GRÜN"]}
    code = {"type": "fixed", "name": "Code", "size": 2}
    fields = [
        {"name": "key", "type": key},
        {"name": "one", "type": [color, code, f"{namespace}.Key", "null"]},
        {"name": "all", "type": {"type": "array", "items": ["null", f"{namespace}.Color"]}},
        {"name": "next", "type": ["null", f"{namespace}.Item"]},
    ]
    return {"type": "record", "name": "Item", "namespace": namespace, "fields": fields}


# The last ones are what would be read as something else, were they written into a source as is.
NAMESPACES = (
    *("my-app.inventory", "a b", "größe", "1.2", "😀", "{0}{x}%s", "a..b"),
    *("'];raise SystemExit#", '"""', "\\", "\n    raise SystemExit\n", "\r\u2028", "\0"),
)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespace_may_be_any_text(namespace: str) -> None:
    schema = registered(dashed(namespace))
    one = [{"Color": "GRÜN"}, {"Code": "ab"}, {"Key": {"größe_1": 2}}]
    values: list[Any] = [
        {
            "key": {"größe_1": 1},
            "one": {f"{namespace}.{name}": value for name, value in branch.items()} or None,
            "all": [{f"{namespace}.Color": "RED"}, None],
            "next": None,
        }
        for branch in (*one, {})
    ]
    values[0]["next"] = {f"{namespace}.Item": values[1]}
    texts = [json.dumps(value).encode() for value in values]
    encoder = AVRO.encoder(schema)
    stored = [encoder.encode(text) for text in texts]
    assert AVRO.record_name(schema) == f"{namespace}.Item"
    assert [json.loads(AVRO.decode(data, lambda _: schema)) for data in stored] == values
    assert list(map(json.loads, AVRO.decode_all(stored, lambda _: schema))) == values


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_column_is_packed_whatever_the_namespace(namespace: str) -> None:
    color = {"type": "enum", "name": f"{namespace}.Color", "symbols": ["RED", "GRÜN"]}
    code = {"type": "fixed", "name": f"{namespace}.Code", "size": 2}
    field = {"name": "größe", "type": [color, "null", code]}
    item = {"type": "record", "name": "Item", "namespace": namespace, "fields": [field]}
    encoder = AVRO.encoder(registered(item))
    branches = {f"{namespace}.Color": "GRÜN"}, {f"{namespace}.Code": "ab"}, None
    texts = [json.dumps({"größe": branch}).encode() for branch in branches]
    stored = [encoder.encode(text) for text in texts]
    assert [data[5:] for data in stored] == [b"\0\2", b"\4ab", b"\2"]
    # A name that is escaped in JSON is for one value at a time.
    escaped = set(namespace) & set('"\\\n\r\0')
    assert (encoder.encode_all is None) == bool(escaped)
    if encoder.encode_all is not None:
        assert encoder.encode_all(texts) == stored


def test_type_of_a_dashed_namespace_comes_from_a_reference() -> None:
    item = SchemaReference("Item", "item", 1, json.dumps(dashed("my-app.inventory")))
    used = {"type": "array", "items": ["null", "my-app.inventory.Key", "my-app.inventory.Color"]}
    schema = registered(used, 7, item)
    text = '[{"my-app.inventory.Key":{"größe_1":5}},{"my-app.inventory.Color":"GRÜN"},null]'
    data = AVRO.encoder(schema).encode(text.encode())
    assert data[5:] == b"\x06\x02\x0a\x04\x02\0\0"
    assert AVRO.decode(data, lambda _: schema) == text.encode()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "record", "name": "my-app.Key-1", "fields": []}, "'Key-1' is not a valid name"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B-C"]}, "'B-C' is not a valid enum"),
        ({"type": "record", "name": "R", "fields": [{"name": "1a"}]}, "'1a' is not a valid field"),
    ],
)
def test_illegal_name_is_told(schema: Any, text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        AVRO.check(registered(schema))


@pytest.mark.parametrize(
    "schema",
    [
        "\ud800",
        ["\ud800", "\ud800"],
        {"type": "\ud800"},
        {"type": "record", "name": "\ud800", "fields": []},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "\ud800"}]},
        {"type": "record", "name": "R", "namespace": "\ud800", "fields": []},
    ],
)
def test_refusal_of_half_a_character_can_be_answered(schema: Any) -> None:
    with pytest.raises(SchemaError) as refused:
        AVRO.check(registered(schema))
    assert str(refused.value).encode()


def test_schema_is_compiled_once() -> None:
    assert AVRO.encoder(registered(WIDE)) is AVRO.encoder(registered(WIDE))


_wide = st.fixed_dictionaries(
    {
        "b": st.booleans(),
        "l": st.integers(-(2**63), 2**63 - 1),
        "d": st.floats(allow_nan=False, allow_infinity=False),
        "s": st.text(st.characters(codec="utf-8")),
        "u": st.one_of(
            st.none(),
            st.builds(lambda s: {"string": s}, st.text(st.characters(codec="utf-8"))),
            st.builds(lambda a: {"array": a}, st.lists(st.integers(-5, 5))),
        ),
        "m": st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(-9, 9)),
        "e": st.sampled_from(["SPADES", "HEARTS"]),
    }
)


@given(_wide)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert decode(WIDE, encode(WIDE, json.dumps(value))) == value


@given(st.binary(max_size=200))
def test_random_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    for schema in (WIDE, LIST, ["null", "string"], {"type": "map", "values": "bytes"}):
        with suppress(DecodeError):
            decode(schema, b"\0\0\0\0\7" + data)
