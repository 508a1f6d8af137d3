"""What a request costs in steps of the interpreter must not creep up unseen.

Counted, not timed: function calls and instructions, the same on every run and machine. Another
minor version of Python compiles otherwise (3.12 makes comprehensions without a call), so that the
numbers are compared under the one that they were recorded with, and skipped under any other.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.v2 import shapes
from kafka_rest.core.rendering import Rendering
from kafka_rest.formats import FORMATS
from kafka_rest.kafka.messages import batches
from kafka_rest.kafka.metadata import ClusterMetadata
from kafka_rest.kafka.producers import SharedProducer
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import Deadline, Schema
from kafka_rest.schemas.resolve import SchemaResolver
from kafka_rest.server.counting import watcher
from tests.laned import LanedConnection, produce_body
from tests.performance.cases import SCHEMAS, VALUES
from tests.unit.counting import Cost, cost_of
from tests.unit.fakes import FakeClock, FakeMessage, FakeProducer
from tests.unit.kafka.test_metadata import Cluster, FakeAdmin

RECORDED_WITH = (3, 11)
RECORDED = {
    "produce 1 json record": Cost(68, 1_624),
    "produce 100 json records": Cost(165, 13_014),
    "produce 100 avro records by schema id": Cost(301, 20_797),
    "render a read of 1,000 json records": Cost(21, 820),
}
SLACK = 0.03
"""How much more is taken for the same: a patch version of a library, a line that says a thing
better.
"""

SCHEMA_ID = 7
pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != RECORDED_WITH,
    reason="the numbers were recorded with Python {}.{}; another one has other instructions".format(
        *RECORDED_WITH
    ),
)


class Registry:
    """A schema registry that has one schema."""

    def schema_by_id(self, _schema_id: int, _deadline: Deadline) -> dict[str, Any]:
        return {"schema": SCHEMAS["avro"]}

    def subjects_of(self, _schema_id: int, _deadline: Deadline) -> list[str]:
        return ["t-value"]


class Bench:
    """A connection in the lane of a worker whose clients of Kafka are fakes."""

    def __init__(self, format_name: str) -> None:
        self.client, clock = FakeProducer({}), FakeClock()
        cluster, registry = Cluster(clock), Registry()
        clients: Any = ClientRegistry(s.load())
        clients.metadata = ClusterMetadata(
            {},
            0.2,
            2.0,
            lambda config: FakeAdmin(config, cluster),  # type: ignore[arg-type,return-value]
            clock,
        )
        clients.producer = SharedProducer({}, lambda _config: self.client)  # type: ignore[arg-type,return-value]
        clients.schemas = SchemaResolver(registry, 10)  # type: ignore[arg-type]
        self.clients = clients
        # Counted for metrics, as by default.
        counted = watcher(clients.cells)
        self.connection = LanedConnection(clients, "t", format_name, counted)
        self.connection.lane.settle = clients.producer.put_off()

    def produce(self, body: bytes) -> bytes:
        """Serve a request in the lane; the body of its answer."""
        self.connection.client.sendall(self.connection.request(body))
        self.connection.take()
        while self.client.pending:
            on_delivery, message = self.client.pending.popleft()
            on_delivery(None, message)
        return self.connection.answer()

    def cost(self, body: bytes) -> Cost:
        """What a request costs once its head, topic and schema have been seen, and its like."""
        self.connection.ordinary(body)
        # From here on this thread brings the reports, not the poller.
        self.client.reports = False
        self.produce(body)
        count = body.count(b'"value"')
        return measured(lambda: self.produce(body), lambda text: text.count(b'"offset"') == count)

    def close(self) -> None:
        self.connection.close()
        self.clients.producer.close(Deadline(1))


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


def measured(work: Callable[[], Any], right: Callable[[Any], bool]) -> Cost:
    """What the work costs, done twice: a number that differs would guard nothing."""
    results: list[Any] = []
    first, again = (cost_of(lambda: results.append(work())) for _ in range(2))
    assert first == again
    assert all(map(right, results))
    return first


def require_no_more(name: str, found: Cost) -> None:
    """Compare with what is recorded."""
    recorded = RECORDED[name]
    dearer = [
        f"{kind} {was} -> {now} ({now / was - 1:+.1%})"
        for kind, was, now in zip(Cost._fields, recorded, found, strict=True)
        if now > was * (1 + SLACK)
    ]
    assert not dearer, (
        f"To {name} takes more steps than recorded: {', '.join(dearer)}. Every request pays for "
        f"it: look whether what was added is worth that, or can be done once instead. If it is "
        f"worth it, record {found} in RECORDED, and say why in the commit."
    )


@pytest.mark.parametrize(("bench", "records"), [("json", 1), ("json", 100)], indirect=["bench"])
def test_json_request_in_the_lane_costs_no_more(bench: Bench, records: int) -> None:
    found = bench.cost(produce_body(VALUES["json"], records))
    require_no_more(f"produce {records} json record{'s' * (records > 1)}", found)


@pytest.mark.parametrize("bench", ["avro"], indirect=True)
def test_avro_request_in_the_lane_costs_no_more(bench: Bench) -> None:
    found = bench.cost(produce_body(VALUES["avro"], 100, value_schema_id=SCHEMA_ID))
    require_no_more("produce 100 avro records by schema id", found)


def test_rendering_of_a_read_costs_no_more() -> None:
    value = json.dumps(VALUES["json"], separators=(",", ":")).encode()
    messages = [FakeMessage("t", n % 3, n, None, value) for n in range(1000)]

    def no_schema(_schema_id: int) -> Schema:
        raise AssertionError("this format has no schemas")

    counters = ClientRegistry(s.load()).consumed["json"]

    def read() -> bytes:
        answer = Rendering(FORMATS["json"], no_schema, shapes.records, counters)
        for records in batches(list(messages)):
            answer.take(records)
        return answer.text()

    read()
    found = measured(read, lambda text: text.count(b'"offset"') == 1000)
    require_no_more("render a read of 1,000 json records", found)


def test_dearer_work_is_refused_with_what_to_do() -> None:
    recorded = RECORDED["produce 1 json record"]
    require_no_more("produce 1 json record", recorded)
    dearer = recorded._replace(calls=round(recorded.calls * 1.1))
    with pytest.raises(AssertionError, match=r"calls .* \(\+.*record Cost"):
        require_no_more("produce 1 json record", dearer)


def test_count_is_of_what_is_executed() -> None:
    few, many = ("[10]", "[10, 11, 12]")
    work = compile("def go(text):\n return [int(n) for n in eval(text)]", "<work>", "exec")
    space: dict[str, Any] = {}
    exec(work, space)
    costs = [cost_of(lambda text=text: space["go"](text)) for text in (few, many)]
    # The function, its comprehension, the text; int() is C.
    assert [cost.calls for cost in costs] == [3, 3]
    assert costs[1].instructions > costs[0].instructions
    assert cost_of(lambda: None) == Cost(0, 0)
