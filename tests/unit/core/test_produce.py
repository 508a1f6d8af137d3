"""The produce flow for a caller that must not block: at hand, or refused before any effect."""

from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import errors
from kafka_rest.core.produce import (
    COSTLY_BYTES,
    JsonRecords,
    ProduceRequest,
    SchemaChoice,
    produce,
)
from kafka_rest.formats import FORMATS
from kafka_rest.kafka.metadata import ClusterMetadata
from kafka_rest.kafka.producers import SharedProducer
from kafka_rest.metrics import Cells, Rows
from kafka_rest.metrics.table import PRODUCED_BYTES, PRODUCED_RECORDS
from kafka_rest.records import Deadline, WouldBlock
from kafka_rest.schemas.resolve import SchemaResolver
from kafka_rest.schemas.subjects import STRATEGIES
from tests.unit.fakes import FakeClock, FakeProducer
from tests.unit.kafka.test_metadata import Cluster, FakeAdmin

# One that becomes a type, by which a column is checked; and one that does not.
JSON_SCHEMAS = {11: '{"type":["integer","string"]}', 12: '{"not":{"type":"null"}}'}
NOW = Deadline(5, may_block=False)
LATER = Deadline(5)


class Registry:
    """A schema registry that counts what it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def register(self, *_args: Any) -> int:
        self.calls += 1
        return 7

    def schema_by_id(self, schema_id: int, _deadline: Deadline) -> dict[str, Any]:
        self.calls += 1
        if schema_id < 10:
            return {"schema": '"int"'}
        return {"schema": JSON_SCHEMAS[schema_id], "schemaType": "JSON"}

    def subjects_of(self, _schema_id: int, _deadline: Deadline) -> list[str]:
        self.calls += 1
        return ["t-value"]


class Bench:
    """The clients of a worker, all of them fakes."""

    def __init__(self) -> None:
        self.registry, self.clock, self.client = Registry(), FakeClock(), FakeProducer({})
        self.cluster = cluster = Cluster(self.clock)
        registry: Any = self.registry
        admin: Any = lambda config: FakeAdmin(config, cluster)  # noqa: E731
        self.clients: Any = SimpleNamespace(
            limits=SimpleNamespace(block_seconds=1.0),
            has_registry=True,
            metadata=ClusterMetadata({}, 0.2, 2.0, admin, self.clock),
            producer=SharedProducer({}, lambda _config: self.client),  # type: ignore[arg-type,return-value]
            schemas=SchemaResolver(registry, 10),
            produced=Rows(Cells(), PRODUCED_RECORDS, PRODUCED_BYTES),
            subject_strategies=dict.fromkeys(("key", "value"), STRATEGIES["TopicNameStrategy"]),
        )

    def produce(
        self,
        deadline: Deadline,
        name: str = "json",
        choice: SchemaChoice = SchemaChoice(),  # noqa: B008
        value: bytes = b"1",
        **more: Any,
    ) -> list[Any]:
        records = JsonRecords([None], [value], [None])
        request = ProduceRequest("t", None, FORMATS[name], records, SchemaChoice(), choice, **more)
        results: list[Any] = []
        produce(self.clients, request, deadline, results.append)
        return results


@pytest.fixture
def bench() -> Any:
    made = Bench()
    yield made
    made.clients.producer.close(Deadline(1))


def test_topic_must_have_been_seen_lately(bench: Bench) -> None:
    with pytest.raises(WouldBlock):
        bench.produce(NOW)
    bench.produce(LATER)
    bench.produce(NOW)
    assert len(bench.client.produced) == 2
    bench.clock.advance(3)
    with pytest.raises(WouldBlock):
        bench.produce(NOW)
    # The age is still to be noticed by one who may ask.
    bench.produce(LATER)
    bench.produce(NOW)
    assert len(bench.client.produced) == 4


@pytest.mark.parametrize(
    "choice", [SchemaChoice(schema_id=7), SchemaChoice(text='"int"')], ids=["id", "text"]
)
def test_schema_must_have_been_used_before(bench: Bench, choice: SchemaChoice) -> None:
    bench.produce(LATER)
    with pytest.raises(WouldBlock):
        bench.produce(NOW, "avro", choice, strict_subject=True)
    assert bench.registry.calls == 0
    bench.produce(LATER, "avro", choice, strict_subject=True)
    asked = bench.registry.calls
    for _ in range(3):
        bench.produce(NOW, "avro", choice, strict_subject=True)
    assert bench.registry.calls == asked
    assert len(bench.client.produced) == 5


def test_value_for_which_there_is_no_quick_check_is_for_one_who_has_the_time(bench: Bench) -> None:
    choice = SchemaChoice(schema_id=12)
    bench.produce(LATER, "jsonschema", choice)
    with pytest.raises(WouldBlock):
        bench.produce(NOW, "jsonschema", choice)
    assert len(bench.client.produced) == 1


def test_long_work_is_for_one_who_has_the_time(bench: Bench) -> None:
    choice = SchemaChoice(schema_id=11)
    bench.produce(LATER, "jsonschema", choice)
    bench.produce(NOW, "jsonschema", choice)
    long = b'"%b"' % (b"x" * COSTLY_BYTES)
    with pytest.raises(WouldBlock):
        bench.produce(NOW, "jsonschema", choice, long)
    bench.produce(LATER, "jsonschema", choice, long)
    bench.produce(NOW, "json", value=long)
    assert len(bench.client.produced) == 4


def test_topic_of_which_kafka_tells_nothing_fails_record_by_record_in_v2(bench: Bench) -> None:
    bench.cluster.denied.add("t")
    with pytest.raises(errors.TopicForbidden):
        bench.produce(LATER)
    (result,) = bench.produce(LATER, refused_each=True)
    assert [report.error_code for report in result.reports] == [40301]
    assert not bench.client.produced


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (SchemaChoice(schema_id=7), errors.NoSchemaRegistry),
        (SchemaChoice(), errors.SerializationFailed),
    ],
)
def test_schemas_need_a_registry(
    bench: Bench, choice: SchemaChoice, kind: type[errors.RestError]
) -> None:
    bench.clients.has_registry = False
    with pytest.raises(kind, match=r"schema\.registry\.url"):
        bench.produce(LATER, "avro", choice, strict_subject=True)
    assert bench.registry.calls == 0


def test_what_is_handed_over_is_counted_by_format(bench: Bench) -> None:
    bench.produce(LATER, value=b'"abc"')
    bench.produce(NOW, value=b"12")
    bench.produce(LATER, "binary", value=b'"YWJj"')
    counted = {name: [row[0] for row in rows] for name, rows in bench.clients.produced.items()}
    assert counted == {"json": [2, 7], "binary": [1, 3]}


def test_what_is_left_for_later_is_not_counted(bench: Bench) -> None:
    bench.produce(LATER)
    bench.client.reports, bench.client.room = False, 0
    now = Deadline(5, may_block=False)
    bench.produce(now)
    # That one waits for room.
    with pytest.raises(WouldBlock):
        bench.produce(now)
    bench.client.reports, bench.client.room = True, 10
    assert [row[0] for row in bench.clients.produced["json"]] == [2, 2]
