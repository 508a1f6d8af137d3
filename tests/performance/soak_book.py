"""What a soak keeps account of: answers by kind, latencies, and which records were acknowledged."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from confluent_kafka import Consumer, Message, TopicPartition

from tests.stack import Reply, Stack

OK = range(200, 300)
EXAMPLES = 10
READ_BACK_SECONDS = 120.0


class Book:
    """Written by all client threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latencies_ms: list[float] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []
        """Answers of 5xx or of another kind than expected, and requests without one."""
        self.ledgers: dict[str, Ledger] = {}

    def note(self, kind: str, expected: range, call: Callable[[], Reply]) -> Reply | None:
        """Make a request; its answer, None where it is not one of those expected."""
        begun = time.perf_counter()
        try:
            reply = call()
        except (OSError, http.client.HTTPException) as error:
            self.fault(f"{kind}: no answer, {error!r}")
            return None
        took_ms = (time.perf_counter() - begun) * 1000
        with self._lock:
            self.answers[kind, reply.status] += 1
            if kind.startswith("produce"):
                self._latencies_ms.append(took_ms)
        if reply.status not in expected:
            self.fault(f"{kind}: {reply.status} {reply.body[:200].decode(errors='replace')}")
            return None
        return reply

    def fault(self, text: str) -> None:
        """Remember what must not happen."""
        with self._lock:
            self.faults.append(text)

    def take_latencies_ms(self) -> list[float]:
        """Those of the produce requests since the last call."""
        with self._lock:
            taken, self._latencies_ms = self._latencies_ms, []
        return taken

    def summary(self) -> str:
        """Answers by kind and status."""
        return "\n".join(
            f"  {kind}: {number:,} x {status}"
            for (kind, status), number in sorted(self.answers.items())
        )

    def lost(self, stack: Stack) -> list[str]:
        """Read every topic back; what was acknowledged and is not there."""
        found = []
        for topic, ledger in self.ledgers.items():
            there = {ledger.sequence(m.value() or b"") for m in messages_of(stack, topic)}
            missing = sorted(ledger.acknowledged - there)
            found += [
                f"{topic}: record {number} was acknowledged and is lost" for number in missing
            ]
        return found


class Ledger:
    """The records of one topic, each with a sequence number. One thread writes."""

    def __init__(self, sequence: Callable[[bytes], int]) -> None:
        self.sequence = sequence
        self.acknowledged: set[int] = set()
        self._numbers = count()

    def next_number(self) -> int:
        """A number that no record has had."""
        return next(self._numbers)


def json_sequence(value: bytes) -> int:
    """The number of a record that was stored as JSON."""
    return int(json.loads(value)["number"])


def avro_sequence(value: bytes) -> int:
    """The number of an Avro record, its first field, behind the five bytes of the schema's id."""
    encoded, shift = 0, 0
    for byte in value[5:]:
        encoded |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return encoded >> 1 ^ -(encoded & 1)


def messages_of(stack: Stack, topic: str) -> Iterator[Message]:
    """Every message that a topic holds now, past the proxy. Raises: AssertionError when stuck."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "soak-read-back"})
    try:
        left = 0
        places = []
        for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            places.append(TopicPartition(topic, number, low))
            left += high - low
        consumer.assign(places)
        end = time.monotonic() + READ_BACK_SECONDS
        while left > 0:
            assert time.monotonic() < end, f"{topic}: {left} records could not be read back"
            for message in consumer.consume(1000, 1.0):
                if message.error() is None:
                    left -= 1
                    yield message
    finally:
        consumer.close()
