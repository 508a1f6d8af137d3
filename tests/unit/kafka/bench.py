"""One consumer instance on a fake consumer and a fake clock, for the tests of instances."""

import threading
from collections.abc import Callable
from typing import Any

from kafka_rest import errors
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription, ReadLimits
from kafka_rest.kafka.messages import ConsumedRecords
from kafka_rest.kafka.reads import Read
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock, FakeConsumer, FakeReads

Decode = Callable[[int, int, bytes | None], Any]
"""Makes something of the partition, offset and value of a record."""


class Reading:
    """A read under way: what it has taken, and its end."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.ended: list[Exception | None] = []
        self.read: Read | None = None

    def result(self) -> list[Any]:
        """What it has given out. Raises: what it failed with."""
        (failure,) = self.ended
        if failure is not None:
            raise failure
        return self.found


class InstanceBench:
    """The instance and its fakes."""

    def __init__(self, auto_commit: bool = False) -> None:
        self.clock = FakeClock()
        self.draining = threading.Event()
        description = InstanceDescription("g", "i", "binary", "earliest", auto_commit)
        self.made: list[FakeConsumer] = []

        self.refuses: Exception | None = None

        def make(config: dict[str, Any]) -> Any:
            if self.refuses is not None:
                raise self.refuses
            self.made.append(FakeConsumer(config, self.clock))
            return self.consumer

        self.reads = FakeReads()
        self.instance = ConsumerInstance(
            description, {}, self.draining, self.reads, make, self.clock
        )

    @property
    def consumer(self) -> FakeConsumer:
        """The client that serves the instance now."""
        return self.made[-1]

    def begin(self, limits: ReadLimits, decode: Decode) -> "Reading":
        """Begin a read; `decode` is asked for one record after the other."""
        reading = Reading()

        def take(records: ConsumedRecords) -> int:
            columns = zip(records.partitions, records.offsets, records.values, strict=True)
            for index, record in enumerate(columns):
                try:
                    reading.found.append(decode(*record))
                except errors.RestError:
                    if not index:
                        raise
                    return index
            return len(records)

        reading.read = self.instance.read(limits, take, reading.ended.append)
        return reading

    def taken(self, limits: ReadLimits, decode: Decode) -> list[Any]:
        """What a read gives out, once it has ended; it is tried again as often as it takes."""
        reading = self.begin(limits, decode)
        while not reading.ended:
            if not self.consumer.queue:
                self.clock.advance(self.reads.armed)
            self.instance.attempt()
        return reading.result()

    def deadline(self, seconds: float = 10.0) -> Deadline:
        """A deadline by the fake clock."""
        return Deadline(seconds, self.clock)
