"""JSON-encoded Avro to Avro's binary encoding: a schema compiled once into nested functions.

Each function checks a JSON value and appends its encoding; there is no datum in between. The names
of tokens and the texts of refusals follow Avro's own JSON decoder, which clients know from the
reference.
"""

import struct
from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec

from kafka_rest.formats import avro_schema
from kafka_rest.formats.avro_schema import branch_name
from kafka_rest.formats.embedded import ConversionError

Write = Callable[[Any, bytearray], None]

_float = struct.Struct("<f").pack
_double = struct.Struct("<d").pack
_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)


class Refused(ConversionError):
    """A refusal on its way up: each level puts its part before `path`."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail, self.path = detail, ""

    def under(self, part: str) -> "Refused":
        """The same, one level further out."""
        # A member is set off by a dot from the member before it, an index is not.
        separator = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{part}{separator}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}" if self.path else self.detail


def compile_writer(schema: Any) -> Callable[[bytes, bytearray], None]:
    """A function that takes JSON text and appends the Avro encoding. It raises ConversionError."""
    write = _Compiler().outermost(schema)
    decode = msgspec.json.decode

    def encode(text: bytes, out: bytearray) -> None:
        try:
            write(decode(text), out)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConversionError(f"malformed JSON: {error}") from error
        except RecursionError as error:
            raise ConversionError("nested too deeply") from error

    return encode


def token(value: Any) -> str:
    """The name of a value's JSON token, as Avro's texts have it."""
    names = {bool: "VALUE_TRUE" if value else "VALUE_FALSE", type(None): "VALUE_NULL"}
    names |= {str: "VALUE_STRING", int: "VALUE_NUMBER_INT", float: "VALUE_NUMBER_FLOAT"}
    names |= {list: "START_ARRAY", dict: "START_OBJECT"}
    return names[type(value)]


def _expected(what: str, value: Any) -> Refused:
    return Refused(f"Expected {what}. Got {token(value)}")


def append_long(value: int, out: bytearray) -> None:
    """Append a number as Avro does: zigzag, seven bits a byte, lowest first."""
    value = (value << 1) ^ (value >> 63)
    while value > 127:
        out.append((value & 127) | 128)
        value >>= 7
    out.append(value)


class _Compiler(avro_schema.Compiler[Write]):
    """Compiles one schema."""

    def outermost(self, schema: Any) -> Write:
        """The function for the whole value; a little more lenient, as the reference is."""
        if schema.type in ("int", "long"):
            return _outermost_number(schema.type)
        if schema.type in ("record", "error"):
            return self._record(schema, lenient=True)
        return self.compile(schema)

    def make(self, schema: Any) -> Write:
        """The function for a type that is not simple."""
        makers: dict[str, Callable[[Any], Write]] = {
            "enum": _enum,
            "fixed": _fixed,
            "array": self._array,
            "map": self._map,
            "union": self._union,
        }
        return makers.get(schema.type, self._record)(schema)

    def _record(self, schema: Any, lenient: bool = False) -> Write:
        fields = [(field.name, self.compile(field.type)) for field in schema.fields]
        count = len(fields)

        def write(value: Any, out: bytearray) -> None:
            if type(value) is not dict:
                raise _expected("record-start", value)
            name = ""
            try:
                for name, write_field in fields:
                    write_field(value[name], out)
            except KeyError:
                if name in value:
                    raise
                raise Refused(f"Expected field name not found: {name}") from None
            except Refused as refused:
                raise refused.under(name) from None
            if len(value) > count and not lenient:
                unknown = next(key for key in value if key not in dict(fields))
                raise Refused("Expected record-end. Got FIELD_NAME").under(unknown)

        return write

    def _array(self, schema: Any) -> Write:
        write_item = self.compile(schema.items)

        def write(value: Any, out: bytearray) -> None:
            if type(value) is not list:
                raise _expected("array-start", value)
            if value:
                append_long(len(value), out)
            index = 0
            try:
                for index, item in enumerate(value):  # noqa: B007 - the index is for the refusal
                    write_item(item, out)
            except Refused as refused:
                raise refused.under(f"[{index}]") from None
            out.append(0)

        return write

    def _map(self, schema: Any) -> Write:
        write_value = self.compile(schema.values)

        def write(value: Any, out: bytearray) -> None:
            if type(value) is not dict:
                raise _expected("map-start", value)
            if value:
                append_long(len(value), out)
            key = ""
            try:
                for key, item in value.items():
                    _string(key, out)
                    write_value(item, out)
            except Refused as refused:
                raise refused.under(key) from None
            out.append(0)

        return write

    def _union(self, schema: Any) -> Write:
        branches = {
            branch_name(branch): (index, self.compile(branch))
            for index, branch in enumerate(schema.schemas)
        }
        null = branches["null"][0] if "null" in branches else None

        def write(value: Any, out: bytearray) -> None:
            if value is None and null is not None:
                append_long(null, out)
                return
            if type(value) is not dict:
                raise _expected("start-union", value)
            if not value:
                raise Refused("Expected start-union. Got END_OBJECT")
            if len(value) > 1:
                raise Refused("Expected union-end. Got FIELD_NAME")
            ((name, inner),) = value.items()
            if name not in branches:
                raise Refused(f"Unknown union branch {name}")
            index, write_branch = branches[name]
            append_long(index, out)
            try:
                write_branch(inner, out)
            except Refused as refused:
                raise refused.under(name) from None

        return write


def _null(value: Any, _out: bytearray) -> None:
    if value is not None:
        raise _expected("null", value)


def _boolean(value: Any, out: bytearray) -> None:
    if type(value) is not bool:
        raise _expected("boolean", value)
    out.append(value)


def _number(kind: str) -> Write:
    least, most = _INT if kind == "int" else _LONG

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not int:
            if type(value) is not float:
                raise _expected(kind, value)
            if not value.is_integer():
                raise Refused(f"Expected {kind}. Got a fraction")
            value = int(value)
        if not least <= value <= most:
            raise Refused(f"Numeric value ({value}) out of range of {kind}")
        append_long(value, out)

    return write


def _outermost_number(kind: str) -> Write:
    """A whole value of int or long: a fraction is cut off, as the reference does it."""
    write_number = _number(kind)

    def write(value: Any, out: bytearray) -> None:
        if type(value) is float and isfinite(value):
            value = int(value)
        write_number(value, out)

    return write


def _real(kind: str, pack: Callable[[Any], bytes]) -> Write:
    def write(value: Any, out: bytearray) -> None:
        if type(value) is not float and type(value) is not int:
            raise _expected(kind, value)
        try:
            out += pack(value)
        except (OverflowError, struct.error):
            raise Refused(f"Numeric value out of range of {kind}") from None

    return write


def _string(value: Any, out: bytearray) -> None:
    if type(value) is not str:
        raise _expected("string", value)
    encoded = value.encode()
    append_long(len(encoded), out)
    out += encoded


def latin_bytes(value: Any) -> bytes:
    """The bytes of a JSON value for Avro bytes: one character is one byte, what is none becomes "?"
    (reference behaviour). Raises: ConversionError.
    """
    if type(value) is not str:
        raise _expected("bytes", value)
    return value.encode("latin-1", "replace")


def _bytes(value: Any, out: bytearray) -> None:
    encoded = latin_bytes(value)
    append_long(len(encoded), out)
    out += encoded


def _fixed(schema: Any) -> Write:
    size = schema.size

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not str:
            raise _expected("fixed", value)
        if len(value) != size:
            raise Refused(f"Expected fixed length {size}, but got {len(value)}")
        out += value.encode("latin-1", "replace")

    return write


def _enum(schema: Any) -> Write:
    places = {symbol: index for index, symbol in enumerate(schema.symbols)}

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not str:
            raise _expected("enum", value)
        if value not in places:
            raise Refused(f"Unknown symbol in enum {schema.name}")
        append_long(places[value], out)

    return write


_Compiler.simple = {
    "null": _null,
    "boolean": _boolean,
    "int": _number("int"),
    "long": _number("long"),
    "float": _real("float", _float),
    "double": _real("double", _double),
    "string": _string,
    "bytes": _bytes,
}
