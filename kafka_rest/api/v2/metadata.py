"""Views of topics as v2 shows them, and of a partition's offsets."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.metadata import look_up_deadline
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, to_json
from kafka_rest.api.rights import allowed_topics
from kafka_rest.api.v1 import shapes
from kafka_rest.api.v2 import offers
from kafka_rest.kafka.patterns import INTERNAL_TOPICS


@endpoint("topics.list", "GET", "/topics", offers.METADATA)
def list_topics(call: Call) -> Answer:
    """List the names of all topics but Kafka's own."""
    names = allowed_topics(call, "describe", call.clients.metadata.topics(look_up_deadline(call)))
    return to_json([name for name in names if name not in INTERNAL_TOPICS])


@endpoint("topics.get", "GET", "/topics/<topic>", offers.METADATA)
def get_topic(call: Call, topic: str) -> Answer:
    """Show a topic: its settings, defaults included, and its partitions."""
    metadata, deadline = call.clients.metadata, look_up_deadline(call)
    partitions = metadata.partitions(topic, deadline)
    return to_json(shapes.topic(topic, metadata.configs(topic, deadline), partitions))


@endpoint(
    "partitions.get-offsets",
    "GET",
    "/topics/<topic>/partitions/<partition>/offsets",
    offers.METADATA,
)
def get_offsets(call: Call, topic: str, partition: str) -> Answer:
    """Show where a partition's log begins and ends."""
    number, deadline = partition_number(partition), look_up_deadline(call)
    first, end = call.clients.metadata.offsets(topic, number, deadline)
    return to_json({"beginning_offset": first, "end_offset": end})
