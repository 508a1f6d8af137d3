"""The JSON of protobuf messages by plans that are made once for a type: the short way.

Google's mapping looks at every descriptor again for every value. Writing takes the plain fields of
a message in their usual JSON and refuses the rest without a reason; reading takes all but what is
an error. What they do not take goes Google's way, which words the refusals.
"""

import math
from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal import type_checkers
from msgspec import UNSET, Meta, UnsetType

from kafka_rest.formats.embedded import ConversionError

Show = Callable[[Any], Any]
_Fill = Callable[[Any, Any], None]
_Put = Callable[[Any, str, Any], None]

_F = FieldDescriptor
# Of which the stubs know nothing.
_types: Any = type_checkers
_FLOAT_MOST = float.fromhex("0x1.fffffep+127")
_INT32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_UINT32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_TYPES: dict[int, Any] = {
    _F.TYPE_STRING: str,
    _F.TYPE_BOOL: bool,
    _F.TYPE_DOUBLE: float,
    _F.TYPE_FLOAT: Annotated[float, Meta(ge=-_FLOAT_MOST, le=_FLOAT_MOST)],
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), _UINT32),
}
# Of which there is no value.
_NOT_PLAIN = Annotated[str, Meta(min_length=1, max_length=0)]


def _of_google(descriptor: Any) -> bool:
    """True for the types that JSON has a form of its own for."""
    return bool(descriptor.file.package == "google.protobuf")


def _has_null(field: FieldDescriptor) -> bool:
    """True where a null is a value, not the lack of one."""
    inner = field.message_type or field.enum_type
    return inner is not None and _of_google(inner)


class WritePlans:
    """How messages are filled from JSON, by type."""

    def __init__(self) -> None:
        self._plans: dict[str, tuple[Any, _Fill] | None] = {}

    def of(self, descriptor: Descriptor) -> tuple[Any, _Fill] | None:
        """The type by which msgspec reads a message's JSON, and what fills a message from it.

        None for one that is found inside itself. Raises: ValueError, TypeError where a name is one
        that msgspec does not take.
        """
        name = descriptor.full_name
        if name not in self._plans:
            self._plans[name] = None
            self._plans[name] = self._made(descriptor)
        return self._plans[name]

    def _made(self, descriptor: Descriptor) -> tuple[Any, _Fill]:
        members: list[tuple[str, Any, Any]] = []
        names: dict[str, str] = {}
        places: list[tuple[str, str, _Put]] = []
        twice: list[tuple[str, str]] = []
        for field in descriptor.fields:
            kind, put = self._field(field)
            # A field may be given by either name, but not by both.
            given = dict.fromkeys((field.json_name, field.name))
            for letter, name in zip("fg", given, strict=False):
                place = f"{letter}{field.number}"
                names[place] = name
                nullable = kind if _has_null(field) else kind | None
                members.append((place, nullable | UnsetType, UNSET))
                places.append((place, field.name, put))
            if len(given) > 1:
                twice.append((f"f{field.number}", f"g{field.number}"))
        made = msgspec.defstruct(
            "Message", members, rename=names, forbid_unknown_fields=True, gc=False
        )

        def fill(message: Any, value: Any) -> None:
            for place, name, put in places:
                found = getattr(value, place)
                if found is not UNSET and found is not None:
                    put(message, name, found)
            for one, other in twice:
                if getattr(value, one) is not UNSET and getattr(value, other) is not UNSET:
                    raise ConversionError("a field is there by both its names")

        return made, fill

    def _field(self, field: FieldDescriptor) -> tuple[Any, _Put]:
        """The type of a field's JSON, and what puts it into a message."""
        oneof, inner = field.containing_oneof, field.message_type
        repeated = field.label == _F.LABEL_REPEATED
        if oneof is not None and len(oneof.fields) > 1:
            return _NOT_PLAIN, setattr
        if inner is None:
            kind = _TYPES.get(field.type, _NOT_PLAIN)
            return (list[kind], _put_all) if repeated else (kind, setattr)  # type: ignore[valid-type]
        of_map = inner.GetOptions().map_entry
        plan = None if of_map or _of_google(inner) else self.of(inner)
        if plan is None:
            return _NOT_PLAIN, setattr
        made, fill = plan

        def put_message(message: Any, name: str, value: Any) -> None:
            part = getattr(message, name)
            part.SetInParent()
            fill(part, value)

        def put_messages(message: Any, name: str, values: list[Any]) -> None:
            parts = getattr(message, name)
            for value in values:
                fill(parts.add(), value)

        return (list[made], put_messages) if repeated else (made, put_message)  # type: ignore[valid-type]


def _put_all(message: Any, name: str, values: list[Any]) -> None:
    getattr(message, name).extend(values)


class ReadPlans:
    """How messages become the values that Google's mapping makes them, by type.

    Unlike it, and like the reference, they show the fields of proto2 that are not set.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._plans: dict[str, Show] = {}

    def of(self, descriptor: Descriptor) -> Show:
        """What takes a message and returns its value; it raises for one that has none."""
        name = descriptor.full_name
        if name not in self._plans:
            self._plans[name] = self._made(descriptor)
        return self._plans[name]

    def _made(self, descriptor: Descriptor) -> Show:
        fields: dict[int, tuple[str, Show | None]] = {}
        absent: list[tuple[str, Any]] = []
        for field in descriptor.fields:
            shown = self._shown(field)
            fields[field.number] = field.json_name, shown
            if _shown_unset(field):
                absent.append((field.json_name, _default(field, shown)))

        def show(message: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for field, value in message.ListFields():
                known = fields.get(field.number)
                if known is None:
                    # An extension, of which the type knows nothing.
                    known = fields[field.number] = f"[{field.full_name}]", self._shown(field)
                name, shown = known
                found[name] = value if shown is None else shown(value)
            for name, default in absent:
                if name not in found:
                    found[name] = default
            return found

        return show

    def _shown(self, field: FieldDescriptor) -> Show | None:
        """What makes a value of a field JSON; None where it is."""
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            key = _shown_key(inner.fields_by_name["key"])
            entry = self._shown_one(inner.fields_by_name["value"]) or _same
            return lambda value: {key(name): entry(value[name]) for name in value}
        one = self._shown_one(field)
        if field.label != _F.LABEL_REPEATED:
            return one
        return list if one is None else lambda values: [one(value) for value in values]

    def _shown_one(self, field: FieldDescriptor) -> Show | None:
        inner = field.message_type
        if inner is None:
            return _shown_enum(field.enum_type) if field.enum_type else _SHOWN.get(field.type)
        # Descriptors are of proto2 and have no form of their own.
        if _of_google(inner) and inner.file.name != "google/protobuf/descriptor.proto":
            return lambda value: json_format.MessageToDict(
                value, always_print_fields_with_no_presence=True, descriptor_pool=self._pool
            )
        # Looked up when it is needed: it may hold what holds it.
        return lambda value: self.of(inner)(value)


def _shown_unset(field: FieldDescriptor) -> bool:
    """True for what the reference shows of every message: in proto2 also what has presence."""
    if field.label == _F.LABEL_REPEATED:
        return True
    # An optional field of proto3 is in a oneof of its own.
    return field.message_type is None and field.containing_oneof is None


def _default(field: FieldDescriptor, shown: Show | None) -> Any:
    """What a field shows that is not there."""
    if field.label == _F.LABEL_REPEATED:
        inner = field.message_type
        return {} if inner is not None and inner.GetOptions().map_entry else []
    return field.default_value if shown is None else shown(field.default_value)


def _same(value: Any) -> Any:
    return value


def _shown_key(field: FieldDescriptor) -> Show:
    if field.type == _F.TYPE_BOOL:
        return lambda value: "true" if value else "false"
    return str


def _shown_enum(enum: Any) -> Show:
    names = {number: found.name for number, found in enum.values_by_number.items()}
    if enum.full_name == "google.protobuf.NullValue":
        return lambda _: None
    # A number that a closed one lacks is an error.
    return names.__getitem__ if enum.is_closed else lambda value: names.get(value, value)


def _shown_bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _shown_double(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _shown_float(value: float) -> Any:
    return _types.ToShortestFloat(value) if math.isfinite(value) else _shown_double(value)


# Of the simple types; the others are JSON already.
_SHOWN: dict[int, Show] = {
    _F.TYPE_BYTES: _shown_bytes,
    _F.TYPE_DOUBLE: _shown_double,
    _F.TYPE_FLOAT: _shown_float,
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), str),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), str),
}
