"""JSON by a schema, a column at once: never a value that the schema refuses."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError, SchemaError
from kafka_rest.records import Schema

JSCH = FORMATS["jsonschema"]
DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2020-12/schema",
]
USER = {
    "type": "object",
    "title": "User",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "mail": {"oneOf": [{"type": "null", "title": "Not included"}, {"type": "string"}]},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 2},
        "suit": {"enum": ["SPADES", "HEARTS"]},
        "more": {},
    },
    "required": ["age", "name"],
}
JOHN = {"name": "J", "age": 1}


def registered(schema: Any) -> Schema:
    return Schema(7, "JSON", json.dumps(schema))


def together(schema: Any, *values: Any) -> list[bytes] | None:
    """A column at once; None where it has to be looked at one by one."""
    encode_all = JSCH.encoder(registered(schema)).encode_all
    if encode_all is not None:
        with suppress(ConversionError):
            return encode_all([json.dumps(value).encode() for value in values])
    return None


def alone(schema: Any, *values: Any) -> list[bytes]:
    encode = JSCH.encoder(registered(schema)).encode
    return [encode(json.dumps(value).encode()) for value in values]


def test_values_of_a_usual_schema_are_checked_at_once() -> None:
    values = [
        JOHN,
        {**JOHN, "mail": None, "tags": ["a", None], "suit": "HEARTS", "more": [1], "extra": 2},
        {**JOHN, "mail": "x", "tags": []},
    ]
    assert together(USER, *values) == alone(USER, *values)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "J"},
        {**JOHN, "age": -1},
        {**JOHN, "age": 1.5},
        {**JOHN, "age": True},
        {**JOHN, "name": ""},
        {**JOHN, "mail": 1},
        {**JOHN, "tags": ["a", "b", "c"]},
        {**JOHN, "suit": "x"},
        [],
        None,
    ],
)
def test_one_bad_value_sends_all_to_the_schema(value: Any) -> None:
    assert together(USER, JOHN, value) is None
    with pytest.raises(ConversionError):
        alone(USER, JOHN, value)


@pytest.mark.parametrize(
    "rule",
    [
        {"pattern": "a"},
        {"type": "string", "format": "email"},
        {"$ref": "#"},
        {"not": {"type": "null"}},
        {"anyOf": [{"type": "string"}]},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "uniqueItems": True},
        {"type": "number", "multipleOf": 2},
        {"oneOf": [{}, {"type": "string"}]},
        {"minLength": 2},
        True,
    ],
)
def test_schema_with_other_rules_looks_at_each_value(rule: Any) -> None:
    schema = {"type": "object", "properties": {"a": rule}}
    assert JSCH.encoder(registered(schema)).encode_all is None


SIMPLE = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
BOUNDS = st.dictionaries(
    st.sampled_from(["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"]),
    st.integers(0, 3),
    max_size=2,
)
EXCLUSIVE = st.dictionaries(
    st.sampled_from(["exclusiveMinimum", "exclusiveMaximum"]), st.integers(-2, 2), max_size=1
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas that hold others."""
    of_object = st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
            "additionalProperties": st.booleans(),
        },
    )
    of_array = st.fixed_dictionaries({"type": st.just("array"), "items": inner})
    one_of = st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=2, max_size=2)})
    return of_object | of_array | one_of


SCHEMAS = st.recursive(
    st.builds(lambda kind, more: {"type": kind, **more}, SIMPLE, BOUNDS | EXCLUSIVE)
    | st.fixed_dictionaries({"type": st.lists(SIMPLE, min_size=1, max_size=3, unique=True)})
    | st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", "b", 1, None]), min_size=1)})
    | st.just({})
    | st.just({"type": "string", "format": "unheard-of"}),
    larger,
    max_leaves=5,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 4)
    | st.sampled_from([10**30, -(10**30), 1.0, 0.5, -1.5, 1e300, "a", "b", "", "abcd", "é😀"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.sampled_from(DRAFTS), st.lists(VALUES, min_size=1, max_size=2))
@example({"type": "integer", "maximum": 3}, DRAFTS[1], [10**30])
@example({"type": "array"}, DRAFTS[1], [[{}]])
def test_no_value_is_taken_that_the_schema_refuses(
    schema: Any, draft: str, values: list[Any]
) -> None:
    whole = {"$schema": draft, **schema}
    with suppress(SchemaError):
        found = together(whole, *values)
        if found is not None:
            assert found == alone(whole, *values)


@pytest.mark.parametrize("text", [rb'{"\u0061":"x"}', b'{"a":1,"a":"x"}', b'{"a":"x","a":1}'])
def test_members_are_known_however_they_are_written(text: bytes) -> None:
    known = registered({"type": "object", "properties": {"a": {"type": "integer"}}})
    encoder = JSCH.encoder(known)
    assert encoder.encode_all is not None
    with pytest.raises(ConversionError):
        encoder.encode_all([text])
