"""What we do where we do not follow the reference: a test for each row of docs/compatibility.md."""

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import Proxy, Reply, Stack, free_port

V1 = "application/vnd.kafka.v1+json"
BINARY = "application/vnd.kafka.binary.v1+json"
JSON = "application/vnd.kafka.json.v1+json"
AVRO = "application/vnd.kafka.avro.v1+json"


def error(reply: Reply) -> tuple[int, int]:
    """Status and error code of an answer in the documented error shape."""
    assert set(reply.json) == {"error_code", "message"}, reply
    assert reply.json["message"]
    return reply.status, reply.json["error_code"]


def post(proxy: Proxy, path: str, body: Any, content_type: str = BINARY) -> Reply:
    return proxy.request("POST", path, body, {"Content-Type": content_type})


@pytest.fixture
def topic(stack: Stack) -> str:
    return stack.create_topic()


@pytest.fixture(scope="module")
def patient(stack: Stack) -> Iterator[Proxy]:
    """A proxy whose reads may take five seconds, so that an early answer shows."""
    settings = {
        "consumer.request.timeout.ms": "5000",
        "server.trusted.proxies": "127.0.0.1",
        "auto.commit.enable": "true",
    }
    with Proxy(stack, settings, workers=1) as running:
        yield running


def test_read_answers_as_soon_as_there_is_data(patient: Proxy, topic: str) -> None:  # row 1
    consumer = patient.create_consumer()
    patient.produce(topic, [{"value": "YQ=="}])
    assert len(patient.get(f"{consumer}/topics/{topic}").json) == 1
    patient.produce(topic, [{"value": "Yg=="}])
    started = time.monotonic()
    assert [r["offset"] for r in patient.get(f"{consumer}/topics/{topic}").json] == [1]
    assert time.monotonic() - started < 4


def test_record_above_max_bytes_is_returned_alone(proxy: Proxy, stack: Stack) -> None:  # row 2
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"x" * 5000), (0, None, b"y")])
    consumer = proxy.create_consumer()
    for offset in (0, 1):
        found = proxy.get(f"{consumer}/topics/{topic}?max_bytes=10").json
        assert [r["offset"] for r in found] == [offset]


def test_records_that_were_not_returned_are_not_committed(proxy: Proxy, stack: Stack) -> None:
    """Row 3."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"x" * 600) for _ in range(3)])
    group = f"g{uuid.uuid4().hex[:8]}"
    consumer = proxy.create_consumer(group)
    assert len(proxy.get(f"{consumer}/topics/{topic}?max_bytes=1000").json) == 1
    committed = proxy.request("POST", f"{consumer}/offsets")
    assert committed.json == [{"topic": topic, "partition": 0, "consumed": 0, "committed": 0}]
    assert proxy.request("DELETE", consumer).status == 204
    second = proxy.create_consumer(group)
    assert [r["offset"] for r in proxy.get(f"{second}/topics/{topic}").json] == [1, 2]


def test_first_read_of_a_consumer_waits_for_its_partitions(proxy: Proxy, stack: Stack) -> None:
    """Row 4."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    for _ in range(3):
        consumer = proxy.create_consumer()
        assert len(proxy.get(f"{consumer}/topics/{topic}").json) == 1


def test_undecodable_record_ends_a_read_and_stays(proxy: Proxy, stack: Stack) -> None:  # row 5
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"1"), (0, None, b"{nope"), (0, None, b"2")])
    consumer = proxy.create_consumer(format="json")
    path = f"{consumer}/topics/{topic}"
    assert [r["value"] for r in proxy.get(path, JSON).json] == [1]
    for _ in range(2):
        reply = proxy.get(path, JSON)
        assert error(reply) == (500, 50002)
        assert f"topic {topic}, partition 0, offset 1" in reply.json["message"]
    assert proxy.request("POST", f"{consumer}/offsets").json[0]["committed"] == 0
    messages = f"/topics/{topic}/partitions/0/messages?count=10"
    assert [r["value"] for r in proxy.get(messages, JSON).json] == [1]
    assert error(proxy.get(f"{messages}&offset=1", JSON)) == (500, 50002)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"foo",
        b'{"records":[{"value":"YQ=="}]',
        b'{"records":[{"value":"YQ=="}]} x',
        b'{"records":[{"value":NaN}]}',
        b"/*c*/{}",
        b'{"records":[{"value":"\xff"}]}',
        '{"records":[{"value":"YQ=="}]}'.encode("utf-16"),
        gzip.compress(b'{"records":[{"value":"YQ=="}]}'),
        b'{"records":[{"value":' + b"[" * 20_000 + b"]" * 20_000 + b"}]}",
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("content_type", [BINARY, JSON, AVRO])
def test_malformed_json_is_400(proxy: Proxy, topic: str, body: bytes, content_type: str) -> None:
    """Rows 6 and 27."""
    assert error(post(proxy, f"/topics/{topic}", body, content_type)) == (400, 400)


def test_byte_order_mark_is_skipped(proxy: Proxy, topic: str) -> None:  # row 27
    body = b"\xef\xbb\xbf" + b'{"records":[{"value":"YQ=="}]}'
    assert post(proxy, f"/topics/{topic}", body).status == 200


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (None, "object"),
        ([], "object"),
        ("x", "object"),
        ({"records": "x"}, "records"),
        ({"records": [1]}, "records[0]"),
        ({"records": [{"value": "YQ=="}, None]}, "records[1]"),
        ({"records": [{"value": "YQ==", "nope": 1}]}, "nope"),
        ({"records": [{"partition": "abc"}]}, "records[0].partition"),
        ({"records": [{"partition": 1.5}]}, "records[0].partition"),
        ({"records": [{}], "value_schema": {}}, "value_schema"),
        ({"records": [{}], "key_schema": ["x"]}, "key_schema"),
        ({"records": [{}], "value_schema_id": "abc"}, "value_schema_id"),
        ({"records": [{}], "value_schema_id": 99999999999}, "value_schema_id"),
        ({"records": [{"value": {"a": 1}}]}, "records[0].value"),
    ],
)
def test_wrong_shape_is_422_and_nothing_is_sent(
    proxy: Proxy, topic: str, body: Any, place: str
) -> None:
    """Row 7."""
    reply = post(proxy, f"/topics/{topic}", json.dumps(body).encode())
    assert error(reply) == (422, 422)
    assert place in reply.json["message"]
    assert proxy.get(f"/topics/{topic}/partitions/0/messages").json == []


@pytest.mark.parametrize("body", [{"a": {"b": 1}}, ["x"], "x", 1])
def test_wrong_shape_for_the_root_is_422(proxy: Proxy, body: Any) -> None:  # row 7
    assert error(post(proxy, "/", body, V1)) == (422, 422)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nope": 1}, (422, 422)),
        ({"name": {}}, (422, 422)),
        ({"name": ["x"]}, (422, 422)),
        ([], (422, 422)),
        ({"auto.commit.enable": "yes"}, (422, 42204)),
        ({"auto.commit.enable": ""}, (422, 42204)),
        ({"auto.offset.reset": "earliest"}, (422, 42204)),
    ],
)
def test_wrong_consumer_options_are_422(proxy: Proxy, body: Any, expected: tuple[int, int]) -> None:
    """Rows 7 and 37."""
    assert error(post(proxy, "/consumers/g", body, V1)) == expected


def test_schema_id_wins_over_schema(proxy: Proxy, topic: str) -> None:  # row 8
    first = proxy.produce(topic, [{"value": 1}], "avro", value_schema='"int"').json
    second = proxy.produce(
        topic,
        [{"value": 2}],
        "avro",
        value_schema="no schema at all",
        value_schema_id=first["value_schema_id"],
    )
    assert second.json["value_schema_id"] == first["value_schema_id"]


def test_topic_that_cannot_be_is_404_at_once(proxy: Proxy) -> None:  # rows 9 and 24
    for path in ("/topics/a%20b", "/topics/%C3%BC", "/topics/a%00b", "/topics/a%2Fb"):
        reply = post(proxy, path, {"records": [{"value": "YQ=="}]})
        assert error(reply) == (404, 40401), path
        assert error(proxy.get(path)) == (404, 40401), path
    assert error(proxy.get("/topics/%FF")) == (400, 400)


def test_server_decides_whether_a_consumer_commits_that_does_not_say(
    patient: Proxy, stack: Stack
) -> None:
    """Row 13: the file of this proxy says auto.commit.enable=true."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    group = f"g{uuid.uuid4().hex[:8]}"
    consumer = patient.create_consumer(group)
    assert len(patient.get(f"{consumer}/topics/{topic}").json) == 1
    patient.request("DELETE", consumer)
    stack.produce(topic, [(0, None, b"b")])
    second = patient.create_consumer(group)
    assert [r["offset"] for r in patient.get(f"{second}/topics/{topic}").json] == [1]


@pytest.mark.parametrize(
    "text", ["aGVsbG8==", "YQ", "YQ=", "=", "Y Q==", "YQ==\n", "-_-_", "YQ==YQ==", "ü", "YWJj="]
)
def test_base64_is_strict(proxy: Proxy, topic: str, text: str) -> None:  # row 16
    for side in ("key", "value"):
        reply = post(proxy, f"/topics/{topic}", {"records": [{side: text}]})
        assert error(reply) == (422, 422)
        expected = f"Record {side} contains invalid base64 encoding"
        assert reply.json["message"].startswith(expected)


def test_number_text_is_kept(proxy: Proxy, topic: str) -> None:  # row 17
    texts = ["1.10", "1e400", "123456789012345678901234567890", "-0.0", "1E-5", '{"a":1.0}']
    records = ",".join(f'{{"value": {text} }}' for text in texts)
    body = f'{{"records":[{records}]}}'
    assert post(proxy, f"/topics/{topic}", body.encode(), JSON).status == 200
    stored = proxy.get(f"/topics/{topic}/partitions/0/messages?count=10", BINARY).json
    assert [base64.b64decode(r["value"]).decode() for r in stored] == texts


def test_forwarded_headers_of_trusted_peers_make_the_base_uri(patient: Proxy, proxy: Proxy) -> None:
    """Row 19."""
    headers = {
        "Content-Type": V1,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "api.example",
        "X-Forwarded-Prefix": "/kafka/",
    }
    trusted = patient.request("POST", "/consumers/g19", {"name": "i19"}, headers)
    assert trusted.json["base_uri"] == "https://api.example/kafka/consumers/g19/instances/i19"
    other = proxy.request("POST", "/consumers/g19", {"name": "i19"}, headers)
    assert other.json["base_uri"] == f"{proxy.url}/consumers/g19/instances/i19"


def test_schema_registry_failure_names_its_cause(stack: Stack, topic: str, proxy: Proxy) -> None:
    """Row 21."""
    unknown = proxy.produce(topic, [{"value": 1}], "avro", value_schema_id=987654321)
    assert error(unknown) == (408, 40801)
    assert "lookup of id 987654321" in unknown.json["message"]
    dead = {"schema.registry.url": f"http://user:hunter2@127.0.0.1:{free_port()}"}
    with Proxy(stack, dead, workers=1) as lonely:
        reply = lonely.produce(topic, [{"value": 1}], "avro", value_schema='"int"')
        assert error(reply) == (408, 40801)
        assert "registration under subject" in reply.json["message"]
        assert "no connection" in reply.json["message"]
        assert "hunter2" not in reply.json["message"] + lonely.log()


def test_settings_without_effect_are_named_once(stack: Stack) -> None:  # row 22
    settings = {
        "zookeeper.connect": "localhost:2181",
        "ssl.protocol": "TLSv1.2",
        "client.sasl.jaas.config": "x.PlainLoginModule required username=u password=hunter2;",
    }
    with Proxy(stack, settings, workers=2) as running:
        assert running.get("/topics").status == 200
        log = running.log()
    assert log.count("zookeeper.connect is set") == 1
    assert log.count("ssl.protocol is set") == 1
    assert "hunter2" not in log


def test_negative_partition_is_422_and_nothing_is_sent(proxy: Proxy, topic: str) -> None:  # row 23
    body = {"records": [{"value": "YQ=="}, {"value": "Yg==", "partition": -1}]}
    reply = post(proxy, f"/topics/{topic}", body)
    assert error(reply) == (422, 422)
    assert "records[1].partition" in reply.json["message"]
    assert proxy.get(f"/topics/{topic}/partitions/0/messages").json == []


def test_record_for_a_missing_partition_fails_alone(proxy: Proxy, topic: str) -> None:  # row 23
    records = [{"value": "YQ=="}, {"value": "Yg==", "partition": 7}, {"value": "Yw=="}]
    offsets = post(proxy, f"/topics/{topic}", {"records": records}).json["offsets"]
    assert [o["error_code"] for o in offsets] == [None, 40402, None]
    assert [o["offset"] for o in offsets] == [0, None, 1]


def test_broken_escape_is_taken_literally(proxy: Proxy) -> None:  # row 25
    assert error(proxy.get("/topics/%zz")) == (404, 40401)
    assert error(proxy.get("/topics/a%")) == (404, 40401)


def test_blank_partition_and_parameters_in_a_path_are_404(proxy: Proxy, topic: str) -> None:
    """Row 26."""
    assert error(proxy.get(f"/topics/{topic}/partitions/%20")) == (404, 404)
    assert error(proxy.get(f"/topics/{topic};a=b")) == (404, 40401)


@pytest.mark.parametrize(
    "accept", ["application/", "/json", "application/json;q=x", ";", "a/b/c", ","]
)
def test_broken_accept_is_406_in_json(proxy: Proxy, accept: str) -> None:  # row 28
    assert error(proxy.get("/brokers", accept)) == (406, 406)


def test_media_types_are_compared_without_case_and_never_echoed(proxy: Proxy) -> None:  # row 28
    assert proxy.get("/brokers", "APPLICATION/VND.KAFKA.V1+JSON; a=b").type == V1
    assert error(proxy.get("/brokers", f"{V1};q=0")) == (406, 406)
    reply = proxy.request("GET", "/topics", headers={"Content-Type": "foo"})
    assert error(reply) == (415, 415)


def test_head_error_has_the_type_of_get(proxy: Proxy) -> None:  # row 29
    reply = proxy.request("HEAD", "/topics/none")
    assert (reply.status, reply.type, reply.body) == (404, V1, b"")


def test_options_answers_allow_and_no_body(proxy: Proxy) -> None:  # row 29
    reply = proxy.request("OPTIONS", "/topics")
    assert (reply.status, reply.body) == (200, b"")
    assert sorted(reply.headers["allow"].split(",")) == ["GET", "HEAD", "OPTIONS"]
    assert error(proxy.get("/application.wadl")) == (404, 404)


def test_instance_name_with_a_slash_is_422(proxy: Proxy) -> None:  # row 30
    assert error(post(proxy, "/consumers/g", {"name": "a/b"}, V1)) == (422, 422)


@pytest.mark.parametrize(
    ("schema", "sent", "read"),
    [
        ('"bytes"', "\x00ÿ", "\x00ÿ"),
        ('{"type":"map","values":"int"}', {"a": 1}, {"a": 1}),
        ('["null","int","string"]', {"string": "x"}, "x"),
        ('{"type":"record","name":"E","fields":[]}', {}, {}),
        ('{"type":"map","values":"string"}', {"k": "v"}, {"k": "v"}),
    ],
)
def test_any_avro_type_at_the_top_is_written_and_read(
    proxy: Proxy, topic: str, schema: str, sent: Any, read: Any
) -> None:
    """Row 31."""
    for _ in range(2):
        reply = proxy.produce(topic, [{"value": sent}], "avro", value_schema=schema)
        assert reply.json["offsets"][0]["error_code"] is None
    found = proxy.get(f"/topics/{topic}/partitions/0/messages?count=2", AVRO).json
    assert [r["value"] for r in found] == [read, read]


@pytest.mark.parametrize(
    "schema",
    [
        "",
        " ",
        '["int","int"]',
        '[["int"],"string"]',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
    ],
)
def test_schema_mistakes_are_42205(proxy: Proxy, topic: str, schema: str) -> None:  # row 32
    reply = proxy.produce(topic, [{"value": 1}], "avro", value_schema=schema)
    assert error(reply) == (422, 42205)


def test_schema_is_registered_for_each_subject(proxy: Proxy, stack: Stack) -> None:  # row 33
    topics = [stack.create_topic() for _ in range(3)]
    for topic in topics:
        assert proxy.produce(topic, [{"value": 1}], "avro", value_schema='"int"').status == 200
    refused = proxy.produce(topics[2], [{"value": "x"}], "avro", value_schema='"string"')
    assert error(refused) == (408, 40801)
    assert "409" in refused.json["message"]


def test_lossy_avro_values_are_refused_with_their_path(proxy: Proxy, topic: str) -> None:  # row 34
    inner = {"type": "record", "name": "I", "fields": [{"name": "n", "type": "int"}]}
    fields = [
        {"name": "list", "type": {"type": "array", "items": inner}},
        {"name": "u", "type": ["null", "int"]},
    ]
    schema = json.dumps({"type": "record", "name": "O", "fields": fields})

    def refusal(value: Any) -> str:
        reply = proxy.produce(topic, [{"value": value}], "avro", value_schema=schema)
        assert error(reply) == (422, 42203)
        return str(reply.json["message"])

    assert "list[1].n: " in refusal({"list": [{"n": 1}, {"n": 1.5}], "u": None})
    assert "list[0].x: " in refusal({"list": [{"n": 1, "x": 2}], "u": None})
    assert "u: " in refusal({"list": [], "u": {"int": 1, "null": None}})
    fine = {"list": [{"n": 1}], "u": {"int": 2}, "unknown": "ignored"}
    assert proxy.produce(topic, [{"value": fine}], "avro", value_schema=schema).status == 200


def test_paths_of_no_version_are_404(proxy: Proxy) -> None:
    assert error(proxy.get("/nope")) == (404, 404)
    assert error(proxy.get("//topics")) == (404, 404)


@pytest.mark.parametrize("partition", ["0", 0.0])
def test_numbers_may_be_written_as_text(proxy: Proxy, topic: str, partition: Any) -> None:
    """Row 36."""
    body = {"records": [{"value": "YQ==", "partition": partition}]}
    assert post(proxy, f"/topics/{topic}", body).json["offsets"][0]["partition"] == 0
    assert post(proxy, "/consumers/g36", {"auto.commit.enable": True}, V1).status == 200


def test_offset_outside_the_log_says_what_it_holds(proxy: Proxy, stack: Stack) -> None:  # row 37
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    for offset in (-1, 2, 99):
        reply = proxy.get(f"/topics/{topic}/partitions/0/messages?offset={offset}")
        assert error(reply) == (500, 50002)
        assert "0 to 1" in reply.json["message"]
