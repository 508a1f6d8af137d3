"""The embedded format jsonschema: JSON validated by a schema, in the schema registry's envelope."""

import math
import re
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema
import msgspec
import re2
from jsonschema.exceptions import UnknownType, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT7, lookup_recursive_ref

from kafka_rest.errors import RestError
from kafka_rest.formats import envelope
from kafka_rest.formats.embedded import (
    COMPILED_SCHEMAS,
    Compiled,
    ConversionError,
    Encoder,
    FindSchema,
    SchemaError,
    SchemaRefused,
    bad_request,
)
from kafka_rest.formats.json import Json, compact, compact_all
from kafka_rest.formats.jsonschema_types import decoder_of
from kafka_rest.records import Schema

SCHEMA_TYPE = "JSON"
MOST_STEPS = 100_000
"""So many references are followed, and such rules applied, for one value: some seconds."""
LOOKUP_LEVELS = 50
"""So many levels of Python's stack are more than a look-up takes."""
REASON_LENGTH = 200

# What the library raises for a schema that its metaschema lets through, such as a broken one behind
# a reference, which is looked at only when a value gets there.
_FAILURES: tuple[type[Exception], ...] = (
    RecursionError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    re.error,
    UnknownType,
)
_REFUSALS: tuple[type[Exception], ...] = (*_FAILURES, msgspec.DecodeError, Unresolvable)

_JSON = Json()
_steps_left = threading.local()
# As JavaScript writes a character, and any other escape, so as to be left alone.
_UTF_16 = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)


# The library's rules have no types.
_Rule = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
_extended: Any = extend


class _Resolver:
    """The library's resolver of references, not endlessly often and not too deep."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver

    def lookup(self, reference: str) -> "_Resolved":
        """What a reference leads to. Raises: Unresolvable, ValueError, RecursionError."""
        _step()
        # Where the stack ends within a look-up it panics, which no `except Exception` catches.
        _require_levels(LOOKUP_LEVELS)
        found = self._resolver.lookup(reference)
        return _Resolved(found.contents, _Resolver(found.resolver))

    def in_subresource(self, resource: Any) -> "_Resolver":
        """The resolver within a part of a schema, which may have a URI of its own."""
        return _Resolver(self._resolver.in_subresource(resource))

    def dynamic_scope(self) -> Any:
        """The URIs that references have led through."""
        return self._resolver.dynamic_scope()


class _Resolved(NamedTuple):
    """What a reference leads to, and the resolver there."""

    contents: Any
    resolver: _Resolver


def _step() -> None:
    """Count what a few rules can have done endlessly often. Raises: ValueError."""
    _steps_left.count -= 1
    if _steps_left.count < 0:
        raise ValueError("the schema takes too many steps for this value")


def _require_levels(count: int) -> None:
    """Raises: RecursionError where the stack has not so many levels left."""
    if count:
        _require_levels(count - 1)


@lru_cache(COMPILED_SCHEMAS)
def _search(pattern: str) -> Callable[[str], Any]:
    """A search whose time is linear in the text. Raises: SchemaError for what RE2 lacks."""
    options = re2.Options()
    options.log_errors = False
    try:
        found: Callable[[str], Any] = re2.compile(_UTF_16.sub(_code_point, pattern), options).search
    except re2.error as error:
        raise SchemaError(
            f"the pattern {pattern[:REASON_LENGTH]} cannot be searched for in linear time "
            f"(RE2 syntax): {error.args[0].decode()[:REASON_LENGTH]}"
        ) from error
    return found


def _code_point(escape: "re.Match[str]") -> str:
    return rf"\x{{{escape[1]}}}" if escape[1] else escape[0]


def _pattern(checker: Any, pattern: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if checker.is_type(value, "string") and not _search(pattern)(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    checker: Any, rules: Any, value: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not checker.is_type(value, "object"):
        return
    for pattern, rule in rules.items():
        for name in filter(_search(pattern), value):
            yield from checker.descend(value[name], rule, path=name, schema_path=pattern)


def _additional_properties(own: _Rule) -> _Rule:
    def checked(checker: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        patterns = schema.get("patternProperties")
        if patterns and checker.is_type(value, "object"):
            # The library's own rule would search by Python's expressions.
            searches = [_search(pattern) for pattern in patterns]
            value = {k: v for k, v in value.items() if not any(search(k) for search in searches)}
            schema = {k: v for k, v in schema.items() if k != "patternProperties"}
        yield from own(checker, rule, value, schema)

    return checked


def _unevaluated_properties(
    checker: Any, rule: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    # The library's own rule would search by Python's expressions.
    if checker.is_type(value, "object"):
        known = _evaluated(checker, value, schema)
        for name, inner in value.items():
            if name not in known and not _holds(checker, inner, rule):
                yield ValidationError(f"Unevaluated properties are not allowed ({name!r})")


def _evaluated(checker: Any, value: dict[str, Any], schema: Any) -> set[str]:
    """The names in an object that a schema which holds for it has looked at."""
    if not isinstance(schema, dict):
        return set()
    found: set[str] = value.keys() & schema.get("properties", {}).keys()
    for pattern in schema.get("patternProperties", ()):
        found.update(filter(_search(pattern), value))
    for rule in ("additionalProperties", "unevaluatedProperties"):
        if rule in schema:
            found.update(n for n, inner in value.items() if _holds(checker, inner, schema[rule]))
    return found.union(*(_evaluated(*part) for part in _applied(checker, value, schema)))


def _applied(checker: Any, value: dict[str, Any], schema: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The parts of a schema that hold for the same object, as `_evaluated` wants them."""
    for keyword in {"$ref", "$dynamicRef", "$recursiveRef"} & schema.keys():
        if keyword in checker.VALIDATORS:
            at = checker._resolver
            recursive = keyword == "$recursiveRef"
            there = lookup_recursive_ref(at) if recursive else at.lookup(schema[keyword])
            inside = checker.evolve(schema=there.contents, _resolver=there.resolver)
            yield inside, value, there.contents
    parts = [part for name, part in schema.get("dependentSchemas", {}).items() if name in value]
    for keyword in ("allOf", "anyOf", "oneOf"):
        parts += [part for part in schema.get(keyword, ()) if _holds(checker, value, part)]
    if "if" in schema:
        chosen = ("if", "then") if _holds(checker, value, schema["if"]) else ("else",)
        parts += [schema[keyword] for keyword in chosen if keyword in schema]
    for part in parts:
        yield checker, value, part


def _holds(checker: Any, value: Any, schema: Any) -> bool:
    return next(checker.descend(value, schema), None) is None


def _counted(own: _Rule) -> _Rule:
    """A rule that each level of a schema applies twice to the next one."""

    def checked(checker: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        _step()
        yield from own(checker, rule, value, schema)

    return checked


def _unique_items(checker: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    # Compared by hash: the library compares every pair, seconds for some thousands of objects.
    if wanted and checker.is_type(value, "array") and len(set(map(_frozen, value))) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _frozen(value: Any) -> Any:
    """The value as one that can be hashed, equal where JSON values are: 1 is 1.0, but not true."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, dict):
        return frozenset((name, _frozen(inner)) for name, inner in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _whole(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _evolve(checker: Any, **changes: Any) -> Any:
    """The validator of another part of a schema, by the draft that this names, if it does.

    The library takes its own drafts there, without our rules.
    """
    schema = changes.get("schema", checker.schema)
    draft: Any = validator_for(schema, default=type(checker))
    same = {"registry": checker._registry, "format_checker": checker.format_checker}
    made = _DRAFTS.get(draft, draft)
    return made(**{"schema": schema, "_resolver": checker._resolver, **same, **changes})


def _bounded(draft: Any, **options: Any) -> Any:
    """A draft whose rules take a time that a client cannot choose."""
    rules: dict[str, _Rule] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties(draft.VALIDATORS["additionalProperties"]),
        "uniqueItems": _unique_items,
    }
    if "unevaluatedProperties" in draft.VALIDATORS:
        rules["unevaluatedProperties"] = _counted(_unevaluated_properties)
        rules["unevaluatedItems"] = _counted(draft.VALIDATORS["unevaluatedItems"])
    made = _extended(draft, rules, **options)
    made.evolve = _evolve
    return made


def _strict(draft: Any) -> Any:
    """A draft up to 7, for which 2.0 is no integer (reference behaviour)."""
    types = draft.TYPE_CHECKER.redefine("integer", _whole)
    return _bounded(draft, type_checker=types)


_UP_TO_7 = (
    jsonschema.Draft3Validator,
    jsonschema.Draft4Validator,
    jsonschema.Draft6Validator,
    jsonschema.Draft7Validator,
)
_LATER = (jsonschema.Draft201909Validator, jsonschema.Draft202012Validator)
_DRAFTS: dict[Any, Any] = {draft: _strict(draft) for draft in _UP_TO_7} | {
    draft: _bounded(draft) for draft in _LATER
}


@Compiled
def _validator(schema: Schema) -> Validator | None:
    """The compiled validator; None for a text that restricts nothing. Raises: SchemaError."""
    contents = _contents(schema.text, "the schema")
    if not isinstance(contents, dict | bool):
        # A number or a list is no schema by any draft, yet is taken (reference behaviour).
        return None
    # As long as the text: what takes long is to come.
    _steps_left.count = math.inf
    try:
        draft: Any = validator_for(contents, default=jsonschema.Draft7Validator)
        _require_draft(contents, draft)
        registry: Any = Registry().with_resources(
            (r.name, Resource.from_contents(_contents(r.text, r.name), DRAFT7))
            for r in schema.references
        )
        compiled: Any = _checking(_DRAFTS[draft], contents, registry=registry)
        _require_usable(compiled._resolver, Resource.from_contents(contents, DRAFT7))
    except jsonschema.SchemaError as error:
        raise SchemaRefused(f"{_path(error)}: {_reason(error)}") from error
    except Unresolvable as error:
        raise SchemaRefused(f"the reference {str(error.ref)[:80]} leads nowhere") from error
    except SchemaError:
        raise
    except _FAILURES as error:
        raise SchemaRefused(f"it cannot be compiled: {str(error)[:REASON_LENGTH]}") from error
    made: Validator = compiled
    return made


def _require_draft(contents: Any, draft: Any) -> None:
    """Refuse what is no schema by its draft, as its `check_schema` does. Raises: SchemaError."""
    for error in _checking(draft, draft.META_SCHEMA).iter_errors(contents):
        raise jsonschema.SchemaError.create_from(error)


def _checking(draft: Any, contents: Any, **options: Any) -> Any:
    """A validator that looks references up by `_Resolver`; the library has no open way to that."""
    plain = draft(contents, format_checker=draft.FORMAT_CHECKER, **options)
    return plain.evolve(_resolver=_Resolver(plain._resolver))


def _contents(text: str, name: str) -> Any:
    if text.strip() in ("", "null"):
        raise SchemaRefused(f"{name} is empty")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise SchemaError(f"{name} is not JSON: {error}") from error


def _require_usable(resolver: Any, resource: Any) -> None:
    """Try every reference and pattern: they would fail only when a value gets there."""
    contents = resource.contents
    if isinstance(contents, dict):
        if isinstance(reference := contents.get("$ref"), str):
            resolver.lookup(reference)
        for pattern in contents.get("patternProperties", ()):
            _search(pattern)
        if "pattern" in contents:
            _search(contents["pattern"])
    for inner in resource.subresources():
        _require_usable(resolver.in_subresource(inner), inner)


def _path(error: Any) -> str:
    return "/".join(["#", *map(str, error.absolute_path)])[:REASON_LENGTH]


def _reason(error: Any) -> str:
    """What is wrong, without the whole value, which the message repeats."""
    text = str(error.message)
    return text if len(text) <= REASON_LENGTH else f"it does not satisfy {error.validator}"


@Compiled
def _encoder(schema: Schema) -> Encoder:
    validator = _validator(schema)
    check, check_all = _checker(validator), _column_checker(validator)
    header = envelope.header(schema.schema_id)

    def encode(text: bytes) -> bytes:
        check(text)
        return header + compact(text)

    if check_all is None:
        return Encoder(encode, costly=True)

    def encode_all(texts: list[bytes]) -> list[bytes]:
        check_all(texts)
        return [header + text for text in compact_all(texts)]

    return Encoder(encode, encode_all=encode_all, costly=True)


def _column_checker(validator: Validator | None) -> Callable[[list[bytes]], None] | None:
    """Refuses a column of which any value is for the validator; None where all are."""
    if validator is None:
        return None
    # A member of every validator, though not of their protocol.
    own: Any = validator
    decoder = decoder_of(own.schema, own.format_checker.checkers)
    if decoder is None:
        return None
    made = decoder

    def check_all(texts: list[bytes]) -> None:
        try:
            made.decode(b"[%b]" % b",".join(texts))
        except (msgspec.DecodeError, RecursionError) as error:
            raise ConversionError("not plain") from error

    return check_all


def _checker(validator: Validator | None) -> Callable[[bytes], None]:
    def check(text: bytes) -> None:
        if validator is None:
            return
        _steps_left.count = MOST_STEPS
        try:
            error: ValidationError | None = next(
                validator.iter_errors(msgspec.json.decode(text)), None
            )
        except _REFUSALS as failure:
            raise ConversionError(f"#: {str(failure)[:REASON_LENGTH]}") from failure
        if error is not None:
            raise ConversionError(f"{_path(error)}: {_reason(error)}")

    return check


class JsonSchema:
    """JSON by a schema."""

    name = "jsonschema"
    schema_type: str | None = SCHEMA_TYPE

    def check(self, schema: Schema) -> None:
        """Compile a schema before it is registered. Raises: SchemaError."""
        _validator(schema)

    def record_name(self, schema: Schema) -> str | None:
        """The schema's title. Raises: SchemaError."""
        contents = _contents(schema.text, "the schema")
        title = contents.get("title") if isinstance(contents, dict) else None
        return title if isinstance(title, str) else None

    def encoder(self, schema: Schema | None) -> Encoder:
        """The encoder of a registered schema, which validates. Raises: SchemaError."""
        assert schema is not None, "jsonschema needs a schema"
        return _encoder(schema)

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The JSON text of a stored value, which is not validated. Raises: DecodeError."""
        find_schema(envelope.schema_id_of(data, "JSON Schema"))
        return _JSON.decode(data[envelope.HEADER_BYTES :], find_schema)

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored values. Raises: as `decode`."""
        for head in {data[: envelope.HEADER_BYTES] for data in column}:
            find_schema(envelope.schema_id_of(head, "JSON Schema"))
        return _JSON.decode_all([data[envelope.HEADER_BYTES :] for data in column], find_schema)

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request whose record does not fit its schema."""
        return bad_request(side, index, error)
