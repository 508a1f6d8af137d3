"""What clients send to a server, well or badly formed: a name for each case, and its steps.

The paths are those of the application in `echo.py`.
"""

from collections.abc import Sequence

from tests.integration.wire import echo
from tests.integration.wire.play import Ended, HalfClose, Leave, Pause, Send, Settle, Step

Case = Sequence[Step]


def request(
    path: str = "/echo",
    method: str = "GET",
    version: str = "1.1",
    headers: Sequence[str] = ("Host: x",),
    body: bytes = b"",
) -> bytes:
    """A request as bytes; it names no length of its own accord."""
    head = "\r\n".join([f"{method} {path} HTTP/{version}", *headers])
    return f"{head}\r\n\r\n".encode("latin-1") + body


def with_header(*headers: str) -> bytes:
    return request(headers=["Host: x", *headers])


def post(count: int, path: str = "/echo", version: str = "1.1") -> bytes:
    """A POST with so many bytes."""
    headers = ["Host: x", f"Content-Length: {count}"]
    return request(path, "POST", version, headers, b"b" * count)


def posted(body: bytes, *headers: str, path: str = "/echo", version: str = "1.1") -> bytes:
    return request(path, "POST", version, ["Host: x", *headers], body)


def chunked(body: bytes, *headers: str, path: str = "/echo", version: str = "1.1") -> bytes:
    return posted(body, "Transfer-Encoding: chunked", *headers, path=path, version=version)


GET = request()
ABC = b"3\r\nabc\r\n0\r\n\r\n"
LENGTH_3, CONTINUE = "Content-Length: 3", "Expect: 100-continue"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

IN_TURN: dict[str, Case] = {
    "get": [Send(GET)],
    "two in turn": [Send(GET), Settle(), Send(GET)],
    "pipelined 3": [Send(GET * 3)],
    "pipelined 21 mixed": [Send((GET + post(5) + chunked(ABC)) * 7)],
    "pipelined after unread body": [Send(post(50, "/unread") + GET)],
    "pipelined after big unread body": [Send(post(200_000, "/unread") + GET)],
    "unread body, then next": [Send(post(50, "/unread")), Settle(), Send(GET)],
    "unread 60k, then next": [Send(post(60_000, "/unread")), Settle(), Send(GET)],
    "unread big body, then next": [Send(post(200_000, "/unread")), Settle(), Send(GET)],
    "partly read body, then next": [Send(post(5000, "/partial") + GET)],
    "unread chunked, then next": [Send(chunked(ABC, path="/unread") + GET)],
    "unread body that comes late": [
        Send(posted(b"", "Content-Length: 5", path="/unread")),
        Pause(0.05),
        Send(b"12345" + GET),
    ],
    # After how long is each worker's own matter.
    "unread body that does not come": [
        Send(posted(b"1", "Content-Length: 5", path="/unread")),
        Ended(),
    ],
    "body in pieces": [
        Send(posted(b"123", "Content-Length: 10")),
        Pause(0.1),
        Send(b"4567"),
        Pause(0.1),
        Send(b"890" + GET),
    ],
    "head byte by byte": [s for byte in GET for s in (Send(bytes([byte])), Pause(0.002))],
    "head split in its end": [Send(GET[:-3]), Pause(0.1), Send(GET[-3:])],
    "late start": [Pause(0.3), Send(GET)],
    "later start": [Pause(0.6), Send(GET), Settle(), Send(GET)],
    "body read by lines": [Send(post(5000, "/lines") + GET)],
}

METHODS_AND_PATHS: dict[str, Case] = {
    "HEAD": [Send(request(method="HEAD") + GET)],
    "HEAD of chunks": [Send(request("/gen", "HEAD") + GET)],
    "HEAD of much": [Send(request("/big", "HEAD") + GET)],
    "HEAD of a file": [Send(request("/file_cl", "HEAD") + GET)],
    "HEAD of nothing": [Send(request("/empty", "HEAD") + GET)],
    "HEAD of a failure at once": [Send(request("/raise_empty", "HEAD") + GET)],
    "HEAD of 404": [Send(request("/x", "HEAD") + GET)],
    "HEAD of less than told": [Send(request("/cl_long", "HEAD") + GET)],
    "HEAD 1.0": [Send(request("/gen", "HEAD", "1.0"))],
    "OPTIONS *": [Send(request("*", "OPTIONS") + GET)],
    "absolute URI": [Send(request("http://x/echo?q=1") + GET)],
    "query": [Send(request("/echo?a=%20b&c") + GET)],
    "escaped path": [Send(request("/%65cho") + GET)],
    "fragment": [Send(request("/echo#f") + GET)],
}

CHUNKS: dict[str, Case] = {
    "chunked": [Send(chunked(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n") + GET)],
    "chunk extension": [Send(chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n") + GET)],
    "chunk trailers": [Send(chunked(b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n") + GET)],
    "chunk size bad": [Send(chunked(b"zz\r\nabc\r\n0\r\n\r\n") + GET)],
    "chunk size bad, view raises": [
        Send(chunked(b"zz\r\nabc\r\n0\r\n\r\n", path="/read_or_raise") + GET)
    ],
    "chunk without its end": [Send(chunked(b"3\r\nabcX0\r\n\r\n") + GET)],
    "chunk size negative": [Send(chunked(b"-3\r\nabc\r\n0\r\n\r\n") + GET)],
    "chunk size bad, unread": [Send(chunked(b"zz\r\n", path="/unread") + GET)],
    "chunk cut off": [Send(chunked(b"3\r\nab")), HalfClose()],
    "last chunk missing": [Send(chunked(b"3\r\nabc\r\n")), HalfClose()],
    "chunk trailer bad": [Send(chunked(b"0\r\nbad trailer\r\n\r\n") + GET)],
    "chunked with length": [Send(chunked(ABC, "Content-Length: 5") + GET)],
    "chunked 1.0": [Send(chunked(ABC, version="1.0"))],
    "coding unknown": [Send(posted(b"abc", "Transfer-Encoding: zip") + GET)],
    "coding gzip, chunked": [Send(posted(ABC, "Transfer-Encoding: gzip, chunked") + GET)],
}

LENGTHS: dict[str, Case] = {
    "length twice, the same": [Send(posted(b"abc", LENGTH_3, LENGTH_3) + GET)],
    "length twice": [Send(posted(b"abc", LENGTH_3, "Content-Length: 4") + GET)],
    "length bad": [Send(posted(b"", "Content-Length: abc") + GET)],
    "length negative": [Send(posted(b"", "Content-Length: -1") + GET)],
    "length with plus": [Send(posted(b"abc", "Content-Length: +3"))],
    "length 0": [Send(posted(b"", "Content-Length: 0") + GET)],
    "length huge": [Send(posted(b"", "Content-Length: 99999999999999999999", path="/unread"))],
    "length beyond the body": [Send(posted(b"abc", "Content-Length: 10")), HalfClose()],
}

EXPECT: dict[str, Case] = {
    "100-continue": [Send(posted(b"", LENGTH_3, CONTINUE)), Settle(), Send(b"abc" + GET)],
    "100-continue at once": [Send(posted(b"abc", LENGTH_3, CONTINUE) + GET)],
    "100-continue unread": [
        Send(posted(b"", LENGTH_3, CONTINUE, path="/unread")),
        Settle(),
        Send(b"abc" + GET),
    ],
    "100-continue 1.0": [Send(posted(b"abc", LENGTH_3, CONTINUE, version="1.0"))],
    "100-continue chunked": [Send(chunked(b"", CONTINUE)), Settle(), Send(ABC + GET)],
    "expects something else": [Send(with_header("Expect: fish") + GET)],
}

LIMITS: dict[str, Case] = {
    "line too long": [Send(request("/" + "a" * 5000) + GET)],
    "line of 4000": [Send(request("/echo?" + "a" * 3900) + GET)],
    "line without end": [Send(b"GET /" + b"a" * 20_000)],
    "header too long": [Send(with_header("X: " + "a" * 9000) + GET)],
    "header of 8000": [Send(with_header("X: " + "a" * 8000) + GET)],
    "header without end": [Send(b"GET / HTTP/1.1\r\nX: " + b"a" * 900_000)],
    "101 headers": [Send(request(headers=[f"X{n}: 1" for n in range(101)]) + GET)],
    "90 headers": [Send(with_header(*(f"X{n}: 1" for n in range(90))) + GET)],
}

FORM: dict[str, Case] = {
    "garbage": [Send(b"\x16\x03\x01 garbage\r\n\r\n")],
    "an empty line first": [Send(b"\r\n" + GET)],
    "two empty lines first": [Send(b"\r\n\r\n" + GET)],
    "lines without CR": [Send(b"GET /echo HTTP/1.1\nHost: x\n\n")],
    "method bad": [Send(b"ge{t /echo HTTP/1.1\r\n\r\n")],
    "version bad": [Send(b"GET /echo HTTP/3.9\r\n\r\n")],
    "version missing": [Send(b"GET /echo\r\n\r\n")],
    "version 1.2": [Send(request(version="1.2"))],
    "header with space": [Send(with_header("X : 1") + GET)],
    "header folded": [Send(with_header("X: 1\r\n folded") + GET)],
    "header with underscore": [Send(with_header("X_Y: 1") + GET)],
    "header with NUL": [Send(with_header("X: a\0b") + GET)],
    "header latin-1": [Send(with_header("X: caf\xe9") + GET)],
    "header empty": [Send(with_header("X:") + GET)],
    "header twice": [Send(with_header("X: 1", "X: 2") + GET)],
    "host missing": [Send(request(headers=()) + GET)],
    "host missing 1.0": [Send(request(version="1.0", headers=()))],
    "host empty": [Send(request(headers=["Host:"]) + GET)],
    "SCRIPT_NAME": [Send(with_header("SCRIPT_NAME: /nope") + GET)],
    "forwarded": [Send(with_header("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https") + GET)],
    "forwarded both ways": [
        Send(with_header("X-Forwarded-Proto: https", "X-Forwarded-Ssl: off") + GET)
    ],
    "upgrade to h2c": [
        Send(
            with_header(
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            )
            + GET
        )
    ],
    "HTTP/2 at once": [Send(HTTP2_PREFACE)],
    "PROXY line": [Send(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + GET)],
}

CONNECTION: dict[str, Case] = {
    "close": [Send(with_header("Connection: close") + GET)],
    "close later": [Send(GET + with_header("Connection: close") + GET)],
    "close among others": [Send(with_header("Connection: foo, close") + GET)],
    "close of chunks": [Send(request("/gen", headers=["Host: x", "Connection: close"]))],
    "view says close": [Send(request("/closing") + GET)],
    "1.0": [Send(request(version="1.0") * 2)],
    "1.0 keep-alive": [Send(request(version="1.0", headers=["Connection: keep-alive"]) * 2)],
    "1.0 post": [Send(post(5, version="1.0"))],
    "1.0 keep-alive of chunks": [
        Send(request("/gen", version="1.0", headers=["Connection: keep-alive"]) + GET)
    ],
    "half close": [Send(GET), HalfClose()],
    "half close after 3": [Send(GET * 3), HalfClose()],
    "nothing, half close": [HalfClose()],
    "part of a head, half close": [Send(GET[:9]), HalfClose()],
    "next after 1.5 s": [Send(GET), Settle(), Pause(1.5), Send(GET)],
    "left in body": [
        Send(posted(b"abc", "Content-Length: 1000")),
        Pause(0.1),
        Leave(reset=False),
    ],
    "reset in body": [Send(posted(b"abc", "Content-Length: 1000")), Pause(0.1), Leave(reset=True)],
    "left in answer": [Send(request("/big")), Pause(0.1), Leave(reset=False)],
    "reset in answer": [Send(request("/big")), Pause(0.1), Leave(reset=True)],
    "reset before answer": [Send(request("/slow")), Pause(0.05), Leave(reset=True)],
    "reset in stream": [Send(request("/stream")), Pause(0.1), Leave(reset=True)],
}

VIEWS: dict[str, Case] = {
    **{f"view {name}": [Send(request(f"/{name}") + GET)] for name in echo.NAMES},
    **{f"view 1.0 {name}": [Send(request(f"/{name}", version="1.0"))] for name in echo.NAMES},
    **{
        f"view {name} of a post": [Send(post(100, f"/{name}") + GET)]
        for name in ("raise_before", "raise_after", "raise_gen", "unread", "text")
    },
}

CASES: dict[str, Case] = {
    name: case
    for table in (
        *(IN_TURN, METHODS_AND_PATHS, CHUNKS, LENGTHS, EXPECT),
        *(LIMITS, FORM, CONNECTION, VIEWS),
    )
    for name, case in table.items()
}
"""All cases for servers that keep an idle connection for long."""

TIME_OUTS: dict[str, Case] = {
    "keep-alive": [Send(GET), Ended()],
    "keep-alive after two": [Send(GET), Settle(), Send(GET), Ended()],
    "nothing from the start": [Ended()],
    "keep-alive of a post": [Send(post(5)), Ended()],
}
"""Cases for servers that keep an idle connection for a second."""
