"""Views that produce, to a topic and to a partition, as in v1."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import partition_records, topic_records
from kafka_rest.api.produce import Producing
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer, Later
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.core.produce import ProduceResult


@endpoint("produce-to-topic.{format}", "POST", "/topics/<topic>", offers.PRODUCE_TO_TOPIC)
def produce_to_topic(call: Call, topic: str) -> Later:
    """Produce records; each may name its partition."""
    return Producing(call, topic, None, topic_records, _answer).first(call)


@endpoint(
    "produce-to-partition.{format}",
    "POST",
    "/topics/<topic>/partitions/<partition>",
    offers.PRODUCE_TO_PARTITION,
)
def produce_to_partition(call: Call, topic: str, partition: str) -> Later:
    """Produce records to one partition."""
    number = partition_number(partition)
    return Producing(call, topic, number, partition_records, _answer).first(call)


def _answer(result: ProduceResult) -> Answer:
    return Answer(shapes.produced(result))
