"""The answer of a read: rendered batch by batch, up to a record that cannot be decoded."""

import json
import tracemalloc
from typing import Any

import pytest

from kafka_rest import errors
from kafka_rest.api.v1 import shapes as v1
from kafka_rest.api.v2 import shapes as v2
from kafka_rest.core.rendering import Render, Rendering
from kafka_rest.formats import FORMATS
from kafka_rest.kafka.messages import ConsumedRecords, batches
from kafka_rest.metrics import Cells, Rows
from kafka_rest.metrics.table import CONSUMED_BYTES, CONSUMED_RECORDS
from kafka_rest.records import Schema
from tests.unit.fakes import FakeMessage


def no_schema(_schema_id: int) -> Schema:
    raise AssertionError("this format has no schemas")


def rendering(name: str = "json", render: Render = v1.records) -> Rendering:
    return Rendering(FORMATS[name], no_schema, render)


def records(*pairs: tuple[bytes | None, bytes | None]) -> ConsumedRecords:
    """Records with these keys and values; their offsets count from 7."""
    found = enumerate(pairs, 7)
    return ConsumedRecords([FakeMessage("t", 2, n, key, value) for n, (key, value) in found])


class Torn(FakeMessage):
    """One whose headers the library cannot read: what it then holds may not be looked at."""

    torn = False

    def headers(self) -> Any:
        if self.torn:
            raise AssertionError("this would end the process")
        if super().headers() is None:
            self.torn = True
            raise SystemError
        return super().headers()

    def set_headers(self, headers: Any) -> None:
        self.torn = False
        super().set_headers(headers)


def test_record_whose_headers_cannot_be_read_is_named_as_often_as_it_is_read() -> None:
    headers = [("a", b"b")]
    good = FakeMessage("t", 2, 7, None, b"1", headers=headers)
    torn = Torn("t", 2, 8, None, b"2")
    shape = v2.records_shape(frozenset(["headers"]))
    answer = rendering(render=shape)
    assert answer.take(ConsumedRecords([good, torn, torn])) == 1
    assert json.loads(answer.text())[0]["headers"] == [{"name": "a", "value": "Yg=="}]
    for _ in range(2):
        with pytest.raises(errors.Undecodable, match=r"header is not UTF-8 \(topic t, .* offset 8"):
            rendering(render=shape).take(ConsumedRecords([torn, good]))


def test_read_of_nothing_is_an_empty_array() -> None:
    assert rendering().text() == b"[]"


def test_batches_make_one_array_in_order() -> None:
    answer = rendering()
    assert answer.empty
    assert answer.take(records((b"1", b"2"), (None, b'"x"'))) == 2
    assert answer.take(records((b"[3]", None))) == 1
    assert not answer.empty
    assert answer.text() == (
        b'[{"key":1,"value":2,"partition":2,"offset":7},'
        b'{"key":null,"value":"x","partition":2,"offset":8},'
        b'{"key":[3],"value":null,"partition":2,"offset":7}]'
    )


@pytest.mark.parametrize("name", ["json", "binary", "string"])
def test_nulls_are_no_business_of_the_format(name: str) -> None:
    answer = rendering(name)
    answer.take(records((None, b"1"), (b"2", None), (None, None), (b"3", b"4")))
    found = json.loads(answer.text())
    decode = FORMATS[name].decode
    expected = [[None, b"1"], [b"2", None], [None, None], [b"3", b"4"]]
    assert [[r["key"], r["value"]] for r in found] == [
        [None if side is None else json.loads(decode(side, no_schema)) for side in pair]
        for pair in expected
    ]


@pytest.mark.parametrize("bad", [(b"3", b"{"), (b"{", b"3")])
def test_what_comes_before_a_bad_record_is_rendered(bad: tuple[bytes, bytes]) -> None:
    answer = rendering()
    assert answer.take(records((b"1", b"2"), bad, (b"4", b"5"))) == 1
    assert answer.text() == b'[{"key":1,"value":2,"partition":2,"offset":7}]'


def test_bad_first_record_is_named() -> None:
    answer = rendering()
    with pytest.raises(errors.Undecodable, match="topic t, partition 2, offset 7"):
        answer.take(records((b"1", b"{"), (b"2", b"3")))
    assert answer.empty


def test_v2_names_the_topic_of_each_record() -> None:
    answer = rendering(render=v2.records)
    messages = [FakeMessage(topic, n, n, None, b"1") for n, topic in enumerate(("a", "b-1"))]
    answer.take(ConsumedRecords(messages))
    assert answer.text() == (
        b'[{"topic":"a","key":null,"value":1,"partition":0,"offset":0},'
        b'{"topic":"b-1","key":null,"value":1,"partition":1,"offset":1}]'
    )


@pytest.mark.parametrize(
    ("include", "members"),
    [
        ({"timestamp"}, [b',"timestamp":5', b',"timestamp":null']),
        ({"headers"}, [b',"headers":[{"name":"h","value":"YQ=="}]', b',"headers":[]']),
        (
            {"headers", "timestamp"},
            [
                b',"headers":[{"name":"h","value":"YQ=="}],"timestamp":5',
                b',"headers":[],"timestamp":null',
            ],
        ),
    ],
)
def test_v2_shows_what_is_to_be_included(include: set[str], members: list[bytes]) -> None:
    answer = rendering(render=v2.records_shape(frozenset(include)))
    more: list[dict[str, Any]] = [{"headers": [("h", b"a")], "timestamp": (1, 5)}, {}]
    answer.take(
        ConsumedRecords([FakeMessage(offset=n, value=b"1", **m) for n, m in enumerate(more)])
    )
    shown = [
        b'{"topic":"t","key":null,"value":1,"partition":0,"offset":%d%b}' % (n, member)
        for n, member in enumerate(members)
    ]
    assert answer.text() == b"[" + b",".join(shown) + b"]"


def test_answer_is_held_once_while_it_is_made() -> None:
    answer = rendering()
    messages = [FakeMessage("t", 0, n, None, b'{"a":"%b"}' % (b"x" * 2000)) for n in range(10_000)]
    tracemalloc.start()
    try:
        for found in batches(messages):
            answer.take(found)
        text = answer.text()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The records themselves were there before: this is the answer, room to grow in, and one batch.
    assert peak < 1.5 * len(text)
    assert messages == []


def test_batches_are_bounded_by_bytes_too() -> None:
    messages = [FakeMessage("t", 0, n, b"k", b"x" * 600_000) for n in range(5)]
    messages += [FakeMessage("t", 0, n, None, b"x") for n in range(5, 1200)]
    found = [records.offsets for records in batches(messages)]
    assert [len(offsets) for offsets in found] == [2, 2, 1000, 196]
    assert [offset for offsets in found for offset in offsets] == list(range(1200))


def test_answer_counts_its_records_and_their_bytes_once_it_is_made() -> None:
    rows = Rows(Cells(), CONSUMED_RECORDS, CONSUMED_BYTES)["binary"]
    answer = Rendering(FORMATS["binary"], no_schema, v1.records, rows)
    answer.take(records((b"k", b"abc"), (None, b"de"), (None, None)))
    answer.take(records((None, b"f")))
    assert [row[0] for row in rows] == [0, 0]
    answer.text()
    assert [row[0] for row in rows] == [4, 7]
