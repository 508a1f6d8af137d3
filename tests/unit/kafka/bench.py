"""One consumer instance on a fake consumer and a fake clock, for the tests of instances."""

import threading
from collections.abc import Callable
from typing import Any

from kafka_rest import errors
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription, ReadLimits
from kafka_rest.kafka.messages import ConsumedRecords
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock, FakeConsumer

Decode = Callable[[int, int, bytes | None], Any]
"""Makes something of the partition, offset and value of a record."""


class InstanceBench:
    """The instance and its fakes."""

    def __init__(self, auto_commit: bool = False) -> None:
        self.clock = FakeClock()
        self.draining = threading.Event()
        description = InstanceDescription("g", "i", "binary", "earliest", auto_commit)
        made: list[FakeConsumer] = []

        def make(config: dict[str, Any]) -> Any:
            made.append(FakeConsumer(config, self.clock))
            return made[0]

        self.instance = ConsumerInstance(description, {}, self.draining, make, self.clock)
        self.consumer = made[0]

    def taken(self, limits: ReadLimits, decode: Decode) -> list[Any]:
        """What a read gives out; `decode` is asked for one record after the other."""
        found: list[Any] = []

        def take(records: ConsumedRecords) -> int:
            columns = zip(records.partitions, records.offsets, records.values, strict=True)
            for index, record in enumerate(columns):
                try:
                    found.append(decode(*record))
                except errors.RestError:
                    if not index:
                        raise
                    return index
            return len(records)

        self.instance.read(limits, take, self.deadline())
        return found

    def deadline(self, seconds: float = 10.0) -> Deadline:
        """A deadline by the fake clock."""
        return Deadline(seconds, self.clock)
