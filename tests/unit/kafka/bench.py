"""One consumer instance on a fake consumer and a fake clock, for the tests of instances."""

import threading
from typing import Any

from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock, FakeConsumer


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

    def deadline(self, seconds: float = 10.0) -> Deadline:
        """A deadline by the fake clock."""
        return Deadline(seconds, self.clock)
