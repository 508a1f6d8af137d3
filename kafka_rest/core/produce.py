"""The produce flow that all API versions share: schemas, encoding, sending, reports in input order.

Everything is encoded before anything is sent: one bad record, nothing produced. Not for HTTP
shapes.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain, repeat
from operator import attrgetter
from typing import NamedTuple, cast

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.formats.embedded import (
    ConversionError,
    EmbeddedFormat,
    Encoder,
    SchemaError,
    SchemaRefused,
)
from kafka_rest.kafka.failures import partition_count
from kafka_rest.kafka.producers import DeliveryBatch, Done, Target
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import (
    Deadline,
    DeliveryReport,
    Headers,
    ProduceRecord,
    Schema,
    SchemaReference,
)

_REFUSED = (errors.TopicForbidden, errors.AuthenticationFailed)
COSTLY_BYTES = 1 << 14
"""So much of a costly format is encoded by a caller that may not block: some milliseconds."""


class JsonRecords(NamedTuple):
    """The records of a request, a column each: JSON texts, None for null or an absent member.

    Columns, since keys and values are encoded one side after the other.
    """

    keys: list[bytes | None]
    values: list[bytes | None]
    partitions: list[int | None]
    headers: list[Headers | None] | None = None
    timestamps: list[int | None] | None = None


class SchemaChoice(NamedTuple):
    """What a request says about the schema of one side; the id wins where both are given."""

    text: str | None = None
    schema_id: int | None = None
    references: tuple[SchemaReference, ...] = ()

    @property
    def given(self) -> bool:
        """True where the request names a schema in either way."""
        return self.text is not None or self.schema_id is not None


NO_SCHEMA = SchemaChoice()


class ProduceRequest(NamedTuple):
    """One produce call; `partition` (from the path) holds for all records that name none.

    `strict_subject`: a schema id must be one of the topic's subject. `tombstones`: a JSON null is
    Kafka's null whatever the schema says of it. `refused_each`: where Kafka refuses to tell of the
    topic, that is the failure of each record. All as in v2.
    """

    topic: str
    partition: int | None
    embedded_format: EmbeddedFormat
    records: JsonRecords
    key_schema: SchemaChoice
    value_schema: SchemaChoice
    strict_subject: bool = False
    tombstones: bool = False
    refused_each: bool = False


class ProduceResult(NamedTuple):
    """The reports in the order of the records, and the schema ids that were used."""

    reports: list[DeliveryReport]
    key_schema_id: int | None
    value_schema_id: int | None


class _Side(NamedTuple):
    """Key or value of every record of a request."""

    name: str
    missing: type[errors.RestError]
    choice: Callable[[ProduceRequest], SchemaChoice]


_KEY = _Side("key", errors.KeySchemaMissing, attrgetter("key_schema"))
_VALUE = _Side("value", errors.ValueSchemaMissing, attrgetter("value_schema"))
_Encoding = tuple[int | None, Encoder | None]
"""The schema id and the encoder of one side; without an encoder it is stored as it is."""


def produce(
    clients: ClientRegistry,
    request: ProduceRequest,
    deadline: Deadline,
    done: Callable[[ProduceResult], None],
) -> DeliveryBatch:
    """Check, encode and send; `done` is called once, when every record has its report.

    Blocks for what must be looked up (a schema or a topic that is not cached) and while
    librdkafka's queue is full, never for the reports. Raises before anything is sent: 404xx, 40801,
    422xx, and WouldBlock where the deadline allows no wait.
    """
    embedded, columns = request.embedded_format, request.records
    if embedded.schema_type is None:
        own: _Encoding = (None, embedded.encoder(None))
        encodings = own, own
    else:
        encodings = _encodings(clients, request, embedded.schema_type, deadline)
    (key_id, key_encoder), (value_id, value_encoder) = encodings
    keys = _encoded(request, _KEY, key_encoder, columns.keys, deadline)
    values = _encoded(request, _VALUE, value_encoder, columns.values, deadline)
    records = _records(keys, values, columns)
    blocking = deadline.sooner(clients.limits.block_seconds)

    def told(reports: list[DeliveryReport]) -> None:
        done(ProduceResult(reports, key_id, value_id))

    try:
        count = clients.metadata.ensure_topic(request.topic, blocking)
    except _REFUSED as refused:
        if not request.refused_each:
            raise
        return _refused(refused, len(records), told)
    _require_partition(request, count)
    target = Target(request.topic, request.partition, count)
    batch = clients.producer.send(target, records, blocking, told)
    record_count, byte_count = clients.produced[embedded.name]
    record_count[0] += len(records)
    byte_count[0] += sum(map(len, filter(None, chain(keys, values))))
    return batch


def _refused(error: errors.RestError, count: int, told: Done) -> DeliveryBatch:
    batch = DeliveryBatch(count, told)
    report = DeliveryReport(None, None, error.error_code, error.text)
    for index in range(count):
        batch.fail(index, report)
    return batch


def _records(
    keys: list[bytes | None], values: list[bytes | None], records: JsonRecords
) -> list[ProduceRecord]:
    """The records, each a plain tuple: to make it a named one would cost more than to encode it."""
    headers, timestamps = records.headers or repeat(None), records.timestamps or repeat(None)
    rows = zip(keys, values, records.partitions, headers, timestamps, strict=False)
    return cast(list[ProduceRecord], list(rows))


def _require_registry(clients: ClientRegistry, request: ProduceRequest) -> None:
    """Refuse a format with schemas where the settings name no schema registry; for v2, where even
    nulls need one.
    """
    if clients.has_registry or not request.strict_subject:
        return
    given = request.key_schema.given or request.value_schema.given
    kind = errors.NoSchemaRegistry if given else errors.SerializationFailed
    raise because(kind, "schema.registry.url is empty.")


def _require_schema(side: _Side, request: ProduceRequest, values: Iterable[bytes | None]) -> None:
    if not side.choice(request).given and any(value is not None for value in values):
        raise side.missing


def _check_path_partition(
    clients: ClientRegistry, request: ProduceRequest, deadline: Deadline
) -> None:
    """Refuse a partition that an existing topic lacks; a missing or refused one comes later."""
    if request.partition is None:
        return
    with suppress(errors.TopicNotFound, *_REFUSED):
        _require_partition(request, clients.metadata.require(request.topic, deadline))


def _require_partition(request: ProduceRequest, count: int) -> None:
    if request.partition is not None and not 0 <= request.partition < count:
        raise because(errors.PartitionNotFound, partition_count(request.topic, count))


def _encodings(
    clients: ClientRegistry, request: ProduceRequest, schema_type: str, deadline: Deadline
) -> tuple[_Encoding, _Encoding]:
    """Those of keys and values, in a format with schemas."""
    _require_registry(clients, request)
    _require_schema(_KEY, request, request.records.keys)
    _require_schema(_VALUE, request, request.records.values)
    # Nothing is to be registered for a partition that is not there.
    _check_path_partition(clients, request, deadline)
    return (
        _encoding(clients, request, _KEY, schema_type, deadline),
        _encoding(clients, request, _VALUE, schema_type, deadline),
    )


def _encoding(
    clients: ClientRegistry,
    request: ProduceRequest,
    side: _Side,
    schema_type: str,
    deadline: Deadline,
) -> _Encoding:
    """That of one side; none where it has nothing but nulls."""
    if not side.choice(request).given:
        return None, None
    try:
        schema = _registered(clients, request, side, schema_type, deadline)
        return schema.schema_id, request.embedded_format.encoder(schema)
    except SchemaError as error:
        refused = isinstance(error, SchemaRefused)
        kind = errors.SerializationFailed if refused else errors.InvalidSchema
        raise because(kind, str(error)) from error


def _registered(
    clients: ClientRegistry,
    request: ProduceRequest,
    side: _Side,
    schema_type: str,
    deadline: Deadline,
) -> Schema:
    choice = side.choice(request)
    if choice.schema_id is not None:
        schema = clients.schemas.by_id(choice.schema_id, deadline)
        if schema.schema_type != schema_type:
            raise SchemaError(
                f"the schema with id {schema.schema_id} is of type {schema.schema_type}, "
                f"not {schema_type}"
            )
        if request.strict_subject:
            subject = _subject(clients, request, side, schema)
            clients.schemas.require_in_subject(subject, schema, deadline)
        return schema
    text, references = choice.text or "", choice.references

    def register() -> Schema:
        unregistered = clients.schemas.unregistered(schema_type, text, references, deadline)
        request.embedded_format.check(unregistered)
        subject = _subject(clients, request, side, unregistered)
        return clients.schemas.register(subject, schema_type, text, deadline, references)

    use = (request.topic, side.name, schema_type, text, references)
    return clients.schemas.used_before(use, register, deadline)


def _subject(clients: ClientRegistry, request: ProduceRequest, side: _Side, schema: Schema) -> str:
    strategy = clients.subject_strategies[side.name]
    record = request.embedded_format.record_name(schema) if strategy.by_record else ""
    if record is None:
        raise SchemaError("it has no name, which the subject name strategy asks for")
    return strategy.subject(request.topic, side.name, record)


def _encoded(
    request: ProduceRequest,
    side: _Side,
    encoder: Encoder | None,
    texts: list[bytes | None],
    deadline: Deadline,
) -> list[bytes | None]:
    """One side of all records as Kafka stores it.

    Raises: the format's refusal of the first bad one.
    """
    if encoder is None:
        return texts
    encode, nullable = encoder.encode, encoder.nullable or request.tombstones
    if nullable and texts.count(None) == len(texts):
        return texts
    if encoder.costly and sum(map(len, filter(None, texts))) > COSTLY_BYTES:
        # Others wait for a caller that may not block.
        deadline.require_blocking()
    if encoder.encode_all is not None and None not in texts:
        try:
            return list(encoder.encode_all(cast(list[bytes], texts)))
        except ConversionError:
            # Which of them it refused is found out below.
            pass
    if encoder.costly:
        # One by one it may take a time that a client chooses.
        deadline.require_blocking()
    stored: list[bytes | None] = []
    try:
        for text in texts:
            if text is not None:
                stored.append(encode(text))
            elif nullable:
                stored.append(None)
            else:
                raise ConversionError(encoder.null_error)
    except ConversionError as error:
        raise request.embedded_format.refusal(side.name, len(stored), error) from error
    return stored
