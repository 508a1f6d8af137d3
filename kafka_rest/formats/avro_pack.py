"""JSON-encoded Avro to Avro's binary encoding, many values at once: the short way of `avro_write`.

A schema becomes a type, by which msgspec checks and reads the JSON, and the source of a function
that puts the parts of each value together. It takes plain values of plain schemas and refuses the
rest without a reason: what it refuses, `avro_write` takes or refuses for good.
"""

import struct
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from kafka_rest.formats.avro_schema import branch_name
from kafka_rest.formats.avro_write import append_long
from kafka_rest.formats.embedded import ConversionError

Pack = Callable[[list[bytes]], list[bytes]]

# A schema may name a record many times over, and its parts are written out each time.
MOST_PARTS = 1000
_INT = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_LONG = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[str, Any] = {
    "null": None,
    "boolean": bool,
    "int": _INT,
    "long": _LONG,
    "float": float,
    "double": float,
    "string": str,
    "bytes": str,
    "fixed": str,
    "enum": str,
}
# What puts a value of each simple type together; {0} is the value, {1} a name of its own.
_SIMPLE: dict[str, tuple[str, ...]] = {
    "null": (),
    "boolean": ("BOOLEAN[{0}]",),
    "int": ("LONG[{0}]",),
    "long": ("LONG[{0}]",),
    "float": ("float_of({0})",),
    "double": ("double_of({0})",),
    "string": ("LONG[len({1} := {0}.encode())]", "{1}"),
    "bytes": ("LONG[len({1} := {0}.encode('latin-1', 'replace'))]", "{1}"),
}
_REFUSALS = (msgspec.DecodeError, KeyError, OverflowError, RecursionError, UnicodeError)


class _NotTaken(Exception):
    """The schema is not plain."""


class _Longs(dict[int, bytes]):
    """Numbers as Avro writes them: small ones are there, others are made."""

    def __missing__(self, number: int) -> bytes:
        return _long(number)


def _long(number: int) -> bytes:
    out = bytearray()
    append_long(number, out)
    return bytes(out)


def _refuse() -> bytes:
    raise ConversionError("not one branch of a union")


def _fixed(value: str, size: int) -> bytes:
    if len(value) != size:
        raise ConversionError("another length")
    return value.encode("latin-1", "replace")


_GLOBALS: dict[str, Any] = {
    "BOOLEAN": (b"\0", b"\1"),
    "LONG": _Longs({number: _long(number) for number in range(-64, 1024)}),
    "UNSET": msgspec.UNSET,
    "double_of": struct.Struct("<d").pack,
    "fixed": _fixed,
    "float_of": struct.Struct("<f").pack,
    "join": b"".join,
    "refuse": _refuse,
}


def compile_packer(schema: Any, header: bytes) -> Pack | None:
    """A function that takes JSON values and returns the header and the encoding of each.

    It raises ConversionError where any is to be looked at by `avro_write`. None for a schema of
    which all are.
    """
    source = _Source()
    try:
        kind = source.type_of(schema, outermost=True)
        parts = source.parts(schema, "value")
        pack = source.compiled(["HEADER", *parts], header)
        decode = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
    except (_NotTaken, RecursionError, SyntaxError, MemoryError):
        return None

    def packed(texts: list[bytes]) -> list[bytes]:
        try:
            found: list[bytes] = pack(decode(b"[%b]" % b",".join(texts)))
        except _REFUSALS as error:
            raise ConversionError("not plain") from error
        return found

    return packed


class _Source:
    """The type of a schema's values, and what puts them together as Python expressions."""

    def __init__(self) -> None:
        self._records: dict[str, Any] = {}
        self._unions: dict[Any, Any] = {}
        self._globals = dict(_GLOBALS)
        self._count = 0

    def type_of(self, schema: Any, outermost: bool = False) -> Any:
        """The type by which msgspec reads a value. Raises: _NotTaken."""
        if schema.type in _TYPES:
            return _TYPES[schema.type]
        if schema.type == "array":
            return list[self.type_of(schema.items)]  # type: ignore[misc]
        if schema.type == "map":
            return dict[str, self.type_of(schema.values)]  # type: ignore[misc]
        if schema.type == "union":
            return self._union_type(schema)
        if schema.fullname not in self._records:
            # Found again inside itself, it has no type yet.
            self._records[schema.fullname] = None
            named = {field.name: self.type_of(field.type) for field in schema.fields}
            # The outermost record may have members that the schema lacks (reference behaviour).
            self._records[schema.fullname] = _struct(named, strict=not outermost)
        found = self._records[schema.fullname]
        if found is None:
            raise _NotTaken
        return found

    def _union_type(self, schema: Any) -> Any:
        named = {branch_name(b): self.type_of(b) for b in schema.schemas if b.type != "null"}
        if not named:
            return None
        if len(named) > 1:
            named = {name: kind | msgspec.UnsetType for name, kind in named.items()}
        key = tuple(named.items())
        if key not in self._unions:
            self._unions[key] = _struct(named, strict=True, optional=len(named) > 1)
        kind = self._unions[key]
        return kind if len(named) == len(schema.schemas) else kind | None

    def parts(self, schema: Any, value: str) -> list[str]:
        """Expressions for the parts of the encoding of an expression. Raises: _NotTaken."""
        self._count += 1
        if self._count > MOST_PARTS:
            raise _NotTaken
        name = f"v{self._count}"
        if schema.type in _SIMPLE:
            return [part.format(value, name) for part in _SIMPLE[schema.type]]
        if schema.type == "fixed":
            return [f"fixed({value}, {schema.size})"]
        if schema.type == "enum":
            places = {symbol: _long(n) for n, symbol in enumerate(schema.symbols)}
            self._globals[f"SYMBOLS_{name}"] = places
            return [f"SYMBOLS_{name}[{value}]"]
        if schema.type == "union":
            return [self._union(schema, value, name)]
        if schema.type == "array":
            item = self._joined(self.parts(schema.items, f"{name}_item"))
            return [self._block(value, name, f"{item} for {name}_item in {name}")]
        if schema.type == "map":
            key = [part.format(f"{name}_key", f"{name}_text") for part in _SIMPLE["string"]]
            item = self._joined([*key, *self.parts(schema.values, f"{name}_item")])
            each = f"{item} for {name}_key, {name}_item in {name}.items()"
            return [self._block(value, name, each)]
        return [
            part
            for n, field in enumerate(schema.fields)
            for part in self.parts(field.type, f"{value}.f{n}")
        ]

    def _union(self, schema: Any, value: str, name: str) -> str:
        text, members = "", 0
        branches = [(n, b) for n, b in enumerate(schema.schemas) if b.type != "null"]
        if not branches:
            return repr(_long(0))
        for place, branch in branches:
            inner = self._joined([repr(_long(place)), *self.parts(branch, f"{name}.f{members}")])
            text += f"{inner} if {name}.f{members} is not UNSET else "
            members += 1
        if members == 1:
            text = inner
        else:
            given = " + ".join(f"({name}.f{n} is not UNSET)" for n in range(members))
            text = f"refuse() if {given} != 1 else {text}refuse()"
        nulls = [_long(n) for n, branch in enumerate(schema.schemas) if branch.type == "null"]
        if nulls:
            return f"({nulls[0]!r} if ({name} := {value}) is None else {text})"
        # Bound, and always true.
        return f"(({text}) if ({name} := {value}) is not None else refuse())"

    @staticmethod
    def _joined(parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else f"join(({', '.join(parts)}))"

    @staticmethod
    def _block(value: str, name: str, each: str) -> str:
        """An array or map: one block of all items, and the end."""
        block = f"join((LONG[len({name})], *[{each}], b'\\0'))"
        return f"({block} if ({name} := {value}) else b'\\0')"

    def compiled(self, parts: list[str], header: bytes) -> Callable[[list[Any]], list[bytes]]:
        """The function that puts each value's parts together."""
        lines = (
            "def pack(values):",
            "    done = []",
            "    for value in values:",
            f"        done.append(join(({', '.join(parts)},)))",
            "    return done",
        )
        self._globals["HEADER"] = header
        exec(compile("\n".join(lines), "<avro packer>", "exec"), self._globals)
        pack: Callable[[list[Any]], list[bytes]] = self._globals["pack"]
        return pack


def _struct(named: dict[str, Any], strict: bool, optional: bool = False) -> Any:
    """A class with these members, f0, f1, ... in Python."""
    places = {f"f{n}": name for n, name in enumerate(named)}
    members: list[Any] = [
        (place, kind, msgspec.UNSET) if optional else (place, kind)
        for place, kind in zip(places, named.values(), strict=True)
    ]
    try:
        return msgspec.defstruct(
            "Value", members, rename=places, forbid_unknown_fields=strict, gc=False
        )
    except (ValueError, TypeError) as error:
        # A name that would have to be escaped.
        raise _NotTaken from error
