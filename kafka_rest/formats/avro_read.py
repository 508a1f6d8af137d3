"""Avro's binary encoding to values that are JSON-encoded Avro: a schema compiled once into nested
functions.

A reader takes the data and a position and returns a value and the next position. Data that does not
belong to the schema ends in `DecodeError`, however it is made.
"""

import struct
from collections.abc import Callable
from typing import Any

from kafka_rest.formats import avro_schema
from kafka_rest.formats.avro_schema import branch_name
from kafka_rest.formats.embedded import DecodeError

Read = Callable[[bytes, int], tuple[Any, int]]

_float = struct.Struct("<f")
_double = struct.Struct("<d")
_LONGEST_VARINT_BITS = 70
# Items that take no bytes (nulls, empty records) could be counted to 2^63 in ten bytes of data.
MOST_EMPTY_ITEMS = 1_000_000
_NUMBER_TEXT = {float("inf"): "Infinity", float("-inf"): "-Infinity"}


def compile_reader(schema: Any) -> Callable[[bytes, int], Any]:
    """A function that takes data and a start and returns the value.

    Bytes behind it are not looked at.
    """
    read = _Compiler().compile(schema)
    if schema.type == "union":
        # The outermost union is shown without the name of its branch (reference behaviour).
        read = _bare_union(read)

    def decode(data: bytes, start: int) -> Any:
        try:
            return read(data, start)[0]
        except (IndexError, struct.error) as error:
            raise DecodeError("the data ends before the value does") from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("the data is not of its schema") from error

    return decode


def _bare_union(read: Read) -> Read:
    def bare(data: bytes, at: int) -> tuple[Any, int]:
        value, at = read(data, at)
        return (None if value is None else next(iter(value.values()))), at

    return bare


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number."""
    byte = data[at]
    at += 1
    value, shift = byte & 127, 7
    while byte > 127:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if shift > _LONGEST_VARINT_BITS:
            raise DecodeError("a number has more than 64 bits")
    return (value >> 1) ^ -(value & 1), at


class _Compiler(avro_schema.Compiler[Read]):
    """Compiles one schema."""

    def make(self, schema: Any) -> Read:
        """The function for a type that is not simple."""
        makers: dict[str, Callable[[Any], Read]] = {
            "enum": _enum,
            "fixed": _fixed,
            "array": self._array,
            "map": self._map,
            "union": self._union,
        }
        return makers.get(schema.type, self._record)(schema)

    def _record(self, schema: Any) -> Read:
        fields = [(field.name, self.compile(field.type)) for field in schema.fields]

        def read(data: bytes, at: int) -> tuple[Any, int]:
            record = {}
            for name, read_field in fields:
                record[name], at = read_field(data, at)
            return record, at

        return read

    def _array(self, schema: Any) -> Read:
        read_item = self.compile(schema.items)

        def read(data: bytes, at: int) -> tuple[Any, int]:
            items: list[Any] = []
            count, at = _block(data, at, 0)
            while count:
                for _ in range(count):
                    item, at = read_item(data, at)
                    items.append(item)
                count, at = _block(data, at, len(items))
            return items, at

        return read

    def _map(self, schema: Any) -> Read:
        read_value = self.compile(schema.values)

        def read(data: bytes, at: int) -> tuple[Any, int]:
            items: dict[str, Any] = {}
            count, at = _block(data, at, 0)
            while count:
                for _ in range(count):
                    key, at = _string(data, at)
                    items[key], at = read_value(data, at)
                count, at = _block(data, at, len(items))
            return items, at

        return read

    def _union(self, schema: Any) -> Read:
        branches = [(branch_name(branch), self.compile(branch)) for branch in schema.schemas]

        def read(data: bytes, at: int) -> tuple[Any, int]:
            index, at = read_long(data, at)
            if not 0 <= index < len(branches):
                raise DecodeError(f"a union has no branch {index}")
            name, read_branch = branches[index]
            value, at = read_branch(data, at)
            return (None if name == "null" else {name: value}), at

        return read


def _block(data: bytes, at: int, so_far: int) -> tuple[int, int]:
    """The number of items in the next block of an array or map, 0 at its end."""
    count, at = read_long(data, at)
    if count < 0:
        # A negative count is followed by the block's size in bytes, for readers that skip it.
        count = -count
        _, at = read_long(data, at)
    if so_far + count > max(MOST_EMPTY_ITEMS, len(data)):
        raise DecodeError(f"an array or map claims {so_far + count} items")
    return count, at


def _null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    return data[at] == 1, at + 1


def _read_float(data: bytes, at: int) -> tuple[Any, int]:
    (value,) = _float.unpack_from(data, at)
    return _shortest(value), at + 4


def _read_double(data: bytes, at: int) -> tuple[Any, int]:
    (value,) = _double.unpack_from(data, at)
    return _finite(value), at + 8


def _finite(value: float) -> Any:
    """The number, or the text that JSON has for it."""
    if value - value == 0:
        return value
    return _NUMBER_TEXT.get(value, "NaN")


def _shortest(value: float) -> Any:
    """A 32-bit number with no more digits than it has: 0.1, not 0.10000000149011612."""
    if value - value != 0:
        return _finite(value)
    packed = _float.pack(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        try:
            if _float.pack(short) == packed:
                return short
        except OverflowError:
            # Rounded up beyond the largest.
            continue
    return float(f"{value:.9g}")


def _chunk(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise DecodeError("the data ends before the value does")
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    chunk, at = _chunk(data, at)
    return chunk.decode(), at


def _bytes(data: bytes, at: int) -> tuple[str, int]:
    chunk, at = _chunk(data, at)
    return chunk.decode("latin-1"), at


def _fixed(schema: Any) -> Read:
    size = schema.size

    def read(data: bytes, at: int) -> tuple[str, int]:
        end = at + size
        if end > len(data):
            raise DecodeError("the data ends before the value does")
        return data[at:end].decode("latin-1"), end

    return read


def _enum(schema: Any) -> Read:
    symbols = list(schema.symbols)

    def read(data: bytes, at: int) -> tuple[str, int]:
        index, at = read_long(data, at)
        if not 0 <= index < len(symbols):
            raise DecodeError(f"enum {schema.name} has no symbol {index}")
        return symbols[index], at

    return read


_Compiler.simple = {
    "null": _null,
    "boolean": _boolean,
    "int": read_long,
    "long": read_long,
    "float": _read_float,
    "double": _read_double,
    "string": _string,
    "bytes": _bytes,
}
