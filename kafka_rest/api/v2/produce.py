"""Views that produce, to a topic and to a partition, as in v2."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.produce import Producing
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, Later
from kafka_rest.api.v1 import shapes
from kafka_rest.api.v2 import offers
from kafka_rest.api.v2.records import included, produce_reader
from kafka_rest.api.v2.shapes import produced_status
from kafka_rest.core.produce import ProduceResult


@endpoint("produce-to-topic.{format}", "POST", "/topics/<topic>", offers.PRODUCE)
def produce_to_topic(call: Call, topic: str) -> Later:
    """Produce records; each may name its partition."""
    return _produce(call, topic, None)


@endpoint(
    "produce-to-partition.{format}",
    "POST",
    "/topics/<topic>/partitions/<partition>",
    offers.PRODUCE,
)
def produce_to_partition(call: Call, topic: str, partition: str) -> Later:
    """Produce records to one partition, as far as they do not name another."""
    return _produce(call, topic, partition_number(partition))


def _produce(call: Call, topic: str, partition: int | None) -> Later:
    read = produce_reader(call.format_name, included(call))
    return Producing(call, topic, partition, read, _answer, v2_rules=True).first(call)


def _answer(result: ProduceResult) -> Answer:
    return Answer(shapes.produced(result, {}), produced_status(result))
