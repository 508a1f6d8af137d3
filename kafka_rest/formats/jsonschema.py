"""The embedded format jsonschema: JSON validated by a schema, in the schema registry's envelope."""

import math
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
from jsonschema.exceptions import UnknownType, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT7

from kafka_rest.errors import RestError
from kafka_rest.formats import envelope
from kafka_rest.formats.embedded import (
    Compiled,
    ConversionError,
    Encoder,
    FindSchema,
    SchemaError,
    SchemaRefused,
    bad_request,
)
from kafka_rest.formats.json import Json, compact, compact_all
from kafka_rest.formats.jsonschema_rules import (
    DRAFTS,
    REASON_LENGTH,
    allow_steps,
    checking,
    search,
)
from kafka_rest.formats.jsonschema_types import decoder_of
from kafka_rest.records import Schema

SCHEMA_TYPE = "JSON"
MOST_STEPS = 100_000
"""So many steps are taken for one value: some seconds."""

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


@Compiled
def _validator(schema: Schema) -> Validator | None:
    """The compiled validator; None for a text that restricts nothing. Raises: SchemaError."""
    contents = _contents(schema.text, "the schema")
    if not isinstance(contents, dict | bool):
        # A number or a list is no schema by any draft, yet is taken (reference behaviour).
        return None
    # As long as the text: what takes long is to come.
    allow_steps(math.inf)
    try:
        draft: Any = validator_for(contents, default=jsonschema.Draft7Validator)
        _require_draft(contents, draft)
        registry: Any = Registry().with_resources(
            (r.name, Resource.from_contents(_contents(r.text, r.name), DRAFT7))
            for r in schema.references
        )
        compiled: Any = checking(DRAFTS[draft], contents, registry=registry)
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
    for error in checking(draft, draft.META_SCHEMA).iter_errors(contents):
        raise jsonschema.SchemaError.create_from(error)


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
            search(pattern)
        if "pattern" in contents:
            search(contents["pattern"])
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
        allow_steps(MOST_STEPS)
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
