"""Lines, ids and trace context of a running server: both ways of a request, both workers."""

import base64
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.wire.client import Answer, Client
from tests.stack import Proxy, Stack, wait_for

MINTED = re.compile("[0-9a-f]{32}")
V2 = "application/vnd.kafka.v2+json"
JSON_V1, JSON_V2 = "application/vnd.kafka.json.v1+json", "application/vnd.kafka.json.v2+json"
REPEATS = 3
SECRET = "hunter2"


@pytest.fixture(scope="module")
def logging_json(stack: Stack) -> Iterator[Proxy]:
    """Two workers that log each request as JSON, and carry trace context."""
    settings = {
        "server.access.log": "true",
        "server.log.format": "json",
        "produce.trace.headers": "true",
    }
    with Proxy(stack, settings) as running:
        yield running


@pytest.fixture(scope="module")
def silent(stack: Stack) -> Iterator[Proxy]:
    """Two workers that log no request."""
    with Proxy(stack) as running:
        yield running


def lines(server: Proxy, name: str) -> list[dict[str, Any]]:
    """The lines of the request with an id, once there is one."""

    def found() -> list[dict[str, Any]]:
        said = [json.loads(line) for line in server.log().splitlines()]
        return [line for line in said if line.get("request_id") == name]

    result: list[dict[str, Any]] = wait_for(found)
    return result


def name_of(answer: Answer) -> str | None:
    """The request id of an answer."""
    found = re.findall(rb"\r\nX-Request-ID: ([^\r]*)(?=\r\n)", answer.head)
    assert len(found) < 2, answer
    return found[0].decode() if found else None


def produce(topic: str, media_type: str = JSON_V2, *more: str, body: bytes = b"") -> bytes:
    """A produce request."""
    body = body or b'{"records":[{"value":1}]}'
    head = [f"POST {topic} HTTP/1.1", "Host: kafka", f"Content-Type: {media_type}", *more]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def fresh() -> str:
    return uuid.uuid4().hex[:12]


def test_every_request_is_one_line_with_its_own_id(logging_json: Proxy, stack: Stack) -> None:
    path, named = f"/topics/{stack.create_topic()}", [fresh() for _ in range(REPEATS * 2)]
    with Client(logging_json.port) as client:
        answers = [client.ask(produce(path, JSON_V2, f"X-Request-ID: {n}")) for n in named]
    assert [(name_of(answer), answer.status) for answer in answers] == [(n, 200) for n in named]
    for name in named:
        (line,) = lines(logging_json, name)
        assert line["uri"] == path
        assert (line["method"], line["status"], line["endpoint"]) == (
            "POST",
            200,
            "api.v2.produce-to-topic.json",
        )
        assert line["client"] == "127.0.0.1"
        assert line["duration_ms"] >= 0


def test_minted_id_is_that_of_the_line(logging_json: Proxy, stack: Stack) -> None:
    path = f"/topics/{stack.create_topic()}"
    with Client(logging_json.port) as client:
        found = [name_of(client.ask(produce(path))) for _ in range(REPEATS * 2)]
    assert len(set(found)) == len(found)
    for name in found:
        assert name
        assert MINTED.fullmatch(name)
        assert len(lines(logging_json, name)) == 1


def test_without_a_log_only_errors_get_an_id(silent: Proxy, stack: Stack) -> None:
    path = f"/topics/{stack.create_topic()}"
    with Client(silent.port) as client:
        for _ in range(REPEATS):
            assert name_of(client.ask(produce(path))) is None
            refused = client.ask(produce(path, body=b"{"))
            assert refused.status == 400
            assert MINTED.fullmatch(name_of(refused) or "")
            assert name_of(client.ask(b"GET /topics HTTP/1.1\r\nHost: kafka\r\n\r\n")) is None
        broken = client.ask(b"GET / HTTP/1.1\r\nHost: kafka\r\nContent-Length: x\r\n\r\n")
    assert broken.status == 400
    assert MINTED.fullmatch(name_of(broken) or "")


def test_whole_life_of_a_consumer_has_one_id_on_all_workers(logging_json: Proxy) -> None:
    group, name = f"g{fresh()}", fresh()
    own = {"X-Request-ID": name, "Content-Type": V2, "Accept": V2}
    made = logging_json.request("POST", f"/consumers/{group}", {"format": "json"}, own)
    assert made.headers["x-request-id"] == name
    instance = made.json["instance_id"]
    path = f"/consumers/{group}/instances/{instance}"
    for number in range(4 * REPEATS):
        # Each on a connection of its own: some reach the owner, some are relayed to it.
        single = f"{name}-{number}"
        found = logging_json.request(
            "GET", f"{path}/subscription", None, own | {"X-Request-ID": single}
        )
        assert (found.status, found.headers["x-request-id"]) == (200, single)
        both = lines(logging_json, single)
        assert {line["group"] for line in both} == {group}
        assert {line["instance"] for line in both} == {instance}
    unnamed = logging_json.request("GET", f"{path}/nothing", None, {"Accept": V2})
    assert unnamed.status == 404
    both = lines(logging_json, unnamed.headers["x-request-id"])
    assert {line["error_code"] for line in both} == {404}
    assert logging_json.request("DELETE", path, None, own).status == 204


def test_read_that_takes_its_connection_along_keeps_its_id(silent: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    consumer = silent.create_v2(format="json")
    assert silent.v2("POST", f"{consumer}/subscription", {"topics": [topic]}).status == 204
    read = f"GET {consumer}/records?timeout=100 HTTP/1.1\r\nHost: kafka\r\nAccept: {JSON_V2}\r\n"
    for number in range(4 * REPEATS):
        with Client(silent.port) as client:
            answer = client.ask(f"{read}X-Request-ID: r{number}\r\n\r\n".encode())
            assert (answer.status, name_of(answer)) == (200, f"r{number}")
            assert name_of(client.ask(f"{read}\r\n".encode())) is None
    assert silent.v2("DELETE", consumer).status == 204


def test_relayed_error_has_one_id(silent: Proxy) -> None:
    for number in range(4 * REPEATS):
        path = f"/consumers/g/instances/i{number}"
        with Client(silent.port) as client:
            head = f"DELETE {path} HTTP/1.1\r\nHost: kafka\r\nAccept: {V2}\r\n"
            lost = client.ask(f"{head}\r\n".encode())
            assert lost.status == 404
            assert MINTED.fullmatch(name_of(lost) or "")
            assert (
                name_of(client.ask(f"{head}X-Request-ID: d{number}\r\n\r\n".encode()))
                == f"d{number}"
            )


def test_no_request_forges_a_line_or_leaks_a_secret(logging_json: Proxy) -> None:
    name = fresh()
    head = (
        f"GET /consumers/a%sb?access_token={SECRET} HTTP/1.1\r\n"
        f"Host: kafka\r\nAuthorization: Bearer {SECRET}%s\r\nX-Request-ID: {name}\r\n\r\n"
    )
    for odd in [("", ""), ("\x0b\x85\x1b[2J", ""), ("", "\x1b"), (f" {SECRET} ", "")]:
        with Client(logging_json.port) as client:
            assert client.ask((head % odd).encode("latin-1")).status in (400, 405)
    assert lines(logging_json, name)
    said = logging_json.log()
    assert SECRET not in said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said)
    assert all("level" in json.loads(line) for line in said.splitlines())


def test_all_lines_of_all_who_log_are_json(stack: Stack) -> None:
    nowhere = Stack("127.0.0.1:1", stack.registry)
    settings = {"server.log.format": "json", "metadata.timeout.ms": "300"}
    with Proxy(nowhere, settings, workers=1) as server:
        failed = server.get("/topics", V2)
        assert failed.status == 500
        name = failed.headers["x-request-id"]
        said = wait_for(
            lambda: (
                (found := [json.loads(line) for line in server.log().splitlines()])
                and {"librdkafka", "gunicorn.error"} <= {line["logger"] for line in found}
                and found
            )
        )
        assert [line for line in said if f"request_id={name}" in line["message"]]


def test_text_is_the_default(stack: Stack) -> None:
    with Proxy(stack, {"server.access.log": "true"}, workers=1) as server:
        name = server.get("/consumers/g/instances/i").headers["x-request-id"]
        line = wait_for(lambda: [x for x in server.log().splitlines() if name in x])[0]
    end = rf'"GET /consumers/g/instances/i HTTP/1\.1" 405 \d+  \d+ request_id={name}'
    assert re.search(
        rf" INFO 127\.0\.0\.1 - - \[.*\] {end} error_code=405 group=g instance=i \(", line
    )


# -- trace context
# ------------------------------------------------------------------------------------------


def read_headers(server: Proxy, topic: str, count: int) -> list[dict[str, str]]:
    """The headers of the records of a topic's only partition, in order."""
    consumer = server.create_v2(format="json", include="headers")
    partitions = {"partitions": [{"topic": topic, "partition": 0}]}
    assert server.v2("POST", f"{consumer}/assignments", partitions).status == 204
    assert server.v2("POST", f"{consumer}/positions/beginning", partitions).status == 204
    found = server.read_all(consumer, count, "json")
    assert server.v2("DELETE", consumer).status == 204
    return [
        {header["name"]: base64.b64decode(header["value"]).decode() for header in record["headers"]}
        for record in found
    ]


def trace(number: int) -> str:
    """A traceparent like no other's."""
    return f"00-{number + 1:032x}-b7ad6b7169203331-01"


@pytest.mark.parametrize("place", ["", "/partitions/0"])
@pytest.mark.parametrize("media_type", [JSON_V1, JSON_V2])
def test_records_get_the_trace_of_their_own_request(
    logging_json: Proxy, stack: Stack, media_type: str, place: str
) -> None:
    topic = stack.create_topic()
    path, expected = f"/topics/{topic}{place}", list[dict[str, str]]()
    with Client(logging_json.port) as client:
        for number in range(4 * REPEATS):
            # Of three, one has a trace, one has a state too, one has none that is valid.
            lines = (
                [f"traceparent: {trace(number)}"] if number % 3 < 2 else ["traceparent: 00-1-2-01"]
            )
            lines += [f"tracestate: a={number}, b=2"] * (number % 3 > 0)
            answer = client.ask(produce(path, media_type, *lines))
            assert answer.status == 200, answer
            assert answer.places == [(0, number)]
            expected.append({})
            if number % 3 < 2:
                expected[-1]["traceparent"] = trace(number)
            if number % 3 == 1:
                expected[-1]["tracestate"] = f"a={number}, b=2"
    assert read_headers(logging_json, topic, len(expected)) == expected


def test_header_of_a_record_is_not_overridden(logging_json: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    own = {"name": "traceparent", "value": base64.b64encode(b"mine").decode()}
    other = {"name": "a", "value": base64.b64encode(b"b").decode()}
    records = [{"value": 1, "headers": [own]}, {"value": 2, "headers": [other]}, {"value": 3}]
    body = json.dumps({"records": records}).encode()
    path, line = f"/topics/{topic}?include=headers", f"traceparent: {trace(0)}"
    with Client(logging_json.port) as client:
        for _ in range(REPEATS):
            assert client.ask(produce(path, JSON_V2, line, body=body)).status == 200
    carried = {"traceparent": trace(0)}
    expected = [{"traceparent": "mine"}, {"a": "b"} | carried, carried]
    assert read_headers(logging_json, topic, 3 * REPEATS) == expected * REPEATS


def test_trace_is_carried_only_when_asked_for(silent: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    with Client(silent.port) as client:
        for number in range(REPEATS):
            line = f"traceparent: {trace(number)}"
            assert client.ask(produce(f"/topics/{topic}", JSON_V2, line)).status == 200
    assert read_headers(silent, topic, REPEATS) == [{}] * REPEATS
