"""The image's health check, run as the container engine runs it."""

import http.server
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.containers import arguments
from tests.serving import serving


@pytest.mark.parametrize(("status", "verdict"), [(200, 0), (503, 1)])
def test_health_check_believes_the_server(status: int, verdict: int) -> None:
    with answering("/health", status) as port:
        assert health_check(port) == verdict
    assert health_check(port) != 0


def health_check(port: int) -> int:
    """The status with which the check ends for a server at a port."""
    [words] = arguments("HEALTHCHECK")
    command = json.loads(words.partition("CMD ")[2])
    assert command[0] == "python"
    return subprocess.run(
        [sys.executable, *command[1:]],
        env={**os.environ, "KAFKA_REST_PORT": str(port)},
        stderr=subprocess.DEVNULL,
        timeout=30,
    ).returncode


@contextmanager
def answering(path: str, status: int) -> Iterator[int]:
    """An HTTP server that answers one path with a status, all else with 404; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == path else 404)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield int(server.server_address[1])
