"""Views of consumer instances that the API versions share: commit and delete."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.request import Call
from kafka_rest.api.response import NO_CONTENT, Answer, to_json
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.core import consume
from kafka_rest.records import Deadline


@endpoint(
    "consumer.commit", "POST", "/consumers/<group>/instances/<instance>/offsets", offers.CONSUMERS
)
def commit_offsets(call: Call, group: str, instance: str) -> Answer:
    """Commit what the instance has returned to its client; a body is not looked at."""
    deadline = Deadline(call.clients.limits.commit_seconds)
    return to_json(shapes.committed(consume.commit(call.clients, group, instance, deadline)))


@endpoint("consumer.delete", "DELETE", "/consumers/<group>/instances/<instance>", offers.CONSUMERS)
def delete_instance(call: Call, group: str, instance: str) -> Answer:
    """Close an instance; its name is free at once."""
    call.clients.instances.delete(group, instance)
    return NO_CONTENT
