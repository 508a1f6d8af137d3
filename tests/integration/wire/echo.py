"""An application that tells what the server made of a request, and answers in every way that an
application can. Its paths are the names of the views below."""

import argparse
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Start = Callable[..., Any]
View = Callable[[dict[str, Any], Start], Iterable[Any]]

TEXT = ("Content-Type", "text/plain")
PAUSE_SECONDS = 0.2
BARRIER_SECONDS = 20.0
THREADS = 100
"""The threads of each server."""
BARRIER = threading.Barrier(THREADS)
BIG = b"0123456789abcdef" * 327_680
FILE = Path(argparse.__file__)
"""Some file that takes more than one read."""


def length(count: int) -> tuple[str, str]:
    return "Content-Length", str(count)


def said(start: Start, body: bytes) -> list[bytes]:
    start("200 OK", [TEXT, length(len(body))])
    return [body]


def pieces(*more: bytes) -> Iterator[bytes]:
    yield from more


def slow_pieces(*more: bytes) -> Iterator[bytes]:
    for piece in more:
        yield piece
        time.sleep(PAUSE_SECONDS)


def failing(*more: bytes) -> Iterator[bytes]:
    yield from more
    raise RuntimeError("the application's")


# -- what arrived
# ------------------------------------------------------------------------------------------


def echo(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    try:
        read: object = len(environ["wsgi.input"].read())
    except Exception as error:
        read = type(error).__name__
    told = ("CONTENT_TYPE", "CONTENT_LENGTH", "QUERY_STRING", "SERVER_PROTOCOL", "RAW_URI")
    seen = sorted((k, v) for k, v in environ.items() if k.startswith("HTTP_") or k in told)
    line = [environ["REQUEST_METHOD"], environ["PATH_INFO"]]
    return said(start, json.dumps([*line, seen, read]).encode())


def read_or_raise(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, b"%d" % len(environ["wsgi.input"].read()))


def lines(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, b"%d" % len(environ["wsgi.input"].readlines()))


def unread(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, b"ok")


def partial(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, environ["wsgi.input"].read(10))


def slow(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    time.sleep(PAUSE_SECONDS)
    return said(start, b"ok")


def together(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    """Answers once as many requests as there are threads are here at the same time."""
    BARRIER.wait(BARRIER_SECONDS)
    return said(start, b"ok")


# -- failures
# ------------------------------------------------------------------------------------------


def raise_before(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    raise RuntimeError("the application's")


def raise_after(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(2)])
    raise RuntimeError("the application's")


def raise_gen(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return failing(b"first")


def raise_gen_cl(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(10)])
    return failing(b"first")


def raise_empty(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return failing(b"")


def raise_now(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return failing()


def text(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return ["no bytes"]


def bad_header(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [("X-A", "a\r\nb")])
    return [b"x"]


def bad_name(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [("X A", "a")])
    return [b"x"]


def not_started(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return [b"x"]


def twice(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    start("500 Err", [TEXT])
    return [b"x"]


def exc_info(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [("X-A", "1")])
    try:
        raise RuntimeError("the application's")
    except RuntimeError:
        start("500 Err", [("X-B", "1"), length(1)], sys.exc_info())
    return [b"x"]


# -- bodies
# ------------------------------------------------------------------------------------------


def gen(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return pieces(b"a", b"", b"bc", b"def")


def gen_cl(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(6)])
    return pieces(b"a", b"", b"bc", b"def")


def empty(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return []


def empty_piece(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return [b""]


def empty_cl(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, b"")


def file(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](FILE.open("rb"))


def file_cl(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(FILE.stat().st_size)])
    return environ["wsgi.file_wrapper"](FILE.open("rb"))


def file_cl_short(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(100)])
    return environ["wsgi.file_wrapper"](FILE.open("rb"))


def file_object(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(5)])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"12345"))


def cl_long(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(10)])
    return [b"short"]


def cl_short(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(3)])
    return [b"too long"]


def no_content(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("204 No Content", [])
    return []


def no_content_body(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("204 No Content", [TEXT, length(3)])
    return [b"abc"]


def not_modified(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("304 Not Modified", [length(3)])
    return []


def write(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(6)])(b"abc")
    return [b"def"]


def write_no_cl(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])(b"abc")
    return [b"def"]


def closing(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT, length(2), ("Connection", "close")])
    return [b"ok"]


def latin(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [("X-L", "caf\xe9"), length(0)])
    return []


def big(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    return said(start, BIG)


def big_chunk(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return [BIG[:100_000], BIG[:3]]


def early(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    environ["wsgi.early_hints"]([("Link", "</a>")])
    return said(start, b"ok")


def stream(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return slow_pieces(b"x", b"x", b"x")


def empty_then(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("200 OK", [TEXT])
    return slow_pieces(b"", b"x")


def _missing(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    start("404 Not Found", [TEXT, length(0)])
    return []


ARRIVALS: tuple[View, ...] = (echo, read_or_raise, lines, unread, partial, slow, together)
ANSWERS: tuple[View, ...] = (
    *(raise_before, raise_after, raise_gen, raise_gen_cl, raise_empty, raise_now),
    *(gen, gen_cl, empty, empty_piece, empty_cl, file, file_cl, file_cl_short, file_object),
    *(cl_long, cl_short, no_content, no_content_body, not_modified, text, bad_header, bad_name),
    *(not_started, write, write_no_cl, twice, exc_info, closing, latin, big, big_chunk),
    *(early, stream, empty_then),
)
NAMES = [view.__name__ for view in ANSWERS]
"""The paths of all ways to answer."""

_VIEWS = {f"/{view.__name__}": view for view in (*ARRIVALS, *ANSWERS)}


def application(environ: dict[str, Any], start: Start) -> Iterable[Any]:
    """Answer by the view that the path names."""
    return _VIEWS.get(environ["PATH_INFO"], _missing)(environ, start)
