"""The bodies of v2 requests: what they become, and what is refused with its place."""

import functools
from typing import Any

import msgspec
import pytest

from kafka_rest.api.v2 import envelopes
from kafka_rest.api.v2.errors import in_v2
from kafka_rest.api.v2.records import produce_reader, produce_records
from kafka_rest.api.v2.timestamps import record_milliseconds, seek_milliseconds
from kafka_rest.errors import RestError, Unprocessable
from kafka_rest.kafka.description import Target
from kafka_rest.records import CommittedOffset, SchemaReference, TopicPartition

T0 = TopicPartition("t", 0)
NOTHING: frozenset[str] = frozenset()
EVERYTHING = frozenset({"headers", "timestamp"})


def body(value: Any) -> bytes:
    return msgspec.json.encode(value)


def code_of(call: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(RestError) as caught:
        call(*arguments)
    answered = in_v2(caught.value)
    return answered.error_code, answered.text


def test_subscription() -> None:
    assert envelopes.subscription(body({"topics": ["b", "a", "b", 5]})) == (("b", "a", "5"), None)
    assert envelopes.subscription(body({"topic_pattern": "a.*"})) == (None, "a.*")
    assert envelopes.subscription(body({"topics": ["a"], "topic_pattern": "b"})) == (("a",), None)
    assert envelopes.subscription(body({"topics": None})) == (None, None)
    assert envelopes.subscription(b"{}") == (None, None)


def test_positions_keep_their_order_offsets_first() -> None:
    given = {
        "timestamps": [{"topic": "t", "partition": "1", "timestamp": 1.5}],
        "offsets": [{"topic": "t", "partition": 0, "offset": "7", "metadata": "x"}],
    }
    assert envelopes.positions(body(given)) == [
        (T0, Target(offset=7)),
        (TopicPartition("t", 1), Target(time_ms=1500)),
    ]


def test_commit_stores_the_next_offset() -> None:
    given = {"offsets": [{"topic": "t", "partition": 0, "offset": 20, "metadata": "note"}]}
    assert envelopes.commit(body(given)) == {T0: CommittedOffset(21, "note")}
    assert envelopes.commit(b"") is None
    assert envelopes.commit(b" null ") is None
    assert envelopes.commit(body({"offsets": []})) == {}


@pytest.mark.parametrize(
    ("call", "text", "code", "place"),
    [
        (envelopes.subscription, b"", 422, "null"),
        (envelopes.subscription, b"null", 422, "null"),
        (envelopes.subscription, b"[1]", 400, "object"),
        (envelopes.subscription, b'{"topics":"x"}', 400, "topics"),
        (envelopes.subscription, b'{"topics":[null]}', 422, "topics[0]"),
        (envelopes.subscription, b'{"topics":[" "]}', 422, "topics[0]"),
        (envelopes.subscription, b'{"topics":[["x"]]}', 400, "topics[0]"),
        (envelopes.subscription, b'{"x":1}', 422, "x"),
        (envelopes.subscription, b"{", 400, "JSON"),
        (envelopes.partitions, b"{}", 422, "partitions"),
        (envelopes.partitions, b'{"partitions":[{"topic":"t"}]}', 422, "partitions[0]"),
        (envelopes.partitions, b'{"partitions":[{"partition":0}]}', 422, "partitions[0]"),
        (envelopes.partitions, b'{"partitions":[null]}', 400, "partitions[0]"),
        (
            envelopes.partitions,
            b'{"partitions":[{"topic":"t","partition":-1}]}',
            422,
            "partitions[0].partition",
        ),
        (
            envelopes.positions,
            b'{"offsets":[{"topic":"t","partition":0,"offset":-1}]}',
            422,
            "offsets[0].offset",
        ),
        (
            envelopes.positions,
            b'{"offsets":[{"topic":"t","partition":0,"offset":99999999999999999999}]}',
            400,
            "offsets[0].offset",
        ),
        (
            envelopes.positions,
            b'{"timestamps":[{"topic":"t","partition":0,"timestamp":"yesterday"}]}',
            422,
            "timestamps[0].timestamp",
        ),
        (
            envelopes.commit,
            b'{"offsets":[{"topic":"t","partition":0,"offset":-2}]}',
            422,
            "offsets[0].offset",
        ),
        (
            envelopes.commit,
            b'{"offsets":[{"topic":"t","partition":0,"offset":0,"metadata":"a\\u0000b"}]}',
            422,
            "offsets[0].metadata",
        ),
        (envelopes.commit, b'{"offsets":null}', 400, "offsets"),
        (envelopes.commit, b"{}", 422, "offsets"),
        (envelopes.consumer_options, b'{"name":"c","max.poll.records":1}', 422, "max.poll.records"),
        (envelopes.consumer_options, b'{"fetch.min.bytes":"x"}', 400, "fetch.min.bytes"),
        (envelopes.consumer_options, b'{"fetch.min.bytes":true}', 400, "fetch.min.bytes"),
        (envelopes.consumer_options, b"[]", 400, "object"),
    ],
)
def test_mistake_is_a_4xx_that_names_the_place(
    call: Any, text: bytes, code: int, place: str
) -> None:
    found, said = code_of(call, text)
    assert found == code
    assert place in said


def test_consumer_options_and_their_other_names() -> None:
    given = {
        "id": 5,
        "name": "n",
        "responseMinBytes": "10",
        "requestWaitMs": 1.5,
        "enable.auto.commit": False,
        "topic.metadata.refresh.interval.ms": "1000",
        "include": "headers",
    }
    found = envelopes.consumer_options(body(given))
    assert (found.name, found.fetch_min_bytes, found.request_timeout_ms) == ("5", 10, 1)
    assert (found.auto_commit_enable, found.include) == ("false", "headers")


def test_headers_and_timestamps_are_opted_in() -> None:
    record = {
        "value": 1,
        "headers": [{"name": "h", "value": "YQ=="}, {"name": "n", "value": None}, {"name": "m"}],
        "timestamp": 5,
    }
    code, said = code_of(produce_records, body({"records": [record]}), NOTHING)
    assert (code, "include=headers" in said) == (422, True)
    made = produce_records(body({"records": [record, {"value": 2}]}), EVERYTHING).records
    assert made.headers == [[("h", b"a"), ("n", None), ("m", None)], None]
    assert made.timestamps == [5, None]
    plain = produce_records(body({"records": [{"value": 1}]}), EVERYTHING).records
    assert plain.headers is plain.timestamps is None


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"headers": [{"name": "h", "value": "!"}]}, "records[0].headers[0].value"),
        ({"headers": [{"name": "h", "value": 5}]}, "records[0].headers[0].value"),
        ({"headers": [{"name": "a\0b", "value": "YQ=="}]}, "records[0].headers[0].name"),
        ({"headers": [{"value": "YQ=="}]}, "records[0].headers[0]"),
        ({"headers": [{"name": "h", "x": 1}]}, "records[0].headers[0]"),
        ({"headers": {}}, "records[0].headers"),
        ({"timestamp": -1}, "records[0].timestamp"),
        ({"timestamp": "9" * 5000}, "records[0].timestamp"),
        ({"timestamp": "soon"}, "records[0].timestamp"),
        ({"timestamp": []}, "records[0].timestamp"),
    ],
)
def test_wrong_headers_and_timestamps_are_named(record: Any, place: str) -> None:
    code, said = code_of(produce_records, body({"records": [record]}), EVERYTHING)
    assert code in (400, 422)
    assert place in said


def test_schema_references_go_with_a_schema() -> None:
    reference = {"name": "a.proto", "subject": "a", "version": 1}
    given = {"value_schema": "x", "value_schema_references": [reference], "records": [{}]}
    made = produce_records(body(given), NOTHING)
    assert made.value_schema.references == (SchemaReference("a.proto", "a", 1),)
    for wrong in (
        {"value_schema_references": [reference]},
        {"value_schema": "x", "value_schema_id": 1},
        {"value_schema": "x", "value_schema_references": [{"name": "a"}]},
    ):
        code, said = code_of(produce_records, body({**wrong, "records": [{}]}), NOTHING)
        assert code == 422
        assert "value_schema" in said


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        ("1", 1000),
        (1.5, 1500),
        ("2001-01-01T01:00:00+01:00", 978307200000),
        ("2001-01-01T00:00:00.250Z", 978307200250),
        (99_999_999_999, 99_999_999_999_000),
    ],
)
def test_times_of_seeks(value: Any, ms: int) -> None:
    assert seek_milliseconds(value, "p") == ms


@pytest.mark.parametrize(
    "value",
    [
        *(-5, 1600000000000, "", "2020-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00Z"),
        *("2020-01-01 00:00:00Z", "2020-13-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        *("0001-01-01T00:00:00+14:00", float("nan"), "1e3"),
    ],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(Unprocessable, match=r"^p: "):
        seek_milliseconds(value, "p")


def test_times_of_records_are_milliseconds() -> None:
    assert record_milliseconds(1600000000000, 0) == 1600000000000
    assert record_milliseconds("1600000000000", 0) == 1600000000000
    assert record_milliseconds("2001-01-01T00:00:00Z", 0) == 978307200000


PLAIN_AND_NOT = [
    b'{"records":[{"value":1}]}',
    b'{"records":[{"key":"k","value":{"a":[1]},"partition":2},{"value":null}]}',
    b'{"records":[{"value":1,"partition":"1"},{"partition":null}]}',
    b'{"records":[{"value":1,"headers":null,"timestamp":null}]}',
    b'{"records":[{"value":1,"headers":[]}]}',
    b'{"records":[{"value":1}],"value_schema_id":7}',
    b'{"value_schema":"\\"int\\"","records":[{"value":1}]}',
    b'{"records":[]}',
    b'{"records":null}',
    b'{"records":[{"value":1,"partition":-1}]}',
    b'{"records":[{"nope":1}]}',
    b'{"records":[1]}',
    b'{"records":[{"value":1}],"nope":1}',
    b"{}",
    b"[]",
    b"null",
    b"",
    b'{"records":[{"value":1}]',
    b'{"records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
]


@pytest.mark.parametrize("body", PLAIN_AND_NOT, ids=lambda body: body[:40].decode())
def test_plain_body_is_read_as_any_other(body: bytes) -> None:
    def outcome(read: Any) -> Any:
        try:
            return read(body)
        except RestError as error:
            return type(error), error.text

    whole = functools.partial(produce_records, include=frozenset())
    assert outcome(produce_reader("json", frozenset())) == outcome(whole)
