"""Views of topics as v1 shows them."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.metadata import look_up_deadline
from kafka_rest.api.request import Call
from kafka_rest.api.response import Answer, to_json
from kafka_rest.api.rights import allowed_topics
from kafka_rest.api.v1 import offers, shapes


@endpoint("topics.list", "GET", "/topics", offers.TOPICS)
def list_topics(call: Call) -> Answer:
    """List the names of all topics."""
    names = call.clients.metadata.topics(look_up_deadline(call))
    return to_json(allowed_topics(call, "describe", names))


@endpoint("topics.get", "GET", "/topics/<topic>", offers.TOPICS)
def get_topic(call: Call, topic: str) -> Answer:
    """Show a topic: its overrides and its partitions."""
    metadata, deadline = call.clients.metadata, look_up_deadline(call)
    partitions = metadata.partitions(topic, deadline)
    return to_json(shapes.topic(topic, metadata.overrides(topic, deadline), partitions))
