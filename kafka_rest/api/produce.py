"""Producing, as the views of all API versions do it: one call of the core, one wait."""

from kafka_rest.api.envelopes import ProduceBody
from kafka_rest.api.request import Call
from kafka_rest.core.latch import Latch
from kafka_rest.core.produce import ProduceRequest, ProduceResult, produce
from kafka_rest.formats import FORMATS
from kafka_rest.records import Deadline

# Reports of records that time out arrive with the time-out, so the answer waits a little longer.
REPORT_GRACE_SECONDS = 1.0


def produced(
    call: Call, topic: str, partition: int | None, body: ProduceBody, v2_rules: bool = False
) -> ProduceResult:
    """Produce the records of a body; blocks until each has its report, within bounds."""
    request = ProduceRequest(
        topic,
        partition,
        FORMATS[call.format_name],
        body.records,
        body.key_schema,
        body.value_schema,
        strict_subject=v2_rules,
        tombstones=v2_rules,
    )
    seconds = call.clients.limits.produce_seconds
    end = Deadline(seconds + REPORT_GRACE_SECONDS)
    latch: Latch[ProduceResult] = Latch()
    batch = produce(call.clients, request, Deadline(seconds), latch.set)
    return latch.wait(batch, end)
