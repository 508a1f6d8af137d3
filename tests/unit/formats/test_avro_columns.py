"""Avro codecs of whole columns: any schema, against fastavro and against one value at a time."""

import io
import json
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError, DecodeError
from kafka_rest.records import Schema

AVRO = FORMATS["avro"]
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
LATIN = st.text(st.characters(max_codepoint=255), max_size=5)

SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    # Others are shown with their shortest digits.
    "float": st.integers(-1000, 1000).map(lambda number: number / 4),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": TEXT,
    "bytes": LATIN,
}
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "Node"]}],
}

Case = tuple[Any, st.SearchStrategy[Any]]
"""A schema and its values as JSON-encoded Avro."""


@st.composite
def cases(draw: Any, depth: int = 3, names: Any = None, unions: bool = True) -> Case:
    """Any schema; names are given once."""
    names = iter(range(1000)) if names is None else names
    kinds = [*SIMPLE, "enum", "fixed"]
    kind = draw(
        st.sampled_from(
            kinds + ["array", "map", "record", *(["union"] * unions)] * 3 if depth else kinds
        )
    )
    if kind in SIMPLE:
        return kind, SIMPLE[kind]
    if kind == "enum":
        symbols = ["A", "B", "C"]
        return {"type": kind, "name": f"E{next(names)}", "symbols": symbols}, st.sampled_from(
            symbols
        )
    if kind == "fixed":
        found = st.text(st.characters(max_codepoint=255), min_size=3, max_size=3)
        return {"type": kind, "name": f"F{next(names)}", "size": 3}, found
    inner = [draw(cases(depth - 1, names, unions)) for _ in range(draw(st.integers(1, 3)))]
    if kind == "array":
        return {"type": kind, "items": inner[0][0]}, st.lists(inner[0][1], max_size=3)
    if kind == "map":
        return {"type": kind, "values": inner[0][0]}, st.dictionaries(TEXT, inner[0][1], max_size=3)
    if kind == "union":
        return union(inner, draw(st.booleans()))
    name = f"R{next(names)}"
    fields = [{"name": f"f{n}", "type": schema} for n, (schema, _) in enumerate(inner)]
    values = st.fixed_dictionaries({f"f{n}": found for n, (_, found) in enumerate(inner)})
    return {"type": kind, "name": name, "fields": fields}, values


def branch(schema: Any) -> str:
    """The name of a union's branch."""
    return schema if isinstance(schema, str) else schema.get("name", schema["type"])


def union(inner: list[Case], nullable: bool) -> Case:
    """A union of those that are not alike."""
    kinds = {branch(s): (s, v) for s, v in inner if not isinstance(s, list) and s != "null"}
    values = [v.map(lambda value, name=name: {name: value}) for name, (_, v) in kinds.items()]
    schemas = [s for s, _ in kinds.values()]
    if nullable or not kinds:
        return [*schemas, "null"], st.one_of(*values, st.none())
    return schemas, st.one_of(*values)


def datum(schema: Any, value: Any) -> Any:
    """A value without unions as fastavro takes it."""
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("bytes", "fixed"):
        return value.encode("latin-1")
    if kind == "array":
        return [datum(schema["items"], item) for item in value]
    if kind == "map":
        return {key: datum(schema["values"], item) for key, item in value.items()}
    if kind == "record":
        return {f["name"]: datum(f["type"], value[f["name"]]) for f in schema["fields"]}
    return value


def fastavros(schema: Any, value: Any) -> bytes:
    """What fastavro writes."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum(schema, value))
    return out.getvalue()


def registered(schema: Any, schema_id: int = 7) -> Schema:
    return Schema(schema_id, "AVRO", json.dumps(schema))


def together(schema: Schema, texts: list[bytes]) -> list[bytes] | None:
    """A column at once; None where it has to be looked at one by one."""
    encode_all = AVRO.encoder(schema).encode_all
    if encode_all is not None:
        with suppress(ConversionError):
            return encode_all(texts)
    return None


def alone(schema: Schema, texts: list[bytes]) -> list[bytes] | None:
    """One by one; None where one is refused."""
    with suppress(ConversionError):
        return [AVRO.encoder(schema).encode(text) for text in texts]
    return None


def shown(schema: Any, value: Any) -> Any:
    """A value as an answer shows it."""
    return next(iter(value.values())) if isinstance(schema, list) and value is not None else value


@given(cases(), st.data())
def test_column_of_any_schema_is_written_and_read_back(case: Case, data: Any) -> None:
    schema, values = case
    known = registered(schema)
    sent = data.draw(st.lists(values, min_size=1, max_size=4))
    texts = [json.dumps(value).encode() for value in sent]
    stored = alone(known, texts)
    assert stored is not None
    if schema != "bytes":
        assert together(known, texts) == stored
    read = AVRO.decode_all(stored, lambda _: known)
    assert read == [AVRO.decode(one, lambda _: known) for one in stored]
    assert [json.loads(text) for text in read] == [shown(schema, value) for value in sent]


# Fastavro chooses branches by the value alone; here bytes that are the whole value have no length.
@given(cases(unions=False).filter(lambda case: case[0] != "bytes"), st.data())
def test_column_of_any_schema_is_written_as_fastavro_does(case: Case, data: Any) -> None:
    schema, values = case
    value = data.draw(values)
    texts = [json.dumps(value).encode()]
    assert alone(registered(schema), texts) == [b"\0\0\0\0\7" + fastavros(schema, value)]


ODD = [
    "1.0",
    "-0",
    "-0.0",
    "1e400",
    "1e2",
    "true",
    "null",
    '"x"',
    '"Infinity"',
    "[]",
    "{}",
    "[1.5]",
]
ODD += [
    '{"f0":1}',
    '{"f0":1,"f1":2,"more":3}',
    '{"string":"a","string":1}',
    '{"int":1,"string":"a"}',
]
ODD += [
    '{"null":null}',
    '"\\ud800"',
    '"\\u0100bc"',
    "9" * 30,
    "1" + "0" * 400,
    "{",
    '{"f0":1,"f0":2}',
]


@given(cases(), st.sampled_from(ODD))
@example(("double", st.none()), "-0")
@example(("float", st.none()), "1e39")
@example((["int", "string"], st.none()), '{"int":1,"string":"a"}')
@example((["null", "string"], st.none()), '{"null":null}')
def test_odd_values_are_refused_or_the_same_as_alone(case: Case, text: str) -> None:
    schema, _ = case
    found = together(registered(schema), [text.encode()])
    if found is not None:
        assert found == alone(registered(schema), [text.encode()])


@given(cases(), st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_random_column_is_read_or_a_decode_error(case: Case, column: list[bytes]) -> None:
    known = registered(case[0])
    with suppress(DecodeError):
        read = AVRO.decode_all([b"\0\0\0\0\7" + data for data in column], lambda _: known)
        assert [json.loads(text) is not ... for text in read] == [True] * len(column)


def test_column_of_several_schemas_is_read_by_each() -> None:
    known = {1: registered("int", 1), 2: registered("string", 2)}
    stored = [AVRO.encoder(known[1]).encode(b"5"), AVRO.encoder(known[2]).encode(b'"x"')]
    assert AVRO.decode_all(stored, known.__getitem__) == [b"5", b'"x"']


def deep(levels: int) -> Any:
    return {"type": "array", "items": deep(levels - 1)} if levels else "int"


def doubled(levels: int) -> Any:
    """A record that holds another twice, and so on: twice the parts at every level."""
    if not levels:
        return "int"
    fields = [{"name": "a", "type": doubled(levels - 1)}]
    fields.append({"name": "b", "type": f"R{levels - 1}" if levels > 1 else "int"})
    return {"type": "record", "name": f"R{levels}", "fields": fields}


FIXED = [{"type": "fixed", "name": f"F{n}", "size": 1} for n in range(600)]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (deep(60), "[" * 60 + "1,2" + "]" * 60),
        (FIXED, '{"F599":"x"}'),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": f"f{n}", "type": "int"} for n in range(600)],
            },
            json.dumps({f"f{n}": n for n in range(600)}),
        ),
        (NODE, '{"v":1,"next":{"Node":{"v":2,"next":null}}}'),
        (
            {
                "type": "record",
                "name": "class",
                "fields": [{"name": "def", "type": "int"}, {"name": "__init__", "type": "string"}],
            },
            '{"def":1,"__init__":"x"}',
        ),
    ],
    ids=["deep", "wide union", "wide record", "recursive", "keywords"],
)
def test_schemas_that_python_might_not_like(schema: Any, text: str) -> None:
    known = registered(schema)
    stored = alone(known, [text.encode()])
    assert stored is not None
    assert together(known, [text.encode()]) in (None, stored)
    expected = shown(schema, json.loads(text))
    assert json.loads(AVRO.decode_all(stored, lambda _: known)[0]) == expected


def test_record_that_grows_without_end_is_written_one_by_one() -> None:
    schema = registered(doubled(20))
    assert AVRO.encoder(schema).encode_all is None
    assert AVRO.encoder(registered(doubled(3))).encode_all is not None


def test_data_nested_without_end_is_a_decode_error() -> None:
    known = registered(NODE)
    for levels in (100, 700, 5_000):
        with suppress(DecodeError):
            json.loads(AVRO.decode(b"\0\0\0\0\7" + b"\2\2" * levels + b"\2\0", lambda _: known))
