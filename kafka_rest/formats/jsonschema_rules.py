"""The `jsonschema` library's rules where they would take a time that a client can choose: patterns
searched by RE2, references and nested rules counted, uniqueness by hash; and where they would be
wrong: multiples of a fraction.

For `formats.jsonschema` alone.
"""

import re
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema
import re2
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend, validator_for
from referencing.jsonschema import lookup_recursive_ref

from kafka_rest.formats.embedded import COMPILED_SCHEMAS, SchemaError

LOOKUP_LEVELS = 50
"""So many levels of Python's stack are more than a look-up takes."""
REASON_LENGTH = 200

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


def allow_steps(count: float) -> None:
    """Let so many references be followed, and nested rules applied, in this thread from now on."""
    _steps_left.count = count


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
def search(pattern: str) -> Callable[[str], Any]:
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
    if checker.is_type(value, "string") and not search(pattern)(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    checker: Any, rules: Any, value: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not checker.is_type(value, "object"):
        return
    for pattern, rule in rules.items():
        for name in filter(search(pattern), value):
            yield from checker.descend(value[name], rule, path=name, schema_path=pattern)


def _additional_properties(own: _Rule) -> _Rule:
    def checked(checker: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        patterns = schema.get("patternProperties")
        if patterns and checker.is_type(value, "object"):
            # The library's own rule would search by Python's expressions.
            searches = [search(pattern) for pattern in patterns]
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
        found.update(filter(search(pattern), value))
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


def _multiple_of(checker: Any, unit: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    # Divided as decimals: by floats, as in the library's own rule, 19.99 is no multiple of 0.01.
    if checker.is_type(value, "number") and _exact(value) % _exact(unit):
        yield ValidationError(f"{value!r} is not a multiple of {unit}")


def _exact(number: Any) -> Fraction:
    """The number as it is written. Raises: TypeError for what is none.

    JSON has floats of some hundred digits and integers of some thousand at most (msgspec), which
    take microseconds.
    """
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number, 1)


def _whole(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _evolve(checker: Any, **changes: Any) -> Any:
    """The validator of another part of a schema, by the draft that this names, if it does.

    The library takes its own drafts there, without our rules.
    """
    schema = changes.get("schema", checker.schema)
    draft: Any = validator_for(schema, default=type(checker))
    same = {"registry": checker._registry, "format_checker": checker.format_checker}
    made = DRAFTS.get(draft, draft)
    return made(**{"schema": schema, "_resolver": checker._resolver, **same, **changes})


def _bounded(draft: Any, **options: Any) -> Any:
    """A draft whose rules take a time that a client cannot choose."""
    rules: dict[str, _Rule] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties(draft.VALIDATORS["additionalProperties"]),
        "uniqueItems": _unique_items,
    }
    # Draft 3 has another name for it.
    rules["divisibleBy" if "divisibleBy" in draft.VALIDATORS else "multipleOf"] = _multiple_of
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
DRAFTS: dict[Any, Any] = {draft: _strict(draft) for draft in _UP_TO_7} | {
    draft: _bounded(draft) for draft in _LATER
}


def checking(draft: Any, contents: Any, **options: Any) -> Any:
    """A validator that looks references up by `_Resolver`; the library has no open way to that."""
    plain = draft(contents, format_checker=draft.FORMAT_CHECKER, **options)
    return plain.evolve(_resolver=_Resolver(plain._resolver))
