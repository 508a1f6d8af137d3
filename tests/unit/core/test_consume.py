"""The consume flow: whose records a read may bring, by the time that it takes them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.rights import RIGHTS, readable_guard
from kafka_rest.api.v2 import shapes
from kafka_rest.core import consume
from kafka_rest.core.pending import Pending
from kafka_rest.errors import TopicForbidden
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import TopicPartition
from kafka_rest.security.authority import Authority
from tests.unit.fakes import FakeMessage
from tests.unit.kafka.bench import InstanceBench
from tests.unit.security.test_authority import settings

OPEN, SECRET = TopicPartition("open", 0), TopicPartition("secret", 0)
RULES = "ann read topic open\nboss read topic *\n"


class Bench(InstanceBench):
    """An instance that reads by hand, and clients with rights."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.authority = Authority(settings(folder, RULES))
        self.assign(OPEN)

    def assign(self, *places: TopicPartition) -> None:
        self.instance.assign(set(places), self.deadline())

    def add(self, place: TopicPartition, *offsets: int) -> None:
        for offset in offsets:
            self.consumer.queue.append(FakeMessage(*place, offset, None, b"v"))

    def read(self, name: str | None) -> Pending[consume.ReadResult]:
        """A read of a client, or of one that may all, under way."""
        rights = {} if name is None else {RIGHTS: self.authority.rights(name)}
        call: Any = SimpleNamespace(environ=rights)
        request = consume.ReadRequest(None, shapes.records, 5.0, readable_guard(call))
        return consume.read(ClientRegistry(s.load()), self.instance, request)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def brought(reading: Pending[consume.ReadResult]) -> list[tuple[str, int]]:
    """Topics and offsets of the records that a read has ended with. Raises: what it failed with."""
    assert reading.there
    return [(r["topic"], r["offset"]) for r in json.loads(reading.wait().text())]


def test_read_brings_no_records_of_a_topic_that_another_client_has_assigned(bench: Bench) -> None:
    reading = bench.read("ann")
    bench.assign(OPEN, SECRET)
    bench.add(OPEN, 4)
    bench.add(SECRET, 0, 1)
    bench.instance.attempt()
    with pytest.raises(TopicForbidden, match=r"ann may not read topic secret\.$"):
        brought(reading)
    # What was refused is still there for who may have it, and not committed for who may not.
    assert bench.instance.commit(bench.deadline()) == {}
    assert brought(bench.read("boss")) == [("open", 4), ("secret", 0), ("secret", 1)]


def test_read_brings_no_records_once_its_client_may_not_read_them(bench: Bench) -> None:
    reading, next_one = bench.read("ann"), bench.read("boss")
    (bench.folder / "rules").write_text("boss read topic *\n")
    bench.authority.reload()
    bench.add(OPEN, 4)
    bench.instance.attempt()
    with pytest.raises(TopicForbidden, match="ann may not read topic open"):
        brought(reading)
    assert brought(next_one) == [("open", 4)]


@pytest.mark.parametrize("name", ["ann", None])
def test_read_brings_what_its_client_may_read(bench: Bench, name: str | None) -> None:
    reading = bench.read(name)
    bench.add(OPEN, 4, 5)
    bench.instance.attempt()
    assert brought(reading) == [("open", 4), ("open", 5)]
