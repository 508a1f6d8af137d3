"""JSON by a schema: drafts, references, formats, and confluent-kafka's serializers."""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from kafka_rest.errors import SchemaRegistryFailure
from kafka_rest.formats import FORMATS, envelope
from kafka_rest.formats.embedded import (
    ConversionError,
    DecodeError,
    SchemaError,
    SchemaRefused,
)
from kafka_rest.records import Schema, SchemaReference

JSCH = FORMATS["jsonschema"]
CONTEXT = SerializationContext("t", MessageField.VALUE)
USER = {
    "title": "User",
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    "required": ["a"],
}
DRAFTS = "http://json-schema.org/draft"
DRAFT_2019, DRAFT_2020 = (
    f"https://json-schema.org/draft/{d}/schema" for d in ("2019-09", "2020-12")
)
POINT = {"$id": "http://example.org/p.json", "properties": {"x": {"type": "integer"}}}


def schema(contents: Any, references: tuple[SchemaReference, ...] = ()) -> Schema:
    return Schema(7, "JSON", json.dumps(contents), references)


def written(contents: Any, text: str) -> bytes:
    return JSCH.encoder(schema(contents)).encode(text.encode())


def refusal(contents: Any, text: str) -> str:
    with pytest.raises(ConversionError) as caught:
        written(contents, text)
    return str(caught.value)


def test_stored_is_the_text_as_it_came() -> None:
    assert written({}, '{ "b": 1.10, "a": 1e5 }') == envelope.header(7) + b'{"b":1.10,"a":1e5}'


@pytest.mark.parametrize(
    ("contents", "fine", "wrong"),
    [
        (USER, '{"a":1,"b":"x","more":[null]}', '{"a":1,"b":2}'),
        (USER, '{"a":1}', "{}"),
        ({"type": "boolean"}, "false", "0"),
        ({"type": "integer"}, "12345678901234567890", "1.5"),
        ({"type": "integer"}, "0", "2.0"),
        ({"type": "number"}, "0.1", '"1"'),
        ({"type": "string", "maxLength": 2}, '"😀"', '"abc"'),
        ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "[1,2]", "[1,1]"),
        ({"oneOf": [{"type": "integer"}, {"type": "object"}], "not": {"const": 7}}, "1", "7"),
        ({"format": "date-time"}, '"2020-01-01T00:00:00Z"', '"yesterday"'),
        ({"format": "email"}, '"a@b.org"', '"nope"'),
        ({"additionalProperties": False, "properties": {"a": {}}}, '{"a":1}', '{"b":1}'),
        (
            {"properties": {"p": {"$ref": "#/definitions/P"}}, "definitions": {"P": USER}},
            '{"p":{"a":1}}',
            '{"p":{}}',
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "minimum": 1,
                "exclusiveMinimum": True,
            },
            "2",
            "1",
        ),
        ({"$schema": "http://json-schema.org/draft-06/schema#", "exclusiveMinimum": 1}, "2", "1"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "if": True, "then": False},
            "",
            "1",
        ),
        (
            {
                "$schema": "https://json-schema.org/draft/2019-09/schema",
                "dependentRequired": {"a": ["b"]},
            },
            '{"a":1,"b":1}',
            '{"a":1}',
        ),
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "prefixItems": [{"const": 1}],
            },
            "[1,2]",
            "[2]",
        ),
        (
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"},
            "2.0",
            "1.5",
        ),
        (False, "", "1"),
    ],
)
def test_values_are_validated_by_the_draft(contents: Any, fine: str, wrong: str) -> None:
    if fine:
        assert written(contents, fine)
    assert refusal(contents, wrong).startswith("#")


def test_refusal_names_the_path_and_not_the_whole_value() -> None:
    assert refusal(USER, '{"a":"x"}').startswith("#/a: ")
    nested = {"properties": {"list": {"items": USER}}}
    assert refusal(nested, '{"list":[{"a":1},{"a":""}]}').startswith("#/list/1/a: ")
    assert len(refusal({"const": 1}, json.dumps("x" * 10_000))) < 400


@pytest.mark.parametrize("contents", [5, [], "x", True, {}])
def test_schema_that_restricts_nothing_takes_everything(contents: Any) -> None:
    assert written(contents, '{"a":[1]}')


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("foobar", SchemaError),
        ("", SchemaRefused),
        ("null", SchemaRefused),
        ('{"type":"nope"}', SchemaRefused),
        ('{"type":5}', SchemaRefused),
        ('{"properties":[]}', SchemaRefused),
        ('{"$schema":5}', SchemaRefused),
        ('{"$schema":[]}', SchemaRefused),
        ('{"$ref":"#/definitions/nope"}', SchemaRefused),
        (f'{{"$schema":"{DRAFTS}-04/schema#","patternProperties":{{"(":{{}}}}}}', SchemaError),
        ('{"items":{"$ref":"http://127.0.0.1:1/x.json"}}', SchemaRefused),
        ("[" * 100_000 + "]" * 100_000, SchemaError),
    ],
)
def test_broken_schema_is_refused(text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        JSCH.check(Schema(7, "JSON", text))


def test_references_of_the_registry_are_followed() -> None:
    reference = SchemaReference("http://example.org/p.json", "p", 1, json.dumps(POINT))
    known = schema({"properties": {"p": {"$ref": "http://example.org/p.json"}}}, (reference,))
    assert JSCH.encoder(known).encode(b'{"p":{"x":1}}')
    with pytest.raises(ConversionError, match="#/p/x"):
        JSCH.encoder(known).encode(b'{"p":{"x":"y"}}')


@pytest.mark.parametrize("text", ['{"type":"nope"}', '{"properties":[]}', '{"pattern":"("}'])
def test_broken_schema_behind_a_reference_refuses_values(text: str) -> None:
    reference = SchemaReference("http://example.org/p.json", "p", 1, text)
    known = schema({"$ref": "http://example.org/p.json"}, (reference,))
    for value in (b'{"a":1}', b'"x"'):
        with suppress(ConversionError, SchemaError):
            JSCH.encoder(known).encode(value)


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ({"$ref": "#/x/y", "x": {"y": {"type": "nope"}}}, "1"),
        ({"$ref": "#/x/y", "x": {"y": {"properties": []}}}, '{"a":1}'),
        ({"$ref": "#/x/y", "x": {"y": {"multipleOf": 0}}}, "1"),
        # Counted out, it would have as many digits.
        ({"$ref": "#/x/y", "x": {"y": {"multipleOf": "1e999999999"}}}, "1"),
    ],
)
def test_schema_that_fails_at_work_refuses_the_value(contents: Any, text: str) -> None:
    with pytest.raises(ConversionError):
        written(contents, text)


@pytest.mark.parametrize(
    ("unit", "multiples", "others"),
    [
        (0.01, "19.99 4.35 0.07 -19.99 0 0.0 1e22 1e308", "19.995 1e-300 -0.001"),
        (0.1, "0.3 0.7", "0.31"),
        (0.001, "1.005", "1.0005"),
        (0.5, "1" * 401, "0.25"),
        (2.5, "5 7.5", "6"),
        (1e-308, "1e308 1 " + "7" * 4300, "5e-324"),
        (3, "9 9.0 9007199254740993 " + "3" * 4300, "10 9.5 " + "3" * 4299 + "4"),
    ],
)
def test_multiple_is_one_by_its_decimals(unit: float, multiples: str, others: str) -> None:
    for draft, keyword in (("draft-03", "divisibleBy"), ("draft-07", "multipleOf")):
        contents = {"$schema": f"http://json-schema.org/{draft}/schema#", keyword: unit}
        for text in multiples.split():
            assert written(contents, text)
        for text in others.split():
            with pytest.raises(ConversionError, match=r"not a multiple|not satisfy"):
                written(contents, text)
        for text in ("true", '"x"', "null", "[]"):
            assert written(contents, text)


def test_agrees_with_confluents_serializers() -> None:
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    theirs = JSONSerializer(json.dumps(USER), registry)({"a": 1, "b": "x"}, CONTEXT)
    known = Schema(int.from_bytes(theirs[1:5], "big"), "JSON", json.dumps(USER))
    ours = JSCH.encoder(known).encode(b'{"a":1,"b":"x"}')
    assert JSONDeserializer(json.dumps(USER), schema_registry_client=registry)(ours, CONTEXT) == {
        "a": 1,
        "b": "x",
    }
    assert json.loads(JSCH.decode(theirs, lambda _: known)) == {"a": 1, "b": "x"}
    assert json.loads(ours[5:]) == json.loads(theirs[5:])


def test_stored_bytes_are_read_without_validation() -> None:
    data = envelope.header(7) + b'{ "a" : "not an integer" }'
    assert JSCH.decode(data, lambda _: schema(USER)) == b'{"a":"not an integer"}'
    for broken in (b"", b"\1\0\0\0\7{}", b"\0\0\0\0\7{nope", b"\0\0\0\0\7"):
        with pytest.raises(DecodeError):
            JSCH.decode(broken, lambda _: schema(USER))


def test_unknown_id_is_the_registrys_failure() -> None:
    def unknown(_schema_id: int) -> Schema:
        raise SchemaRegistryFailure

    with pytest.raises(SchemaRegistryFailure):
        JSCH.decode(envelope.header(9) + b"{}", unknown)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abdm"), inner),
    max_leaves=8,
)


@given(VALUES)
def test_any_json_is_written_or_refused(value: Any) -> None:
    for contents in (USER, {"type": "integer"}, {"additionalProperties": {"maxLength": 1}}):
        with suppress(ConversionError):
            stored = written(contents, json.dumps(value))
            assert json.loads(stored[5:]) == value


def test_deep_values_are_refused() -> None:
    recursive = {"items": {"$ref": "#"}}
    with pytest.raises(ConversionError):
        written(recursive, "[" * 5000 + "]" * 5000)


def deep_below(levels: int, call: Callable[[], Any]) -> Any:
    """What the call returns, so many levels further up the stack."""
    return deep_below(levels - 1, call) if levels else call()


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ({"$ref": "#"}, "1"),
        ({"allOf": [{"$ref": "#"}]}, "1"),
        ({"not": {"$ref": "#"}}, "1"),
        ({"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}, '{"a":1}'),
        ({"$schema": DRAFT_2019, "unevaluatedItems": False, "$ref": "#"}, "[]"),
        ({"$schema": DRAFT_2020, "unevaluatedProperties": False, "$ref": "#"}, "{}"),
        ({"$schema": DRAFT_2020, "$dynamicAnchor": "a", "not": {"$dynamicRef": "#a"}}, "1"),
    ],
)
def test_schema_that_refers_to_itself_is_refused_at_any_depth_of_the_stack(
    contents: Any, text: str
) -> None:
    for levels in range(30):
        assert "recursion" in deep_below(levels, lambda: refusal(contents, text))


def test_schema_nested_too_deeply_is_refused_at_any_depth_of_the_stack() -> None:
    contents: Any = {"$schema": DRAFT_2020}
    for _ in range(150):
        contents = {"$schema": DRAFT_2020, "not": contents}
    for levels in range(5):
        with pytest.raises(SchemaRefused, match="recursion"):
            deep_below(levels, lambda: JSCH.check(schema(contents)))


def test_subschema_that_names_its_draft_is_held_to_our_rules() -> None:
    named = {"$schema": f"{DRAFTS}-07/schema#", "type": "integer"}
    assert refusal({"properties": {"a": named}}, '{"a":2.0}').startswith("#/a: ")
    later = {"$schema": DRAFT_2020, "type": "integer"}
    assert written({"properties": {"a": later}}, '{"a":2.0}')


@pytest.mark.parametrize("draft", ["07", "2020-12"])
def test_schema_whose_references_double_at_each_step_ends(draft: str) -> None:
    chain = {str(n): {"allOf": [{"$ref": f"#/definitions/{n + 1}"}] * 2} for n in range(40)}
    uri = f"{DRAFTS}-{draft}/schema#"
    if draft == "2020-12":
        uri = "https://json-schema.org/draft/2020-12/schema"
    evil = {"$schema": uri, "definitions": {**chain, "40": {}}, "$ref": "#/definitions/0"}
    assert "too many steps" in refusal(evil, "{}")
    # The next value starts anew.
    assert "too many steps" in refusal(evil, "{}")
    fine = {"$schema": uri, "definitions": {"a": {"type": "integer"}}, "type": "array"}
    fine["items"] = {"allOf": [{"$ref": "#/definitions/a"}]}
    assert written(fine, json.dumps([1] * 1000))


@pytest.mark.parametrize("rule", ["unevaluatedProperties", "unevaluatedItems"])
def test_schema_whose_levels_double_the_work_ends(rule: str) -> None:
    contents: Any = {}
    for _ in range(40):
        contents = {rule: False, "allOf": [contents]}
    evil = {"$schema": DRAFT_2020, **contents}
    value = "{}" if rule == "unevaluatedProperties" else "[]"
    assert "too many steps" in refusal(evil, value)


def test_pattern_that_backtracks_ends() -> None:
    long = "a" * 5000 + "b"
    assert "does not" in refusal({"pattern": "^(a+)+$"}, json.dumps(long))
    by_name = {"patternProperties": {"^(a+)+$": False}, "additionalProperties": False}
    assert refusal(by_name, json.dumps({long: 1}))
    assert written({"patternProperties": {"^(a+)+$": False}}, json.dumps({long: 1}))
    for draft in (DRAFT_2019, DRAFT_2020):
        unevaluated = {**by_name, "unevaluatedProperties": False, "$schema": draft}
        del unevaluated["additionalProperties"]
        assert refusal(unevaluated, json.dumps({long: 1}))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)(a+)+$", "invalid perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("a{1,2000}", "invalid repetition size"),
    ],
)
def test_pattern_without_a_linear_search_is_refused(pattern: str, reason: str) -> None:
    for contents in ({"pattern": pattern}, {"items": {"patternProperties": {pattern: {}}}}):
        with pytest.raises(SchemaError, match=reason) as caught:
            JSCH.check(schema(contents))
        assert f"the pattern {pattern} cannot be searched for in linear" in str(caught.value)
        assert not isinstance(caught.value, SchemaRefused)
    # Neither where only a value gets to it.
    with pytest.raises(ConversionError, match="linear"):
        written({"$ref": "#/x/y", "x": {"y": {"pattern": pattern}}}, '"aaa"')


@pytest.mark.parametrize(
    ("contents", "fine", "wrong"),
    [
        ({"pattern": r"^[\u00e0-\u00ff]$"}, '"\u00e9"', '"e"'),
        ({"pattern": r"^\\u00e9$"}, r'"\\u00e9"', '"\u00e9"'),
        ({"pattern": "^a$"}, '"a"', '"a\\n"'),
        ({"patternProperties": {"^n": {"type": "null"}}}, '{"n1":null,"x":1}', '{"n1":1}'),
        (
            {
                "properties": {"a": {}},
                "patternProperties": {"b": {}},
                "additionalProperties": False,
            },
            '{"a":1,"ab":2}',
            '{"a":1,"c":2}',
        ),
        (
            {"patternProperties": {"b": {}}, "additionalProperties": {"type": "null"}},
            '{"ab":2,"c":null}',
            '{"c":2}',
        ),
        ({"uniqueItems": True}, '[1,true,[],{},"1",null,[1],{"a":1}]', "[1,2,1.0]"),
        (
            {"uniqueItems": True},
            '[{"a":1,"b":2},{"a":1,"b":true}]',
            '[{"a":[],"b":2},{"b":2,"a":[]}]',
        ),
        ({"uniqueItems": False}, "[1,1]", "[1"),
    ],
)
@pytest.mark.parametrize("draft", ["draft-04", "draft-07", "2020-12"])
def test_rules_of_ours_hold_in_every_draft(
    contents: Any, fine: str, wrong: str, draft: str
) -> None:
    uri = "https://json-schema.org/draft/2020-12/schema" if draft == "2020-12" else None
    drafted = {"$schema": uri or f"{DRAFTS}{draft[5:]}/schema#", **contents}
    assert written(drafted, fine)
    assert refusal(drafted, wrong)


PARTS = st.deferred(
    lambda: (
        st.sampled_from([True, False, {"$ref": "#/$defs/a"}])
        | st.fixed_dictionaries({}, optional=RULES)
    )
)
RULES: dict[Any, Any] = {
    "properties": st.dictionaries(st.sampled_from("abc"), st.booleans(), max_size=2),
    "patternProperties": st.dictionaries(st.sampled_from(["a|b", "^c"]), st.booleans(), max_size=2),
    "additionalProperties": st.booleans(),
    "unevaluatedProperties": st.sampled_from([False, {"type": "null"}]),
    "dependentSchemas": st.dictionaries(st.sampled_from("ab"), PARTS, max_size=1),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), st.lists(PARTS, min_size=1, max_size=2)),
    **dict.fromkeys(("if", "then", "else"), PARTS),
}


@given(
    st.fixed_dictionaries({}, optional=RULES),
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.just(1), max_size=3),
)
def test_properties_are_unevaluated_as_the_library_says(rules: Any, value: Any) -> None:
    contents = {"$schema": DRAFT_2020, "$defs": {"a": {"properties": {"a": {}, "d": {}}}}}
    contents |= {"unevaluatedProperties": False, **rules}
    if jsonschema.Draft202012Validator(contents).is_valid(value):
        assert written(contents, json.dumps(value))
    else:
        assert refusal(contents, json.dumps(value))


@given(st.lists(VALUES, max_size=4))
def test_items_are_unique_as_the_library_says(items: list[Any]) -> None:
    items = [*items, *items[:1], 1, 1.0][: len(items) + 1]
    text = json.dumps(items)
    # Pair by pair: its own uniqueItems sorts, and then misses equal lists that 0 and false divide.
    unique = not any(
        jsonschema.Draft7Validator({"const": one}).is_valid(other)
        for one, other in itertools.combinations(items, 2)
    )
    ours = {"$schema": f"{DRAFTS}-07/schema#", "uniqueItems": True}
    if unique:
        assert written(ours, text)
    else:
        assert refusal(ours, text)
