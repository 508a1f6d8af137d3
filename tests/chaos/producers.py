"""Clients that produce numbered records, and send again what was not acknowledged."""

import base64
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from tests.chaos.book import Book
from tests.chaos.events import Answer, Place
from tests.performance.client import Client
from tests.stack import Reply

PRODUCE_SECONDS = 8.0
"""produce.timeout.ms of the proxies, and a second for late reports on top."""
RECORDS_MAX = 10
RETRIES = 2
FILLING = "x" * 40
FORMATS = (("v1", "json"), ("v2", "json"), ("v1", "binary"), ("v2", "binary"))


class Producer:
    """One request after the other; a failed one is tried again, then given up."""

    pause = 0.03

    def __init__(self, client: Client, book: Book, topic: str, version: str, name: str) -> None:
        self._client, self._book, self._topic = client, book, topic
        self._version, self._format = version, name

    def step(self) -> None:
        """New records, until they are acknowledged or given up."""
        numbers = self._book.sent(random.randint(1, RECORDS_MAX))
        for left in range(RETRIES, -1, -1):
            body = produce_body(numbers, self._format)
            reply = self._book.ask(
                "produce",
                PRODUCE_SECONDS + 1,
                lambda timeout, body=body: self._client.request(
                    "POST",
                    f"/topics/{self._topic}",
                    body,
                    {"Content-Type": f"application/vnd.kafka.{self._format}.{self._version}+json"},
                    timeout,
                ),
            )
            numbers = note_results(self._book, numbers, reply)
            if not numbers or not left:
                return
            self._book.sent(numbers)


def produce_body(numbers: Sequence[int], name: str = "json") -> dict[str, Any]:
    """A request with these numbers."""
    values: list[Any] = [{"number": number, "text": FILLING} for number in numbers]
    if name == "binary":
        values = [base64.b64encode(json.dumps(value).encode()).decode() for value in values]
    return {"records": [{"value": value} for value in values]}


def note_results(book: Book, numbers: Sequence[int], reply: Reply) -> list[int]:
    """Write down what an answer says of each record; those that it does not acknowledge."""
    if reply.status != 200:
        return list(numbers)
    results = reply.json["offsets"]
    if len(results) != len(numbers):
        book.fault(f"{len(numbers)} records, {len(results)} results")
    failed = []
    for number, result in zip(numbers, results, strict=False):
        code = result.get("error_code")
        if code is None:
            book.acknowledge(number, Place(result["partition"], result["offset"]))
        else:
            failed.append(number)
            now = time.monotonic()
            book.answer(Answer("record", 200, code, str(result["error"]), now, now, 0.0))
    return failed
