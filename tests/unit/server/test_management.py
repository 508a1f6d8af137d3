"""The pages for probes: which requests get them, where, and what all others get."""

import socket
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.parking import LANE
from kafka_rest.server.management import Management, Page, is_urgent

PAGES = {"/health": lambda: Page(200, "a/b", b"well"), "/ready": lambda: Page(503, "a/b", b"no")}


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"application"]


def ask(
    path: str, method: str = "GET", ports: Iterable[int] = (), port: str = "8082", **more: Any
) -> tuple[str, dict[str, str], bytes]:
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "RAW_URI": path,
        "PATH_INFO": path.partition("?")[0],
        "SERVER_PORT": port,
        **more,
    }
    listeners = ",".join(f"http://127.0.0.1:{each}" for each in ports)
    settings = s.load(None, {}, [f"management.listeners={listeners}"])
    body = b"".join(
        Management(application, PAGES, settings)(environ, lambda *words: said.append(words))
    )
    ((status, headers),) = said
    return status, dict(headers), body


def test_page_is_answered_whole_and_kept_by_nobody() -> None:
    status, headers, body = ask("/health")
    assert (status, body) == ("200 OK", b"well")
    assert headers == {
        "Content-Type": "a/b",
        "Content-Length": "4",
        "Cache-Control": "no-store",
    }
    assert ask("/ready?verbose")[0] == "503 Service Unavailable"


def test_page_is_left_to_the_lane_where_that_can_send_it() -> None:
    class Keeper:
        def keep(self, parked: Any, again: Any, environ: Any) -> None:
            assert (again, environ[LANE]) == (None, self)
            parked.then(lambda *answer: sent.append(answer), SimpleNamespace())

    sent: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/ready", "SERVER_PORT": "1", LANE: Keeper()}
    assert list(Management(application, PAGES, s.load())(environ, sent.append)) == []
    headers = ("Content-Type", "a/b"), ("Cache-Control", "no-store")
    assert sent == [("503 Service Unavailable", headers, b"no", 0)]


def test_head_has_the_length_and_no_body() -> None:
    status, headers, body = ask("/health", "HEAD")
    assert (status, headers["Content-Length"], body) == ("200 OK", "4", b"")


def test_relayed_request_is_never_one_of_a_management_port() -> None:
    private = SimpleNamespace(family=socket.AF_UNIX, getsockname=lambda: "/r/slot-0.sock.1")
    assert ask("/topics", ports=[9090], port="9090", **{"gunicorn.socket": private})[2] == (
        b"application"
    )


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_method_is_405(method: str) -> None:
    status, headers, body = ask("/ready", method)
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "GET,HEAD")
    assert b'"error_code":405' in body


@pytest.mark.parametrize("path", ["/", "/topics/health", "/health/x", "/healthy"])
def test_other_path_is_the_applications(path: str) -> None:
    assert ask(path)[2] == b"application"


def test_page_that_is_not_offered_comes_to_nothing_that_may_wait() -> None:
    status, _, body = ask("/metrics")
    assert (status, b'"error_code":404' in body) == ("404 Not Found", True)


def test_port_of_its_own_has_the_pages_and_nothing_else() -> None:
    assert ask("/health", ports=[9000, 9001])[2] == b"application"
    assert ask("/health", ports=[9000, 9001], port="9001")[2] == b"well"
    status, _, body = ask("/topics", ports=[9000, 9001], port="9000")
    assert (status, b'"error_code":404' in body) == ("404 Not Found", True)


@pytest.mark.parametrize(
    ("head", "urgent"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"HEAD /ready?a=b HTTP/1.1\r\n\r\n", True),
        (b"GET /metrics HTTP/1.0\r\n\r\n", True),
        (b"POST /health HTTP/1.1\r\n\r\n", False),
        (b"GET /healthy HTTP/1.1\r\n\r\n", False),
        (b"GET /topics?/health HTTP/1.1\r\n\r\n", False),
        # Its body may never come.
        (b"GET /health HTTP/1.1\r\ncontent-length: 5\r\n\r\n", False),
        (b"GET /health HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", False),
        (b"", False),
    ],
)
def test_request_is_urgent_by_its_head(head: bytes, urgent: bool) -> None:
    assert is_urgent(head) is urgent
