"""What the access log says of a request, in both forms, and what it does not."""

import json
import logging
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.watching import ENDPOINT
from kafka_rest.server.access_log import AccessLog
from kafka_rest.server.logs import FORMAT, JsonFormatter, TextFormatter, without_secrets

INSTANCE = "/consumers/g%C3%A9/instances/i%201/records?timeout=10"


class Lines(logging.Handler):
    """Keeps the lines of one logger."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def asked(uri: str, started: float | None = None, **more: Any) -> Any:
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": uri, "SERVER_PROTOCOL": "HTTP/1.1", **more}
    return SimpleNamespace(environ=environ, peer="192.0.2.1", started=started, request_id="r1")


def logged(form: str, *request: Any) -> str:
    """The one line that a request makes."""
    given = {"server.access.log": "true", "server.log.format": form, "request.logger.name": "acc"}
    log = AccessLog(s.load(None, {}, [f"{key}={value}" for key, value in given.items()]))
    lines = Lines(JsonFormatter() if form == "json" else TextFormatter(FORMAT))
    logger = logging.getLogger("acc")
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    try:
        log.write(*request)
    finally:
        logger.removeHandler(lines)
    (line,) = lines.lines
    assert line.splitlines() == [line]
    return line


def test_text_is_the_common_format_with_more_behind_it() -> None:
    line = logged("text", asked("/topics?count=1"), "200 OK", 12, 0)
    pattern = r"192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    pattern += r'"GET /topics\?count=1 HTTP/1\.1" 200 12  0 request_id=r1 \(acc:\d+\)'
    assert re.search(pattern + r"\Z", line), line


def test_text_names_error_group_and_instance() -> None:
    line = logged("text", asked(INSTANCE), "404 Not Found", 9, 40403)
    assert " request_id=r1 error_code=40403 group=g%C3%A9 instance=i%201 (" in line


def test_json_has_the_same_as_members() -> None:
    started = time.monotonic() - 2
    line = logged(
        "json", asked(INSTANCE, started, **{ENDPOINT: "api.v2.x"}), "404 Not Found", 9, 40403
    )
    found = json.loads(line)
    assert found.pop("duration_ms") >= 2000
    assert {name: found[name] for name in list(found)[5:]} == {
        "message": f"GET {INSTANCE} 404",
        "request_id": "r1",
        "client": "192.0.2.1",
        "method": "GET",
        "uri": INSTANCE,
        "protocol": "HTTP/1.1",
        "endpoint": "api.v2.x",
        "status": 404,
        "bytes": 9,
        "error_code": 40403,
        "group": "gé",
        "instance": "i 1",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_is_said_that_does_not_apply(form: str) -> None:
    for uri in ("/topics/consumers/x", "/?a=/consumers/g/instances/i", "/consumers/"):
        line = logged(form, asked(uri), "200 OK", 0, 0)
        for name in ("group", "instance", "error_code", "endpoint"):
            assert name not in line.replace("instances", "")


@pytest.mark.parametrize("form", ["text", "json"])
def test_path_forges_neither_line_nor_quotes(form: str) -> None:
    uri = '/topics/a"\x0b\x85\x1b[2J\r\n"/consumers/g request_id=forged'
    line = logged(form, asked(uri), "404 Not Found", 0, 404)
    assert line.isprintable()
    if form == "text":
        assert line.count('"') == 2
        assert line.count(" request_id=") == 2
        assert line.index("request_id=forged") < line.rindex('"')
    else:
        assert json.loads(line)["request_id"] == "r1"


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("/topics", "/topics"),
        ("/t?timeout=1&max_bytes=2&include=headers", "/t?timeout=1&max_bytes=2&include=headers"),
        ("/t?access_token=abc&timeout=1", "/t?access_token=***&timeout=1"),
        ("/t?Timeout=abc", "/t?Timeout=***"),
        ("/t?a=b=c?d&", "/t?a=***&"),
        ("/t?abc", "/t?***"),
        ("/t?%74imeout=abc", "/t?%74imeout=***"),
        ("http://u:p@host/t", "http://***@host/t"),
        ("http://u:p@x@host/t?a=b@c", "http://***@host/t?a=***"),
        ("/t/a@b", "/t/a@b"),
    ],
)
def test_secrets_of_a_uri_are_not_written_down(uri: str, written: str) -> None:
    assert without_secrets(uri) == written
    for form in ("text", "json"):
        assert f"{written} " in logged(form, asked(uri), "200 OK", 0, 0)
