"""Views of the root and the cluster's metadata; shared by the API versions."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import json_object
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, to_json
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.api.v2 import offers as v2
from kafka_rest.errors import WrongType
from kafka_rest.records import Deadline


def look_up_deadline(call: Call) -> Deadline:
    """By when a look-up must have ended."""
    return Deadline(call.clients.limits.metadata_seconds)


@endpoint("root.get", "GET", "/", offers.ROOT, v2.METADATA)
def get_root(call: Call) -> Answer:
    """Answer {}; a sign of life."""
    return to_json({})


@endpoint("root.post", "POST", "/", offers.ROOT, v2.METADATA)
def post_root(call: Call) -> Answer:
    """Answer {}; the body, if any, must be a flat JSON object."""
    for name, value in json_object(call.body()).items():
        if isinstance(value, dict | list):
            raise WrongType(f"{name}: the body must be a flat JSON object.")
    return to_json({})


@endpoint("brokers.list", "GET", "/brokers", offers.BROKERS, v2.BROKERS)
def list_brokers(call: Call) -> Answer:
    """List the ids of the live brokers."""
    return to_json(shapes.brokers(call.clients.metadata.brokers(look_up_deadline(call))))


@endpoint("partitions.list", "GET", "/topics/<topic>/partitions", offers.PARTITIONS, v2.METADATA)
def list_partitions(call: Call, topic: str) -> Answer:
    """List a topic's partitions."""
    found = call.clients.metadata.partitions(topic, look_up_deadline(call))
    return to_json([shapes.partition(p) for p in found])


@endpoint(
    "partitions.get",
    "GET",
    "/topics/<topic>/partitions/<partition>",
    offers.PARTITIONS,
    v2.METADATA,
)
def get_partition(call: Call, topic: str, partition: str) -> Answer:
    """Show one partition."""
    number = partition_number(partition)
    return to_json(
        shapes.partition(call.clients.metadata.partition(topic, number, look_up_deadline(call)))
    )
