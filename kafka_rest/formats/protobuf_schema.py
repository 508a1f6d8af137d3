"""Protobuf schema texts compiled in process: message classes by their place in the file."""

import os
import re
import tempfile
from base64 import b64decode
from pathlib import PurePosixPath
from typing import Any

import protoxy
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError as BrokenMessage

from kafka_rest.formats.embedded import (
    Compiled,
    DecodeError,
    SchemaError,
    SchemaRefused,
)
from kafka_rest.records import Schema

OWN_NAME = "kafka-rest-schema.proto"
# The compiler reads files; this file system is memory, where there is one.
MEMORY = "/dev/shm"
REASON_LENGTH = 300
_PLACE = re.compile(rf"{re.escape(OWN_NAME)}:(\d+):(\d+)")
_BRACKETS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|([{}\[\]()<>])""", re.DOTALL
)
MOST_NESTED = 50
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")


class CompiledSchema:
    """The messages of one schema, in a descriptor pool of their own."""

    def __init__(self, schema: Schema) -> None:
        files = _files(schema)
        # It has no types.
        make_pool: Any = descriptor_pool.DescriptorPool
        self.pool = make_pool()
        try:
            for file in files:
                self.pool.Add(file)
        except (TypeError, BrokenMessage) as error:
            raise SchemaRefused(f"it cannot be compiled: {str(error)[:REASON_LENGTH]}") from error
        self.own = files[-1]
        if not self.own.message_type:
            raise SchemaRefused("it has no message")
        self._classes: dict[tuple[int, ...], Any] = {}

    @property
    def first(self) -> Any:
        """The class of the first message."""
        return self.message((0,))

    def message(self, place: tuple[int, ...]) -> Any:
        """The class of the message with these indexes, outermost first. Raises: DecodeError."""
        found = self._classes.get(place)
        if found is None:
            descriptor = self.pool.FindMessageTypeByName(self._name(place))
            found = self._classes[place] = message_factory.GetMessageClass(descriptor)
        return found

    def _name(self, place: tuple[int, ...]) -> str:
        names = [self.own.package] if self.own.package else []
        inside = self.own.message_type
        for index in place:
            if not 0 <= index < len(inside):
                raise DecodeError("the schema has no message at the place that the record names")
            names.append(inside[index].name)
            inside = inside[index].nested_type
        return ".".join(names)


@Compiled
def compiled(schema: Schema) -> CompiledSchema:
    """The compiled schema. Raises: SchemaError."""
    return CompiledSchema(schema)


def _files(schema: Schema) -> list[FileDescriptorProto]:
    """The file descriptors of a schema, what it imports first. Raises: SchemaError."""
    if not schema.text.strip():
        raise SchemaRefused("it is empty")
    serialized = _serialized(schema.text)
    if serialized is None:
        return _compiled_files(schema)
    found: dict[str, FileDescriptorProto] = {}
    for name in serialized.dependency:
        for file in _files(_imported(schema, name)):
            found.setdefault(file.name, file)
        # What was compiled for the import is known by our own name.
        own = found.pop(OWN_NAME, None)
        if own is not None and name not in found:
            own.name = name
            found[name] = own
    return [*found.values(), serialized]


def _imported(schema: Schema, name: str) -> Schema:
    for reference in schema.references:
        if reference.name == name:
            return Schema(-1, schema.schema_type, reference.text, schema.references)
    # One of the well-known ones, which the compiler brings along.
    return Schema(-1, schema.schema_type, f'syntax = "proto3"; import "{name}";')


def _serialized(text: str) -> FileDescriptorProto | None:
    """A file descriptor in base64, as confluent-kafka registers schemas; None for a text."""
    if not _BASE64.match(text):
        return None
    found = FileDescriptorProto()
    try:
        found.ParseFromString(b64decode(text))
    except (BrokenMessage, ValueError):
        return None
    return found


def _compiled_files(schema: Schema) -> list[FileDescriptorProto]:
    texts = {reference.name: reference.text for reference in schema.references}
    for text in (schema.text, *texts.values()):
        _refuse_depth(text)
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kafka-rest-", dir=memory) as folder:
        for name, text in {**texts, OWN_NAME: schema.text}.items():
            _write(folder, name, text)
        try:
            found = protoxy.compile(
                [os.path.join(folder, OWN_NAME)], [folder], include_source_info=False
            )
        except protoxy.ProtoxyError as error:
            raise SchemaError(
                f"Error when parsing raw schema. format = PROTOBUF: {_reason(error)}"
            ) from error
    return list(found.file)


def _refuse_depth(text: str) -> None:
    """Refuse what the compiler, which recurses in native code, would end the process for."""
    depth = 0
    for bracket in _BRACKETS.findall(text):
        if not bracket:
            # A comment or a string: what stands in them nests nothing.
            continue
        depth += 1 if bracket in "{[(<" else -1
        if depth > MOST_NESTED:
            raise SchemaError(f"it is nested deeper than {MOST_NESTED} levels")
        depth = max(depth, 0)


def _write(folder: str, name: str, text: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise SchemaRefused(f"{name[:80]!r} is no name for an import")
    path = os.path.join(folder, *parts)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, UnicodeEncodeError) as error:
        raise SchemaRefused(f"{name[:80]!r} cannot be compiled") from error


def _reason(error: Any) -> str:
    """What the compiler says, and the place in the text that it points to."""
    place = _PLACE.search(str(error.details))
    where = f" (line {place[1]}, column {place[2]})" if place else ""
    return f"{str(error).strip()[:REASON_LENGTH]}{where}"
