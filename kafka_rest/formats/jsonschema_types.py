"""JSON schemas as types, by which msgspec checks values without walking a schema: the short way.

A type takes no value that its schema refuses; it may refuse others, which are then for the schema.
Only what most schemas consist of has a type, and a schema with anything else has none.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec

# What restricts nothing.
_NOTES = frozenset(
    [
        *("$schema", "$id", "id", "$comment", "title", "description", "default", "examples"),
        *("readOnly", "writeOnly", "deprecated", "definitions", "$defs"),
    ]
)
_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
}
_NUMBER_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OWN_BOUNDS: dict[str, tuple[str, ...]] = {
    "integer": _NUMBER_BOUNDS,
    "number": _NUMBER_BOUNDS,
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}
_PLAIN: dict[str, Any] = {
    "integer": int,
    "number": int | float,
    "string": str,
    "boolean": bool,
    "null": None,
}
_REFUSALS = (TypeError, ValueError, RecursionError)


class _NotTaken(Exception):
    """The schema has no type."""


def decoder_of(schema: Any, formats: Collection[str]) -> "msgspec.json.Decoder[Any] | None":
    """Decodes a list of values that the schema takes; None for a schema without a type.

    `formats` are those that are checked.
    """
    try:
        return msgspec.json.Decoder(list[_type(schema, formats)])  # type: ignore[misc]
    except (_NotTaken, *_REFUSALS):
        return None


def _type(schema: Any, formats: Collection[str]) -> Any:
    """The type of a schema. Raises: _NotTaken."""
    if not isinstance(schema, dict):
        raise _NotTaken
    rules = {name: rule for name, rule in schema.items() if name not in _NOTES}
    if rules.get("format", "") not in formats:
        rules.pop("format", None)
    if not rules:
        return Any
    if "oneOf" in rules:
        return _optional(rules, formats)
    kind = rules.pop("type", None)
    if "enum" in rules:
        return _one_of(kind, rules)
    if isinstance(kind, list):
        if rules:
            # Each rule is for one of the kinds.
            raise _NotTaken
        return _union([_single(one, {}, formats) for one in kind])
    return _single(kind, rules, formats)


def _single(kind: Any, rules: dict[str, Any], formats: Collection[str]) -> Any:
    if kind == "object":
        return _object(rules, formats)
    bounds = {_BOUNDS[n]: rules.pop(n) for n in _OWN_BOUNDS.get(kind, ()) if n in rules}
    if any(type(bound) is not int for bound in bounds.values()):
        raise _NotTaken
    found: Any
    if kind == "array":
        found = list[_type(rules.pop("items", {}), formats)]  # type: ignore[misc]
    elif kind in _PLAIN:
        found = _PLAIN[kind]
    else:
        raise _NotTaken
    if rules:
        raise _NotTaken
    if not bounds:
        return found
    meta = msgspec.Meta(**bounds)
    if kind == "number":
        return Annotated[int, meta] | Annotated[float, meta]
    return Annotated[found, meta]


def _object(rules: dict[str, Any], formats: Collection[str]) -> Any:
    properties, required = rules.pop("properties", {}), rules.pop("required", [])
    others = rules.pop("additionalProperties", True)
    if rules or not (isinstance(properties, Mapping) and isinstance(required, list)):
        raise _NotTaken
    if not isinstance(others, bool) or not set(required) <= set(properties):
        raise _NotTaken
    members: list[Any] = []
    for number, (name, schema) in enumerate(properties.items()):
        found = _type(schema, formats)
        if name in required:
            members.append((f"f{number}", found))
        else:
            optional = found if found is Any else found | msgspec.UnsetType
            members.append((f"f{number}", optional, msgspec.UNSET))
    return msgspec.defstruct(
        "Value",
        members,
        rename={f"f{n}": name for n, name in enumerate(properties)},
        forbid_unknown_fields=not others,
        # The required may stand behind the others.
        kw_only=True,
        gc=False,
    )


def _optional(rules: dict[str, Any], formats: Collection[str]) -> Any:
    """Null or one other type, as Java's serializers write what may be absent."""
    choices = rules.pop("oneOf")
    if rules or not isinstance(choices, list) or len(choices) != 2:
        raise _NotTaken
    kinds = [choice.get("type") if isinstance(choice, dict) else None for choice in choices]
    if kinds.count("null") != 1 or not all(isinstance(kind, str) for kind in kinds):
        raise _NotTaken
    return _union([_type(choice, formats) for choice in choices])


def _one_of(kind: Any, rules: dict[str, Any]) -> Any:
    """One of some strings."""
    texts = rules.pop("enum")
    if rules or kind not in (None, "string") or not isinstance(texts, list) or not texts:
        raise _NotTaken
    if not all(isinstance(text, str) for text in texts):
        raise _NotTaken
    return Literal[tuple(texts)]


def _union(types: list[Any]) -> Any:
    found = types[0]
    for other in types[1:]:
        # Any takes in all others, which a union with it does not say.
        if Any in (found, other):
            raise _NotTaken
        found = (found | other) if found is not None else (other | None)
    return found
