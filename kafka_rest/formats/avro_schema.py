"""Avro schemas as Apache's `avro` library parses them, with the checks that it leaves out.

Logical types and defaults are dropped first: the proxy shows the underlying values and never fills
in a default, and old schemas with odd ones must go on working.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from avro import constants
from avro import schema as avro_schema
from avro.errors import AvroException
from avro.name import Names

from kafka_rest.formats.embedded import SchemaError
from kafka_rest.records import Schema

PRIMITIVES = frozenset(constants.PRIMITIVE_TYPES)
_NAMED_TYPES = ("record", "error", "enum", "fixed")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_DROPPED = ("logicalType", "default")
_SYMBOLS = "symbols as written"
# What the library raises beside its own errors when a part of a schema has the wrong shape.
_SHAPE_ERRORS = (TypeError, AttributeError, KeyError, ValueError, RecursionError)


F = TypeVar("F", bound=Callable[..., Any])


class Compiler(ABC, Generic[F]):
    """Turns each type of a schema into a function. A named type is compiled once, so that it may
    contain itself. A subclass gives a function for each simple type, and how to make the others.
    """

    simple: ClassVar[Mapping[str, Callable[..., Any]]]

    def __init__(self) -> None:
        self._named: dict[str, list[F]] = {}

    @abstractmethod
    def make(self, schema: Any) -> F:
        """The function for a record, enum, fixed, array, map or union."""

    def compile(self, schema: Any) -> F:
        """The function for one type."""
        if schema.type in self.simple:
            return cast(F, self.simple[schema.type])
        if schema.type not in _NAMED_TYPES:
            return self.make(schema)
        known = self._named.get(schema.fullname)
        if known is None:
            known = self._named[schema.fullname] = []
            known.append(self.make(schema))
        if known:
            return known[0]
        # Still being compiled: the type contains itself.
        return cast(F, lambda *arguments: known[0](*arguments))


def parse(schema: Schema) -> avro_schema.Schema:
    """Parse a schema's text with the names of its references. Raises: SchemaError."""
    # For the library my-app.inventory is no namespace, for Java it is: `_check` goes by that.
    names = Names(validate_names=False)
    for reference in schema.references:
        _parse_text(reference.text, names)
    return _parse_text(schema.text, names)


def branch_name(branch: avro_schema.Schema) -> str:
    """How JSON-encoded Avro names a union's branch: the type, or the full name of a named type."""
    return str(getattr(branch, "fullname", None) or branch.type)


def _parse_text(text: str, names: Names) -> avro_schema.Schema:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"it is not JSON: {error}") from error
    try:
        for part in _parts(tree):
            _check(part)
        parsed = avro_schema.make_avsc_object(_plain(tree), names, validate_names=False)
    except SchemaError:
        raise
    except AvroException as error:
        raise SchemaError(str(error)) from error
    except _SHAPE_ERRORS as error:
        raise SchemaError(f"a part of it has the wrong shape: {error}") from error
    for named in names.names.values():
        if _SYMBOLS in named.props:
            named.set_prop("symbols", named.props.pop(_SYMBOLS))
    return parsed


def _parts(tree: Any) -> Iterator[Any]:
    """Every schema in the tree, outermost first."""
    yield tree
    if isinstance(tree, list):
        for branch in tree:
            yield from _parts(branch)
    elif isinstance(tree, dict):
        for member in ("type", "items", "values"):
            if isinstance(tree.get(member), dict | list):
                yield from _parts(tree[member])
        fields = tree.get("fields")
        for field in fields if isinstance(fields, list) else ():
            if isinstance(field, dict):
                yield from _parts(field.get("type"))


def _check(part: Any) -> None:
    """Refuse what the library lets pass."""
    if isinstance(part, list):
        if any(isinstance(branch, list) for branch in part):
            raise SchemaError("a union may not directly contain another union")
        kinds = [_kind(branch) for branch in part]
        if len(set(kinds)) < len(kinds):
            raise SchemaError(f"a union has a branch twice: {', '.join(kinds)}")
    elif isinstance(part, dict):
        if part.get("type") == "error_union":
            # The library has it for protocols; what is declared there is not among the parts.
            raise SchemaError("error_union is not a type")
        for member in ("symbols", "fields"):
            listed = part.get(member, [])
            if part.get("type") in ("enum", "record", "error") and not isinstance(listed, list):
                raise SchemaError(f"{member} must be a list")
        field_names = [f.get("name") for f in part.get("fields", []) if isinstance(f, dict)]
        if len(set(map(str, field_names))) < len(field_names):
            raise SchemaError(f"record {part.get('name')} has a field twice")
        for name in field_names:
            _require_name(name, "field name")
        if part.get("type") in _NAMED_TYPES:
            _check_named(part)
    elif not isinstance(part, str):
        raise SchemaError(f"{json.dumps(part)[:40]} is no schema")


def _check_named(part: dict[str, Any]) -> None:
    name = part.get("name")
    # What stands before the last dot is the namespace, which may be any text (as in Java).
    _require_name(name.rpartition(".")[2] if isinstance(name, str) else name, "name")
    if _HALF_A_CHARACTER.search(f"{part.get('namespace')} {name}"):
        # No JSON that is read could name the type.
        raise SchemaError("a namespace holds half of a surrogate pair, which is no character")
    symbols = part.get("symbols", [])
    if part["type"] == "enum":
        for symbol in symbols:
            _require_name(symbol, "enum symbol")
        if len(set(symbols)) < len(symbols):
            raise SchemaError(f"enum {name} has a symbol twice")


def _require_name(name: Any, kind: str) -> None:
    """Refuse what is no simple name in Java, which takes letters and digits of any script.

    Of those beyond 16 bits, Java sees two halves.
    """
    plain = name.replace("_", "a") if isinstance(name, str) else ""
    legal = all(c <= "\uffff" and (c.isalpha() or c.isdecimal()) for c in plain)
    if not (legal and plain[:1].isalpha()):
        raise SchemaError(f"{name!r:.80} is not a valid {kind}")


def _kind(branch: Any) -> str:
    if isinstance(branch, dict):
        if branch.get("type") in ("record", "enum", "fixed", "error"):
            return f"{branch.get('namespace', '')}.{branch.get('name')}"
        return _kind(branch.get("type"))
    return str(branch)


def _plain(tree: Any) -> Any:
    """The tree without defaults and logical types."""
    if isinstance(tree, list):
        return [_plain(branch) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    plain = {key: value for key, value in tree.items() if key not in _DROPPED}
    # {"name":"int","type":"int"} with any more attributes is just an int.
    if isinstance(tree.get("type"), str) and tree["type"] in PRIMITIVES:
        return {"type": tree["type"]}
    if tree.get("type") == "enum" and "symbols" in plain:
        # The library takes those of ASCII only; they are checked, and put in when it is done.
        plain[_SYMBOLS] = plain["symbols"]
        plain["symbols"] = [f"_{place}" for place in range(len(plain["symbols"]))]
    for member in ("type", "items", "values"):
        if isinstance(plain.get(member), dict | list):
            plain[member] = _plain(plain[member])
    if isinstance(plain.get("fields"), list):
        plain["fields"] = [_plain_field(field) for field in plain["fields"]]
    return plain


def _plain_field(field: Any) -> Any:
    if not isinstance(field, dict):
        return field
    plain = {key: value for key, value in field.items() if key not in (*_DROPPED, "aliases")}
    if "type" in plain:
        plain["type"] = _plain(plain["type"])
    return plain
