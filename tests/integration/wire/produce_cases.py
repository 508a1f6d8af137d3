"""Produce requests, well and badly formed, as rows of a table: what is sent, and the status.

`@topic@` stands for a topic of one partition, `@avro@` for one with schemas of that type, and so
on; `@avro id@` is the id of the schema. Statuses are told so that no row tests something else than
its name says.
"""

from collections.abc import Mapping
from typing import NamedTuple

V1, V2 = "application/vnd.kafka.v1+json", "application/vnd.kafka.v2+json"
JSON_V2 = "application/vnd.kafka.json.v2+json"
BINARY_V1 = "application/vnd.kafka.binary.v1+json"
MOST_BYTES = 20_000
"""The largest body that the proxy under test takes."""
RECORD = b'{"records":[{"value":1}]}'
HEADERS_INCLUDED = "?include=headers,timestamp"


class Case(NamedTuple):
    """A request and its status. `framing`: the lines that tell the body's length; None: one that
    is right."""

    status: int
    body: bytes = RECORD
    path: str = "/topics/@topic@"
    types: tuple[str, ...] = (f"Content-Type: {JSON_V2}", f"Accept: {V2}")
    headers: tuple[str, ...] = ()
    method: str = "POST"
    version: str = "1.1"
    framing: tuple[str, ...] | None = None

    def head(self, *more: str) -> bytes:
        """The head, with more header lines at its end."""
        lines = [f"{self.method} {self.path} HTTP/{self.version}", "Host: kafka", *self.types]
        framing = self.framing
        if framing is None:
            framing = (f"Content-Length: {len(self.body)}",)
        return "\r\n".join([*lines, *framing, *self.headers, *more, "", ""]).encode("latin-1")

    def filled(self, names: Mapping[str, str]) -> "Case":
        """The case with the names of what it is sent to."""
        path, body = self.path, self.body
        for name, value in names.items():
            path = path.replace(f"@{name}@", value)
            body = body.replace(f"@{name}@".encode(), value.encode())
        return self._replace(path=path, body=body)


def content(media_type: str, accept: str = V2) -> tuple[str, ...]:
    return f"Content-Type: {media_type}", f"Accept: {accept}"


def v1(fmt: str) -> tuple[str, ...]:
    return content(f"application/vnd.kafka.{fmt}.v1+json", V1)


def v2(fmt: str) -> tuple[str, ...]:
    return content(f"application/vnd.kafka.{fmt}.v2+json")


def chunks(body: bytes) -> bytes:
    """The body in two chunks."""
    parts = body[:5], body[5:]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = ("Transfer-Encoding: chunked",)
TYPES = {
    "v1 binary": (v1("binary"), "topic", b'"YQ=="', b""),
    "v1 json": (v1("json"), "topic", b'{"a":[1.50,null]}', b""),
    "v1 avro": (v1("avro"), "avro", b'{"a":1}', b'"value_schema_id":@avro id@,'),
    "v2 binary": (v2("binary"), "topic", b'"YQ=="', b""),
    "v2 json": (v2("json"), "topic", b'{"a":[1.50,null]}', b""),
    "v2 string": (v2("string"), "topic", b'"text"', b""),
    "v2 avro": (v2("avro"), "avro", b'{"a":1}', b'"value_schema_id":@avro id@,'),
    "v2 jsonschema": (v2("jsonschema"), "json", b'{"a":1}', b'"value_schema_id":@json id@,'),
    "v2 protobuf": (v2("protobuf"), "proto", b'{"a":1}', b'"value_schema_id":@proto id@,'),
}


def _in_each_type() -> dict[str, Case]:
    rows: dict[str, Case] = {}
    for name, (types, topic, value, schema) in TYPES.items():
        path = f"/topics/@{topic}@"

        def body(records: bytes, schema: bytes = schema) -> bytes:
            return b'{%b"records":[%b]}' % (schema, records)

        one = body(b'{"value":%b}' % value)
        rows[f"{name} to a topic"] = Case(200, one, path, types)
        rows[f"{name} to a partition"] = Case(200, one, f"{path}/partitions/0", types)
        three = b",".join([b'{"value":%b}' % value] * 3)
        rows[f"{name} three records"] = Case(200, body(three), path, types)
        rows[f"{name} null value"] = Case(
            422 if name == "v1 avro" else 200, body(b'{"value":null}'), path, types
        )
        rows[f"{name} null key"] = Case(200, body(b'{"key":null,"value":%b}' % value), path, types)
        rows[f"{name} wrong value"] = Case(
            200 if name.endswith(" json") else 422 if name.startswith("v1") else 400,
            body(b'{"value":{"a":"x"}}'),
            path,
            types,
        )
        rows[f"{name} key and value"] = Case(
            422 if schema else 200, body(b'{"key":%b,"value":%b}' % (value, value)), path, types
        )
    return rows


BODIES = {
    "no records": Case(422, b'{"records":[]}'),
    "no records, v1": Case(422, b'{"records":[]}', types=v1("binary")),
    "records missing": Case(422, b"{}"),
    "records null": Case(422, b'{"records":null}'),
    "records an object": Case(400, b'{"records":{}}'),
    "record a number": Case(400, b'{"records":[1]}'),
    "record null": Case(400, b'{"records":[null]}'),
    "record empty": Case(200, b'{"records":[{}]}'),
    "partition a text": Case(400, b'{"records":[{"partition":"x","value":1}]}'),
    "partition negative": Case(422, b'{"records":[{"partition":-1,"value":1}]}'),
    "partition not there": Case(200, b'{"records":[{"partition":99,"value":1}]}'),
    "one of two partitions not there": Case(
        200, b'{"records":[{"partition":0,"value":1},{"partition":99,"value":1}]}'
    ),
    "a list": Case(400, b"[]"),
    "null": Case(422, b"null"),
    "a number": Case(400, b"1"),
    "malformed": Case(400, b'{"records":['),
    "malformed at its end": Case(400, RECORD[:-1] + b"]"),
    "malformed, v1": Case(400, b'{"records":[', types=v1("binary")),
    "more after its end": Case(400, RECORD + b"x"),
    "empty": Case(422, b""),
    "spaces": Case(422, b"    "),
    "member unknown": Case(422, b'{"records":[{"value":1}],"more":1}'),
    "member of a record unknown": Case(422, b'{"records":[{"value":1,"more":1}]}'),
    "member of a record unknown, v1": Case(
        422, b'{"records":[{"value":"YQ==","more":1}]}', types=v1("binary")
    ),
    "BOM": Case(200, b"\xef\xbb\xbf" + RECORD),
    "UTF-16": Case(400, RECORD.decode().encode("utf-16")),
    "no UTF-8": Case(400, b'{"records":[{"value":"\xff\xfe"}]}'),
    "lone surrogate": Case(400, b'{"records":[{"value":"\\ud800"}]}'),
    "no base64": Case(400, b'{"records":[{"value":"?"}]}', types=v2("binary")),
    "too large": Case(413, b'{"records":[{"value":"%b"}]}' % (b"a" * MOST_BYTES)),
    "too large, v1": Case(
        413, b'{"records":[{"value":"%b"}]}' % (b"A" * MOST_BYTES), types=v1("binary")
    ),
    "500 records": Case(200, b'{"records":[%b]}' % b",".join([b'{"value":1}'] * 500)),
    "schema id unknown": Case(
        422, b'{"value_schema_id":999999,"records":[{"value":1}]}', types=v2("avro")
    ),
    "schema id of another type": Case(
        422,
        b'{"value_schema_id":@json id@,"records":[{"value":1}]}',
        "/topics/@avro@",
        v2("avro"),
    ),
    "schema id of another subject": Case(
        422, b'{"value_schema_id":@avro id@,"records":[{"value":{"a":1}}]}', types=v2("avro")
    ),
    "schema id a text": Case(
        400, b'{"value_schema_id":"x","records":[{"value":1}]}', types=v2("avro")
    ),
    "schema missing": Case(422, types=v2("avro")),
    "schema that is none": Case(
        422, b'{"value_schema":"{","records":[{"value":1}]}', types=v2("avro")
    ),
    "schema as text": Case(
        200,
        b'{"value_schema":"{\\"type\\":\\"record\\",\\"name\\":\\"A\\",\\"fields\\":'
        b'[{\\"name\\":\\"a\\",\\"type\\":\\"int\\"}]}","records":[{"value":{"a":2}}]}',
        "/topics/@avro@",
        v2("avro"),
    ),
    "headers and a timestamp": Case(
        200,
        b'{"records":[{"value":1,"headers":[{"name":"h","value":"YQ=="}],"timestamp":1000}]}',
        f"/topics/@topic@{HEADERS_INCLUDED}",
    ),
    "headers not asked for": Case(
        422, b'{"records":[{"value":1,"headers":[{"name":"h","value":"YQ=="}]}]}'
    ),
    "headers bad": Case(
        422,
        b'{"records":[{"value":1,"headers":[{"name":"h","value":"?"}]}]}',
        f"/topics/@topic@{HEADERS_INCLUDED}",
    ),
    "include of nothing known": Case(422, path="/topics/@topic@?include=more"),
}

PATHS = {
    "partition not there": Case(404, path="/topics/@topic@/partitions/99"),
    "partition no number": Case(404, path="/topics/@topic@/partitions/x"),
    "partition negative": Case(404, path="/topics/@topic@/partitions/-1"),
    "partition with zeros": Case(200, path="/topics/@topic@/partitions/00"),
    "partition not there, v1": Case(
        404, b'{"records":[{"value":"YQ=="}]}', "/topics/@topic@/partitions/99", v1("binary")
    ),
    "topic that cannot be": Case(404, path="/topics/a%20b"),
    "topic of dots": Case(404, path="/topics/.."),
    "topic empty": Case(405, path="/topics/"),
    "trailing slash": Case(200, path="/topics/@topic@/"),
    "trailing slash of a partition": Case(200, path="/topics/@topic@/partitions/0/"),
    "two slashes at the end": Case(404, path="/topics/@topic@//"),
    "two slashes at the start": Case(404, path="//topics/@topic@"),
    "escaped word": Case(404, path="/t%6Fpics/@topic@"),
    "escaped letter": Case(200, path="/topics/%74@topic@".replace("%74@", "@escaped ")),
    "escaped slash": Case(404, path="/topics/@topic@%2Fpartitions%2F0"),
    "escape that is none": Case(404, path="/topics/@topic@%zz"),
    "no ASCII": Case(400, path="/topics/\xe9"),
    "absolute URI": Case(200, path="http://kafka/topics/@topic@"),
    "absolute URI of another host": Case(200, path="http://other:1/topics/@topic@"),
    "query": Case(200, path="/topics/@topic@?a=b&c"),
    "query empty": Case(200, path="/topics/@topic@?"),
    "fragment": Case(404, path="/topics/@topic@#f"),
    "path unknown": Case(404, path="/topics/@topic@/nothing"),
    "GET": Case(200, b"", types=(f"Accept: {V2}",), method="GET", framing=()),
    "HEAD": Case(200, b"", types=(f"Accept: {V2}",), method="HEAD", framing=()),
    "HEAD with a body": Case(415, method="HEAD"),
    "GET with a body": Case(415, method="GET"),
    "OPTIONS": Case(200, method="OPTIONS"),
    "PUT": Case(405, method="PUT"),
    "method in small letters": Case(400, method="post"),
}

NEGOTIATION = {
    "Accept missing": Case(200, types=(f"Content-Type: {JSON_V2}",)),
    "Accept anything": Case(200, types=content(JSON_V2, "*/*")),
    "Accept several": Case(200, types=content(JSON_V2, f"text/html, {V2};q=0.5, */*;q=0.1")),
    "Accept JSON": Case(406, types=content(JSON_V2, "application/json")),
    "Accept text": Case(406, types=content(JSON_V2, "text/plain")),
    "Accept nothing": Case(406, types=content(JSON_V2, f"{V2};q=0")),
    "Accept v1": Case(406, types=content(JSON_V2, V1)),
    "Accept twice": Case(200, types=(*content(JSON_V2, "text/plain"), f"Accept: {V2}")),
    "Accept malformed": Case(406, types=content(JSON_V2, ";;,/")),
    "type missing": Case(200, b'{"records":[{"value":"YQ=="}]}', types=(f"Accept: {V1}",)),
    "type JSON": Case(
        200, b'{"records":[{"value":"YQ=="}]}', types=content("application/json", V1)
    ),
    "type with charset": Case(200, types=content(f"{JSON_V2}; charset=utf-8")),
    "type in capitals": Case(200, types=content(JSON_V2.upper())),
    "type unknown": Case(415, types=content("text/plain")),
    "type malformed": Case(415, types=content("json")),
    "type of v2 alone": Case(415, types=content(V2)),
    "type twice": Case(400, types=(*content(JSON_V2), f"Content-Type: {JSON_V2}")),
}

FRAMING = {
    "1.0": Case(200, version="1.0"),
    "1.0 keep-alive": Case(200, version="1.0", headers=("Connection: keep-alive",)),
    "close": Case(200, headers=("Connection: close",)),
    "close in capitals": Case(200, headers=("CONNECTION: CLOSE",)),
    "close among others": Case(200, headers=("Connection: a, close",)),
    "close of an error": Case(400, b"{", headers=("Connection: close",)),
    "keep-alive": Case(200, headers=("Connection: keep-alive",)),
    "upgrade": Case(200, headers=("Connection: Upgrade", "Upgrade: websocket")),
    "chunked": Case(200, chunks(RECORD), framing=CHUNKED),
    "chunked with a trailer": Case(200, chunks(RECORD)[:-2] + b"A: b\r\n\r\n", framing=CHUNKED),
    "chunked, too large": Case(413, chunks(b"a" * 2 * MOST_BYTES), framing=CHUNKED),
    "chunked, malformed inside": Case(400, chunks(b'{"records":['), framing=CHUNKED),
    "chunked with length": Case(400, framing=("Content-Length: 25", *CHUNKED)),
    "coding unknown": Case(501, framing=("Transfer-Encoding: zip",)),
    "length missing": Case(422, b"", framing=()),
    "length with zeros": Case(200, framing=("Content-Length: 00025",)),
    "length with spaces": Case(200, framing=("Content-Length:   25  ",)),
    "length with plus": Case(400, framing=("Content-Length: +25",)),
    "length twice, the same": Case(400, framing=("Content-Length: 25", "Content-Length: 25")),
    "length twice": Case(400, framing=("Content-Length: 25", "Content-Length: 24")),
    "length a list": Case(400, framing=("Content-Length: 25, 25",)),
    "length hexadecimal": Case(400, framing=("Content-Length: 0x19",)),
    "length empty": Case(400, framing=("Content-Length:",)),
    "length in other letters": Case(200, framing=("cOnTeNt-LeNgTh: 25",)),
    "header in other letters": Case(200, types=(f"CONTENT-type: {JSON_V2}", f"aCCEPT: {V2}")),
    "header with underscore": Case(200, headers=("Content_Type: text/plain",)),
    "header with space": Case(400, headers=("X : a",)),
    "header folded": Case(400, headers=("X: a\r\n b",)),
    "header latin-1": Case(200, headers=("X: \xe9",)),
    "header too long": Case(431, headers=(f"X: {'a' * 9000}",)),
    "headers too many": Case(431, headers=tuple(f"X{n}: a" for n in range(120))),
    "hosts two": Case(400, headers=("Host: other",)),
    "trace ids": Case(200, headers=("traceparent: 00-1-2-01", "X-Request-Id: 7")),
    "forwarded": Case(200, headers=("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https")),
    "origin": Case(200, headers=("Origin: http://a",)),
    "peer of a relay": Case(200, headers=("X-Kafka-Rest-Peer: 1.2.3.4",)),
    "gzip accepted": Case(200, headers=("Accept-Encoding: gzip",)),
    "100-continue at once": Case(200, headers=("Expect: 100-continue",)),
    "100-continue of 1.0": Case(200, version="1.0", headers=("Expect: 100-continue",)),
    "expects something else": Case(417, headers=("Expect: fish",)),
    "version of the future": Case(400, version="2.7"),
}

CASES: dict[str, Case] = {
    **_in_each_type(),
    **{f"body: {name}": case for name, case in BODIES.items()},
    **{f"path: {name}": case for name, case in PATHS.items()},
    **{f"negotiation: {name}": case for name, case in NEGOTIATION.items()},
    **{f"framing: {name}": case for name, case in FRAMING.items()},
}
