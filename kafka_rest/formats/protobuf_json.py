"""What the reference's JSON mapping of protobuf takes and Python's does not, or the reverse.

Values are brought into the form that the library reads; what is wrong is left for it to refuse,
except where it would store something else: it skips what is no base64, iterates what should be an
object, and takes numbers as Python does.
"""

import re
from collections.abc import Callable, Mapping
from ctypes import c_float
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kafka_rest.formats.embedded import COMPILED_SCHEMAS, ConversionError

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}\Z")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_BOOLEANS = {"true": True, "false": False}
# Whose JSON the library looks at itself.
_OWN_FORMS = frozenset(
    f"google.protobuf.{kind}"
    for kind in ("Any", "Duration", "ListValue", "Struct", "Timestamp", "Value")
)


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
        names, entry = inner.fields_by_name["key"], inner.fields_by_name["value"]
        if names.type in _INTEGERS:
            for key in value:
                _integer(key, f"{place}.{key}")
        return {key: _single(entry, v, f"{place}.{key}") for key, v in value.items()}
    if field.label == FieldDescriptor.LABEL_REPEATED:
        if not isinstance(value, list):
            return value
        return [_single(field, v, f"{place}[{n}]") for n, v in enumerate(value)]
    return _single(field, value, place)


def _single(field: FieldDescriptor, value: Any, place: str) -> Any:
    if field.message_type is not None:
        return _message(field.message_type, value, place)
    change = _CHANGES.get(field.type)
    return value if change is None else change(value, place)


def _message(descriptor: Descriptor, value: Any, place: str) -> Any:
    name = descriptor.full_name
    if name == "google.protobuf.FieldMask":
        return _text(value, place)
    if name in _WRAPPED:
        return _single(descriptor.fields_by_name["value"], value, place)
    if name in _OWN_FORMS:
        return value
    if not isinstance(value, dict):
        raise ConversionError(f"{place}: Expect message object")
    return lenient(descriptor, value)


def _text(value: Any, _place: str) -> Any:
    """A number or boolean as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _boolean(value: Any, _place: str) -> Any:
    return _BOOLEANS.get(value, value) if isinstance(value, str) else value


def _integer(value: Any, place: str) -> Any:
    """A number as it is, unless it is a text in which only Python sees one."""
    if isinstance(value, str) and not _NUMBER.match(value):
        raise ConversionError(f"{place}: it is no number")
    return value


def _real(value: Any, place: str) -> Any:
    """A float where a text or an integer is given: of floats the library looks at the range."""
    if isinstance(value, bool):
        raise ConversionError(f"{place}: it is no number")
    if not isinstance(value, int | str) or value in _NOT_FINITE:
        return value
    return float(_integer(value, place))


def _float(value: Any, place: str) -> Any:
    found = _real(value, place)
    # As it is stored: in the few digits that it is read as, the largest is a little too large.
    return c_float(found).value if isinstance(found, float) else found


def _enum(value: Any, place: str) -> Any:
    if isinstance(value, bool):
        raise ConversionError(f"{place}: it is no enum")
    if isinstance(value, str) and not value.isidentifier():
        return _integer(value, place)
    if isinstance(value, float) and not value.is_integer():
        raise ConversionError(f"{place}: an enum has no fractions")
    return value


def _bytes(value: Any, place: str) -> Any:
    if isinstance(value, str) and not (_BASE64.match(value) and len(value.rstrip("=")) % 4 != 1):
        raise ConversionError(f"{place}: it is not base64")
    return value


_INTEGERS = frozenset(
    getattr(FieldDescriptor, f"TYPE_{kind}{bits}")
    for kind in ("INT", "UINT", "SINT", "FIXED", "SFIXED")
    for bits in (32, 64)
)
_CHANGES: dict[int, Callable[[Any, str], Any]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_ENUM: _enum,
    FieldDescriptor.TYPE_DOUBLE: _real,
    FieldDescriptor.TYPE_FLOAT: _float,
    **dict.fromkeys(_INTEGERS, _integer),
}
_WRAPPED = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in (
        *("Double", "Float", "Int64", "UInt64", "Int32", "UInt32"),
        *("Bool", "String", "Bytes"),
    )
)
