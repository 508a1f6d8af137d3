"""Avro's binary encoding to values that are JSON-encoded Avro: a schema compiled once into the
source of a Python function, since calls between functions for its parts cost more than they do.

A reader takes many stored values of one schema. Data that does not belong to the schema ends in
`DecodeError`, however it is made.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from kafka_rest.formats.avro_schema import branch_name
from kafka_rest.formats.embedded import DecodeError

Read = Callable[[list[bytes], int], list[Any]]

_float = struct.Struct("<f")
_double = struct.Struct("<d")
_LONGEST_VARINT_BITS = 70
# Items that take no bytes (nulls, empty records) could be counted to 2^63 in ten bytes of data.
MOST_EMPTY_ITEMS = 1_000_000
_NUMBER_TEXT = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
# Python nests no more than 20 loops and 100 indentations; beyond this a part is a function.
_DEEPEST = 8
# To compile a source takes longer than anything else that is done once for a schema.
_MOST_INLINE = 300
_SHORT = "the data ends before the value does"


def compile_reader(schema: Any) -> Read:
    """A function that takes stored values and where each begins, and returns values for JSON.

    Bytes behind a value are not looked at.
    """
    source = _Source()
    source.write("def read(column, start):", "    done = []", "    for data in column:")
    with source.indented(2):
        source.write("at = start", "size = len(data)")
        # The outermost union is shown without the name of its branch (reference behaviour).
        source.value(schema, "value", outermost=True)
        source.write("done.append(value)")
    source.write("    return done")
    read = source.compiled("read")

    def checked(column: list[bytes], start: int) -> list[Any]:
        try:
            found: list[Any] = read(column, start)
        except (IndexError, struct.error) as error:
            raise DecodeError(_SHORT) from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("the data is not of its schema") from error
        return found

    return checked


class _Source:
    """The source of a reader while it is written.

    Everywhere in it `data` is a stored value of `size` bytes and `at` where the next part begins.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._margin = ""
        self._functions: list[list[str]] = []
        self._named: dict[str, str] = {}
        self._count = 0
        self._globals: dict[str, Any] = {
            "DecodeError": DecodeError,
            "SHORT": _SHORT,
            "block": _block,
            "long": read_long,
            "float_at": _float.unpack_from,
            "double_at": _double.unpack_from,
            "finite": _finite,
            "shortest": _shortest,
        }

    def compiled(self, name: str) -> Callable[..., Any]:
        """The function with this name, with all that it calls."""
        lines = [line for function in (*self._functions, self._lines) for line in function]
        exec(compile("\n".join(lines), "<avro reader>", "exec"), self._globals)
        function: Callable[..., Any] = self._globals[name]
        return function

    def write(self, *lines: str) -> None:
        """Add lines at the current margin."""
        self._lines += [self._margin + line for line in lines]

    @contextmanager
    def indented(self, levels: int = 1) -> Iterator[None]:
        """What is written meanwhile stands further in."""
        before, self._margin = self._margin, self._margin + "    " * levels
        yield
        self._margin = before

    def value(self, schema: Any, target: str, outermost: bool = False) -> None:
        """Write what reads a value of a schema into the variable `target`."""
        kind = schema.type
        if kind in _SIMPLE:
            self._simple(kind, target)
        elif kind == "union":
            self._nested(schema, target, lambda: self._union(schema, target, bare=outermost))
        elif kind == "array":
            self._nested(schema, target, lambda: self._array(schema, target))
        elif kind == "map":
            self._nested(schema, target, lambda: self._map(schema, target))
        elif kind == "enum":
            self._enum(schema, target)
        elif kind == "fixed":
            self.write(f"end = at + {schema.size}", *_CHUNK)
            self.write(f"{target} = data[at:end].decode('latin-1')", "at = end")
        elif outermost:
            self._record(schema, target)
        else:
            # It may hold itself.
            self._called(schema.fullname, target, lambda: self._record(schema, "value"))

    def _fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _constant(self, value: Any) -> str:
        name = self._fresh("constant_")
        self._globals[name] = value
        return name

    def _simple(self, kind: str, target: str) -> None:
        lines = _SIMPLE[kind]
        if self._count < _MOST_INLINE:
            self.write(*(line.format(target) for line in lines))
            return
        body = [line.format("value") for line in lines]
        # No type has this full name: there is no dot in it.
        self._called(f"simple {kind}", target, lambda: self.write(*body))

    def _called(self, key: str, target: str, body: Callable[[], None]) -> None:
        """Write a call of the function for what `key` names, and once the function."""
        if key not in self._named:
            self._named[key] = self._fresh("read_")
            self._function(self._named[key], body)
        self.write(f"{target}, at = {self._named[key]}(data, at)")

    def _function(self, name: str, body: Callable[[], None]) -> None:
        """Write a function beside the one that is being written."""
        outer = self._lines, self._margin
        self._lines, self._margin = [], ""
        self._functions.append(self._lines)
        self.write(f"def {name}(data, at):")
        with self.indented():
            self.write("size = len(data)")
            body()
            self.write("return value, at")
        self._lines, self._margin = outer

    def _nested(self, schema: Any, target: str, body: Callable[[], None]) -> None:
        if len(self._margin) // 4 < _DEEPEST:
            body()
            return
        name = self._fresh("read_")
        self._function(name, lambda: self.value(schema, "value"))
        self.write(f"{target}, at = {name}(data, at)")

    def _record(self, schema: Any, target: str) -> None:
        parts = []
        for field in schema.fields:
            parts.append(self._fresh("v"))
            self.value(field.type, parts[-1])
        # One of these is made and written faster than a dict.
        names = {f"f{n}": field.name for n, field in enumerate(schema.fields)}
        made = self._constant(msgspec.defstruct("Record", list(names), rename=names, gc=False))
        self.write(f"{target} = {made}({', '.join(parts)})")

    def _array(self, schema: Any, target: str) -> None:
        items, count, item = self._fresh("v"), self._fresh("count_"), self._fresh("v")
        self.write(f"{items} = []", f"{count}, at = block(data, at, 0)", f"while {count}:")
        self.write(f"    for _ in range({count}):")
        with self.indented(2):
            self.value(schema.items, item)
            self.write(f"{items}.append({item})")
        self.write(f"    {count}, at = block(data, at, len({items}))", f"{target} = {items}")

    def _map(self, schema: Any, target: str) -> None:
        items, count, item = self._fresh("v"), self._fresh("count_"), self._fresh("v")
        key = self._fresh("v")
        self.write(f"{items} = {{}}", f"{count}, at = block(data, at, 0)", f"while {count}:")
        self.write(f"    for _ in range({count}):")
        with self.indented(2):
            self._simple("string", key)
            self.value(schema.values, item)
            self.write(f"{items}[{key}] = {item}")
        self.write(f"    {count}, at = block(data, at, len({items}))", f"{target} = {items}")

    def _union(self, schema: Any, target: str, bare: bool) -> None:
        place, count = self._fresh("branch_"), len(schema.schemas)
        self.write(*_COUNT, f"{place} = n", f"if not 0 <= n < {count}:")
        self.write("    raise DecodeError(f'a union has no branch {n}')")
        for index, branch in enumerate(schema.schemas):
            # No elif: Python's compiler takes some hundred at most.
            self.write(f"if {place} == {index}:")
            with self.indented():
                self.value(branch, target)
                if branch.type != "null" and not bare:
                    self.write(f"{target} = {{{branch_name(branch)!r}: {target}}}")

    def _enum(self, schema: Any, target: str) -> None:
        symbols = self._constant(list(schema.symbols))
        refusal = self._constant(f"enum {schema.name} has no symbol ")
        self.write(*_COUNT, f"if not 0 <= n < {len(schema.symbols)}:")
        self.write(f"    raise DecodeError({refusal} + str(n))", f"{target} = {symbols}[n]")


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


# Most numbers that count something are small and not negative: one even byte.
_COUNT = (
    "n = data[at]",
    "if n & 129:",
    "    n, at = long(data, at)",
    "else:",
    "    n >>= 1",
    "    at += 1",
)
_CHUNK = ("if not at <= end <= size:", "    raise DecodeError(SHORT)")
_LONG = (
    "{0} = data[at]",
    "if {0} > 127:",
    "    {0}, at = long(data, at)",
    "else:",
    "    {0} = {0} >> 1 ^ -({0} & 1)",
    "    at += 1",
)
# How a value of each simple type is read into a variable.
_SIMPLE = {
    "null": ("{0} = None",),
    "boolean": ("{0} = data[at] == 1", "at += 1"),
    "int": _LONG,
    "long": _LONG,
    "float": ("{0} = shortest(float_at(data, at)[0])", "at += 4"),
    "double": ("{0} = finite(double_at(data, at)[0])", "at += 8"),
    "string": (*_COUNT, "end = at + n", *_CHUNK, "{0} = data[at:end].decode()", "at = end"),
    "bytes": (*_COUNT, "end = at + n", *_CHUNK, "{0} = data[at:end].decode('latin-1')", "at = end"),
}
