"""Views of the root and the cluster's metadata; shared by the API versions."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import json_object
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, to_json
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.errors import Unprocessable
from kafka_rest.records import Deadline


def _deadline(call: Call) -> Deadline:
    return Deadline(call.clients.limits.metadata_seconds)


@endpoint("root.get", "GET", "/", offers.ROOT)
def get_root(call: Call) -> Answer:
    """Answer {}; a sign of life."""
    return to_json({})


@endpoint("root.post", "POST", "/", offers.ROOT)
def post_root(call: Call) -> Answer:
    """Answer {}; the body, if any, must be a flat JSON object."""
    for name, value in json_object(call.body()).items():
        if isinstance(value, dict | list):
            raise Unprocessable(f"{name}: the body must be a flat JSON object.")
    return to_json({})


@endpoint("brokers.list", "GET", "/brokers", offers.BROKERS)
def list_brokers(call: Call) -> Answer:
    """List the ids of the live brokers."""
    return to_json(shapes.brokers(call.clients.metadata.brokers(_deadline(call))))


@endpoint("topics.list", "GET", "/topics", offers.TOPICS)
def list_topics(call: Call) -> Answer:
    """List the names of all topics."""
    return to_json(call.clients.metadata.topics(_deadline(call)))


@endpoint("topic.get", "GET", "/topics/<topic>", offers.TOPICS)
def get_topic(call: Call, topic: str) -> Answer:
    """Show a topic: its overrides and its partitions."""
    metadata, deadline = call.clients.metadata, _deadline(call)
    partitions = metadata.partitions(topic, deadline)
    return to_json(shapes.topic(topic, metadata.overrides(topic, deadline), partitions))


@endpoint("partitions.list", "GET", "/topics/<topic>/partitions", offers.PARTITIONS)
def list_partitions(call: Call, topic: str) -> Answer:
    """List a topic's partitions."""
    found = call.clients.metadata.partitions(topic, _deadline(call))
    return to_json([shapes.partition(p) for p in found])


@endpoint("partition.get", "GET", "/topics/<topic>/partitions/<partition>", offers.PARTITIONS)
def get_partition(call: Call, topic: str, partition: str) -> Answer:
    """Show one partition."""
    number = partition_number(partition)
    return to_json(
        shapes.partition(call.clients.metadata.partition(topic, number, _deadline(call)))
    )
