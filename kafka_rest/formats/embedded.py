"""What every embedded format offers to the flows in `core`."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from kafka_rest.errors import BadRequest, RestError, because
from kafka_rest.records import Schema

T = TypeVar("T")


class Encoder(NamedTuple):
    """One side (key or value) of one produce request, compiled.

    `encode` takes the JSON text of a value that is not null and returns what Kafka stores.
    `encode_all`, where there is one, takes many; it raises without saying which was refused.
    `costly` where a value can take far longer than reading its text does.
    `nullable` is False where a null cannot pass through the schema; `null_error` then says why.
    """

    encode: Callable[[bytes], bytes]
    nullable: bool = True
    null_error: str = ""
    encode_all: Callable[[list[bytes]], list[bytes]] | None = None
    costly: bool = False


class ConversionError(ValueError):
    """A JSON value that the format or its schema refuses.

    `str()` is a sentence that names the field path.
    """


class DecodeError(ValueError):
    """Bytes from Kafka that are not of this format; `str()` is a sentence without payload."""


class SchemaError(ValueError):
    """A schema text that does not compile; `str()` is a sentence for the client."""

    def __init__(self, text: str) -> None:
        # What it quotes may hold half of a surrogate pair, which no answer can.
        super().__init__(text.encode(errors="replace").decode())


class SchemaRefused(SchemaError):
    """A schema text that can be read but is of no use, which a schema registry would refuse."""


COMPILED_SCHEMAS = 1000
"""Schemas that a format keeps compiled, in each direction."""

FindSchema = Callable[[int], Schema]
"""Looks a schema up by its id; raises a RestError when the schema registry cannot give it."""


class EmbeddedFormat(Protocol):
    """An embedded format: a name in media types and consumer options, and two directions."""

    @property
    def name(self) -> str:
        """As in `application/vnd.kafka.NAME.v1+json` and the consumer option `format`."""
        ...

    @property
    def schema_type(self) -> str | None:
        """The schema registry's name for its schemas ("AVRO"), None where it needs none."""
        ...

    def check(self, schema: Schema) -> None:
        """Compile a schema, with its references, before it is registered. Raises: SchemaError."""
        ...

    def record_name(self, schema: Schema) -> str | None:
        """The name of what the schema describes, None where it has none. Raises: SchemaError."""
        ...

    def encoder(self, schema: Schema | None) -> Encoder:
        """The compiled encoder for a registered schema (cached, bounded). Raises: SchemaError."""
        ...

    def decode(self, data: bytes, find_schema: FindSchema) -> bytes:
        """The JSON text of one stored key or value (never of null).

        Raises: DecodeError for bytes of another format; what `find_schema` raises passes through.
        """
        ...

    def decode_all(self, column: list[bytes], find_schema: FindSchema) -> list[bytes]:
        """The JSON texts of many stored keys or values.

        Raises: as `decode`, for any of them and without saying which: the caller asks one by one.
        """
        ...

    def refusal(self, side: str, index: int, error: ConversionError) -> RestError:
        """The error of a request of which a side of record `index` was refused."""
        ...


class Compiled(Generic[T]):
    """A function of a schema that keeps what it makes, `COMPILED_SCHEMAS` of them.

    Threads that want a new schema at once compile it once: it takes milliseconds in which no other
    runs anyway. What is there already costs no lock. A failure is not kept.
    """

    def __init__(self, compile_schema: Callable[[Schema], T]) -> None:
        self._compile = compile_schema
        self._made: dict[Schema, T] = {}
        self._lock = Lock()

    def __call__(self, schema: Schema) -> T:
        """What is made of the schema. Raises: what the function raises."""
        try:
            return self._made[schema]
        except KeyError:
            return self._first(schema)

    def _first(self, schema: Schema) -> T:
        with self._lock:
            if schema in self._made:
                return self._made[schema]
            made = self._compile(schema)
            if len(self._made) >= COMPILED_SCHEMAS:
                del self._made[next(iter(self._made))]
            self._made[schema] = made
            return made


class Schemaless:
    """What the formats share that need no schema; `own` is the one encoder of each."""

    schema_type: str | None = None
    own: Encoder

    def check(self, schema: Schema) -> None:
        """Nothing: there is no schema."""

    def record_name(self, schema: Schema) -> str | None:
        """None: there is no schema."""
        return None

    def encoder(self, schema: Schema | None) -> Encoder:
        """The encoder, the same for all."""
        return self.own


def text_of_string(text: bytes) -> bytes:
    """The UTF-8 of a JSON string. Raises: ConversionError."""
    try:
        return msgspec.json.decode(text, type=str).encode()
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ConversionError(str(error)) from error


def bad_request(side: str, index: int, error: ConversionError) -> RestError:
    """The error of a request whose record the format or its schema refuses, as v2 answers it."""
    return because(BadRequest, f"{error} (records[{index}].{side})")
