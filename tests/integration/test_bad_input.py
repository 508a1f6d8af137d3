"""Bad input, listed and generated: a clear 4xx in the error shape, never a 500."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stack import Proxy, Reply, Stack

V1 = "application/vnd.kafka.v1+json"
TYPES = [
    V1,
    "application/vnd.kafka+json",
    "application/json",
    "application/octet-stream",
    "application/vnd.kafka.binary.v1+json",
    "application/vnd.kafka.json.v1+json",
    "application/vnd.kafka.avro.v1+json",
    "application/vnd.kafka.v2+json",
    *(
        f"application/vnd.kafka.{name}.v2+json"
        for name in ("binary", "json", "avro", "jsonschema", "protobuf", "string")
    ),
]
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def small(stack: Stack) -> Iterator[Proxy]:
    """A proxy with low limits."""
    limits = {
        "request.max.bytes": str(MOST_BYTES),
        "consumer.instances.max": "5",
        "consumer.request.timeout.ms": "300",
        "consumer.long.polls.max": "2",
        "metadata.timeout.ms": "500",
    }
    with Proxy(stack, limits, workers=1, threads=8) as running:
        yield running


@pytest.fixture(scope="module")
def topic(stack: Stack) -> str:
    made = stack.create_topic()
    stack.produce(made, [(0, b"k", b"1")])
    return made


def raw(proxy: Proxy, data: bytes) -> bytes:
    """Send bytes as they are; what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/topics/{t}", b'{"records":[{"value":"' + b"A" * MOST_BYTES + b'"}]}'),
        ("/topics/{t}/partitions/0", b" " * (MOST_BYTES + 1)),
        ("/consumers/g", b'{"name":"' + b"a" * MOST_BYTES + b'"}'),
        ("/", b" " * (MOST_BYTES + 1)),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_body_above_the_limit_is_413(
    small: Proxy, topic: str, path: str, body: bytes, chunked: bool
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", small.port, timeout=10)
    sent: Any = iter([body[:1000], body[1000:]]) if chunked else body
    connection.request("POST", path.format(t=topic), sent, {"Content-Type": V1})
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error_code"] == 413
    connection.close()
    assert small.get("/").status == 200


def test_instance_too_many_is_429(small: Proxy) -> None:
    made = [small.create_consumer("g-many") for _ in range(5)]
    refused = small.request("POST", "/consumers/g-many", {}, {"Content-Type": V1})
    assert (refused.status, refused.json["error_code"]) == (429, 429)
    assert refused.headers["retry-after"] == "1"
    for path in made:
        assert small.request("DELETE", path).status == 204


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
    ],
)
def test_request_that_cannot_be_parsed_is_told_in_json(
    small: Proxy, data: bytes, status: int
) -> None:
    head, _, body = raw(small, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert json.loads(body)["error_code"] == status


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 70\r\n\r\n",
        b'Content-Length: 70\r\n\r\n{"format":"json"}',
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\na",
    ],
)
def test_body_that_is_cut_off_has_no_effect(
    small: Proxy, stack: Stack, topic: str, body: bytes
) -> None:
    """An empty body means something in most places; one that never came means nothing."""
    consumer = small.create_v2(format="json")
    small.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
    while not small.v2("GET", f"{consumer}/records", fmt="json").json:
        pass
    path = consumer.partition("/consumers/")[2]
    for target in (f"{path}/offsets", path.partition("/")[0], f"{path}/subscription"):
        head = b"POST /consumers/%b HTTP/1.1\r\nHost: a\r\n" % target.encode()
        answer = raw(small, head + b"Content-Type: application/vnd.kafka.v2+json\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b'"error_code":400' in answer
    places = {"partitions": [{"topic": topic, "partition": 0}]}
    stored = small.v2("GET", f"{consumer}/offsets", places)
    assert [found["offset"] for found in stored.json["offsets"]] in ([], [-1])
    assert small.v2("DELETE", consumer).status == 204


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "FOO", "TRACE", "PROPFIND"])
def test_wrong_method_is_405_and_names_the_right_ones(small: Proxy, method: str) -> None:
    reply = small.request(method, "/topics")
    assert (reply.status, reply.json["error_code"]) == (405, 405)
    assert reply.headers["allow"] == "GET,HEAD,OPTIONS"


SEGMENT = st.one_of(
    st.sampled_from(
        [
            "topics",
            "consumers",
            "brokers",
            "partitions",
            "instances",
            "messages",
            "offsets",
            "0",
            "-1",
        ]
    ),
    st.sampled_from(
        ["%00", "%FF", "%2F", "%zz", "..", ".", "%20", "", "a;b", "1e9", "9" * 30, "{}"]
    ),
    st.text("abcXYZ0189._-%~", max_size=6),
)
KNOWN = st.sampled_from(
    [
        "/",
        "/brokers",
        "/topics",
        "/topics/{t}",
        "/topics/{t}/partitions",
        "/topics/{t}/partitions/0",
        "/topics/{t}/partitions/0/messages",
        "/topics/{t}/partitions/9",
        "/consumers/g",
        "/consumers/g/instances/none",
        "/consumers/g/instances/none/offsets",
        "/consumers/g/instances/none/topics/{t}",
        "/topics/{t}/partitions/0/offsets",
        "/consumers/g/instances/none/subscription",
        "/consumers/g/instances/none/records",
    ]
)
PATH = st.one_of(KNOWN, st.lists(SEGMENT, max_size=6).map(lambda parts: "/" + "/".join(parts)))
QUERY = st.one_of(
    st.just(""),
    st.sampled_from(
        ["?count=2", "?offset=0&count=-5", "?offset=x", "?max_bytes=1.5", "?%", "?=&&"]
    ),
    st.text("abcoffsetcount=&%+0123456789-", max_size=20).map(lambda text: f"?{text}"),
)
HEADER = st.one_of(
    st.none(),
    st.sampled_from(TYPES),
    st.sampled_from(
        ["*/*", "text/plain", ";", ",", "a/b;q=x", "application/*;q=0", "x" * 500, "é"]
    ),
    st.text(
        st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=20
    ),
)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
SCHEMA = st.sampled_from(
    [
        *('"int"', '"string"', '["null","int"]', "{", "", '{"type":"map","values":"int"}'),
        *('{"type":"object"}', '{"$ref":"#/nope"}', "true"),
        *('syntax = "proto3"; message M { int32 a = 1; }', 'syntax = "proto3"; message'),
    ]
)
RECORD = st.fixed_dictionaries(
    {}, optional={"key": VALUE, "value": VALUE, "partition": VALUE, "x": VALUE}
)
PRODUCE = st.fixed_dictionaries(
    {"records": st.lists(RECORD, max_size=3) | VALUE},
    optional={
        "key_schema": SCHEMA | VALUE,
        "value_schema": SCHEMA | VALUE,
        "key_schema_id": VALUE,
        "value_schema_id": VALUE,
    },
)
CONSUMER = st.dictionaries(
    st.sampled_from(["id", "format", "auto.offset.reset", "auto.commit.enable", "x"]),
    VALUE,
    max_size=3,
)
BODY = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.one_of(PRODUCE, CONSUMER, VALUE).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 50_000, b'{"records":[' + b"{}," * 100, "ü".encode("latin-1"), b"\0"]),
)
METHOD = st.sampled_from(["GET", "POST", "POST", "POST", "DELETE", "HEAD", "OPTIONS", "PUT"])


def send(
    proxy: Proxy, method: str, path: str, headers: dict[str, str], body: bytes | None
) -> Reply:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    return proxy.request(method, path, body, encoded, 20)  # type: ignore[arg-type]


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(METHOD, PATH, QUERY, HEADER, HEADER, BODY)
def test_whatever_is_sent_gets_an_answer_that_says_why(
    small: Proxy,
    topic: str,
    method: str,
    path: str,
    query: str,
    content_type: str | None,
    accept: str | None,
    body: bytes | None,
) -> None:
    headers = {"Content-Type": content_type, "Accept": accept}
    given_headers = {name: value for name, value in headers.items() if value is not None}
    path_query = path.replace("{t}", topic) + query
    reply = send(small, method, path_query, given_headers, body)
    if method == "HEAD" and reply.status >= 500:
        # It says nothing, but what it stands for does.
        reply = send(small, "GET", path_query, given_headers, body)
        assert reply.status >= 500, reply
    if reply.status < 400 or (method == "HEAD" and not reply.body):
        if reply.status == 200 and path == "/consumers/g" and method == "POST":
            assert small.request("DELETE", reply.json["base_uri"]).status in (204, 404)
        return
    assert reply.json["error_code"] // 100 in (reply.status, reply.status // 100), reply
    assert reply.json["message"]
    assert reply.json["error_code"] != 500, small.log()[-3000:]
    if reply.status >= 500:
        # An offset outside the log, or a stored record that is not of the format asked for.
        assert reply.json["error_code"] == 50002, reply


PLACE = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.just("{t}") | VALUE,
        "partition": st.integers(-1, 3) | VALUE,
        "offset": st.integers(-2, 5) | VALUE,
        "timestamp": st.sampled_from(["2020-01-01T00:00:00Z", 5, "x"]) | VALUE,
        "metadata": VALUE,
    },
)
CONSUMER_BODY = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("offsets", "timestamps", "partitions"), st.lists(PLACE, max_size=3) | VALUE
        ),
        "topics": st.lists(st.just("{t}") | VALUE, max_size=3) | VALUE,
        "topic_pattern": st.sampled_from(["(", ".*", "{t}", "[a-z"]) | VALUE,
    },
)
CALL = st.sampled_from(
    [
        *(("POST", path) for path in ("subscription", "assignments", "positions", "offsets")),
        *(("POST", f"positions/{end}") for end in ("beginning", "end")),
        *(("GET", path) for path in ("subscription", "assignments", "offsets")),
        ("GET", "records?timeout=1"),
        ("DELETE", "subscription"),
    ]
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(CALL, st.one_of(st.none(), CONSUMER_BODY, VALUE))
def test_nothing_sent_to_a_consumer_harms_it(
    small: Proxy, topic: str, call: tuple[str, str], body: Any
) -> None:
    consumer = "/consumers/live/instances/c"
    small.v2("POST", "/consumers/live", {"name": "c", "auto.offset.reset": "earliest"})
    method, path = call
    data = None if body is None else json.dumps(body).replace("{t}", topic).encode()
    reply = small.v2(method, f"{consumer}/{path}", data, "binary" if "records" in path else "")
    if reply.status >= 400:
        assert reply.json["message"]
        # Kafka may refuse a commit, or not answer for a topic that is not there.
        assert reply.status < 500 or reply.json["error_code"] in (50002, 50003), reply
    assert small.v2("DELETE", f"{consumer}/subscription").status == 204
    place = {"topic": topic, "partition": 0}
    assigned = small.v2("POST", f"{consumer}/assignments", {"partitions": [place]})
    assert assigned.status == 204, assigned


def test_server_is_unharmed_by_all_of_this(small: Proxy, topic: str) -> None:
    assert small.produce(topic, [{"value": "YQ=="}]).status == 200
    assert "Traceback" not in small.log()
