"""Views of v1 alone: create a consumer, read one topic, read a partition statelessly."""

import re

from kafka_rest.api.consumers import auto_commit, instance_name, read_answer, require_format
from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import ConsumerOptions, consumer_options
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, Later, to_json
from kafka_rest.api.rights import instance_of, readable_guard, require_reads
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.core import consume
from kafka_rest.errors import InvalidConsumerConfig, Unprocessable, because
from kafka_rest.kafka import config
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.records import Deadline
from kafka_rest.security.principals import PRINCIPAL

OFFSET_RESETS = ("smallest", "largest")
_GROUP = re.compile(r"[A-Za-z0-9._-]+\Z")
UNLIMITED = -1


@endpoint("consumers.create", "POST", "/consumers/<group>", offers.CONSUMERS)
def create_instance(call: Call, group: str) -> Answer:
    """Make a consumer instance; all options are optional."""
    options: ConsumerOptions = consumer_options(call.body())
    description = _description(call, group, options)
    name = consume.create_instance(call.clients, description)
    return to_json(shapes.instance(name, call.instance_uri(name)))


@endpoint(
    "consumers.consume-{format}",
    "GET",
    "/consumers/<group>/instances/<instance>/topics/<topic>",
    offers.READ_TOPIC,
)
def read_topic(call: Call, group: str, instance: str, topic: str) -> Answer | Later:
    """Read from a topic, to which the first read subscribes the instance for life."""
    max_bytes = call.query_long("max_bytes", UNLIMITED)
    found = instance_of(call, group, instance)
    require_reads(call, found)
    require_format(found, call.format_name)
    request = consume.ReadRequest(
        max_bytes if max_bytes > 0 else None,
        shapes.records,
        require_readable=readable_guard(call),
    )
    return read_answer(consume.read_topic(call.clients, found, request, topic))


@endpoint(
    "consumers.commit-offsets",
    "POST",
    "/consumers/<group>/instances/<instance>/offsets",
    offers.CONSUMERS,
)
def commit_offsets(call: Call, group: str, instance: str) -> Answer:
    """Commit what the instance has returned to its client; a body is not looked at."""
    deadline = Deadline(call.clients.limits.commit_seconds)
    found = instance_of(call, group, instance)
    return to_json(shapes.committed(found.commit(deadline)))


@endpoint(
    "partitions.consume-{format}",
    "GET",
    "/topics/<topic>/partitions/<partition>/messages",
    offers.READ_PARTITION,
)
def read_partition(call: Call, topic: str, partition: str) -> Answer:
    """Read `count` records (default 1) from `offset` (default 0), without a consumer."""
    number = partition_number(partition)
    offset, count = call.query_long("offset", 0), call.query_long("count", 1)
    request = consume.StatelessRead(topic, number, offset, count, call.format_name, shapes.records)
    limits = call.clients.limits
    deadline = Deadline(limits.metadata_seconds)
    return Answer(consume.read_partition(call.clients, request, limits.read_bytes, deadline))


def _description(call: Call, group: str, options: ConsumerOptions) -> InstanceDescription:
    """The description that the options make, with the server's defaults. Raises: 422, 42204."""
    if not _GROUP.match(group):
        raise because(
            InvalidConsumerConfig,
            "the group is illegal, it contains a character other than ASCII alphanumerics, "
            "'.', '_' and '-'.",
        )
    return InstanceDescription(
        group=group,
        name=instance_name(options),
        embedded_format=_format(options),
        auto_offset_reset=_offset_reset(call, options),
        auto_commit=auto_commit(call, options, otherwise=False),
        principal=call.environ.get(PRINCIPAL, ""),
    )


def _format(options: ConsumerOptions) -> str:
    name = offers.BINARY if options.format is None else options.format.lower()
    if name not in offers.EMBEDDED:
        raise Unprocessable(f"Invalid format type. Valid: {', '.join(offers.EMBEDDED)}.")
    return name


def _offset_reset(call: Call, options: ConsumerOptions) -> str:
    value = options.auto_offset_reset
    if value is None:
        return config.default_offset_reset(call.settings)
    if value not in OFFSET_RESETS:
        raise because(
            InvalidConsumerConfig,
            f"Wrong value {value[:40]} of auto.offset.reset; valid values are smallest and largest",
        )
    return value
