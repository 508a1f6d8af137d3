"""Protobuf schema texts compiled in process: message classes by their place in the file."""

import os
import tempfile
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import protoxy
from google.protobuf import descriptor_pool, message_factory

from kafka_rest.formats.embedded import DecodeError, SchemaError, SchemaRefused
from kafka_rest.records import Schema

COMPILED_SCHEMAS = 1000
OWN_NAME = "kafka-rest-schema.proto"
# The compiler reads files; this file system is memory, where there is one.
MEMORY = "/dev/shm"
REASON_LENGTH = 300


class CompiledSchema:
    """The messages of one schema, in a descriptor pool of their own."""

    def __init__(self, schema: Schema) -> None:
        files = _compiled(schema)
        self.pool: Any = descriptor_pool.DescriptorPool()
        for file in files:
            self.pool.Add(file)
        self._own = files[-1]
        if not self._own.message_type:
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
        names = [self._own.package] if self._own.package else []
        inside = self._own.message_type
        for index in place:
            if not 0 <= index < len(inside):
                raise DecodeError("the schema has no message at the place that the record names")
            names.append(inside[index].name)
            inside = inside[index].nested_type
        return ".".join(names)


@lru_cache(COMPILED_SCHEMAS)
def compiled(schema: Schema) -> CompiledSchema:
    """The compiled schema. Raises: SchemaError."""
    return CompiledSchema(schema)


def _compiled(schema: Schema) -> list[Any]:
    """The file descriptors of a schema, what it imports first."""
    if not schema.text.strip():
        raise SchemaRefused("it is empty")
    texts = {reference.name: reference.text for reference in schema.references}
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kafka-rest-", dir=memory) as folder:
        for name, text in {**texts, OWN_NAME: schema.text}.items():
            _write(folder, name, text)
        try:
            found = protoxy.compile(
                [os.path.join(folder, OWN_NAME)], [folder], include_source_info=False
            )
        except (protoxy.ProtoxyError, ValueError) as error:
            raise SchemaError(
                f"Error when parsing raw schema. format = PROTOBUF: {_reason(str(error))}"
            ) from error
    return list(found.file)


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


def _reason(text: str) -> str:
    """The compiler's first line and the place it points to."""
    first, _, rest = text.partition("\n")
    _, found, place = rest.partition(f"{OWN_NAME}:")
    where = f" (line {place.partition(']')[0].replace(':', ', column ')})" if found else ""
    return f"{first.strip()[:REASON_LENGTH]}{where}"
