"""Schemas through the caches: one call per cold schema, bounded, failures not kept."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kafka_rest.errors import SchemaRegistryFailure
from kafka_rest.records import Deadline, Schema
from kafka_rest.schemas.resolve import UNKNOWN_ID_SECONDS, SchemaResolver
from tests.unit.fakes import FakeClock


class FakeClient:
    """A registry that counts."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False
        self.versions: dict[str, Any] = {}

    def schema_by_id(self, schema_id: int, deadline: Deadline) -> dict[str, Any]:
        self.calls.append(schema_id)
        self.gate.wait(5)
        if self.fails:
            raise SchemaRegistryFailure("no")
        return {"schema": f'"{schema_id}"', **self.versions.get(str(schema_id), {})}

    def register(self, subject: str, kind: str, text: str, references: Any, deadline: Any) -> int:
        self.calls.append((subject, text))
        self.gate.wait(5)
        if self.fails:
            raise SchemaRegistryFailure("no")
        return len(self.calls)

    def subjects_of(self, schema_id: int, deadline: Deadline) -> frozenset[str]:
        self.calls.append(f"subjects of {schema_id}")
        self.gate.wait(5)
        return frozenset({"t-value"})

    def version(self, subject: str, version: int, deadline: Deadline) -> dict[str, Any]:
        self.calls.append(subject)
        found: dict[str, Any] = self.versions[subject]
        return found

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, size: int = 3) -> None:
        self.client: Any = FakeClient()
        self.clock = FakeClock()
        self.resolver = SchemaResolver(self.client, size, self.clock)


def deadline() -> Deadline:
    return Deadline(5)


def test_known_schema_costs_no_call() -> None:
    bench = Bench()
    for _ in range(10_000):
        bench.resolver.register("t-value", "AVRO", '"int"', deadline())
        bench.resolver.by_id(9, deadline())
    assert len(bench.client.calls) == 2
    assert (bench.resolver.calls, bench.resolver.hits) == (2, 19_998)


def test_each_subject_is_registered() -> None:
    bench = Bench()
    for subject in ("a-value", "b-value"):
        bench.resolver.register(subject, "AVRO", '"int"', deadline())
    assert [call[0] for call in bench.client.calls] == ["a-value", "b-value"]


def test_cache_is_bounded() -> None:
    bench = Bench(size=3)
    for schema_id in (1, 2, 3, 4, 1):
        bench.resolver.by_id(schema_id, deadline())
    assert bench.client.calls == [1, 2, 3, 4, 1]


Ask = Callable[[SchemaResolver], Any]


@pytest.mark.parametrize(
    "ask",
    [
        lambda resolver: resolver.by_id(5, deadline()),
        lambda resolver: resolver.register("t-value", "AVRO", '"int"', deadline()),
        lambda resolver: resolver.require_in_subject("t-value", Schema(5, "AVRO", ""), deadline()),
    ],
    ids=["id", "text", "subject"],
)
def test_concurrent_first_uses_share_one_call(ask: Ask) -> None:
    bench = Bench()
    bench.client.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(ask, bench.resolver) for _ in range(8)]
        while not bench.client.calls:
            pass
        bench.client.gate.set()
        assert len({f.result() for f in found}) == 1
    ask(bench.resolver)
    assert len(bench.client.calls) == 1


def test_schema_of_another_subject_is_refused_and_asked_for_again() -> None:
    bench = Bench()
    for _ in range(2):
        with pytest.raises(SchemaRegistryFailure, match="it is not there"):
            bench.resolver.require_in_subject("u-value", Schema(5, "AVRO", ""), deadline())
    assert len(bench.client.calls) == 2


def test_waiting_for_anothers_call_ends_at_the_own_deadline() -> None:
    bench = Bench()
    bench.client.gate.clear()
    first = threading.Thread(target=bench.resolver.by_id, args=(5, deadline()))
    first.start()
    while not bench.client.calls:
        pass
    with pytest.raises(SchemaRegistryFailure, match="in time"):
        bench.resolver.by_id(5, Deadline(0.01))
    bench.client.gate.set()
    first.join(5)


def test_failure_is_not_kept() -> None:
    bench = Bench()
    bench.client.fails = True
    with pytest.raises(SchemaRegistryFailure):
        bench.resolver.register("t-value", "AVRO", '"int"', deadline())
    bench.client.fails = False
    assert bench.resolver.register("t-value", "AVRO", '"int"', deadline()).schema_id


def test_unknown_id_is_asked_for_once_a_second() -> None:
    bench = Bench()
    bench.client.fails = True
    for _ in range(5):
        with pytest.raises(SchemaRegistryFailure):
            bench.resolver.by_id(5, deadline())
    assert len(bench.client.calls) == 1
    bench.clock.advance(UNKNOWN_ID_SECONDS)
    bench.client.fails = False
    assert bench.resolver.by_id(5, deadline()).schema_id == 5


def reference(name: str) -> dict[str, Any]:
    return {"name": name, "subject": name, "version": 1}


def test_references_come_each_before_its_users() -> None:
    bench = Bench()
    bench.client.versions = {
        "5": {"references": [reference("a"), reference("c")]},
        "a": {"schema": "A", "references": [reference("b")]},
        "b": {"schema": "B", "references": [reference("c")]},
        "c": {"schema": "C"},
    }
    found = bench.resolver.by_id(5, deadline())
    assert [(r.name, r.text) for r in found.references] == [("c", "C"), ("b", "B"), ("a", "A")]


def test_references_without_end_are_refused() -> None:
    bench = Bench()
    bench.client.versions = {
        "5": {"references": [reference("a")]},
        "a": {"schema": "A", "references": [reference("b")]},
        "b": {"schema": "B", "references": [reference("a")]},
    }
    with pytest.raises(SchemaRegistryFailure, match="no end"):
        bench.resolver.by_id(5, deadline())


def test_malformed_references_are_a_failure() -> None:
    bench = Bench()
    bench.client.versions = {"5": {"references": [{"name": "a"}]}}
    with pytest.raises(SchemaRegistryFailure, match="malformed"):
        bench.resolver.by_id(5, deadline())


def test_hits_and_misses_are_of_all_caches_of_schemas() -> None:
    bench = Bench()
    for _ in range(3):
        schema = bench.resolver.by_id(9, deadline())
        bench.resolver.used_before("use", lambda found=schema: found, deadline())
    assert (bench.resolver.misses, bench.resolver.hits) == (2, 4)
