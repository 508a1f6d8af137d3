"""The consume flow that all API versions share: make an instance, read, decode, commit.

Not for HTTP shapes: a caller hands in how records are rendered and gets them as one JSON array.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from kafka_rest.core.pending import Pending
from kafka_rest.core.rendering import Render, Rendering
from kafka_rest.errors import RestError
from kafka_rest.formats import FORMATS
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription, ReadLimits
from kafka_rest.kafka.messages import ConsumedRecords, batches
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.kafka.texts import require_group
from kafka_rest.records import Deadline, Schema

# A short read still has the time to fetch a schema that is not cached.
LOOKUP_SECONDS = 5.0
# A read that is due ends by itself, unless another call holds its instance.
DUE_GRACE_SECONDS = 1.0


class ReadRequest(NamedTuple):
    """One read. `max_bytes` None takes the server's limit.

    `seconds` bounds the whole read where the client gives a time; None: the instance's or the
    server's time, and the time to join the group on top of it. `require_readable` raises where the
    client may not have records of these topics, which then stay for the next read; None: of any.
    """

    max_bytes: int | None
    render: Render
    seconds: float | None = None
    require_readable: Callable[[Iterable[str]], None] | None = None


class ReadResult(NamedTuple):
    """What a read came to."""

    answer: Rendering
    failure: Exception | None

    def text(self) -> bytes:
        """The records as one JSON array; to be called once. Raises: what the read failed with."""
        if self.failure is not None:
            raise self.failure
        return self.answer.text()


class StatelessRead(NamedTuple):
    """One read of a partition without a consumer instance."""

    topic: str
    partition: int
    offset: int
    record_count: int
    format_name: str
    render: Render


def create_instance(clients: ClientRegistry, description: InstanceDescription) -> str:
    """Make a consumer instance and return its name, minted where the description has none.

    Raises: InvalidConsumerConfig, and as `ConsumerInstances.create`.
    """
    require_group(description.group)
    named = description
    if not description.name:
        named = replace(description, name=clients.mint_instance(description.group))
    clients.instances.create(named)
    return named.name


def read_topic(
    clients: ClientRegistry, instance: ConsumerInstance, request: ReadRequest, topic: str
) -> Pending[ReadResult]:
    """Read from the one topic that the instance is, or hereby becomes, subscribed to.

    Blocks while it subscribes, not while it reads. Raises, in this order: TopicNotFound,
    AlreadySubscribed, then as `read`.
    """
    if instance.subscription.topics != (topic,):
        deadline = Deadline(clients.limits.join_seconds)
        clients.metadata.require(topic, deadline)
        instance.subscribe_once((topic,), deadline)
    return read(clients, instance, request)


def read(
    clients: ClientRegistry, instance: ConsumerInstance, request: ReadRequest
) -> Pending[ReadResult]:
    """Read, decode and render what there is, or what comes within bounds; does not wait for it.

    Raises: IllegalState where the instance reads nothing, TooManyRequests. The result: Undecodable,
    what `require_readable` raises, what Kafka reports.
    """
    limits, own = clients.limits, instance.description
    wait, join = request.seconds, 0.0
    if wait is None:
        wait = limits.read_seconds if own.request_seconds is None else own.request_seconds
        join = limits.join_seconds
    wait = min(max(wait, 0.0), limits.longest_read_seconds)
    deadline = Deadline(join + wait)
    most = limits.read_bytes
    min_bytes = limits.read_min_bytes if own.min_bytes is None else own.min_bytes
    bounds = ReadLimits(
        max_bytes=most if request.max_bytes is None else min(request.max_bytes, most),
        wait_seconds=wait,
        join=deadline,
        min_bytes=max(min_bytes, 0),
    )
    lookups = Deadline(max(deadline.left(), LOOKUP_SECONDS))
    answer = _rendering(clients, own.embedded_format, request.render, lookups)
    pending: Pending[ReadResult] = Pending(Deadline(join + wait + DUE_GRACE_SECONDS))

    def take(records: ConsumedRecords) -> int:
        # What the instance reads, and the rights, may have changed while the read waited.
        if request.require_readable is not None:
            request.require_readable(records.topics)
        return answer.take(records)

    begun = instance.read(bounds, take, lambda failure: pending.set(ReadResult(answer, failure)))
    # What a client that has gone would get is for the next one.
    pending.source, pending.abandon = begun, begun.abandon
    return pending


def read_partition(
    clients: ClientRegistry, request: StatelessRead, max_bytes: int, deadline: Deadline
) -> bytes:
    """Read a partition from an offset, without a group.

    Raises: TopicNotFound, PartitionNotFound, 50301.
    """
    clients.metadata.partition(request.topic, request.partition, deadline)
    answer = _rendering(clients, request.format_name, request.render, deadline)
    if request.record_count <= 0:
        return answer.text()
    found = clients.simple_consumers.read(
        request.topic, request.partition, request.offset, request.record_count, max_bytes, deadline
    )
    for records in batches(found):
        try:
            count = answer.take(records)
        except RestError:
            # What came before it is good; a read that starts there gets the error.
            if answer.empty:
                raise
            break
        if count < len(records):
            break
    return answer.text()


def _rendering(
    clients: ClientRegistry, format_name: str, render: Render, deadline: Deadline
) -> Rendering:
    def find_schema(schema_id: int) -> Schema:
        return clients.schemas.by_id(schema_id, deadline)

    return Rendering(FORMATS[format_name], find_schema, render, clients.consumed[format_name])
