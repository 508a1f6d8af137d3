"""Producing, as the views of all API versions do it: one call of the core, an answer later."""

from collections.abc import Callable, Mapping
from typing import Any

from kafka_rest import settings as s
from kafka_rest.api.envelopes import Read
from kafka_rest.api.request import Call, text_within
from kafka_rest.api.response import Answer, Later
from kafka_rest.api.tracing import trace_headers, traced
from kafka_rest.core.pending import Pending
from kafka_rest.core.produce import ProduceRequest, ProduceResult, produce
from kafka_rest.errors import BodyTooLarge
from kafka_rest.formats import FORMATS
from kafka_rest.records import Deadline

# Reports of records that time out arrive with the time-out, so the answer waits a little longer.
REPORT_GRACE_SECONDS = 1.0

Shape = Callable[[ProduceResult], Answer]


class Producing:
    """What serves the produce requests of one head: what the head says has been looked at.

    `partition`: the one of the path, if that names one.
    """

    __slots__ = (
        "_clients",
        "_format",
        "_limits",
        "_most_bytes",
        "_partition",
        "_read",
        "_shape",
        "_topic",
        "_v2",
    )

    def __init__(
        self,
        call: Call,
        topic: str,
        partition: int | None,
        read: Read,
        shape: Shape,
        v2_rules: bool = False,
    ) -> None:
        self._clients, self._limits = call.clients, call.clients.limits
        self._most_bytes = call.settings[s.REQUEST_MAX_BYTES]
        self._topic, self._partition, self._format = topic, partition, FORMATS[call.format_name]
        self._read, self._shape, self._v2 = read, shape, v2_rules

    def first(self, call: Call) -> Later:
        """Serve the request whose head it is. Raises: as `_produced`."""
        return self._produced(call.body(), call.environ, may_block=True)

    def again(self, body: bytes, environ: Mapping[str, Any]) -> Later:
        """Serve another one without ever blocking. Raises: as `_produced`, and WouldBlock."""
        return self._produced(text_within(body, self._most_bytes), environ, may_block=False)

    def _produced(self, text: bytes, environ: Mapping[str, Any], may_block: bool) -> Later:
        """Produce the records of a body; the answer comes when each has its report, within bounds.

        Raises: BodyTooLarge for too many records, what reading the body and `core.produce` do.
        """
        body, limits, v2 = self._read(text), self._limits, self._v2
        records = body.records
        if len(records.values) > limits.produce_records:
            raise BodyTooLarge(
                f"{BodyTooLarge.message}: there are {len(records.values)} records, and "
                f"request.records.max is {limits.produce_records}."
            )
        if limits.trace_headers:
            records = traced(records, trace_headers(environ))
        request = ProduceRequest(
            self._topic,
            self._partition,
            self._format,
            records,
            body.key_schema,
            body.value_schema,
            strict_subject=v2,
            tombstones=v2,
            refused_each=v2,
        )
        seconds = limits.produce_seconds
        pending: Pending[ProduceResult] = Pending(Deadline(seconds + REPORT_GRACE_SECONDS))
        deadline = Deadline(seconds, may_block=may_block)
        pending.source = produce(self._clients, request, deadline, pending.set)
        return Later(pending, self._shape, self.again)
