"""What is made of schemas: once, also for threads that ask at once, and a bounded number."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kafka_rest.formats.embedded import COMPILED_SCHEMAS, Compiled, SchemaError
from kafka_rest.records import Schema


def schema(number: int) -> Schema:
    return Schema(number, "AVRO", "")


def test_threads_that_ask_at_once_share_one_compilation() -> None:
    asked: list[Schema] = []
    first, second, go = threading.Event(), threading.Event(), threading.Event()

    def make(wanted: Schema) -> object:
        (second if asked else first).set()
        asked.append(wanted)
        assert go.wait(5)
        return object()

    compiled = Compiled(make)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(compiled, schema(1)) for _ in range(4)]
        assert first.wait(5)
        assert not second.wait(0.1)
        go.set()
        assert len({future.result() for future in found}) == 1
    assert asked == [schema(1)]


def test_known_schema_waits_for_nobody() -> None:
    compiling, go = threading.Event(), threading.Event()

    def make(wanted: Schema) -> int:
        if wanted.schema_id == 2:
            compiling.set()
            assert go.wait(5)
        return wanted.schema_id

    compiled = Compiled(make)
    assert compiled(schema(1)) == 1
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(compiled, schema(2))
        assert compiling.wait(5)
        assert pool.submit(compiled, schema(1)).result(5) == 1
        go.set()
        assert slow.result(5) == 2


def test_failure_is_not_kept_and_keeps_nobody() -> None:
    count = 0

    def make(wanted: Schema) -> int:
        nonlocal count
        count += 1
        if count < 3:
            raise SchemaError("no")
        return count

    compiled = Compiled(make)
    for _ in range(2):
        with pytest.raises(SchemaError):
            compiled(schema(1))
    assert compiled(schema(1)) == 3


def test_oldest_is_dropped() -> None:
    made: list[int] = []
    compiled = Compiled(lambda wanted: made.append(wanted.schema_id))
    for number in (*range(COMPILED_SCHEMAS + 1), COMPILED_SCHEMAS, 1, 0):
        compiled(schema(number))
    assert made == [*range(COMPILED_SCHEMAS + 1), 0]
