"""Whether a schema text is valid, and whether one Avro schema may follow another.

By Apache's `avro` library.
"""

import json
import warnings
from collections.abc import Mapping
from typing import Any

from avro import schema as avro_schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.name import Names

WithReferences = tuple[str, Mapping[str, str]]


class InvalidSchema(Exception):
    """A text that is no schema of its type."""


def validate(schema_type: str, text: str, references: Mapping[str, str]) -> None:
    """Check a schema text as far as that is cheap. Raises: InvalidSchema."""
    if schema_type == "AVRO":
        _parse((text, references))
    elif schema_type == "JSON":
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidSchema(f"it is not JSON: {error}") from error


def canonical(schema_type: str, text: str, references: Mapping[str, str]) -> str:
    """A text that two spellings of the same schema share."""
    if schema_type == "AVRO":
        return str(_parse((text, references)))
    return json.dumps(json.loads(text)) if schema_type == "JSON" else text


def avro_problem(level: str, new: WithReferences, old: WithReferences) -> str:
    """Why the new schema may not follow the old one at a compatibility level; "" if it may."""
    problems: list[str] = []
    if level.startswith(("BACKWARD", "FULL")):
        problems += _cannot_read(_parse(new), _parse(old))
    if level.startswith(("FORWARD", "FULL")):
        problems += _cannot_read(_parse(old), _parse(new))
    return "; ".join(problems)


def _cannot_read(reader: Any, writer: Any) -> list[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return sorted(map(str, result.messages)) or ["the schemas are incompatible"]


def _parse(schema: WithReferences) -> Any:
    text, references = schema
    # A namespace may be any text, as in Java; the names in it go unchecked with it.
    names = Names(validate_names=False)
    try:
        # Logical types that the library does not know are left alone, without a word.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for referenced in references.values():
                avro_schema.make_avsc_object(json.loads(referenced), names, validate_names=False)
            return avro_schema.make_avsc_object(json.loads(text), names, validate_names=False)
    except (
        AvroException,
        TypeError,
        AttributeError,
        KeyError,
        ValueError,
        RecursionError,
    ) as error:
        raise InvalidSchema(str(error)) from error
