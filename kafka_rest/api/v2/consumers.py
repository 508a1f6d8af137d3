"""Views of v2's consumer instances: create, subscribe or assign, seek, read, commit."""

from kafka_rest.api.consumers import auto_commit, instance_name, read_answer, require_format
from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.metadata import look_up_deadline
from kafka_rest.api.request import Call
from kafka_rest.api.response import NO_CONTENT, Answer, Later, to_json
from kafka_rest.api.rights import (
    instance_of,
    readable_guard,
    readable_topics,
    require_reads,
    require_topics,
)
from kafka_rest.api.v1.shapes import instance as instance_shape
from kafka_rest.api.v2 import envelopes, offers, shapes
from kafka_rest.api.v2.records import includable, included
from kafka_rest.core import consume
from kafka_rest.errors import (
    ConsumerConfigOutOfRange,
    InvalidConsumerConfig,
    KafkaFailure,
    PartitionNotFound,
    Unprocessable,
    because,
)
from kafka_rest.formats import FORMATS
from kafka_rest.kafka import config
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription, Target
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.media import parse_accept
from kafka_rest.records import Deadline
from kafka_rest.security.principals import PRINCIPAL

# As the reference names them, and what librdkafka calls them.
OFFSET_RESETS = {"earliest": "earliest", "latest": "latest", "none": "error"}
MOST_MIN_BYTES = 10_000_000
# The formats whose records all carry a schema id: an instance of one answers to any of them.
SCHEMA_FORMATS = frozenset(name for name, found in FORMATS.items() if found.schema_type)
NOT_GIVEN = -1
_REGISTRY = "schema registry, and schema.registry.url is empty."
_PATH = "/consumers/<group>/instances/<instance>"


@endpoint("consumers.create", "POST", "/consumers/<group>", offers.SHARED_CONSUMERS)
def create_instance(call: Call, group: str) -> Answer:
    """Make a consumer instance; all options are optional."""
    description = _description(call, group, envelopes.consumer_options(call.body()))
    if description.embedded_format in SCHEMA_FORMATS and not call.clients.has_registry:
        # The reference's code: its consumer cannot be made.
        raise because(KafkaFailure, f"format {description.embedded_format} needs a {_REGISTRY}")
    name = consume.create_instance(call.clients, description)
    return to_json(instance_shape(name, call.instance_uri(name)))


@endpoint("consumers.subscribe", "POST", f"{_PATH}/subscription", offers.CONSUMERS)
def subscribe(call: Call, group: str, instance: str) -> Answer:
    """Subscribe to topics, in place of those before, or to those that a pattern matches."""
    topics, pattern = envelopes.subscription(call.body())
    require_topics(call, "read", topics or ())
    found, deadline = instance_of(call, group, instance), look_up_deadline(call)
    if topics is not None:
        found.subscribe(topics, deadline)
    elif pattern is not None:
        # Also of topics that come later it takes those that the client may read by then.
        compiled = TopicPattern(pattern, readable_topics(call))
        found.subscribe_pattern(compiled, call.clients.metadata.topics(deadline), deadline)
    return NO_CONTENT


@endpoint("consumers.get-subscription", "GET", f"{_PATH}/subscription", offers.CONSUMERS)
def get_subscription(call: Call, group: str, instance: str) -> Answer:
    """List the topics subscribed to: those that match, for a pattern."""
    return to_json({"topics": list(instance_of(call, group, instance).subscription.topics)})


@endpoint("consumers.unsubscribe", "DELETE", f"{_PATH}/subscription", offers.CONSUMERS)
def unsubscribe(call: Call, group: str, instance: str) -> Answer:
    """End any subscription or assignment; blocks while a join under way ends."""
    deadline = Deadline(call.clients.limits.join_seconds)
    instance_of(call, group, instance).unsubscribe(deadline)
    return NO_CONTENT


@endpoint("consumers.assign", "POST", f"{_PATH}/assignments", offers.CONSUMERS)
def assign(call: Call, group: str, instance: str) -> Answer:
    """Assign partitions by hand, in place of those before."""
    places = set(envelopes.partitions(call.body()))
    require_topics(call, "read", [place.topic for place in places])
    instance_of(call, group, instance).assign(places, look_up_deadline(call))
    return NO_CONTENT


@endpoint("consumers.get-assignments", "GET", f"{_PATH}/assignments", offers.CONSUMERS)
def get_assignments(call: Call, group: str, instance: str) -> Answer:
    """List the partitions assigned, by hand or by the group."""
    return to_json(shapes.partitions(instance_of(call, group, instance).owned))


@endpoint("consumers.seek-to-offset", "POST", f"{_PATH}/positions", offers.CONSUMERS)
def seek(call: Call, group: str, instance: str) -> Answer:
    """Go on reading partitions from given offsets or times; in order, up to a failing one."""
    targets = envelopes.positions(call.body())
    require_topics(call, "read", [place.topic for place, _ in targets])
    found, deadline = instance_of(call, group, instance), look_up_deadline(call)
    for place, target in targets:
        found.seek(place, target, deadline)
    return NO_CONTENT


@endpoint("consumers.seek-to-beginning", "POST", f"{_PATH}/positions/beginning", offers.CONSUMERS)
def seek_to_beginning(call: Call, group: str, instance: str) -> Answer:
    """Go on reading partitions (none given: all) from the beginning of their logs."""
    return _seek_to(call, group, instance, Target(beginning=True))


@endpoint("consumers.seek-to-end", "POST", f"{_PATH}/positions/end", offers.CONSUMERS)
def seek_to_end(call: Call, group: str, instance: str) -> Answer:
    """Go on reading partitions (none given: all) from where their logs end now."""
    return _seek_to(call, group, instance, Target())


@endpoint("consumers.commit-offsets", "POST", f"{_PATH}/offsets", offers.SHARED_CONSUMERS)
def commit_offsets(call: Call, group: str, instance: str) -> Answer:
    """Commit the offsets of the body; without one, what has been returned to the client."""
    offsets = envelopes.commit(call.body())
    found = instance_of(call, group, instance)
    deadline = Deadline(call.clients.limits.commit_seconds)
    if offsets is None:
        found.commit(deadline, wait=call.query_text("async").lower() != "true")
        return to_json([])
    require_topics(call, "read", [place.topic for place in offsets])
    for place in offsets:
        # A broker keeps offsets of whatever it is told, or never answers.
        call.clients.metadata.require_partition(place, deadline)
    found.commit_offsets(offsets, deadline)
    return to_json([])


@endpoint("consumers.get-committed-offsets", "GET", f"{_PATH}/offsets", offers.CONSUMERS)
def get_committed(call: Call, group: str, instance: str) -> Answer:
    """Show what the group has committed for the partitions in the body (of a GET)."""
    body = call.body()
    if envelopes.absent(body):
        raise because(PartitionNotFound, "The body names the partitions: it must not be empty.")
    places = envelopes.partitions(body)
    require_topics(call, "describe", [place.topic for place in places])
    deadline = Deadline(call.clients.limits.commit_seconds)
    stored = instance_of(call, group, instance).committed(places, deadline)
    return to_json(shapes.committed(stored))


@endpoint("consumers.consume-{format}", "GET", f"{_PATH}/records", offers.READ)
def read_records(call: Call, group: str, instance: str) -> Answer | Later:
    """Read what is there, or comes within the time."""
    timeout = call.query_long("timeout", NOT_GIVEN)
    max_bytes = call.query_long("max_bytes", NOT_GIVEN)
    include = included(call)
    found = instance_of(call, group, instance)
    require_reads(call, found)
    media_type = _media_type(call, found)
    request = consume.ReadRequest(
        max_bytes if max_bytes > 0 else None,
        shapes.records_shape(include or found.description.include),
        timeout / 1000 if timeout > 0 else None,
        readable_guard(call),
    )
    return read_answer(consume.read(call.clients, found, request), media_type)


def _seek_to(call: Call, group: str, instance: str, target: Target) -> Answer:
    places = envelopes.partitions(call.body())
    found, deadline = instance_of(call, group, instance), look_up_deadline(call)
    places = places or list(found.owned)
    require_topics(call, "read", [place.topic for place in places])
    for place in places:
        found.seek(place, target, deadline)
    return NO_CONTENT


def _media_type(call: Call, instance: ConsumerInstance) -> str:
    """The type of the records. Raises: FormatMismatch where Accept has no room for them.

    The instance's own type is taken wherever the Accept header holds it: many clients list it
    beside the plain one, which stands for binary.
    """
    own = offers.embedded_type(instance.description.embedded_format)
    accept = call.environ.get("HTTP_ACCEPT") or ""
    if any(f"{r.main}/{r.sub}" == own and r.weight for r in parse_accept(accept)):
        return own
    asked, chosen = call.choice.variant.embedded_format, call.choice.response_type
    if asked is None:
        return chosen
    if not {asked, instance.description.embedded_format} <= SCHEMA_FORMATS:
        require_format(instance, asked)
    return chosen


def _description(
    call: Call, group: str, options: envelopes.V2ConsumerOptions
) -> InstanceDescription:
    """The description that the options make, with the server's defaults. Raises: 422, 42204."""
    return InstanceDescription(
        group=group,
        name=instance_name(options),
        embedded_format=_format(options),
        auto_offset_reset=_offset_reset(call, options),
        auto_commit=auto_commit(call, options, otherwise=True),
        min_bytes=_min_bytes(options),
        request_seconds=(
            None if options.request_timeout_ms is None else options.request_timeout_ms / 1000
        ),
        include=includable(options.include or "", "include"),
        principal=call.environ.get(PRINCIPAL, ""),
    )


def _format(options: envelopes.V2ConsumerOptions) -> str:
    name = offers.BINARY if options.format is None else options.format.lower()
    if name not in FORMATS:
        raise Unprocessable(f"Invalid format type. format: valid are {', '.join(FORMATS)}.")
    return name


def _offset_reset(call: Call, options: envelopes.V2ConsumerOptions) -> str:
    value = options.auto_offset_reset
    if value is None:
        return config.default_offset_reset(call.settings)
    if value not in OFFSET_RESETS:
        raise because(
            InvalidConsumerConfig,
            f"Invalid value {value[:40]} for configuration auto.offset.reset: String must be one "
            f"of: {', '.join(OFFSET_RESETS)}",
        )
    return OFFSET_RESETS[value]


def _min_bytes(options: envelopes.V2ConsumerOptions) -> int | None:
    value = options.fetch_min_bytes
    if value is not None and not -1 <= value <= MOST_MIN_BYTES:
        rule = f"no more than {MOST_MIN_BYTES}" if value > 0 else "at least -1"
        raise because(
            ConsumerConfigOutOfRange,
            f"Invalid value {value} for configuration fetch.min.bytes: Value must be {rule}",
        )
    return value
