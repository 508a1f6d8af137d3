"""Where v2 does better than the reference: a test for each row of docs/compatibility.md."""

import time
import uuid
from typing import Any

import pytest

from tests.contract.test_deviations import error
from tests.stack import Proxy, Stack

V2 = "application/vnd.kafka.v2+json"
JSON = "application/json"


@pytest.fixture
def topic(stack: Stack) -> str:
    return stack.create_topic()


def place(topic: str, partition: Any = 0, **more: Any) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, **more}


def assigned(proxy: Proxy, topic: str, **options: Any) -> str:
    """A consumer with partition 0 of a topic assigned by hand."""
    consumer = proxy.create_v2(**options)
    made = proxy.v2("POST", f"{consumer}/assignments", {"partitions": [place(topic)]})
    assert made.status == 204, made
    return consumer


def test_read_answers_as_soon_as_there_is_data(proxy: Proxy, stack: Stack, topic: str) -> None:
    """Row 1."""
    stack.produce(topic, [(0, None, b"1")])
    consumer = assigned(proxy, topic, format="json", **{"consumer.request.timeout.ms": 20_000})
    started = time.monotonic()
    assert len(proxy.v2("GET", f"{consumer}/records", fmt="json").json) == 1
    assert time.monotonic() - started < 10


def test_record_above_max_bytes_is_returned_alone(proxy: Proxy, stack: Stack, topic: str) -> None:
    """Row 2: and a hundred records of 5 kB arrive once, in order."""
    stack.produce(topic, [(0, None, b"x" * 5000) for _ in range(100)])
    consumer = assigned(proxy, topic)
    found = proxy.read_all(consumer, 100, "binary", "?max_bytes=10000")
    assert [record["offset"] for record in found] == list(range(100))
    assert len(proxy.v2("GET", f"{consumer}/records?timeout=100", fmt="binary").json) == 0


def test_seek_drops_what_was_fetched_and_commit_covers_what_was_returned(
    proxy: Proxy, stack: Stack, topic: str
) -> None:
    """Row 3."""
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(5)])
    consumer = assigned(proxy, topic, format="json")
    first = proxy.v2("GET", f"{consumer}/records?max_bytes=1", fmt="json").json
    assert [record["offset"] for record in first] == [0]
    assert proxy.v2("POST", f"{consumer}/offsets").json == []
    stored = proxy.v2("GET", f"{consumer}/offsets", {"partitions": [place(topic)]})
    assert stored.json == {"offsets": [place(topic, offset=1, metadata="")]}
    target = {"offsets": [place(topic, offset=3)]}
    assert proxy.v2("POST", f"{consumer}/positions", target).status == 204
    found = proxy.v2("GET", f"{consumer}/records", fmt="json").json
    assert [record["offset"] for record in found] == [3, 4]


@pytest.mark.parametrize("fmt", ["json", "avro", "jsonschema", "protobuf"])
def test_undecodable_record_ends_a_read_and_a_seek_passes_it(
    proxy: Proxy, stack: Stack, fmt: str
) -> None:
    """Row 5."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, None), (0, None, b"{nope"), (0, None, None)])
    consumer = assigned(proxy, topic, format=fmt)
    assert [r["offset"] for r in proxy.v2("GET", f"{consumer}/records", fmt=fmt).json] == [0]
    for _ in range(2):
        reply = proxy.v2("GET", f"{consumer}/records", fmt=fmt)
        assert error(reply) == (408, 40801)
        assert f"topic {topic}, partition 0, offset 1" in reply.json["message"]
    target = {"offsets": [place(topic, offset=2)]}
    assert proxy.v2("POST", f"{consumer}/positions", target).status == 204
    assert [r["offset"] for r in proxy.v2("GET", f"{consumer}/records", fmt=fmt).json] == [2]


def test_schema_and_schema_id_together_are_422(proxy: Proxy, topic: str) -> None:  # row 8
    body = {"value_schema": '"int"', "value_schema_id": 1, "records": [{"value": 1}]}
    reply = proxy.v2("POST", f"/topics/{topic}", body, "avro")
    assert error(reply) == (422, 422)
    assert "value_schema_id" in reply.json["message"]


def test_base64_is_strict(proxy: Proxy, topic: str) -> None:  # row 16
    for value in ("YQ", "YQ=", "Y Q==", "-_-_", 5):
        reply = proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": value}]}, "binary")
        assert error(reply) == (400, 400)
        assert "records[0].value" in reply.json["message"]


def test_topic_that_cannot_be_is_404_at_once(proxy: Proxy) -> None:  # row 9
    started = time.monotonic()
    reply = proxy.v2("POST", "/topics/a%20b", {"records": [{"value": 1}]}, "json")
    assert error(reply) == (404, 40401)
    assert time.monotonic() - started < 4


def test_commit_without_a_body_is_done_when_it_is_answered(
    proxy: Proxy, stack: Stack, topic: str
) -> None:
    """Row 10."""
    stack.produce(topic, [(0, None, b"1"), (0, None, b"2")])
    consumer = assigned(proxy, topic, format="json")
    proxy.read_all(consumer, 2, "json")
    assert proxy.v2("POST", f"{consumer}/offsets").json == []
    asked = {"partitions": [place(topic)]}
    assert proxy.v2("GET", f"{consumer}/offsets", asked).json["offsets"][0]["offset"] == 2
    assert proxy.v2("POST", f"{consumer}/offsets?async=true").json == []


def test_reading_nothing_is_a_conflict(proxy: Proxy) -> None:  # row 11
    consumer = proxy.create_v2()
    for query in ("", "?timeout=100"):
        reply = proxy.v2("GET", f"{consumer}/records{query}", fmt="binary")
        assert error(reply) == (409, 40903)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("assignments", {}),
        ("assignments", {"partitions": [{}]}),
        ("offsets", {}),
        ("offsets", {"offsets": [{"topic": "t"}]}),
        ("offsets", {"offsets": [{"topic": "t", "partition": 0}]}),
        ("offsets", {"offsets": [{"topic": None, "partition": 0, "offset": 0}]}),
        ("offsets", {"offsets": [{"topic": "", "partition": 0, "offset": 0}]}),
        ("positions", {"offsets": [{}]}),
        ("positions/beginning", {}),
        ("positions/end", {"partitions": [{"topic": "t"}]}),
    ],
)
def test_missing_members_are_4xx_and_wedge_nothing(
    proxy: Proxy, topic: str, path: str, body: Any
) -> None:
    """Row 12."""
    consumer = assigned(proxy, topic)
    reply = proxy.v2("POST", f"{consumer}/{path}", body)
    assert reply.status in (400, 422)
    assert error(reply)[1] == reply.status
    fine = {"offsets": [place(topic, offset=0)]}
    assert proxy.v2("POST", f"{consumer}/offsets", fine).json == []
    assert proxy.v2("DELETE", consumer).status == 204


@pytest.mark.parametrize("impossible", ["a\0b", "x" * 600, "\U0001f600" * 130])
def test_partition_of_a_topic_that_cannot_be_is_refused(
    proxy: Proxy, topic: str, impossible: str
) -> None:
    """Row 37: librdkafka would die of a long name."""
    consumer = assigned(proxy, topic)
    body = {"partitions": [place(impossible)]}
    assert error(proxy.v2("POST", f"{consumer}/assignments", body)) == (400, 40002)
    assert proxy.v2("GET", f"{consumer}/offsets", body).json == {"offsets": []}
    found = proxy.v2("GET", f"{consumer}/assignments").json
    assert found == {"partitions": [place(topic)]}


@pytest.mark.parametrize("group", ["%20", "%00", "%0A", "%20x", "x%00y"])
def test_group_that_would_be_another_for_librdkafka_is_refused(proxy: Proxy, group: str) -> None:
    made = proxy.v2("POST", f"/consumers/{group}", {"format": "json"})
    assert error(made) == (422, 42204)
    assert "the group" in made.json["message"]


def test_timeout_of_a_read_is_the_clients(proxy: Proxy, topic: str) -> None:  # row 14
    consumer = assigned(proxy, topic)
    started = time.monotonic()
    assert proxy.v2("GET", f"{consumer}/records?timeout=2500", fmt="binary").json == []
    assert time.monotonic() - started >= 2.4


def test_application_json_is_taken_where_it_means_one_thing(
    proxy: Proxy, stack: Stack, topic: str
) -> None:
    """Row 20."""
    stack.produce(topic, [(0, None, b"1")])
    consumer = proxy.create_v2(format="json")
    headers = {"Content-Type": JSON, "Accept": JSON}
    body = {"partitions": [place(topic)]}
    assert proxy.request("POST", f"{consumer}/assignments", body, headers).status == 204
    found = proxy.request("GET", f"{consumer}/records", headers=headers)
    assert (found.status, found.type, len(found.json)) == (200, JSON, 1)


def test_accept_list_with_the_instances_own_format_chooses_it(proxy: Proxy, topic: str) -> None:
    consumer = assigned(proxy, topic, format="json")
    own = "application/vnd.kafka.json.v2+json"
    accept = f"{own}, {V2}, {JSON}"
    found = proxy.get(f"{consumer}/records?timeout=100", accept)
    assert (found.status, found.type) == (200, own)
    assert error(proxy.get(f"{consumer}/records?timeout=100", V2)) == (406, 40601)


def test_schema_registry_failure_names_its_cause(proxy: Proxy, topic: str) -> None:  # row 21
    body = {"value_schema_id": 987654321, "records": [{"value": 1}]}
    for fmt in ("avro", "jsonschema", "protobuf"):
        reply = proxy.v2("POST", f"/topics/{topic}", body, fmt)
        assert error(reply) == (422, 42207)
        assert "987654321" in reply.json["message"]


def test_record_for_a_missing_partition_fails_alone(proxy: Proxy, topic: str) -> None:  # row 23
    body = {"records": [{"value": 1, "partition": 9}, {"value": 2}]}
    first, second = proxy.v2("POST", f"/topics/{topic}", body, "json").json["offsets"]
    assert (first["error_code"], second["error_code"]) == (40402, None)
    negative = {"records": [{"value": 1}, {"value": 1, "partition": -1}]}
    assert error(proxy.v2("POST", f"/topics/{topic}", negative, "json")) == (422, 422)
    for partition in (-1, 9):
        path = f"/topics/{topic}/partitions/{partition}"
        body = {"records": [{"value": 1}]}
        assert error(proxy.v2("POST", path, body, "json")) == (404, 40402)
        assert error(proxy.v2("GET", path)) == (404, 40402)


def test_versions_share_a_port_and_their_instances(proxy: Proxy, stack: Stack, topic: str) -> None:
    """Row 35."""
    assert proxy.get("/brokers").type == "application/vnd.kafka.v1+json"
    assert proxy.get("/brokers", V2).type == V2
    stack.produce(topic, [(0, None, b"1"), (0, None, b"2")])
    old = proxy.create_consumer(format="json")
    v1_type = "application/vnd.kafka.json.v1+json"
    assert "topic" not in proxy.get(f"{old}/topics/{topic}", v1_type).json[0]
    assert proxy.v2("GET", f"{old}/subscription").json == {"topics": [topic]}
    stack.produce(topic, [(0, None, b"3")])
    assert proxy.read_all(old, 1, "json")[0]["topic"] == topic
    assert proxy.v2("POST", f"{old}/offsets").json == []
    assert proxy.v2("DELETE", old).status == 204
    new = proxy.create_v2(format="json")
    assert proxy.v2("POST", f"{new}/subscription", {"topics": [topic]}).status == 204
    values: list[Any] = []
    while len(values) < 3:
        values += [r["value"] for r in proxy.get(f"{new}/topics/{topic}", v1_type).json]
    assert values == [1, 2, 3]
    committed = proxy.request("POST", f"{new}/offsets")
    assert committed.json == [{"topic": topic, "partition": 0, "consumed": 2, "committed": 2}]
    assert proxy.request("DELETE", new).status == 204


@pytest.mark.parametrize(
    ("entry", "status", "code"),
    [
        (("", -1, 1), 422, 422),
        (("", 0, -2), 422, 422),
        (("", 7, 1), 404, 40402),
        (("nope", 0, 1), 404, 40403),
    ],
)
def test_commit_of_what_is_not_there_is_refused_at_once(
    proxy: Proxy, topic: str, entry: Any, status: int, code: int
) -> None:
    """Row 37."""
    consumer = assigned(proxy, topic)
    name, partition, offset = entry
    wanted = f"{name}-{uuid.uuid4().hex}" if name else topic
    started = time.monotonic()
    reply = proxy.v2(
        "POST", f"{consumer}/offsets", {"offsets": [place(wanted, partition, offset=offset)]}
    )
    assert error(reply) == (status, code)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("pattern", ["(", "[", "*", ""])
def test_broken_pattern_is_422(proxy: Proxy, pattern: str) -> None:  # row 37
    consumer = proxy.create_v2()
    reply = proxy.v2("POST", f"{consumer}/subscription", {"topic_pattern": pattern})
    assert error(reply) == (422, 422)
    assert "topic_pattern" in reply.json["message"]


def test_wrong_schemas_are_422(proxy: Proxy, topic: str) -> None:  # row 37
    wrong = {
        "avro": '{"type":"nope"}',
        "jsonschema": '{"type":"nope"}',
        "protobuf": 'syntax = "proto3"; message M { int32 a = 1; int32 b = 1; }',
    }
    for fmt, text in wrong.items():
        body = {"value_schema": text, "records": [{"value": {}}]}
        assert proxy.v2("POST", f"/topics/{topic}", body, fmt).status == 422


@pytest.mark.parametrize("fmt", ["binary", "json", "avro", "jsonschema", "protobuf", "string"])
def test_null_and_empty_values_are_kept_apart(proxy: Proxy, stack: Stack, fmt: str) -> None:
    """A JSON null is a tombstone in every format; zero, false, "" and {} are not."""
    topic = stack.create_topic()
    schemas = {
        "avro": ('["int","boolean","string"]', [{"int": 0}, {"boolean": False}, {"string": ""}]),
        "jsonschema": ('{"properties":{}}', [0, False, "", {}]),
        "protobuf": ('syntax = "proto3"; message M { int32 a = 1; }', [{}, {"a": 0}]),
    }
    plain: dict[str, list[Any]] = {"binary": [""], "json": [0, False, "", {}], "string": [""]}
    text, values = schemas.get(fmt, ("", plain.get(fmt, [])))
    body: dict[str, Any] = {"records": [*({"value": value} for value in values), {"value": None}]}
    if text:
        body["value_schema"] = text
    made = proxy.v2("POST", f"/topics/{topic}", body, fmt)
    assert made.status == 200, made
    raw = assigned(proxy, topic)
    found = [record["value"] for record in proxy.read_all(raw, len(values) + 1, "binary")]
    assert found[-1] is None
    assert None not in found[:-1]
    own = assigned(proxy, topic, format=fmt)
    assert proxy.read_all(own, len(values) + 1, fmt)[-1]["value"] is None


def test_headers_and_timestamps_travel_both_ways(proxy: Proxy, topic: str) -> None:
    headers = [{"name": "h", "value": "YQ=="}, {"name": "n", "value": None}]
    record = {"value": 1, "headers": headers, "timestamp": "2001-01-01T00:00:00Z"}
    refused = proxy.v2("POST", f"/topics/{topic}", {"records": [record]}, "json")
    assert error(refused) == (422, 422)
    path = f"/topics/{topic}?include=headers,timestamp"
    assert proxy.v2("POST", path, {"records": [record, {"value": 2}]}, "json").status == 200
    asking = assigned(proxy, topic, format="json")
    first, second = proxy.read_all(asking, 2, "json", "?include=headers,timestamp")
    assert (first["headers"], first["timestamp"]) == (headers, 978307200000)
    assert second["headers"] == []
    assert second["timestamp"] > first["timestamp"]
    always = assigned(proxy, topic, format="json", include="headers")
    assert set(proxy.read_all(always, 2, "json")[0]) == {
        *("topic", "key", "value", "partition", "offset", "headers")
    }
    plain = assigned(proxy, topic, format="json")
    assert "headers" not in proxy.read_all(plain, 2, "json")[0]
    assert error(proxy.v2("GET", f"{plain}/records?include=x", fmt="json")) == (422, 422)
