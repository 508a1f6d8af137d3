"""The parser's bounds for clients that do not send what they have announced."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gunicorn.config import Config

from kafka_rest.server.framing import Parser

HEAD = b"POST /topics/a HTTP/1.1\r\nHost: a\r\n"
PATIENCE = 10.0


@contextmanager
def parsed(data: bytes) -> Iterator[tuple[socket.socket, Parser]]:
    """A client that has sent so much, and the parser that has read its head."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(data)
        parser = Parser(Config(), server, ("127.0.0.1", 1))
        next(parser)
        yield client, parser


def finished(parser: Parser) -> list[bool]:
    """What finishing the body comes to for a worker that would wait an hour; empty for no end."""
    found: list[bool] = []
    thread = threading.Thread(
        target=lambda: found.append(parser.finish_body(time.monotonic() + 3600)), daemon=True
    )
    thread.start()
    thread.join(PATIENCE)
    return found


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"]
)
def test_rest_of_a_body_that_does_not_come_holds_nobody(framing: bytes) -> None:
    with parsed(HEAD + framing) as (_client, parser):
        assert finished(parser) == [False]


def test_rest_of_a_body_that_trickles_holds_nobody() -> None:
    with parsed(HEAD + b"Content-Length: 100000\r\n\r\n{") as (client, parser):
        ended = threading.Event()

        def trickle() -> None:
            while not ended.wait(0.02):
                client.sendall(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert finished(parser) == [False]
        finally:
            ended.set()
            thread.join()


def test_rest_of_a_body_that_comes_is_taken_off_and_the_next_request_is_read() -> None:
    with parsed(HEAD + b"Content-Length: 5\r\n\r\n{") as (client, parser):
        client.sendall(b"1234" + HEAD + b"Content-Length: 0\r\n\r\n")
        assert finished(parser) == [True]
        assert next(parser).uri == "/topics/a"
