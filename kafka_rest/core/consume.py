"""The consume flow that all API versions share: make an instance, read, decode, commit.

Not for HTTP shapes: a caller hands in how a record is rendered and gets the rendered records.
"""

from collections.abc import Callable
from typing import NamedTuple

from kafka_rest import errors
from kafka_rest.errors import RestError, because
from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import DecodeError, EmbeddedFormat
from kafka_rest.kafka.consumers import ConsumerInstance, InstanceDescription, ReadLimits
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import ConsumedRecord, Deadline, Schema, TopicPartition

NULL = b"null"

Render = Callable[[ConsumedRecord, bytes, bytes], bytes]
"""Renders a record with the JSON texts of its key and value."""


class ReadRequest(NamedTuple):
    """One read. `format_name` None takes the instance's own.

    `max_bytes` None the server's limit.
    """

    group: str
    instance: str
    format_name: str | None
    max_bytes: int | None
    render: Render


class StatelessRead(NamedTuple):
    """One read of a partition without a consumer instance."""

    topic: str
    partition: int
    offset: int
    record_count: int
    format_name: str
    render: Render


def create_instance(clients: ClientRegistry, description: InstanceDescription) -> str:
    """Make a consumer instance and return its name, minted where the description has none."""
    named = description
    if not description.name:
        named = InstanceDescription(
            description.group,
            clients.mint_instance(description.group),
            description.embedded_format,
            description.auto_offset_reset,
            description.auto_commit,
        )
    clients.instances.create(named)
    return named.name


def read_topic(
    clients: ClientRegistry, request: ReadRequest, topic: str, deadline: Deadline
) -> list[bytes]:
    """Read from the one topic that the instance is, or hereby becomes, subscribed to.

    Raises, in this order: InstanceNotFound, FormatMismatch, TopicNotFound, AlreadySubscribed.
    """
    instance = clients.instances.get(request.group, request.instance)
    _require_format(instance, request)
    if instance.topics != (topic,):
        clients.metadata.require(topic, deadline)
        instance.subscribe_once((topic,), deadline)
    return _read(clients, instance, request, deadline)


def commit(
    clients: ClientRegistry, group: str, instance: str, deadline: Deadline
) -> dict[TopicPartition, int]:
    """Commit what the instance has handed out; returns the next offset of each partition."""
    return clients.instances.get(group, instance).commit(deadline)


def read_partition(
    clients: ClientRegistry, request: StatelessRead, max_bytes: int, deadline: Deadline
) -> list[bytes]:
    """Read a partition from an offset, without a group.

    Raises: TopicNotFound, PartitionNotFound, 50301.
    """
    clients.metadata.partition(request.topic, request.partition, deadline)
    if request.record_count <= 0:
        return []
    records = clients.simple_consumers.read(
        request.topic, request.partition, request.offset, request.record_count, max_bytes, deadline
    )
    decode = _decoder(clients, FORMATS[request.format_name], request.render, deadline)
    rendered: list[bytes] = []
    for record in records:
        try:
            rendered.append(decode(record))
        except RestError:
            # What came before it is good; a read that starts there gets the error.
            if not rendered:
                raise
            break
    return rendered


def _require_format(instance: ConsumerInstance, request: ReadRequest) -> None:
    own = instance.description.embedded_format
    if request.format_name not in (None, own):
        raise because(
            errors.FormatMismatch,
            f"(it reads {own}, the Accept header asks for {request.format_name}).",
        )


def _read(
    clients: ClientRegistry, instance: ConsumerInstance, request: ReadRequest, deadline: Deadline
) -> list[bytes]:
    most = clients.limits.read_bytes
    limits = ReadLimits(
        max_bytes=most if request.max_bytes is None else min(request.max_bytes, most),
        wait_seconds=clients.limits.read_seconds,
        join=deadline,
    )
    embedded = FORMATS[instance.description.embedded_format]
    return instance.read(limits, _decoder(clients, embedded, request.render, deadline), deadline)


def _decoder(
    clients: ClientRegistry, embedded: EmbeddedFormat, render: Render, deadline: Deadline
) -> Callable[[ConsumedRecord], bytes]:
    decode = embedded.decode

    def find_schema(schema_id: int) -> Schema:
        return clients.schemas.by_id(schema_id, deadline)

    def decoded(record: ConsumedRecord) -> bytes:
        try:
            return render(
                record,
                NULL if record.key is None else decode(record.key, find_schema),
                NULL if record.value is None else decode(record.value, find_schema),
            )
        except (DecodeError, errors.SchemaRegistryFailure) as error:
            raise because(
                errors.KafkaFailure,
                f"{error} (topic {record.topic}, partition {record.partition}, offset "
                f"{record.offset})",
            ) from error

    return decoded
