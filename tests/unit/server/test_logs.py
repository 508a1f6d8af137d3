"""One event is one line, whatever it says."""

import json
import logging
import sys
from typing import Any

import pytest
from gunicorn.config import Config

from kafka_rest.server.logs import (
    FIELDS,
    FORMAT,
    GunicornLogger,
    JsonFormatter,
    TextFormatter,
)

FORGED = "a\r\n[2026-01-01 00:00:00,000] INFO forged \x1b[2J\x85\u2028\u202e\ud800b"


def record(message: str, *arguments: Any, error: BaseException | None = None) -> logging.LogRecord:
    info: Any = None
    if error is not None:
        try:
            raise error
        except BaseException:
            info = sys.exc_info()
    return logging.LogRecord("n.m", logging.WARNING, "/p/m.py", 7, message, arguments, info)


def test_text_line_is_as_it_was() -> None:
    line = TextFormatter(FORMAT).format(record("topic gone name=%s", "täg"))
    assert line.endswith("] WARNING topic gone name=täg (n.m:7)")


def test_text_line_cannot_be_broken() -> None:
    line = TextFormatter(FORMAT).format(record("%s", FORGED))
    assert line.splitlines() == [line]
    assert line.isprintable()
    assert "a\\x0d\\x0a[2026-01-01" in line
    assert "\\x1b[2J\\x85\\u2028\\u202e\\ud800b" in line


def test_stack_in_text_follows_its_line_and_is_no_event() -> None:
    text = TextFormatter(FORMAT).format(record("failed", error=ValueError(FORGED)))
    first, *stack = text.split("\n")
    assert first.endswith("WARNING failed (n.m:7)")
    assert len(stack) > 3
    assert all(line.startswith("  ") and line.isprintable() for line in stack)


def test_json_line_has_all_that_is_known() -> None:
    said = record("topic gone name=%s", "t")
    setattr(said, FIELDS, {"request_id": "r1", "status": 200})
    found = json.loads(JsonFormatter().format(said))
    assert found.pop("time").endswith("Z")
    assert found.pop("process") > 0
    assert found == {
        "level": "WARNING",
        "logger": "n.m",
        "line": 7,
        "message": "topic gone name=t",
        "request_id": "r1",
        "status": 200,
    }


@pytest.mark.parametrize("error", [None, ValueError(FORGED)])
def test_json_line_is_one_of_ascii(error: BaseException | None) -> None:
    line = JsonFormatter().format(record("%s", FORGED, error=error))
    assert line.splitlines() == [line]
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert found["message"] == FORGED
    if error is not None:
        assert found["exception"] == "ValueError"
        assert found["stack"].startswith("Traceback (most recent call last):\n")
        assert "\\ud800" in line


def test_gunicorn_quotes_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    log = GunicornLogger(Config())
    log.warning("Invalid request from ip=::1: Invalid HTTP request line: 'GET /?a=hunter2 X'")
    log.warning('Invalid request from ip=1.2.3.4: Invalid HTTP Header: "A\\x00: hunter2\'"')
    log.warning("Invalid request from ip=1.2.3.4: Contradictory scheme headers")
    log.warning("Worker with pid 7 'hangs' and %s", "more")
    log.exception("Error handling request %s %s", "GET", "/t?token=hunter2&count=1")
    assert [record.getMessage() for record in caplog.records] == [
        "Invalid request from ip=::1: Invalid HTTP request line: ***",
        "Invalid request from ip=1.2.3.4: Invalid HTTP Header: ***",
        "Invalid request from ip=1.2.3.4: Contradictory scheme headers",
        "Worker with pid 7 'hangs' and more",
        "Error handling request GET /t?token=***&count=1",
    ]
