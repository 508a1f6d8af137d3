"""The JSON shapes of v1 answers. Nulls are always written."""

from collections.abc import Mapping
from typing import Any

from kafka_rest import errors
from kafka_rest.api.response import encode, numbers, rows
from kafka_rest.core.produce import ProduceResult
from kafka_rest.kafka.messages import ConsumedRecords
from kafka_rest.kafka.metadata import Partition
from kafka_rest.records import DeliveryReport, TopicPartition


def brokers(ids: list[int]) -> Any:
    """The live brokers."""
    return {"brokers": ids}


def topic(name: str, configs: Mapping[str, str | None], partitions: list[Partition]) -> Any:
    """One topic with its settings and partitions."""
    return {"name": name, "configs": configs, "partitions": [partition(p) for p in partitions]}


def partition(found: Partition) -> Any:
    """One partition with its replicas."""
    return {
        "partition": found.partition,
        "leader": found.leader,
        "replicas": [
            {"broker": r.broker, "leader": r.leader, "in_sync": r.in_sync} for r in found.replicas
        ],
    }


# v1 tells failures that may be tried again from those that may not, and no more.
CODES = {
    errors.TopicForbidden.error_code: errors.KafkaFailure.error_code,
    errors.AuthenticationFailed.error_code: errors.KafkaFailure.error_code,
}


def produced(result: ProduceResult, codes: Mapping[int, int] = CODES) -> bytes:
    """The answer to a produce call; `codes` stand in for some of the reports'.

    Rendered by hand, as most of the answers of a busy proxy are this.
    """
    return b'{"offsets":[%b],"key_schema_id":%b,"value_schema_id":%b}' % (
        b",".join(
            [
                # Most are this, one of thousands in an answer.
                _STORED % report[:2]
                if report.error_code is None and report.offset is not None
                else _failed(report, codes)
                for report in result.reports
            ]
        ),
        _number(result.key_schema_id),
        _number(result.value_schema_id),
    )


_STORED = b'{"partition":%d,"offset":%d,"error_code":null,"error":null}'


def _failed(report: DeliveryReport, codes: Mapping[int, int]) -> bytes:
    code = report.error_code
    return encode(report._asdict() | {"error_code": codes.get(code or 0, code)})


def _number(value: int | None) -> bytes:
    return b"null" if value is None else b"%d" % value


def records(found: ConsumedRecords, keys: list[bytes], values: list[bytes]) -> bytes:
    """Records with the JSON texts of their keys and values, a comma behind each."""
    return rows(
        len(values),
        *(b'{"key":', keys, b',"value":', values),
        *(b',"partition":', numbers(found.partitions), b',"offset":', numbers(found.offsets)),
        b"},",
    )


def committed(offsets: dict[TopicPartition, int]) -> Any:
    """The answer to a commit: v1 names the last consumed offset, Kafka stores the next one."""
    return [
        {"topic": t, "partition": p, "consumed": next_offset - 1, "committed": next_offset - 1}
        for (t, p), next_offset in sorted(offsets.items())
    ]


def instance(name: str, uri: str) -> Any:
    """The answer to a create call."""
    return {"instance_id": name, "base_uri": uri}
