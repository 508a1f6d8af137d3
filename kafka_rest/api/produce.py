"""Producing, as the views of all API versions do it: one call of the core, an answer later."""

from collections.abc import Callable

from kafka_rest.api.envelopes import ProduceBody
from kafka_rest.api.request import Call
from kafka_rest.api.response import Answer, Later
from kafka_rest.api.tracing import trace_headers, traced
from kafka_rest.core.pending import Pending
from kafka_rest.core.produce import ProduceRequest, ProduceResult, produce
from kafka_rest.errors import BodyTooLarge
from kafka_rest.formats import FORMATS
from kafka_rest.records import Deadline

# Reports of records that time out arrive with the time-out, so the answer waits a little longer.
REPORT_GRACE_SECONDS = 1.0


def produced(
    call: Call,
    topic: str,
    partition: int | None,
    body: ProduceBody,
    render: Callable[[ProduceResult], Answer],
    v2_rules: bool = False,
) -> Later:
    """Produce the records of a body; the answer comes when each has its report, within bounds.

    Raises: BodyTooLarge for too many records, and what `core.produce` does, WouldBlock included
    where the call may not block.
    """
    clients = call.clients
    limits = clients.limits
    if len(body.records.values) > limits.produce_records:
        raise BodyTooLarge(
            f"{BodyTooLarge.message}: there are {len(body.records.values)} records, and "
            f"request.records.max is {limits.produce_records}."
        )
    if limits.trace_headers:
        body = body._replace(records=traced(body.records, trace_headers(call.environ)))
    request = ProduceRequest(
        topic,
        partition,
        FORMATS[call.format_name],
        body.records,
        body.key_schema,
        body.value_schema,
        strict_subject=v2_rules,
        tombstones=v2_rules,
        refused_each=v2_rules,
    )
    seconds = limits.produce_seconds
    pending: Pending[ProduceResult] = Pending(Deadline(seconds + REPORT_GRACE_SECONDS))
    deadline = Deadline(seconds, may_block=call.may_block)
    pending.source = produce(clients, request, deadline, pending.set)
    return Later(pending, render)
