"""Views that produce, to a topic and to a partition; shared by the API versions."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import ProduceBody, partition_records, topic_records
from kafka_rest.api.request import Call, partition_number
from kafka_rest.api.response import Answer
from kafka_rest.api.v1 import offers, shapes
from kafka_rest.core.latch import Latch
from kafka_rest.core.produce import ProduceRequest, ProduceResult, produce
from kafka_rest.formats import FORMATS
from kafka_rest.records import Deadline

# Reports of records that time out arrive with the time-out, so the answer waits a little longer.
REPORT_GRACE_SECONDS = 1.0


@endpoint("topic.produce", "POST", "/topics/<topic>", offers.PRODUCE_TO_TOPIC)
def produce_to_topic(call: Call, topic: str) -> Answer:
    """Produce records; each may name its partition."""
    return _produce(call, topic, None, topic_records(call.body()))


@endpoint(
    "partition.produce",
    "POST",
    "/topics/<topic>/partitions/<partition>",
    offers.PRODUCE_TO_PARTITION,
)
def produce_to_partition(call: Call, topic: str, partition: str) -> Answer:
    """Produce records to one partition."""
    number = partition_number(partition)
    return _produce(call, topic, number, partition_records(call.body()))


def _produce(call: Call, topic: str, partition: int | None, body: ProduceBody) -> Answer:
    request = ProduceRequest(
        topic,
        partition,
        FORMATS[call.format_name],
        body.records,
        body.key_schema,
        body.value_schema,
    )
    seconds = call.clients.limits.produce_seconds
    end = Deadline(seconds + REPORT_GRACE_SECONDS)
    latch: Latch[ProduceResult] = Latch()
    batch = produce(call.clients, request, Deadline(seconds), latch.set)
    result = latch.wait(batch, end)
    return Answer(shapes.produced(result))
