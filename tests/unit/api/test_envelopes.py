"""Request bodies: what is taken, what is refused, and that the place is named."""

import pytest

from kafka_rest.api.envelopes import (
    ConsumerOptions,
    consumer_options,
    json_object,
    partition_records,
    topic_records,
)
from kafka_rest.core.produce import JsonRecords, SchemaChoice
from kafka_rest.errors import BadRequest, Unprocessable


def test_values_keep_their_text() -> None:
    body = topic_records(b'{"records":[{"value": 1.10 },{"key":{"a" : 1e2},"value":"x"}]}')
    keys, values = [None, b'{"a" : 1e2}'], [b"1.10", b'"x"']
    assert body.records == JsonRecords(keys, values, [None, None])


@pytest.mark.parametrize("text", [b"0", b"false", b'""', b"{}", b"[]"])
def test_zero_and_its_kin_are_not_null(text: bytes) -> None:
    assert topic_records(b'{"records":[{"value":%b}]}' % text).records.values == [text]


def test_null_and_absent_are_the_same() -> None:
    records = topic_records(b'{"records":[{"key":null,"value":null},{}]}').records
    assert records == JsonRecords([None] * 2, [None] * 2, [None] * 2)


def test_last_of_several_members_counts() -> None:
    body = topic_records(b'{"records":[],"records":[{"value":1,"value":2}]}')
    assert body.records.values == [b"2"]


@pytest.mark.parametrize("text", [b"7", b'"7"', b"7.0"])
def test_partition_may_be_written_as_text(text: bytes) -> None:
    assert topic_records(b'{"records":[{"partition":%b}]}' % text).records.partitions == [7]


def test_schema_members_are_read() -> None:
    body = topic_records(
        b'{"records":[{}],"key_schema":"\\"int\\"","value_schema_id":"3","value_schema":1}'
    )
    assert body.key_schema == SchemaChoice('"int"', None)
    assert body.value_schema == SchemaChoice("1", 3)


@pytest.mark.parametrize("empty", [b"{}", b'{"records":[]}', b'{"records":null}'])
def test_records_may_not_be_empty(empty: bytes) -> None:
    for read in (topic_records, partition_records):
        with pytest.raises(Unprocessable, match="records may not be empty"):
            read(empty)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"records":"x"}', "records"),
        (b'{"records":[1]}', r"records\[0\]"),
        (b'{"records":[{},null]}', r"records\[1\]"),
        (b'{"records":[{"partition":"abc"}]}', r"records\[0\]\.partition"),
        (b'{"records":[{"partition":1.5}]}', r"records\[0\]\.partition"),
        (b'{"records":[{"partition":true}]}', r"records\[0\]\.partition"),
        (b'{"records":[{"partition":-1}]}', r"records\[0\]\.partition"),
        (b'{"records":[{"partition":99999999999999999999}]}', r"records\[0\]\.partition"),
        (b'{"records":[{}],"value_schema":{}}', "value_schema"),
        (b'{"records":[{}],"value_schema_id":"abc"}', "value_schema_id"),
        (b'{"records":[{}],"value_schema_id":99999999999}', "value_schema_id"),
        (b'{"records":[{}],"nope":1}', "Unrecognized field: nope"),
        (b'{"records":[{"nope":1}]}', r"Unrecognized field: nope \(in records\[0\]\)"),
        (b"null", "object"),
        (b"[]", "object"),
        (b'"x"', "object"),
    ],
)
def test_wrong_shape_is_422_and_names_the_place(text: bytes, place: str) -> None:
    with pytest.raises(Unprocessable, match=place):
        topic_records(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"foo",
        b'{"records":[{"value":1}]',
        b'{"records":[{"value":NaN}]}',
        b'{"records":[{"value":}]}',
        b'{"records":[{"value":1}]} x',
        b'{"records":[{"value":"\\ud800"}]}',
        b'/*c*/{"records":[]}',
        b'{"records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
    ],
)
def test_what_is_no_json_is_400(text: bytes) -> None:
    with pytest.raises(BadRequest):
        topic_records(text)


@pytest.mark.parametrize(
    "value",
    [rb'"\ud800"', rb'"\ud83d\ude00\uD800 x"', rb'{"k":"\udc00"}', rb'{"\ud800\u0041":1}'],
)
def test_half_of_a_surrogate_pair_is_named(value: bytes) -> None:
    with pytest.raises(BadRequest, match="half of a surrogate pair"):
        topic_records(b'{"records":[{"value":%b}]}' % value)


@pytest.mark.parametrize("value", [rb'"\\ud800', rb'"\ud83d\ude00', rb'"\ud8"', b'"'])
def test_body_that_is_cut_off_is_not_taken_for_half_of_a_pair(value: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        topic_records(b'{"records":[{"value":%b' % value)
    assert "surrogate" not in caught.value.text


def test_record_for_a_partition_may_not_name_one() -> None:
    with pytest.raises(Unprocessable, match="Unrecognized field: partition"):
        partition_records(b'{"records":[{"partition":0}]}')


@pytest.mark.parametrize("text", [b"", b"  ", b"null", b"{}"])
def test_create_call_needs_no_options(text: bytes) -> None:
    assert consumer_options(text) == ConsumerOptions()


def test_id_wins_over_name() -> None:
    assert consumer_options(b'{"id":"a","name":"b"}').name == "a"
    assert consumer_options(b'{"id":null,"name":"b"}').name == "b"


@pytest.mark.parametrize(("text", "expected"), [(b"true", "true"), (b'"false"', "false")])
def test_boolean_option_may_be_one_or_its_text(text: bytes, expected: str) -> None:
    assert consumer_options(b'{"auto.commit.enable":%b}' % text).auto_commit_enable == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"nope":1}', "Unrecognized field: nope"),
        (b'{"name":{}}', "name"),
        (b'{"format":["x"]}', "format"),
        (b"[]", "object"),
        (b"1", "object"),
    ],
)
def test_wrong_options_are_422_and_named(text: bytes, place: str) -> None:
    with pytest.raises(Unprocessable, match=place):
        consumer_options(text)


def test_json_object_refuses_broken_json() -> None:
    with pytest.raises(BadRequest):
        json_object(b"{")


def test_null_and_absent_are_none_beside_other_values() -> None:
    texts = [b'{"value":1}', b'{"key":null,"value":null}', b"{}", b'{"key":"null","value":[null]}']
    records = topic_records(b'{"records":[%b]}' % b",".join(texts)).records
    assert records.keys == [None, None, None, b'"null"']
    assert records.values == [b"1", None, None, b"[null]"]
