"""What the reference's JSON mapping of protobuf takes and Python's does not, or the reverse.

Values are brought into the form that the library reads; what is wrong is left for it to refuse,
except bytes, of which it would skip what is no base64.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kafka_rest.formats.embedded import COMPILED_SCHEMAS, ConversionError

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}\Z")
_BOOLEANS = {"true": True, "false": False}
_STRUCTS = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Any"})


def lenient(descriptor: Descriptor, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a message in the form that the library reads."""
    fields = _fields(descriptor)
    _refuse_twice([fields[name] for name in value if name in fields])
    return {
        name: inner
        if (field := fields.get(name)) is None or inner is None
        else _field(field, inner, name)
        for name, inner in value.items()
    }


def _refuse_twice(given: list[FieldDescriptor]) -> None:
    """Refuse a field by both its names, which the library would take."""
    names: set[str] = set()
    for field in given:
        if field.name in names:
            raise ConversionError(f"{field.name}: it is there twice, by both its names")
        names.add(field.name)


@lru_cache(COMPILED_SCHEMAS)
def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    known: dict[str, FieldDescriptor] = {}
    for field in descriptor.fields:
        known[field.name] = known[field.json_name] = field
    return known


def _field(field: FieldDescriptor, value: Any, place: str) -> Any:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        if not isinstance(value, dict):
            return value
        entry = inner.fields_by_name["value"]
        return {key: _single(entry, v, f"{place}.{key}") for key, v in value.items()}
    if field.label == FieldDescriptor.LABEL_REPEATED:
        if not isinstance(value, list):
            return value
        return [_single(field, v, f"{place}[{n}]") for n, v in enumerate(value)]
    return _single(field, value, place)


def _single(field: FieldDescriptor, value: Any, place: str) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _message(field.message_type, value, place)
    change = _CHANGES.get(field.type)
    return value if change is None else change(value, place)


def _message(descriptor: Descriptor, value: Any, place: str) -> Any:
    name = descriptor.full_name
    if name == "google.protobuf.FieldMask":
        return _text(value, place)
    if name in _WRAPPED:
        return _single(descriptor.fields_by_name["value"], value, place)
    if not isinstance(value, dict) or name in _STRUCTS:
        return value
    return lenient(descriptor, value)


def _text(value: Any, _place: str) -> Any:
    """A number or boolean as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _boolean(value: Any, _place: str) -> Any:
    return _BOOLEANS.get(value, value) if isinstance(value, str) else value


def _enum(value: Any, place: str) -> Any:
    if isinstance(value, float) and not value.is_integer():
        raise ConversionError(f"{place}: an enum has no fractions")
    return value


def _bytes(value: Any, place: str) -> Any:
    if isinstance(value, str) and not (_BASE64.match(value) and len(value.rstrip("=")) % 4 != 1):
        raise ConversionError(f"{place}: it is not base64")
    return value


_CHANGES: dict[int, Callable[[Any, str], Any]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_ENUM: _enum,
}
_WRAPPED = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in (
        *("Double", "Float", "Int64", "UInt64", "Int32", "UInt32"),
        *("Bool", "String", "Bytes"),
    )
)
